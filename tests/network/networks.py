"""Small networks for the adapter's tests. Importable by name, so that they pickle."""

import keras
from keras import layers


def build_mlp(
    input_shape, n_classes, units=16, learning_rate=1e-2, loss="categorical_crossentropy"
):
    model = keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Flatten(),
            layers.Dense(units, activation="relu"),
            layers.Dense(n_classes, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(learning_rate), loss=loss)
    return model


def build_small_cnn(input_shape, n_classes, dropout=0.0, dtype=None):
    from al_tf import build_cnn

    return build_cnn(
        input_shape, n_classes, filters=(4, 8, 8), dense=16, dropout=dropout, dtype=dtype
    )

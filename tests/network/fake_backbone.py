"""A tiny network in the place of a pretrained one: seeded random filters, no file, no Keras for features."""

import numpy as np


class FakeBackbone:
    """One 3 × 3 convolution with ReLU, averaged over the image, of grey or colour images."""

    def __init__(self, dim=24, *, size=8, seed=0):
        self.name, self.size, self.dim, self.seed = "fake", size, dim, seed
        self.fingerprint = f"fake-{dim}-{size}-{seed}"
        self.calls = []

    def features(self, X, *, cache_dir=None, progress=False):
        self.calls.append((len(X), cache_dir, progress))
        images = np.asarray(X)
        scaled = images.astype(np.float32) / (255 if images.dtype == np.uint8 else 1)
        scaled = scaled.reshape(*scaled.shape[:3], -1)
        windows = np.lib.stride_tricks.sliding_window_view(scaled, (3, 3), axis=(1, 2))
        kernel, bias = self._weights(scaled.shape[-1])
        maps = np.einsum("nhwcab,abcd->nhwd", windows, kernel, optimize=True) + bias
        return np.maximum(maps, 0).mean(axis=(1, 2))

    def keras_model(self, input_shape, *, scaled=False):
        import keras
        from keras import layers

        inputs = x = keras.Input(input_shape)
        if not scaled:
            x = layers.Rescaling(1 / 255)(x)
        if len(input_shape) == 2:
            x = layers.Reshape((*input_shape, 1))(x)
        filters = layers.Conv2D(self.dim, 3, activation="relu", name="filters")
        model = keras.Model(inputs, layers.GlobalAveragePooling2D()(filters(x)))
        filters.set_weights(self._weights(x.shape[-1]))
        return model

    def _weights(self, channels):
        rng = np.random.default_rng(self.seed)
        kernel, bias = rng.normal(size=(3, 3, channels, self.dim)), rng.normal(size=self.dim)
        return kernel.astype(np.float32), bias.astype(np.float32)


class DeepFakeBackbone:
    """Three convolutions with batch normalization and dropout, nested as those of real ones are."""

    name, size, dim, fingerprint = "deep fake", 8, 6, "deep fake"

    def keras_model(self, input_shape, *, scaled=False):
        import keras
        from keras import layers

        inputs = keras.Input((8, 8, 1))
        x = layers.Rescaling(1 / 128, -1)(inputs)
        for width in (4, 5, 6):
            x = layers.Conv2D(width, 3, padding="same", name=f"convolution_{width}")(x)
            x = layers.BatchNormalization(name=f"norm_{width}")(x)
            x = layers.ReLU()(x)
            x = layers.Dropout(0.5)(x)
        body = keras.Model(inputs, layers.GlobalAveragePooling2D()(x), name="deep_fake")
        rng = np.random.default_rng(0)
        body.set_weights([rng.normal(0.5, 0.2, w.shape) for w in body.get_weights()])
        outer = keras.Input(input_shape)
        images = layers.Rescaling(255.0)(outer) if scaled else outer
        return keras.Model(outer, body(layers.Reshape((8, 8, 1))(images)))

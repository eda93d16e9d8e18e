"""New weights for a kept network: drawn from its initialisers, or by building it again."""

import keras
import numpy as np
import pytest
from keras import layers

from al_tf.network.initialization import arrays_of, initial_values

from .networks import build_small_cnn

pytestmark = pytest.mark.keras


def drawn(build, *seeds):
    draw = initial_values(build, build())
    return draw, [draw(seed) for seed in seeds]


def network(*hidden):
    model = keras.Sequential([keras.Input((6,)), *hidden, layers.Dense(3, activation="softmax")])
    model.compile("adam", "categorical_crossentropy")
    return model


def same(a, b):
    return [np.array_equal(x, y) for x, y in zip(a, b, strict=True)]


def test_values_follow_the_seed_alone():
    _, (a, b, c) = drawn(lambda: build_small_cnn((8, 8), 3, dropout=0.5), 0, 0, 1)
    assert all(same(a, b))
    assert not all(same(a, c))


def test_initialisers_give_the_distribution_that_building_gives():
    def build():
        return network(layers.Dense(400, kernel_initializer="he_normal"))

    draw, (values,) = drawn(build, 0)
    assert draw.__name__ == "from_initializers"
    for value, built in zip(values, arrays_of(build().variables), strict=True):
        assert value.shape == built.shape
        assert value.dtype == built.dtype
        np.testing.assert_allclose(value.std(), built.std(), rtol=0.1)


def test_batch_normalisation_starts_at_its_constants():
    draw, (values,) = drawn(lambda: network(layers.BatchNormalization()), 0)
    assert draw.__name__ == "from_initializers"
    gamma, beta, mean, variance = values[:4]
    assert (gamma == 1).all()
    assert (beta == 0).all()
    assert (mean == 0).all()
    assert (variance == 1).all()


def test_layers_inside_a_nested_model_are_found():
    def build():
        inner = keras.Sequential([keras.Input((6,)), layers.Dense(5), layers.Dropout(0.5)])
        return network(inner)

    draw, (a, b) = drawn(build, 0, 1)
    assert draw.__name__ == "from_initializers"
    assert not np.array_equal(a[0], b[0])


def test_a_seed_fixed_by_the_author_stays_fixed():
    fixed = keras.initializers.GlorotUniform(seed=7)
    _, (a, b) = drawn(lambda: network(layers.Dense(5, kernel_initializer=fixed)), 0, 1)
    assert np.array_equal(a[0], b[0])
    assert not np.array_equal(a[2], b[2])


def test_pretrained_weights_are_kept():
    pretrained = np.arange(30, dtype=np.float32).reshape(6, 5)

    def build():
        model = network(layers.Dense(5))
        model.layers[0].set_weights([pretrained, np.ones(5, np.float32)])
        return model

    draw, (a, b) = drawn(build, 0, 1)
    assert draw.__name__ == "from_initializers"
    assert np.array_equal(a[0], pretrained)
    assert (a[1] == 1).all()
    assert not np.array_equal(a[2], b[2])


def test_a_layer_with_initialisers_of_other_names_is_built_again():
    layer = layers.Reshape((6, 1)), layers.SeparableConv1D(4, 3), layers.Flatten()
    draw, (a, b, c) = drawn(
        lambda: network(*[type(x).from_config(x.get_config()) for x in layer]), 0, 0, 1
    )
    assert draw.__name__ == "from_building"
    assert all(same(a, b))
    assert not all(same(a, c))

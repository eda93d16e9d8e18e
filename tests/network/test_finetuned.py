"""Networks with a pretrained body: what training moves, what it leaves, and what starts anew."""

import keras
import numpy as np
import pytest

from al_tf import KerasImageClassifier, build_finetuned
from al_tf.errors import UnknownNameError
from al_tf.network.initialization import innermost_layers
from al_tf.network.model_files import load_network

from .fake_backbone import DeepFakeBackbone, FakeBackbone

pytestmark = pytest.mark.keras

BODY = DeepFakeBackbone()


def make(trainable="head", **changes):
    params = {"backbone": BODY, "trainable": trainable, "learning_rate": 1e-2} | changes
    return KerasImageClassifier(
        build_finetuned, model_params=params, epochs=2, batch_size=16, random_state=0
    )


def variables_of(classifier):
    """Return the fitted values by the layer and name of the variable."""
    model = classifier._engine().model
    layers = [layer for layer in innermost_layers(model) if layer.weights]
    names = {id(v): f"{layer.name}/{v.name}" for layer in layers for v in layer.weights}
    pairs = zip(model.variables, classifier._state.variables, strict=True)
    return {names[id(v)]: value for v, value in pairs if id(v) in names}


def pretrained():
    body = BODY.keras_model((8, 8))
    return {
        f"{x.name}/{v.name}": keras.ops.convert_to_numpy(v.value)
        for x in innermost_layers(body)
        for v in x.weights
    }


@pytest.mark.parametrize(
    ("trainable", "moved"),
    [
        ("head", set()),
        ("top", {"convolution_6"}),
        ("all", {"convolution_4", "convolution_5", "convolution_6"}),
    ],
)
def test_training_moves_what_it_should_and_never_batch_normalization(shapes_data, trainable, moved):
    X, y = shapes_data
    values = variables_of(make(trainable).fit(X[:60], y[:60]))
    changed = {
        name.split("/")[0] for name, value in pretrained().items() if (values[name] != value).any()
    }
    assert changed == moved


@pytest.mark.parametrize("trainable", ["head", "all"])
def test_every_fit_from_scratch_has_the_pretrained_body_and_a_new_head(shapes_data, trainable):
    X, y = shapes_data
    classifier = make(trainable).fit(X[:60], y[:60])
    draw = classifier._engine().fresh_state
    values, other = draw(1).variables, draw(2).variables
    model = classifier._engine().model
    position = {id(v): i for i, v in enumerate(model.variables)}
    kernel = position[id(model.layers[-1].kernel)]
    assert not np.array_equal(values[kernel], other[kernel])
    for variable, value in zip(body_weights(model), pretrained().values(), strict=True):
        np.testing.assert_array_equal(values[position[id(variable)]], value)


def body_weights(model):
    layers = [x for x in innermost_layers(model) if x.name.startswith(("convolution", "norm"))]
    return [v for layer in layers for v in layer.weights]


def test_features_are_those_of_the_body_in_training_and_in_sampling(shapes_data):
    X, y = shapes_data
    classifier = make("head").fit(X[:60], y[:60])
    network = BODY.keras_model((8, 8))
    expected = network.predict(X, verbose=0)
    np.testing.assert_allclose(classifier.transform(X), expected, atol=1e-4)


def test_uint8_and_images_in_0_to_1_mean_the_same(shapes_data):
    X, y = shapes_data
    classifier = make().fit(X[:60], y[:60])
    floats = make().fit(X[:60].astype(np.float32) / 255, y[:60])
    scaled = floats.predict_proba(X.astype(np.float32) / 255)
    np.testing.assert_allclose(classifier.predict_proba(X), scaled, atol=1e-5)
    np.testing.assert_allclose(classifier.to_keras().predict(X, verbose=0), scaled, atol=1e-5)


def test_sampling_drops_features_of_the_head_and_nothing_in_the_body(shapes_data):
    X, y = shapes_data
    classifier = make("head", dropout=0.5).fit(X[:60], y[:60])
    samples = classifier.sample_proba(X, 3, random_state=0)
    assert samples.std(axis=0).max() > 1e-3
    engine = classifier._engine()
    _, features = engine.forward(X[:16], sample=True)
    np.testing.assert_allclose(
        features[features != 0], 2 * classifier.transform(X[:16])[features != 0], rtol=1e-4
    )


def test_without_dropout_in_the_head_sampling_is_refused(shapes_data):
    X, y = shapes_data
    classifier = make("head", dropout=0.0, augment=True).fit(X[:60], y[:60])
    with pytest.raises(ValueError, match="needs a network with dropout"):
        classifier.sample_proba(X, 2)


def test_the_head_learns(shapes_data):
    X, y = shapes_data
    params = {"backbone": FakeBackbone(), "learning_rate": 3e-2, "dropout": 0.0}
    classifier = KerasImageClassifier(
        build_finetuned, model_params=params, epochs=60, random_state=0
    ).fit(X[:120], y[:120])
    assert classifier.score(X[120:], y[120:]) > 0.9


@pytest.mark.parametrize("trainable", ["head", "all"])
def test_exported_networks_predict_the_same_and_open_safely(shapes_data, tmp_path, trainable):
    X, y = shapes_data
    classifier = make(trainable, augment=True).fit(X[:60], y[:60])
    classifier.to_keras().save(tmp_path / "network.keras")
    proba = load_network(tmp_path / "network.keras").predict(X, verbose=0)
    np.testing.assert_allclose(proba, classifier.predict_proba(X), atol=1e-5)


def test_an_unknown_part_lists_the_known():
    with pytest.raises(UnknownNameError, match="'head', 'top', 'all'"):
        build_finetuned((8, 8), 2, backbone=BODY, trainable="tail")


def test_size_of_a_backbone_that_is_loaded_already():
    with pytest.raises(ValueError, match=r"Load it with load_backbone\(name, size=64\)"):
        build_finetuned((8, 8), 2, backbone=BODY, size=64)

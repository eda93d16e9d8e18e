"""Random changes of training images, and that prediction and sampling see none of them."""

import keras
import numpy as np
import pytest

from al_tf import KerasImageClassifier, build_cnn
from al_tf.errors import UnknownNameError
from al_tf.network.augmentation import AUGMENTATION, CHANGES, augmented

pytestmark = pytest.mark.keras

SMALL = {"filters": (4, 8), "dense": 8}


def changed(images, augment):
    inputs = keras.Input(images.shape[1:])
    model = keras.Model(inputs, augmented(inputs, augment))
    return np.asarray(model(images, training=True)), np.asarray(model(images, training=False))


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 1), (10, 8, 3)])
@pytest.mark.parametrize("augment", [True, *([change] for change in CHANGES)], ids=str)
def test_training_images_change_and_others_do_not(shape, augment):
    images = np.random.default_rng(0).random((16, *shape), dtype=np.float32)
    training, prediction = changed(images, augment)
    assert training.shape == images.shape
    assert training.min() >= 0
    assert training.max() <= 1
    assert (training != images).any()
    np.testing.assert_array_equal(prediction, images)


def test_flips_are_left_to_right():
    images = np.random.default_rng(0).random((40, 4, 6), dtype=np.float32)
    training, _ = changed(images, ["flip"])
    mirrored = (training == images[:, :, ::-1]).all(axis=(1, 2))
    same = (training == images).all(axis=(1, 2))
    assert (mirrored | same).all()
    assert 5 < mirrored.sum() < 35


def test_shifts_move_by_at_most_a_tenth():
    image = np.zeros((1, 40, 40), np.float32)
    image[0, 20, 20] = 1
    training, _ = changed(np.repeat(image, 30, axis=0), ["shift"])
    rows, columns = np.nonzero(training > 0.2)[1:]
    assert abs(rows - 20).max() <= 5
    assert abs(columns - 20).max() <= 5
    assert len(set(rows)) > 3


@pytest.mark.parametrize("none", [False, (), None])
def test_no_change_is_no_layer(none):
    inputs = keras.Input((8, 8))
    assert augmented(inputs, none) is inputs


def test_an_unknown_change_lists_the_known():
    with pytest.raises(UnknownNameError, match="'flip', 'shift', 'brightness'"):
        augmented(keras.Input((8, 8)), ["spin"])


class TestInAClassifier:
    def make(self, **params):
        return KerasImageClassifier(
            build_cnn, model_params=SMALL | params, epochs=3, batch_size=16, random_state=0
        )

    def test_predicts_as_the_same_weights_without_augmentation(self, shapes_data):
        X, y = shapes_data
        classifier = self.make(augment=True).fit(X[:60], y[:60])
        plain = self.make().fit(X[:60], y[:60])
        weights = [v for v in classifier._state.variables if v.dtype == np.float32]
        plain._state.variables[: len(weights)] = weights
        plain._engine().owner = None
        np.testing.assert_allclose(classifier.predict_proba(X), plain.predict_proba(X), atol=1e-5)

    def test_a_layer_at_the_front_has_the_name(self):
        model = build_cnn((8, 8), 2, augment=["flip"])
        assert model.layers[1].name == AUGMENTATION

    def test_changes_what_is_learned_and_repeats_under_one_seed(self, shapes_data):
        X, y = shapes_data
        plain, one, two = (
            self.make(augment=augment).fit(X[:60], y[:60]).predict_proba(X)
            for augment in (False, True, True)
        )
        assert abs(plain - one).max() > 1e-3
        np.testing.assert_array_equal(one, two)

    def test_samples_differ_by_dropout_alone(self, shapes_data):
        X, y = shapes_data
        none = self.make(augment=True).fit(X[:60], y[:60])
        with pytest.raises(ValueError, match="needs a network with dropout"):
            none.sample_proba(X)
        classifier = self.make(augment=True, dropout=0.5).fit(X[:60], y[:60])
        samples = classifier.sample_proba(X, 4, random_state=0)
        assert samples.std(axis=0).max() > 1e-3
        np.testing.assert_array_equal(samples, classifier.sample_proba(X, 4, random_state=0))

    def test_exported_networks_have_none(self, shapes_data):
        X, y = shapes_data
        classifier = self.make(augment=True).fit(X[:60], y[:60])
        network = classifier.to_keras()
        names = [layer.name for layer in network._flatten_layers()]
        assert AUGMENTATION not in names
        proba = network.predict(X, verbose=0)
        np.testing.assert_allclose(proba, classifier.predict_proba(X), atol=1e-5)

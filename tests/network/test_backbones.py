"""Images of any kind become features; what is no image is refused in one sentence."""

import copy
import pickle
import subprocess
import sys
from contextlib import contextmanager

import keras
import numpy as np
import pytest

from al_tf import list_backbones, load_backbone
from al_tf.errors import UnknownNameError
from al_tf.network import forward_pass
from al_tf.network.backbones import Backbone
from al_tf.network.model_files import load_network
from al_tf.network.pretrained import PretrainedNetwork

pytestmark = pytest.mark.keras


@pytest.fixture(scope="module")
def backbone():
    return load_backbone("efficientnet_lite0", size=32)


@pytest.fixture(scope="module")
def images():
    """Smooth colour images, uint8 (5, 40, 30, 3)."""
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 255, size=(5, 2, 2, 3))
    rows, columns = np.linspace(0, 1, 40), np.linspace(0, 1, 30)
    blend = (
        np.stack([1 - rows, rows], 1)[:, None, :, None]
        * np.stack([1 - columns, columns], 1)[:, None]
    )
    return np.einsum("rcab,nabk->nrck", blend, corners).astype(np.uint8)


def test_features_are_float32_of_the_announced_width(backbone, images):
    features = backbone.features(images)
    assert features.dtype == np.float32
    assert features.shape == (5, backbone.dim)
    assert backbone.features(images[:0]).shape == (0, backbone.dim)


def test_floats_give_the_features_of_the_same_uint8(backbone, images):
    expected = backbone.features(images)
    for dtype in (np.float32, np.float64):
        np.testing.assert_allclose(
            backbone.features(images / dtype(255)), expected, rtol=1e-4, atol=1e-4
        )


def test_grey_images_are_those_of_three_equal_channels(backbone, images):
    grey = images[..., 0]
    expected = backbone.features(np.repeat(grey[..., None], 3, axis=3))
    np.testing.assert_allclose(backbone.features(grey), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(backbone.features(grey[..., None]), expected, rtol=1e-4, atol=1e-4)


def test_transparency_is_laid_on_white(backbone, images):
    opacity = np.full((*images.shape[:3], 1), 255, np.uint8)
    opacity[:, :20] = 51
    opacity[:, :5] = 0
    a = opacity / 255
    on_white = images / 255 * a + 1 - a
    np.testing.assert_allclose(
        backbone.features(np.concatenate([images, opacity], axis=3)),
        backbone.features(on_white),
        rtol=1e-3,
        atol=1e-3,
    )


@pytest.mark.parametrize("shape", [(1, 1), (1, 1, 3), (3, 200), (4000, 3000, 3)])
def test_any_size_is_taken(backbone, shape):
    white, black = np.full((1, *shape), 255, np.uint8), np.zeros((1, *shape), np.uint8)
    np.testing.assert_allclose(
        backbone.features(white), backbone.features(np.ones((1, 8, 8))), rtol=1e-3, atol=1e-3
    )
    assert not np.allclose(backbone.features(white), backbone.features(black), atol=0.01)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((2, 9)), r"Expected images of shape .* got shape \(2, 9\)"),
        (np.zeros((2, 9, 9, 2)), r"got shape \(2, 9, 9, 2\)"),
        (np.zeros((9, 9, 3), np.uint8), r"looks like one image. Pass X\[np.newaxis\]"),
        (np.zeros((2, 0, 9)), "at least one pixel"),
        (np.zeros((2, 9, 9), np.uint16), r"got uint16. Convert 16-bit images with \(X // 257\)"),
        (np.zeros((2, 9, 9), int), "got int64"),
        (np.zeros((2, 9, 9), "U1"), "got <U1"),
        (np.full((2, 9, 9), 3.5), r"floats in \[0, 1\]; image 0 holds 3.5. Divide"),
        (np.full((2, 9, 9), -0.5), r"image 0 holds -0.5"),
        ([[[0.5]], [[np.nan]]], r"image 1 holds nan"),
        (np.full((1, 9, 9), np.inf), r"image 0 holds inf"),
    ],
)
def test_what_is_no_image_is_refused(backbone, X, message):
    with pytest.raises(ValueError, match=message):
        backbone.features(X, cache_dir=False)


class Source:
    """Images that can only be sliced, and that remember which slices were read."""

    def __init__(self, images):
        self._images, self.reads = images, []
        self.shape, self.dtype = images.shape, images.dtype

    def __len__(self):
        return len(self._images)

    def __getitem__(self, rows):
        self.reads.append((rows.start, rows.stop))
        return self._images[rows]


def test_a_lazy_source_is_read_once_in_slices(backbone, images, monkeypatch):
    monkeypatch.setattr("al_tf.network.backbones._MAX_PART", 2)
    source = Source(images)
    np.testing.assert_allclose(
        backbone.features(source, cache_dir=False), backbone.features(images), rtol=1e-4, atol=1e-4
    )
    assert source.reads == [(0, 2), (2, 4), (4, 5)]


def test_an_image_that_occurs_often_is_embedded_once(backbone, images, monkeypatch):
    monkeypatch.setattr("al_tf.network.backbones._PASS_PIXELS", 2 * 32 * 32)
    embedded = []
    forward = backbone._forward

    def counted(*key):
        function = forward(*key)
        return lambda pixels: embedded.append(len(pixels)) or function(pixels)

    monkeypatch.setattr(backbone, "_forward", counted)
    rows = [0, 1, 0, 0, 2, 1, 2, 0, 3]
    features = backbone.features(images[rows], cache_dir=False)
    assert sum(embedded) == 4
    np.testing.assert_array_equal(features[[2, 3, 7]], features[[0, 0, 0]])
    np.testing.assert_allclose(features, backbone.features(images)[rows], rtol=1e-4, atol=1e-4)


def test_features_that_are_kept_need_no_keras(backbone, images, tmp_path):
    backbone.features(images, cache_dir=tmp_path / "cache")
    np.save(tmp_path / "images.npy", images)
    code = (
        "import sys, numpy as np\n"
        "from al_tf import load_backbone\n"
        "images = np.load(sys.argv[1] + '/images.npy')\n"
        "backbone = load_backbone('efficientnet_lite0', size=32)\n"
        "features = backbone.features(images, cache_dir=sys.argv[1] + '/cache')\n"
        "print(features.shape, [m for m in ('keras', 'tensorflow', 'jax') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "(5, 1280) []"


def precision():
    """Return how float32 numbers are multiplied: what a GPU may do less exactly than a CPU."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.config.jax_default_matmul_precision
    import tensorflow as tf

    return tf.config.experimental.tensor_float_32_execution_enabled()


def test_features_are_computed_in_float32_proper_whatever_the_device(backbone, monkeypatch):
    before, within = precision(), []
    full_float32 = forward_pass.full_float32

    @contextmanager
    def spied():
        with full_float32():
            within.append(precision())
            yield

    monkeypatch.setattr(forward_pass, "full_float32", spied)
    backbone.features(np.full((3, 20, 20), 7, np.uint8), cache_dir=False)
    assert within == ["highest" if keras.backend.backend() == "jax" else False]
    assert precision() == before
    with pytest.raises(ZeroDivisionError), full_float32():
        _ = 1 / 0
    assert precision() == before


def test_fingerprints_tell_sizes_apart_and_nothing_else(backbone):
    again = pickle.loads(pickle.dumps(backbone))
    assert again.fingerprint == backbone.fingerprint
    assert load_backbone("efficientnet_lite0", size=40).fingerprint != backbone.fingerprint
    assert backbone.fingerprint == "e61eafc6553383d944ace4582e5713c8"


def test_a_backbone_is_loaded_once_and_copied_by_reference(backbone):
    assert load_backbone("efficientnet_lite0", size=32) is backbone
    assert copy.deepcopy(backbone) is backbone
    assert pickle.loads(pickle.dumps(backbone)) is backbone


@pytest.fixture(scope="module")
def small_backbone():
    def build(for_inference):
        x = inputs = keras.Input((16, 16, 3))
        x = keras.layers.Conv2D(4, 3, activation="tanh")(keras.layers.Rescaling(1 / 255)(x))
        network = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))
        network.set_weights(
            [np.random.default_rng(0).normal(size=w.shape) for w in network.weights]
        )
        return network

    return Backbone(PretrainedNetwork("small", 16, 4, "random", build))


@pytest.mark.parametrize("shape", [(40, 30, 3), (40, 30), (9, 30, 1), (40, 30, 4), (16, 16, 3)])
@pytest.mark.parametrize("scaled", [False, True])
def test_the_network_of_its_own_is_saved_without_custom_code(
    small_backbone, shape, scaled, tmp_path
):
    X = np.random.default_rng(1).integers(0, 256, size=(2, *shape)).astype(np.uint8)
    small_backbone.keras_model(shape, scaled=scaled).save(tmp_path / "backbone.keras")
    network = load_network(tmp_path / "backbone.keras")
    features = np.asarray(network(X.astype(np.float32) / (255 if scaled else 1), training=False))
    np.testing.assert_allclose(features, small_backbone.features(X, cache_dir=False), atol=1e-5)


def test_efficientnet_lite_is_saved_without_custom_code(backbone, images, tmp_path):
    backbone.keras_model(images.shape[1:]).save(tmp_path / "backbone.keras")
    network = load_network(tmp_path / "backbone.keras")
    features = np.asarray(network(images.astype(np.float32), training=False))
    np.testing.assert_allclose(features, backbone.features(images), rtol=1e-3, atol=1e-3)


def test_batch_normalization_is_trained_only_when_asked(backbone):
    def trainable_norms(model):
        layers = [layer for layer in model._flatten_layers() if not hasattr(layer, "layers")]
        norms = [x for x in layers if isinstance(x, keras.layers.BatchNormalization)]
        assert len(norms) == 49
        return sum(x.trainable for x in norms)

    assert trainable_norms(backbone.keras_model((32, 32, 3))) == 0
    assert trainable_norms(backbone.keras_model((32, 32, 3), train_batch_norm=True)) == 49


def test_training_a_network_of_its_own_leaves_the_backbone_alone(backbone, images):
    before = backbone.features(images, cache_dir=False)
    model = backbone.keras_model(images.shape[1:])
    for variable in model.trainable_variables:
        variable.assign(variable * 0)
    np.testing.assert_array_equal(backbone.features(images, cache_dir=False), before)


def test_a_global_policy_of_half_precision_changes_nothing(images, backbone):
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        features = backbone.keras_model(images.shape[1:])(images.astype(np.float32))
        np.testing.assert_allclose(features, backbone.features(images), rtol=1e-3, atol=1e-3)
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy(policy)


def test_unknown_names_and_sizes_are_refused_with_the_known_ones():
    assert "efficientnet_lite0" in list_backbones()
    with pytest.raises(
        UnknownNameError, match=r"Unknown backbone 'resnet9000'.*efficientnet_lite0"
    ):
        load_backbone("resnet9000")
    for size in (31, 64.0, "64"):
        with pytest.raises(ValueError, match="size must be a whole number of 32 pixels or more"):
            load_backbone("efficientnet_lite0", size=size)

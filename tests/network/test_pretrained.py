"""Networks of Keras Applications, KerasHub and one's own files become backbones.

None has its real weights here: architectures are made with random ones, and a server on this
machine stands for the place where Keras downloads from.
"""

import hashlib
import http.server
import sys
import threading
import types

import h5py
import keras
import numpy as np
import pytest
from keras import layers
from keras.src.legacy.saving import legacy_h5_format

from al_tf import KerasImageClassifier, list_backbones, load_backbone
from al_tf.errors import DataCorruptError, DataNotFoundError
from al_tf.network import applications, backbones
from al_tf.network.applications import APPLICATIONS
from al_tf.network.model_files import load_network

from .networks import build_small_cnn

pytestmark = pytest.mark.keras


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    monkeypatch.setattr(backbones, "_kept", type(backbones._kept)())


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, size=(3, 40, 36, 3), dtype=np.uint8)


# Keras Applications -------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "dim"), [("mobilenet_v3_small", 576), ("resnet50_v2", 2048)])
def test_an_application_with_random_weights_is_a_backbone(name, dim, images, monkeypatch, tmp_path):
    monkeypatch.setattr(applications, "_WEIGHTS", None)
    backbone = load_backbone(name, size=32)
    assert (backbone.name, backbone.size, backbone.dim) == (name, 32, dim)
    features = backbone.features(images, cache_dir=False)
    assert features.shape == (3, dim)
    assert np.isfinite(features).all()
    monkeypatch.setattr(applications, "_WEIGHTS", None)
    assert load_backbone(name, size=40).fingerprint != backbone.fingerprint


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "convnext_tiny"])
def test_a_saved_application_opens_without_custom_code(name, images, monkeypatch, tmp_path):
    monkeypatch.setattr(applications, "_WEIGHTS", None)
    monkeypatch.setattr(keras.applications, "ConvNeXtTiny", small_convnext)
    model = load_backbone(name, size=32).keras_model(images.shape[1:])
    model.save(tmp_path / "backbone.keras")
    features = np.asarray(load_network(tmp_path / "backbone.keras")(images.astype(np.float32)))
    np.testing.assert_allclose(features, np.asarray(model(images.astype(np.float32))), atol=1e-5)


def small_convnext(**options):
    from keras.src.applications.convnext import ConvNeXt

    return ConvNeXt(
        depths=[1, 1, 1, 1], projection_dims=[4, 4, 8, 8], weights_name="small", **options
    )


@pytest.mark.parametrize(
    ("mode", "module"), [("tf", "resnet_v2"), ("torch", "densenet"), ("caffe", "resnet")]
)
def test_preprocessing_layers_do_what_the_applications_do(mode, module, images):
    inputs = keras.Input((40, 36, 3))
    model = keras.Model(inputs, applications._preprocessed(inputs, mode))
    pixels = images.astype(np.float32)
    expected = getattr(keras.applications, module).preprocess_input(pixels.copy())
    np.testing.assert_allclose(np.asarray(model(pixels)), expected, atol=2e-4)
    assert not model.trainable_variables


def test_every_application_is_one_of_keras_with_the_preprocessing_of_its_module():
    for name, application in APPLICATIONS.items():
        function = getattr(keras.applications, application.function)
        source = sys.modules[function.__module__]
        pixels = np.full((1, 4, 4, 3), 200.0)
        unchanged = np.array_equal(source.preprocess_input(pixels.copy()), pixels)
        assert unchanged == (application.preprocessing == "inside"), name
        assert name in list_backbones()


def test_an_application_says_which_sizes_it_takes():
    with pytest.raises(ValueError, match="xception takes images of 71 pixels or more; got size=64"):
        load_backbone("xception", size=64)
    with pytest.raises(ValueError, match="square images"):
        load_backbone("resnet50", size=(64, 96))


@pytest.fixture
def download_server(tmp_path, monkeypatch):
    """A server for Keras' downloads; `files` maps what it serves, `asked` lists the requests."""
    server = types.SimpleNamespace(files={}, asked=[])

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            server.asked.append(self.path)
            content = server.files.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        module = sys.modules[keras.applications.MobileNetV3Small.__module__]
        url = f"http://127.0.0.1:{running.server_port}/"
        monkeypatch.setattr(module, "BASE_WEIGHT_PATH", url)
        monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path / "keras"))
        yield server
        running.shutdown()


@pytest.fixture
def served_weights(download_server, tmp_path, monkeypatch):
    """Random weights of MobileNetV3 small, served with their checksum; returns the network."""
    network = keras.applications.MobileNetV3Small(
        include_top=False, pooling="avg", weights=None, input_shape=(32, 32, 3)
    )
    name = "weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5"
    h5 = tmp_path / name
    with h5py.File(h5, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, network)
    content = h5.read_bytes()
    module = sys.modules[keras.applications.MobileNetV3Small.__module__]
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    hashes = dict.fromkeys(module.WEIGHTS_HASHES, (digest, digest))
    monkeypatch.setattr(module, "WEIGHTS_HASHES", hashes)
    download_server.files[f"/{name}"] = content
    return network


def test_weights_are_downloaded_once(download_server, served_weights, images):
    backbone = load_backbone("mobilenet_v3_small", size=32)
    model = backbone.keras_model((32, 32, 3))
    pixels = images[:, :32, :32].astype(np.float32)
    expected = np.asarray(served_weights(pixels, training=False))
    np.testing.assert_allclose(np.asarray(model(pixels, training=False)), expected, atol=1e-5)
    backbones._kept.clear()
    again = load_backbone("mobilenet_v3_small", size=32)
    assert again is not backbone
    assert again.fingerprint == backbone.fingerprint
    assert len(download_server.asked) == 1


@pytest.mark.parametrize("fault", ["missing", "altered", "no server"])
def test_weights_that_cannot_be_had_end_in_one_error_with_the_command(
    fault, download_server, served_weights, monkeypatch
):
    (path,) = download_server.files
    if fault == "missing":
        download_server.files.clear()
    elif fault == "altered":
        download_server.files[path] = b"x" + download_server.files[path][1:]
    else:
        module = sys.modules[keras.applications.MobileNetV3Small.__module__]
        monkeypatch.setattr(module, "BASE_WEIGHT_PATH", "http://127.0.0.1:9/")
    with pytest.raises(DataNotFoundError, match="al-tf data fetch backbone:mobilenet_v3_small"):
        load_backbone("mobilenet_v3_small", size=32)


# KerasHub -----------------------------------------------------------------------------------


def fake_keras_hub(body, **converter):
    options = {"image_size": None, "scale": None, "offset": None} | converter
    calls = []

    def from_preset(preset, **shape):
        if preset != "small":
            raise ValueError(f"no preset {preset}")
        calls.append(shape)
        return body(**shape)

    hub = types.ModuleType("keras_hub")
    hub.models = types.SimpleNamespace(Backbone=types.SimpleNamespace(from_preset=from_preset))
    convert = types.SimpleNamespace(**options)
    from_converter = lambda preset: from_preset(preset) and convert  # noqa: E731
    hub.layers = types.SimpleNamespace(
        ImageConverter=types.SimpleNamespace(from_preset=from_converter)
    )
    return hub


def small_body(kind):
    def body(image_shape=(48, 48, 3)):
        inputs = keras.Input(image_shape)
        x = layers.Conv2D(5, 16, strides=16)(inputs)
        if kind != "map":
            n = (image_shape[0] // 16) ** 2
            x = layers.Reshape((n, 5))(x)
        if kind == "class token":
            x = layers.ZeroPadding1D((1, 0))(x)
        return keras.Model(inputs, x)

    return body


@pytest.mark.parametrize("kind", ["map", "tokens", "class token"])
def test_a_preset_of_keras_hub_is_a_backbone(kind, images, monkeypatch):
    scale, offset = (0.1, 0.2, 0.3), (1.0, 2.0, 3.0)
    hub = fake_keras_hub(small_body(kind), image_size=(48, 48), scale=scale, offset=offset)
    monkeypatch.setitem(sys.modules, "keras_hub", hub)
    backbone = load_backbone("keras_hub:small")
    assert (backbone.size, backbone.dim) == (48, 5)
    features = backbone.features(images, cache_dir=False)
    if kind == "class token":
        assert (features == 0).all()  # the padding
        return
    convolution = next(x for x in backbone._body._flatten_layers() if "conv" in x.name)
    kernel, bias = convolution.get_weights()
    pixels = np.full((1, 16, 16, 3), 40.0) * scale + offset
    expected = np.einsum("nrcd,rcdk->nk", pixels, kernel) + bias
    flat = backbone.features(np.full((1, 7, 7), 40, np.uint8), cache_dir=False)
    np.testing.assert_allclose(flat, expected, rtol=1e-4, atol=1e-3)


def test_the_size_of_a_preset_can_be_chosen(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_hub", fake_keras_hub(small_body("map")))
    assert load_backbone("keras_hub:small", size=64).size == 64


def test_keras_hub_missing_and_presets_it_does_not_know(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(DataNotFoundError, match="pip install keras-hub"):
        load_backbone("keras_hub:small")
    monkeypatch.setitem(sys.modules, "keras_hub", fake_keras_hub(small_body("map")))
    with pytest.raises(DataNotFoundError, match=r"cannot load an image converter .*no preset big"):
        load_backbone("keras_hub:big")


# A file of one's own ------------------------------------------------------------------------


def saved(path, *stack, shape=(20, 20, 3)):
    model = keras.Sequential([keras.Input(shape), *stack])
    model.save(path)
    return model


def test_the_network_of_a_fitted_classifier_gives_its_features(shapes_data, tmp_path):
    X, y = shapes_data
    classifier = KerasImageClassifier(build_small_cnn, epochs=1, random_state=0).fit(X, y)
    for rescale in (True, False):
        path = tmp_path / f"{rescale}.keras"
        classifier.to_keras(rescale=rescale).save(path)
        backbone = load_backbone(str(path))
        assert (backbone.size, backbone.dim) == (8, 16)
        np.testing.assert_allclose(
            backbone.features(X, cache_dir=False), classifier.transform(X), atol=1e-4
        )


def test_a_headless_network_gives_its_output(tmp_path, images):
    model = saved(tmp_path / "a.keras", layers.Conv2D(4, 3), layers.GlobalAveragePooling2D())
    features = load_backbone(str(tmp_path / "a.keras")).features(images[:, :20, :20])
    expected = np.asarray(model(images[:, :20, :20] / np.float32(255)))
    np.testing.assert_allclose(features, expected, atol=1e-4)


def test_maps_are_averaged(tmp_path, images):
    model = saved(tmp_path / "a.keras", layers.Conv2D(4, 3))
    features = load_backbone(str(tmp_path / "a.keras")).features(images[:, :20, :20])
    expected = np.asarray(model(images[:, :20, :20] / np.float32(255))).mean(axis=(1, 2))
    np.testing.assert_allclose(features, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("first", "takes_pixels"),
    [
        (layers.Rescaling(1 / 255), True),
        (layers.Rescaling(1 / 127.5, -1), True),
        (layers.Rescaling(2.0, -1.0), False),
        (layers.Normalization(mean=[120.0, 115, 100], variance=[60.0**2] * 3), True),
        (layers.Normalization(mean=[0.48, 0.45, 0.4], variance=[0.05] * 3), False),
        (layers.Activation("linear"), False),
    ],
)
def test_a_network_that_scales_pixels_is_not_given_scaled_ones(
    first, takes_pixels, tmp_path, images
):
    model = saved(tmp_path / "a.keras", first, layers.GlobalAveragePooling2D(), layers.Dense(2))
    pixels = images[:, :20, :20].astype(np.float32) / (1 if takes_pixels else 255)
    expected = np.asarray(keras.Model(model.inputs[0], model.layers[1].output)(pixels))
    features = load_backbone(str(tmp_path / "a.keras")).features(images[:, :20, :20])
    np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-4)


def test_a_grey_network_sees_colours_in_grey(tmp_path, images):
    saved(tmp_path / "a.keras", layers.Reshape((20, 20, 1)), layers.Conv2D(3, 5), shape=(20, 20))
    backbone = load_backbone(str(tmp_path / "a.keras"))
    grey = (images[:, :20, :20] @ [0.299, 0.587, 0.114]) / 255
    np.testing.assert_allclose(
        backbone.features(images[:, :20, :20]), backbone.features(grey), atol=1e-4
    )


def test_a_network_for_any_size_needs_one(tmp_path, images):
    path = str(tmp_path / "a.keras")
    saved(path, layers.Conv2D(3, 5), layers.GlobalMaxPooling2D(), shape=(None, None, 3))
    with pytest.raises(ValueError, match="any size; say which by size="):
        load_backbone(path)
    assert load_backbone(path, size=(24, 16)).size == (24, 16)
    assert load_backbone(path, size=24).features(images).shape == (3, 3)


def test_files_that_are_no_image_network_are_refused(tmp_path):
    with pytest.raises(DataNotFoundError, match="no such model"):
        load_backbone(str(tmp_path / "nothing.keras"))
    (tmp_path / "text.keras").write_text("no model")
    with pytest.raises(DataCorruptError, match="expected a Keras model"):
        load_backbone(str(tmp_path / "text.keras"))
    saved(tmp_path / "flat.keras", layers.Dense(3), shape=(7,))
    with pytest.raises(DataCorruptError, match="expected a network that takes images"):
        load_backbone(str(tmp_path / "flat.keras"))
    saved(tmp_path / "fixed.keras", layers.Conv2D(3, 5))
    with pytest.raises(ValueError, match="images of 20 × 20 pixels only; got size=24"):
        load_backbone(str(tmp_path / "fixed.keras"), size=24)


def test_a_file_written_again_is_another_backbone(tmp_path, images):
    path = tmp_path / "a.keras"
    saved(path, layers.Conv2D(4, 3))
    before = load_backbone(str(path))
    assert load_backbone(str(path)) is before
    saved(path, layers.Conv2D(5, 3))
    after = load_backbone(str(path))
    assert after.fingerprint != before.fingerprint
    assert after.dim == 5

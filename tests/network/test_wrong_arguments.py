"""Arguments that cannot be meant: refused in a sentence that says what to give, by both classifiers."""

import subprocess
import sys
import warnings
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from al_tf import KerasImageClassifier, LinearProbeClassifier, build_finetuned, load_backbone
from al_tf.errors import DataCorruptError, DataNotFoundError, UnknownLabelError
from al_tf.network.feature_database import FeatureDatabase
from al_tf.network.inputs import plain_labels

from .fake_backbone import FakeBackbone
from .networks import build_small_cnn

pytestmark = pytest.mark.keras

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, size=(12, 8, 8), dtype=np.uint8)
Y = np.array(["a", "b"] * 6)


def probe(backbone=None, **parameters):
    return LinearProbeClassifier(backbone or FakeBackbone(), cache_dir=False, **parameters)


def cnn(**parameters):
    params = {"dropout": 0.25}
    return KerasImageClassifier(build_small_cnn, model_params=params, epochs=1, **parameters)


each_classifier = pytest.mark.parametrize("make", [probe, cnn])


class TestWeights:
    @each_classifier
    @pytest.mark.parametrize(
        ("weights", "error", "message"),
        [
            ({"a": -1}, ValueError, r"finite numbers of 0 or more; got -1 for 'a'"),
            ({"a": np.nan}, ValueError, r"finite numbers of 0 or more; got nan for 'a'"),
            ({"a": np.inf}, ValueError, r"finite numbers of 0 or more; got inf for 'a'"),
            ({"a": 1e39}, ValueError, r"finite numbers of 0 or more; got 1e\+39 for 'a'"),
            ({"b": "2"}, ValueError, r"finite numbers of 0 or more; got '2' for 'b'"),
            ({"a": 0, "b": 0}, ValueError, r"leave every image a weight of 0"),
            ([1, 2], TypeError, r"weight by label, such as \{'a': 2.0\}; got \[1, 2\]"),
            (3, TypeError, r"weight by label, such as \{'a': 2.0\}; got 3"),
        ],
    )
    def test_class_weights_that_are_none(self, make, weights, error, message):
        with pytest.raises(error, match=message):
            make(class_weight=weights).fit(X, Y)

    def test_both_weights_together_leave_nothing(self):
        with pytest.raises(ValueError, match=r"class_weight and sample_weight leave every image"):
            cnn(class_weight={"a": 0}).fit(X, Y, sample_weight=Y == "a")

    @pytest.mark.parametrize("weights", [np.ones(3), np.full(12, np.nan), -np.ones(12)])
    def test_sample_weights_that_are_none(self, weights):
        with pytest.raises(ValueError, match=r"sample_weight must"):
            cnn().fit(X, Y, sample_weight=weights)


class TestLabels:
    @each_classifier
    @pytest.mark.parametrize(
        ("labels", "message"),
        [
            (["a", float("nan")] * 6, r"y contains 6 missing labels .*first in row 1"),
            (["a", 1] * 6, r"y mixes text with int"),
            (("a", 1.5) * 6, r"y mixes text with float"),
            (pd.Series(["a", pd.NA] * 6, dtype="string"), r"y contains 6 missing labels"),
            (pd.Series([pd.NA, True] * 6, dtype="boolean"), r"y contains 6 missing labels"),
        ],
    )
    def test_missing_and_mixed_labels_do_not_become_text(self, make, labels, message):
        with pytest.raises(ValueError, match=message):
            make().fit(X, labels)

    @each_classifier
    def test_classes_of_two_types(self, make):
        with pytest.raises(ValueError, match=r"classes mixes text with int"):
            make(classes=["a", "b", 1]).fit(X, Y)

    @each_classifier
    def test_an_unknown_label_is_shown_with_its_type(self, make):
        with pytest.raises(UnknownLabelError, match=r"not among classes: \['b'\]"):
            make(classes=["a", "c"]).fit(X, Y)

    def test_lists_of_text_stay_as_they_are(self):
        assert plain_labels(["b", "a"]).tolist() == ["b", "a"]
        assert plain_labels([["a"], ["b"]]).shape == (2, 1)


class TestImages:
    @each_classifier
    @pytest.mark.parametrize(
        "files", ["folder", Path("folder"), ["a.png"] * 12, np.array(["a.png"] * 12), [Path("a")]]
    )
    def test_names_of_files(self, make, files):
        with pytest.raises(TypeError, match=r"LazyImageFolder\("):
            make().fit(files, Y)

    @each_classifier
    def test_images_of_several_shapes(self, make):
        with pytest.raises(ValueError, match=r"The images have 2 shapes .*Bring them to one"):
            make().fit([*X[:11], X[0, :4]], Y)

    def test_a_column_of_images_is_one_for_the_probe_too(self):
        frame = pd.DataFrame({"image": list(X)})
        expected = probe().fit(X, Y).predict_proba(X)
        assert np.array_equal(probe().fit(frame, Y).predict_proba(frame), expected)

    @pytest.mark.parametrize(
        ("pixel", "advice"),
        [
            (np.nan, r"image 1 holds nan\. Leave images with NaN"),
            (200, r"image 1 holds 200\.0\. Divide pixels in 0–255 by 255"),
            (-0.5, r"image 1 holds -0\.5\. Bring pixels to \[0, 1\]"),
        ],
    )
    def test_the_advice_is_about_the_pixel(self, pixel, advice):
        images = np.zeros((2, 4, 4))
        images[1, 2, 3] = pixel
        backbone = load_backbone("efficientnet_lite0", size=32)
        with pytest.raises(ValueError, match=advice):
            backbone.features(images, cache_dir=False)

    @pytest.mark.parametrize("shape", [8, (8,), (8, 8, 2), (None, None, 3), (0, 8, 3), "8x8"])
    def test_shapes_that_are_not_those_of_an_image(self, shape):
        backbone = load_backbone("efficientnet_lite0", size=32)
        with pytest.raises(ValueError, match=r"input_shape must be that of one image"):
            backbone.keras_model(shape)
        fitted = probe(backbone).fit(np.zeros((2, 1280)), ["a", "b"])
        with pytest.raises(ValueError, match=r"input_shape must be|needs the shape of one image"):
            fitted.to_keras(input_shape=shape)


@each_classifier
@pytest.mark.parametrize("n_samples", [0, -1, 2.5, "3", None])
def test_numbers_of_samples_that_are_none(make, n_samples):
    fitted = make().fit(X, Y)
    with pytest.raises(ValueError, match=r"n_samples must be a whole number of 1 or more; got"):
        fitted.sample_proba(X, n_samples)


class TestBackbones:
    @pytest.mark.parametrize("backbone", [3, ["efficientnet_lite0"], FakeBackbone])
    def test_what_is_none(self, backbone):
        with pytest.raises(TypeError, match=r"backbone must be a name of list_backbones\(\), the"):
            probe(backbone).fit(X, Y)
        with pytest.raises(TypeError, match=r"backbone must be a name of list_backbones\(\), the"):
            build_finetuned((8, 8), 2, backbone=backbone)

    def test_a_path_is_as_good_as_its_text(self, tmp_path):
        path = tmp_path / "own.keras"
        for classifier in (probe(path), probe(str(path))):
            with pytest.raises(DataNotFoundError, match=r"own\.keras: no such model"):
                classifier.fit(X, Y)
        build_small_cnn((8, 8), 2).save(path)
        assert load_backbone(path) is load_backbone(str(path))

    def test_an_integer_of_numpy_is_the_same_size(self):
        code = (
            "import numpy as np; from al_tf import load_backbone; "
            "print(load_backbone('efficientnet_lite0', size=np.int64(32)).fingerprint)"
        )  # a process of its own, where no equal size came first
        run = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        same = load_backbone("efficientnet_lite0", size=32)
        assert run.stdout.strip() == same.fingerprint

    @pytest.mark.parametrize("cache_dir", [3, True, "", ["folder"]])
    def test_caches_that_are_no_folder(self, cache_dir, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        backbone = load_backbone("efficientnet_lite0", size=32)
        with pytest.raises(TypeError, match=r"cache_dir must be a folder, None .* got"):
            backbone.features(X, cache_dir=cache_dir)
        assert not list(tmp_path.iterdir())


@each_classifier
@pytest.mark.parametrize("content", [b"", b"xx", b"no archive " * 99])
def test_a_file_of_another_kind_is_not_said_to_hold_a_pickle(make, content, tmp_path):
    path = tmp_path / "weights.npz"
    path.write_bytes(content)
    with pytest.raises(DataCorruptError, match=r"expected weights \(.npz\), found a file") as said:
        make().load_weights(path)
    assert "pickle" not in str(said.value)


def test_probabilities_of_features_as_large_as_float32_holds():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(20, 3)).astype(np.float32)
    fitted = LinearProbeClassifier(None).fit(features, features[:, 0] > 0)
    for size in (1e30, 3e38):
        large = np.sign(features) * np.float32(size)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", "invalid value encountered in reduce")  # their check
            proba, samples = fitted.predict_proba(large), fitted.sample_proba(large, random_state=0)
        for array in (proba, samples):
            assert array.dtype == np.float32
            np.testing.assert_allclose(array.sum(axis=-1), 1, rtol=1e-5)
        scores = large.astype(np.float64) @ fitted.coef_.T.astype(np.float64)
        assert (proba.argmax(axis=1) == scores.argmax(axis=1)).all()


def test_a_network_that_gives_nan_is_refused_and_nothing_of_it_is_kept(tmp_path):
    layers = [keras.layers.Flatten(), keras.layers.Dense(3), keras.layers.Dense(2)]
    network = keras.Sequential([keras.Input((8, 8)), *layers])
    network.set_weights([np.full_like(weights, np.nan) for weights in network.get_weights()])
    network.save(tmp_path / "own.keras")
    backbone = load_backbone(tmp_path / "own.keras")
    for _ in range(2):
        with pytest.raises(ValueError, match=r"gives NaN or infinite features, of image 0 for one"):
            backbone.features(X, cache_dir=tmp_path / "cache")
    with FeatureDatabase(tmp_path / "cache") as database:
        assert database.contents() == []

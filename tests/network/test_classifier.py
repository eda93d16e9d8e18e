"""What `KerasImageClassifier` promises, on tiny networks."""

import io
import pickle

import joblib
import numpy as np
import pytest
import scipy.special
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from al_tf import KerasImageClassifier
from al_tf.errors import DataCorruptError, UnknownLabelError, UnknownNameError
from al_tf.network.training import FitPlan

from .networks import build_mlp, build_small_cnn

pytestmark = pytest.mark.keras


def make(**changes):
    parameters = {"epochs": 8, "batch_size": 16, "random_state": 0} | changes
    return KerasImageClassifier(build_small_cnn, **parameters)


def weights_of(classifier):
    return classifier._state.variables


def same_weights(a, b):
    return all(np.array_equal(x, y) for x, y in zip(weights_of(a), weights_of(b), strict=True))


class TestLearning:
    def test_learns_easy_classes(self, shapes_data):
        X, y = shapes_data
        classifier = make(epochs=30).fit(X[:160], y[:160])
        assert classifier.score(X[160:], y[160:]) > 0.9
        assert classifier.history_["loss"][-1] < classifier.history_["loss"][0]

    def test_steps_follow_epochs_and_have_a_floor(self, shapes_data):
        X, y = shapes_data
        assert make(epochs=3).fit(X[:40], y[:40]).history_["steps"] == 8  # ceil(40 · 3 / 16)
        assert make(epochs=3, min_steps=20).fit(X[:40], y[:40]).history_["steps"] == 20

    def test_history_has_one_loss_per_pass(self, shapes_data):
        X, y = shapes_data
        history = make(epochs=5).fit(X[:64], y[:64]).history_
        assert len(history["loss"]) == 5
        assert history["n_samples"] == 64
        assert history["fit_mode"] == "scratch"

    @pytest.mark.parametrize("shape", [(8, 8), (8, 8, 1), (9, 7, 3), (1, 1), (64, 64, 3)])
    def test_takes_images_of_any_size(self, shape):
        X = np.random.default_rng(0).integers(0, 256, size=(20, *shape), dtype=np.uint8)
        proba = make(epochs=1).fit(X, np.arange(20) % 2).predict_proba(X)
        assert proba.shape == (20, 2)

    @pytest.mark.parametrize("shape", [(1, 1, 4), (3, 50), (512, 512, 3)])
    def test_build_cnn_takes_images_of_any_size(self, shape):
        X = np.random.default_rng(0).integers(0, 256, size=(6, *shape), dtype=np.uint8)
        classifier = KerasImageClassifier(
            model_params={"filters": (4, 4, 4), "dense": 8}, epochs=1, batch_size=2
        ).fit(X, np.arange(6) % 2)
        assert np.isfinite(classifier.predict_proba(X)).all()

    def test_large_images_go_through_in_small_batches(self, monkeypatch):
        X = np.zeros((20, 256, 512, 3), dtype=np.uint8)
        classifier = make(epochs=4, batch_size=2).fit(X, np.arange(20) % 2)
        engine, sizes, blocks = classifier._engine(), [], []
        forward, train = engine._forward, engine._train
        monkeypatch.setattr(engine, "_forward", lambda x, s: sizes.append(len(x)) or forward(x, s))
        monkeypatch.setattr(engine, "_train", lambda x, *a: blocks.append(x.shape) or train(x, *a))
        classifier.fit(X, np.arange(20) % 2).predict(X)
        assert sizes == [8, 8, 4]  # of 2**17 pixels each
        assert sum(shape[0] for shape in blocks) == 40
        assert max(4 * np.prod(shape) for shape in blocks) <= 2**28
        sizes.clear()
        classifier.set_params(predict_batch_size=16).predict(X)
        assert sizes == [16, 4]  # what is asked for is done

    def test_fifty_classes(self, shapes_data):
        X = shapes_data[0][:100]
        proba = make(epochs=1).fit(X, np.arange(100) % 50).predict_proba(X)
        assert proba.shape == (100, 50)
        np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-5)

    def test_balanced_class_weight_finds_the_rare_class(self, shapes_data):
        X, y = shapes_data
        rare = np.concatenate([np.flatnonzero(y == 0)[:60], np.flatnonzero(y == 1)[:4]])
        rest = np.setdiff1d(np.flatnonzero(y == 1), rare)
        plain = make(epochs=2).fit(X[rare], y[rare]).predict_proba(X[rest])[:, 1].mean()
        balanced = make(epochs=2, class_weight="balanced").fit(X[rare], y[rare])
        assert balanced.predict_proba(X[rest])[:, 1].mean() > plain

    def test_sparse_and_categorical_loss_train_the_same(self, shapes_data):
        X, y = shapes_data
        fitted = [
            KerasImageClassifier(build_mlp, model_params={"loss": loss}, epochs=3, random_state=0)
            .fit(X[:60], y[:60])
            .predict_proba(X)
            for loss in ("categorical_crossentropy", "sparse_categorical_crossentropy")
        ]
        np.testing.assert_allclose(*fitted, atol=1e-5)


def in_every_scale(X):
    unit = X / 255
    rng = np.random.default_rng(0)
    return {
        "uint8": X,
        "0-1": unit,
        "0-255": X.astype(np.float32),
        "standard": (unit - unit.mean()) / unit.std(),
        "noisy": unit + rng.normal(0, 0.1, unit.shape),
        "black": np.zeros_like(unit),
    }


class TestScaling:
    def test_uint8_is_scaled_and_floats_are_taken_as_they_are(self, shapes_data):
        X, y = shapes_data
        classifier = make().fit(X[:60], y[:60])
        scaled = classifier.predict_proba(X.astype(np.float32) / 255)
        np.testing.assert_allclose(classifier.predict_proba(X), scaled, atol=1e-6)

    @pytest.mark.parametrize(
        ("fitted", "given", "message"),
        [
            (
                "uint8",
                "0-255",
                r"fitted on uint8 images.*are numbers in 0–255.*Pass them as uint8, or divide",
            ),
            ("0-1", "0-255", r"fitted on numbers in \[0, 1\].*or divide them by 255"),
            (
                "uint8",
                "standard",
                r"fitted on uint8.*another range.*scale of the images of the fit",
            ),
            ("0-255", "uint8", r"fitted on numbers in 0–255.*Pass them as floats"),
            ("0-255", "0-1", r"fitted on numbers in 0–255.*Multiply them by 255"),
            ("standard", "uint8", r"fitted on another range, but these are uint8"),
        ],
    )
    @pytest.mark.parametrize("again", ["predict_proba", "sample_proba", "fit"])
    def test_images_of_another_scale_are_refused(self, shapes_data, fitted, given, message, again):
        X, y = shapes_data
        forms = in_every_scale(X)
        classifier = make(epochs=1, fit_mode="warm", model_params={"dropout": 0.5})
        classifier.fit(forms[fitted][:60], y[:60])
        with pytest.raises(ValueError, match=message):
            getattr(classifier, again)(forms[given], *([y] if again == "fit" else []))
        assert classifier.predict_proba(forms[fitted]).shape == (len(X), 3)
        classifier.set_params(fit_mode="scratch").fit(forms[given][:60], y[:60])
        assert classifier.predict_proba(forms[given]).shape == (len(X), 3)

    @pytest.mark.parametrize(
        ("fitted", "given"),
        [
            ("uint8", "noisy"),
            ("0-1", "uint8"),
            ("0-1", "noisy"),
            ("uint8", "black"),
            ("0-255", "black"),
            ("standard", "0-1"),
            ("standard", "black"),
        ],
    )
    def test_images_that_may_be_of_the_same_scale_pass(self, shapes_data, fitted, given):
        X, y = shapes_data
        forms = in_every_scale(X)
        classifier = make(epochs=1).fit(forms[fitted][:60], y[:60])
        assert np.isfinite(classifier.predict_proba(forms[given])).all()

    def test_rows_of_numbers_are_not_held_to_a_range(self, shapes_data):
        flat, y = shapes_data[0].reshape(240, -1), shapes_data[1]
        classifier = KerasImageClassifier(build_mlp, epochs=1).fit(flat / 255, y)
        assert classifier.predict_proba(flat.astype(float)).shape == (240, 3)
        classifier.fit(flat.astype(float), y)
        with pytest.raises(ValueError, match="these are uint8 images"):
            classifier.predict_proba(flat)

    def test_the_scale_is_kept_with_the_weights(self, shapes_data, tmp_path):
        X, y = shapes_data
        make(epochs=1).fit(X, y).save_weights(tmp_path / "weights.npz")
        loaded = make().load_weights(tmp_path / "weights.npz")
        with pytest.raises(ValueError, match="fitted on uint8 images"):
            loaded.predict(X.astype(float))

    def test_uint8_stays_uint8_until_the_network(self, shapes_data, monkeypatch):
        X, y = shapes_data
        classifier = make().fit(X[:60], y[:60])
        engine, seen = classifier._engine(), []
        original = engine._forward
        monkeypatch.setattr(
            engine, "_forward", lambda x, sample: seen.append(x.dtype) or original(x, sample)
        )
        classifier.predict(X)
        assert set(seen) == {np.dtype(np.uint8)}


class TestLabels:
    def test_strings_integers_and_one_hot_mean_the_same(self, shapes_data):
        X, y = shapes_data
        names = np.array(["bar", "pole", "square"])
        by_int = make().fit(X[:60], y[:60])
        by_name = make().fit(X[:60], names[y[:60]])
        one_hot = make().fit(X[:60], np.eye(3)[y[:60]])
        assert same_weights(by_int, by_name)
        assert same_weights(by_int, one_hot)
        assert set(by_name.predict(X)) <= set(names)
        assert one_hot.predict(X).ndim == 1
        assert one_hot.score(X, np.eye(3)[y]) == by_int.score(X, y)

    def test_a_class_absent_from_y_has_its_column(self, shapes_data):
        X, y = shapes_data
        two = y < 2
        classifier = make(classes=[2, 1, 0]).fit(X[two], y[two])
        assert classifier.classes_.tolist() == [2, 1, 0]
        assert classifier.predict_proba(X).shape == (len(X), 3)
        assert set(classifier.predict(X[two])) <= {0, 1}

    def test_a_labeled_set_of_one_class_trains(self, shapes_data):
        X, y = shapes_data
        classifier = make(classes=range(3)).fit(X[y == 1], y[y == 1])
        assert set(classifier.predict(X[y == 1])) == {1}

    def test_predict_returns_the_most_probable_label(self, shapes_data):
        X, y = shapes_data
        classifier = make(classes=[2, 0, 1]).fit(X[:60], y[:60])
        expected = classifier.classes_[classifier.predict_proba(X).argmax(axis=1)]
        assert np.array_equal(classifier.predict(X), expected)


class TestFeatures:
    def test_one_forward_pass_gives_probabilities_and_features(self, shapes_data, monkeypatch):
        X, y = shapes_data
        classifier = make().fit(X[:60], y[:60])
        engine, images = classifier._engine(), []
        original = engine.forward
        monkeypatch.setattr(
            engine, "forward", lambda x, **k: images.append(len(x)) or original(x, **k)
        )
        proba, features = classifier.predict_with_features(X)
        assert sum(images) == len(X)
        assert features.shape == (len(X), 16)
        assert features.dtype == np.float32
        assert np.array_equal(proba, classifier.predict_proba(X))
        assert np.array_equal(features, classifier.transform(X))

    def test_features_can_be_the_flattened_maps(self, shapes_data):
        X, y = shapes_data
        params = {"filters": (4, 4, 8), "dense": 16, "features": "flatten"}
        classifier = KerasImageClassifier(model_params=params, epochs=1, random_state=0).fit(X, y)
        proba, found = classifier.predict_with_features(X[:20])
        *_, w1, b1, w2, b2 = weights_of(classifier)
        assert found.shape == (20, len(w1))
        scores = np.maximum(found @ w1 + b1, 0) @ w2 + b2
        np.testing.assert_allclose(scipy.special.softmax(scores, axis=1), proba, atol=1e-5)

    def test_the_head_on_the_features_gives_the_probabilities(self, shapes_data):
        X, y = shapes_data
        classifier = make().fit(X[:60], y[:60])
        proba, features = classifier.predict_with_features(X)
        kernel, bias = weights_of(classifier)[-2:]
        logits = features @ kernel + bias
        expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(proba, expected, atol=1e-5)

    def test_pools_of_any_size_are_scored_in_few_shapes(self, shapes_data, monkeypatch):
        X, y = shapes_data
        classifier = make(predict_batch_size=48).fit(X[:60], y[:60])
        whole = classifier.predict_proba(X)
        engine, shapes = classifier._engine(), set()
        forward = engine._forward
        monkeypatch.setattr(
            engine, "_forward", lambda x, sample: shapes.add(len(x)) or forward(x, sample)
        )
        for n in (*range(1, 60), len(X)):
            np.testing.assert_allclose(classifier.predict_proba(X[:n]), whole[:n], atol=1e-6)
        assert shapes <= {1, 2, 4, 8, 16, 32, 48}

    def test_batch_size_of_prediction_does_not_matter(self, shapes_data):
        X, y = shapes_data
        classifier = make().fit(X[:60], y[:60])
        whole = classifier.predict_proba(X)
        classifier.set_params(predict_batch_size=7)
        np.testing.assert_allclose(classifier.predict_proba(X), whole, atol=1e-6)


class TestKeptEngine:
    def test_ten_fits_of_ten_sizes_trace_the_training_step_once(self, shapes_data):
        X, y = shapes_data
        make_fresh = make(model_params={"dropout": 0.125})  # an architecture of this test alone
        for n in range(31, 231, 20):
            classifier = clone(make_fresh).fit(X[:n], y[:n])
            classifier.predict_proba(X[:n])
        traces = classifier._engine().traces
        assert traces["train"] == 1

    def test_clones_share_the_engine_and_keep_their_own_weights(self, shapes_data):
        X, y = shapes_data
        a = make().fit(X[:60], y[:60])
        before = a.predict_proba(X)
        b = clone(a).set_params(random_state=1).fit(X[60:120], y[60:120])
        assert a._engine() is b._engine()
        assert not np.allclose(b.predict_proba(X), before)
        assert np.array_equal(a.predict_proba(X), before)

    def test_same_seed_same_weights_bit_for_bit(self, shapes_data):
        X, y = shapes_data
        a = make(model_params={"dropout": 0.25}).fit(X[:100], y[:100])
        make(random_state=5, model_params={"dropout": 0.25}).fit(X[:70], y[:70])
        b = make(model_params={"dropout": 0.25}).fit(X[:100], y[:100])
        assert same_weights(a, b)

    def test_other_seed_other_weights(self, shapes_data):
        X, y = shapes_data
        assert not same_weights(make().fit(X, y), make(random_state=1).fit(X, y))

    def test_global_generators_are_left_alone(self, shapes_data):
        import random

        X, y = shapes_data
        before = random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
        make().fit(X[:40], y[:40]).predict(X)
        assert random.getstate() == before[0]
        assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002

    def test_a_fit_that_fails_leaves_the_classifier_as_it_was(self, shapes_data):
        X, y = shapes_data
        classifier = make(classes=range(3)).fit(X[:60], y[:60])
        before = classifier.predict_proba(X)
        with pytest.raises(UnknownLabelError):
            classifier.fit(X[:60, :4], y[:60] + 5)
        assert np.array_equal(classifier.predict_proba(X), before)

    def test_an_interrupted_fit_leaves_the_classifier_as_it_was(self, shapes_data, monkeypatch):
        X, y = shapes_data
        classifier = make().fit(X[:60], y[:60])
        before = classifier.predict_proba(X)
        engine, original = classifier._engine(), classifier._engine().train

        def interrupted(*args):
            original(*args)
            raise KeyboardInterrupt

        monkeypatch.setattr(engine, "train", interrupted)
        with pytest.raises(KeyboardInterrupt):
            classifier.fit(X, y)
        assert np.array_equal(classifier.predict_proba(X), before)


class TestFitModes:
    def test_warm_goes_on_from_the_last_fit(self, shapes_data):
        X, y = shapes_data
        classifier = make(fit_mode="warm", epochs=4)
        losses = [classifier.fit(X[:120], y[:120]).history_["loss"] for _ in range(3)]
        assert losses[1][0] < losses[0][0]
        assert losses[2][-1] < losses[0][-1]

    def test_first_warm_fit_equals_scratch(self, shapes_data):
        X, y = shapes_data
        assert same_weights(make(fit_mode="warm").fit(X, y), make().fit(X, y))

    def test_shrink_perturb_lies_between_warm_and_scratch(self, shapes_data):
        X, y = shapes_data
        first = {}
        for mode in ("scratch", "warm", "shrink_perturb"):
            classifier = make(fit_mode=mode, epochs=20).fit(X[:150], y[:150])
            first[mode] = classifier.fit(X[:150], y[:150]).history_["loss"][0]
        assert first["warm"] < first["shrink_perturb"] < first["scratch"]

    def test_shrink_one_perturb_nothing_keeps_the_weights(self, shapes_data):
        X, y = shapes_data
        classifier = make(fit_mode="shrink_perturb", shrink=1.0, perturb=0.0).fit(X, y)
        state = classifier._prepared(X, y, None, FitPlan.of(classifier)).start
        for kept, now in zip(weights_of(classifier), state.variables, strict=True):
            assert np.array_equal(kept, now)

    def test_warm_weights_keeps_the_weights_and_starts_the_optimizer_anew(self, shapes_data):
        X, y = shapes_data
        classifier = make(fit_mode="warm_weights").fit(X, y)
        state = classifier._prepared(X, y, None, FitPlan.of(classifier)).start
        for kept, now in zip(weights_of(classifier), state.variables, strict=True):
            assert np.array_equal(kept, now)
        fresh = classifier._engine().fresh_state(0)
        assert len(state.optimizer) == len(fresh.optimizer) > 0
        for used, new, now in zip(
            classifier._state.optimizer, fresh.optimizer, state.optimizer, strict=True
        ):
            assert np.array_equal(new, now)
            assert used.size == 1 or not np.array_equal(used, now)

    def test_warm_refuses_other_classes(self, shapes_data):
        X, y = shapes_data
        classifier = make(fit_mode="warm").fit(X[y < 2], y[y < 2])
        with pytest.raises(ValueError, match="Fix classes=… up front"):
            classifier.fit(X, y)

    def test_unknown_mode_lists_the_known(self, shapes_data):
        with pytest.raises(UnknownNameError, match="'warm', 'warm_weights', 'shrink_perturb'"):
            make(fit_mode="cold").fit(*shapes_data)


class TestSampling:
    def test_samples_differ_and_repeat_under_one_seed(self, shapes_data):
        X, y = shapes_data
        classifier = make(model_params={"dropout": 0.5}).fit(X[:60], y[:60])
        before = classifier.predict_proba(X)
        samples = classifier.sample_proba(X, 4, random_state=0)
        assert samples.shape == (4, len(X), 3)
        assert samples.std(axis=0).max() > 0.01
        assert np.array_equal(samples, classifier.sample_proba(X, 4, random_state=0))
        assert not np.array_equal(samples, classifier.sample_proba(X, 4, random_state=1))
        assert np.array_equal(classifier.predict_proba(X), before)

    def test_without_dropout_is_an_error_that_says_so(self, shapes_data):
        X, y = shapes_data
        with pytest.raises(ValueError, match="needs a network with dropout"):
            make().fit(X, y).sample_proba(X)


class Streamed:
    """Images that exist only a batch at a time."""

    def __init__(self, X):
        self.X, self.shape, self.dtype = X, X.shape, X.dtype
        self.largest = 0

    def __len__(self):
        return len(self.X)

    def __getitem__(self, key):
        rows = self.X[key]
        self.largest = max(self.largest, len(rows))
        return rows


class TestStreaming:
    def test_a_streamed_source_trains_like_an_array(self, shapes_data):
        X, y = shapes_data
        source = Streamed(X)
        a = make(predict_batch_size=50).fit(source, y)
        b = make(predict_batch_size=50).fit(X, y)
        assert same_weights(a, b)
        source.largest = 0
        assert np.array_equal(a.predict_proba(source), b.predict_proba(X))
        assert source.largest == 50

    def test_a_memory_map_trains_like_an_array(self, shapes_data, tmp_path):
        X, y = shapes_data
        np.save(tmp_path / "X.npy", X)
        mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
        assert same_weights(make().fit(mapped, y), make().fit(X, y))

    @pytest.mark.parametrize("mode", ["r", "r+", "c"])
    def test_reading_a_memory_map_loses_no_change(self, shapes_data, tmp_path, mode):
        X, y = shapes_data
        np.save(tmp_path / "X.npy", X)
        mapped = np.load(tmp_path / "X.npy", mmap_mode=mode)
        classifier = make().fit(X, y)
        expected = X.copy()
        if mode != "r":
            mapped[3], expected[3] = 255, 255
        for part in (slice(None), slice(2, 100)):
            found = classifier.predict_proba(mapped[part])
            assert np.array_equal(found, classifier.predict_proba(expected[part]))
        assert np.array_equal(mapped, expected)

    def test_nan_in_a_stream_is_found(self, shapes_data):
        X, y = shapes_data
        classifier = make(predict_batch_size=100).fit(X, y)
        broken = X.astype(np.float32) / 255
        broken[130] = np.nan
        with pytest.raises(ValueError, match="1 images among rows 100 to 199"):
            classifier.predict(Streamed(broken))


class TestScikitLearnTools:
    def test_pickle_and_joblib_keep_predictions(self, shapes_data):
        X, y = shapes_data
        classifier = make().fit(X[:60], y[:60])
        buffer = io.BytesIO()
        joblib.dump(classifier, buffer)
        buffer.seek(0)
        for copy in (pickle.loads(pickle.dumps(classifier)), joblib.load(buffer)):
            assert np.array_equal(copy.predict_proba(X), classifier.predict_proba(X))

    def test_saved_weights_predict_and_go_on(self, shapes_data, tmp_path):
        X, y = shapes_data
        classifier = make(fit_mode="warm").fit(X[:60], y[:60])
        classifier.save_weights(tmp_path / "weights.npz")
        copy = make(fit_mode="warm").load_weights(tmp_path / "weights.npz")
        assert np.array_equal(copy.predict_proba(X), classifier.predict_proba(X))
        assert same_weights(copy.fit(X, y), classifier.fit(X, y))

    def test_weights_without_a_scale_are_read(self, shapes_data, tmp_path):
        X, y = shapes_data
        classifier = make(epochs=1).fit(X, y)
        classifier.save_weights(tmp_path / "new.npz")
        with np.load(tmp_path / "new.npz") as file:
            np.savez(tmp_path / "old.npz", **{k: file[k] for k in file.files if k != "scale"})
        loaded = make().load_weights(tmp_path / "old.npz")
        assert np.array_equal(loaded.predict_proba(X), classifier.predict_proba(X))

    @pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 and no more"])
    def test_files_that_hold_no_weights_are_refused(self, tmp_path, content):
        (tmp_path / "weights.npz").write_bytes(content)
        with pytest.raises(DataCorruptError, match=r"weights\.npz: expected weights"):
            make().load_weights(tmp_path / "weights.npz")

    def test_weights_of_another_architecture_are_refused(self, shapes_data, tmp_path):
        X, y = shapes_data
        make().fit(X, y).save_weights(tmp_path / "weights.npz")
        with pytest.raises(ValueError, match="another architecture"):
            KerasImageClassifier(build_mlp).load_weights(tmp_path / "weights.npz")

    def test_pipeline_ends_and_begins_with_it(self, shapes_data):
        X, y = shapes_data
        mlp = KerasImageClassifier(build_mlp, epochs=20, random_state=0)
        flat = X.reshape(len(X), -1).astype(float)
        assert make_pipeline(StandardScaler(), mlp).fit(flat, y).score(flat, y) > 0.8
        on_features = make_pipeline(make(epochs=20), LogisticRegression(max_iter=500))
        assert on_features.fit(X, y).score(X, y) > 0.8

    def test_grid_search(self, shapes_data):
        X, y = shapes_data
        search = GridSearchCV(make(min_steps=0), {"epochs": [1, 12]}, cv=2).fit(X, y)
        assert search.best_params_ == {"epochs": 12}


class TestBadInput:
    def test_predict_before_fit(self, shapes_data):
        with pytest.raises(NotFittedError):
            make().predict(shapes_data[0])

    def test_one_dimensional_images(self):
        with pytest.raises(ValueError, match=r"got shape \(5,\)"):
            make().fit(np.zeros(5), np.zeros(5))

    def test_nan_images(self, shapes_data):
        X, y = shapes_data
        X = X.astype(float)
        X[3, 2, 2] = np.nan
        with pytest.raises(ValueError, match="NaN"):
            make().fit(X, y)

    def test_lengths_that_differ(self, shapes_data):
        X, y = shapes_data
        with pytest.raises(ValueError, match="240 images, 239 labels"):
            make().fit(X, y[1:])

    def test_label_outside_classes_is_named(self, shapes_data):
        X, y = shapes_data
        with pytest.raises(UnknownLabelError, match=r"not among classes: \[2\]"):
            make(classes=[0, 1]).fit(X, y)

    def test_one_hot_of_the_wrong_width(self, shapes_data):
        X, y = shapes_data
        with pytest.raises(ValueError, match="must have 4 columns, one a class; got 3"):
            make(classes=range(4)).fit(X, np.eye(3)[y])

    def test_rows_that_are_not_one_hot(self, shapes_data):
        X, _ = shapes_data
        with pytest.raises(ValueError, match="a single 1 in each row"):
            make().fit(X, np.full((len(X), 3), 1 / 3))

    def test_nan_labels(self, shapes_data):
        X, y = shapes_data
        with pytest.raises(ValueError, match="NaN or infinity in 240 labels"):
            make().fit(X, np.full(len(y), np.nan))

    def test_repeated_classes(self, shapes_data):
        with pytest.raises(ValueError, match="distinct labels"):
            make(classes=[0, 1, 1]).fit(*shapes_data)

    def test_no_images(self):
        with pytest.raises(ValueError, match="X holds no images"):
            make().fit(np.zeros((0, 8, 8), np.uint8), [])

    def test_images_of_another_shape(self, shapes_data):
        X, y = shapes_data
        classifier = make().fit(X, y)
        with pytest.raises(ValueError, match=r"shape \(8, 8\); got \(8, 4\)"):
            classifier.predict(X[:, :, :4])

    @pytest.mark.parametrize("name", ["epochs", "batch_size", "predict_batch_size"])
    def test_counts_must_be_positive(self, shapes_data, name):
        with pytest.raises(ValueError, match=f"{name} must be an integer of 1 or more; got 0"):
            make(**{name: 0}).fit(*shapes_data)

    @pytest.mark.parametrize("size", [0, -3, 2.5])
    def test_a_batch_size_set_after_the_fit_is_checked_too(self, shapes_data, size):
        classifier = make(epochs=1).fit(*shapes_data).set_params(predict_batch_size=size)
        with pytest.raises(ValueError, match="predict_batch_size must be an integer of 1 or more"):
            classifier.predict(shapes_data[0])

    def test_divergence_is_reported(self, shapes_data):
        X, y = shapes_data
        infinite = {"learning_rate": float("inf")}
        with pytest.raises(ValueError, match="Training diverged: the loss became nan"):
            KerasImageClassifier(build_mlp, model_params=infinite).fit(X, y)

    def test_unknown_class_weight(self, shapes_data):
        with pytest.raises(UnknownLabelError, match=r"\['cat'\]"):
            make(class_weight={"cat": 2.0}).fit(*shapes_data)


def not_compiled(input_shape, n_classes):
    import keras

    return keras.Sequential([keras.Input(input_shape), keras.layers.Dense(n_classes)])


def too_narrow(input_shape, n_classes):
    return build_small_cnn(input_shape, n_classes - 1)


def logits(input_shape, n_classes):
    import keras

    layers = [keras.Input(input_shape), keras.layers.Flatten(), keras.layers.Dense(n_classes)]
    model = keras.Sequential(layers)
    model.compile("adam", keras.losses.CategoricalCrossentropy(from_logits=True))
    return model


class TestModelFn:
    def test_not_compiled(self, shapes_data):
        with pytest.raises(TypeError, match="without an optimizer"):
            KerasImageClassifier(not_compiled).fit(*shapes_data)

    def test_wrong_width(self, shapes_data):
        with pytest.raises(ValueError, match="softmax over 3 classes"):
            KerasImageClassifier(too_narrow).fit(*shapes_data)

    def test_logits(self, shapes_data):
        X, y = shapes_data
        with pytest.raises(ValueError, match="must end in a softmax"):
            KerasImageClassifier(logits, epochs=1).fit(X, y).predict(X)

    def test_bfloat16_layers_learn_and_answer_in_float32(self, shapes_data):
        X, y = shapes_data
        classifier = make(model_params={"dtype": "mixed_bfloat16"}, epochs=30)
        proba, features = classifier.fit(X, y).predict_with_features(X)
        assert proba.dtype == features.dtype == np.float32
        np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-5)
        assert classifier.score(X, y) > 0.9


class TestToKeras:
    def test_predicts_the_same_from_uint8_images(self, shapes_data):
        X, y = shapes_data
        classifier = make(epochs=2).fit(X, y)
        network = classifier.to_keras()
        assert np.allclose(network.predict(X, verbose=0), classifier.predict_proba(X), atol=1e-5)

    def test_without_rescaling_takes_scaled_images(self, shapes_data):
        X, y = shapes_data
        classifier = make(epochs=2).fit(X / 255, y)
        network = classifier.to_keras(rescale=False)
        proba = network.predict(X / 255, verbose=0)
        assert np.allclose(proba, classifier.predict_proba(X / 255), atol=1e-5)

    def test_later_fits_do_not_change_it(self, shapes_data):
        X, y = shapes_data
        classifier = make(epochs=1).fit(X, y)
        network = classifier.to_keras()
        before = network.predict(X, verbose=0)
        classifier.fit(X, (y + 1) % 3)
        assert np.array_equal(network.predict(X, verbose=0), before)

    def test_needs_a_fit(self):
        with pytest.raises(NotFittedError):
            make().to_keras()

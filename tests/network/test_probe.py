"""What `LinearProbeClassifier` promises, on a tiny stand-in for a pretrained network."""

import io
import pickle

import joblib
import numpy as np
import pytest
import scipy.special
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from al_tf import ActiveLearner, Committee, LinearProbeClassifier, get_strategy
from al_tf.errors import StorageError, UnknownLabelError
from al_tf.network.linear_head import Standardization
from al_tf.network.model_files import load_network
from al_tf.strategies import BUILT_IN

from .fake_backbone import FakeBackbone

BACKBONE = FakeBackbone()


def make(**changes):
    return LinearProbeClassifier(**({"backbone": BACKBONE, "C": 1.0} | changes))


@pytest.fixture
def fitted(shapes_data):
    X, y = shapes_data
    return make().fit(X[:120], y[:120])


@parametrize_with_checks([LinearProbeClassifier(backbone=None)])  # no check is expected to fail
def test_estimator_check_on_features(estimator, check):
    check(estimator)


class TestLearning:
    def test_learns_easy_classes(self, shapes_data):
        X, y = shapes_data
        assert make().fit(X[:120], y[:120]).score(X[120:], y[120:]) > 0.95

    def test_same_as_scikit_learns_logistic_regression_on_standardized_features(
        self, shapes_data, fitted
    ):
        X, y = shapes_data
        features = BACKBONE.features(X)
        standardize = Standardization.of(features[:120]).apply
        peer = LogisticRegression(C=1.0, tol=1e-9, max_iter=5000)
        peer.fit(standardize(features[:120]), y[:120])
        expected = peer.predict_proba(standardize(features))
        np.testing.assert_allclose(fitted.predict_proba(X), expected, atol=1e-4)

    def test_a_fit_depends_on_the_labeled_set_alone(self, shapes_data, fitted):
        X, y = shapes_data
        other = make(random_state=7).fit(X[120:], y[120:]).fit(X[:120], y[:120])
        assert np.array_equal(other.coef_, fitted.coef_)
        assert np.array_equal(other.intercept_, fitted.intercept_)

    def test_history_says_what_the_fit_did(self, shapes_data, fitted):
        X, y = shapes_data
        proba = fitted.predict_proba(X[:120])[np.arange(120), y[:120]]
        assert fitted.history_["n_samples"] == 120
        assert fitted.history_["steps"] > 3
        assert fitted.history_["loss"] == pytest.approx([-np.log(proba).mean()], rel=1e-4)

    def test_the_penalty_is_stronger_for_a_smaller_c(self, shapes_data):
        sizes = [abs(make(C=C).fit(*shapes_data).coef_).sum() for C in (1e-3, 1e-1, 10)]
        assert sizes == sorted(sizes)

    def test_balanced_class_weight_favors_the_rare_class(self, shapes_data):
        X, y = shapes_data
        rows = np.concatenate([np.flatnonzero(y == 0)[:50], np.flatnonzero(y == 1)[:4]])
        plain = make(C=1e-3).fit(X[rows], y[rows]).predict_proba(X)[:, 1].mean()
        balanced = make(C=1e-3, class_weight="balanced").fit(X[rows], y[rows])
        by_hand = make(C=1e-3, class_weight={0: 54 / 100, 1: 54 / 8}).fit(X[rows], y[rows])
        assert balanced.predict_proba(X)[:, 1].mean() > plain + 0.1
        np.testing.assert_allclose(balanced.coef_, by_hand.coef_, atol=1e-5)

    @pytest.mark.parametrize("shape", [(8, 8), (4, 6, 1), (6, 8, 3)])
    def test_takes_grey_and_color(self, shape):
        X = np.random.default_rng(0).integers(0, 256, size=(20, *shape), dtype=np.uint8)
        classifier = make().fit(X, np.arange(20) % 2)
        assert classifier.input_shape_ == shape
        assert classifier.predict_proba(X).shape == (20, 2)


class TestLabels:
    def test_strings_integers_and_one_hot_mean_the_same(self, shapes_data):
        X, y = shapes_data
        names = np.array(["bar", "pole", "square"])
        by_int, by_name, one_hot = (make().fit(X, labels) for labels in (y, names[y], np.eye(3)[y]))
        assert np.array_equal(by_int.coef_, by_name.coef_)
        assert np.array_equal(by_int.coef_, one_hot.coef_)
        assert set(by_name.predict(X)) == set(names)
        assert one_hot.score(X, np.eye(3)[y]) == by_int.score(X, y)

    def test_a_class_absent_from_y_has_its_column_of_about_nothing(self, shapes_data):
        X, y = shapes_data
        classifier = make(classes=[2, 1, 0]).fit(X[y < 2], y[y < 2])
        proba = classifier.predict_proba(X)
        assert classifier.classes_.tolist() == [2, 1, 0]
        assert proba[:, 0].max() < 1e-12
        alone = make().fit(X[y < 2], y[y < 2]).predict_proba(X)
        np.testing.assert_allclose(proba[:, [2, 1]], alone, atol=1e-6)

    def test_a_labeled_set_of_one_class_is_all_of_it(self, shapes_data):
        X, y = shapes_data
        classifier = make(classes=range(3)).fit(X[y == 1], y[y == 1])
        assert set(classifier.predict(X)) == {1}
        certain = np.broadcast_to(np.eye(3)[1], (3, len(X), 3))
        np.testing.assert_allclose(classifier.sample_proba(X, 3), certain, atol=1e-12)

    def test_one_image_a_class_is_enough(self, shapes_data):
        X, y = shapes_data
        rows = np.unique(y, return_index=True)[1]
        assert make().fit(X[rows], y[rows]).score(X[rows], y[rows]) == 1

    def test_one_image_alone_is_enough(self, shapes_data):
        X, y = shapes_data
        proba = make(classes=range(3)).fit(X[:1], y[:1]).predict_proba(X)
        assert (proba.argmax(axis=1) == y[0]).all()


class TestFeatures:
    def test_the_head_on_the_features_gives_the_probabilities(self, shapes_data, fitted):
        X, _ = shapes_data
        proba, features = fitted.predict_with_features(X)
        scores = features @ fitted.coef_.T + fitted.intercept_
        assert proba.dtype == features.dtype == np.float32
        assert np.array_equal(fitted.transform(X), BACKBONE.features(X))
        np.testing.assert_allclose(proba, scipy.special.softmax(scores, axis=1), atol=1e-6)
        assert np.array_equal(proba, fitted.predict_proba(X))

    def test_images_are_embedded_once_for_both(self, shapes_data):
        X, y = shapes_data
        backbone = FakeBackbone()
        classifier = make(backbone=backbone, cache_dir="there", verbose=1).fit(X[:60], y[:60])
        classifier.predict_with_features(X)
        assert backbone.calls == [(60, "there", True), (240, "there", True)]

    def test_floats_in_0_to_1_are_as_good_as_uint8(self, shapes_data, fitted):
        X, _ = shapes_data
        scaled = X.astype(np.float32) / 255
        np.testing.assert_allclose(fitted.predict_proba(scaled), fitted.predict_proba(X), atol=1e-5)

    def test_features_in_the_place_of_images(self, shapes_data, fitted):
        X, y = shapes_data
        features = fitted.transform(X)
        on_features = make().fit(features[:120], y[:120])
        assert on_features.input_shape_ == (24,)
        assert on_features.n_features_in_ == 24
        assert np.array_equal(on_features.coef_, fitted.coef_)
        for given in (X, features):
            assert np.array_equal(on_features.predict_proba(given), fitted.predict_proba(given))
        assert not hasattr(on_features.fit(X, y), "n_features_in_")

    def test_backbone_none_takes_features_of_any_number(self, shapes_data):
        X, y = shapes_data
        flat = X.reshape(len(X), -1)
        assert make(backbone=None).fit(flat, y).score(flat, y) > 0.95


class TestSampling:
    def test_samples_differ_and_repeat_under_one_seed(self, shapes_data, fitted):
        X, _ = shapes_data
        before = fitted.predict_proba(X)
        samples = fitted.sample_proba(X, 4, random_state=0)
        assert samples.shape == (4, len(X), 3)
        assert samples.dtype == np.float32
        np.testing.assert_allclose(samples.sum(axis=2), 1, atol=1e-5)
        assert samples.std(axis=0).max() > 0.01
        assert np.array_equal(samples, fitted.sample_proba(X, 4, random_state=0))
        assert not np.array_equal(samples, fitted.sample_proba(X, 4, random_state=1))
        assert np.array_equal(fitted.predict_proba(X), before)

    def test_a_draw_is_one_classifier_for_all_images(self, shapes_data, fitted):
        X, _ = shapes_data
        samples = fitted.sample_proba(X, 3, random_state=0)
        part = fitted.sample_proba(X[100:140], 3, random_state=0)
        np.testing.assert_allclose(part, samples[:, 100:140], atol=1e-5)

    def test_draws_are_far_apart_where_there_are_no_labels(self, shapes_data):
        X, y = shapes_data
        sides = y != 2
        classifier = make(classes=range(3)).fit(X[sides][:60], y[sides][:60])
        spread = classifier.sample_proba(X, 200, random_state=0).std(axis=0).max(axis=1)
        assert spread[~sides].mean() > 2 * spread[sides].mean()

    def test_more_labels_bring_the_draws_together(self, shapes_data):
        X, y = shapes_data
        spread = [
            make().fit(X[:n], y[:n]).sample_proba(X, 50, random_state=0).std(axis=0).mean()
            for n in (12, 60, 240)
        ]
        assert spread == sorted(spread, reverse=True)

    def test_large_pools_are_scored_in_blocks(self, shapes_data, fitted, monkeypatch):
        X, _ = shapes_data
        whole = fitted.sample_proba(X, 5, random_state=0)
        monkeypatch.setattr("al_tf.network.laplace._SCORES", 100)
        np.testing.assert_allclose(fitted.sample_proba(X, 5, random_state=0), whole, atol=1e-5)


class TestState:
    def test_pickle_joblib_and_clone(self, shapes_data, fitted):
        X, y = shapes_data
        buffer = io.BytesIO()
        joblib.dump(fitted, buffer)
        buffer.seek(0)
        for copy in (pickle.loads(pickle.dumps(fitted)), joblib.load(buffer)):
            assert np.array_equal(copy.predict_proba(X), fitted.predict_proba(X))
        unfitted = clone(fitted)
        with pytest.raises(NotFittedError):
            unfitted.predict(X)
        assert np.array_equal(unfitted.fit(X[:120], y[:120]).coef_, fitted.coef_)

    @pytest.mark.parametrize("labels", ["int", "str", "object"])
    def test_saved_weights_predict_and_sample(self, shapes_data, tmp_path, labels):
        X, y = shapes_data
        names = np.array(["bar", "pole", "square"])
        y = {"int": y, "str": names[y], "object": names.astype(object)[y]}[labels]
        classifier = make(classes=None).fit(X[:60], y[:60])
        classifier.save_weights(tmp_path / "probe.npz")
        copy = make().load_weights(tmp_path / "probe.npz")
        assert np.array_equal(copy.predict(X), classifier.predict(X))
        assert np.array_equal(copy.predict_proba(X), classifier.predict_proba(X))
        assert np.array_equal(copy.sample_proba(X, 2, 0), classifier.sample_proba(X, 2, 0))
        assert copy.input_shape_ == (8, 8)
        assert [path.name for path in tmp_path.iterdir()] == ["probe.npz"]

    def test_weights_on_features_come_back(self, shapes_data, tmp_path):
        X, y = shapes_data
        flat = X.reshape(len(X), -1).astype(np.float32)
        classifier = make(backbone=None).fit(flat, y)
        classifier.save_weights(tmp_path / "probe.npz")
        copy = make(backbone=None).load_weights(tmp_path / "probe.npz")
        assert copy.n_features_in_ == 64
        assert np.array_equal(copy.predict_proba(flat), classifier.predict_proba(flat))

    def test_weights_of_another_backbone_are_refused(self, fitted, tmp_path):
        fitted.save_weights(tmp_path / "probe.npz")
        for other in (FakeBackbone(seed=1), FakeBackbone(size=16), None):
            with pytest.raises(ValueError, match="another backbone or input size"):
                make(backbone=other).load_weights(tmp_path / "probe.npz")

    def test_weights_of_another_classifier_are_refused(self, tmp_path):
        np.savez(tmp_path / "other.npz", classes=np.arange(2), variable_0=np.zeros(3))
        with pytest.raises(ValueError, match=r"it lacks C, backbone, codes, coef"):
            make().load_weights(tmp_path / "other.npz")

    @pytest.mark.parametrize("name", ["scale", "intercept", "codes"])
    def test_weights_that_lack_a_part_are_refused(self, fitted, tmp_path, name):
        fitted.save_weights(tmp_path / "whole.npz")
        with np.load(tmp_path / "whole.npz") as file:
            np.savez(tmp_path / "part.npz", **{key: file[key] for key in file.files if key != name})
        with pytest.raises(ValueError, match=f"it lacks {name}"):
            make().load_weights(tmp_path / "part.npz")

    def test_a_full_disk_keeps_the_old_file(self, fitted, tmp_path, monkeypatch):
        fitted.save_weights(tmp_path / "probe.npz")
        before = (tmp_path / "probe.npz").read_bytes()

        def full(*args, **kwargs):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(np, "savez", full)
        with pytest.raises(StorageError, match="the disk is full"):
            fitted.save_weights(tmp_path / "probe.npz")
        assert (tmp_path / "probe.npz").read_bytes() == before

    @pytest.mark.parametrize("broken", ["label", "interrupt"])
    def test_a_fit_that_fails_leaves_the_classifier_as_it_was(
        self, shapes_data, monkeypatch, broken
    ):
        X, y = shapes_data
        classifier = make(classes=range(3)).fit(X[:60], y[:60])
        before, state = classifier.predict_proba(X), dict(classifier.__dict__)
        error, labels = (UnknownLabelError, y + 5) if broken == "label" else (KeyboardInterrupt, y)
        if broken == "interrupt":

            def interrupted(*args):
                raise KeyboardInterrupt

            monkeypatch.setattr("al_tf.network.probe.fit_head", interrupted)
        with pytest.raises(error):
            classifier.fit(X.reshape(240, 4, 16), labels)
        assert classifier.__dict__ == state
        assert np.array_equal(classifier.predict_proba(X), before)


class TestScikitLearnTools:
    def test_grid_search_over_the_penalty(self, shapes_data):
        X, y = shapes_data
        search = GridSearchCV(make(), {"C": [1e-6, 1.0]}, cv=2).fit(X, y)
        assert search.best_params_ == {"C": 1.0}

    def test_calibration(self, shapes_data):
        X, y = shapes_data
        calibrated = CalibratedClassifierCV(make(), cv=2).fit(X[:120], y[:120])
        assert calibrated.score(X[120:], y[120:]) > 0.9

    def test_pipeline_begins_with_it(self, shapes_data):
        X, y = shapes_data
        pipeline = make_pipeline(make(), LogisticRegression(max_iter=500))
        assert pipeline.fit(X, y).score(X, y) > 0.9

    def test_pipeline_ends_with_it(self, shapes_data):
        X, y = shapes_data
        flat = X.reshape(len(X), -1)
        pipeline = make_pipeline(StandardScaler(), make(backbone=None))
        assert pipeline.fit(flat, y).score(flat, y) > 0.9


class TestBadInput:
    def test_predict_before_fit(self, shapes_data):
        for method in ("predict", "predict_proba", "transform", "sample_proba"):
            with pytest.raises(NotFittedError):
                getattr(make(), method)(shapes_data[0])
        with pytest.raises(NotFittedError):
            make().to_keras()

    @pytest.mark.parametrize("C", [0, -1, np.nan, np.inf, "1", None])
    def test_c_must_be_positive(self, shapes_data, C):
        with pytest.raises(ValueError, match="C must be a number of more than 0; got"):
            make(C=C).fit(*shapes_data)

    def test_flattened_images_are_not_taken_for_features(self, shapes_data):
        X, y = shapes_data
        with pytest.raises(ValueError, match="or 24 features an image as fake computes them"):
            make().fit(X.reshape(len(X), -1), y)

    def test_images_without_a_backbone(self, shapes_data):
        with pytest.raises(ValueError, match=r"takes features \(n, d\) and no images"):
            make(backbone=None).fit(*shapes_data)

    def test_images_of_another_shape(self, shapes_data, fitted):
        with pytest.raises(ValueError, match=r"shape \(8, 8\); got \(8, 4\)"):
            fitted.predict(shapes_data[0][:, :, :4])

    def test_another_backbone_after_the_fit(self, shapes_data, fitted):
        fitted.set_params(backbone=FakeBackbone(seed=1))
        with pytest.raises(ValueError, match="fitted on features of another backbone"):
            fitted.predict(shapes_data[0])

    def test_size_of_a_backbone_that_is_loaded_already(self, shapes_data):
        with pytest.raises(ValueError, match=r"Load it with load_backbone\(name, size=64\)"):
            make(size=64).fit(*shapes_data)
        make(size=8).fit(*shapes_data)

    def test_labels_are_checked_before_images_are_embedded(self, shapes_data):
        X, y = shapes_data
        backbone = FakeBackbone()
        with pytest.raises(UnknownLabelError, match=r"not among classes: \[2\]"):
            make(backbone=backbone, classes=[0, 1]).fit(X, y)
        with pytest.raises(ValueError, match="240 images, 239 labels"):
            make(backbone=backbone).fit(X, y[1:])
        assert backbone.calls == []

    def test_no_images(self):
        with pytest.raises(ValueError, match="X holds no images"):
            make().fit(np.zeros((0, 8, 8), np.uint8), [])

    @pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
    def test_features_that_are_not_finite(self, shapes_data, value):
        X, y = shapes_data
        flat = X.reshape(len(X), -1).astype(float)
        flat[3, 3] = value
        with pytest.raises(ValueError, match=r"NaN|infinity"):
            make(backbone=None).fit(flat, y)

    def test_unknown_class_weight(self, shapes_data):
        with pytest.raises(UnknownLabelError, match=r"\['cat'\]"):
            make(class_weight={"cat": 2.0}).fit(*shapes_data)


@pytest.mark.keras
class TestToKeras:
    @pytest.mark.parametrize("rescale", [True, False])
    def test_one_network_from_images_to_the_same_probabilities(
        self, shapes_data, fitted, tmp_path, rescale
    ):
        X, _ = shapes_data
        network = fitted.to_keras(rescale=rescale)
        network.save(tmp_path / "probe.keras")
        images = X if rescale else X / 255
        for model in (network, load_network(tmp_path / "probe.keras")):
            proba = model.predict(images, verbose=0)
            np.testing.assert_allclose(proba, fitted.predict_proba(X), atol=1e-5)

    def test_later_fits_do_not_change_it(self, shapes_data, fitted):
        X, y = shapes_data
        network = fitted.to_keras()
        before = network.predict(X, verbose=0)
        fitted.fit(X, (y + 1) % 3)
        assert np.array_equal(network.predict(X, verbose=0), before)

    def test_after_a_fit_on_features_it_needs_the_shape_of_an_image(self, shapes_data, fitted):
        X, y = shapes_data
        on_features = make().fit(fitted.transform(X), y)
        with pytest.raises(ValueError, match=r"Pass input_shape=\(height, width, channels\)"):
            on_features.to_keras()
        proba = on_features.to_keras(input_shape=(8, 8)).predict(X, verbose=0)
        np.testing.assert_allclose(proba, on_features.predict_proba(X), atol=1e-5)


class TestActiveLearning:
    @pytest.mark.parametrize("name", sorted(BUILT_IN))
    def test_every_strategy_runs_with_it(self, shapes_data, name):
        X, y = shapes_data
        strategy = get_strategy(name)
        small = name == "expected_error"  # fits a model for every image of the pool
        pool = X[60 : 90 if small else 240]
        if name in ("vote_entropy", "consensus_entropy", "max_disagreement"):
            members = [
                ActiveLearner(make(classes=range(3)), strategy, X[part], y[part])
                for part in (slice(30), slice(30, 60))
            ]
            learner = Committee(members, strategy)
        else:
            learner = ActiveLearner(make(classes=range(3)), strategy, X[:60], y[:60])
        first, images = learner.query(pool, n_instances=5, random_state=0)
        again, _ = learner.query(pool, n_instances=5, random_state=0)
        assert len(set(first.tolist())) == 5
        assert np.array_equal(first, again)
        learner.teach(images, y[60:][first])
        assert learner.query(pool, n_instances=2, random_state=0)[0].shape == (2,)

    def test_a_loop_on_features_chooses_the_same_images_as_one_on_images(self, shapes_data):
        X, y = shapes_data
        features = BACKBONE.features(X)
        chosen = []
        for given in (X, features):
            learner = ActiveLearner(make(), get_strategy("badge"), given[:30], y[:30])
            rounds = []
            for _ in range(3):
                rows, new = learner.query(given[30:], n_instances=4, random_state=0)
                learner.teach(new, y[30:][rows])
                rounds.append(rows.tolist())
            chosen.append(rounds)
        assert chosen[0] == chosen[1]

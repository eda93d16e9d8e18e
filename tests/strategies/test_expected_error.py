"""Expected error reduction: modAL's values, a stated cost, a refusal above a limit."""

from __future__ import annotations

import importlib
import logging
import warnings

import numpy as np
import pytest
from modAL.models import ActiveLearner as ModalLearner
from sklearn.linear_model import LogisticRegression

from al_tf.learner import ActiveLearner
from al_tf.strategies.expected_error import expected_error, expected_errors
from al_tf.strategies.testing import FakeClassifier, FakeLearner


@pytest.fixture
def modal_expected_error(monkeypatch):
    """Return modAL's function; its module still names ``np.float``, which numpy has removed."""
    monkeypatch.setattr(np, "float", float, raising=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # it compares strings by `is`
        return importlib.import_module("modAL.expected_error").expected_error_reduction


@pytest.fixture
def points():
    """A learner of two-dimensional points, and a pool of twelve."""
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(9, 2)), np.resize(["a", "b", "c"], 9)
    return ModalLearner(LogisticRegression(), X_training=X, y_training=y), rng.normal(size=(12, 2))


@pytest.mark.parametrize("loss", ["log", "binary"])
def test_picks_and_errors_are_modals(modal_expected_error, points, loss):
    learner, X = points
    expected, errors = modal_expected_error(learner, X, loss=loss, n_instances=5)
    best_first = np.argsort(errors)
    indices, scores = expected_error(learner, X, 5, loss=loss)
    assert indices.tolist() == expected[best_first].tolist()
    np.testing.assert_allclose(-scores, errors[best_first])


def test_the_cost_is_logged_before_the_first_fit(points, caplog):
    learner, X = points
    with caplog.at_level(logging.INFO, logger="al_tf"):
        expected_error(learner, X)
    assert "expected_error takes 36 fits (12 images × 3 classes)" in caplog.text


def test_the_number_of_fits_is_what_was_stated(labeled, pool):
    fits = []

    class Counted(FakeClassifier):
        def fit(self, X, y):
            fits.append((len(X), y[-1]))
            return super().fit(X, y)

    learner = FakeLearner(Counted(), *labeled)
    fits.clear()
    expected_error(learner, pool[:4])
    assert fits == [(10, label) for _ in range(4) for label in ("bag", "boot", "coat")]


def test_the_progress_bar_shows_the_cost(points, capsys, monkeypatch):
    monkeypatch.setattr("al_tf.progress.SECONDS_BETWEEN_LINES", 0.0)
    learner, X = points
    expected_error(learner, X, progress=True)
    assert "expected_error" in (shown := capsys.readouterr().err)
    assert "1/36" in shown
    expected_error(learner, X, progress=False)
    assert capsys.readouterr().err == ""


def test_too_many_fits_are_refused_unless_told(points):
    learner, X = points
    with pytest.raises(ValueError, match=r"takes 36 fits .* max_fits=30. Pass n_candidates=10 or"):
        expected_error(learner, X, max_fits=30)
    assert len(expected_error(learner, X, 3, max_fits=36)[0]) == 3
    assert len(expected_error(learner, X, 3, max_fits=30, n_candidates=10)[0]) == 3


def test_candidates_are_drawn_from_the_whole_pool(points):
    learner, X = points
    tried = {
        index
        for seed in range(12)
        for index in expected_error(learner, X, 3, n_candidates=3, random_state=seed)[0]
    }
    assert len(tried) > 8
    errors = expected_errors(learner, X, np.arange(12))
    indices, scores = expected_error(learner, X, 3, n_candidates=3, random_state=0)
    np.testing.assert_allclose(-scores, errors[indices])


@pytest.mark.parametrize("n_candidates", [2, 13])
def test_an_impossible_number_of_candidates_is_refused(points, n_candidates):
    learner, X = points
    with pytest.raises(ValueError, match=f"n_instances=3 and the pool's 12; got {n_candidates}"):
        expected_error(learner, X, 3, n_candidates=n_candidates)


def test_a_class_without_a_label_yet_is_tried_too(labeled, pool):
    images, y = labeled
    seen = y != "coat"
    learner = FakeLearner(FakeClassifier(["bag", "boot", "coat"]), images[seen], y[seen])
    with pytest.raises(ValueError, match="60 images × 3 classes"):
        expected_error(learner, pool, max_fits=1)


def test_one_hot_labels_stay_one_hot(labeled, pool):
    class OneHot(FakeClassifier):
        def fit(self, X, y):
            assert y.shape == (len(X), 3)
            assert y.dtype == np.int8
            return super().fit(X, np.asarray(y).argmax(axis=1))

    images, y = labeled
    codes = np.unique(y, return_inverse=True)[1]
    one_hot = FakeLearner(OneHot(), images, np.eye(3, dtype=np.int8)[codes])
    plain = FakeLearner(FakeClassifier(), images, codes)
    expected, _ = expected_error(plain, pool[:8], 3)
    assert expected_error(one_hot, pool[:8], 3)[0].tolist() == expected.tolist()


def test_an_estimator_that_names_no_classes_is_taken_to_know_those_of_the_labels(labeled, pool):
    class Nameless(FakeClassifier):
        def fit(self, X, y):
            super().fit(X, y)
            self.names_ = self.__dict__.pop("classes_")
            return self

    named, nameless = (FakeLearner(kind(), *labeled) for kind in (FakeClassifier, Nameless))
    expected, _ = expected_error(named, pool[:8], 3)
    assert expected_error(nameless, pool[:8], 3)[0].tolist() == expected.tolist()


def test_columns_that_are_not_the_classes_are_refused(points):
    learner, X = points
    learner.estimator.predict_proba = lambda X: np.full((len(X), 2), 0.5)
    with pytest.raises(ValueError, match="has 3 classes but predicts 2 probabilities"):
        expected_error(learner, X)


def test_no_candidate_is_drawn_twice(points):
    learner, X = points
    indices, _ = expected_error(learner, X, 11, n_candidates=11, random_state=0)
    assert len(set(indices)) == 11


def test_the_learners_fit_arguments_are_used(labeled, pool):
    seen = []

    class Weighted(FakeClassifier):
        def fit(self, X, y, epochs=1):
            seen.append(epochs)
            return super().fit(X, y)

    learner = ActiveLearner(Weighted(), expected_error, *labeled, epochs=7)
    seen.clear()
    learner.query(pool[:3])
    assert seen == [7] * 9


def test_a_pool_of_another_scale_than_the_labeled_images_is_refused():
    images = np.random.default_rng(0).integers(0, 256, (8, 4, 4), dtype=np.uint8)
    learner = FakeLearner(FakeClassifier(), images, np.arange(8) % 2)
    with pytest.raises(ValueError, match="two scales"):
        expected_error(learner, images / 255, n_candidates=1)


def test_a_bare_estimator_is_refused(points):
    learner, X = points
    with pytest.raises(TypeError, match="labeled set: pass a learner with X_training"):
        expected_error(learner.estimator, X)
    learner.y_training = None
    with pytest.raises(TypeError, match="pass a learner with X_training and y_training"):
        expected_error(learner, X)


def test_an_unknown_loss_is_refused(points):
    learner, X = points
    with pytest.raises(ValueError, match=r"Unknown loss 'hinge'.*'log', 'binary'"):
        expected_error(learner, X, loss="hinge")

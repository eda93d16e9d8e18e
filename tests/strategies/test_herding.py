"""MaxHerding and uncertainty herding against their definitions, and the rules of their parameters."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from al_tf.geometry import max_kernel_cover
from al_tf.strategies._calibration import (
    TEMPERATURES,
    calibrated_temperature,
    calibration_error,
    tempered,
)
from al_tf.strategies.max_herding import max_herding
from al_tf.strategies.testing import FakeClassifier, FakeLearner
from al_tf.strategies.uherding import labeled_distance, uherding
from al_tf.strategies.uncertainty import margin_score


def unit(rows):
    rows = rows.astype(np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def kernel(a, b, sigma):
    return np.exp(-((np.linalg.norm(a[:, None] - b[None], axis=2) / sigma) ** 2))


def best_gains(rows, labeled, weights, sigma, indices):
    """Yield what the chosen image adds to the coverage, and the most that any image adds."""
    between = kernel(rows, rows, sigma)
    covered = kernel(rows, labeled, sigma).max(axis=1)
    for row in indices:
        gains = (np.maximum(between - covered, 0) * weights).mean(axis=1)
        yield gains[row], gains.max()
        covered = np.maximum(covered, between[row])


@pytest.mark.parametrize("sigma", [0.1, 1.0])
def test_max_herding_takes_the_largest_gain_of_coverage(learner, pool, sigma):
    indices, scores = max_herding(learner, pool, 12, random_state=0, sigma=sigma)
    rows, labeled = (unit(learner.estimator.transform(X)) for X in (pool, learner.X_training))
    for score, (own, best) in zip(
        scores, best_gains(rows, labeled, 1.0, sigma, indices), strict=True
    ):
        assert score == pytest.approx(own, abs=1e-5)
        assert own == pytest.approx(best, abs=1e-5)


def test_max_herding_starts_without_a_model_or_a_label(pool):
    class Features:
        def transform(self, X):
            return np.asarray(X).reshape(len(X), -1)

    indices, scores = max_herding(Features(), pool, 5, random_state=0)
    assert len(set(indices)) == 5
    assert 0 < scores[0] <= 1


@pytest.mark.parametrize("n_targets", [1, 20, 59])
def test_max_herding_covers_a_sample_of_a_large_pool(learner, pool, n_targets, monkeypatch):
    asked = []

    def cover(rows, k, sigma, labeled, *, targets, **rest):
        asked.append(np.array(targets))
        return max_kernel_cover(rows, k, sigma, labeled, targets=targets, **rest)

    monkeypatch.setattr("al_tf.strategies.max_herding.max_kernel_cover", cover)
    indices, scores = max_herding(
        learner.estimator, pool, 10, random_state=0, max_targets=n_targets
    )
    assert len(set(indices)) == 10
    (targets,) = asked
    assert len(np.unique(targets, axis=0)) == len(targets) == n_targets
    rows = unit(learner.estimator.transform(pool))
    between = kernel(rows, targets, 1.0)
    assert np.isclose(between.max(axis=0), 1.0).all()  # each is an image of the pool
    covered = between[indices].max(axis=0).mean()
    assert scores.sum() == pytest.approx(covered, rel=1e-5)


def test_as_many_targets_as_images_are_all_of_them(learner, pool):
    for n_targets in (60, 61):
        answer = max_herding(learner, pool, 10, random_state=0, max_targets=n_targets)
        np.testing.assert_array_equal(answer, max_herding(learner, pool, 10, random_state=0))
    with pytest.raises(ValueError, match="max_targets must be 1 or more; got 0"):
        max_herding(learner, pool, 2, max_targets=0)


def test_uherding_takes_the_largest_gain_of_uncertainty_coverage(learner, pool):
    indices, scores = uherding(learner, pool, 12, random_state=0, temperature=2.0, sigma=0.3)
    rows, labeled = (unit(learner.estimator.transform(X)) for X in (pool, learner.X_training))
    proba = learner.predict_proba(pool).astype(np.float64) ** 0.5
    weights = margin_score(proba / proba.sum(axis=1, keepdims=True))
    for score, (own, best) in zip(
        scores, best_gains(rows, labeled, weights, 0.3, indices), strict=True
    ):
        assert score == pytest.approx(own, abs=1e-5)
        assert own == pytest.approx(best, abs=1e-5)


def test_uherding_with_a_tiny_bandwidth_is_margin_sampling(learner, pool):
    indices, _ = uherding(learner, pool, 8, temperature=1.0, sigma=1e-4)
    margins = margin_score(learner.predict_proba(pool).astype(np.float64))
    assert indices.tolist() == np.argsort(-margins)[:8].tolist()


def test_uherding_at_a_high_temperature_is_max_herding(learner, pool):
    warm, _ = uherding(learner, pool, 8, random_state=0, temperature=1e6, sigma=1.0)
    assert warm.tolist() == max_herding(learner, pool, 8, random_state=0)[0].tolist()


def test_the_bandwidth_is_the_smallest_distance_between_different_labeled_images():
    labeled = unit(np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))  # two are equal
    expected = np.linalg.norm(labeled[2] - labeled[3])
    assert labeled_distance(labeled) == pytest.approx(expected, rel=1e-6)
    for too_few in (None, labeled[:1], labeled[:2]):
        assert labeled_distance(too_few) == 1.0


def test_tempering_divides_the_logits():
    logits = np.random.default_rng(0).normal(size=(20, 4))
    softmax = lambda z: np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)  # noqa: E731
    np.testing.assert_allclose(tempered(softmax(logits), 3.0), softmax(logits / 3.0))
    np.testing.assert_allclose(tempered(np.array([[1.0, 0.0]]), 1e9), [[0.5, 0.5]], atol=1e-5)


def test_the_calibration_error_is_that_of_its_bins():
    proba = np.array([[0.9, 0.1], [0.91, 0.09], [0.55, 0.45], [0.0, 1.0]])
    correct = np.array([True, False, True, True])
    expected = (abs(1 - 1.81) + abs(1 - 0.55) + 0) / 4
    assert calibration_error(proba, correct) == pytest.approx(expected)


def test_the_temperature_has_the_least_error_on_the_held_out_labels():
    """Labels at random: whatever the model is confident of is wrong half the time."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200, 3)), rng.integers(0, 2, 200)
    learner = FakeLearner(LogisticRegression(C=1e4), X * 50, y)
    learner.X_training = X * 50
    temperature = calibrated_temperature(learner, 0)
    assert temperature > 1
    shuffled = np.random.default_rng(0).permutation(200)
    fitted, held_out = shuffled[40:], shuffled[:40]
    model = LogisticRegression(C=1e4).fit(learner.X_training[np.sort(fitted)], y[np.sort(fitted)])
    proba = model.predict_proba(learner.X_training[held_out])
    correct = model.predict(learner.X_training[held_out]) == y[held_out]
    errors = {t: calibration_error(tempered(proba, t), correct) for t in TEMPERATURES}
    assert errors[temperature] == min(errors.values())


def test_one_hot_labels_give_the_same_temperature(labeled, pool):
    class OneHot(FakeClassifier):
        def fit(self, X, y):
            return super().fit(X, np.asarray(self.classes)[np.argmax(y, axis=1)])

    images, y = labeled
    names = ["bag", "boot", "coat"]
    codes = (y[:, None] == np.array(names)).astype(float)
    plain = FakeLearner(FakeClassifier(names), images, y)
    one_hot = FakeLearner(OneHot(names), images, codes)
    assert calibrated_temperature(one_hot, 3) == calibrated_temperature(plain, 3)


@pytest.mark.parametrize("labels", [["bag", "boot"], ["bag"] * 9])
def test_too_few_labels_leave_the_temperature_at_one(labels, pool):
    learner = FakeLearner(FakeClassifier(), pool[: len(labels)], np.array(labels))
    assert calibrated_temperature(learner, 0) == 1.0


def test_an_estimator_without_labels_is_taken_at_its_word(learner, pool):
    assert calibrated_temperature(learner.estimator) == 1.0


def test_the_learner_is_not_refitted(learner, pool):
    before = learner.estimator.centres_.copy()
    uherding(learner, pool, 3, random_state=0)
    np.testing.assert_array_equal(learner.estimator.centres_, before)


@pytest.mark.parametrize("temperature", [0, -1.0, np.nan])
def test_a_temperature_is_a_positive_number(learner, pool, temperature):
    with pytest.raises(ValueError, match="temperature must be a positive number"):
        uherding(learner, pool, 2, temperature=temperature)


@pytest.mark.parametrize("options", [{}, {"sigma": 0.3}, {"max_targets": 20}])
def test_uherding_without_a_model_is_max_herding(pool, options):
    class Features:
        def transform(self, X):
            return np.asarray(X).reshape(len(X), -1)

    expected = max_herding(Features(), pool, 6, random_state=3, **options)
    answer = uherding(Features(), pool, 6, random_state=3, **options)
    np.testing.assert_array_equal(answer[0], expected[0])
    np.testing.assert_array_equal(answer[1], expected[1])


def test_the_labeled_distance_is_that_of_the_nearest_two():
    angles = np.array([0.0, 0.1, 0.5, 1.2])
    labeled = np.column_stack([np.cos(angles), np.sin(angles)])
    assert labeled_distance(labeled) == pytest.approx(2 * np.sin(0.05), rel=1e-5)
    assert labeled_distance(labeled[[0, 3]]) == pytest.approx(2 * np.sin(0.6), rel=1e-5)

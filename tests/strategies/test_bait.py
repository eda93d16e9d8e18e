"""BAIT: greedy A-optimal design against explicit inverses; the Fisher information of a layer."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from al_tf import geometry
from al_tf.strategies.bait import bait


def trace(start, X, weights, chosen, fisher):
    M = start + (X[chosen] * weights[chosen, None]).T @ X[chosen]
    return np.trace(np.linalg.solve(M, fisher))


def plain(X, weights, k, start, over_sample):
    """Algorithm 1 with an explicit inverse for every image tried."""
    fisher = (X * weights[:, None]).T @ X / len(X)
    chosen, gains = [], []
    for _ in range(min(len(X), int(np.ceil(over_sample * k)))):
        before = trace(start, X, weights, chosen, fisher)
        free = [i for i in range(len(X)) if i not in chosen]
        after = [trace(start, X, weights, [*chosen, i], fisher) for i in free]
        chosen.append(free[int(np.argmin(after))])
        gains.append(before - min(after))
    stay = list(chosen)
    while len(stay) > k:
        rest = [[j for j in stay if j != i] for i in stay]
        stay = min(rest, key=lambda rows: trace(start, X, weights, rows, fisher))
    return stay, [gains[chosen.index(i)] for i in stay]


@pytest.mark.parametrize("over_sample", [1.0, 2.0, 3.5, 100.0])
@pytest.mark.parametrize("seed", range(3))
def test_the_choice_is_that_of_explicit_inverses(seed, over_sample):
    rng = np.random.default_rng(seed)
    X, weights = rng.standard_normal((30, 4)), rng.random(30)
    start = 0.3 * np.eye(4) + (X[:3].T @ X[:3])
    expected, gains = plain(X, weights, 5, start, over_sample)
    chosen, scores = geometry.a_optimal(
        X.astype(np.float64), weights, 5, start, over_sample=over_sample, random_state=0
    )
    assert chosen.tolist() == expected
    np.testing.assert_allclose(scores, gains, rtol=1e-8)


@pytest.mark.parametrize(("candidates", "at_once"), [(1, 1), (2, 5), (7, 3)])
def test_the_choice_does_not_depend_on_the_candidates(candidates, at_once, monkeypatch):
    rng = np.random.default_rng(0)
    X, weights = rng.standard_normal((60, 5)), rng.random(60)
    expected, gains = geometry.a_optimal(X, weights, 12, 0.2 * np.eye(5), random_state=0)
    monkeypatch.setattr("al_tf.geometry._a_optimal.CANDIDATES", candidates)
    monkeypatch.setattr("al_tf.geometry._a_optimal.ROUND", at_once)
    monkeypatch.setattr("al_tf.geometry._a_optimal.DROPS", at_once)
    chosen, again = geometry.a_optimal(X, weights, 12, 0.2 * np.eye(5), random_state=0)
    assert chosen.tolist() == expected.tolist()
    np.testing.assert_allclose(again, gains, rtol=1e-9)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_lower_precisions_choose_the_same(dtype):
    rng = np.random.default_rng(0)
    X, weights = rng.standard_normal((80, 6)).astype(dtype), rng.random(80)
    chosen, gains = geometry.a_optimal(X, weights, 10, np.eye(6), random_state=0)
    expected, exact = geometry.a_optimal(
        X.astype(np.float64), weights, 10, np.eye(6), random_state=0
    )
    assert chosen.tolist() == expected.tolist()
    np.testing.assert_allclose(gains, exact, rtol=1e-4)


def test_rows_without_weight_come_last():
    rng = np.random.default_rng(0)
    X, weights = rng.standard_normal((20, 3)), np.ones(20)
    weights[:12] = 0
    chosen, gains = geometry.a_optimal(X, weights, 10, np.eye(3), random_state=0)
    assert set(chosen[:8]) == set(range(12, 20))
    np.testing.assert_allclose(gains[8:], 0, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": 0}, "k must be from 1 to 6"),
        ({"k": 7}, "k must be from 1 to 6"),
        ({"weights": -np.ones(6)}, "weights must be 6 numbers of 0 or more"),
        ({"weights": np.ones(5)}, "weights must be 6 numbers of 0 or more"),
        ({"start": np.eye(3)}, r"start must have the shape \(2, 2\); got \(3, 3\)"),
        ({"over_sample": 0.5}, "over_sample must be a number of 1 or more"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    given = {"X": np.ones((6, 2)), "weights": np.ones(6), "k": 2, "start": np.eye(2)} | change
    with pytest.raises(ValueError, match=message):
        geometry.a_optimal(**given)


class Model:
    """Two-dimensional pools that are their own features, with stated probabilities."""

    def __init__(self, proba, labeled=None):
        self.proba, self.query_strategy, self.estimator = proba, None, self
        self.X_training = labeled

    def transform(self, X):
        return np.asarray(X, dtype=np.float32)

    def predict_proba(self, X):
        return self.proba(X)


def full_information(proba, X):
    """The Fisher information of a softmax layer, ``(K d)²``, image by image."""
    covariance = [np.diag(p) - np.outer(p, p) for p in proba]
    return np.array([np.kron(c, np.outer(x, x)) for c, x in zip(covariance, X, strict=True)])


@pytest.mark.parametrize("m", [0, 4])
def test_with_two_classes_the_choice_is_that_of_the_full_fisher_information(m):
    rng = np.random.default_rng(0)
    X, labeled = rng.standard_normal((25, 3)), rng.standard_normal((m, 3))
    w = rng.standard_normal(3)
    proba = lambda X: np.stack([1 / (1 + np.exp(-X @ w)), 1 / (1 + np.exp(X @ w))], 1)  # noqa: E731
    k, total = 4, 4 + m
    information = full_information(proba(X), X)
    M = np.eye(6)
    if m:
        M += full_information(proba(labeled), labeled).sum(axis=0) / total
    pool = information.mean(axis=0)
    chosen = []
    for _ in range(k):
        trials = [
            np.trace(np.linalg.solve(M + information[[*chosen, i]].sum(axis=0) / total, pool))
            for i in range(25)
        ]
        for i in chosen:
            trials[i] = np.inf
        chosen.append(int(np.argmin(trials)))
    indices, scores = bait(Model(proba, labeled), X, k, over_sample=1.0)
    assert indices.tolist() == chosen
    before = np.trace(np.linalg.solve(M, pool))
    after = np.trace(np.linalg.solve(M + information[chosen].sum(axis=0) / total, pool))
    assert scores.sum() == pytest.approx(before - after, rel=1e-5)
    if not m:  # an empty labeled set is like none
        unlabeled = bait(Model(proba), X, k, over_sample=1.0)
        np.testing.assert_array_equal(unlabeled, (indices, scores))


def test_images_the_model_is_sure_of_tell_nothing():
    X = np.random.default_rng(0).standard_normal((20, 3))
    sure = np.arange(20) < 10
    proba = np.where(sure[:, None], [[1.0, 0.0]], [[0.5, 0.5]])
    indices, _ = bait(Model(lambda _: proba), X, 6, random_state=0)
    assert set(indices) <= set(range(10, 20))


def test_the_labeled_set_counts():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal([9, 0], 0.1, (10, 2)), rng.normal([0, 5], 0.1, (10, 2))])
    proba = lambda X: np.full((len(X), 2), 0.5)  # noqa: E731
    assert bait(Model(proba), X, 1)[0][0] < 10
    known = np.repeat([[9.0, 0.0]], 30, axis=0)
    assert bait(Model(proba, known), X, 1)[0][0] >= 10


def scaled(factor):
    """A pool and a model with a labeled set, whose features are large; fewer labels than columns."""
    rng = np.random.default_rng(0)
    X, labeled = (factor * rng.standard_normal((n, 50)).astype(np.float32) for n in (40, 8))
    return Model(lambda X: np.tile([0.5, 0.5], (len(X), 1)), labeled), X


@pytest.mark.parametrize("factor", [2.0**14, 2.0**20, 2.0**23])
def test_large_features_are_chosen_as_in_other_units(factor):
    """Features times a factor, and the regularization times its square: the same problem."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        large, _ = bait(*scaled(factor), 5, random_state=0)
    expected, _ = bait(*scaled(1.0), 5, random_state=0, regularization=factor**-2)
    assert large.tolist() == expected.tolist()


@pytest.mark.parametrize("factor", [1e10, 1e20, 1e37])
def test_features_beside_which_the_regularization_is_nothing_are_refused(factor):
    with pytest.raises(ValueError, match=r"rounding loses it beside .* squared\. Scale the feat"):
        bait(*scaled(factor), 5, random_state=0)


def test_regularization_is_a_positive_number(learner, pool):
    with pytest.raises(ValueError, match="regularization must be a positive number; got 0"):
        bait(learner, pool, 2, regularization=0)

"""Draws of a head's weights, against the Laplace posterior written out in full."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from al_tf.network import laplace, linear_head
from al_tf.network.laplace import INTERCEPT_VARIANCE, LaplacePosterior
from al_tf.network.linear_head import Standardization, fit_head

from .test_linear_head import make_features

C = 0.3


def problem(n=12, d=3, n_classes=3, weighted=True, seed=0):
    features, codes = make_features(n, d, n_classes, seed)
    weights = np.random.default_rng(seed).uniform(0.5, 2, size=n) if weighted else np.ones(n)
    head = fit_head(features, codes, weights, n_classes, C)
    return head, features, codes, weights


def exact_covariance(head, features, codes, weights, variance):
    """Invert the whole Hessian; its order is (d weights, intercept) of each class in turn."""
    Z = np.column_stack([Standardization.of(features).apply(features), np.ones(len(features))])
    P, d = len(head.coef), Z.shape[1]
    precision = np.diag(np.tile([*np.full(d - 1, 1 / variance), 1 / INTERCEPT_VARIANCE], P))
    for z, p, w in zip(Z, head.proba(features).astype(float), weights, strict=True):
        precision += w * np.kron(np.diag(p) - np.outer(p, p), np.outer(z, z))
    return np.linalg.inv(precision)


def drawn(posterior, n_samples, seed=0):
    """Return draws in the order of `exact_covariance`."""
    moved, offset = posterior.deviations(n_samples, np.random.default_rng(seed))
    both = np.concatenate([moved, offset[None]])  # (d + 1, s, P)
    return np.moveaxis(both, 1, 0).transpose(0, 2, 1).reshape(n_samples, -1)


@pytest.mark.parametrize(
    ("n", "d", "n_classes"), [(12, 3, 3), (30, 4, 2), (4, 9, 3), (3, 8, 2), (9, 2, 6)]
)
@pytest.mark.parametrize("weighted", [False, True])
def test_draws_have_the_covariance_of_the_full_posterior(n, d, n_classes, weighted):
    given = problem(n, d, n_classes, weighted)
    variance = C / 2 if n_classes == 2 else C
    exact = exact_covariance(*given, variance)
    draws = drawn(LaplacePosterior(*given, C), 40_000)
    scale = np.sqrt(np.outer(np.diag(exact), np.diag(exact)))
    assert abs(np.cov(draws.T) - exact).max() / scale.max() < 0.03
    assert (abs(np.cov(draws.T) - exact) / scale).max() < 0.03
    assert abs(draws.mean(axis=0) / np.sqrt(np.diag(exact))).max() < 0.03


@pytest.mark.parametrize(("n", "d"), [(40, 12), (6, 30)])
@pytest.mark.parametrize("tolerance", [laplace.TOLERANCE, 1e-7])
def test_each_draw_solves_for_the_full_hessian(n, d, tolerance, monkeypatch):
    monkeypatch.setattr(laplace, "TOLERANCE", tolerance)
    posterior = LaplacePosterior(*problem(n, d, 4), C)
    right = np.random.default_rng(0).normal(size=(posterior._design.shape[1], 5, 4))
    error = posterior._hessian(posterior._solve(right)) - right
    assert np.linalg.norm(error) < 5 * tolerance * np.linalg.norm(right)


def test_large_problems_held_in_float32_have_the_same_draws(monkeypatch):
    given = problem(30, 40, 3)
    (whole,) = LaplacePosterior(*given, C).heads(4, np.random.default_rng(0))
    monkeypatch.setattr(linear_head, "_LARGE", 100)
    posterior = LaplacePosterior(*given, C)
    (small,) = posterior.heads(4, np.random.default_rng(0))
    assert posterior._design.dtype == np.float32
    np.testing.assert_allclose(small[0], whole[0], atol=1e-3 * abs(whole[0]).max())


def test_two_classes_have_the_posterior_of_binary_logistic_regression():
    head, features, codes, weights = problem(30, 4, 2)
    Z = np.column_stack([Standardization.of(features).apply(features), np.ones(30)])
    p = head.proba(features)[:, 1].astype(float)
    precision = (Z * (weights * p * (1 - p))[:, None]).T @ Z
    precision += np.diag([*np.full(4, 1 / C), 0.5 / INTERCEPT_VARIANCE])
    draws = drawn(LaplacePosterior(head, features, codes, weights, C), 40_000)
    difference = draws[:, 5:] - draws[:, :5]
    exact = np.linalg.inv(precision)
    scale = np.sqrt(np.outer(np.diag(exact), np.diag(exact)))
    assert (abs(np.cov(difference.T) - exact) / scale).max() < 0.03


def test_heads_are_in_the_units_of_the_features():
    given = head, features, *_ = problem(20, 6, 3)
    posterior = LaplacePosterior(*given, C)
    ((coef, intercept),) = posterior.heads(7, np.random.default_rng(3))
    moved, offset = posterior.deviations(7, np.random.default_rng(3))
    standard = Standardization.of(features)
    scores = np.einsum("nd,dsk->nsk", features, coef) + intercept
    expected = (features @ head.coef.T + head.intercept)[:, None]
    expected = expected + np.einsum("nd,dsk->nsk", standard.apply(features), moved) + offset
    assert coef.dtype == intercept.dtype == np.float32
    np.testing.assert_allclose(scores, expected, atol=1e-4)


def test_the_size_of_the_blocks_does_not_matter(monkeypatch):
    monkeypatch.setattr(laplace, "TOLERANCE", 1e-6)
    posterior = LaplacePosterior(*problem(8, 30, 3), C)
    ((whole, offsets),) = posterior.heads(5, np.random.default_rng(0))
    monkeypatch.setattr(laplace, "_BLOCK", 2 * 30 * 3)
    blocks = list(posterior.heads(5, np.random.default_rng(0)))
    assert [len(intercept) for _, intercept in blocks] == [2, 2, 1]
    scale = abs(whole).max()
    np.testing.assert_allclose(
        np.concatenate([coef for coef, _ in blocks], axis=1), whole, atol=1e-4 * scale
    )
    np.testing.assert_allclose(np.concatenate([b for _, b in blocks]), offsets, atol=1e-3)


def test_classes_without_a_label_keep_their_weights():
    features, codes = make_features(20, 5, 2)
    head = fit_head(features, codes * 2, np.ones(20), 4, C)
    ((coef, intercept),) = LaplacePosterior(head, features, codes * 2, np.ones(20), C).heads(
        3, np.random.default_rng(0)
    )
    assert np.array_equal(coef[:, :, [1, 3]], np.repeat(head.coef.T[:, None, [1, 3]], 3, axis=1))
    assert (intercept[:, [1, 3]] == head.intercept[[1, 3]]).all()
    assert coef[:, :, [0, 2]].std(axis=1).min() > 0


def test_an_unfinished_solution_is_said_aloud(monkeypatch):
    monkeypatch.setattr(laplace, "MAX_ITERATIONS", 1)
    posterior = LaplacePosterior(*problem(12, 6, 3), C)
    with pytest.warns(ConvergenceWarning, match="less exact than usual"):
        list(posterior.heads(2, np.random.default_rng(0)))

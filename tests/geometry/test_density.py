"""Kernel densities against scikit-learn and a plain log-sum-exp."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from sklearn.neighbors import KernelDensity

from al_tf import geometry

from .naive import SMALL, naive_distances, rows


@pytest.mark.parametrize("bandwidth", [0.3, 1.0, 5.0])
@pytest.mark.parametrize(("n", "d"), [(1100, 1), (1100, 16), (600, 64)])
def test_kde_equals_scikit_learns(n, d, bandwidth):
    X, queries = rows(n, d), rows(90, d, seed=1)
    # In one leaf: with the default leaf size its trees lose up to 16 nats in the tails.
    reference = KernelDensity(bandwidth=bandwidth, leaf_size=n).fit(X.astype(float))
    np.testing.assert_allclose(
        geometry.kde_log_density(X, bandwidth=bandwidth), reference.score_samples(X), atol=1e-3
    )
    np.testing.assert_allclose(
        geometry.kde_log_density(queries, X, bandwidth=bandwidth, memory_limit=SMALL),
        reference.score_samples(queries),
        atol=1e-3,
    )


@pytest.mark.parametrize("bandwidth", [0.02, 0.3, 3.0])
def test_leave_one_out_reaches_rows_far_from_all_others(bandwidth):
    X = rows(800, 4)
    X[0] = 60.0  # its kernel sum is below what float32 can hold
    exponents = -(naive_distances(X, X) ** 2) / (2 * bandwidth**2)
    np.fill_diagonal(exponents, -np.inf)
    constant = np.log(len(X) - 1) + 4 * (0.5 * np.log(2 * np.pi) + np.log(bandwidth))
    expected = logsumexp(exponents, axis=1) - constant
    computed = geometry.kde_log_density(X, bandwidth=bandwidth, leave_one_out=True)
    np.testing.assert_allclose(computed, expected, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("bandwidth", [0.02, 0.3, 3.0])
def test_queries_far_from_all_kernels_keep_their_density(bandwidth):
    X, queries = rows(800, 4), rows(60, 4, seed=1)
    queries[:2] = X[:2] + 60.0
    exponents = -(naive_distances(queries, X) ** 2) / (2 * bandwidth**2)
    constant = np.log(len(X)) + 4 * (0.5 * np.log(2 * np.pi) + np.log(bandwidth))
    computed = geometry.kde_log_density(queries, X, bandwidth=bandwidth)
    np.testing.assert_allclose(
        computed, logsumexp(exponents, axis=1) - constant, rtol=1e-5, atol=1e-3
    )


def test_remote_rows_in_every_tile_are_left_out_of_their_own_sums():
    """Every row is far from all others, and far more of them than a tile holds."""
    X = np.arange(700, dtype=np.float64)[:, None] ** 1.5
    exponents = -(naive_distances(X, X) ** 2) / (2 * 0.05**2)
    np.fill_diagonal(exponents, -np.inf)
    constant = np.log(699) + 0.5 * np.log(2 * np.pi) + np.log(0.05)
    computed = geometry.kde_log_density(X, bandwidth=0.05, leave_one_out=True, memory_limit=SMALL)
    np.testing.assert_allclose(computed, logsumexp(exponents, axis=1) - constant, rtol=1e-3)
    queries = X + 0.9  # here the nearest kernel has the row's own number, and counts
    exponents = -(naive_distances(queries, X) ** 2) / (2 * 0.05**2)
    constant += np.log(700) - np.log(699)
    computed = geometry.kde_log_density(queries, X, bandwidth=0.05, memory_limit=SMALL)
    np.testing.assert_allclose(computed, logsumexp(exponents, axis=1) - constant, atol=0.5)


@given(
    n=st.integers(2, 60),
    d=st.integers(1, 12),
    exponent=st.integers(-28, 28),
    width=st.floats(1e-3, 1e3),
    equal=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_density_is_finite_at_any_scale(n, d, exponent, width, equal):
    X = np.repeat(rows(1, d), n, axis=0) if equal else rows(n, d)
    scale = 10.0**exponent
    for leave_one_out in (False, True):
        computed = geometry.kde_log_density(
            X * np.float32(scale), bandwidth=scale * width, leave_one_out=leave_one_out
        )
        assert np.isfinite(computed).all()


def test_a_single_row_has_a_bandwidth_too():
    assert geometry.select_bandwidth(rows(1, 3), "cv") > 0


@pytest.mark.parametrize("bandwidth", [0, -1.0, np.nan, np.inf])
def test_a_bandwidth_is_a_positive_number(bandwidth):
    with pytest.raises(ValueError, match="bandwidth must be a positive number"):
        geometry.kde_log_density(rows(5, 2), bandwidth=bandwidth)


def test_leaving_out_needs_the_rows_own_set():
    with pytest.raises(ValueError, match="leave_one_out needs reference=None"):
        geometry.kde_log_density(rows(5, 2), rows(4, 2), bandwidth=1.0, leave_one_out=True)


def test_leaving_out_the_only_row_is_an_error():
    with pytest.raises(ValueError, match="at least two rows"):
        geometry.kde_log_density(rows(1, 2), bandwidth=1.0, leave_one_out=True)

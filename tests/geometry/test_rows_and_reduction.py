"""Rows that are read when asked for; columns standardised, projected, or few in place of many."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from al_tf import geometry

from .naive import naive_distances, rows


def test_rows_in_order_are_those_of_the_sorted_array():
    X, order = rows(30, 4), np.random.default_rng(0).permutation(30)[:20]
    lazy = geometry.RowsInOrder(X, order)
    assert (lazy.shape, lazy.dtype, len(lazy), lazy.ndim) == ((20, 4), X.dtype, 20, 2)
    np.testing.assert_array_equal(lazy[3:7], X[order][3:7])
    np.testing.assert_array_equal(lazy[np.array([5, 1])], X[order][[5, 1]])
    np.testing.assert_array_equal(np.asarray(lazy), X[order])
    assert np.asarray(lazy, dtype=np.float64).dtype == np.float64


def test_unit_rows_in_order_have_length_one():
    X, order = rows(30, 4).astype(np.float16), np.arange(30)[::-1]
    lazy = geometry.RowsInOrder(X, order, unit=True)
    assert lazy.dtype == lazy[:5].dtype == np.float32
    np.testing.assert_array_equal(np.asarray(lazy), geometry.unit_rows(X)[::-1])
    exact = X.astype(np.float64)[::-1]
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    np.testing.assert_allclose(np.asarray(lazy), exact, rtol=1e-6)


def test_unit_rows_are_made_in_blocks():
    X = rows(9000, 100)
    lazy = geometry.RowsInOrder(X, np.arange(9000)[::-1], unit=True)
    tracemalloc.start()
    np.asarray(lazy)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * X.nbytes


@pytest.mark.parametrize(
    "kernel",
    [
        lambda X: geometry.nearest_of_set(X, rows(7, 4, seed=1))[0],
        lambda X: geometry.mean_similarity(X, rows(9, 4, seed=1)),
        lambda X: geometry.k_center_greedy(X, 9, random_state=0)[0],
        lambda X: geometry.max_ball_cover(X, 9, 1.0, random_state=0)[0],
        lambda X: geometry.max_kernel_cover(X, 9, 1.0, random_state=0)[0],
        lambda X: geometry.standardise(X),
        lambda X: geometry.a_optimal(X, np.ones(60), 9, np.eye(4), random_state=0)[0],
    ],
)
def test_kernels_take_rows_in_order(kernel):
    X, order = rows(80, 4), np.random.default_rng(0).permutation(80)[:60]
    np.testing.assert_array_equal(kernel(geometry.RowsInOrder(X, order)), kernel(X[order]))


def test_blocks_of_rows_do_not_change_the_nearest(monkeypatch):
    X, centers = rows(300, 5), rows(40, 5, seed=1)
    whole = geometry.nearest_of_set(X, centers)
    similar = geometry.mean_similarity(X, centers)
    monkeypatch.setattr("al_tf.geometry._distances.ROWS", 7)
    for part, expected in zip(geometry.nearest_of_set(X, centers), whole, strict=True):
        np.testing.assert_allclose(part, expected, rtol=1e-6)
    np.testing.assert_allclose(geometry.mean_similarity(X, centers), similar, rtol=1e-6)


def low_rank(n, d=400, rank=10, noise=0.05, seed=0):
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(9).standard_normal((rank, d))
    return rng.standard_normal((n, rank)) @ mixing + noise * rng.standard_normal((n, d)) + 3.0


@pytest.mark.parametrize("scale", [1e-25, 1.0, 1e25])
def test_distances_between_left_and_right_are_nearly_those_of_the_rows(scale):
    X, Y = (
        (low_rank(n, noise=0.5, seed=seed) * scale).astype(np.float32)
        for n, seed in ((600, 0), (50, 1))
    )
    reduction = geometry.find_reduction(X, random_state=0)
    left, right = reduction.left(X), reduction.right(Y)
    assert left.shape == (600, 34)
    assert left.dtype == np.float32
    near = naive_distances(left / scale, right / scale)
    np.testing.assert_allclose(near, naive_distances(X / scale, Y / scale), rtol=0.05)


def test_equal_rows_are_apart_by_what_lies_outside():
    X = low_rank(600, noise=0.5).astype(np.float32)
    reduction = geometry.find_reduction(X, random_state=0)
    apart = ((reduction.left(X) - reduction.right(X)) ** 2).sum(axis=1)
    centred = X.astype(float) - reduction.mean
    outside = (centred**2).sum(axis=1) - ((centred @ reduction.directions) ** 2).sum(axis=1)
    np.testing.assert_allclose(apart, 2 * outside, rtol=1e-3)


def test_as_many_directions_are_kept_as_two_thirds_of_the_variance_need():
    X = low_rank(2000, d=1024, rank=80, noise=0.1)
    reduction = geometry.find_reduction(X, random_state=0)
    outside = (
        X
        - reduction.mean
        - ((X - reduction.mean) @ reduction.directions) @ (reduction.directions.T)
    )
    assert reduction.directions.shape[1] == 64
    assert outside.var(axis=0).sum() < X.var(axis=0).sum() / 3
    assert geometry.find_reduction(X[:, :255], random_state=0) is None


def test_the_directions_are_those_of_the_largest_variance():
    X = low_rank(500)
    reduction = geometry.find_reduction(X, random_state=0)
    np.testing.assert_allclose(reduction.directions.T @ reduction.directions, np.eye(32), atol=1e-5)
    left_out = (X - X.mean(axis=0)) - (X - X.mean(axis=0)) @ reduction.directions @ (
        reduction.directions.T
    )
    assert (left_out**2).sum() < 1.0 * 500 * 400 * 0.05**2


def test_standardise_gives_unit_columns_and_zeros_for_constant_ones():
    X = rows(900, 4) * np.float32([1e-12, 1.0, 1e3, 0.0]) + np.float32([0, 5, 0, 3])
    computed = geometry.standardise(X)
    np.testing.assert_allclose(computed.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(computed.std(axis=0), [1, 1, 1, 0], atol=1e-3)


def test_principal_components_keep_the_widest_directions():
    X = rows(500, 6) * np.float32([1, 9, 1, 1, 7, 1])
    X -= X.mean(axis=0)
    computed = geometry.principal_components(X, 2)
    largest = np.sort(np.linalg.eigvalsh(np.cov(X.T)))[::-1][:2]
    np.testing.assert_allclose(computed.var(axis=0, ddof=1), largest, rtol=1e-4)
    assert computed.dtype == np.float32
    one = geometry.principal_components(X, 1)
    np.testing.assert_allclose(np.abs(one[:, 0]), np.abs(computed[:, 0]), atol=1e-5)
    assert geometry.principal_components(X, 6) is X
    with pytest.raises(ValueError, match="n_components must be 1 or more; got 0"):
        geometry.principal_components(X, 0)


def test_a_projection_is_the_same_bits_wherever_a_row_stands():
    X, weights = rows(2500, 37), np.random.default_rng(1).standard_normal(37)
    computed = geometry.project(X, weights)
    np.testing.assert_allclose(computed, X.astype(float) @ weights, rtol=1e-10, atol=1e-12)
    order = np.random.default_rng(2).permutation(2500)
    np.testing.assert_array_equal(geometry.project(X[order], weights), computed[order])

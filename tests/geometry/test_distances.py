"""Nearest of a set, mean similarity and neighbours, against plain float64 distances."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import pairwise_distances

from al_tf import geometry
from al_tf.geometry._distances import lower_to_nearest
from al_tf.geometry._points import make_points

from .naive import SMALL, naive_distances, rows


@given(
    n=st.integers(1, 70),
    m=st.integers(1, 40),
    d=st.integers(1, 9),
    exponent=st.integers(-28, 28),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_nearest_of_set_at_any_shape_and_scale(n, m, d, exponent, seed):
    X, centers = rows(n, d, seed), rows(m, d, seed + 1)
    centers[0] = X[0]
    expected = naive_distances(X, centers)
    scale = np.float32(10.0**exponent)
    distances, nearest = geometry.nearest_of_set(X * scale, centers * scale)
    np.testing.assert_allclose(distances / float(scale), expected.min(axis=1), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(nearest, expected.argmin(axis=1))


@pytest.mark.parametrize("memory_limit", [geometry.MEMORY_LIMIT, SMALL])
def test_the_nearest_row_of_another_group_is_found(memory_limit):
    X = rows(700, 5)
    X[300:310] = X[:10]  # copies in other groups
    groups = np.random.default_rng(0).integers(0, 4, 700)
    groups[:10], groups[300:310] = 0, 1
    apart = naive_distances(X, X)
    apart[groups[:, None] == groups] = np.inf
    computed = geometry.distance_to_other_groups(X, groups, memory_limit=memory_limit)
    np.testing.assert_allclose(computed, apart.min(axis=1), rtol=1e-6, atol=1e-7)
    assert (computed[:10] == 0).all()


def test_rows_of_one_group_are_infinitely_far_from_others():
    assert np.isinf(geometry.distance_to_other_groups(rows(5, 2), np.ones(5))).all()


def test_a_common_offset_costs_no_digits():
    X = rows(300, 8, offset=1000.0)
    distances, _ = geometry.nearest_of_set(X[:100], X[100:])
    np.testing.assert_allclose(distances, naive_distances(X[:100], X[100:]).min(axis=1), rtol=1e-4)


@pytest.mark.parametrize("offset", [1e6, -1e6])
def test_float64_rows_far_from_the_origin_keep_their_digits(offset):
    X = np.random.default_rng(0).standard_normal((300, 4))
    (points,) = make_points(X + offset)
    np.testing.assert_allclose(
        naive_distances(points.rows, points.rows) * points.scale, naive_distances(X, X), atol=1e-5
    )


@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_mean_similarity_is_modals_information_density(offset):
    X = rows(1300, 20, offset=offset)
    X[7] = X[1200]
    expected = (1 / (1 + pairwise_distances(X.astype(float)))).mean(axis=1)
    np.testing.assert_allclose(geometry.mean_similarity(X), expected, atol=1e-5)
    np.testing.assert_allclose(geometry.mean_similarity(X, memory_limit=SMALL), expected, atol=1e-5)


def test_mean_similarity_of_many_copies():
    X = np.repeat(rows(30, 6, scale=500.0), 25, axis=0)
    expected = (1 / (1 + naive_distances(X, X))).mean(axis=1)
    np.testing.assert_allclose(geometry.mean_similarity(X), expected, atol=1e-5)


@pytest.mark.parametrize("m", [90, 1300])
def test_mean_similarity_to_a_reference(m):
    X, reference = rows(600, 5), rows(m, 5, seed=1)
    expected = (1 / (1 + naive_distances(X, reference))).mean(axis=1)
    np.testing.assert_allclose(geometry.mean_similarity(X, reference), expected, atol=1e-5)


def test_rounded_distances_are_as_far_off_as_they_say():
    """A bound that is lower already stays; the others come down, over more centers than a tile."""
    points, centers = make_points(rows(900, 6), rows(1300, 6, seed=1, scale=0.01, offset=2.0))
    exact = naive_distances(points.rows, centers.rows).min(axis=1) ** 2
    bound = np.where(np.arange(900) % 3, np.inf, exact / 2).astype(np.float32)
    error = lower_to_nearest(bound, points, centers, SMALL)
    expected = np.where(np.arange(900) % 3, exact, exact / 2)
    assert 0 < np.abs(bound - expected).max() <= error < 1e-3


@pytest.mark.parametrize("k", [1, 7, 1000])
def test_mean_neighbour_distance(k):
    X = rows(700, 6)
    X[3] = X[650]
    apart = naive_distances(X, X)
    np.fill_diagonal(apart, np.inf)
    expected = np.sort(apart, axis=1)[:, : min(k, len(X) - 1)].mean(axis=1)
    np.testing.assert_allclose(
        geometry.mean_neighbour_distance(X, k), expected, rtol=1e-5, atol=1e-6
    )


def test_mean_neighbour_distance_inside_groups():
    """Groups in any order, of one row, and tight ones far from each other keep their digits."""
    rng = np.random.default_rng(0)
    groups = np.repeat([7, 3, 5, 9], [1, 40, 700, 12])
    X = rng.standard_normal((len(groups), 5)) * 1e-3 + groups[:, None] * 10.0
    mixed = rng.permutation(len(groups))
    X, groups = X[mixed], groups[mixed]
    computed = geometry.mean_neighbour_distance(X, 6, groups)
    expected = np.zeros(len(X))
    for group in np.unique(groups)[[0, 1, 3]]:
        inside = np.flatnonzero(groups == group)
        apart = np.linalg.norm(X[inside, None] - X[None, inside], axis=2)
        expected[inside] = np.sort(apart, axis=1)[:, 1:7].mean(axis=1)
    np.testing.assert_allclose(computed, expected, rtol=1e-4)
    assert computed[groups == 7] == 0


def test_groups_that_span_tiles_far_from_each_other(monkeypatch):
    monkeypatch.setattr("al_tf.geometry._distances.MEMORY_LIMIT", SMALL)
    groups = np.repeat([0, 1], [500, 300])
    X = np.random.default_rng(0).standard_normal((800, 3)) + groups[:, None] * 1e6
    computed = geometry.mean_neighbour_distance(X, 5, groups)
    for group in (0, 1):
        inside = X[groups == group]
        apart = np.sort(np.linalg.norm(inside[:, None] - inside, axis=2), axis=1)[:, 1:6]
        np.testing.assert_allclose(computed[groups == group], apart.mean(axis=1), rtol=1e-4)


def test_groups_smaller_than_the_neighbours_asked_for():
    X = rows(11, 3)
    groups = np.repeat([2, 0, 5], [2, 3, 6])
    computed = geometry.mean_neighbour_distance(X, 4, groups)
    for group in (2, 0, 5):
        inside = X[groups == group]
        apart = np.sort(naive_distances(inside, inside), axis=1)[:, 1:5]  # themselves come first
        np.testing.assert_allclose(computed[groups == group], apart.mean(axis=1), rtol=1e-5)


def test_whole_numbers_have_neighbours_too():
    X = np.array([[0, 0], [3, 4], [100, 100], [100, 101]], dtype=np.uint8)
    computed = geometry.mean_neighbour_distance(X, 1, np.array([0, 0, 1, 1]))
    np.testing.assert_allclose(computed, [5, 5, 1, 1])


def test_mean_nearest_neighbour_distance_of_a_batch():
    batch = np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 4.0]])
    assert geometry.mean_nearest_neighbour_distance(batch) == pytest.approx(5 / 3)
    assert geometry.mean_nearest_neighbour_distance(batch[:1]) == 0

"""Greedy k-center, index by index as the plain algorithm."""

from __future__ import annotations

import numpy as np
import pytest

from al_tf import geometry

from .naive import naive_distances, naive_k_center, rows


@pytest.mark.parametrize(
    ("n", "d", "k"), [(60, 2, 60), (5000, 3, 400), (3000, 30, 300), (3000, 3, 3000)]
)
@pytest.mark.parametrize("with_centers", [True, False])
def test_k_center_picks_what_the_plain_algorithm_picks(n, d, k, with_centers):
    X, centers = rows(n, d), rows(7, d, seed=1)
    expected = naive_k_center(X, k, centers if with_centers else X.mean(axis=0, dtype=float)[None])
    chosen, distances = geometry.k_center_greedy(X, k, centers if with_centers else None)
    np.testing.assert_array_equal(chosen, expected[0])
    np.testing.assert_allclose(distances, expected[1], rtol=1e-5)


def test_k_center_when_float32_cannot_tell_distances_apart():
    """Two tight groups far from each other, of whole numbers that float32 holds."""
    rng = np.random.default_rng(0)
    X = rng.integers(-(2**9), 2**9, size=(4096, 4)) + np.repeat([[-(2**20)], [2**20]], 2048, axis=0)
    X[0] -= X.sum(axis=0)  # of mean 0: centring rounds nothing
    expected = naive_k_center(X, 40, np.zeros((1, 4)))
    chosen, distances = geometry.k_center_greedy(X.astype(np.float32), 40)
    np.testing.assert_allclose(distances, expected[1], rtol=1e-7)
    np.testing.assert_array_equal(chosen, expected[0])


@pytest.mark.parametrize("n", [400, 2500])
def test_k_center_breaks_ties_by_one_ranking_of_the_rows(n):
    """On a grid of whole numbers many rows tie, at every pick: the highest rank wins."""
    X = np.random.default_rng(1).integers(0, 12, size=(n, 3)).astype(np.float32)
    center = X[:1]
    rank = np.random.default_rng(5).permutation(n)
    nearest = ((X - center) ** 2).sum(axis=1)
    expected = []
    for _ in range(350):
        expected.append(max(range(n), key=lambda i: (nearest[i], rank[i])))
        nearest = np.minimum(nearest, ((X - X[expected[-1]]) ** 2).sum(axis=1))
        nearest[expected] = -1
    computed, _ = geometry.k_center_greedy(X, 350, center, random_state=np.random.default_rng(5))
    np.testing.assert_array_equal(computed, expected)


def test_k_center_when_far_more_rows_tie_than_are_candidates():
    X = np.repeat(rows(5, 3), 2000, axis=0)
    chosen, distances = geometry.k_center_greedy(X, 3000, random_state=0)
    assert len(set(chosen)) == 3000
    assert set(chosen[:5] // 2000) == set(range(5))
    np.testing.assert_allclose(distances[5:], 0, atol=1e-6)


@pytest.mark.parametrize("n_candidates", [2, 5, 40])
@pytest.mark.parametrize("seed", range(4))
def test_greedy_choices_with_few_candidates_are_the_plain_ones(n_candidates, seed, monkeypatch):
    """On a small grid nearly all rows tie, and hardly any is a candidate."""
    monkeypatch.setattr("al_tf.geometry._covering.N_CANDIDATES", n_candidates)
    X = np.random.default_rng(seed).integers(0, 4, size=(90, 2)).astype(np.float32)
    rank = np.random.default_rng(seed).permutation(90)
    squared = naive_distances(X, X) ** 2
    nearest, covered = ((X - X[0]) ** 2).sum(axis=1), np.zeros(90, dtype=bool)
    centers, balls = [], []
    for _ in range(60):
        centers.append(max(set(range(90)) - set(centers), key=lambda i: (nearest[i], rank[i])))
        nearest = np.minimum(nearest, squared[centers[-1]])
        gain = ((squared <= 1.0 + 1e-9) & ~covered).sum(axis=1)
        balls.append(max(set(range(90)) - set(balls), key=lambda i: (gain[i], rank[i])))
        covered |= squared[balls[-1]] <= 1.0 + 1e-9
    computed = geometry.k_center_greedy(X, 60, X[:1], random_state=np.random.default_rng(seed))
    assert computed[0].tolist() == centers
    computed = geometry.max_ball_cover(X, 60, 1.0 + 1e-6, random_state=np.random.default_rng(seed))
    assert computed[0].tolist() == balls


def test_k_center_breaks_ties_by_the_random_state():
    X = np.eye(8)
    first = [geometry.k_center_greedy(X, 1, random_state=s)[0][0] for s in range(40)]
    assert len(set(first)) > 3
    assert first == [geometry.k_center_greedy(X, 1, random_state=s)[0][0] for s in range(40)]

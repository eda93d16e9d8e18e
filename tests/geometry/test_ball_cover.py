"""Greedy ball cover: the largest gain each time."""

from __future__ import annotations

import numpy as np
import pytest

from al_tf import geometry
from al_tf.geometry._points import squared_distances, tile_size

from .naive import SMALL, naive_distances, rows


@pytest.mark.parametrize("with_centers", [True, False])
@pytest.mark.parametrize(("n", "k", "radius"), [(900, 60, 0.6), (1300, 120, 0.3)])
@pytest.mark.parametrize("m", [None, 700])
@pytest.mark.parametrize("memory_limit", [geometry.MEMORY_LIMIT, SMALL])
def test_ball_cover_takes_a_largest_gain_each_time(with_centers, n, k, radius, m, memory_limit):
    """A bit for each pair does not fit into the small limit."""
    X = rows(n, 3)
    targets = X if m is None else rows(m, 3, seed=2)
    near = naive_distances(X, targets) <= radius
    centers = X[:4] + np.float32(0.01) if with_centers else None
    covered = np.zeros(len(targets), dtype=bool)
    if with_centers:
        covered = naive_distances(targets, centers).min(axis=1) <= radius
    chosen, gains = geometry.max_ball_cover(
        X,
        k,
        radius,
        centers,
        targets=None if m is None else targets,
        random_state=0,
        memory_limit=memory_limit,
    )
    assert len(set(chosen)) == k
    for row, gain in zip(chosen, gains, strict=True):
        possible = (near & ~covered).sum(axis=1)
        assert gain == possible[row] == possible.max()
        covered |= near[row]


def test_balls_without_extent_cover_copies():
    X = np.repeat([[0.0], [1.0], [2.0]], [2, 1, 3], axis=0)
    chosen, gains = geometry.max_ball_cover(X, 1, 0.0, random_state=0)
    assert chosen[0] in (3, 4, 5)
    assert gains.tolist() == [3]
    chosen, gains = geometry.max_ball_cover(X, 3, 1.0, X[:1], random_state=0)
    assert gains.tolist() == [3, 0, 0]  # what a center reaches exactly is covered already


@pytest.mark.parametrize("radius", [-1.0, np.nan, np.inf])
def test_a_radius_is_a_number(radius):
    with pytest.raises(ValueError, match="radius must be a number of 0 or more"):
        geometry.max_ball_cover(rows(5, 2), 1, radius)


def test_ball_cover_of_targets_that_no_ball_reaches_is_a_random_choice():
    X, targets = rows(50, 2), rows(20, 2, offset=100.0)
    chosen, gains = geometry.max_ball_cover(X, 8, 1.0, targets=targets, random_state=0)
    assert len(set(chosen)) == 8
    assert not gains.any()
    assert chosen.tolist() != geometry.max_ball_cover(X, 8, 1.0, targets=targets)[0].tolist()


def test_ball_cover_fills_up_when_all_is_covered():
    chosen, gains = geometry.max_ball_cover(rows(50, 2), 50, 100.0, random_state=0)
    assert sorted(chosen) == list(range(50))
    assert gains[0] == 50
    assert not gains[1:].any()


def test_bits_are_kept_for_as_many_pairs_as_fit(monkeypatch):
    """Where they do not fit, distances to covered targets are computed again."""
    tiles = []

    def spied(*args):
        tiles.append(args)
        return squared_distances(*args)

    monkeypatch.setattr("al_tf.geometry._covering.squared_distances", spied)
    monkeypatch.setattr("al_tf.geometry._covering.N_CANDIDATES", 5)
    X = rows(900, 3)
    for limit in (geometry.MEMORY_LIMIT, SMALL):
        tiles.clear()
        geometry.max_ball_cover(X, 60, 0.6, random_state=0, memory_limit=limit)
        side = tile_size(limit) // 8 * 8
        one_pass = (-(-900 // side)) ** 2
        assert (len(tiles) > one_pass) == (limit == SMALL)


def test_bits_are_counted_by_numpy_1_too(monkeypatch):
    X = rows(300, 3)
    expected = geometry.max_ball_cover(X, 40, 0.6, random_state=0)
    monkeypatch.delattr(np, "bitwise_count", raising=False)
    again = geometry.max_ball_cover(X, 40, 0.6, random_state=0)
    for part, expected_part in zip(again, expected, strict=True):
        np.testing.assert_array_equal(part, expected_part)

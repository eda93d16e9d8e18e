"""Greedy kernel coverage: the largest gain each time, whatever is kept up to date."""

from __future__ import annotations

import numpy as np
import pytest

from al_tf import geometry
from al_tf.geometry import _kernel_cover as module
from al_tf.geometry._pair_lists import PairLists, Pairs

from .naive import SMALL, naive_distances, rows


def naive_greedy(X, targets, centers, weights, bandwidth, chosen):
    """Yield what every row would add, before each choice."""
    kernel = np.exp(-((naive_distances(X, targets) / bandwidth) ** 2))
    covered = np.zeros(len(targets))
    if centers is not None:
        covered = np.exp(-((naive_distances(targets, centers) / bandwidth) ** 2)).max(axis=1)
    for row in chosen:
        yield np.maximum(kernel - covered, 0) @ weights
        covered = np.maximum(covered, kernel[row])


@pytest.mark.parametrize("bandwidth", [0.05, 0.5, 5.0])
@pytest.mark.parametrize("with_centers", [True, False])
@pytest.mark.parametrize("t", [None, 300])
def test_each_choice_has_the_largest_gain(bandwidth, with_centers, t):
    X = rows(700, 4)
    targets = X if t is None else rows(t, 4, seed=1)
    centers = rows(5, 4, seed=2) if with_centers else None
    weights = np.random.default_rng(0).random(len(targets))
    chosen, gains = geometry.max_kernel_cover(
        X, 60, bandwidth, centers, targets=targets, weights=weights, random_state=0
    )
    assert len(set(chosen)) == 60
    every = naive_greedy(X, targets, centers, weights, bandwidth, chosen)
    for row, gain, possible in zip(chosen, gains, every, strict=True):
        assert gain == pytest.approx(possible[row], rel=1e-3, abs=1e-4)
        assert gain == pytest.approx(possible.max(), rel=1e-3, abs=1e-4)
    assert (np.diff(gains) <= 1e-4).all()


def plain_picks(X, centers, weights, bandwidth, k):
    """Return the picks of the algorithm that computes every gain for each pick."""
    kernel = np.exp(-((naive_distances(X, X) / bandwidth) ** 2))
    covered = np.exp(-((naive_distances(X, centers) / bandwidth) ** 2)).max(axis=1)
    chosen = []
    for _ in range(k):
        gains = np.maximum(kernel - covered, 0) @ weights
        gains[chosen] = -1
        chosen.append(gains.argmax())
        covered = np.maximum(covered, kernel[chosen[-1]])
    return np.array(chosen)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("copies", [1, 2])
@pytest.mark.parametrize("itself", [True, False])
def test_the_picks_are_those_of_the_plain_algorithm(seed, copies, itself):
    """Of copies, either may be picked: a float32 product may round them apart."""
    some = rows(400 // copies, 5, seed=seed)
    X, centers = np.repeat(some, copies, axis=0), rows(4, 5, seed=seed + 10)
    weights = np.random.default_rng(seed).random(len(X))  # else two rows near each other are equal
    expected = plain_picks(X, centers, weights, 1.0, 40)
    targets = None if itself else X
    chosen, _ = geometry.max_kernel_cover(
        X, 40, 1.0, centers, targets=targets, weights=weights, memory_limit=SMALL
    )
    np.testing.assert_array_equal(chosen // copies, expected // copies)


@pytest.mark.parametrize(
    ("block", "sparse", "at_once"),
    [(1, 0.0, 2**20), (3, 0.0, 1), (256, 0.02, 500), (256, 1.0, 2**20)],
    ids=["one list at a time", "three lists at a time", "some lists", "more lists than fit"],
)
@pytest.mark.parametrize("with_centers", [True, False])
def test_the_choice_does_not_depend_on_what_is_listed(
    block, sparse, at_once, with_centers, monkeypatch
):
    X, centers = rows(400, 3), rows(6, 3, seed=1) if with_centers else None
    weights = np.random.default_rng(0).random(len(X))  # else two rows near each other are equal
    options = {"centers": centers, "weights": weights, "random_state": 0}
    expected = geometry.max_kernel_cover(X, 80, 0.4, **options)
    monkeypatch.setattr(module, "BLOCK", block)
    monkeypatch.setattr(module, "SPARSE", sparse)
    monkeypatch.setattr(module, "AT_ONCE", at_once)
    for targets in (None, X):
        chosen, gains = geometry.max_kernel_cover(
            X, 80, 0.4, targets=targets, memory_limit=SMALL, **options
        )
        np.testing.assert_array_equal(chosen, expected[0])
        np.testing.assert_allclose(gains, expected[1], rtol=1e-4, atol=1e-5)


def test_lists_that_do_not_fit_are_those_of_the_lowest_bounds():
    lists, covered = PairLists(4, most=8), np.zeros(5, dtype=np.float32)
    bound = np.array([3.0, 1.0, 2.0, 0.5])

    def pairs(row, targets):
        values = np.full(len(targets), 0.5 + row / 10, dtype=np.float32)
        return Pairs(np.full(len(targets), row), np.array(targets, dtype=np.int32), values)

    lists.add(np.array([0]), [pairs(0, [4, 3])], bound, covered)
    lists.add(np.array([1]), [pairs(1, [0]), pairs(1, [1, 2])], bound, covered)
    lists.add(np.array([2]), [pairs(2, [2]), pairs(3, [1])], bound, covered)  # no list for 3
    assert lists.count.tolist() == [2, 3, 1, -1]
    np.testing.assert_allclose(lists.gains(np.array([2, 1]), covered, np.arange(5.0)), [1.4, 1.8])
    covered[4] = 0.9  # row 0 adds nothing to it any more
    lists.add(np.array([3]), [pairs(3, [0, 1, 2])], bound, covered)
    assert lists.count.tolist() == [1, -1, 1, 3]
    assert lists.of(0)[0].tolist() == [3]
    assert lists.of(3)[0].tolist() == [0, 1, 2]
    lists.add(np.array([1]), [pairs(1, [0, 1, 2, 3, 4])], bound, covered)  # more than half
    assert lists.count.tolist() == [1, -1, 1, 3]


def test_unweighted_targets_of_another_scale():
    X = rows(200, 3)
    expected, _ = geometry.max_kernel_cover(X, 20, 1.0, random_state=0)
    scaled, _ = geometry.max_kernel_cover(X * 1024 + 512, 20, 1024.0, random_state=0)
    np.testing.assert_array_equal(scaled, expected)


def test_copies_come_last_at_random():
    X = np.repeat(rows(4, 3), 5, axis=0)
    chosen, gains = geometry.max_kernel_cover(X, 20, 0.1, random_state=0)
    assert sorted(chosen) == list(range(20))
    assert set(chosen[:4] // 5) == set(range(4))
    np.testing.assert_allclose(gains[4:], 0, atol=1e-5)
    assert chosen[4:].tolist() != geometry.max_kernel_cover(X, 20, 0.1)[0][4:].tolist()


def test_ties_among_equal_rows_follow_the_random_state():
    X = np.ones((8, 3))
    first = [geometry.max_kernel_cover(X, 1, 1.0, random_state=s)[0][0] for s in range(40)]
    assert len(set(first)) > 3


@pytest.mark.parametrize("bandwidth", [0, -1.0, np.nan, np.inf])
def test_a_bandwidth_is_a_positive_number(bandwidth):
    with pytest.raises(ValueError, match="bandwidth must be a positive number"):
        geometry.max_kernel_cover(rows(5, 2), 1, bandwidth)


@pytest.mark.parametrize("weights", [np.ones(4), -np.ones(5), np.full(5, np.nan)])
def test_weights_are_one_number_per_target(weights):
    with pytest.raises(ValueError, match="weights must be 5 numbers of 0 or more"):
        geometry.max_kernel_cover(rows(5, 2), 1, 1.0, weights=weights)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_unit_rows_have_length_one_at_any_scale(scale):
    X = rows(30, 4) * np.float32(scale)
    X[3] = 0
    lengths = np.linalg.norm(geometry.unit_rows(X), axis=1)
    np.testing.assert_allclose(lengths, np.arange(30) != 3, atol=1e-6)

"""Cohen's and Fleiss' kappa, by hand and at their edges."""

import warnings
from collections import Counter

import numpy as np
import pytest

from al_tf.agreement import cohen_kappa, pair_kappa, pair_kappa_interval


def test_by_hand():
    a = np.array([0, 0, 0, 1, 1, 2])
    b = np.array([0, 0, 1, 1, 1, 0])
    observed, expected = 4 / 6, (3 * 3 + 2 * 3 + 1 * 0) / 36
    assert cohen_kappa(a, b) == pytest.approx((observed - expected) / (1 - expected))


def test_labels_may_be_names():
    assert cohen_kappa(np.array(["x", "y"]), np.array(["x", "y"])) == 1


def test_of_a_model_with_itself_is_one():
    labels = np.random.default_rng(1).integers(0, 4, 300)
    assert cohen_kappa(labels, labels) == 1


def test_of_chance_is_near_zero():
    rng = np.random.default_rng(1)
    assert abs(cohen_kappa(rng.integers(0, 4, 20_000), rng.integers(0, 4, 20_000))) < 0.02


@pytest.mark.parametrize(("other", "expected"), [(0, 1.0), (1, 0.0)])
def test_constant_labels_give_a_number_without_a_warning(other, expected):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cohen_kappa(np.zeros(5, int), np.full(5, other)) == expected


def fleiss_by_hand(first, second):
    """Return Fleiss' formula of items with two labels each."""
    names = sorted({*first, *second})
    counts = np.array(
        [[(a == n) + (b == n) for n in names] for a, b in zip(first, second, strict=False)]
    )
    observed = ((counts**2).sum(axis=1) - 2).mean() / 2
    by_chance = ((counts.sum(axis=0) / counts.sum()) ** 2).sum()
    return (observed - by_chance) / (1 - by_chance)


def test_pairs_by_fleiss_formula_in_any_order_and_with_weights():
    rng = np.random.default_rng(0)
    first = [str(label) for label in rng.integers(0, 3, 60)]
    second = [a if rng.random() < 0.7 else str(rng.integers(0, 3)) for a in first]
    expected = pytest.approx(fleiss_by_hand(first, second))
    assert pair_kappa(first, second) == expected
    turned = [
        pair[::-1] if rng.random() < 0.5 else pair for pair in zip(first, second, strict=False)
    ]
    assert pair_kappa(*zip(*turned, strict=False)) == expected
    counted = Counter(zip(first, second, strict=False))
    assert pair_kappa(*zip(*counted, strict=False), np.array([*counted.values()])) == expected


def test_pairs_of_one_label_have_no_kappa_and_pairs_that_agree_no_interval():
    rng = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pair_kappa(["x", "x"], ["x", "x"]) is None
        assert pair_kappa_interval(["x"], ["x"], np.array([9]), rng) is None
        assert pair_kappa(["x", "y"], ["x", "y"]) == 1.0
        assert pair_kappa_interval(["x", "y"], ["x", "y"], np.array([5, 4]), rng) is None


def test_the_interval_narrows_as_pairs_come_in():
    pairs, rng = (["x", "x", "y"], ["x", "y", "y"]), np.random.default_rng(0)
    widths = []
    for n in (1, 10, 100):
        low, high = pair_kappa_interval(*pairs, n * np.array([8, 4, 8]), rng)
        assert low < pair_kappa(*pairs, np.array([8, 4, 8])) < high
        widths.append(high - low)
    assert widths == sorted(widths, reverse=True)

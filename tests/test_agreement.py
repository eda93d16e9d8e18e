"""Cohen's kappa, by hand and at its edges."""

import warnings

import numpy as np
import pytest

from al_tf.agreement import cohen_kappa


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

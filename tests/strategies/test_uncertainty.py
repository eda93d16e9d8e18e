"""Random, least confident, margin, entropy: exact values and modAL's definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from modAL.uncertainty import (
    classifier_entropy as modal_entropy,
)
from modAL.uncertainty import (
    classifier_margin as modal_margin,
)
from modAL.uncertainty import (
    classifier_uncertainty as modal_uncertainty,
)

from al_tf.strategies.random import random
from al_tf.strategies.uncertainty import (
    classifier_entropy,
    classifier_margin,
    classifier_uncertainty,
    entropy,
    entropy_score,
    margin,
    margin_score,
    uncertainty,
    uncertainty_score,
)

CERTAIN, EVEN, TWO = [1, 0, 0, 0], [0.25] * 4, [0, 0.5, 0.5, 0]


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (uncertainty_score, [0, 0.75, 0.5]),
        (margin_score, [0, 1, 1]),
        (entropy_score, [0, np.log(4), np.log(2)]),
    ],
)
def test_scores_are_exact_where_probabilities_are_zero_and_one(score, expected):
    computed = score(np.array([CERTAIN, EVEN, TWO]))
    np.testing.assert_allclose(computed, expected, rtol=1e-15)
    assert computed[0] == 0
    assert not np.signbit(computed[0])


@st.composite
def distributions(draw):
    """Return the probabilities of a row: from a draw to certainty, zeros and ones among them."""
    weights = draw(st.lists(st.sampled_from([0.0, 1e-300, 1e-9, 0.3, 1.0]), min_size=2, max_size=7))
    return [w / sum(weights) for w in weights] if any(weights) else [1.0, *weights]


@given(st.lists(distributions(), min_size=1, max_size=5))
def test_scores_follow_their_formulas(rows):
    for row in rows:
        first, second = sorted(row, reverse=True)[:2]
        direct = {
            uncertainty_score: 1 - first,
            margin_score: 1 - (first - second),
            entropy_score: -sum(p * math.log(p) for p in row if p > 0),
        }
        for score, expected in direct.items():
            (computed,) = score(np.array([row]))
            assert computed == pytest.approx(expected, rel=1e-12, abs=1e-15)
            assert 0 <= computed <= max(1, math.log(len(row))) + 1e-15


@pytest.mark.parametrize("score", [uncertainty_score, margin_score, entropy_score])
def test_a_single_class_leaves_no_doubt(score):
    assert score(np.ones((2, 1))).tolist() == [0, 0]


@pytest.mark.parametrize("score", [uncertainty_score, margin_score, entropy_score])
def test_scores_refuse_nan_and_leave_their_input(score):
    proba = np.array([CERTAIN, EVEN], dtype=float)
    before = proba.copy()
    score(proba)
    np.testing.assert_array_equal(proba, before)
    with pytest.raises(ValueError, match="1 of 2 rows of probabilities are not finite"):
        score(np.array([EVEN, [np.nan] * 4]))


@pytest.mark.parametrize(
    ("ours", "modals"),
    [
        (classifier_uncertainty, modal_uncertainty),
        (classifier_margin, lambda learner, X: 1 - modal_margin(learner, X)),
        (classifier_entropy, modal_entropy),
    ],
)
def test_scores_of_a_classifier_are_modals(ours, modals, learner, pool):
    np.testing.assert_allclose(ours(learner, pool), modals(learner, pool), rtol=1e-5)


@pytest.mark.parametrize(
    ("strategy", "score"),
    [(uncertainty, uncertainty_score), (margin, margin_score), (entropy, entropy_score)],
)
class TestStrategy:
    def test_takes_the_highest_scores(self, strategy, score, learner, pool):
        indices, scores = strategy(learner, pool, 7)
        all_scores = score(learner.predict_proba(pool))
        np.testing.assert_allclose(scores, np.sort(all_scores)[::-1][:7])
        np.testing.assert_allclose(scores, all_scores[indices])

    def test_balance_takes_the_best_of_each_predicted_class(self, strategy, score, learner, pool):
        proba = learner.predict_proba(pool)
        predicted, all_scores = proba.argmax(axis=1), score(proba)
        assert len(np.unique(predicted)) == 3
        indices, _ = strategy(learner, pool, 3, balance=True)
        best = [
            np.flatnonzero(predicted == c)[all_scores[predicted == c].argmax()] for c in (0, 1, 2)
        ]
        assert set(indices) == set(best)


def test_random_draws_every_image_as_often():
    X = np.zeros((10, 2))
    counts = np.bincount(
        np.concatenate([random(None, X, 3, random_state=seed)[0] for seed in range(1000)])
    )
    assert abs(counts - 300).max() < 5 * np.sqrt(1000 * 0.3 * 0.7)

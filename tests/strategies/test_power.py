"""Stochastic batches: drawn with the probabilities of the definition."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from al_tf.strategies.power import power_bald, power_draw, power_margin


@pytest.mark.parametrize("beta", [0.5, 1.0, 4.0])
def test_a_batch_is_drawn_without_replacement_by_a_power_of_the_scores(beta):
    scores = np.array([0.9, 0.5, 0.2, 0.05])
    weights = scores**beta
    expected = {}
    for i in range(4):
        for j in set(range(4)) - {i}:
            first = weights[i] / weights.sum()
            expected[i, j] = first * weights[j] / (weights.sum() - weights[i])
    n = 4000
    rng = np.random.default_rng(0)
    counts = Counter(tuple(map(int, power_draw(scores, 2, beta, rng)[0])) for _ in range(n))
    for pair, p in expected.items():
        assert abs(counts[pair] - n * p) < 5 * np.sqrt(n * p * (1 - p)) + 1


@pytest.mark.parametrize("strategy", [power_margin, power_bald])
def test_the_score_itself_is_the_chance_unless_said_otherwise(answers, strategy):
    samples = np.random.default_rng(0).dirichlet([1, 1, 1], size=(20, 40))
    model, X = answers(proba=samples[0], samples=samples), np.zeros((40, 2))
    by_default = strategy(model, X, 10, random_state=0)
    stated = strategy(model, X, 10, random_state=0, beta=1.0)
    assert by_default[0].tolist() == stated[0].tolist()


def test_images_without_a_score_come_last():
    scores = np.array([0.0, 0.3, 0.0, 0.2])
    for seed in range(30):
        assert set(power_draw(scores, 2, 1.0, seed)[0]) == {1, 3}
    assert sorted(power_draw(scores, 4, 1.0, 0)[0]) == [0, 1, 2, 3]


def test_margin_is_the_score(answers):
    model = answers(proba=[[0.5, 0.5], [1.0, 0.0], [1.0, 0.0]])
    chosen = [
        int(power_margin(model, np.zeros((3, 4)), 1, random_state=s)[0][0]) for s in range(20)
    ]
    assert set(chosen) == {0}


def test_bald_is_the_score(answers):
    samples = np.full((2, 5, 2), 0.5)
    samples[:, 3] = [[1, 0], [0, 1]]
    model, X = answers(samples=samples), np.zeros((5, 4))
    chosen = {int(power_bald(model, X, 1, random_state=s, n_samples=2)[0][0]) for s in range(20)}
    assert chosen == {3}


@pytest.mark.parametrize("beta", [0, -1, np.inf, np.nan])
def test_beta_is_a_positive_number(beta):
    with pytest.raises(ValueError, match="beta must be a positive number"):
        power_draw(np.ones(3), 1, beta)

"""BALD: the disagreement of stochastic passes."""

from __future__ import annotations

import re

import numpy as np
import pytest

from al_tf.strategies.bald import bald, bald_score, classifier_bald
from al_tf.strategies.testing import FakeClassifier


def test_the_score_is_the_mutual_information():
    agree = [[0.7, 0.3], [0.7, 0.3]]  # doubt that all passes share does not count
    contradict = [[1.0, 0.0], [0.0, 1.0]]
    between = [[0.9, 0.1], [0.5, 0.5]]
    samples = np.array([agree, contradict, between]).transpose(1, 0, 2)  # (S, n, K)
    h = lambda p: -(p * np.log(p) + (1 - p) * np.log(1 - p))  # noqa: E731
    expected = [0, np.log(2), h(0.7) - (h(0.9) + h(0.5)) / 2]
    np.testing.assert_allclose(bald_score(samples), expected, atol=1e-15)


def test_the_score_is_never_negative():
    samples = np.repeat(np.random.default_rng(0).dirichlet(np.ones(7), size=(1, 200)), 9, axis=0)
    assert bald_score(samples.astype(np.float32)).min() >= 0


@pytest.mark.parametrize("shape", [(3, 4), (1, 3, 4)])
def test_the_score_needs_passes_to_compare(shape):
    message = f"^BALD needs .* S of 2 or more passes; got {re.escape(str(shape))}"
    with pytest.raises(ValueError, match=message):
        bald_score(np.full(shape, 0.25))


def test_the_batch_is_where_passes_disagree(answers):
    samples = np.full((2, 5, 2), 0.5)
    samples[:, 3] = [[1, 0], [0, 1]]
    indices, scores = bald(answers(samples=samples), np.zeros((5, 4)), 1, n_samples=2)
    assert indices.tolist() == [3]
    np.testing.assert_allclose(scores, np.log(2))


def test_balance_spreads_over_the_classes_of_the_mean(answers):
    samples = np.empty((2, 6, 2))
    samples[0, :, 0] = [0.6, 0.7, 0.8, 0.9, 0.2, 0.1]
    samples[1, :, 0] = [0.9, 0.9, 0.9, 0.9, 0.2, 0.2]
    samples[..., 1] = 1 - samples[..., 0]
    model, X = answers(samples=samples), np.zeros((6, 4))
    assert bald(model, X, 2, n_samples=2)[0].tolist() == [0, 1]
    assert bald(model, X, 2, n_samples=2, balance=True)[0].tolist() == [0, 5]


def test_ties_follow_the_random_state(answers):
    model, X = answers(samples=np.full((2, 40, 2), 0.5)), np.zeros((40, 4))
    first, again, other = (
        bald(model, X, 5, n_samples=2, random_state=seed)[0].tolist() for seed in (0, 0, 1)
    )
    assert first == again != other


def test_the_score_of_a_classifier_follows_its_random_state(learner, pool):
    first, again, other = (classifier_bald(learner, pool, random_state=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_number_of_passes_is_asked_for(learner, pool):
    few = classifier_bald(learner, pool, n_samples=2, random_state=0)
    many = classifier_bald(learner, pool, n_samples=50, random_state=0)
    assert few.shape == many.shape == (60,)
    assert not np.allclose(few, many)


def test_a_model_without_dropout_says_so(labeled, pool):
    with pytest.raises(ValueError, match="no dropout"):
        bald(FakeClassifier(dropout=0).fit(*labeled), pool)


def test_an_estimator_without_stochastic_passes_says_so(answers, pool):
    with pytest.raises(
        TypeError, match=r"needs an estimator with sample_proba.*Answers has no such method"
    ):
        bald(answers(), pool)


@pytest.mark.parametrize("n_samples", [0, 1])
def test_one_pass_is_refused(n_samples, learner, pool):
    with pytest.raises(ValueError, match=f"n_samples must be 2 or more; got {n_samples}"):
        bald(learner, pool, n_samples=n_samples)


def test_passes_of_another_shape_are_refused(answers, pool):
    with pytest.raises(ValueError, match=r"shape \(3, 60, K\); got \(2, 60, 2\)"):
        bald(answers(samples=np.full((2, 60, 2), 0.5)), pool, n_samples=3)


def test_nan_in_one_pass_counts_as_one_image(answers, pool):
    samples = np.full((3, 60, 2), 0.5)
    samples[1, 7] = np.nan
    with pytest.raises(ValueError, match="1 of 60 rows of probabilities are not finite"):
        bald(answers(samples=samples), pool, n_samples=3)

"""Class-balanced sampling: the objective, greedily, and what a class lacks."""

from __future__ import annotations

import numpy as np
import pytest

from al_tf.strategies.cbal import cbal, missing_labels
from al_tf.strategies.testing import FakeClassifier, FakeLearner
from al_tf.strategies.uncertainty import entropy, entropy_score


def test_each_choice_raises_the_objective_most(learner, pool):
    proba = learner.predict_proba(pool).astype(np.float64)
    indices, scores = cbal(learner, pool, 10, random_state=0, weight=0.7)
    missing = missing_labels(learner, 3, 10)

    def objective(rows):
        return (
            entropy_score(proba[rows]).sum() - 0.7 * np.abs(missing - proba[rows].sum(axis=0)).sum()
        )

    for step in range(10):
        before = list(indices[:step])
        gains = {
            i: objective([*before, i]) - objective(before) for i in set(range(60)) - set(before)
        }
        assert scores[step] == pytest.approx(gains[indices[step]], abs=1e-9)
        assert scores[step] == pytest.approx(max(gains.values()), abs=1e-9)


@pytest.mark.parametrize("weight", [0.0, 0.6, 1e5])
def test_old_values_as_bounds_change_no_choice(answers, weight):
    rng = np.random.default_rng(0)
    proba = np.round(rng.dirichlet(np.full(4, 0.3), 400), 1) + 1e-3  # with many ties
    proba /= proba.sum(axis=1, keepdims=True)
    learner, pool = answers(proba=proba), np.zeros((400, 2))
    indices, scores = cbal(learner, pool, 400, random_state=0, weight=weight)
    missing, free = missing_labels(learner, 4, 400), np.ones(400, dtype=bool)
    for row, score in zip(indices, scores, strict=True):
        closer = np.abs(missing).sum() - np.abs(missing - proba).sum(axis=1)
        added = entropy_score(proba) + weight * closer
        tolerance = 1e-12 * (1 + weight * np.abs(missing).sum())
        assert score == pytest.approx(added[row], abs=tolerance)
        assert score >= added[free].max() - tolerance
        missing, free[row] = missing - proba[row], False


def test_a_class_lacks_its_share_of_all_labels_after_the_batch(pool):
    y = np.array(["a"] * 6 + ["b"] * 2)
    learner = FakeLearner(FakeClassifier(["a", "b", "c"]), pool[:8], y)
    np.testing.assert_allclose(missing_labels(learner, 3, 4), [0, 2, 4])
    learner.y_training = np.eye(3)[[0] * 6 + [1] * 2]
    np.testing.assert_allclose(missing_labels(learner, 3, 4), [0, 2, 4])
    np.testing.assert_allclose(missing_labels(learner.estimator, 3, 6), [2, 2, 2])
    learner.y_training = np.array(["b"])
    np.testing.assert_allclose(missing_labels(learner, 3, 5), [2, 1, 2])


def test_a_model_without_classes_has_those_of_its_labels(answers):
    model = answers(proba=[[0.5, 0.5]])
    model.y_training = np.array(["a", "a", "a", "b"])
    np.testing.assert_allclose(missing_labels(model, 2, 2), [0, 2])


def test_balance_counts_as_much_as_entropy_unless_said_otherwise(learner, pool):
    by_default, scores = cbal(learner, pool, 8, random_state=0)
    stated, same = cbal(learner, pool, 8, random_state=0, weight=1.0)
    assert by_default.tolist() == stated.tolist()
    np.testing.assert_allclose(scores, same)


def test_images_of_the_class_without_labels_are_asked_for_first(answers):
    proba = np.repeat(
        [[0.85, 0.1, 0.05], [0.1, 0.85, 0.05], [0.05, 0.1, 0.85]], [20, 20, 3], axis=0
    )
    learner = answers(proba=proba)
    learner.y_training, learner.classes_ = np.array(["a"] * 9 + ["b"] * 9), ["a", "b", "c"]
    indices, _ = cbal(learner, np.zeros((43, 2)), 3, random_state=0, weight=5.0)
    assert set(indices) == {40, 41, 42}


def test_without_weight_it_is_entropy_sampling(learner, pool):
    balanced, _ = cbal(learner, pool, 8, weight=0)
    assert balanced.tolist() == entropy(learner, pool, 8)[0].tolist()


def test_labels_that_do_not_fit_the_model_are_refused(learner):
    with pytest.raises(ValueError, match="has 3 classes but the model predicts 5"):
        missing_labels(learner, 5, 2)


@pytest.mark.parametrize("weight", [-1, np.nan])
def test_the_weight_is_a_number(learner, pool, weight):
    with pytest.raises(ValueError, match="weight must be a number of 0 or more"):
        cbal(learner, pool, 2, weight=weight)

"""TCM: TypiClust up to a number of labels per class, margin from there on."""

from __future__ import annotations

import numpy as np
import pytest

from al_tf.strategies.cold_start import FeaturesOnly
from al_tf.strategies.tcm import tcm
from al_tf.strategies.testing import FakeClassifier, FakeLearner
from al_tf.strategies.typiclust import typiclust
from al_tf.strategies.uncertainty import margin


@pytest.mark.parametrize(
    ("labels_per_class", "strategy"),
    [(4.0, typiclust), (3.01, typiclust), (3.0, margin), (0, margin)],
)
def test_it_switches_at_a_number_of_labels_per_class(learner, pool, labels_per_class, strategy):
    """The learner has nine labels of three classes."""
    expected = strategy(learner, pool, 6, random_state=0)
    answer = tcm(learner, pool, 6, random_state=0, labels_per_class=labels_per_class)
    np.testing.assert_array_equal(answer[0], expected[0])
    np.testing.assert_array_equal(answer[1], expected[1])


def test_the_default_is_five_labels_per_class(pool):
    for n, strategy in ((14, typiclust), (15, margin)):
        labels = np.resize(["a", "b", "c"], n)
        learner = FakeLearner(FakeClassifier(), pool[:n], labels)
        expected, _ = strategy(learner, pool, 4, random_state=0)
        np.testing.assert_array_equal(tcm(learner, pool, 4, random_state=0)[0], expected)


def test_typical_images_are_those_of_features_of_unit_length_unless_told_not_to():
    X = np.random.default_rng(0).standard_normal((80, 4)) * np.linspace(0.1, 9, 80)[:, None]
    learner = FakeLearner(FakeClassifier(), X[:6], np.resize(["a", "b", "c"], 6))
    for start in (learner, FeaturesOnly()):
        expected, _ = typiclust(start, X, 6, random_state=0, unit_length=True)
        assert tcm(start, X, 6, random_state=0)[0].tolist() == expected.tolist()
        as_they_come, _ = typiclust(start, X, 6, random_state=0, unit_length=False)
        answer, _ = tcm(start, X, 6, random_state=0, unit_length=False)
        assert answer.tolist() == as_they_come.tolist() != expected.tolist()


def test_it_starts_without_a_prediction(pool):
    class Features:
        def transform(self, X):
            return np.asarray(X).reshape(len(X), -1)

    assert len(set(tcm(Features(), pool, 5, random_state=0)[0])) == 5


@pytest.mark.parametrize("labels_per_class", [-1, np.inf])
def test_the_switch_is_a_number(learner, pool, labels_per_class):
    with pytest.raises(ValueError, match="labels_per_class must be a number of 0 or more"):
        tcm(learner, pool, 2, labels_per_class=labels_per_class)


def test_ties_are_broken_by_the_seed(answers):
    model, X = answers(proba=np.full((50, 2), 0.5)), np.zeros((50, 2))
    chosen = [
        tcm(model, X, 5, random_state=seed, labels_per_class=0)[0].tolist() for seed in (0, 0, 1)
    ]
    assert chosen[0] == chosen[1] != chosen[2]

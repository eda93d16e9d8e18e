"""A fitted fake classifier and its learner; nothing here needs TensorFlow."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from al_tf.strategies.testing import FakeClassifier, FakeCommittee, FakeLearner

CLASSES = ["bag", "boot", "coat"]


class Answers:
    """An estimator that gives the answers it was made with, whatever the pool."""

    def __init__(self, proba=None, features=None, samples=None):
        if proba is not None:
            self.predict_proba = lambda X: np.array(proba)
        if features is not None:
            self.transform = lambda X: np.array(features, dtype=np.float32)
        if samples is not None:
            self.sample_proba = lambda X, n_samples, random_state: np.array(samples)


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Tiny k-means runs take ten times as long when threads wait for each other on busy cores."""
    import sklearn.cluster  # noqa: F401  (loads the libraries that are to be limited)

    with threadpool_limits(1):
        yield


@pytest.fixture
def answers():
    return Answers


@pytest.fixture
def pool():
    return np.random.default_rng(0).random((60, 5, 5)).astype(np.float32)


@pytest.fixture
def labeled():
    rng = np.random.default_rng(1)
    return rng.random((9, 5, 5)).astype(np.float32), np.resize(CLASSES, 9)


@pytest.fixture
def learner(labeled):
    return FakeLearner(FakeClassifier(CLASSES), *labeled)


@pytest.fixture
def committee(labeled):
    learners = [FakeLearner(FakeClassifier(CLASSES, seed=seed), *labeled) for seed in range(3)]
    return FakeCommittee(learners)

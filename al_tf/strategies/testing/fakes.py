"""Stand-ins for a trained network, in numpy alone, for tests of strategies.

They are deterministic, smooth in the pixels, and treat every image by itself: a change of the answer
when the pool is reordered or copied comes from the strategy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...seeding import RandomState, check_random_state


class FakeClassifier:
    """A nearest-centre classifier on a random projection of the pixels.

    Features are ``tanh`` of a seeded linear projection; probabilities are a softmax of negative
    squared distances to class centres, which move from seeded places towards the labeled images.

    Parameters
    ----------
    classes : sequence, optional
        The label set; by default the labels seen by `fit`.
    n_features : int
        Width of ``transform``.
    dropout : float
        Fraction of features dropped in each pass of ``sample_proba``.
    seed : int
        Of the projection and of the centres.
    joint_samples : bool
        Drop the same features of all images in a pass, as samples of the weights do. By default
        each pass drops other features of each image, as a network with dropout does.

    Examples
    --------
    >>> from al_tf import load_dataset
    >>> from al_tf.strategies.testing import FakeClassifier
    >>> digits = load_dataset("digits")
    >>> classifier = FakeClassifier().fit(digits.x_train[:50], digits.y_train[:50])
    >>> classifier.predict_proba(digits.x_test).shape, classifier.transform(digits.x_test).shape
    ((359, 10), (359, 5))
    """

    def __init__(
        self,
        classes: Sequence[Any] | None = None,
        n_features: int = 5,
        dropout: float = 0.3,
        seed: int = 0,
        joint_samples: bool = False,
    ) -> None:
        self.classes = classes
        self.n_features = n_features
        self.dropout = dropout
        self.seed = seed
        self.joint_samples = joint_samples

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the constructor's arguments, for scikit-learn's ``clone``."""
        names = ("classes", "n_features", "dropout", "seed", "joint_samples")
        return {name: getattr(self, name) for name in names}

    def fit(self, X: Any, y: Any) -> FakeClassifier:
        """Move each class centre from its seeded place to the mean of it and its images."""
        y = np.asarray(y)
        self.classes_ = np.unique(y if self.classes is None else np.asarray(self.classes))
        hidden = self._features(X).astype(np.float64)
        centres = np.random.default_rng(self.seed).normal(
            scale=0.7, size=(len(self.classes_), self.n_features)
        )
        for row, label in enumerate(self.classes_):
            members = hidden[y == label]
            centres[row] = (centres[row] + members.sum(axis=0)) / (1 + len(members))
        self.centres_ = centres
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return features ``(n, n_features)`` in (-1, 1), float32."""
        return self._features(X)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return probabilities ``(n, K)``, float32."""
        return self._proba(self._features(X))

    def predict_with_features(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return ``(predict_proba(X), transform(X))``."""
        hidden = self._features(X)
        return self._proba(hidden), hidden

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable labels ``(n,)``."""
        return self.classes_[self._proba(self._features(X)).argmax(axis=1)]

    def sample_proba(
        self, X: Any, n_samples: int = 10, random_state: RandomState = None
    ) -> np.ndarray:
        """Return probabilities of passes with dropout ``(n_samples, n, K)``, float32."""
        if self.dropout <= 0:
            raise ValueError("This model has no dropout; all its samples would be equal.")
        hidden = self._features(X)
        rng = check_random_state(random_state)
        n_masks = 1 if self.joint_samples else len(hidden)
        kept = rng.random((n_samples, n_masks, self.n_features)) >= self.dropout
        return np.stack([self._proba(hidden * mask) for mask in kept])

    def _features(self, X: Any) -> np.ndarray:
        pixels = np.asarray(X).reshape(len(X), -1)
        scale = 255.0 if pixels.dtype == np.uint8 else 1.0
        projection = np.random.default_rng(self.seed).normal(
            size=(pixels.shape[1], self.n_features)
        )
        # Not a matrix product: BLAS may round a row differently at another place in the pool.
        sums = np.einsum("np,pd->nd", pixels / scale - 0.5, projection, optimize=False)
        return np.tanh(sums).astype(np.float32)

    def _proba(self, hidden: np.ndarray) -> np.ndarray:
        logits = -((hidden[:, None, :].astype(np.float64) - self.centres_) ** 2).sum(axis=2)
        unnormalised = np.exp(logits - logits.max(axis=1, keepdims=True))
        return (unnormalised / unnormalised.sum(axis=1, keepdims=True)).astype(np.float32)


class FakeLearner:
    """The parts of an active learner that a strategy may use: the estimator and the labeled set.

    Parameters
    ----------
    estimator : object
        With ``fit`` and ``predict_proba``; it is fitted here.
    X_training, y_training : ndarray
        The labeled set.

    Examples
    --------
    >>> from al_tf import load_dataset
    >>> from al_tf.strategies.testing import FakeClassifier, FakeLearner
    >>> digits = load_dataset("digits")
    >>> learner = FakeLearner(FakeClassifier(), digits.x_train[:50], digits.y_train[:50])
    >>> len(learner.X_training), learner.predict_proba(digits.x_test).shape
    (50, (359, 10))
    """

    def __init__(self, estimator: Any, X_training: Any, y_training: Any) -> None:
        self.estimator = estimator.fit(X_training, y_training)
        self.query_strategy = None
        self.X_training = X_training
        self.y_training = y_training

    def predict(self, X: Any) -> np.ndarray:
        """Return the estimator's labels."""
        return self.estimator.predict(X)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the estimator's probabilities."""
        return self.estimator.predict_proba(X)


class FakeCommittee:
    """A committee of learners with a common labeled set, and modAL's methods.

    Parameters
    ----------
    learner_list : list
        Learners with the same classes.

    Examples
    --------
    >>> from al_tf import load_dataset
    >>> from al_tf.strategies.testing import FakeClassifier, FakeCommittee, FakeLearner
    >>> digits = load_dataset("digits")
    >>> committee = FakeCommittee([
    ...     FakeLearner(FakeClassifier(seed=seed), digits.x_train[:50], digits.y_train[:50])
    ...     for seed in range(3)])
    >>> committee.vote(digits.x_test).shape
    (359, 3)
    """

    def __init__(self, learner_list: Sequence[Any]) -> None:
        self.learner_list = list(learner_list)
        self.classes_ = self.learner_list[0].estimator.classes_
        self.X_training = self.learner_list[0].X_training
        self.y_training = self.learner_list[0].y_training

    def __len__(self) -> int:
        return len(self.learner_list)

    def vote(self, X: Any) -> np.ndarray:
        """Return every learner's label ``(n, n_learners)``."""
        return np.stack([learner.predict(X) for learner in self.learner_list], axis=1)

    def vote_proba(self, X: Any) -> np.ndarray:
        """Return every learner's probabilities ``(n, n_learners, K)``."""
        return np.stack([learner.predict_proba(X) for learner in self.learner_list], axis=1)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the mean of the learners' probabilities ``(n, K)``."""
        return self.vote_proba(X).mean(axis=1)

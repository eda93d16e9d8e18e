"""A pool of points in the plane and a model on it, so that a strategy's choice can be seen.

The model is a linear softmax on the coordinates. Its features are the coordinates themselves, so
distances in the picture are the distances that strategies measure.
"""

from __future__ import annotations

import inspect
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from al_tf import ActiveLearner, Committee
from al_tf.network.laplace import LaplacePosterior
from al_tf.network.linear_head import fit_head, softmax
from al_tf.seeding import RandomState, check_random_state, stream
from al_tf.strategies import StrategyInfo

BATCH = 8
ROUNDS = 4
N_MEMBERS = 5
_INVERSE_PENALTY = 10.0


class Plane(NamedTuple):
    """Points ``(n, 2)``, their classes ``(n,)``, and the rows labeled at the start."""

    points: np.ndarray
    classes: np.ndarray
    labeled: np.ndarray


def make_plane() -> Plane:
    """Return three classes: two that overlap, one of them crowded, and a rare one with outliers."""
    rng = stream(0, "plane")
    blobs = [
        ((-0.7, -0.2), (0.28, 0.24), 90, 0),
        ((-0.9, 0.75), (0.10, 0.10), 40, 0),
        ((0.2, 0.1), (0.34, 0.30), 70, 1),
        ((0.95, 0.85), (0.16, 0.14), 30, 2),
        ((0.9, -0.95), (0.10, 0.10), 8, 2),
    ]
    points = np.concatenate([rng.normal(m, s, size=(n, 2)) for m, s, n, _ in blobs])
    classes = np.concatenate([np.full(n, c) for *_, n, c in blobs])
    labeled = np.concatenate(
        [rng.choice(np.flatnonzero(classes == c), 2, replace=False) for c in range(3)]
    )
    return Plane(points, classes, labeled)


class PlaneClassifier(ClassifierMixin, BaseEstimator):
    """The linear probe without its backbone: softmax regression on points, and samples of it.

    Parameters
    ----------
    seed : int or None
        Weights the labeled points at random, as a Bayesian bootstrap does, so that the members of
        a committee differ; None weights them equally.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed

    def fit(self, X: Any, y: Any) -> PlaneClassifier:
        """Fit on points ``(n, 2)`` and labels ``(n,)``."""
        X = np.asarray(X, dtype=float)
        self.classes_, codes = np.unique(y, return_inverse=True)
        weights = np.ones(len(X))
        if self.seed is not None:
            weights = np.random.default_rng(self.seed).exponential(size=len(X))
        self.head_ = fit_head(X, codes, weights, len(self.classes_), _INVERSE_PENALTY)
        self.fitted_to_ = (X, codes, weights)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable labels ``(n,)``."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return probabilities ``(n, K)``."""
        return self.head_.proba(self.transform(X))

    def transform(self, X: Any) -> np.ndarray:
        """Return the points: they are their own features."""
        return np.asarray(X, dtype=np.float32)

    def predict_with_features(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return ``(predict_proba(X), transform(X))``."""
        return self.predict_proba(X), self.transform(X)

    def sample_proba(
        self, X: Any, n_samples: int = 10, random_state: RandomState = None
    ) -> np.ndarray:
        """Return probabilities ``(n_samples, n, K)`` under weights of the Laplace approximation."""
        posterior = LaplacePosterior(self.head_, *self.fitted_to_, _INVERSE_PENALTY)
        samples = []
        for coef, intercept in posterior.heads(n_samples, check_random_state(random_state)):
            scores = np.einsum("nd,dsk->snk", self.transform(X), coef) + intercept[:, None, :]
            samples.append(softmax(scores))
        return np.concatenate(samples)


def make_learner(info: StrategyInfo, X: np.ndarray, y: np.ndarray) -> Any:
    """Return the learner, or the committee, that the strategy asks, fitted to labeled points."""
    if "committee" not in info.needs:
        return ActiveLearner(PlaneClassifier(), info.function, X, y)
    members = [
        ActiveLearner(PlaneClassifier(seed), X_training=X, y_training=y)
        for seed in range(N_MEMBERS)
    ]
    return Committee(members, info.function)


def has_unit_length(info: StrategyInfo) -> bool:
    """Tell whether a strategy can take features without dividing them by their lengths."""
    return "unit_length" in inspect.signature(info.function).parameters


def run(info: StrategyInfo, plane: Plane, rounds: int = ROUNDS) -> list[np.ndarray]:
    """Return the rows of the plane that the strategy asks for in each round, in its order."""
    options = {"unit_length": False} if has_unit_length(info) else {}
    labeled = plane.labeled
    asked: list[np.ndarray] = []
    for number in range(rounds):
        pool = np.setdiff1d(np.arange(len(plane.points)), labeled)
        learner = make_learner(info, plane.points[labeled], plane.classes[labeled])
        chosen, _ = learner.query(
            plane.points[pool], n_instances=BATCH, random_state=number, **options
        )
        asked.append(pool[chosen])
        labeled = np.concatenate([labeled, asked[-1]])
    return asked

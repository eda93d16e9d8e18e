"""What an experiment can train: the network, and a fast linear baseline on the pixels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..network.fitting import gradient_steps as steps_of_fit

if TYPE_CHECKING:
    from .config import ExperimentConfig


class Estimator(Protocol):
    """What the loop asks of a model; `KerasImageClassifier` is the full form of it."""

    history_: dict[str, Any]

    def set_params(self, **params: Any) -> Any:
        """Take ``random_state=…`` before each fit."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> Any:
        """Train, and leave ``steps`` and ``loss`` (a list) in ``history_``."""

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return ``(n, K)`` with a column for every class of the dataset."""

    def save_weights(self, path: Path) -> None:
        """Write all that the next fit or prediction depends on."""

    def load_weights(self, path: Path) -> Any:
        """Become the model that `save_weights` wrote."""


class PixelLogistic:
    """Multinomial logistic regression on the pixels: no features learnt, no seed, very fast.

    Parameters
    ----------
    n_classes : int
        Columns of `predict_proba`; a class without a label yet has probability 0.
    max_iter : int
        Iterations of L-BFGS.
    C : float
        Inverse strength of the L2 penalty.
    """

    def __init__(self, n_classes: int, *, max_iter: int = 50, C: float = 1.0) -> None:
        self.n_classes, self.max_iter, self.C = n_classes, max_iter, C
        self.history_: dict[str, Any] = {}

    def set_params(self, **params: Any) -> PixelLogistic:
        """Take ``random_state`` and leave it: the optimum does not depend on one."""
        return self

    def fit(self, X: np.ndarray, y: np.ndarray) -> PixelLogistic:
        """Train on images ``(n, H, W[, C])`` and classes ``(n,)``."""
        import warnings

        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(C=self.C, max_iter=self.max_iter)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # max_iter is a choice here
            model.fit(self.transform(X), y)
        binary = len(model.classes_) == 2  # one row there: the other class's scores are 0
        zeros = np.zeros_like(model.coef_)
        self._coef = np.concatenate([zeros, model.coef_]) if binary else model.coef_
        intercept = model.intercept_
        self._intercept = np.append(0.0, intercept) if binary else intercept
        self._present = model.classes_
        self.history_ = {"steps": int(model.n_iter_.max()), "loss": []}
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return the pixels in [0, 1] as features ``(n, d)`` float32."""
        return np.asarray(X, dtype=np.float32).reshape(len(X), -1) / np.float32(255)

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return class probabilities ``(n, K)``."""
        from scipy.special import softmax

        scores = self.transform(X) @ self._coef.T + self._intercept
        proba = np.zeros((len(X), self.n_classes))
        proba[:, self._present] = softmax(scores, axis=1)
        return proba

    def save_weights(self, path: Path) -> None:
        """Write the coefficients as NPZ."""
        np.savez(path, coef=self._coef, intercept=self._intercept, present=self._present)

    def load_weights(self, path: Path) -> Any:
        """Read what `save_weights` wrote."""
        with np.load(path) as saved:
            self._coef, self._intercept = saved["coef"], saved["intercept"]
            self._present = saved["present"]


def _cnn(config: ExperimentConfig, n_classes: int) -> Estimator:
    from ..network.classifier import KerasImageClassifier

    return KerasImageClassifier(
        model_params=dict(config.model_params) or None,
        classes=range(n_classes),
        epochs=config.epochs,
        batch_size=config.batch_size,
        min_steps=config.min_steps,
        fit_mode=config.fit_mode,
    )


def _logistic(config: ExperimentConfig, n_classes: int) -> Estimator:
    return PixelLogistic(n_classes, **config.model_params)


MODELS: dict[str, Callable[[ExperimentConfig, int], Estimator]] = {
    "cnn": _cnn,
    "logistic": _logistic,
}


def build_estimator(config: ExperimentConfig, n_classes: int) -> Estimator:
    """Return an unfitted model of the kind that `config` names."""
    return MODELS[config.model](config, n_classes)


def gradient_steps(config: ExperimentConfig, n_labeled: int) -> int:
    """Return how many gradient steps one fit takes; 0 for a model without them."""
    if config.model != "cnn":
        return 0
    return steps_of_fit(
        n_labeled,
        epochs=config.epochs,
        batch_size=config.batch_size,
        min_steps=config.min_steps,
    )

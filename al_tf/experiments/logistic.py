"""A fast linear baseline: multinomial logistic regression on the pixels."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin


class PixelLogistic(ClassifierMixin, BaseEstimator):
    """Multinomial logistic regression on the pixels: no learned features, no seed, very fast.

    Parameters
    ----------
    classes : sequence of int, optional
        Every class of the task, ascending, a column of `predict_proba` for each; one without a
        label yet has probability 0. By default those in `y`.
    max_iter : int
        Most iterations of L-BFGS; fewer than it needs is a choice here, and no warning.
    C : float
        Inverse strength of the L2 penalty, above 0.
    random_state : int, optional
        Accepted from the experiment and not used: the optimum does not depend on a seed.

    Attributes
    ----------
    classes_ : ndarray of int, shape (K,)
    history_ : dict
        ``steps``: iterations of the last fit; ``loss``: an empty list.

    Examples
    --------
    >>> from al_tf import load_dataset
    >>> data = load_dataset("digits")
    >>> model = PixelLogistic(classes=range(10)).fit(data.x_train[:100], data.y_train[:100])
    >>> model.predict_proba(data.x_test).shape
    (359, 10)
    """

    def __init__(
        self,
        classes: Sequence[int] | None = None,
        *,
        max_iter: int = 50,
        C: float = 1.0,
        random_state: int | None = None,
    ) -> None:
        self.classes = classes
        self.max_iter = max_iter
        self.C = C
        self.random_state = random_state

    def fit(self, X: np.ndarray, y: np.ndarray) -> PixelLogistic:
        """Train on images ``(n, H, W[, C])``, uint8, and classes ``(n,)``.

        Raises
        ------
        ValueError
            A label that is not among `classes`.
        """
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        present = np.unique(y)
        self.classes_ = present if self.classes is None else np.asarray(self.classes)
        unknown = np.setdiff1d(present, self.classes_)
        if len(unknown):
            raise ValueError(
                f"y holds {unknown[0]!r}, which is not among {self.classes_.tolist()}."
            )
        features = self.transform(X)
        scores = np.zeros((len(self.classes_), features.shape[1] + 1))
        scores[:, -1] = -np.inf  # of a class without a label
        rows = np.searchsorted(self.classes_, present)
        n_iter = 0
        if len(present) == 1:
            scores[rows, -1] = 0.0
        else:
            model = LogisticRegression(C=self.C, max_iter=self.max_iter)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                model.fit(features, y)
            if len(present) == 2:  # one row there: the other class's scores are 0
                scores[rows[0], -1] = 0.0
                rows = rows[1:]
            scores[rows] = np.column_stack([model.coef_, model.intercept_])
            n_iter = int(model.n_iter_.max())
        self.coef_, self.intercept_ = scores[:, :-1], scores[:, -1]
        self.history_ = {"steps": n_iter, "loss": []}
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return the pixels in [0, 1] as features ``(n, d)`` float32."""
        return np.asarray(X, dtype=np.float32).reshape(len(X), -1) / np.float32(255)

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return class probabilities ``(n, K)``."""
        from scipy.special import softmax
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self)
        return softmax(self.transform(X) @ self.coef_.T + self.intercept_, axis=1)

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the likeliest class of each image ``(n,)``."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def save_weights(self, path: str | Path) -> None:
        """Write the coefficients as NPZ."""
        np.savez(path, coef=self.coef_, intercept=self.intercept_, classes=self.classes_)

    def load_weights(self, path: str | Path) -> Any:
        """Become the model that `save_weights` wrote, and return it."""
        with np.load(path) as saved:
            self.coef_, self.intercept_ = saved["coef"], saved["intercept"]
            self.classes_ = saved["classes"]
        return self

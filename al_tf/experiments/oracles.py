"""Answers to queries: the true labels, or labels with errors at a stated rate."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..seeding import stream


def oracle_answers(
    y: np.ndarray, noise: Any, n_classes: int, seed: int, *, annotator: int | None = None
) -> np.ndarray:
    """Return what the oracle would answer for every image, whenever it is asked.

    An answer belongs to the image and the seed: asking in another order, or twice, changes
    nothing, so strategies that ask for the same image get the same answer.

    Parameters
    ----------
    y : ndarray of int, shape (n,)
        True classes, 0 … K-1.
    noise : float or array-like, shape (K, K)
        Probability of a wrong answer, uniform over the other classes; or one row per true class
        with the probability of each answer.
    n_classes : int
        K.
    seed : int
        Master seed of the run.
    annotator : int, optional
        Which of several, whose errors are independent of each other.

    Returns
    -------
    ndarray of int64, shape (n,)

    Raises
    ------
    ValueError
        A matrix that is not K x K, or with a row that is not a distribution.
    """
    cumulative = np.cumsum(_confusion(noise, n_classes), axis=1)  # (K, K)
    who = () if annotator is None else (annotator,)
    draws = stream(seed, "oracle", *who).random(len(y))
    answers = (draws[:, None] >= cumulative[y]).sum(axis=1)  # (n,)
    return np.minimum(answers, n_classes - 1).astype(np.int64)


def _confusion(noise: Any, n_classes: int) -> np.ndarray:
    matrix = np.asarray(noise, dtype=np.float64)
    if matrix.ndim == 0:
        rate = float(matrix) if n_classes > 1 else 0.0
        others = rate / max(n_classes - 1, 1)
        return np.where(np.eye(n_classes, dtype=bool), 1.0 - rate, others)
    if matrix.shape != (n_classes, n_classes):
        raise ValueError(
            f"The oracle's confusion matrix must be {n_classes} x {n_classes} for these classes; "
            f"got the shape {matrix.shape}."
        )
    if (matrix < 0).any() or not np.allclose(matrix.sum(axis=1), 1.0, atol=1e-6):
        raise ValueError(
            "Each row of the oracle's confusion matrix is P(answer | true class): 0 or more, "
            f"summing to 1. The sums are {matrix.sum(axis=1).round(4).tolist()}."
        )
    return matrix

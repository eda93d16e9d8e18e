"""Answers to queries: the true labels, labels with errors, or those of several annotators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Panel:
    """What each annotator answers about each image, whenever asked, and who is asked first."""

    answers: np.ndarray
    """Class indices, int ``(A, n)``."""
    first: np.ndarray
    """The annotator who is asked first, int ``(n,)``; the next in number is the next asked."""

    def __len__(self) -> int:
        return len(self.answers)

    @property
    def first_answers(self) -> np.ndarray:
        """The first answer about each image ``(n,)``."""
        return self.answers[self.first, np.arange(len(self.first))]

    def answer(self, image: int, number: int) -> int:
        """Return the answer of the annotator who is asked as number 0, 1, … about an image."""
        return int(self.answers[(self.first[image] + number) % len(self), image])


def make_panel(y: np.ndarray, annotators: Sequence[Any], n_classes: int, seed: int) -> Panel:
    """Draw what a seed's annotators answer.

    Parameters
    ----------
    y : ndarray of int, shape (n,)
        True classes.
    annotators : sequence
        Of each its error rate, or its matrix of P(answer | true class); see `oracle_answers`.
    n_classes : int
    seed : int
        Master seed of the run.

    Returns
    -------
    Panel
    """
    answers = [
        oracle_answers(y, noise, n_classes, seed, annotator=number)
        for number, noise in enumerate(annotators)
    ]
    first = stream(seed, "first annotator").integers(len(answers), size=len(y))
    return Panel(np.stack(answers), first)


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

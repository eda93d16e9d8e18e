"""The form of a right answer, and the error that reports a wrong one."""

from __future__ import annotations

from typing import Any

import numpy as np


class StrategyCheckError(AssertionError):
    """A strategy fails a check.

    Attributes
    ----------
    check : str
        The name of the check: a key of `CHECKS`, or one of ``"unique"``, ``"in range"``,
        ``"exactly n_instances"`` and ``"descending scores"``, which every answer must pass.
    problem : str
        How the strategy failed it.

    Examples
    --------
    >>> import numpy as np
    >>> from al_tf.strategies.testing import StrategyCheckError, check_strategy
    >>> def always_the_first(classifier, X, n_instances=1, *, random_state=None):
    ...     return np.zeros(n_instances, int), np.ones(n_instances)
    >>> try:
    ...     check_strategy(always_the_first)
    ... except StrategyCheckError as error:
    ...     print(error.check)
    unique
    """

    def __init__(self, check: str, problem: str) -> None:
        super().__init__(f"check {check!r}: {problem}")
        self.check = check
        self.problem = problem


def check_answer(answer: Any, n: int, k: int, sequential: bool) -> tuple[np.ndarray, np.ndarray]:
    """Check the form of an answer, and return it as arrays ``(indices, scores)``.

    Parameters
    ----------
    answer : object
        What the strategy returned.
    n, k : int
        Size of the pool, and of the batch that was requested.
    sequential : bool
        Scores need not descend.

    Raises
    ------
    StrategyCheckError
        Not a tuple of `k` unique indices in range and `k` finite scores, the best first.
    """
    if not (isinstance(answer, tuple) and len(answer) == 2):
        raise StrategyCheckError(
            "answer", f"must be a tuple (indices, scores); got {type(answer).__name__}."
        )
    indices, scores = np.asarray(answer[0]), np.asarray(answer[1])
    if indices.shape != (k,) or scores.shape != (k,):
        raise StrategyCheckError(
            "exactly n_instances",
            f"requested {k} of {n}; got indices {indices.shape} and scores {scores.shape}.",
        )
    if not np.issubdtype(indices.dtype, np.integer):
        raise StrategyCheckError("answer", f"indices must be integers; got {indices.dtype}.")
    if indices.min() < 0 or indices.max() >= n:
        raise StrategyCheckError("in range", f"indices of a pool of {n}: {indices.tolist()}.")
    if len(np.unique(indices)) != k:
        raise StrategyCheckError("unique", f"an image is chosen twice: {indices.tolist()}.")
    if not np.issubdtype(scores.dtype, np.floating) or not np.isfinite(scores).all():
        raise StrategyCheckError("answer", f"scores must be finite floats; got {scores!r}.")
    if not sequential and (np.diff(scores) > 0).any():
        raise StrategyCheckError(
            "descending scores",
            f"the best must come first; got {scores.tolist()}. If scores are values at the moment "
            "of choice, register the strategy with sequential=True.",
        )
    return indices, scores

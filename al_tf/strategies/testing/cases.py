"""What the conformance kit asks a strategy with; `al_tf.strategies.testing` is its front door."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._registry import Strategy
from .fakes import FakeClassifier, FakeCommittee, FakeLearner


class StrategyCheckError(AssertionError):
    """A strategy fails a check.

    Attributes
    ----------
    check : str
        The name of the check: a key of `CHECKS`, or one of ``"unique"``, ``"in range"``,
        ``"exactly n_instances"`` and ``"descending scores"``, which every answer has to pass.
    problem : str
        What was found.
    """

    def __init__(self, check: str, problem: str) -> None:
        super().__init__(f"check {check!r}: {problem}")
        self.check = check
        self.problem = problem


@dataclass(frozen=True)
class Case:
    """A generated situation: a pool, a labeled set, a batch size, a seed."""

    n: int = 12
    k: int = 3
    shape: tuple[int, ...] = (4, 4)
    dtype: str = "float32"
    n_classes: int = 3
    n_labeled: int = 7
    classes_fixed: bool = True
    seed: int = 0

    def images(self, n: int, stream: int) -> np.ndarray:
        """Return `n` distinct random images, ``(n, *shape)``."""
        rng = np.random.default_rng([self.seed, stream])
        if self.dtype == "uint8":
            return rng.integers(0, 256, size=(n, *self.shape), dtype=np.uint8)
        return rng.random((n, *self.shape)).astype(self.dtype)

    @property
    def pool(self) -> np.ndarray:
        """The pool, a fresh copy."""
        return self.images(self.n, 0)

    @property
    def classes(self) -> np.ndarray:
        """The label set."""
        return np.array(["bolt", "cog", "nail", "rivet"][: self.n_classes])


@dataclass(frozen=True)
class Subject:
    """A strategy under test, with what is stated about it."""

    strategy: Strategy
    params: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] | None = None
    stochastic: bool = False
    sequential: bool = False

    @property
    def wants_committee(self) -> bool:
        """Whether it has to be asked with a committee."""
        return self.needs is not None and "committee" in self.needs

    def classifier(
        self, case: Case, labels: np.ndarray | None = None, kind: type = FakeClassifier
    ) -> Any:
        """Return a fitted learner, or committee, as the strategy wants it."""
        images = case.images(case.n_labeled, 1)
        y = np.resize(case.classes, case.n_labeled) if labels is None else labels
        classes = list(case.classes) if case.classes_fixed else None
        seeds = (0, 1, 2) if self.wants_committee else (0,)
        learners = [FakeLearner(kind(classes, seed=seed), images, y) for seed in seeds]
        return FakeCommittee(learners) if self.wants_committee else learners[0]

    def query(self, classifier: Any, X: Any, k: int, random_state: Any = 0) -> Any:
        """Call the strategy; warnings meant for its users are not shown."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return self.strategy(classifier, X, k, random_state=random_state, **self.params)

    def answer(self, check: str, classifier: Any, X: Any, k: int, random_state: Any = 0) -> Any:
        """Query, and require an answer of the right form."""
        try:
            answer = self.query(classifier, X, k, random_state)
        except Exception as error:
            raise StrategyCheckError(
                check, f"raised {type(error).__name__}: {error} (pool {X.shape} {X.dtype}, k={k})"
            ) from error
        return checked_form(answer, len(X), k, self.sequential)


def checked_form(answer: Any, n: int, k: int, sequential: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return ``(indices, scores)`` once their form is known to be right."""
    if not (isinstance(answer, tuple) and len(answer) == 2):
        raise StrategyCheckError(
            "answer", f"must be a tuple (indices, scores); got {type(answer).__name__}."
        )
    indices, scores = np.asarray(answer[0]), np.asarray(answer[1])
    if indices.shape != (k,) or scores.shape != (k,):
        raise StrategyCheckError(
            "exactly n_instances",
            f"asked for {k} of {n}; got indices {indices.shape} and scores {scores.shape}.",
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
            f"the best comes first; got {scores.tolist()}. A strategy whose scores are values at "
            "the moment of choice states sequential=True.",
        )
    return indices, scores

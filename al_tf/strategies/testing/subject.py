"""The strategy under test: how the checks call it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._registry import Strategy
from .answers import StrategyCheckError, check_answer
from .cases import Case
from .fakes import FakeClassifier, FakeCommittee, FakeLearner


@dataclass(frozen=True)
class Subject:
    """A strategy under test, with its registered facts."""

    strategy: Strategy
    params: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] | None = None
    stochastic: bool = False
    sequential: bool = False

    @property
    def wants_committee(self) -> bool:
        """Whether it needs a committee."""
        return self.needs is not None and "committee" in self.needs

    def classifier(
        self, case: Case, labels: np.ndarray | None = None, kind: type = FakeClassifier
    ) -> Any:
        """Return a fitted learner, or a committee where the strategy needs one."""
        images = case.images(case.n_labeled, 1)
        y = np.resize(case.classes, case.n_labeled) if labels is None else labels
        classes = list(case.classes) if case.classes_fixed else None
        joint = "joint samples" in (self.needs or ())
        seeds = (0, 1, 2) if self.wants_committee else (0,)
        learners = [
            FakeLearner(kind(classes, seed=seed, joint_samples=joint), images, y) for seed in seeds
        ]
        return FakeCommittee(learners) if self.wants_committee else learners[0]

    def query(self, classifier: Any, X: Any, k: int, random_state: Any = 0) -> Any:
        """Call the strategy, without the warnings meant for its users."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return self.strategy(classifier, X, k, random_state=random_state, **self.params)

    def answer(self, check: str, classifier: Any, X: Any, k: int, random_state: Any = 0) -> Any:
        """Query, and check the form of the answer."""
        try:
            answer = self.query(classifier, X, k, random_state)
        except Exception as error:
            raise StrategyCheckError(
                check, f"raised {type(error).__name__}: {error} (pool {X.shape} {X.dtype}, k={k})"
            ) from error
        return check_answer(answer, len(X), k, self.sequential)

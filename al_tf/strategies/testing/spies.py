"""A classifier that records what a strategy uses of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from .cases import Case
from .fakes import FakeClassifier
from .subject import Subject


class SpyClassifier(FakeClassifier):
    """A classifier that notes which methods are called, and can spoil two rows of one's answer.

    Attributes
    ----------
    calls : set of str or None
        Collects the needs, as in `StrategyInfo`, that the calls amount to.
    spoil : str
        The need whose answers get two rows of NaN.
    """

    calls: set[str] | None = None
    spoil = ""

    def _note(self, kind: str, answer: np.ndarray) -> np.ndarray:
        if self.calls is not None:
            self.calls.add(kind)
        if self.spoil == kind:
            answer[..., :2, :] = np.nan
        return answer

    @property
    def classes_(self) -> np.ndarray:
        """The label set, noted."""
        if self.calls is not None:
            self.calls.add("classes")
        return self._classes

    @classes_.setter
    def classes_(self, classes: np.ndarray) -> None:
        self._classes = classes

    def transform(self, X: Any) -> np.ndarray:
        """Return the features, noted."""
        return self._note("features", super().transform(X))

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probabilities, noted."""
        return self._note("probabilities", super().predict_proba(X))

    def predict_with_features(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return probabilities and features, both noted."""
        return self.predict_proba(X), self.transform(X)

    def sample_proba(self, X: Any, n_samples: int = 10, random_state: Any = None) -> np.ndarray:
        """Return the samples, noted."""
        kind = "joint samples" if self.joint_samples else "dropout"
        return self._note(kind, super().sample_proba(X, n_samples, random_state))


def spy_on(subject: Subject, case: Case, spoil: str = "") -> tuple[Any, set[str]]:
    """Return a learner, or committee, of `SpyClassifier`, and the set that collects its calls."""
    classifier = subject.classifier(case, kind=SpyClassifier)
    calls: set[str] = set()
    for learner in classifier.learner_list if subject.wants_committee else [classifier]:
        learner.estimator.calls, learner.estimator.spoil = calls, spoil
    return classifier, calls

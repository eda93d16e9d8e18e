"""`Teacher`: what models are trained with besides the labels, and the training itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .image_pool import ImagePool
from .kept_model import labels_digest
from .ledger import ClassList, LabelLedger
from .pool_features import model_inputs
from .scored_model import ScoredModel, fit_and_score
from .session_checks import check_estimator
from .training_set import BaseSet

ClassKey = tuple[tuple[str, tuple[str, ...]], ...]


class Teacher:
    """Trains models on the labels that it is given and a labeled set from elsewhere; any thread may ask.

    Parameters
    ----------
    learner : ActiveLearner or estimator
        See `LabelingSession`. Of a learner, its labeled set is trained on as well.
    pool : ImagePool
    ledger : LabelLedger
    classes : tuple of str
        While the ledger has none.

    Attributes
    ----------
    inputs : ImagePool or PoolFeatures
        What models are fitted on.
    original : estimator
        The learner's. It is never fitted: copies are.
    """

    def __init__(
        self, learner: Any, pool: ImagePool, ledger: LabelLedger, classes: tuple[str, ...]
    ) -> None:
        _, self.original = check_estimator(learner)
        _set_classes(self.original, classes)
        self._ledger, self._first_classes = ledger, classes
        self._newest: tuple[Any, tuple[str, ...]] = (self.original, classes)
        self.inputs = model_inputs(self.original, pool)
        images = getattr(learner, "X_training", None)
        self._base = (
            None if images is None else BaseSet(images, learner.y_training, ledger.class_list)
        )

    def names(self, classes: ClassList) -> tuple[str, ...]:
        """Return the names of the classes of a model that is trained now."""
        return classes.names or self._first_classes

    def class_key(self) -> ClassKey:
        """Return the names of the classes now, and what was merged into each."""
        return tuple((each.name, each.merged) for each in self._ledger.class_list.classes)

    def base(self, classes: ClassList) -> tuple[Any, np.ndarray] | None:
        """Return the labeled set from elsewhere under some names of its classes; None without one."""
        return None if self._base is None else self._base.named(classes)

    def can_teach(self, labels: Mapping[str, str], classes: ClassList) -> bool:
        """Tell whether there are labels of two classes or more."""
        base = self.base(classes)
        return len({*labels.values(), *(() if base is None else base[1])}) > 1

    def digest(self, labels: Mapping[str, str], classes: ClassList) -> str:
        """Return a digest of labels and classes; models with the same one are the same."""
        return labels_digest(labels, self.names(classes))

    def fit(self, labels: Mapping[str, str], classes: ClassList) -> ScoredModel:
        """Return a model that is trained on the label of each image; see `fit_and_score`."""
        names = self.names(classes)
        return fit_and_score(
            self._to_copy(names), self.inputs, labels, names, self.base(classes),
            answered=self._ledger.answers(),
        )  # fmt: skip

    def go_on_from(self, model: ScoredModel) -> None:
        """Have trainings of the same classes begin with a model's estimator, for ``fit_mode="warm"``."""
        self._newest = (model.estimator, model.classes)

    def _to_copy(self, names: tuple[str, ...]) -> Any:
        """Return the estimator of which a copy is fitted to labels of some classes."""
        estimator, its_names = self._newest
        if its_names == names:
            return estimator
        from sklearn.base import clone

        return _set_classes(clone(self.original, safe=False), names)


def _set_classes(estimator: Any, names: tuple[str, ...]) -> Any:
    """Return an estimator that is told the classes, if it wants to know them."""
    if "classes" in getattr(estimator, "get_params", dict)():
        estimator.set_params(classes=list(names))
    return estimator

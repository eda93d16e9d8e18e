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
    """Trains models of the present classes, on the labels that it is given and a labeled set from elsewhere.

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
        The learner's, not fitted.
    estimator : estimator
        A copy of it is fitted; after a training the newest one, for ``fit_mode="warm"``.
    classes : tuple of str
        Of the next model.
    """

    def __init__(
        self, learner: Any, pool: ImagePool, ledger: LabelLedger, classes: tuple[str, ...]
    ) -> None:
        _, self.estimator = check_estimator(learner)
        self._ledger = ledger
        self.set_classes(classes)
        self.original = self.estimator
        self.inputs = model_inputs(self.estimator, pool)
        images = getattr(learner, "X_training", None)
        self._base = (
            None if images is None else BaseSet(images, learner.y_training, ledger.class_list)
        )

    def set_classes(self, classes: tuple[str, ...]) -> None:
        """Let the next training be of these classes; of others, it begins anew."""
        if getattr(self, "classes", classes) != classes:
            from sklearn.base import clone

            self.estimator = clone(self.original, safe=False)  # not fitted
        if "classes" in getattr(self.estimator, "get_params", dict)():
            self.estimator.set_params(classes=list(classes))
        self.classes = classes

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

    def digest(self, labels: Mapping[str, str]) -> str:
        """Return a digest of labels and classes; models with the same one are the same."""
        return labels_digest(labels, self.classes)

    def fit(self, labels: Mapping[str, str], classes: ClassList) -> ScoredModel:
        """Return a model that is trained on the label of each image; see `fit_and_score`."""
        return fit_and_score(
            self.estimator, self.inputs, labels, self.classes, self.base(classes),
            answered=self._ledger.answers(),
        )  # fmt: skip

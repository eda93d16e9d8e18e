"""A model trained on the labels of a session, with its predictions for every image of the pool."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from .feature_table import FeatureTable
from .image_pool import ImagePool, PoolView
from .pixel_features import thumbnails
from .pool_features import PoolFeatures
from .training_set import labeled_images


@dataclass(frozen=True)
class ScoredModel:
    """A fitted estimator with its probabilities and features of the pool; it never changes."""

    estimator: Any
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    """Images that were in the pool when it was trained."""
    proba: np.ndarray = field(repr=False)
    """float (n, K), columns as `classes`."""
    features: np.ndarray | FeatureTable = field(repr=False)
    """float32 (n, d); of an estimator that was fitted on features, the table of these."""
    labels: int
    """Number of labels it was trained on."""
    row_of: dict[str, int] = field(repr=False)
    """Row of each of `ids`."""
    counted_as: Mapping[str, str | None] = field(default_factory=dict, repr=False)
    """Which of `classes` each class of the estimator counts as, where its name is another; None is
    one that was removed."""

    def with_classes(
        self, classes: tuple[str, ...], counted_as: Mapping[str, str | None]
    ) -> ScoredModel:
        """Return this model as one of other classes: renamed, merged, added.

        Parameters
        ----------
        classes : tuple of str
            The classes now; those that it has not learned get the probability 0.
        counted_as : mapping of str to str
            Which of them each of its own classes counts as; None is one that was removed.
        """
        proba = _regrouped(self.proba, self.classes, classes, counted_as)
        return replace(self, classes=classes, proba=proba, counted_as=counted_as)

    @property
    def takes_features(self) -> bool:
        """Whether the estimator was fitted on `features` instead of images."""
        return isinstance(self.features, FeatureTable)

    def proba_of(self, images: Sequence[str]) -> np.ndarray:
        """Return the probabilities (n, K) of scored images."""
        return self.proba[self._rows(images)]

    def features_of(self, images: Sequence[str]) -> np.ndarray:
        """Return the features (n, d) of scored images."""
        if isinstance(self.features, FeatureTable):
            return self.features.rows(images)
        return self.features[self._rows(images)]

    def _rows(self, images: Sequence[str]) -> np.ndarray:
        return np.fromiter(map(self.row_of.__getitem__, images), np.intp, len(images))

    def likeliest(self, image: str, n: int) -> list[str]:
        """Return the `n` most probable classes of a scored image, the most probable first."""
        order = np.argsort(-self.proba[self.row_of[image]], kind="stable")
        return [self.classes[k] for k in order[:n]]

    def predicted(self) -> Predictions:
        """Return the most probable class of each image."""
        return self._predictions

    @cached_property
    def _predictions(self) -> Predictions:
        return Predictions(self)

    def rescored(self) -> ScoredModel:
        """Return the same model with predictions for all features that are in the table by now."""
        assert isinstance(self.features, FeatureTable)
        return _scored_table(self.estimator, self.features, self.classes, self.labels)


class Predictions(Mapping[str, str]):
    """The most probable class of each image that a model has scored.

    Parameters
    ----------
    model : ScoredModel
    """

    def __init__(self, model: ScoredModel) -> None:
        self._row_of, self._classes = model.row_of, model.classes
        self._best = model.proba.argmax(axis=1)  # (n,)

    def __getitem__(self, image: str) -> str:
        return self._classes[self._best[self._row_of[image]]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._row_of)

    def __len__(self) -> int:
        return len(self._row_of)

    @cached_property
    def classes(self) -> list[str]:
        """The classes that are predicted for some image, sorted."""
        return sorted(self._classes[k] for k in np.unique(self._best))


class PoolClassifier:
    """What a strategy is given: a model whose predictions for the pool are there already.

    Probabilities and features of images of the pool come from `ScoredModel`, without waiting for
    a training that is under way; everything else comes from the estimator.

    Parameters
    ----------
    model : ScoredModel
    X_training : PoolView
        The labeled images.
    y_training : ndarray of str
        Their labels.
    """

    def __init__(self, model: ScoredModel, X_training: PoolView, y_training: np.ndarray) -> None:
        self._model = model
        self.X_training, self.y_training = X_training, y_training
        self.classes_ = np.array(model.classes)

    def has_scored(self, image: str) -> bool:
        """Tell whether the model has predicted an image of the pool."""
        return image in self._model.row_of

    def predict_with_features(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return probabilities (n, K) and features (n, d)."""
        if self._knows(X):
            return self._model.proba_of(X.ids), self._model.features_of(X.ids)
        model = self._model
        return _predict(model.estimator, np.asarray(X), model.classes, model.counted_as)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return probabilities (n, K)."""
        return self._model.proba_of(X.ids) if self._knows(X) else self.predict_with_features(X)[0]

    def transform(self, X: Any) -> np.ndarray:
        """Return features (n, d)."""
        return (
            self._model.features_of(X.ids) if self._knows(X) else self.predict_with_features(X)[1]
        )

    def _knows(self, X: Any) -> bool:
        return isinstance(X, PoolView) and all(map(self.has_scored, X.ids))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        attribute = getattr(self._model.estimator, name)
        if name == "sample_proba" and self._model.takes_features:
            return lambda X, *args, **options: attribute(self.transform(X), *args, **options)
        return attribute


def fit_and_score(
    estimator: Any,
    inputs: ImagePool | PoolFeatures,
    ids: Sequence[str],
    labels: Mapping[str, str],
    classes: tuple[str, ...],
    base: tuple[Any, Any] | None,
) -> ScoredModel:
    """Fit a copy of an estimator to labeled images and let it score the pool.

    Parameters
    ----------
    estimator : estimator
        Fitted or not; it is left as it is.
    inputs : ImagePool or PoolFeatures
        What the estimator is fitted on, see `model_inputs`.
    ids : sequence of str
        Images to score; those that cannot be read any more are left out. Of `PoolFeatures`, all
        that have their features by now are scored instead.
    labels : dict of str to str
        Label of each image to train on.
    classes : tuple of str
        All classes.
    base : (X, y) or None
        Labeled images from elsewhere, trained on as well.

    Returns
    -------
    ScoredModel
    """
    if isinstance(inputs, PoolFeatures) and base is not None:
        base = (inputs.backbone.features(base[0]), base[1])
    X, y = labeled_images(inputs, labels, base)
    fitted = copy.deepcopy(estimator)
    fitted.fit(X, y)
    if isinstance(inputs, PoolFeatures):
        return _scored_table(fitted, inputs.table, classes, len(y))
    scored: list[str] = []
    predictions = []
    for part, rows in inputs.chunks(ids):
        scored += part
        predictions.append(_predict(fitted, rows, classes))
    proba = np.concatenate([p for p, _ in predictions])
    features = np.concatenate([f for _, f in predictions])
    row_of = {image: row for row, image in enumerate(scored)}
    return ScoredModel(fitted, classes, tuple(scored), proba, features, len(y), row_of)


def _scored_table(
    fitted: Any, table: FeatureTable, classes: tuple[str, ...], labels: int
) -> ScoredModel:
    """Return a model with predictions for the images whose features are there."""
    row_of = table.row_of()
    parts = [np.empty((0, len(classes)))]
    parts += [_predict(fitted, rows, classes)[0] for _, rows in table.blocks(len(row_of))]
    proba = np.concatenate(parts)
    return ScoredModel(fitted, classes, tuple(row_of), proba, table, labels, row_of)


def _predict(
    estimator: Any,
    images: np.ndarray,
    classes: tuple[str, ...],
    counted_as: Mapping[str, str | None] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities with a column for each class, and features."""
    if hasattr(estimator, "predict_with_features"):
        proba, features = estimator.predict_with_features(images)
    else:
        proba = estimator.predict_proba(images)
        has_features = hasattr(estimator, "transform")
        features = estimator.transform(images) if has_features else thumbnails(images)
    bad = int((~np.isfinite(proba)).any(axis=1).sum())
    if bad:
        raise ValueError(
            f"The model's probabilities are not finite (NaN or infinite) for {bad} of "
            f"{len(images)} images."
        )
    own = tuple(map(str, estimator.classes_))
    aligned = _regrouped(proba, own, classes, counted_as or {})
    return aligned, np.asarray(features, dtype=np.float32)


def _regrouped(
    proba: np.ndarray,
    own: tuple[str, ...],
    classes: tuple[str, ...],
    counted_as: Mapping[str, str | None],
) -> np.ndarray:
    """Return probabilities (n, K) with a column for each of `classes`, those merged added up."""
    aligned = np.zeros((len(proba), len(classes)))
    for column, name in enumerate(own):
        now = counted_as.get(name, name)
        if now is not None:
            aligned[:, classes.index(now)] += proba[:, column]
    if None in counted_as.values():
        total = aligned.sum(axis=1, keepdims=True)
        aligned = np.where(total > 0, aligned / np.where(total > 0, total, 1), 1 / len(classes))
    return aligned

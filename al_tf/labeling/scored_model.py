"""A model trained on the labels of a session, with its predictions for every image of the pool."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

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
    features: np.ndarray = field(repr=False)
    """float32 (n, d)."""
    labels: int
    """Number of labels it was trained on."""
    row_of: dict[str, int] = field(repr=False)
    """Row of each of `ids`."""
    takes_features: bool = False
    """Whether the estimator was fitted on `features` instead of images."""
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

    def predicted(self) -> dict[str, str]:
        """Return the most probable class of each image."""
        best = self.proba.argmax(axis=1)
        return {image: self.classes[k] for image, k in zip(self.ids, best, strict=True)}


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
        model = self._model
        if isinstance(X, PoolView) and all(image in model.row_of for image in X.ids):
            rows = [model.row_of[image] for image in X.ids]
            return model.proba[rows], model.features[rows]
        return _predict(model.estimator, np.asarray(X), model.classes, model.counted_as)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return probabilities (n, K)."""
        return self.predict_with_features(X)[0]

    def transform(self, X: Any) -> np.ndarray:
        """Return features (n, d)."""
        return self.predict_with_features(X)[1]

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
        Images to score; those that cannot be read any more are left out.
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
    takes_features = isinstance(inputs, PoolFeatures)
    if isinstance(inputs, PoolFeatures) and base is not None:
        base = (inputs.backbone.features(base[0]), base[1])
    X, y = labeled_images(inputs, labels, base)
    fitted = copy.deepcopy(estimator)
    fitted.fit(X, y)
    scored: list[str] = []
    predictions = []
    for part, rows in inputs.chunks(ids):
        scored += part
        predictions.append(_predict(fitted, rows, classes))
    proba = np.concatenate([p for p, _ in predictions])
    features = np.concatenate([f for _, f in predictions])
    row_of = {image: row for row, image in enumerate(scored)}
    return ScoredModel(
        fitted, classes, tuple(scored), proba, features, len(y), row_of, takes_features
    )


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

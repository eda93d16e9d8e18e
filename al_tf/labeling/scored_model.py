"""A model trained on the labels of a session, with its predictions for every image of the pool."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..geometry._threads import one_blas_thread
from ..seeding import stream
from .deferred_probe import DeferredProbe
from .feature_table import BLOCK, FeatureTable, rows_of
from .image_pool import ImagePool, PoolView
from .pixel_features import thumbnails
from .pool_features import PoolFeatures
from .training_set import labeled_images

SCORED_AT_ONCE = 4 * BLOCK
"""Images of a large pool that a model scores before the next batch is chosen: whole blocks."""


@dataclass(frozen=True)
class ScoredModel:
    """A fitted estimator with its probabilities and features of the pool; it never changes."""

    estimator: Any
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    """Images that it has scored."""
    proba: np.ndarray = field(repr=False)
    """float (n, K), columns as `classes`."""
    features: np.ndarray | FeatureTable = field(repr=False)
    """float32 (n, d); of an estimator that was fitted on features, the table of these."""
    labels: int
    """Number of labels it was trained on."""
    row_of: Mapping[str, int] = field(repr=False)
    """Row of each of `ids`."""
    counted_as: Mapping[str, str | None] = field(default_factory=dict, repr=False)
    """Which of `classes` each class of the estimator counts as, where its name is another; None is
    one that was removed."""
    sample: tuple[str, ...] = field(default=(), repr=False)
    """The random part of a large pool that was scored first; empty of others."""

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

    def knows(self, image: str) -> bool:
        """Tell whether there are probabilities and features of an image, or at once can be."""
        return image in self.known

    @property
    def known(self) -> Mapping[str, int]:
        """The images that it `knows`."""
        return self.features.places if isinstance(self.features, FeatureTable) else self.row_of

    def proba_of(self, images: Sequence[str]) -> np.ndarray:
        """Return the probabilities (n, K) of images that it `knows`."""
        rows = rows_of(self.row_of, images)
        new = np.flatnonzero(rows < 0)
        if not len(new):
            return self.proba[rows]
        proba = np.empty((len(images), len(self.classes)))
        proba[rows >= 0] = self.proba[rows[rows >= 0]]
        for start in range(0, len(new), BLOCK):
            part = new[start : start + BLOCK]
            features = self.features_of([images[i] for i in part.tolist()])
            proba[part] = _predict(self.estimator, features, self.classes, self.counted_as)[0]
        return proba

    def features_of(self, images: Sequence[str]) -> np.ndarray:
        """Return the features (n, d) of images that it `knows`."""
        if isinstance(self.features, FeatureTable):
            return self.features.rows(images)
        rows = np.fromiter(map(self.row_of.__getitem__, images), np.intp, len(images))
        return self.features[rows]

    def likeliest(self, image: str, n: int) -> list[str]:
        """Return the `n` most probable classes of an image that it `knows`, in that order."""
        order = np.argsort(-self.proba_of([image])[0], kind="stable")
        return [self.classes[k] for k in order[:n]]

    def predicted(self) -> Predictions:
        """Return the most probable class of each image."""
        return self._predictions

    @cached_property
    def _predictions(self) -> Predictions:
        return Predictions(self)

    @property
    def is_behind(self) -> bool:
        """Whether there are features of more images than it has scored."""
        return isinstance(self.features, FeatureTable) and len(self.ids) < len(self.features)

    def rescored(self) -> ScoredModel:
        """Return the same model with predictions for all features that are in the table by now."""
        table = self.features
        assert isinstance(table, FeatureTable)
        ids, proba = self._scored(table.blocks())
        return replace(self, ids=tuple(ids), proba=proba, row_of=table.first(len(ids)))

    def sampled(self, answered: Iterable[str]) -> ScoredModel:
        """Return the same model with predictions for a part of the table; see `fit_and_score`.

        Whole blocks of the table are drawn, as they are read much faster than rows here and there.
        The table is in random order, so that they are a random sample of its images.
        """
        table = self.features
        assert isinstance(table, FeatureTable)
        n_drawn = SCORED_AT_ONCE // BLOCK
        if table.n_blocks <= n_drawn:
            return self.rescored()
        rng = stream(self.labels, "images scored at once")
        drawn = np.sort(rng.choice(table.n_blocks, n_drawn, replace=False))
        ids, proba = self._scored(table.blocks(drawn))
        sample = tuple(ids)
        known = [image for image in set(answered).difference(ids) if image in table]
        proba = np.concatenate([proba, self.proba_of(known)])
        ids += known
        row_of = {image: row for row, image in enumerate(ids)}
        return replace(self, ids=tuple(ids), proba=proba, row_of=row_of, sample=sample)

    def _scored(
        self, blocks: Iterable[tuple[list[str], np.ndarray]]
    ) -> tuple[list[str], np.ndarray]:
        """Return images and their probabilities (n, K)."""
        ids: list[str] = []
        parts = [np.empty((0, len(self.classes)))]
        for images, rows in blocks:
            ids += images
            with one_blas_thread():  # others would wait for one another, a part is that small
                parts.append(_predict(self.estimator, rows, self.classes, self.counted_as)[0])
        return ids, np.concatenate(parts)


class Predictions(Mapping[str, str]):
    """The most probable class of each image that a model has scored; others that it knows on demand.

    Parameters
    ----------
    model : ScoredModel
    """

    def __init__(self, model: ScoredModel) -> None:
        self._model, self._classes = model, model.classes
        self._best = model.proba.argmax(axis=1)  # (n,)

    def __getitem__(self, image: str) -> str:
        row = self._model.row_of.get(image)
        if row is not None:
            return self._classes[self._best[row]]
        if self._model.knows(image):
            return self._classes[self._model.proba_of([image])[0].argmax()]
        raise KeyError(image)

    def __iter__(self) -> Iterator[str]:
        return iter(self._model.ids)

    def __len__(self) -> int:
        return len(self._model.ids)

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

    @property
    def candidates(self) -> tuple[str, ...]:
        """Images to choose from: all that the model has scored, or its sample of a large pool."""
        return self._model.sample or self._model.ids

    def chooses_as(self, other: PoolClassifier) -> bool:
        """Tell whether another one has the same model, of however many scored images, and labels."""
        mine, its = self._model, other._model
        return (
            mine.estimator is its.estimator
            and (mine.classes, mine.counted_as) == (its.classes, its.counted_as)
            and self.X_training.ids == other.X_training.ids
            and np.array_equal(self.y_training, other.y_training)
        )

    def known_of(self, images: Sequence[str]) -> list[str]:
        """Return those of some images for which the model's predictions are there at once."""
        known = self._model.known
        return [image for image in images if image in known]

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
        return isinstance(X, PoolView) and all(map(self._model.known.__contains__, X.ids))

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
    labels: Mapping[str, str],
    classes: tuple[str, ...],
    base: tuple[Any, Any] | None,
    answered: Iterable[str] = (),
) -> ScoredModel:
    """Fit a copy of an estimator to labeled images and let it score the pool.

    Of a large pool of features it scores `SCORED_AT_ONCE` images drawn at random and those that were
    answered, so that nobody waits for the others; `ScoredModel.rescored` does all.

    Parameters
    ----------
    estimator : estimator
        Fitted or not; it is left as it is.
    inputs : ImagePool or PoolFeatures
        What the estimator is fitted on, see `model_inputs`.
    labels : dict of str to str
        Label of each image to train on.
    classes : tuple of str
        All classes.
    base : (X, y) or None
        Labeled images from elsewhere, trained on as well.
    answered : iterable of str
        Images that are scored in any case.

    Returns
    -------
    ScoredModel
        Images that cannot be read any more, or have no features yet, are left out.
    """
    if isinstance(inputs, PoolFeatures) and base is not None:
        base = (inputs.backbone.features(base[0]), base[1])
    X, y = labeled_images(inputs, labels, base)
    fitted = copy.deepcopy(estimator)
    returned = fitted.fit(X, y)
    if isinstance(estimator, DeferredProbe):
        fitted = returned
    if isinstance(inputs, PoolFeatures):
        nothing = np.empty((0, len(classes)))
        model = ScoredModel(fitted, classes, (), nothing, inputs.table, len(y), {})
        return model.sampled(answered)
    scored: list[str] = []
    predictions = []
    for part, rows in inputs.chunks(inputs.ids):
        scored += part
        predictions.append(_predict(fitted, rows, classes))
    proba = np.concatenate([p for p, _ in predictions])
    features = np.concatenate([f for _, f in predictions])
    row_of = {image: row for row, image in enumerate(scored)}
    return ScoredModel(fitted, classes, tuple(scored), proba, features, len(y), row_of)


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

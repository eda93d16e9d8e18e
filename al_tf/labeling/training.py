"""A model trained on the labels of a session, with its opinion of every image of the pool."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import ImageGoneError
from ..seeding import stream
from .ledger import Event
from .pool import ImagePool, PoolView

CHUNK = 2_048
SIMPLE_SIDE, SIMPLE_DIMENSIONS = 16, 32


@dataclass(frozen=True)
class ScoredModel:
    """A fitted estimator and what it says about the pool; it never changes."""

    estimator: Any
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    """Images of the pool that were there when it was trained."""
    proba: np.ndarray = field(repr=False)
    """float (n, K), columns as `classes`."""
    features: np.ndarray = field(repr=False)
    """float32 (n, d)."""
    labels: int
    """Labels it was trained on."""
    row_of: dict[str, int] = field(repr=False)
    """Row of each of `ids`."""

    def predicted(self) -> dict[str, str]:
        """Return the most probable class of each image."""
        best = self.proba.argmax(axis=1)
        return {image: self.classes[k] for image, k in zip(self.ids, best, strict=True)}


class PoolClassifier:
    """What a strategy is given: a model whose opinion of the pool is known already.

    Probabilities and features of images of the pool come from `ScoredModel`, without waiting for
    a training that is under way; everything else is asked of the estimator.

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
        """Tell whether the model has an opinion of an image of the pool."""
        return image in self._model.row_of

    def predict_with_features(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return probabilities (n, K) and features (n, d)."""
        model = self._model
        if isinstance(X, PoolView) and all(image in model.row_of for image in X.ids):
            rows = [model.row_of[image] for image in X.ids]
            return model.proba[rows], model.features[rows]
        return _opinion(model.estimator, np.asarray(X), model.classes)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return probabilities (n, K)."""
        return self.predict_with_features(X)[0]

    def transform(self, X: Any) -> np.ndarray:
        """Return features (n, d)."""
        return self.predict_with_features(X)[1]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._model.estimator, name)


def train(
    estimator: Any,
    pool: ImagePool,
    answers: dict[str, str],
    classes: tuple[str, ...],
    base: tuple[Any, Any] | None,
) -> tuple[ScoredModel, np.ndarray, np.ndarray]:
    """Fit a copy of an estimator to labeled images and let it score the pool.

    Parameters
    ----------
    estimator : estimator
        Fitted or not; it is left as it is.
    pool : ImagePool
        Images that cannot be read any more are left out.
    answers : dict of str to str
        Label of each image to train on.
    classes : tuple of str
        All classes.
    base : (X, y) or None
        Labeled images from elsewhere, trained on as well.

    Returns
    -------
    model : ScoredModel
    X, y : ndarray
        What it was trained on.
    """
    X, y = labeled_images(pool, answers, base)
    fitted = copy.deepcopy(estimator)
    fitted.fit(X, y)
    seen: list[str] = []
    opinions = []
    for part, images in readable(pool, pool.ids):
        seen += part
        opinions.append(_opinion(fitted, images, classes))
    proba = np.concatenate([p for p, _ in opinions])
    features = np.concatenate([f for _, f in opinions])
    rows = {image: row for row, image in enumerate(seen)}
    return ScoredModel(fitted, classes, tuple(seen), proba, features, len(y), rows), X, y


def trainable(answers: Mapping[str, Event]) -> dict[str, str]:
    """Return the labels that models learn from: those outside the audit."""
    return {
        image: event.label
        for image, event in answers.items()
        if event.label is not None and event.purpose != "audit"
    }


def labeled_images(
    pool: ImagePool, labels: Mapping[str, str], base: tuple[Any, Any] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return images and labels to train on.

    Parameters
    ----------
    pool : ImagePool
    labels : mapping of str to str
        Label of each image; those that cannot be read any more are left out.
    base : (X, y), optional
        Images and labels from elsewhere, put first.

    Returns
    -------
    X : ndarray (n, …)
    y : ndarray of str (n,)
    """
    images = [np.empty((0, *pool.shape), dtype=np.uint8)] if base is None else [np.asarray(base[0])]
    words = [np.array([], dtype=str)] if base is None else [np.asarray(base[1])]
    for ids, part in readable(pool, list(labels)):
        images.append(part)
        words.append(np.array([labels[image] for image in ids]))
    return np.concatenate(images), np.concatenate(words)


def readable(
    pool: ImagePool, ids: Sequence[str], chunk: int = CHUNK
) -> Iterator[tuple[list[str], np.ndarray]]:
    """Yield ids and images in chunks; what cannot be read any more is left out."""
    for start in range(0, len(ids), chunk):
        good, images = [], []
        for image in ids[start : start + chunk]:
            try:
                images.append(pool.seen_by_model(image))
                good.append(image)
            except ImageGoneError:
                continue  # the pool lists it among its problems
        if good:
            yield good, np.stack(images)


def _opinion(
    estimator: Any, images: np.ndarray, classes: tuple[str, ...]
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
    columns = [classes.index(str(label)) for label in estimator.classes_]
    aligned = np.zeros((len(images), len(classes)))
    aligned[:, columns] = proba
    return aligned, np.asarray(features, dtype=np.float32)


def thumbnails(images: np.ndarray) -> np.ndarray:
    """Return images (n, H, W[, C]) as grey thumbnails of at most 16 x 16, float32 (n, d) in [0, 1]."""
    grey = images if images.ndim == 3 else images.mean(axis=3)
    step = [max(1, side // SIMPLE_SIDE) for side in grey.shape[1:]]
    height, width = (grey.shape[i + 1] // step[i] * step[i] for i in (0, 1))
    blocks = grey[:, :height, :width].reshape(
        len(grey), height // step[0], step[0], width // step[1], step[1]
    )
    return (blocks.mean(axis=(2, 4)) / 255).reshape(len(grey), -1).astype(np.float32)


def simple_features(pool: ImagePool, ids: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Return features that need no model: principal components of thumbnails.

    Parameters
    ----------
    pool : ImagePool
    ids : sequence of str
        At least one of them readable.

    Returns
    -------
    ids : list of str
        Those that can be read.
    features : ndarray of float32 (n, d)
        d is at most 32.
    """
    from sklearn.decomposition import PCA

    good: list[str] = []
    parts = []
    for part, images in readable(pool, ids):
        good += part
        parts.append(thumbnails(images))
    if not good:
        return [], np.zeros((0, 1), dtype=np.float32)
    found = np.concatenate(parts)
    dimensions = min(SIMPLE_DIMENSIONS, *found.shape)
    seed = int(stream(0, "simple features").integers(2**31))
    return good, PCA(dimensions, random_state=seed).fit_transform(found).astype(np.float32)


class BackgroundTask:
    """One piece of work at a time in a thread of its own; the error of the last one is kept.

    Parameters
    ----------
    ended : callable
        Called in that thread after each piece of work, when `running` and `error` are up to date.
    """

    def __init__(self, ended: Callable[[], None]) -> None:
        self._ended = ended
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._again: Callable[[], None] | None = None
        self.error: BaseException | None = None

    @property
    def running(self) -> bool:
        """Whether work is under way or waiting."""
        return self._thread is not None

    def start(self, work: Callable[[], None]) -> bool:
        """Begin some work; while other work is under way, it is begun after that instead.

        Returns
        -------
        bool
            Whether it was begun at once.
        """
        with self._lock:
            if self._thread is not None:
                self._again = work
                return False
            self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
            self._thread.start()
            return True

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for all work to end; tell whether it has."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout)
        return self._thread is None

    def _run(self, work: Callable[[], None] | None) -> None:
        while work is not None:
            try:
                work()
                self.error = None
            except BaseException as error:
                self.error = error
            with self._lock:
                work, self._again = self._again, None
                if work is None:
                    self._thread = None
            self._ended()

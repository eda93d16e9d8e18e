"""`PoolFeatures`: what a frozen pretrained network makes of a pool, once for each image."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..progress import progress_bar
from .feature_table import BLOCK, FeatureTable
from .image_pool import ImagePool

if TYPE_CHECKING:
    from ..network.backbones import Backbone

CHUNK = 64
READ_AT_ONCE = 2_048
"""Images whose kept features are read from the disk before anything else is done."""
KEPT_CHUNK = 512
DECODING = "decoded and fitted 1"
"""Named where features are kept: another way to bring files to pixels gives other features."""
READING_PAUSE = 0.5
"""Seconds to wait for further images while the pool is still being read."""


class EmbeddingStoppedError(Exception):
    """`PoolFeatures.stop` was called while features were computed."""


class PoolFeatures:
    """The features of a pool's images, each computed once and kept on disk.

    They are those of `Backbone.features` for the images as the model sees them, in the same store. So what
    an experiment or `al-tf embed` has computed of the same pixels is there, and a session that is
    opened again reads no image file to have its model back.

    Parameters
    ----------
    pool : ImagePool
    backbone : Backbone
        Of `load_backbone`.
    cache_dir : path or False, optional
        As in `Backbone.features`.
    progress : bool
        Show a progress bar when computing features takes more than a second.

    Attributes
    ----------
    backbone : Backbone
    shape : tuple of int
        ``(dim,)``, of the features of one image.
    table : FeatureTable
        The features that there are.
    """

    def __init__(
        self,
        pool: ImagePool,
        backbone: Backbone,
        *,
        cache_dir: Any = None,
        progress: bool = False,
    ) -> None:
        from ..network.feature_store import features_folder

        self.backbone = backbone
        self.shape = (backbone.dim,)
        folder = None if cache_dir is False else features_folder(cache_dir)
        self.table = FeatureTable(backbone.dim, folder)
        self._pool, self._cache_dir, self._progress = pool, cache_dir, progress
        self._n_done = 0  # of the pool's arrivals: they have their features, or have gone
        self._elsewhere: set[str] = set()  # images in the table that were never in the pool
        self._turn, self._working = threading.Lock(), threading.Lock()
        self._stopped = threading.Event()
        self._pausing = threading.Condition()
        self._paused_until = 0.0
        self._read_kept(self._pool.arrivals[:READ_AT_ONCE])

    def count(self) -> int:
        """Return how many images of the pool have their features."""
        outside = (*self._elsewhere, *self._pool.gone)
        return len(self.table) - sum(i in self.table and i not in self._pool for i in outside)

    @property
    def complete(self) -> bool:
        """Whether every image of the pool has its features."""
        return self._first_missing() is None

    def _first_missing(self) -> int | None:
        """Return the place of the first arrival without features; None if all have them, or have gone."""
        arrivals, place = self._pool.arrivals, self._n_done
        while place < len(arrivals):
            image = arrivals[place]
            if image not in self.table and image in self._pool:
                break
            place += 1
        self._n_done = place  # only now: other threads may count, too
        return place if place < len(arrivals) else None

    def missing(self) -> list[str]:
        """Return the images of the pool that have no features, in the order of their arrival."""
        first = self._first_missing()
        later = [] if first is None else self._pool.arrivals[first:]
        return [image for image in later if image not in self.table and image in self._pool]

    def has_all(self, image_ids: Iterable[str]) -> bool:
        """Tell whether each of some images has its features, or has gone."""
        return all(image in self.table or image not in self._pool for image in image_ids)

    def available(self, image_ids: Sequence[str]) -> tuple[list[str], np.ndarray]:
        """Return those of some images that have their features, and the features ``(n, dim)``."""
        ids = [image for image in image_ids if image in self.table]
        return ids, self.table.rows(ids)

    def chunks(
        self, image_ids: Sequence[str], size: int = CHUNK
    ) -> Iterator[tuple[list[str], np.ndarray]]:
        """Yield ids and features ``(n, dim)`` in parts, as `ImagePool.chunks` does with images.

        Missing features are computed first, and kept after every `size` images.

        Raises
        ------
        EmbeddingStoppedError
            After `stop`.
        """
        self.compute(image_ids, size)
        for start in range(0, len(image_ids), BLOCK):
            ids, features = self.available(image_ids[start : start + BLOCK])
            if ids:
                yield ids, features

    def embed_pool(self) -> None:
        """Compute the features of all images of the pool, those that are read meanwhile, too.

        In the order of their arrival, which is random: so the images that have their features at
        any time are a simple random sample of the pool. Raises as `chunks` does.
        """
        while True:
            start = self._first_missing()
            if start is not None:
                part = self._pool.arrivals[start : start + READ_AT_ONCE]
                self.compute([image for image in part if image in self._pool], gives_way=True)
                continue  # others may have been read meanwhile
            if self._pool.is_reading and not self._stopped.is_set():
                self._stopped.wait(READING_PAUSE)
            else:
                return

    def stop(self) -> None:
        """End the computation that is under way at its next part, and refuse further ones."""
        self._stopped.set()
        self.go_on()

    def pause(self, seconds: float) -> None:
        """Have `embed_pool` begin no further part for so long, or until `go_on`.

        Not sooner after the last pause than this one is long, so that the features get on.
        """
        with self._pausing:
            if time.monotonic() - self._paused_until > seconds:
                self._paused_until = time.monotonic() + seconds

    def go_on(self) -> None:
        """End a pause."""
        with self._pausing:
            self._paused_until = min(self._paused_until, time.monotonic())
            self._pausing.notify_all()

    def _wait_for_pause(self) -> None:
        with self._pausing:
            while (left := self._paused_until - time.monotonic()) > 0:
                self._pausing.wait(left)

    def compute(
        self, image_ids: Sequence[str], size: int = CHUNK, *, gives_way: bool = False
    ) -> None:
        """Compute the features that are missing, of images that can be read; see `chunks`.

        With `gives_way`, no part is begun during a `pause`.
        """
        missing = [image for image in image_ids if image not in self.table]
        self._read_kept(missing)
        missing = [image for image in missing if image not in self.table]
        with self._bar(len(missing)) as bar:
            for start in range(0, len(missing), size):
                part = missing[start : start + size]
                if gives_way:
                    self._wait_for_pause()
                with self._turn:  # whoever waits comes before whoever has just done a part
                    self._working.acquire()
                try:
                    if self._stopped.is_set():
                        raise EmbeddingStoppedError
                    self._embed([image for image in part if image not in self.table])
                finally:
                    self._working.release()
                bar.update(len(part))

    def _bar(self, total: int) -> Any:
        return progress_bar(
            total=total, desc="Looking at the images", unit="image", delay=1, leave=False,
            shown=self._progress,
        )  # fmt: skip

    def _embed(self, image_ids: Sequence[str]) -> None:
        from ..network.pixels import pixel_digests

        for ids, images in self._pool.chunks(image_ids, keep=False):
            digests = pixel_digests(images)
            with self.backbone.store(self._cache_dir) as store:
                kept = store.get(digests)
                new = {digest: row for row, digest in enumerate(digests) if digest not in kept}
                if new:
                    features = self.backbone.features(images[[*new.values()]], cache_dir=False)
                    kept |= zip(new, features, strict=True)
                    store.put([*new], features)
                self.table.add(ids, [kept[digest] for digest in digests])
                store.put_sources(self.sources(ids), digests)

    def _read_kept(self, image_ids: Sequence[str]) -> None:
        if not image_ids:
            return
        with self.backbone.store(self._cache_dir) as store:
            for start in range(0, len(image_ids), KEPT_CHUNK):
                part = image_ids[start : start + KEPT_CHUNK]
                sources = self.sources(part)
                kept = store.get_sources(sources)
                rows = {
                    i: kept[name] for i, name in zip(part, sources, strict=True) if name in kept
                }
                self._elsewhere |= {image for image in rows if image not in self._pool}
                self.table.add([*rows], [*rows.values()])

    def sources(self, image_ids: Sequence[str]) -> list[bytes]:
        """Return what the store calls these images, as this pool brings them to pixels."""
        from ..network.feature_store import source_name

        seen_as = f"{self._pool.shape} of {self._pool.bits} bits, {DECODING}"
        return [source_name(image, seen_as) for image in image_ids]


def model_inputs(
    estimator: Any, pool: ImagePool, *, progress: bool = False
) -> ImagePool | PoolFeatures:
    """Return what an estimator is fitted on: features, if it has a backbone, else images.

    Parameters
    ----------
    estimator : estimator
        With a ``backbone`` (a `Backbone`, or its name) if it takes features in place of images,
        as `LinearProbeClassifier` does.
    pool : ImagePool
    progress : bool
        As in `PoolFeatures`.

    Raises
    ------
    DataNotFoundError
        The weights of the probe's backbone are not on this machine.
    """
    backbone = getattr(estimator, "backbone", None)
    if backbone is None:
        return pool
    if isinstance(backbone, str | os.PathLike):
        from ..network.backbones import load_backbone

        backbone = load_backbone(backbone, size=estimator.size)
    return PoolFeatures(pool, backbone, cache_dir=estimator.cache_dir, progress=progress)

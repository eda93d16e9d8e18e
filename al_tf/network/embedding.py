"""Images to features: while the network computes, threads read and name the images that are next."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any

import numpy as np

from ..image_arrays import ImageSource
from .feature_store import FeatureStore
from .forward_pass import Forward, passes_at_once
from .pixels import check_pixels, pixel_digests

_MAX_READERS = 8


def read_ahead(X: ImageSource, at_once: int) -> Iterator[tuple[np.ndarray, list[bytes]]]:
    """Yield all images in their order with their digests, read in threads a little ahead.

    Parameters
    ----------
    X : ImageSource (n, …)
        One thread reads it, or several if it says that it `reads_in_parallel`.
    at_once : int
        Images that are read at once.

    Yields
    ------
    pixels : ndarray (at most at_once, …)
        As `check_pixels` returns them.
    digests : list of bytes
        As `pixel_digests` makes them.

    Raises
    ------
    ValueError, DataCorruptError
        What reading raises, after all images before have been yielded.
    """

    def read(start: int) -> tuple[np.ndarray, list[bytes]]:
        pixels = check_pixels(X.read_range(start, min(start + at_once, len(X))), start)
        return pixels, pixel_digests(pixels)

    n_readers = min(_MAX_READERS, os.cpu_count() or 1) if X.reads_in_parallel else 1
    readers = ThreadPoolExecutor(n_readers, thread_name_prefix="al_tf reading")
    try:
        starts = iter(range(0, len(X), at_once))
        ahead = deque(readers.submit(read, start) for start in islice(starts, n_readers + 1))
        while ahead:
            part = ahead.popleft().result()
            ahead.extend(readers.submit(read, start) for start in islice(starts, 1))
            yield part
    finally:
        readers.shutdown(cancel_futures=True)


def embed(
    X: ImageSource,
    compiled: Callable[[], Forward],
    store: FeatureStore,
    bar: Any,
    *,
    dim: int,
    batch: int,
) -> tuple[np.ndarray, list[bytes]]:
    """Read images once; embed those that neither came before nor are kept.

    Parameters
    ----------
    X : ImageSource (n, …)
    compiled : callable
        Returns the network as a function of images; called when there is something to compute.
    store : FeatureStore
        What is computed is kept there at once.
    bar : progress bar
        Moved on by each image.
    dim : int
        Number of features.
    batch : int
        Images a pass.

    Returns
    -------
    features : ndarray of float32 (n, dim)
    digests : list of bytes
        Of each image, the keys of the store.

    Raises
    ------
    ValueError
        For features that are not finite, none of which are kept.
    """
    features = np.empty((len(X), dim), np.float32)
    digests_of_all: list[bytes] = []
    first_row: dict[bytes, int] = {}
    repeats: list[tuple[int, int]] = []
    with _Passes(compiled, store, features, batch) as passes:
        for pixels, digests in read_ahead(X, batch):
            kept = store.get([digest for digest in digests if digest not in first_row])
            for row, (digest, image) in enumerate(
                zip(digests, pixels, strict=True), len(digests_of_all)
            ):
                if digest in first_row:
                    repeats.append((row, first_row[digest]))
                    continue
                first_row[digest] = row
                if digest in kept:
                    features[row] = kept[digest]
                else:
                    passes.add(digest, row, image)
            digests_of_all += digests
            X.release()
            bar.update(len(pixels))
        passes.finish()
    if repeats:
        rows, sources = zip(*repeats, strict=True)
        features[[*rows]] = features[[*sources]]
    return features, digests_of_all


class _Passes:
    """Batches of images that go through the network in threads of its own, `passes_at_once` at a time.

    Leaving the block after an error or Ctrl-C keeps what the network has finished.
    """

    def __init__(
        self,
        compiled: Callable[[], Forward],
        store: FeatureStore,
        features: np.ndarray,
        batch: int,
    ) -> None:
        self._compiled, self._store, self._features = compiled, store, features
        self._batch = batch
        self._digests: list[bytes] = []
        self._rows: list[int] = []
        self._images: np.ndarray | None = None
        self._passes: deque[tuple[list[bytes], list[int], Future[np.ndarray]]] = deque()
        self._network: ThreadPoolExecutor | None = None
        self._ahead = 0  # batches that the network has or that wait for it

    def __enter__(self) -> _Passes:
        return self

    def __exit__(self, *error: Any) -> None:
        for digests, _, result in self._passes:  # none, but after an error
            if not result.cancel() and result.exception() is None:
                new = result.result()
                if np.isfinite(new).all():
                    self._store.put(digests, new)
        if self._network is not None:
            self._network.shutdown()

    def add(self, digest: bytes, row: int, image: np.ndarray) -> None:
        """Put an image into the batch that is next, and start it when it is full."""
        if self._images is None:
            self._images = np.empty((self._batch, *image.shape), image.dtype)
        self._images[len(self._rows)] = image
        self._digests.append(digest)
        self._rows.append(row)
        if len(self._rows) == self._batch:
            self._start()

    def finish(self) -> None:
        """Wait until the features of all images are there."""
        if self._rows:
            self._start()
        while self._passes:
            self._finish_first()

    def _start(self) -> None:
        assert self._images is not None
        forward = self._compiled()
        if self._network is None:
            n_threads = passes_at_once()
            self._network = ThreadPoolExecutor(n_threads, thread_name_prefix="al_tf network")
            self._ahead = n_threads + 1
        result = self._network.submit(forward, self._images[: len(self._rows)])
        self._passes.append((self._digests, self._rows, result))
        self._digests, self._rows, self._images = [], [], None  # the pass holds on to them
        if len(self._passes) == self._ahead:
            self._finish_first()

    def _finish_first(self) -> None:
        digests, rows, result = self._passes[0]
        new = result.result()
        wrong = np.flatnonzero(~np.isfinite(new).all(axis=1))
        if len(wrong):
            raise ValueError(
                f"The network gives NaN or infinite features, of image {rows[wrong[0]]} for one: its "
                "training may have diverged, or its file is damaged. Take another backbone."
            )
        self._features[rows] = new
        self._store.put(digests, new)
        self._passes.popleft()

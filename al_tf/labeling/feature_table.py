"""`FeatureTable`: rows of features by image, in blocks, so that it grows without being copied."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

BLOCK = 4_096


class FeatureTable:
    """Features of images, each a row; any number of threads may read while one adds.

    Parameters
    ----------
    dim : int
        Number of features.
    """

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self._blocks: list[np.ndarray] = []
        self._ids: list[str] = []
        self._row: dict[str, int] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._row)

    def __contains__(self, image: object) -> bool:
        return image in self._row

    def add(self, images: Sequence[str], features: Iterable[np.ndarray]) -> None:
        """Add the features ``(dim,)`` of images; those that are there already stay."""
        with self._lock:
            for image, values in zip(images, features, strict=True):
                if image in self._row:
                    continue
                row = len(self._ids)
                if row == BLOCK * len(self._blocks):
                    self._blocks.append(np.empty((BLOCK, self.dim), np.float32))
                self._blocks[-1][row % BLOCK] = values
                self._ids.append(image)
                self._row[image] = row  # last: who finds it finds its features

    def rows(self, images: Sequence[str]) -> np.ndarray:
        """Return the features of images that are there: float32 ``(n, dim)``."""
        place = np.fromiter(map(self._row.__getitem__, images), np.intp, len(images))
        features = np.empty((len(images), self.dim), np.float32)
        block, row = np.divmod(place, BLOCK)
        for number in np.unique(block):
            here = block == number
            features[here] = self._blocks[number][row[here]]
        return features

    def row_of(self) -> dict[str, int]:
        """Return the number of each image that is there by now, in the order of adding."""
        with self._lock:
            return self._row.copy()

    def blocks(self, n: int | None = None) -> Iterator[tuple[list[str], np.ndarray]]:
        """Yield images and their features ``(n, dim)`` in the order of adding, without a copy.

        Parameters
        ----------
        n : int, optional
            Only the first so many.
        """
        n = len(self._row) if n is None else n
        for start in range(0, n, BLOCK):
            images = self._ids[start : min(start + BLOCK, n)]
            yield images, self._blocks[start // BLOCK][: len(images)]

"""What users have images in, as sources that are read a part at a time."""

from __future__ import annotations

import mmap
import os
from typing import Any

import numpy as np

from ..images import ImageSource

SAMPLED_ROWS = 256
"""Rows of a memory-mapped file that are read to tell it from another one."""


class ArraySource(ImageSource):
    """An array in memory, or a memory-mapped file.

    Parameters
    ----------
    array : ndarray (n, …)
    """

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.dtype = array, array.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.array.shape

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return a copy of the images at `rows`."""
        return self.array[rows]

    def read_range(self, start: int, stop: int) -> np.ndarray:
        """Return a view of consecutive images."""
        return self.array[start:stop]

    def release(self) -> None:
        """Drop the pages of a memory-mapped file, which stay in the system's cache.

        A private mapping (mode ``"c"``) is left alone: it may hold changes that are nowhere else.
        """
        mapped = self.array
        if not isinstance(mapped, np.memmap) or mapped.mode == "c":
            return
        base = mapped.base
        while isinstance(base, np.ndarray):
            base = base.base
        if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            base.madvise(mmap.MADV_DONTNEED)

    def identity(self) -> list[Any]:
        """Return the file's name, place and time of change and some rows, or the whole array."""
        mapped = self.array
        if not isinstance(mapped, np.memmap) or not isinstance(mapped.base, mmap.mmap):
            return [mapped]
        file = os.stat(mapped.filename)
        facts = [str(mapped.filename), mapped.offset, file.st_size, file.st_mtime_ns]
        return [*facts, mapped[:: max(1, len(mapped) // SAMPLED_ROWS)]]


class IndexedSource(ImageSource):
    """Anything with ``shape``, ``dtype``, ``len`` and indexing of its first axis.

    Parameters
    ----------
    images : object
        It is indexed by slices, and by integers in rising order without repeats.
    """

    def __init__(self, images: Any) -> None:
        self._images = images
        self.dtype = np.dtype(images.dtype)
        self.fingerprint = getattr(images, "fingerprint", None)

    def __repr__(self) -> str:
        return f"{type(self._images).__name__} of shape {self.shape}"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of what it reads from."""
        return tuple(self._images.shape)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return the images at `rows`."""
        unique, inverse = np.unique(rows, return_inverse=True)
        return np.asarray(self._images[unique])[inverse]

    def read_range(self, start: int, stop: int) -> np.ndarray:
        """Return consecutive images."""
        return np.asarray(self._images[start:stop])


def is_plain(X: Any) -> bool:
    """Whether `X` is in memory and small enough to be checked as a whole: no pixels, no file."""
    if isinstance(X, np.ndarray):
        return X.dtype != np.uint8 and not isinstance(X, np.memmap)
    if isinstance(X, ImageSource):
        return False
    return not hasattr(X, "shape") or hasattr(X, "iloc") or hasattr(X, "toarray")


def image_source(X: Any) -> ImageSource:
    """Return images, whatever they come in, as a source that is read a part at a time.

    Parameters
    ----------
    X : array-like (n, …)
        Arrays in memory or on disk, and whatever has ``shape``, ``dtype``, ``len`` and indexing,
        are not copied.
    """
    if isinstance(X, ImageSource):
        return X
    indexed = all(hasattr(X, name) for name in ("shape", "dtype", "__len__", "__getitem__"))
    if indexed and not isinstance(X, np.ndarray) and not hasattr(X, "iloc"):
        return IndexedSource(X)
    return ArraySource(np.asarray(X))

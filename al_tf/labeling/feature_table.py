"""`FeatureTable`: rows of features by image in a file, so that a large pool takes no memory for them."""

from __future__ import annotations

import mmap
import os
import tempfile
import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from pathlib import Path
from typing import IO

import numpy as np

BLOCK = 4_096
ROWS_AT_ONCE = 1_024
"""Rows of a block that are handed out at once."""
STRIP = 1 << 16
"""Numbers that are turned into float32 at once: they stay in the processor's cache."""
_HIGHEST = float(np.finfo(np.float16).max)


class FeatureTable:
    """Features of images, each a row; any number of threads may read while one adds.

    The rows are in a nameless file that goes with the table, mapped to memory a block at a time.
    They are float16, which moves the probabilities of a linear probe by 0.005 at most (see
    `FeatureStore`, which keeps float32); all become float32 once a value does not fit.

    Parameters
    ----------
    dim : int
        Number of features.
    folder : path, optional
        Where the file is; the system's folder of temporary files if not given. Where it cannot be
        written, a warning says so and the rows are held in memory.

    Attributes
    ----------
    dtype : numpy.dtype
        Of the rows in the file: float16, or float32 once a value is beyond ±65,504.
    """

    def __init__(self, dim: int, folder: str | os.PathLike[str] | None = None) -> None:
        self.dim = dim
        self.dtype: np.dtype[np.floating] = np.dtype(np.float16)
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._in_memory = False
        self._blocks: list[np.ndarray] = []
        self._ids: list[str] = []
        self._row: dict[str, int] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._row)

    def __contains__(self, image: object) -> bool:
        return image in self._row

    def add(self, images: Sequence[str], features: Sequence[np.ndarray] | np.ndarray) -> None:
        """Add the features ``(dim,)`` of images; those that are there already stay."""
        if not len(images):
            return
        rows = np.asarray(features, np.float32)
        with self._lock:
            if self.dtype == np.float16 and not np.abs(rows).max() <= _HIGHEST:
                self._widen()
            new = {image: i for i, image in enumerate(images) if image not in self._row}
            names, rows, start = [*new], rows[[*new.values()]], len(self._ids)
            self._append(names, rows)
            places = range(start, len(self._ids))
            self._row.update(zip(names, places, strict=True))  # who finds it finds its features

    def _append(self, names: list[str], rows: np.ndarray) -> None:
        """Write rows behind the others."""
        while names:
            number, place = divmod(len(self._ids), BLOCK)
            if number == len(self._blocks):
                self._blocks.append(self._new_block(number))
            n = min(len(names), BLOCK - place)
            self._blocks[number][place : place + n] = rows[:n]
            _release(self._blocks[number])
            self._ids += names[:n]
            names, rows = names[n:], rows[n:]

    def rows(self, images: Sequence[str]) -> np.ndarray:
        """Return the features of images that are there: float32 ``(n, dim)``."""
        return self.at(np.fromiter(map(self._row.__getitem__, images), np.intp, len(images)))

    def at(self, places: np.ndarray) -> np.ndarray:
        """Return the features, float32 ``(n, dim)``, at some places in the order of adding."""
        blocks = self._blocks  # all of one type, whatever `add` does meanwhile
        features = np.empty((len(places), self.dim), blocks[0].dtype if blocks else self.dtype)
        block, row = np.divmod(places, BLOCK)
        for number in np.unique(block):
            here = block == number
            features[here] = blocks[number][row[here]]
            _release(blocks[number])
        return as_float32(features)

    @property
    def places(self) -> Mapping[str, int]:
        """The place of each image in the order of adding; it grows."""
        return self._row

    def images(self, n: int) -> list[str]:
        """Return the first `n` images in the order of adding."""
        return self._ids[:n]

    @property
    def n_blocks(self) -> int:
        """Number of blocks of `BLOCK` images, the last of which may have fewer."""
        return -(-len(self._row) // BLOCK)

    def blocks(
        self, numbers: Iterable[int] | None = None
    ) -> Iterator[tuple[list[str], np.ndarray]]:
        """Yield images and their features, float32 ``(n, dim)``, in the order of adding.

        They come in parts of at most `ROWS_AT_ONCE`, which pass through the processor's cache.

        Parameters
        ----------
        numbers : iterable of int, optional
            Of the blocks that are wanted; all by default.
        """
        for number in range(self.n_blocks) if numbers is None else numbers:
            images, block = self._ids[number * BLOCK : (number + 1) * BLOCK], self._blocks[number]
            for start in range(0, len(images), ROWS_AT_ONCE):
                part = images[start : start + ROWS_AT_ONCE]
                yield part, as_float32(block[start : start + len(part)])
            _release(block)

    def first(self, n: int) -> FirstRows:
        """Return the places of the first `n` images."""
        return FirstRows(self, n)

    def _new_block(self, number: int) -> np.ndarray:
        """Return room for `BLOCK` rows, in the file if the disk has it."""
        n_bytes = BLOCK * self.dim * self.dtype.itemsize
        try:
            if not self._in_memory:
                if self._file is None:
                    self._file = _nameless_file(self._folder)
                self._file.seek(number * n_bytes)
                self._file.write(bytes(n_bytes))
                self._file.flush()  # a full disk is noticed here, not when a mapped page is written
                return np.memmap(
                    self._file, self.dtype, "r+", number * n_bytes, (BLOCK, self.dim)
                )  # fmt: skip
        except OSError as error:
            self._in_memory = True
            warnings.warn(
                f"Features of the images are held in memory from now on, as no file can take them "
                f"({error}). Make room, or name another place by $AL_TF_CACHE_DIR.",
                RuntimeWarning,
                stacklevel=3,
            )
        return np.zeros((BLOCK, self.dim), self.dtype)

    def _widen(self) -> None:
        """Hold all rows as float32, in a new file; who reads a block of the old one may go on."""
        narrow, self._file, self.dtype = self._blocks, None, np.dtype(np.float32)
        wide = []
        for number, block in enumerate(narrow):
            wide.append(self._new_block(number))
            wide[-1][:] = block
        self._blocks = wide


class FirstRows(Mapping[str, int]):
    """The places of the first images of a table, without a copy of its index.

    Parameters
    ----------
    table : FeatureTable
    n : int
        How many.
    """

    def __init__(self, table: FeatureTable, n: int) -> None:
        self._table, self._n = table, n

    def __getitem__(self, image: str) -> int:
        place = self._table.places[image]
        if place >= self._n:
            raise KeyError(image)
        return place

    def __iter__(self) -> Iterator[str]:
        return iter(self._table.images(self._n))

    def __len__(self) -> int:
        return self._n

    def rows(self, images: Sequence[str]) -> np.ndarray:
        """Return the place of each of some images, -1 of others."""
        rows = rows_of(self._table.places, images)
        return np.where(rows < self._n, rows, -1)


def rows_of(places: Mapping[str, int], images: Sequence[str]) -> np.ndarray:
    """Return the place of each of some images, -1 of those without one."""
    if isinstance(places, FirstRows):
        return places.rows(images)
    return np.fromiter(map(places.get, images, repeat(-1)), np.intp, len(images))


def as_float32(rows: np.ndarray) -> np.ndarray:
    """Return float16 without infinity and NaN as float32, several times faster than numpy does.

    Sign, exponent and fraction are moved to their places in 32 bits, and the exponent, whose bias is
    112 less in half precision, is mended by a product, which is exact for small numbers too.
    """
    if rows.dtype != np.float16:
        return rows
    wide = np.empty(rows.shape, np.float32)
    at_once = max(1, STRIP // max(1, rows[0].size if len(rows) else 1))
    for start in range(0, len(rows), at_once):
        part = wide[start : start + at_once]
        bits = part.view(np.int32)
        bits[:] = np.ascontiguousarray(rows[start : start + at_once]).view(np.int16)
        bits <<= 13
        bits &= -0x70002000  # drops what the sign was extended by
        part *= np.float32(2.0**112)
    return wide


def _nameless_file(folder: str | os.PathLike[str] | None) -> IO[bytes]:
    if folder is not None:
        Path(folder).mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryFile(dir=folder)


def _release(block: np.ndarray) -> None:
    """Drop the pages of a block from this process; the system still has them."""
    mapped = block.base
    if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)

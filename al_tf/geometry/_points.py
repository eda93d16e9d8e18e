"""Rows made ready for distances by matrix products, in tiles of a stated size.

A squared distance by GEMM, ``|x|² + |y|² - 2<x, y>``, loses its digits when the rows share a
large offset or are far longer than they are apart. So rows are centred and scaled first, and rows
of a tile that hold a pair too close for float32 are computed again in float64.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ._threads import for_each, n_workers, ordered_map, scratch

MEMORY_LIMIT = 256 * 2**20
LARGEST_TILE = 512  # 512² float32 = 1 MiB: stays in a core's cache between the passes over it
CLOSE = 1e-3  # pairs nearer than this part of the tile's squared radius are redone in float64


@dataclass(frozen=True)
class Points:
    """Rows as the right-hand operand ``[y, 1, |y|²]`` of a distance product.

    Attributes
    ----------
    operand : ndarray, shape (n, d + 2), float32
    scale : float
        A distance between rows here, times `scale`, is the distance between the original rows.
    """

    operand: np.ndarray
    scale: float

    def __len__(self) -> int:
        return len(self.operand)

    @property
    def rows(self) -> np.ndarray:
        """The centred and scaled rows, shape (n, d): a view."""
        return self.operand[:, :-2]

    @property
    def squared_norms(self) -> np.ndarray:
        """``|y|²`` for each row, shape (n,): a view."""
        return self.operand[:, -1]

    def take(self, indices: np.ndarray | slice) -> Points:
        """Return the points at `indices`."""
        return Points(self.operand[indices], self.scale)


class RowsInOrder:
    """Rows of an array in another order, each read when it is asked for: no copy of the whole.

    Kernels that read their rows in blocks take it in place of an array; `numpy.asarray` makes an
    array of it.

    Parameters
    ----------
    rows : ndarray, shape (m, d)
        For example a memory map.
    order : ndarray, shape (n,), intp
        Row i is ``rows[order[i]]``.
    unit : bool
        Divide each row by its Euclidean length, as `unit_rows` does.

    Examples
    --------
    >>> import numpy as np
    >>> from al_tf.geometry import RowsInOrder
    >>> rows = RowsInOrder(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1, 0]))
    >>> rows.shape, rows[:1].tolist()
    ((2, 2), [[3.0, 4.0]])
    """

    def __init__(self, rows: np.ndarray, order: np.ndarray, *, unit: bool = False) -> None:
        self.rows, self.order, self.unit = rows, order, unit
        self.shape = (len(order), rows.shape[1])
        self.dtype = np.dtype(np.float32) if unit else rows.dtype
        self.ndim = 2

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, key: slice | np.ndarray) -> np.ndarray:
        order = self.order[key]
        if not self.unit:
            rows: np.ndarray = self.rows[order]
            return rows
        unit = np.empty((len(order), self.shape[1]), dtype=np.float32)
        for part in slices(len(order), 1024):  # no float64 copy of the whole
            unit[part] = to_unit_length(self.rows[order[part]])
        return unit

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(dtype or self.dtype, copy=False)


Rows: TypeAlias = "np.ndarray | RowsInOrder"


def to_unit_length(rows: np.ndarray) -> np.ndarray:
    """Return a block of rows divided by their lengths, float32; rows of zeros stay zeros."""
    unit = np.empty(rows.shape, dtype=np.float32)
    work = np.result_type(rows, np.float32)
    for part in slices(len(rows), 64):  # what is computed in between stays in the cache
        block = rows[part].astype(work, copy=False)
        largest = np.abs(block).max(axis=1, keepdims=True)  # squares may leave float32's range
        scaled = (block / np.where(largest > 0, largest, 1)).astype(np.float64)
        length = np.sqrt(np.einsum("ij,ij->i", scaled, scaled))[:, None]
        np.divide(scaled, np.where(length > 0, length, 1), out=unit[part], casting="same_kind")
    return unit


def check_rows(X: Rows, what: str = "rows") -> Any:
    """Return `X` as an array, or as it is, if it is ``(n, d)`` with n and d of 1 or more."""
    X = X if isinstance(X, RowsInOrder) else np.asarray(X)
    if X.ndim != 2 or 0 in X.shape:
        raise ValueError(f"Expected {what} of shape (n, d), n and d at least 1; got {X.shape}.")
    return X


def make_points(X: Rows, *others: Rows) -> tuple[Points, ...]:
    """Centre on the mean of `X` and scale by a power of two, jointly for `X` and the others.

    Parameters
    ----------
    X, *others : ndarray, shape (n, d), (m, d), ...
        Any real dtype.

    Returns
    -------
    tuple of Points
        In the order given; their values lie in [-1, 1].

    Raises
    ------
    ValueError
        As `make_frame`.
    """
    frame = make_frame(X, *others)
    return tuple(frame.points(array) for array in (X, *others))


@dataclass(frozen=True)
class Frame:
    """The mean and the scale by which rows become `Points`."""

    mean: np.ndarray
    scale: float

    def points(self, X: Rows) -> Points:
        """Return some or all of the rows that the frame was made for as points."""
        return Points(_operand(check_rows(X), self.mean, self.scale), self.scale)


def make_frame(X: Rows, *others: Rows) -> Frame:
    """Return the mean of `X` and a power of two by which `X` and the others lie in [-1, 1].

    Parameters
    ----------
    X, *others : ndarray, shape (n, d), (m, d), ...
        Any real dtype; read in blocks.

    Returns
    -------
    Frame

    Raises
    ------
    ValueError
        Not two-dimensional, of different widths, or not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from al_tf.geometry import make_frame
    >>> frame = make_frame(np.array([[0.0, 4.0], [2.0, 0.0]]))
    >>> frame.mean.tolist(), float(frame.scale)
    ([1.0, 2.0], 2.0)
    >>> frame.points(np.array([[2.0, 0.0]])).rows.tolist()
    [[0.5, -1.0]]
    """
    arrays = [check_rows(array) for array in (X, *others)]
    if len({array.shape[1] for array in arrays}) != 1:
        raise ValueError(f"Rows differ in width: {[array.shape for array in arrays]}.")
    summaries = [_summary(array) for array in arrays]
    mean = summaries[0][0]
    lowest = np.min([low for _, low, _ in summaries], axis=0)
    highest = np.max([high for _, _, high in summaries], axis=0)
    reach = float(np.maximum(highest - mean, mean - lowest).max())
    return Frame(mean, 2.0 ** np.ceil(np.log2(reach)) if reach > 0 else 1.0)


def _summary(X: Rows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean, minimum and maximum of each column, float64."""

    def summarise(part: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        block = X[part]
        return block.sum(axis=0, dtype=np.float64), block.min(axis=0), block.max(axis=0)

    totals, lows, highs = zip(*ordered_map(summarise, slices(len(X), 8192)), strict=True)
    mean = np.sum(totals, axis=0) / len(X)
    if not np.isfinite(mean).all():
        bad = sum(int((~np.isfinite(X[part])).any(axis=1).sum()) for part in slices(len(X), 8192))
        raise ValueError(f"{bad} of {len(X)} rows are not finite (NaN or infinite).")
    return mean, np.min(lows, axis=0).astype(np.float64), np.max(highs, axis=0).astype(np.float64)


def _operand(X: Rows, mean: np.ndarray, scale: float) -> np.ndarray:
    operand = np.empty((len(X), X.shape[1] + 2), dtype=np.float32)
    in_range = 2.0**-100 < scale < 2.0**100
    work = np.float32 if X.dtype == np.float32 and in_range else np.float64
    centre, inverse = mean.astype(work), work(1.0 / scale)

    def fill(part: slice) -> None:
        block = X[part]
        rows = scratch("rows", block.shape, work)
        np.subtract(block, centre, out=rows, dtype=work)
        np.multiply(rows, inverse, out=operand[part, :-2], casting="same_kind")
        operand[part, -2] = 1.0
        operand[part, -1] = np.einsum("ij,ij->i", operand[part, :-2], operand[part, :-2])

    parts = slices(len(X), 2048)
    if len(X) <= 2048:  # as in the tasks of a kernel, which start none themselves
        fill(slice(0, len(X)))
    else:
        for_each(fill, parts)
    return operand


def distance_operand(points: Points) -> np.ndarray:
    """Return ``[-2x, |x|², 1]``: times the transposed operand of others, squared distances."""
    left = np.empty_like(points.operand)
    np.multiply(points.rows, -2.0, out=left[:, :-2])
    left[:, -2] = points.squared_norms
    left[:, -1] = 1.0
    return left


def squared_distances(
    A: Points, B: Points, left: np.ndarray | None = None, *, diagonal: float | None = None
) -> np.ndarray:
    """Return the squared distances of one tile, in scaled units, none negative.

    Parameters
    ----------
    A, B : Points
        At most a tile of each.
    left : ndarray, optional
        ``distance_operand(A)``, if the caller has it already.
    diagonal : float, optional
        For a tile whose rows and columns are the same points: the value to write on its diagonal
        (0, or infinity to leave each row out of its own neighbours).

    Returns
    -------
    ndarray, shape (len(A), len(B)), float32
    """
    tile = (distance_operand(A) if left is None else left) @ B.operand.T
    own = tile.reshape(-1)[:: tile.shape[1] + 1]  # a view of the diagonal
    if diagonal is not None:
        own[:] = np.inf
    threshold = CLOSE * (A.squared_norms.max() + B.squared_norms.max())
    close = np.flatnonzero(tile.min(axis=1) < threshold)
    if len(close):
        tile[close] = precise_squared_distances(A.rows[close], B.rows)
    if diagonal is not None:
        own[:] = diagonal
    return tile


def precise_squared_distances(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Return squared distances by a float64 product, never negative, ``(len(A), len(B))``."""
    A, B = A.astype(np.float64), B.astype(np.float64)
    squared = np.einsum("ij,ij->i", A, A)[:, None] - 2.0 * (A @ B.T) + np.einsum("ij,ij->i", B, B)
    return np.maximum(squared, 0.0)


def first_of_highest(values: np.ndarray, rank: np.ndarray) -> int:
    """Return the place of the largest value, among equals that of the highest rank."""
    level = np.flatnonzero(values == values.max())
    return int(level[rank[level].argmax()])


def slices(stop: int, size: int, *, start: int = 0) -> Iterator[slice]:
    """Yield slices of at most `size` that cover ``range(start, stop)``."""
    for first in range(start, stop, size):
        yield slice(first, min(first + size, stop))


def tile_size(memory_limit: int) -> int:
    """Return the side of a square tile so that all threads' work fits into `memory_limit` bytes."""
    if memory_limit < 2**20:
        raise ValueError(f"memory_limit is in bytes, at least 1 MiB; got {memory_limit}.")
    per_entry = 16  # the float32 tile, its float64 rows, and what is computed from it
    side = int((memory_limit / n_workers() / per_entry) ** 0.5)
    return max(32, min(LARGEST_TILE, side))

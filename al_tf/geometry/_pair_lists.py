"""Which targets each row adds to, with their kernel values: lists within a budget of memory."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

PAIR_BYTES = 8


class Pairs(NamedTuple):
    """Rows, the targets they add to, and the kernel between them; one entry for each pair."""

    rows: np.ndarray
    targets: np.ndarray
    values: np.ndarray

    @classmethod
    def above(cls, tile: np.ndarray, floor: np.ndarray, rows: np.ndarray, columns: slice) -> Pairs:
        """Return the pairs of a tile whose kernel is more than the floor of their column."""
        row, column = np.divmod(np.flatnonzero(tile > floor), tile.shape[1])
        values = tile[row, column].astype(np.float32, copy=False)
        return cls(rows[row].astype(np.int32), (column + columns.start).astype(np.int32), values)


class PairLists:
    """A list of pairs for some of `n` rows; at most `most` pairs, the others are dropped.

    Attributes
    ----------
    count : ndarray, shape (n,), int64
        The length of each row's list; -1 for rows that have none.
    """

    def __init__(self, n: int, most: int) -> None:
        self.most = most
        self.count = np.full(n, -1, dtype=np.int64)
        self._start = np.zeros(n, dtype=np.int64)
        self._targets, self._values = np.empty(0, np.int32), np.empty(0, np.float32)
        self._used = 0

    def add(
        self, rows: np.ndarray, pieces: list[Pairs], bound: np.ndarray, covered: np.ndarray
    ) -> None:
        """Keep the pairs of the rows given, ascending; pairs of other rows are ignored.

        Where there is no room, lists of rows with the lowest bounds are dropped, and pairs that add
        nothing any more. Of rows with more than half of `most` pairs together, none is kept.
        """
        if not len(rows) or not pieces:
            return
        owners, targets, values = (np.concatenate(arrays) for arrays in zip(*pieces, strict=True))
        order = np.argsort(owners, kind="stable")
        first, last = (np.searchsorted(owners[order], rows, side) for side in ("left", "right"))
        order = order[_ranges(first, last - first)]
        if len(order) > self.most // 2:
            return
        if self._used + len(order) > self.most:
            self._drop(bound, covered)
        self.count[rows] = last - first
        self._start[rows] = self._used + np.cumsum(self.count[rows]) - self.count[rows]
        self._append(targets[order], values[order])

    def of(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the targets and the kernel values of one row that has a list."""
        part = slice(self._start[row], self._start[row] + self.count[row])
        return self._targets[part], self._values[part]

    def gains(self, rows: np.ndarray, covered: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return what rows that have lists add to the coverage, float64."""
        counts = self.count[rows]
        pairs = _ranges(self._start[rows], counts)
        targets = self._targets[pairs]
        worth = np.maximum(self._values[pairs] - covered[targets], 0) * weights[targets]
        return _sums(worth, counts)

    def _append(self, targets: np.ndarray, values: np.ndarray) -> None:
        needed = self._used + len(targets)
        if needed > len(self._targets):
            room = min(self.most, max(needed, 2 * len(self._targets)))
            self._targets = _grown(self._targets[: self._used], room)
            self._values = _grown(self._values[: self._used], room)
        self._targets[self._used : needed] = targets
        self._values[self._used : needed] = values
        self._used = needed

    def _drop(self, bound: np.ndarray, covered: np.ndarray) -> None:
        """Keep half of what may be kept, of the rows with the highest bounds."""
        rows = np.flatnonzero(self.count >= 0)
        rows = rows[np.argsort(-bound[rows], kind="stable")]
        fit = np.searchsorted(np.cumsum(self.count[rows]), self.most // 2, "right")
        self.count[rows[fit:]] = -1
        kept = rows[:fit]
        pairs = _ranges(self._start[kept], self.count[kept])
        targets, values = self._targets[pairs], self._values[pairs]
        adds = values > covered[targets]
        self.count[kept] = _sums(adds.astype(np.int64), self.count[kept])
        self._start[kept] = np.cumsum(self.count[kept]) - self.count[kept]
        self._used = 0
        self._append(targets[adds], values[adds])


def _ranges(start: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Return ``start[i], start[i] + 1, …``, ``count[i]`` of them, one i after another."""
    before = np.cumsum(count) - count
    return np.arange(int(count.sum())) + np.repeat(start - before, count)


def _sums(values: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Return the sums of consecutive values, of as many at a time as `count` says."""
    sums = np.zeros(len(count), dtype=values.dtype)
    some = count > 0
    sums[some] = np.add.reduceat(values, (np.cumsum(count) - count)[some]) if some.any() else 0
    return sums


def _grown(array: np.ndarray, room: int) -> np.ndarray:
    grown = np.empty(room, dtype=array.dtype)
    grown[: len(array)] = array
    return grown

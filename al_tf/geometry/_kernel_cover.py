"""Choosing rows whose kernels cover the others: greedy maximisation of generalised coverage."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..seeding import RandomState, check_random_state
from ._density import Kernel
from ._distances import nearest_points
from ._pair_lists import PAIR_BYTES, PairLists, Pairs
from ._points import (
    MEMORY_LIMIT,
    Frame,
    Points,
    Rows,
    check_rows,
    first_of_highest,
    make_frame,
    slices,
    tile_size,
)
from ._threads import ordered_map

BLOCK = 256  # rows whose kernel values are computed again at once
FEW = 32  # rows brought up to date before it is known which others may gain as much
SPARSE = 1 / 8  # of a tile's pairs: rows that reach more targets are listed once they may be chosen
AT_ONCE = 2**20  # pairs that gains are computed from
SLACK = 1e-4  # more than the relative rounding of a float32 sum over the width of a tile


def max_kernel_cover(
    X: Rows,
    k: int,
    bandwidth: float,
    centers: np.ndarray | None = None,
    *,
    targets: Rows | None = None,
    weights: np.ndarray | None = None,
    random_state: RandomState = None,
    memory_limit: int = MEMORY_LIMIT,
) -> tuple[np.ndarray, np.ndarray]:
    """Choose rows that raise the weighted kernel coverage of the targets most, one after another.

    The coverage is ``sum_t w_t max_c exp(-(|t - c| / bandwidth)²)`` over centers and chosen rows
    c. A row adds only to targets that are nearer to it than to any center: with m centers, to about
    one in m + 1. One pass over all pairs lists these with their kernel values, and all later gains
    follow from the lists. Where they do not fit into memory, or there are no centers, they are made
    for rows that may be chosen: coverage is submodular, so that gains computed earlier are upper
    bounds. The choice is that of the plain algorithm, which computes all gains for each pick, up to
    the rounding of float32.

    Parameters
    ----------
    X : ndarray, shape (n, d)
        Read in blocks.
    k : int
        1 to n.
    bandwidth : float
        More than 0, in the units of `X`.
    centers : ndarray, shape (m, d), optional
        Rows that cover already.
    targets : ndarray, shape (t, d), optional
        The rows to cover; `X` itself by default.
    weights : ndarray, shape (t,), optional
        0 or more; 1 by default.
    random_state : RandomState
        Breaks ties.
    memory_limit : int
        Bytes of working memory, beside inputs, outputs and float32 copies of targets and centers.

    Returns
    -------
    chosen : ndarray, shape (k,), intp
        In the order of choice.
    gains : ndarray, shape (k,), float64
        What each added to the coverage; never rising, up to rounding.

    Raises
    ------
    ValueError
        `k`, `bandwidth` or `weights` out of range, or rows that are not finite, not
        two-dimensional or of other widths.

    Examples
    --------
    >>> import numpy as np
    >>> from al_tf.geometry import max_kernel_cover
    >>> X = np.array([[0.0], [0.1], [0.2], [9.0]])
    >>> chosen, gains = max_kernel_cover(X, 2, bandwidth=1.0)
    >>> chosen.tolist(), gains.round(2).tolist()
    ([1, 3], [2.98, 1.0])
    """
    X = check_rows(X)
    others = [] if targets is None else [check_rows(targets)]
    given = [] if centers is None or len(centers) == 0 else [centers]
    frame = make_frame(X, *others, *given)
    goals = frame.points(others[0] if others else X)
    if not 1 <= k <= len(X):
        raise ValueError(f"k must be from 1 to {len(X)}, the number of rows; got {k}.")
    if not (np.isfinite(bandwidth) and bandwidth > 0):
        raise ValueError(f"bandwidth must be a positive number; got {bandwidth!r}.")
    weights = np.ones(len(goals)) if weights is None else np.asarray(weights, dtype=np.float64)
    if weights.shape != (len(goals),) or not (np.isfinite(weights) & (weights >= 0)).all():
        raise ValueError(f"weights must be {len(goals)} numbers of 0 or more, one per target.")
    covered = np.zeros(len(goals))
    if given:
        squared, _ = nearest_points(goals, frame.points(given[0]), memory_limit)
        covered = np.exp(-squared * (frame.scale / bandwidth) ** 2)
    rank = check_random_state(random_state).permutation(len(X))  # the higher wins a tie
    kernel = Kernel(np.sqrt(2.0) * frame.scale / bandwidth)
    cover = _Cover(X, frame, goals, kernel, covered.astype(np.float32), weights, memory_limit)
    cover.scan(symmetric=targets is None and SPARSE * len(X) ** 2 <= cover.lists.most)
    return cover.greedy(k, rank)


class _Cover:
    """Coverage of the goals, and bounds of what each row can add to it."""

    def __init__(
        self,
        X: Rows,
        frame: Frame,
        goals: Points,
        kernel: Kernel,
        covered: np.ndarray,
        weights: np.ndarray,
        memory_limit: int,
    ) -> None:
        self.X, self.frame, self.goals, self.kernel = X, frame, goals, kernel
        self.covered, self.weights = covered, weights
        self.side = tile_size(max(2**20, memory_limit // 4))
        most = max(memory_limit // 4 // PAIR_BYTES, 4 * len(goals))
        self.block = min(BLOCK, most // (4 * len(goals)))
        self.lists = PairLists(len(X), most)
        self.bound = np.zeros(len(X))
        self.fresh = np.zeros(len(X), dtype=bool)  # rows whose bound is their gain

    def scan(self, *, symmetric: bool) -> None:
        """Bound what each row adds, and list the pairs of rows that add to few targets.

        Where the goals are the rows themselves, each pair may be computed once.
        """
        numbers = np.arange(len(self.X), dtype=np.int32)

        def look(part: slice) -> list[tuple[np.ndarray, np.ndarray, Pairs | None]]:
            block = self.goals.take(part) if symmetric else self.frame.points(self.X[part])
            answers = []
            for columns, tile in self._tiles(block, start=part.start if symmetric else 0):
                answers.append((numbers[part], *self._worth(tile, numbers[part], columns)))
                if symmetric and columns.start > part.start:
                    answers.append((numbers[columns], *self._worth(tile.T, numbers[columns], part)))
            return answers

        few, pieces = np.ones(len(self.X), dtype=bool), []
        parts = list(slices(len(self.X), self.side))
        for part, answers in zip(parts, ordered_map(look, parts), strict=True):
            for rows, worth, pairs in answers:
                self.bound[rows] += worth
                few[rows] &= pairs is not None
                pieces.append(pairs)
            if part.stop == len(self.X) or not symmetric:
                done = numbers if symmetric else numbers[part]
                complete = [pairs for pairs in pieces if pairs is not None]
                self.lists.add(done[few[done]], complete, self.bound, self.covered)
                pieces = []
        self.bound *= 1 + SLACK
        self.fresh = self.bound <= 0

    def _worth(
        self, tile: np.ndarray, rows: np.ndarray, columns: slice
    ) -> tuple[np.ndarray, Pairs | None]:
        """Return what rows add to some goals, and the pairs that add unless they are many."""
        covered = self.covered[columns]
        more = tile - covered
        np.maximum(more, 0.0, out=more)
        worth = more @ self.weights[columns].astype(np.float32)
        if np.count_nonzero(more) > SPARSE * more.size:
            return worth, None
        return worth, Pairs.above(tile, covered, rows, columns)

    def greedy(self, k: int, rank: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return `k` picks in the order of choice, and their gains."""
        chosen, gains = np.empty(k, dtype=np.intp), np.empty(k)
        for step in range(k):
            best = first_of_highest(self.bound, rank)
            while not self.fresh[best]:
                rows = self._behind(best)
                self.bound[rows] = self.lists.gains(rows, self.covered, self.weights)
                self.fresh[rows] = True
                best = first_of_highest(self.bound, rank)
            chosen[step], gains[step] = best, self.bound[best]
            if self.bound[best] > 0:
                targets, values = self.lists.of(best)
                self.covered[targets] = np.maximum(self.covered[targets], values)
            self.bound[best] = -np.inf
            self.fresh = self.bound <= 0
        return chosen, gains

    def _behind(self, best: int) -> np.ndarray:
        """Return rows to bring up to date, `best` among them, all with lists."""
        known = self.bound[self.fresh].max(initial=0.0)
        rows = np.flatnonzero(~self.fresh & (self.bound >= known))  # only they may be chosen
        listed = self.lists.count[rows] >= 0
        if self.lists.count[best] < 0:
            rows = np.sort(_highest(self.bound, rows[~listed], self.block, best))
            self.lists.add(rows, self._pairs_of(rows), self.bound, self.covered)
            return rows
        rows = rows[listed]
        room = max(FEW, AT_ONCE // max(1, int(self.lists.count[rows].max())))
        return _highest(self.bound, rows, FEW if known == 0 else room, best)

    def _pairs_of(self, rows: np.ndarray) -> list[Pairs]:
        """Return the pairs of some rows, however many."""

        def compute(part: slice) -> list[Pairs]:
            some = rows[part]
            tiles = self._tiles(self.frame.points(self.X[some]))
            return [Pairs.above(tile, self.covered[cols], some, cols) for cols, tile in tiles]

        each = ordered_map(compute, slices(len(rows), max(1, self.block // 4)))
        return [pairs for answers in each for pairs in answers]

    def _tiles(self, block: Points, start: int = 0) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield the kernel between some rows and the goals from `start` on, tile by tile."""
        left = self.kernel.left(block)
        for columns in slices(len(self.goals), self.side, start=start):
            yield columns, self.kernel.tile(block, self.goals.take(columns), left=left)


def _highest(values: np.ndarray, rows: np.ndarray, n: int, best: int) -> np.ndarray:
    """Return the `n` rows of the highest values, `best` among them, or all where there are fewer."""
    if len(rows) <= n:
        return rows
    highest = rows[np.argpartition(values[rows], len(rows) - n)[len(rows) - n :]]
    if best not in highest:  # of equal values, any may have been left out
        highest[0] = best
    return highest

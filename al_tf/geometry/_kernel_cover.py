"""Choosing rows whose kernels cover the others: greedy maximisation of generalised coverage."""

from __future__ import annotations

import numpy as np

from ..seeding import RandomState, check_random_state
from ._density import Kernel
from ._distances import nearest_points
from ._points import (
    MEMORY_LIMIT,
    Points,
    Rows,
    first_of_highest,
    make_points,
    slices,
    tile_size,
)
from ._threads import for_each

BLOCK = 256  # rows whose kernel values are computed at once
FEW = 32  # rows whose gains are computed from kept values at once
MOST_KEPT = 1024  # rows whose kernel values are kept


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
    c. It is submodular: a row's gain can only fall while others are chosen. So gains computed
    earlier are upper bounds, and only the rows with the largest bounds are brought up to date; the
    kernel values of at most 1,024 of them are kept. The choice is that of the plain algorithm,
    which updates all rows for each pick, up to the rounding of float32.

    Parameters
    ----------
    X : ndarray, shape (n, d)
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
        Bytes of working memory, beside inputs, outputs and a float32 copy of the inputs.

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
    targets = X if targets is None else targets
    given = X[:0] if centers is None else centers
    points, goals, *old = make_points(X, targets, *([given] if len(given) else []))
    if not 1 <= k <= len(points):
        raise ValueError(f"k must be from 1 to {len(points)}, the number of rows; got {k}.")
    if not (np.isfinite(bandwidth) and bandwidth > 0):
        raise ValueError(f"bandwidth must be a positive number; got {bandwidth!r}.")
    weights = np.ones(len(goals)) if weights is None else np.asarray(weights, dtype=np.float64)
    if weights.shape != (len(goals),) or not (np.isfinite(weights) & (weights >= 0)).all():
        raise ValueError(f"weights must be {len(goals)} numbers of 0 or more, one per target.")
    kernel = Kernel(np.sqrt(2.0) * points.scale / bandwidth)
    covered = np.zeros(len(goals))
    if old:
        squared, _ = nearest_points(goals, old[0], memory_limit)
        covered = np.exp(-squared * (points.scale / bandwidth) ** 2)
    rank = check_random_state(random_state).permutation(len(points))  # the higher wins a tie
    cover = _Cover(points, goals, kernel, covered.astype(np.float32), weights, memory_limit)
    return cover.greedy(k, rank)


class _Cover:
    """Coverage of the goals, and bounds of what each row can add to it."""

    def __init__(
        self,
        points: Points,
        goals: Points,
        kernel: Kernel,
        covered: np.ndarray,
        weights: np.ndarray,
        memory_limit: int,
    ) -> None:
        self.points, self.goals, self.kernel = points, goals, kernel
        self.covered, self.weights = covered, weights.astype(np.float32)
        self.side = tile_size(memory_limit)
        self.most_kept = max(1, min(MOST_KEPT, memory_limit // (8 * len(goals))))
        self.values = np.empty((self.most_kept, len(goals)), dtype=np.float32)
        self.kept = np.empty(0, dtype=np.intp)  # rows whose kernel values are in `values`
        self.place = np.full(len(points), -1)  # in `kept`; -1 for rows that are not there
        self.bound = np.zeros(len(points))
        self.fresh = np.ones(len(points), dtype=bool)  # rows whose bound is their gain
        self._add_gains(self.bound, np.arange(len(points)))

    def greedy(self, k: int, rank: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return `k` picks in the order of choice, and their gains."""
        chosen, gains = np.empty(k, dtype=np.intp), np.empty(k)
        for step in range(k):
            best = first_of_highest(self.bound, rank)
            while not (self.fresh[best] and self.place[best] >= 0):
                rows = self._behind(best)
                self.bound[rows] = self._gains_of(self.place[rows])
                self.fresh[rows] = True
                best = first_of_highest(self.bound, rank)
            chosen[step], gains[step] = best, self.bound[best]
            np.maximum(self.covered, self.values[self.place[best]], out=self.covered)
            self.fresh[:] = False
            self.bound[best] = -np.inf
        return chosen, gains

    def _behind(self, best: int) -> np.ndarray:
        """Return rows to bring up to date, `best` among them, once their kernel values are kept."""
        if self.place[best] >= 0:
            stale = self.kept[~self.fresh[self.kept] & (self.bound[self.kept] > -np.inf)]
            return _highest(self.bound, stale, FEW, best)
        others = np.flatnonzero((self.place < 0) & (self.bound > -np.inf))
        new = _highest(self.bound, others, min(BLOCK, self.most_kept), best)
        n_more = min(len(new), self.most_kept - len(self.kept))
        places = np.arange(len(self.kept), len(self.kept) + n_more)
        self.kept = np.append(self.kept, new[:n_more])
        if n_more < len(new):  # in place of the rows that are least likely to be chosen
            order = np.argsort(self.bound[self.kept[: len(self.kept) - n_more]])
            replaced = order[: len(new) - n_more]
            self.place[self.kept[replaced]] = -1
            self.kept[replaced] = new[n_more:]
            places = np.append(places, replaced)
        self.place[new] = places
        self._fill(new)
        return new

    def _fill(self, rows: np.ndarray) -> None:
        """Write the kernel between some rows and all goals to their places."""
        block, places = self.points.take(rows), self.place[rows]

        def fill(columns: slice) -> None:
            self.values[places, columns] = self.kernel.tile(block, self.goals.take(columns), 0.0)

        for_each(fill, slices(len(self.goals), self.side))

    def _gains_of(self, places: np.ndarray) -> np.ndarray:
        """Return what kept rows add to the coverage."""
        gains = np.empty(len(places))

        def add(part: slice) -> None:
            more = self.values[places[part]]
            more -= self.covered
            np.maximum(more, 0.0, out=more)
            gains[part] = more @ self.weights

        for_each(add, slices(len(places), 16))
        return gains

    def _add_gains(self, gains: np.ndarray, rows: np.ndarray) -> None:
        """Add to `gains` what each row adds to the coverage, tile by tile."""

        def add(part: slice) -> None:
            block = self.points.take(rows[part])
            for columns in slices(len(self.goals), self.side):
                more = self.kernel.tile(block, self.goals.take(columns), 0.0)
                more -= self.covered[columns]
                np.maximum(more, 0.0, out=more)
                gains[part] += more @ self.weights[columns]

        for_each(add, slices(len(rows), self.side))


def _highest(values: np.ndarray, rows: np.ndarray, n: int, best: int) -> np.ndarray:
    """Return the `n` rows of the highest values, `best` among them, or all where there are fewer."""
    if len(rows) <= n:
        return rows
    highest = rows[np.argpartition(values[rows], len(rows) - n)[len(rows) - n :]]
    if best not in highest:  # of equal values, any may have been left out
        highest[0] = best
    return highest

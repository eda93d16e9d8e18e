"""Choosing rows whose kernels cover the others: greedy maximisation of generalised coverage."""

from __future__ import annotations

import numpy as np

from ..seeding import RandomState, check_random_state
from ._density import Kernel
from ._distances import nearest_points
from ._points import MEMORY_LIMIT, Points, make_points, slices, tile_size
from ._threads import for_each

BLOCK = 128  # rows whose gains are brought up to date at once
MOST_KEPT = 1024  # rows whose kernel values are kept


def max_kernel_cover(
    X: np.ndarray,
    k: int,
    bandwidth: float,
    centers: np.ndarray | None = None,
    *,
    targets: np.ndarray | None = None,
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
        self.bound = np.zeros(len(points))
        self._add_gains(self.bound, np.arange(len(points)))

    def greedy(self, k: int, rank: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return `k` picks in the order of choice, and their gains."""
        kept = np.empty(0, dtype=np.intp)  # rows whose gains are up to date …
        values = np.empty((0, len(self.goals)), dtype=np.float32)  # … and their kernel values
        chosen: list[int] = []
        gains: list[float] = []
        while len(chosen) < k:
            best = int(kept[_best(self.bound[kept], rank[kept])]) if len(kept) else -1
            others = self.bound.copy()
            others[kept] = -np.inf
            rival = _best(others, rank)
            if best < 0 or (others[rival], rank[rival]) > (self.bound[best], rank[best]):
                kept, values = self._bring_up_to_date(kept, values, others, rank)
                continue
            chosen.append(best)
            gains.append(float(self.bound[best]))
            np.maximum(self.covered, values[np.flatnonzero(kept == best)[0]], out=self.covered)
            self.bound[kept] = self._gains_of(values)
            self.bound[chosen] = -np.inf
        return np.array(chosen, dtype=np.intp), np.array(gains)

    def _bring_up_to_date(
        self, kept: np.ndarray, values: np.ndarray, others: np.ndarray, rank: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Compute the gains of the rows with the largest bounds, and keep their kernel values."""
        room = min(BLOCK, self.most_kept, int(np.isfinite(others).sum()))
        new = np.lexsort((rank, others))[-room:]
        if len(kept) + room > self.most_kept:
            stay = np.sort(np.argsort(self.bound[kept])[len(kept) + room - self.most_kept :])
            kept, values = kept[stay], values[stay]
        rows = self._kernel_rows(new)
        self.bound[new] = self._gains_of(rows)
        return np.concatenate([kept, new]), np.concatenate([values, rows])

    def _kernel_rows(self, rows: np.ndarray) -> np.ndarray:
        """Return the kernel between some rows and all goals, float32 ``(len(rows), t)``."""
        block = self.points.take(rows)
        values = np.empty((len(rows), len(self.goals)), dtype=np.float32)

        def fill(columns: slice) -> None:
            values[:, columns] = self.kernel.tile(block, self.goals.take(columns), 0.0)

        for_each(fill, slices(len(self.goals), self.side))
        return values

    def _gains_of(self, values: np.ndarray) -> np.ndarray:
        """Return what rows add to the coverage, from their kernel values."""
        gains = np.empty(len(values))

        def add(part: slice) -> None:
            more = values[part] - self.covered
            np.maximum(more, 0.0, out=more)
            gains[part] = more @ self.weights

        for_each(add, slices(len(values), 16))
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


def _best(values: np.ndarray, rank: np.ndarray) -> int:
    """Return the place of the largest value, among equals that of the highest rank."""
    level = np.flatnonzero(values == values.max())
    return int(level[rank[level].argmax()])

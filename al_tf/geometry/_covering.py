"""Choosing rows that cover the others: greedy k-center and greedy ball cover."""

from __future__ import annotations

import numpy as np

from ..seeding import RandomState, check_random_state
from ._distances import lower_to_nearest, nearest_points
from ._points import (
    MEMORY_LIMIT,
    Points,
    Rows,
    distance_operand,
    first_of_highest,
    make_frame,
    make_points,
    slices,
    squared_distances,
    tile_size,
)
from ._threads import for_each, n_workers, one_blas_thread

N_CANDIDATES = 1024


def k_center_greedy(
    X: Rows,
    k: int,
    centers: np.ndarray | None = None,
    *,
    random_state: RandomState = None,
    memory_limit: int = MEMORY_LIMIT,
) -> tuple[np.ndarray, np.ndarray]:
    """Choose `k` rows, each the farthest from all centers and from the rows chosen before it.

    A distance to the nearest center can only shrink while centers are added. So the distances of
    most rows may stay out of date, as upper bounds: only the rows with the largest bounds are
    candidates, and all rows are updated, in one matrix product, when an old bound exceeds the best
    candidate. The choice is that of the plain algorithm, which passes over all rows for each pick.

    Parameters
    ----------
    X : ndarray, shape (n, d)
    k : int
        1 to n.
    centers : ndarray, shape (m, d), optional
        Rows that are centers already. Without any, the mean of `X` is the first center.
    random_state : RandomState
        Breaks ties.
    memory_limit : int
        Bytes of working memory, beside inputs, outputs and a float32 copy of the inputs.

    Returns
    -------
    chosen : ndarray, shape (k,), intp
        In the order of choice.
    distances : ndarray, shape (k,), float64
        To the nearest center at the moment of choice; never rising.

    Raises
    ------
    ValueError
        `k` out of range, or rows that are not finite, not two-dimensional or of other widths.

    Examples
    --------
    >>> import numpy as np
    >>> from al_tf.geometry import k_center_greedy
    >>> X = np.array([[0.0], [1.0], [5.0], [9.0]])
    >>> chosen, distances = k_center_greedy(X, 2, centers=X[:1])
    >>> chosen.tolist(), distances.tolist()
    ([3, 2], [9.0, 4.0])
    """
    if centers is None or len(centers) == 0:
        centers = make_frame(X).mean[None]
    points, given = make_points(X, centers)
    if not 1 <= k <= len(points):
        raise ValueError(f"k must be from 1 to {len(points)}, the number of rows; got {k}.")
    rank = check_random_state(random_state).permutation(len(points))  # the higher wins a tie
    chosen, squared = _pick_by_rounded_distances(points, given, rank, k, memory_limit)
    if len(chosen) < k:  # ties: distances have to be exact
        bound = nearest_points(points, given, memory_limit)[0]
        new = chosen
        while len(chosen) < k:
            if new:
                nearest, _ = nearest_points(points, points.take(np.array(new)), memory_limit)
                np.minimum(bound, nearest, out=bound)
                bound[chosen] = -1.0  # never again
            candidates, rival = _split_off_candidates(bound, rank)
            value, room = bound[candidates], k - len(chosen)
            new, values = _pick_among(points, candidates, value, rank[candidates], rival, room)
            chosen, squared = chosen + new, squared + values
    return np.array(chosen, dtype=np.intp), np.sqrt(squared) * points.scale


def _pick_by_rounded_distances(
    points: Points, given: Points, rank: np.ndarray, k: int, memory_limit: int
) -> tuple[list[int], list[float]]:
    """Return the first picks, up to `k`, that are certain in spite of float32 rounding.

    Distances are rounded for all rows and exact for the candidates; a candidate is picked while
    it is farther than any other row can be.
    """
    n = len(points)
    chosen: list[int] = []
    squared: list[float] = []
    bound = np.full(n, np.inf, dtype=np.float32)
    new, error = given, 0.0
    while len(chosen) < k and n > N_CANDIDATES:
        error = max(error, lower_to_nearest(bound, points, new, memory_limit))
        bound[chosen] = -1.0  # never again
        order = np.argpartition(bound, n - N_CANDIDATES - 1)
        candidates = order[n - N_CANDIDATES :]
        rival = (float(bound[order[n - N_CANDIDATES - 1]]) + error, n)
        block = points.take(candidates)
        value = nearest_points(block, given, memory_limit)[0]
        if chosen:
            among = nearest_points(block, points.take(np.array(chosen)), memory_limit)[0]
            np.minimum(value, among, out=value)
            value[np.isin(candidates, chosen)] = -1.0
        room = k - len(chosen)
        picks, values = _pick_among(points, candidates, value, rank[candidates], rival, room)
        if not picks:
            break
        chosen, squared = chosen + picks, squared + values
        new = points.take(np.array(picks))
    return chosen, squared


def _pick_among(
    points: Points,
    candidates: np.ndarray,
    value: np.ndarray,
    rank: np.ndarray,
    rival: tuple[float, int],
    room: int,
) -> tuple[list[int], list[float]]:
    """Return picks, up to `room`, for as long as a candidate surely beats every other row.

    `value` ``(c,)`` holds squared distances of the candidates and `rank` breaks their ties;
    `rival` is the best value and rank that another row can have.
    """
    rows = points.rows[candidates].astype(np.float64)
    squared_norms = np.einsum("ij,ij->i", rows, rows)
    picks: list[int] = []
    values: list[float] = []
    with one_blas_thread():
        while len(picks) < room:
            best = np.flatnonzero(value == value.max())
            pick = best[rank[best].argmax()]
            if (value[pick], rank[pick]) < rival:
                break
            picks.append(int(candidates[pick]))
            values.append(float(value[pick]))
            squared = squared_norms + squared_norms[pick] - 2.0 * (rows @ rows[pick])
            np.minimum(value, np.maximum(squared, 0.0), out=value)
            value[pick] = -1.0
    return picks, values


def _split_off_candidates(
    bound: np.ndarray, rank: np.ndarray
) -> tuple[np.ndarray, tuple[float, int]]:
    """Return the rows that come first by (bound, rank), and the best (bound, rank) of the rest."""
    n = len(bound)
    if n <= N_CANDIDATES:
        return np.arange(n), (-np.inf, -1)
    threshold = np.partition(bound, n - N_CANDIDATES)[n - N_CANDIDATES]
    above = np.flatnonzero(bound > threshold)
    level = np.flatnonzero(bound == threshold)
    level = level[np.argsort(rank[level])]  # the last win
    room = N_CANDIDATES - len(above)
    candidates = np.concatenate([above, level[len(level) - room :]])
    rest = level[: len(level) - room]
    if len(rest):
        return candidates, (float(threshold), int(rank[rest[-1]]))
    below = bound[bound < threshold].max()
    return candidates, (float(below), n)


def max_ball_cover(
    X: Rows,
    k: int,
    radius: float,
    centers: np.ndarray | None = None,
    *,
    targets: Rows | None = None,
    random_state: RandomState = None,
    memory_limit: int = MEMORY_LIMIT,
) -> tuple[np.ndarray, np.ndarray]:
    """Choose rows whose balls cover the most targets that no ball covers yet, one after another.

    One pass computes the distances of all rows to all targets and keeps a bit for each pair: is it
    within the radius? Where these bits would exceed the memory limit, the distances to targets that
    were covered meanwhile are computed again; each target is covered once, so that these are at
    most one more pass. A count can only fall, so, as in `k_center_greedy`, only the largest are
    kept up to date.

    Parameters
    ----------
    X : ndarray, shape (n, d)
    k : int
        1 to n.
    radius : float
        Of the balls, 0 or more.
    centers : ndarray, shape (m, d), optional
        Rows around which balls cover targets already.
    targets : ndarray, shape (t, d), optional
        The rows to cover; `X` itself by default.
    random_state : RandomState
        Breaks ties.
    memory_limit : int
        Bytes of working memory, beside inputs, outputs and a float32 copy of the inputs.

    Returns
    -------
    chosen : ndarray, shape (k,), intp
        In the order of choice. Once every target is covered, other rows at random.
    gains : ndarray, shape (k,), float64
        How many targets each newly covered; never rising.

    Raises
    ------
    ValueError
        `k` or `radius` out of range, or rows that are not finite, not two-dimensional or of other
        widths.

    Examples
    --------
    >>> import numpy as np
    >>> from al_tf.geometry import max_ball_cover
    >>> X = np.array([[0.0], [1.0], [2.0], [9.0]])
    >>> chosen, gains = max_ball_cover(X, 2, radius=1.0)
    >>> chosen.tolist(), gains.tolist()
    ([1, 3], [3.0, 1.0])
    """
    others = [] if targets is None or targets is X else [targets]
    given = [] if centers is None or len(centers) == 0 else [centers]
    frame = make_frame(X, *others, *given)
    points = frame.points(X)
    if not 1 <= k <= len(points):
        raise ValueError(f"k must be from 1 to {len(points)}, the number of rows; got {k}.")
    if not (np.isfinite(radius) and radius >= 0):
        raise ValueError(f"radius must be a number of 0 or more; got {radius!r}.")
    reach = (radius / points.scale) ** 2
    goals = frame.points(others[0]) if others else points
    if given:
        nearest, _ = nearest_points(goals, frame.points(given[0]), memory_limit)
        if (nearest <= reach).any():
            goals = goals.take(np.flatnonzero(nearest > reach))
    rank = check_random_state(random_state).permutation(len(points))
    balls = _Balls(points, goals, reach, memory_limit)
    chosen: list[int] = []
    gains: list[float] = []
    while len(chosen) < k:
        new, values, covered = _pick_balls(balls, rank, k - len(chosen))
        if not new:
            break
        chosen, gains = chosen + new, gains + values
        if len(chosen) < k:
            balls.cover(covered)
    rank[chosen] = -1
    rest = np.argsort(-rank)[: k - len(chosen)]
    return np.append(chosen, rest).astype(np.intp), np.append(gains, np.zeros(len(rest)))


def _pick_balls(
    balls: _Balls, rank: np.ndarray, room: int
) -> tuple[list[int], list[float], np.ndarray]:
    """Return at most `room` picks that gain, their gains, and the goals they cover, as bits.

    Picking stops where a row that is not a candidate may have a higher count.
    """
    candidates, rival = _split_off_candidates(balls.counts, rank)
    left, rank = balls.of(candidates), rank[candidates]
    value = _n_ones(left)
    covered = np.zeros(left.shape[1], dtype=np.uint64)
    picks: list[int] = []
    gains: list[float] = []
    while len(picks) < room:
        pick = first_of_highest(value, rank)
        if value[pick] <= 0 or (value[pick], rank[pick]) < rival:
            break
        picks.append(int(candidates[pick]))
        gains.append(float(value[pick]))
        new = left[pick].copy()
        covered |= new
        left &= ~new
        value = _n_ones(left)
    return picks, gains, covered


class _Balls:
    """The goals in the ball around each point that are not covered yet: how many, and which.

    Which ones is kept as a bit for each pair where memory allows, else it is computed when asked.

    Attributes
    ----------
    counts : ndarray, shape (n,), intp
    """

    def __init__(self, points: Points, goals: Points, reach: float, memory_limit: int) -> None:
        self._points, self._goals, self._reach = points, goals, reach
        self._side = tile_size(memory_limit) // 8 * 8  # whole bytes of bits
        n_words = -(-len(goals) // 64)
        self._waiting = np.full(n_words, ~np.uint64(0))
        tiles = 16 * self._side**2 * n_workers()
        fit = 8 * n_words * len(points) + tiles <= memory_limit
        self._kept = np.empty((len(points), n_words), dtype=np.uint64) if fit else None
        self.counts = np.empty(len(points), dtype=np.intp)

        def count(part: slice) -> None:
            bits = self._within(part, goals)
            self.counts[part] = _n_ones(bits)
            if self._kept is not None:
                self._kept[part] = bits

        for_each(count, slices(len(points), self._side))

    def of(self, rows: np.ndarray) -> np.ndarray:
        """Return for some points which goals are in their balls, as bits, ``(rows, words)``."""
        if self._kept is not None:
            bits = self._kept[rows]
        else:
            bits = np.empty((len(rows), len(self._waiting)), dtype=np.uint64)

            def fill(part: slice) -> None:
                bits[part] = self._within(rows[part], self._goals)

            for_each(fill, slices(len(rows), self._side))
        bits &= self._waiting
        return bits

    def cover(self, covered: np.ndarray) -> None:
        """Leave out goals, given as bits ``(words,)``, from now on."""
        self._waiting &= ~covered
        ones = np.unpackbits(covered.view(np.uint8), count=len(self._goals))
        goals = self._goals.take(np.flatnonzero(ones)) if self._kept is None else self._goals

        def lower(part: slice) -> None:
            gone = self._within(part, goals) if self._kept is None else self._kept[part] & covered
            self.counts[part] -= _n_ones(gone)

        for_each(lower, slices(len(self.counts), self._side))

    def _within(self, part: slice | np.ndarray, goals: Points) -> np.ndarray:
        """Return which goals lie within reach of some points, as bits; at most a tile of points."""
        block = self._points.take(part)
        left = distance_operand(block)
        bits = np.zeros((len(block), 8 * -(-len(goals) // 64)), dtype=np.uint8)
        for columns in slices(len(goals), self._side):
            tile = squared_distances(block, goals.take(columns), left)
            packed = np.packbits(tile <= self._reach, axis=1)
            first = columns.start // 8
            bits[:, first : first + packed.shape[1]] = packed
        return bits.view(np.uint64)


def _n_ones(bits: np.ndarray) -> np.ndarray:
    """Return how many bits of each row are set, ``(rows,)``."""
    if hasattr(np, "bitwise_count"):  # NumPy 2
        return np.bitwise_count(bits).sum(axis=1, dtype=np.intp)
    return np.unpackbits(bits.view(np.uint8), axis=1).sum(axis=1, dtype=np.intp)

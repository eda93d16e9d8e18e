"""Choosing rows that cover the others: greedy k-center and greedy ball cover."""

from __future__ import annotations

import numpy as np

from ..seeding import RandomState, check_random_state
from ._distances import lower_to_nearest, nearest_points, rounding
from ._points import (
    MEMORY_LIMIT,
    Points,
    Rows,
    distance_operand,
    make_frame,
    make_points,
    slices,
    squared_distances,
    tile_size,
)
from ._threads import for_each, one_blas_thread

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

    No list of neighbours is kept: one pass counts them, and the targets that a choice covers are
    subtracted from the counts. A target is covered once, so all subtractions together cost at most
    one more pass. A count can only fall, so, as in `k_center_greedy`, only the largest are kept up
    to date.

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
    targets = X if targets is None else targets
    given = X[:0] if centers is None else centers
    points, goals, *old = make_points(X, targets, *([given] if len(given) else []))
    if not 1 <= k <= len(points):
        raise ValueError(f"k must be from 1 to {len(points)}, the number of rows; got {k}.")
    if not (np.isfinite(radius) and radius >= 0):
        raise ValueError(f"radius must be a number of 0 or more; got {radius!r}.")
    reach = (radius / points.scale) ** 2
    if old:
        goals = goals.take(np.flatnonzero(nearest_points(goals, old[0], memory_limit)[0] > reach))
    rank = check_random_state(random_state).permutation(len(points))
    counts = np.zeros(len(points))
    _count(points, goals, reach, counts, 1, memory_limit)
    chosen: list[int] = []
    gains: list[float] = []
    while len(chosen) < k and len(goals):
        new, values, covered = _pick_balls(points, goals, counts, rank, reach, k - len(chosen))
        if not new:
            break
        chosen, gains = chosen + new, gains + values
        _count(points, goals.take(np.flatnonzero(covered)), reach, counts, -1, memory_limit)
        counts[chosen] = -1.0
        goals = goals.take(np.flatnonzero(~covered))
    rank[chosen] = -1
    rest = np.argsort(-rank)[: k - len(chosen)]
    return np.append(chosen, rest).astype(np.intp), np.append(gains, np.zeros(len(rest)))


def _pick_balls(
    points: Points, goals: Points, counts: np.ndarray, rank: np.ndarray, reach: float, room: int
) -> tuple[list[int], list[float], np.ndarray]:
    """Return at most `room` picks that gain, their gains, and which goals they cover.

    Picking stops where a row that is not a candidate may have a higher count.
    """
    candidates, rival = _split_off_candidates(counts, rank)
    block, value, rank = points.take(candidates), counts[candidates], rank[candidates]
    covered = np.zeros(len(goals), dtype=bool)
    picks: list[int] = []
    gains: list[float] = []
    while len(picks) < room:
        best = np.flatnonzero(value == value.max())
        pick = best[rank[best].argmax()]
        if value[pick] <= 0 or (value[pick], rank[pick]) < rival:
            break
        picks.append(int(candidates[pick]))
        gains.append(float(value[pick]))
        new = _within(goals, block.rows[pick], reach) & ~covered
        covered |= new
        _count(block, goals.take(np.flatnonzero(new)), reach, value, -1, MEMORY_LIMIT)
        value[pick] = -1.0
    return picks, gains, covered


def _within(goals: Points, row: np.ndarray, reach: float) -> np.ndarray:
    """Return which goals lie within `reach` (squared) of a row; in float64 where it is close."""
    squared_norm = float(np.einsum("i,i", row, row))
    with np.errstate(invalid="ignore"):  # a spurious flag of OpenBLAS: see _threads.py
        squared = goals.squared_norms + np.float32(squared_norm) - 2 * (goals.rows @ row)
    inside: np.ndarray = squared <= reach
    edge = np.flatnonzero(np.abs(squared - reach) <= rounding(goals, squared_norm))
    apart = goals.rows[edge] - row.astype(np.float64)
    inside[edge] = np.einsum("ij,ij->i", apart, apart) <= reach
    return inside


def _count(
    points: Points, goals: Points, reach: float, counts: np.ndarray, sign: int, memory_limit: int
) -> None:
    """Add to `counts` ``(n,)``, times `sign`, how many goals lie within `reach` (squared)."""
    if not len(goals):
        return
    side = tile_size(memory_limit)
    width = min(side, len(goals))

    def count(part: slice) -> None:
        block = points.take(part)
        left = distance_operand(block)
        for columns in slices(len(goals), width):
            tile = squared_distances(block, goals.take(columns), left)
            counts[part] += sign * np.count_nonzero(tile <= reach, axis=1)

    for_each(count, slices(len(points), side * side // width))

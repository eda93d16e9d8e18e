"""Summaries of distances that are never kept: nearest of a set, mean similarity, neighbours."""

from __future__ import annotations

import numpy as np

from ._points import (
    CLOSE,
    MEMORY_LIMIT,
    Points,
    Rows,
    check_rows,
    distance_operand,
    make_frame,
    make_points,
    precise_squared_distances,
    slices,
    squared_distances,
    tile_size,
)
from ._threads import for_each, ordered_map, scratch

ROWS = 4096  # that are made into points at once


def nearest_of_set(
    X: Rows, centers: np.ndarray, *, memory_limit: int = MEMORY_LIMIT
) -> tuple[np.ndarray, np.ndarray]:
    """Return for each row of `X` the Euclidean distance to the nearest center, and which it is.

    Parameters
    ----------
    X : ndarray, shape (n, d)
        Read in blocks.
    centers : ndarray, shape (m, d)
    memory_limit : int
        Bytes of working memory, beside inputs, outputs and float32 copies of the centers and of
        4,096 rows.

    Returns
    -------
    distances : ndarray, shape (n,), float64
    nearest : ndarray, shape (n,), intp

    Raises
    ------
    ValueError
        Rows that are not finite, not two-dimensional or of other widths.

    Examples
    --------
    >>> from al_tf.geometry import nearest_of_set
    >>> distances, nearest = nearest_of_set([[0.0, 0.0], [9.0, 1.0]], [[3.0, 4.0], [9.0, 0.0]])
    >>> distances.tolist(), nearest.tolist()
    ([5.0, 1.0], [0, 1])
    """
    X = check_rows(X)
    frame = make_frame(X, centers)
    others = frame.points(centers)
    squared, nearest = np.empty(len(X)), np.empty(len(X), dtype=np.intp)
    for part in slices(len(X), ROWS):
        squared[part], nearest[part] = nearest_points(frame.points(X[part]), others, memory_limit)
    return np.sqrt(squared) * frame.scale, nearest


def distance_to_other_groups(
    X: np.ndarray, groups: np.ndarray, *, memory_limit: int = MEMORY_LIMIT
) -> np.ndarray:
    """Return each row's Euclidean distance to the nearest row of another group.

    Parameters
    ----------
    X : ndarray, shape (n, d)
    groups : ndarray of int, shape (n,)
    memory_limit : int
        Bytes of working memory, beside inputs, outputs and two float32 copies of `X`.

    Returns
    -------
    ndarray, shape (n,), float64
        Infinite where all rows are of one group.

    Examples
    --------
    >>> from al_tf.geometry import distance_to_other_groups
    >>> distance_to_other_groups([[0.0], [1.0], [5.0]], [0, 0, 1]).tolist()
    [5.0, 4.0, 4.0]
    """
    (points,) = make_points(X)
    groups = np.asarray(groups)
    if (groups == groups[0]).all():
        return np.full(len(points), np.inf)
    squared, _ = nearest_points(points, points, memory_limit, groups=groups)
    return np.sqrt(squared) * points.scale


def nearest_points(
    points: Points,
    centers: Points,
    memory_limit: int = MEMORY_LIMIT,
    *,
    groups: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return `nearest_of_set` of prepared points: squared distances in scaled units, and which.

    `groups`: one for each of the points, which are the centers too; then the nearest of another
    group, where there are at least two.
    """
    side = tile_size(memory_limit)
    right = distance_operand(centers).T
    reach = centers.squared_norms.max()
    squared = np.full(len(points), np.inf)
    nearest = np.zeros(len(points), dtype=np.intp)

    def scan(part: slice) -> None:
        block = points.take(part)
        for columns in slices(len(centers), side):
            width = columns.stop - columns.start
            tile = scratch("tile", (len(block), width), np.float32)
            np.matmul(block.operand, right[:, columns], out=tile)
            same = None if groups is None else groups[part, None] == groups[columns]
            if same is not None:
                tile[same] = np.inf
            best = tile.argmin(axis=1)
            lowest = tile[np.arange(len(tile)), best]
            close = np.flatnonzero(lowest < CLOSE * (block.squared_norms.max() + reach))
            if len(close):
                precise = precise_squared_distances(block.rows[close], centers.rows[columns])
                if same is not None:
                    precise[same[close]] = np.inf
                best[close], lowest[close] = precise.argmin(axis=1), precise.min(axis=1)
            nearer = lowest < squared[part]
            squared[part][nearer] = lowest[nearer]
            nearest[part][nearer] = best[nearer] + columns.start
        for few in slices(part.stop, side, start=part.start):
            rows = points.rows[few]
            apart = scratch("apart", rows.shape, np.float64)
            np.subtract(rows, centers.rows[nearest[few]], out=apart, dtype=np.float64)
            squared[few] = np.einsum("ij,ij->i", apart, apart)  # no digits lost to the product

    for_each(scan, slices(len(points), side * side // min(side, len(centers))))
    return squared, nearest


def lower_to_nearest(
    bound: np.ndarray, points: Points, centers: Points, memory_limit: int = MEMORY_LIMIT
) -> float:
    """Lower `bound` ``(n,)``, float32, to squared distances to the nearest center, as rounded.

    The distances are those of a float32 product, in scaled units, not corrected as in
    `nearest_points`. Returns the largest error that one may have.
    """
    side = tile_size(memory_limit)
    right = distance_operand(centers).T

    def scan(part: slice) -> None:
        for columns in slices(len(centers), side):
            width = columns.stop - columns.start
            tile = scratch("tile", (len(bound[part]), width), np.float32)
            np.matmul(points.operand[part], right[:, columns], out=tile)
            np.minimum(bound[part], tile.min(axis=1), out=bound[part])

    for_each(scan, slices(len(points), side * side // min(side, len(centers))))
    return rounding(points, float(centers.squared_norms.max()))


def rounding(points: Points, squared_norm: float) -> float:
    """Return the largest error of a squared distance by a float32 product, in scaled units.

    It is the usual bound of a product of d + 2 terms, for rows whose squared norm is at most
    `squared_norm` on the other side.
    """
    reach = float(points.squared_norms.max()) + squared_norm
    return 4 * points.operand.shape[1] * float(np.finfo(np.float32).eps) * reach


def mean_similarity(
    X: Rows,
    reference: Rows | None = None,
    *,
    memory_limit: int = MEMORY_LIMIT,
) -> np.ndarray:
    """Return the mean of ``1 / (1 + d(x, y))`` over the reference rows: modAL's information density.

    Parameters
    ----------
    X : ndarray, shape (n, d)
    reference : ndarray, shape (m, d), optional
        `X` itself by default; each row then counts itself (similarity 1), as in modAL. The
        distance is Euclidean.
    memory_limit : int
        Bytes of working memory, beside inputs, outputs and a float32 copy of `X`, or of 4,096
        reference rows.

    Returns
    -------
    ndarray, shape (n,), float64
        From 0 (far from everything) to 1.

    Examples
    --------
    >>> from al_tf.geometry import mean_similarity
    >>> mean_similarity([[0.0], [1.0]]).tolist()
    [0.75, 0.75]
    """
    if reference is None:
        (points,) = make_points(X)
        return _mean_similarity_within(points, memory_limit)
    X = check_rows(X)
    frame = make_frame(X, reference)
    reference = check_rows(reference)
    side = tile_size(memory_limit)
    total = np.zeros(len(X))

    def scan(part: slice) -> None:
        block = frame.points(X[part])
        left = distance_operand(block)
        for columns in slices(len(others), side):
            tile = squared_distances(block, others.take(columns), left)
            total[part] += _similarity(tile, frame.scale).sum(axis=1, dtype=np.float32)

    for rows in slices(len(reference), ROWS):
        others = frame.points(reference[rows])
        for_each(scan, slices(len(X), side))
    return total / len(reference)


def _mean_similarity_within(points: Points, memory_limit: int) -> np.ndarray:
    """Return the mean similarity of all rows to all, each pair computed once."""
    side = tile_size(memory_limit)

    def scan(part: slice) -> np.ndarray:
        """Return what the tiles right of and on the diagonal add to rows ``part.start`` on."""
        block = points.take(part)
        left = distance_operand(block)
        partial = np.zeros(len(points) - part.start)
        for columns in slices(len(points) - part.start, side):
            others = points.take(slice(part.start + columns.start, part.start + columns.stop))
            on_diagonal = columns.start == 0
            tile = squared_distances(block, others, left, diagonal=0.0 if on_diagonal else None)
            _similarity(tile, points.scale)
            partial[: len(block)] += tile.sum(axis=1)
            if not on_diagonal:
                partial[columns] += tile.sum(axis=0)
        return partial

    total = np.zeros(len(points))
    parts = list(slices(len(points), side))
    for part, partial in zip(parts, ordered_map(scan, parts), strict=True):
        total[part.start :] += partial
    return total / len(points)


def _similarity(tile: np.ndarray, scale: float) -> np.ndarray:
    """Turn squared distances in scaled units into ``1 / (1 + d)``, in place."""
    np.sqrt(tile, out=tile)
    with np.errstate(over="ignore"):  # farther than float32 reaches: similarity 0
        tile *= np.float32(min(scale, float(np.finfo(np.float32).max)))
    tile += 1.0
    return np.reciprocal(tile, out=tile)


def mean_neighbour_distance(
    X: np.ndarray, n_neighbours: int, groups: np.ndarray | None = None
) -> np.ndarray:
    """Return each row's mean Euclidean distance to its nearest other rows.

    Parameters
    ----------
    X : ndarray, shape (n, d)
    n_neighbours : int
        How many neighbours, at least 1; all other rows where there are fewer.
    groups : ndarray, shape (n,), optional
        Neighbours are rows of the same group.

    Returns
    -------
    ndarray, shape (n,), float64
        Zero for a row that is alone in its group.

    Examples
    --------
    >>> from al_tf.geometry import mean_neighbour_distance
    >>> mean_neighbour_distance([[0.0], [1.0], [5.0]], n_neighbours=2).tolist()
    [3.0, 2.5, 4.5]
    """
    X = check_rows(X)
    groups = np.zeros(len(X), dtype=np.intp) if groups is None else np.asarray(groups)
    order = np.argsort(groups, kind="stable")
    (points,) = make_points(_centred_by_group(X[order], groups[order]))
    side = tile_size(MEMORY_LIMIT)
    mean = np.zeros(len(points))

    def scan(tasks: list[tuple[slice, slice]]) -> None:
        for group, part in tasks:
            nearest = _nearest_squared(points, part, group, n_neighbours, side)
            mean[order[part]] = np.sqrt(nearest).mean(axis=1, dtype=np.float64)

    parts = [
        (group, part)
        for group in _runs(groups[order])
        if group.stop - group.start > 1
        for part in slices(group.stop, side, start=group.start)
    ]
    for_each(scan, _packed(parts, side))
    return mean * points.scale


def _nearest_squared(
    points: Points, part: slice, group: slice, n_neighbours: int, side: int
) -> np.ndarray:
    """Return squared distances of the rows in `part` to their nearest others in `group`."""
    block = points.take(part)
    left = distance_operand(block)
    k = min(n_neighbours, group.stop - group.start - 1)
    kept = None
    for columns in slices(group.stop, side, start=group.start):
        diagonal = np.inf if columns == part else None
        tile = squared_distances(block, points.take(columns), left, diagonal=diagonal)
        kept = tile if kept is None else np.concatenate([kept, tile], axis=1)
        if kept.shape[1] > k:
            kept = np.partition(kept, k - 1, axis=1)[:, :k]
    assert kept is not None
    return kept


def _packed(parts: list[tuple[slice, slice]], rows: int) -> list[list[tuple[slice, slice]]]:
    """Put small parts together, so that a task has about as many rows as a tile."""
    packs: list[list[tuple[slice, slice]]] = []
    room = 0
    for group, part in parts:
        size = part.stop - part.start
        if size > room:
            packs.append([])
            room = rows
        packs[-1].append((group, part))
        room -= size
    return packs


def _runs(values: np.ndarray) -> list[slice]:
    """Return the slices of equal consecutive values."""
    ends = np.append(np.flatnonzero(values[1:] != values[:-1]) + 1, len(values))
    return [slice(start, stop) for start, stop in zip(np.append(0, ends[:-1]), ends, strict=True)]


def _centred_by_group(X: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Subtract group means from `X`, in place if it holds floats: close rows keep their digits."""
    runs = _runs(groups)
    if len(runs) == 1:
        return X  # `make_points` centres
    if X.dtype == np.float16 or not np.issubdtype(X.dtype, np.floating):
        X = X.astype(np.float64 if X.dtype != np.float16 else np.float32)
    for part in runs:
        X[part] -= X[part].mean(axis=0, dtype=np.float64).astype(X.dtype)
    return X


def mean_nearest_neighbour_distance(X: np.ndarray) -> float:
    """Return the mean over the rows of the distance to the nearest other row.

    Small for a batch of near-duplicates; 0 for a single row.

    Parameters
    ----------
    X : ndarray, shape (n, d)
        Usually the features of one queried batch.

    Returns
    -------
    float

    Examples
    --------
    >>> import numpy as np
    >>> from al_tf.geometry import mean_nearest_neighbour_distance
    >>> mean_nearest_neighbour_distance(np.array([[0.0], [1.0], [3.0]], np.float32))
    1.3333333333333333
    """
    return float(mean_neighbour_distance(X, 1).mean())

"""What is asked of distances without keeping them: nearest of a set, mean similarity, neighbours."""

from __future__ import annotations

import numpy as np

from ._points import (
    MEMORY_LIMIT,
    Points,
    distance_operand,
    make_points,
    slices,
    squared_distances,
    tile_size,
)
from ._threads import for_each, ordered_map


def nearest_of_set(
    X: np.ndarray, centers: np.ndarray, *, memory_limit: int = MEMORY_LIMIT
) -> tuple[np.ndarray, np.ndarray]:
    """Return for each row of `X` the Euclidean distance to the nearest center, and which it is.

    Parameters
    ----------
    X : ndarray, shape (n, d)
    centers : ndarray, shape (m, d)
    memory_limit : int
        Bytes of working memory, beside inputs, outputs and a float32 copy of the inputs.

    Returns
    -------
    distances : ndarray, shape (n,), float64
    nearest : ndarray, shape (n,), intp
    """
    points, others = make_points(X, centers)
    squared, nearest = nearest_points(points, others, memory_limit)
    return np.sqrt(squared) * points.scale, nearest


def nearest_points(
    points: Points, centers: Points, memory_limit: int = MEMORY_LIMIT
) -> tuple[np.ndarray, np.ndarray]:
    """Return `nearest_of_set` of prepared points: squared distances in scaled units, and which."""
    side = tile_size(memory_limit)
    squared = np.full(len(points), np.inf)
    nearest = np.zeros(len(points), dtype=np.intp)

    def scan(part: slice) -> None:
        block = points.take(part)
        left = distance_operand(block)
        for columns in slices(len(centers), side):
            tile = squared_distances(block, centers.take(columns), left)
            best = tile.argmin(axis=1)
            found = tile[np.arange(len(tile)), best]
            nearer = found < squared[part]
            squared[part][nearer] = found[nearer]
            nearest[part][nearer] = best[nearer] + columns.start
        apart = block.rows - centers.rows[nearest[part]].astype(np.float64)
        squared[part] = np.einsum("ij,ij->i", apart, apart)  # no digits lost to the product

    for_each(scan, slices(len(points), side))
    return squared, nearest


def mean_similarity(
    X: np.ndarray,
    reference: np.ndarray | None = None,
    *,
    memory_limit: int = MEMORY_LIMIT,
) -> np.ndarray:
    """Return the mean of ``1 / (1 + d(x, y))`` over the reference rows: modAL's information density.

    Parameters
    ----------
    X : ndarray, shape (n, d)
    reference : ndarray, shape (m, d), optional
        `X` itself where left out; each row then counts itself (similarity 1), as in modAL. The
        distance is Euclidean.
    memory_limit : int
        Bytes of working memory, beside inputs, outputs and a float32 copy of the inputs.

    Returns
    -------
    ndarray, shape (n,), float64
        From 0 (far from everything) to 1.
    """
    if reference is None:
        (points,) = make_points(X)
        return _mean_similarity_within(points, memory_limit)
    points, others = make_points(X, reference)
    side = tile_size(memory_limit)
    total = np.zeros(len(points))

    def scan(part: slice) -> None:
        block = points.take(part)
        left = distance_operand(block)
        for columns in slices(len(others), side):
            tile = squared_distances(block, others.take(columns), left)
            total[part] += _similarity(tile, points.scale).sum(axis=1, dtype=np.float32)

    for_each(scan, slices(len(points), side))
    return total / len(others)


def _mean_similarity_within(points: Points, memory_limit: int) -> np.ndarray:
    """Return the mean similarity of all rows to all, each pair computed once."""
    side = tile_size(memory_limit)

    def scan(part: slice) -> np.ndarray:
        """Return what the tiles right of and on the diagonal add to rows ``part.start`` on."""
        block = points.take(part)
        left = distance_operand(block)
        share = np.zeros(len(points) - part.start)
        for columns in slices(len(points) - part.start, side):
            others = points.take(slice(part.start + columns.start, part.start + columns.stop))
            on_diagonal = columns.start == 0
            tile = squared_distances(block, others, left, diagonal=0.0 if on_diagonal else None)
            _similarity(tile, points.scale)
            share[: len(block)] += tile.sum(axis=1)
            if not on_diagonal:
                share[columns] += tile.sum(axis=0)
        return share

    total = np.zeros(len(points))
    parts = list(slices(len(points), side))
    for part, share in zip(parts, ordered_map(scan, parts), strict=True):
        total[part.start :] += share
    return total / len(points)


def _similarity(tile: np.ndarray, scale: float) -> np.ndarray:
    """Turn squared distances in scaled units into ``1 / (1 + d)``, in place."""
    np.sqrt(tile, out=tile)
    with np.errstate(over="ignore"):  # farther than float32 reaches: similarity 0
        tile *= np.float32(min(scale, float(np.finfo(np.float32).max)))
    tile += 1.0
    return np.reciprocal(tile, out=tile)


def mean_neighbour_distance(X: np.ndarray, n_neighbours: int) -> np.ndarray:
    """Return each row's mean Euclidean distance to its nearest other rows.

    Parameters
    ----------
    X : ndarray, shape (n, d)
    n_neighbours : int
        How many neighbours, at least 1; all other rows where there are fewer.

    Returns
    -------
    ndarray, shape (n,), float64
        Zeros where there is a single row.
    """
    (points,) = make_points(X)
    k = min(n_neighbours, len(points) - 1)
    if k == 0:
        return np.zeros(len(points))
    mean = np.empty(len(points))
    side = tile_size(MEMORY_LIMIT)

    def scan(part: slice) -> None:
        block = points.take(part)
        left = distance_operand(block)
        kept = np.empty((len(block), 0), dtype=np.float32)
        for columns in slices(len(points), side):
            tile = squared_distances(
                block,
                points.take(columns),
                left,
                diagonal=np.inf if columns == part else None,
            )
            kept = np.concatenate([kept, tile], axis=1)
            if kept.shape[1] > k:
                kept = np.partition(kept, k - 1, axis=1)[:, :k]
        mean[part] = np.sqrt(kept).mean(axis=1, dtype=np.float64)

    for_each(scan, slices(len(points), side))
    return mean * points.scale


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
    """
    return float(mean_neighbour_distance(X, 1).mean())

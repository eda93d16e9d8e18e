"""k-means as scikit-learn computes it, in less time where there are thousands of clusters."""

from __future__ import annotations

import numpy as np

from ._points import MEMORY_LIMIT, check_rows, slices, tile_size
from ._threads import for_each, one_blas_thread

MAX_ITERATIONS = 300  # scikit-learn's defaults
TOLERANCE = 1e-4
COLUMNS = 4096  # rows whose distances to a few candidates are computed at once


def kmeans(X: np.ndarray, k: int, seed: int, *, memory_limit: int = MEMORY_LIMIT) -> np.ndarray:
    """Return the centroids of ``KMeans(k, n_init=1, random_state=seed)``, up to rounding.

    The start is scikit-learn's greedy k-means++, from the same random numbers: of a few rows drawn
    by their squared distance to the nearest one chosen, the one that lowers the sum of these most.
    Lloyd's steps then differ in what they leave out. A centroid whose rows stay the same does not
    move. So a row whose own centroid did not move is compared only with those that did, and with
    thousands of clusters few of them move after the first steps.

    Parameters
    ----------
    X : ndarray, shape (n, d)
    k : int
        1 to n.
    seed : int
        Of numpy's ``RandomState``.
    memory_limit : int
        Bytes of working memory, beside inputs, outputs and a float64 copy of the inputs.

    Returns
    -------
    ndarray, shape (k, d), float32

    Raises
    ------
    ValueError
        `k` out of range, or rows that are not finite or not two-dimensional.

    Examples
    --------
    >>> import numpy as np
    >>> from al_tf.geometry import kmeans
    >>> X = np.array([[0.0], [1.0], [8.0], [9.0]])
    >>> sorted(kmeans(X, 2, seed=0).ravel().tolist())
    [0.5, 8.5]
    """
    rows = check_rows(X).astype(np.float32)
    if not 1 <= k <= len(rows):
        raise ValueError(f"k must be from 1 to {len(rows)}, the number of rows; got {k}.")
    bad = int((~np.isfinite(rows)).any(axis=1).sum())
    if bad:
        raise ValueError(f"{bad} of {len(rows)} rows are not finite (NaN or infinite).")
    mean = rows.mean(axis=0)
    rows -= mean
    start = greedy_start(rows, k, np.random.RandomState(seed))
    centroids: np.ndarray = lloyd(rows, rows[start], memory_limit) + mean
    return centroids


def greedy_start(rows: np.ndarray, k: int, rng: np.random.RandomState) -> np.ndarray:
    """Return `k` indices of `rows` by greedy k-means++: those that scikit-learn chooses.

    It computes distances in float64 and sums them in float32, and so does this: a sum that is
    rounded otherwise would change a draw now and then, and all that follow.
    """
    n, n_trials = len(rows), 2 + int(np.log(k))
    right = np.ones((rows.shape[1] + 2, n))  # [y, 1, |y|²]: distances by one product
    right[:-2] = rows.T
    np.einsum("ji,ji->i", right[:-2], right[:-2], out=right[-1])
    ones = np.ones(n, dtype=np.float32)
    tried = np.empty((n_trials, n), dtype=np.float32)
    chosen = np.empty(k, dtype=np.intp)
    chosen[0] = rng.choice(n, p=ones / ones.sum())
    nearest = np.full(n, np.inf, dtype=np.float32)

    def try_candidates(candidates: np.ndarray) -> np.ndarray:
        """Return what `nearest` would be after each candidate, ``(candidates, n)``."""
        lowered = tried[: len(candidates)]
        left = right[:, candidates].T * -2.0  # [-2x, |x|², 1]
        left[:, -2], left[:, -1] = right[-1, candidates], 1.0
        for part in slices(n, COLUMNS):
            lowered[:, part] = left @ right[:, part]
            np.minimum(lowered[:, part], nearest[part], out=lowered[:, part])
        return np.maximum(lowered, 0.0, out=lowered)

    with one_blas_thread(), np.errstate(invalid="ignore"):  # a spurious flag: see _threads.py
        nearest[:] = try_candidates(chosen[:1])[0]
        total = nearest @ ones
        for place in range(1, k):
            marks = rng.uniform(size=n_trials) * total
            candidates = np.searchsorted(np.cumsum(nearest), marks)
            np.clip(candidates, None, n - 1, out=candidates)
            lowered = try_candidates(candidates)
            totals = (lowered @ ones[:, None])[:, 0]
            best = totals.argmin()
            total, chosen[place] = totals[best], candidates[best]
            nearest[:] = lowered[best]
    return chosen


def lloyd(
    rows: np.ndarray,
    start: np.ndarray,
    memory_limit: int = MEMORY_LIMIT,
    *,
    max_iterations: int = MAX_ITERATIONS,
    tolerance: float = TOLERANCE,
) -> np.ndarray:
    """Return the centroids ``(k, d)`` of Lloyd's algorithm from `start`, float32 as `rows`.

    Where a cluster loses its last row, scikit-learn computes the whole; its rule moves the cluster
    to another row.
    """
    k, centroids = len(start), start
    enough = tolerance * float(np.var(rows, axis=0).mean())
    labels, values = _nearest(rows, centroids, memory_limit)
    for _ in range(max_iterations):
        sizes = np.bincount(labels, minlength=k)
        if not sizes.all():
            from sklearn.cluster import KMeans

            limits = {"max_iter": max_iterations, "tol": tolerance}
            fitted = KMeans(k, init=start, n_init=1, **limits).fit(rows)
            return np.asarray(fitted.cluster_centers_)
        sums = [np.bincount(labels, weights=column, minlength=k) for column in rows.T]
        before, centroids = centroids, (np.array(sums) / sizes).T.astype(np.float32)
        if np.square(centroids - before).sum() <= enough:
            break
        moved = np.flatnonzero((centroids != before).any(axis=1))
        old = labels.copy()
        free = np.isin(labels, moved)
        labels[free], values[free] = _nearest(rows[free], centroids, memory_limit)
        rest = np.flatnonzero(~free)
        rivals, rival_values = _nearest(rows[rest], centroids[moved], memory_limit)
        closer = rival_values < values[rest]
        labels[rest[closer]] = moved[rivals[closer]]
        values[rest[closer]] = rival_values[closer]
        if (labels == old).all():
            break
    return centroids


def _nearest(
    rows: np.ndarray, centroids: np.ndarray, memory_limit: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest centroid of each row, and their squared distance less the row's norm."""
    labels = np.empty(len(rows), dtype=np.intp)
    values = np.empty(len(rows), dtype=np.float32)
    norms = np.einsum("ij,ij->i", centroids, centroids)
    right = np.ascontiguousarray((-2.0 * centroids).T)

    def find(part: slice) -> None:
        tile = rows[part] @ right
        tile += norms
        labels[part] = tile.argmin(axis=1)
        values[part] = np.take_along_axis(tile, labels[part, None], axis=1)[:, 0]

    side = tile_size(memory_limit)
    for_each(find, slices(len(rows), max(1, side * side // len(centroids))))
    return labels, values

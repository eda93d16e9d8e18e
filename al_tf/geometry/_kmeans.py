"""k-means as scikit-learn computes it, in less time where there are thousands of clusters."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ._points import MEMORY_LIMIT, check_rows, slices, tile_size
from ._threads import for_each, one_blas_thread

MAX_ITERATIONS = 300  # scikit-learn's defaults
TOLERANCE = 1e-4
COLUMNS = 4096  # rows whose distances to a few candidates are computed at once
FEW_COLUMNS, MANY_CENTRES = 32, 500  # where groups of rows save more than they cost
SMALLEST_GROUP = 16


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
        Of Lloyd's steps, in bytes, beside inputs, outputs and float64 copies of the inputs.

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
    rounded otherwise would change a draw now and then, and all that follow. So distances are left
    out only where they cannot be less than what the row has: see `_Groups`.
    """
    n, n_trials = len(rows), 2 + int(np.log(k))
    grouped = rows.shape[1] <= FEW_COLUMNS and k >= MANY_CENTRES
    groups = _Groups(rows, min(k // 2, n // SMALLEST_GROUP) if grouped else 1)
    ones = np.ones(n, dtype=np.float32)
    chosen = np.empty(k, dtype=np.intp)
    chosen[0] = rng.choice(n, p=ones / ones.sum())
    nearest = np.full(n, np.inf, dtype=np.float32)
    sums = np.zeros(n, dtype=np.float32)  # of `nearest` up to each row
    tried = np.full((n_trials, n), np.inf, dtype=np.float32)  # `nearest` after each trial
    entries = tried.reshape(-1)

    def try_candidates(candidates: np.ndarray) -> np.ndarray:
        """Lower `tried` by the candidates, one in each row; return which entries changed."""
        left = groups.right[:, candidates].T * -2.0  # [-2x, |x|², 1]
        left[:, -2], left[:, -1] = groups.right[-1, candidates], 1.0
        changed = []
        for some, right in groups.near(left):
            squared = left @ right
            lower = np.flatnonzero(squared < nearest.take(some).astype(np.float64))
            trial, place = np.divmod(lower, len(some))
            changed.append(trial * n + some[place])
            entries[changed[-1]] = np.maximum(squared.reshape(-1)[lower], 0.0)
        return np.concatenate(changed)

    def keep(trial: int, changed: np.ndarray) -> None:
        """Make `nearest`, and with it all of `tried`, what they are after one of the trials."""
        nearest[:] = tried[trial]
        entries[changed] = nearest[changed % n]
        lower = changed[changed // n == trial] % n
        tried[:, lower] = nearest[lower]
        groups.update(nearest, lower)
        _sum_up(nearest, sums, first=lower.min(initial=n - 1))

    with one_blas_thread(), np.errstate(invalid="ignore"):  # a spurious flag: see _threads.py
        keep(0, try_candidates(chosen[:1]))
        total = nearest @ ones
        for place in range(1, k):
            marks = rng.uniform(size=n_trials) * total
            candidates = np.searchsorted(sums, marks)
            np.clip(candidates, None, n - 1, out=candidates)
            changed = try_candidates(candidates)
            totals = (tried @ ones[:, None])[:, 0]
            best = int(totals.argmin())
            total, chosen[place] = totals[best], candidates[best]
            keep(best, changed)
    return chosen


def _sum_up(values: np.ndarray, sums: np.ndarray, first: int) -> None:
    """Bring `sums`, of `values` up to each row, up to date from row `first` on, one by one."""
    addends = values[first:].copy()
    if first:
        addends[0] += sums[first - 1]
    np.cumsum(addends, out=sums[first:])


class _Groups:
    """Rows in groups of neighbours, to leave out groups that a new centre is too far from.

    Let the rows of a group be within r of its middle, and none farther than s from the nearest
    centre. A new centre farther than r + s from the middle is nearer to none of them: the triangle
    inequality.

    Parameters
    ----------
    rows : ndarray, shape (n, d), float32
    most : int
        How many groups; rounded down to a power of two.

    Attributes
    ----------
    right : ndarray, shape (d + 2, n), float64
        ``[y, 1, |y|²]``: squared distances by one product.
    """

    def __init__(self, rows: np.ndarray, most: int) -> None:
        self.right = _operand(rows)
        every = np.arange(len(rows))
        self.parts = [(every[part], self.right[:, part]) for part in slices(len(rows), COLUMNS)]
        self.grouped = most > 1
        if not self.grouped:
            return
        self.rows = self.right.T.copy()  # rows together in memory: faster to gather
        self.members = _neighbours(rows, most.bit_length() - 1)
        self.group = np.empty(len(rows), dtype=np.intp)
        self.group[self.members] = np.arange(len(self.members))[:, None]
        middles = rows[self.members].mean(axis=1, dtype=np.float64)
        self.middles = _operand(middles)
        apart = np.square(rows[self.members] - middles[:, None]).sum(axis=2)
        self.radius = np.sqrt(apart.max(axis=1))
        self.rounding = 32 * len(self.right) * np.finfo(float).eps * float(self.right[-1].max())
        self.limit = np.full(len(self.members), np.inf)  # (r + s)²

    def near(self, left: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield rows that one of the centres in `left` may be nearest to, and their `right`."""
        if not self.grouped:
            yield from self.parts
            return
        near = (left @ self.middles <= self.limit).any(axis=0)
        if 2 * np.count_nonzero(near) > len(near):
            yield from self.parts
            return
        rows = self.members[near].reshape(-1)
        rows = np.resize(rows, -(-len(rows) // 16) * 16)  # BLAS rounds what is left over otherwise
        for part in slices(len(rows), COLUMNS):
            yield rows[part], self.rows.take(rows[part], axis=0).T

    def update(self, nearest: np.ndarray, changed: np.ndarray) -> None:
        """Take note of the rows' squared distances to the nearest centre, some of them changed."""
        if self.grouped:
            groups = np.unique(self.group[changed])
            farthest = nearest[self.members[groups]].max(axis=1) + self.rounding
            self.limit[groups] = np.square(self.radius[groups] + np.sqrt(farthest)) + self.rounding


def _operand(rows: np.ndarray) -> np.ndarray:
    """Return ``[y, 1, |y|²]`` of rows y, shape (d + 2, n), float64."""
    right = np.ones((rows.shape[1] + 2, len(rows)))
    right[:-2] = rows.T
    np.einsum("ji,ji->i", right[:-2], right[:-2], out=right[-1])
    return right


def _neighbours(rows: np.ndarray, halvings: int) -> np.ndarray:
    """Return ``2**halvings`` groups of rows, ``(groups, size)``; some rows come twice.

    Each half of a group lies on one side of the median of the column that varies most in it.
    """
    size = -(-len(rows) // 2**halvings)
    members = np.resize(np.arange(len(rows)), (1, size * 2**halvings))
    for _ in range(halvings):
        column = rows[members].var(axis=1, dtype=np.float64).argmax(axis=1)
        values = rows[members, column[:, None]]
        order = np.argpartition(values, members.shape[1] // 2, axis=1)
        members = np.take_along_axis(members, order, axis=1).reshape(2 * len(members), -1)
    return members


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

"""k-means for strategies, as scikit-learn computes it: started by k-means++, on a sample of large pools."""

from __future__ import annotations

import numpy as np

from ..geometry import RowsInOrder, kmeans_plus_plus, make_frame, nearest_of_set
from ..geometry._kmeans import lloyd
from ..seeding import RandomState, check_random_state
from ._select import top_k

ROWS_PER_CLUSTER = 256  # more rows than this hardly move the centroids
START_ROWS_PER_CLUSTER = 5
MAX_ITERATIONS = 7  # the inertia is then that of MiniBatchKMeans with 3 starts
FEW_ROWS = 1_024  # they are clustered before scikit-learn would be imported


def cluster(
    rows: np.ndarray, n_clusters: int, random_state: RandomState = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the cluster of each row and the centroids.

    Where there are more than 256 rows per cluster, the centroids are fitted on a random sample of
    that size.

    Parameters
    ----------
    rows : ndarray, shape (n, d), float32
        As `center_and_scale` returns them.
    n_clusters : int
        K; fewer are returned where there are fewer distinct rows.
    random_state : RandomState
        Draws the sample and the start.

    Returns
    -------
    labels : ndarray, shape (n,), intp
    centroids : ndarray, shape (at most K, d), float32
    """
    rng = check_random_state(random_state)
    sample = rows
    if len(rows) > ROWS_PER_CLUSTER * n_clusters:
        sample = rows[np.sort(rng.choice(len(rows), ROWS_PER_CLUSTER * n_clusters, replace=False))]
    start = _start(sample, min(n_clusters, len(sample)), rng)
    if len(sample) <= FEW_ROWS:
        centroids = lloyd(sample, start, max_iterations=MAX_ITERATIONS, tolerance=0.0)
        return nearest_of_set(rows, centroids)[1], centroids
    from sklearn.cluster import KMeans

    kmeans = KMeans(len(start), init=start, n_init=1, max_iter=MAX_ITERATIONS, tol=0, copy_x=False)
    centroids = kmeans.fit(sample).cluster_centers_
    if sample is rows:
        return kmeans.labels_.astype(np.intp), centroids
    return nearest_of_set(rows, centroids)[1], centroids


def nearest_to_centroids(
    features: np.ndarray | RowsInOrder, k: int, random_state: RandomState = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return, from each of `k` clusters, the row nearest to the centroid; minus its distance.

    Where there are fewer clusters, the second nearest of each follow, and so on.

    Parameters
    ----------
    features : ndarray, shape (n, d)
        Read in blocks where there are more than 256 k rows.
    k : int
        1 to n.
    random_state : RandomState
        For k-means and for ties.

    Returns
    -------
    indices : ndarray, shape (k,), intp
    scores : ndarray, shape (k,), float64
        Minus the Euclidean distance, the highest first.
    """
    rng = check_random_state(random_state)
    n, sampled, frame = len(features), ROWS_PER_CLUSTER * k, make_frame(features)
    if n > sampled:
        rows = frame.points(features[np.sort(rng.choice(n, sampled, replace=False))]).rows
        _, centroids = cluster(np.ascontiguousarray(rows), k, rng)
        distances, labels = nearest_of_set(features, centroids * frame.scale + frame.mean)
    else:
        rows = np.ascontiguousarray(frame.points(features).rows)
        labels, centroids = cluster(rows, k, rng)
        distances = np.linalg.norm(rows - centroids[labels], axis=1) * frame.scale
    return top_k(-distances, k, rng, groups=labels)


def _start(rows: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """Return `k` rows by k-means++, fewer where fewer are distinct.

    It draws from 5 random rows per cluster, which gives k-means the same inertia, and from all rows
    where too few of those are distinct.
    """
    tries = [rows]
    if len(rows) > START_ROWS_PER_CLUSTER * k:
        few = rng.choice(len(rows), START_ROWS_PER_CLUSTER * k, replace=False)
        tries.insert(0, rows[np.sort(few)])
    for some in tries:
        ones = np.ones((len(some), 1), dtype=np.float32)
        chosen, squared = kmeans_plus_plus(ones, some, k, random_state=rng)
        distinct = chosen[(squared > 0) | (np.arange(k) == 0)]
        if len(distinct) == k:
            break
    return some[distinct]

"""Information density: images that are like many others, by modAL's definition, at scale."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..geometry import RowsInOrder, find_reduction, mean_similarity
from ..seeding import RandomState, check_random_state
from ._order import canonical_order
from ._select import check_pool, features, top_k

EXACT_UP_TO = 100_000  # rows; a larger pool is compared with a sample of REFERENCE_SIZE
REFERENCE_SIZE = 20_000
ALL_COMPARED_UP_TO = 20_000  # rows; above, an estimate makes a list of those that are compared
ROUGH_REFERENCE_SIZE = 10_000
SHORTEST_LIST = 1_000


def information_density(
    classifier: Any,
    X: Any,
    n_instances: int = 1,
    *,
    random_state: RandomState = None,
    reference_size: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Query the images of the highest mean similarity to the pool.

    ``I(x) = 1/n sum_y 1 / (1 + |f(x) - f(y)|)``, x itself included: what
    ``modAL.density.information_density(features, "euclidean")`` returns, which builds an
    n × n array. The model's uncertainty is not used; multiply by a score of your own for that.

    Parameters
    ----------
    classifier : learner or estimator
        With ``transform``.
    X : array-like, shape (n, ...)
        The pool.
    n_instances : int
        Batch size.
    random_state : RandomState
        Breaks ties, and draws the sample.
    reference_size : int, optional
        Average over a random sample of this many images. By default over all, or over 20,000 if
        the pool is larger than 100,000.

    Returns
    -------
    indices : ndarray, shape (n_instances,)
        Into `X`, best first.
    scores : ndarray, shape (n_instances,)
        Mean similarity, from 0 to 1.

    Notes
    -----
    Above 20,000 images of 256 or more features, similarities to 10,000 of them are estimated first,
    by `al_tf.geometry.find_reduction`; the 1,000 (or 4 k) highest are compared exactly, so that
    scores are exact and the choice is almost: on 12,000 features
    of small photographs (EfficientNet-Lite0), with 4,000 of them for the estimate, all of the 100
    highest were on the list. Copies of one image count less in the estimate than they should.

    References
    ----------
    Settles, "Active Learning Literature Survey", 2009, section 3.6; Danka and Horvath, "modAL: A
    modular active learning framework for Python", 2018.
    """
    n = check_pool(X, n_instances)
    if reference_size is None:
        reference_size = n if n <= EXACT_UP_TO else REFERENCE_SIZE
    if reference_size < 1:
        raise ValueError(f"reference_size must be 1 or more; got {reference_size}.")
    rng = check_random_state(random_state)
    pool_features = features(classifier, X)
    order = canonical_order(pool_features, rng)
    rows = RowsInOrder(pool_features, order)
    sample = None
    if reference_size < n:
        sample = rows[rng.choice(n, reference_size, replace=False)]
    images = _shortlist(rows, n_instances, rng)
    if images is None:
        chosen, scores = top_k(mean_similarity(rows, sample), n_instances, rng)
        return order[chosen], scores
    some = mean_similarity(rows[images], rows if sample is None else sample)
    chosen, scores = top_k(some, n_instances, rng)
    return order[images[chosen]], scores


def _shortlist(rows: RowsInOrder, n_instances: int, rng: np.random.Generator) -> np.ndarray | None:
    """Return the images that look most similar to the others, or None where all have to be compared."""
    n_listed = max(SHORTEST_LIST, 4 * n_instances)
    if len(rows) <= max(ALL_COMPARED_UP_TO, n_listed):
        return None
    reduction = find_reduction(rows, random_state=rng)
    if reduction is None:
        return None
    others = rows[np.sort(rng.choice(len(rows), ROUGH_REFERENCE_SIZE, replace=False))]
    rough = mean_similarity(reduction.left(rows), reduction.right(others))
    return np.sort(np.argpartition(rough, len(rough) - n_listed)[len(rough) - n_listed :])

"""MaxHerding: images whose Gaussian kernels cover the pool, from the first label on."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..geometry import RowsInOrder, max_kernel_cover
from ..seeding import RandomState, check_random_state
from ._order import canonical_order
from ._select import check_pool, features, labeled_features


def max_herding(
    classifier: Any,
    X: Any,
    n_instances: int = 1,
    *,
    random_state: RandomState = None,
    sigma: float = 1.0,
    max_targets: int = 10_000,
) -> tuple[np.ndarray, np.ndarray]:
    """Query the image that raises the generalised coverage of the pool most, one after another.

    The coverage of the labeled and chosen images L is ``mean_y max_{x in L} k(f(x), f(y))`` over
    the pool, with features of unit length and ``k(a, b) = exp(-(|a - b| / sigma)²)``. It needs no
    model and no label: with a pretrained network for the features it can choose the very first
    images.

    Parameters
    ----------
    classifier : learner or estimator
        With ``transform``; the labeled set is its ``X_training``.
    X : array-like, shape (n, ...)
        The pool.
    n_instances : int
        Batch size.
    random_state : RandomState
        Breaks ties, and draws the targets.
    sigma : float
        Bandwidth, more than 0, for features of unit length; 1 as in the authors' code.
    max_targets : int
        How many images to cover: a random sample where the pool is larger. Every image of the
        pool remains a candidate. On 10,000 features of small photographs (EfficientNet-Lite0),
        100 images chosen for 4,000 targets added 94 % of the coverage that those chosen for all
        targets added, for 1,000 targets 70 %, and 100 random images 44 %.

    Returns
    -------
    indices : ndarray, shape (n_instances,)
        Into `X`, in the order of choice.
    scores : ndarray, shape (n_instances,)
        What each adds to the coverage, in [0, 1]; never rising, up to rounding.

    References
    ----------
    Bae, Noh and Sutherland, "Generalized Coverage for More Robust Low-Budget Active Learning",
    ECCV 2024.
    """
    check_pool(X, n_instances)
    rng = check_random_state(random_state)
    pool_features = features(classifier, X)
    order = canonical_order(pool_features, rng)
    rows = RowsInOrder(pool_features, order, unit=True)
    labeled = labeled_features(classifier, unit_length=True)
    return herd(rows, order, labeled, None, n_instances, sigma, max_targets, rng)


def herd(
    rows: np.ndarray | RowsInOrder,
    order: np.ndarray,
    labeled: np.ndarray | None,
    weights: np.ndarray | None,
    n_instances: int,
    sigma: float,
    max_targets: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Choose among `rows`, sorted by `order`; `weights` belong to the rows as targets."""
    if max_targets < 1:
        raise ValueError(f"max_targets must be 1 or more; got {max_targets}.")
    targets = np.arange(len(rows))
    if len(rows) > max_targets:
        targets = np.sort(rng.choice(len(rows), max_targets, replace=False))
    chosen, gains = max_kernel_cover(
        rows,
        n_instances,
        sigma,
        labeled,
        targets=None if len(targets) == len(rows) else rows[targets],
        weights=None if weights is None else weights[targets],
        random_state=rng,
    )
    return order[chosen], gains / len(targets)

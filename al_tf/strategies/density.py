"""Density-weighted sampling: images from dense regions of the pool, alone or times entropy."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ..errors import check_one_of
from ..geometry import (
    DensityDiagnostic,
    RowsInOrder,
    diagnose_density,
    kde_log_density,
    principal_components,
    select_bandwidth,
    standardise,
)
from ..seeding import RandomState, check_random_state
from ._order import canonical_order
from ._select import check_pool, features, proba_and_features, top_k
from .uncertainty import entropy_score

EXACT_UP_TO = 100_000  # rows; a larger pool is compared with a sample of REFERENCE_SIZE
REFERENCE_SIZE = 20_000
FEW = 20  # images; with no more of them, the density is not diagnosed


def feature_log_density(
    pool_features: np.ndarray | RowsInOrder,
    *,
    bandwidth: str | float = "cv",
    n_components: int | None = 10,
    reference_size: int | None = None,
    random_state: RandomState = None,
) -> tuple[np.ndarray, DensityDiagnostic]:
    """Return each image's log density among the others, and a diagnostic of the estimate.

    Gaussian kernels on standardised features, each image left out of its own estimate: with many
    features its own kernel would outweigh all others.

    Parameters
    ----------
    pool_features : ndarray, shape (n, d)
        Features.
    bandwidth : {"scott", "silverman", "median", "cv"} or float
        As in `al_tf.geometry.select_bandwidth`, in units of the standardised features.
    n_components : int, optional
        Principal components kept of the standardised features; None keeps all features. In many
        dimensions the density depends on the nearest neighbour alone.
    reference_size : int, optional
        Size of the random sample of images under the kernels. By default all images, or 20,000 if
        the pool is larger than 100,000. On 40,000 simulated images a sample of 20,000
        was off by 0.22 nats (median; 2.0 at the 99th percentile) and kept 93 % of the top 1 %.
    random_state : RandomState
        Draws the samples.

    Returns
    -------
    log_density : ndarray, shape (n,), float64
        Zeros for a single image.
    diagnostic : DensityDiagnostic
    """
    rng = check_random_state(random_state)
    rows = standardise(pool_features)
    if n_components is not None:
        rows = principal_components(rows, n_components)
    n, d = rows.shape
    if reference_size is None:
        reference_size = n if n <= EXACT_UP_TO else REFERENCE_SIZE
    if reference_size < 2 and n > 1:
        raise ValueError(f"reference_size must be 2 or more; got {reference_size}.")
    sample = None if reference_size >= n else rng.choice(n, reference_size, replace=False)
    kernels = rows if sample is None else rows[sample]
    width = select_bandwidth(kernels, bandwidth, random_state=rng)  # as many kernels, so wide
    if n == 1:
        density = np.zeros(1)
    elif sample is None:
        density = kde_log_density(rows, bandwidth=width, leave_one_out=True)
    else:
        density = kde_log_density(rows, kernels, bandwidth=width)
        density[sample] = kde_log_density(kernels, bandwidth=width, leave_one_out=True)
    return density, diagnose_density(density, width, d)


def density(
    classifier: Any,
    X: Any,
    n_instances: int = 1,
    *,
    random_state: RandomState = None,
    bandwidth: str | float = "cv",
    n_components: int | None = 10,
    mode: str = "top",
    reference_size: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Query images from the densest regions of the pool; the model's uncertainty is not used.

    ``log p(x) = log 1/(n-1) sum_{y != x} N(f(x); f(y), bandwidth² I)`` on standardised features.

    Parameters
    ----------
    classifier : learner or estimator
        With ``transform``.
    X : array-like, shape (n, ...)
        The pool.
    n_instances : int
        Batch size.
    random_state : RandomState
        Draws the batch in mode ``"sample"`` and every sample; breaks ties.
    bandwidth, n_components, reference_size
        As in `feature_log_density`.
    mode : {"top", "sample"}
        The highest densities, or a draw without replacement with probability proportional to the
        density.

    Returns
    -------
    indices : ndarray, shape (n_instances,)
        Into `X`, best first.
    scores : ndarray, shape (n_instances,)
        Log density; in mode ``"sample"`` plus the standard Gumbel noise of the draw.

    Warns
    -----
    UserWarning
        The density is flat, or every image is isolated (`DensityDiagnostic`).

    References
    ----------
    Settles and Craven, "An Analysis of Active Learning Strategies for Sequence Labeling Tasks",
    EMNLP 2008, for density weights; Efraimidis and Spirakis 2006 for the draw.
    """
    check_pool(X, n_instances)
    check_one_of("mode", mode, ("top", "sample"))
    rng = check_random_state(random_state)
    pool_features = features(classifier, X)
    order = canonical_order(pool_features, rng)
    rows = RowsInOrder(pool_features, order)
    log_density = _checked_log_density(rows, bandwidth, n_components, reference_size, rng)
    chosen, scores = _choose(log_density, n_instances, mode, rng)
    return order[chosen], scores


def entropy_density(
    classifier: Any,
    X: Any,
    n_instances: int = 1,
    *,
    random_state: RandomState = None,
    beta: float = 1.0,
    bandwidth: str | float = "cv",
    n_components: int | None = 10,
    mode: str = "top",
    reference_size: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Query images on which the model is uncertain, in dense regions of the pool.

    ``H(x) p(x)^beta``: entropy times density (see `density`) to the power of beta.

    Parameters
    ----------
    classifier : learner or estimator
        With ``predict_proba`` and ``transform``.
    beta : float
        Weight of the density, 0 or more; 0 leaves entropy alone.
    X, n_instances, random_state, bandwidth, n_components, mode, reference_size
        As in `density`.

    Returns
    -------
    indices : ndarray, shape (n_instances,)
        Into `X`, best first.
    scores : ndarray, shape (n_instances,)
        ``log H + beta log p``; in mode ``"sample"`` plus Gumbel noise.

    Warns
    -----
    UserWarning
        As in `density`.

    References
    ----------
    Settles and Craven, EMNLP 2008, equation 14, with a kernel density for the mean similarity.
    """
    check_pool(X, n_instances)
    check_one_of("mode", mode, ("top", "sample"))
    if not (np.isfinite(beta) and beta >= 0):
        raise ValueError(f"beta must be a number of 0 or more; got {beta!r}.")
    rng = check_random_state(random_state)
    proba, pool_features = proba_and_features(classifier, X)
    order = canonical_order(pool_features, rng)
    rows = RowsInOrder(pool_features, order)
    log_density = _checked_log_density(rows, bandwidth, n_components, reference_size, rng)
    entropy = np.maximum(entropy_score(proba)[order], np.finfo(np.float64).tiny)
    chosen, scores = _choose(np.log(entropy) + beta * log_density, n_instances, mode, rng)
    return order[chosen], scores


def _checked_log_density(
    pool_features: np.ndarray | RowsInOrder,
    bandwidth: str | float,
    n_components: int | None,
    reference_size: int | None,
    rng: np.random.Generator,
) -> np.ndarray:
    log_density, diagnostic = feature_log_density(
        pool_features,
        bandwidth=bandwidth,
        n_components=n_components,
        reference_size=reference_size,
        random_state=rng,
    )
    if diagnostic.problem and len(pool_features) > FEW:
        warnings.warn(diagnostic.problem, UserWarning, stacklevel=3)
    return log_density


def _choose(
    log_weights: np.ndarray, n_instances: int, mode: str, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Choose the top weights, or draw without replacement by them (the Gumbel top-k trick)."""
    if mode == "sample":
        log_weights = log_weights + rng.gumbel(size=len(log_weights))
    return top_k(log_weights, n_instances, rng)

"""BALD: where samples of the model's weights disagree with each other."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..seeding import RandomState, check_random_state
from ._select import check_pool, check_proba, sampled_proba, top_k
from .uncertainty import entropy_score


def bald_score(samples: np.ndarray) -> np.ndarray:
    """Return the mutual information between label and weights, in nats.

    ``H[mean_s p_s] - mean_s H[p_s]``: from 0 (all passes agree) to ln K (each pass is certain,
    of another class each time). Uncertainty that all passes have in common does not count.

    Parameters
    ----------
    samples : ndarray, shape (S, n, K)
        Class probabilities of S stochastic passes.

    Returns
    -------
    ndarray, shape (n,)
        Higher = more informative.

    Raises
    ------
    ValueError
        Not three-dimensional, fewer than two passes, or probabilities that are not finite.
    """
    if np.ndim(samples) != 3 or len(samples) < 2:
        raise ValueError(
            "BALD needs probabilities of the shape (S, n, K) with S of 2 or more passes; got "
            f"{np.shape(samples)}."
        )
    n_samples, n, n_classes = np.shape(samples)
    mean, expected_entropy = np.zeros((n, n_classes)), np.zeros(n)
    for proba in samples:  # one pass at a time: S of them in float64 would be gigabytes
        checked = check_proba(proba, n)
        mean += checked / n_samples
        expected_entropy += entropy_score(checked) / n_samples
    return np.maximum(entropy_score(mean) - expected_entropy, 0.0)


def classifier_bald(
    classifier: Any, X: Any, n_samples: int = 20, random_state: RandomState = None
) -> np.ndarray:
    """Return `bald_score` of the classifier's stochastic passes over `X`, shape (n,)."""
    return bald_score(sampled_proba(classifier, X, n_samples, random_state))


def bald(
    classifier: Any,
    X: Any,
    n_instances: int = 1,
    *,
    random_state: RandomState = None,
    n_samples: int = 20,
    balance: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Query the images whose labels carry most information about the model's weights.

    The mutual information ``H[mean_s p_s] - mean_s H[p_s]`` over S samples of the weights: MC
    dropout of a network, or the Laplace approximation of a linear probe.

    Parameters
    ----------
    classifier : learner or estimator
        With ``sample_proba``; a network needs dropout for it.
    X : array-like, shape (n, ...)
        The pool.
    n_instances : int
        Batch size.
    random_state : RandomState
        Seeds the samples, and breaks ties.
    n_samples : int
        Samples S; for a network the cost is S forward passes over the pool.
    balance : bool
        Spread the batch evenly over the predicted classes; the rule is in `top_k`.

    Returns
    -------
    indices : ndarray, shape (n_instances,)
        Into `X`, best first.
    scores : ndarray, shape (n_instances,)
        Mutual information in nats.

    References
    ----------
    Houlsby et al., "Bayesian Active Learning for Classification and Preference Learning", 2011;
    Gal, Islam and Ghahramani, "Deep Bayesian Active Learning with Image Data", ICML 2017.
    """
    check_pool(X, n_instances)
    rng = check_random_state(random_state)
    samples = sampled_proba(classifier, X, n_samples, rng)
    groups = samples.mean(axis=0).argmax(axis=1) if balance else None
    return top_k(bald_score(samples), n_instances, rng, groups=groups)

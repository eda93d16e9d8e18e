"""Uncertainty sampling: least confident, smallest margin, highest entropy.

Settles, "Active Learning Literature Survey", 2009, section 3.1. Each has three layers: the score
of probabilities (``entropy_score``), the score of a classifier on a pool (``classifier_entropy``),
and the strategy (``entropy``). Every score is 0 where the model is certain; higher is less certain.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..seeding import RandomState
from ._select import check_proba, predict_proba, query_by_proba


def uncertainty_score(proba: np.ndarray) -> np.ndarray:
    """Return ``1 - max_c p_c`` for probabilities ``(n, K)``: from 0 (certain) to 1 - 1/K."""
    return 1.0 - check_proba(proba).max(axis=1)


def margin_score(proba: np.ndarray) -> np.ndarray:
    """Return ``1 - (p_1st - p_2nd)`` for probabilities ``(n, K)``: from 0 (certain) to 1 (equal).

    One minus the margin, so that higher = more informative. With a single class the second
    probability counts as 0.
    """
    proba = check_proba(proba)
    if proba.shape[1] == 1:
        return 1.0 - proba[:, 0]
    second, first = np.partition(proba, -2, axis=1)[:, -2:].T
    return 1.0 - (first - second)


def entropy_score(proba: np.ndarray) -> np.ndarray:
    """Return ``-sum_c p_c ln p_c`` in nats for ``(n, K)``: from 0 (certain) to ln K; 0 ln 0 = 0."""
    return 0.0 - plogp(check_proba(proba)).sum(axis=1)


def plogp(proba: np.ndarray) -> np.ndarray:
    """Return ``p ln p`` of each entry, with 0 ln 0 = 0."""
    logarithm = np.where(proba > 0, proba, 1.0)
    np.log(logarithm, out=logarithm)
    logarithm *= proba
    return logarithm


def classifier_uncertainty(classifier: Any, X: Any) -> np.ndarray:
    """Return `uncertainty_score` of the classifier's probabilities on `X`, shape (n,)."""
    return uncertainty_score(predict_proba(classifier, X))


def classifier_margin(classifier: Any, X: Any) -> np.ndarray:
    """Return `margin_score` of the classifier's probabilities on `X`, shape (n,)."""
    return margin_score(predict_proba(classifier, X))


def classifier_entropy(classifier: Any, X: Any) -> np.ndarray:
    """Return `entropy_score` of the classifier's probabilities on `X`, shape (n,)."""
    return entropy_score(predict_proba(classifier, X))


def uncertainty(
    classifier: Any,
    X: Any,
    n_instances: int = 1,
    *,
    random_state: RandomState = None,
    balance: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Query the images whose predicted class is least probable (least confident).

    Parameters
    ----------
    classifier : learner or estimator
        With ``predict_proba``.
    X : array-like, shape (n, ...)
        The pool.
    n_instances : int
        Batch size.
    random_state : RandomState
        Breaks ties.
    balance : bool
        Spread the batch evenly over the predicted classes; the rule is in `top_k`.

    Returns
    -------
    indices : ndarray, shape (n_instances,)
        Into `X`, best first.
    scores : ndarray, shape (n_instances,)
        ``1 - max_c p_c``.

    References
    ----------
    Lewis and Gale, "A Sequential Algorithm for Training Text Classifiers", SIGIR 1994.
    """
    return query_by_proba(
        uncertainty_score, classifier, X, n_instances, random_state, balance=balance
    )


def margin(
    classifier: Any,
    X: Any,
    n_instances: int = 1,
    *,
    random_state: RandomState = None,
    balance: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Query the images whose two most probable classes are closest together.

    Parameters and returns as in `uncertainty`; the scores are ``1 - (p_1st - p_2nd)``.

    References
    ----------
    Scheffer, Decomain and Wrobel, "Active Hidden Markov Models for Information Extraction",
    IDA 2001.
    """
    return query_by_proba(margin_score, classifier, X, n_instances, random_state, balance=balance)


def entropy(
    classifier: Any,
    X: Any,
    n_instances: int = 1,
    *,
    random_state: RandomState = None,
    balance: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Query the images with the highest predictive entropy.

    Parameters and returns as in `uncertainty`; the scores are ``-sum_c p_c ln p_c`` in nats.

    References
    ----------
    Shannon, "A Mathematical Theory of Communication", 1948; Settles, 2009.
    """
    return query_by_proba(entropy_score, classifier, X, n_instances, random_state, balance=balance)

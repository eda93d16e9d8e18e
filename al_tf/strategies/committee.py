"""Query by committee: where several models, trained separately, disagree.

The definitions are modAL's. A committee is anything with ``vote(X) -> (n, L)`` labels and
``vote_proba(X) -> (n, L, K)`` probabilities of its L learners.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..seeding import RandomState
from ._select import check_finite_rows, check_pool, check_proba, len_of, top_k
from .uncertainty import entropy_score


def vote_entropy_score(votes: np.ndarray) -> np.ndarray:
    """Return the entropy of the learners' votes in nats: 0 (unanimous) to ln min(L, K).

    Parameters
    ----------
    votes : ndarray, shape (n, L)
        Labels, one column per learner.

    Returns
    -------
    ndarray, shape (n,)
        Higher = more informative.
    """
    return entropy_score(_vote_shares(votes))


def consensus_entropy_score(vote_proba: np.ndarray) -> np.ndarray:
    """Return the entropy of the mean of ``(n, L, K)`` probabilities in nats: 0 to ln K."""
    return entropy_score(_check_vote_proba(vote_proba).mean(axis=1))


def max_disagreement_score(vote_proba: np.ndarray) -> np.ndarray:
    """Return the largest Kullback-Leibler divergence of a learner from the consensus, in nats.

    ``max_l sum_c p_lc ln (p_lc / mean_l p_lc)``: from 0 (all learners agree) to ln L.

    Parameters
    ----------
    vote_proba : ndarray, shape (n, L, K)
        Probabilities, one row per learner.

    Returns
    -------
    ndarray, shape (n,)
        Higher = more informative.
    """
    vote_proba = _check_vote_proba(vote_proba)
    consensus = vote_proba.mean(axis=1, keepdims=True)  # (n, 1, K), positive wherever a learner is
    ratio = np.divide(vote_proba, consensus, out=np.ones_like(vote_proba), where=vote_proba > 0)
    return (vote_proba * np.log(ratio)).sum(axis=2).max(axis=1)


def vote_entropy(
    classifier: Any,
    X: Any,
    n_instances: int = 1,
    *,
    random_state: RandomState = None,
    balance: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Query the images on whose label the learners' votes are most divided.

    Parameters
    ----------
    classifier : committee
        With ``vote``.
    X : array-like, shape (n, ...)
        The pool.
    n_instances : int
        Batch size.
    random_state : RandomState
        Breaks ties, which are frequent among votes.
    balance : bool
        Spread the batch evenly over the classes the committee predicts; the rule is in `top_k`.

    Returns
    -------
    indices : ndarray, shape (n_instances,)
        Into `X`, best first.
    scores : ndarray, shape (n_instances,)
        Entropy of the votes in nats.

    References
    ----------
    Engelson and Dagan, "Minimizing Manual Annotation Cost in Supervised Training from Corpora",
    ACL 1996.
    """
    check_pool(X, n_instances)
    shares = _vote_shares(_ask(classifier, "vote", X))
    groups = shares.argmax(axis=1) if balance else None
    return top_k(entropy_score(shares), n_instances, random_state, groups=groups)


def consensus_entropy(
    classifier: Any,
    X: Any,
    n_instances: int = 1,
    *,
    random_state: RandomState = None,
    balance: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Query the images on which the committee as a whole is most uncertain.

    Parameters and returns as in `vote_entropy`, but the committee needs ``vote_proba``; the scores
    are the entropy of the mean probabilities in nats.

    References
    ----------
    Settles, "Active Learning Literature Survey", 2009, section 3.2.
    """
    return _query(consensus_entropy_score, classifier, X, n_instances, random_state, balance)


def max_disagreement(
    classifier: Any,
    X: Any,
    n_instances: int = 1,
    *,
    random_state: RandomState = None,
    balance: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Query the images on which one learner differs most from the consensus.

    Parameters and returns as in `vote_entropy`, but the committee needs ``vote_proba``; the scores
    are `max_disagreement_score`.

    References
    ----------
    McCallum and Nigam, "Employing EM and Pool-Based Active Learning for Text Classification",
    ICML 1998 (there the mean of the divergences; the maximum is modAL's).
    """
    return _query(max_disagreement_score, classifier, X, n_instances, random_state, balance)


def _query(
    score: Any, classifier: Any, X: Any, n_instances: int, random_state: RandomState, balance: bool
) -> tuple[np.ndarray, np.ndarray]:
    check_pool(X, n_instances)
    vote_proba = _check_vote_proba(_ask(classifier, "vote_proba", X), len_of(X))
    groups = vote_proba.mean(axis=1).argmax(axis=1) if balance else None
    return top_k(score(vote_proba), n_instances, random_state, groups=groups)


def _ask(classifier: Any, method: str, X: Any) -> np.ndarray:
    if not hasattr(classifier, method):
        raise TypeError(
            f"This strategy needs a committee with {method}(X), such as al_tf.Committee; "
            f"{type(classifier).__name__} is none."
        )
    return np.asarray(getattr(classifier, method)(X))


def _vote_shares(votes: np.ndarray) -> np.ndarray:
    """Return the share of votes ``(n, K')`` for each label that has any."""
    votes = np.asarray(votes)
    if votes.ndim != 2 or votes.shape[1] == 0:
        raise ValueError(f"Votes must have the shape (n, n_learners); got {votes.shape}.")
    return np.stack([(votes == label).mean(axis=1) for label in np.unique(votes)], axis=1)


def _check_vote_proba(vote_proba: np.ndarray, n: int | None = None) -> np.ndarray:
    vote_proba = np.asarray(vote_proba, dtype=np.float64)
    if vote_proba.ndim != 3 or 0 in vote_proba.shape[1:] or n not in (None, len(vote_proba)):
        raise ValueError(
            f"Committee probabilities must have the shape (n, n_learners, K)"
            f"{'' if n is None else f' with n={n}'}; got {vote_proba.shape}."
        )
    n_rows, n_learners, n_classes = vote_proba.shape
    check_finite_rows("committee probabilities", vote_proba.reshape(n_rows, -1))
    return check_proba(vote_proba.reshape(-1, n_classes)).reshape(n_rows, n_learners, n_classes)

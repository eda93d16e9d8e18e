"""Random sampling: the baseline that every strategy has to beat."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..seeding import RandomState, check_random_state
from ._select import check_pool, top_k


def random(
    classifier: Any, X: Any, n_instances: int = 1, *, random_state: RandomState = None
) -> tuple[np.ndarray, np.ndarray]:
    """Query images uniformly at random, without replacement; the classifier is not used.

    Parameters
    ----------
    classifier : learner or estimator
        Not used.
    X : array-like, shape (n, ...)
        The pool; only its length is read.
    n_instances : int
        Batch size.
    random_state : RandomState
        Draws the batch.

    Returns
    -------
    indices : ndarray, shape (n_instances,)
        Into `X`.
    scores : ndarray, shape (n_instances,)
        The uniform draws in [0, 1) by which the images were chosen, the highest first.
    """
    n = check_pool(X, n_instances)
    rng = check_random_state(random_state)
    return top_k(rng.random(n), n_instances, rng)

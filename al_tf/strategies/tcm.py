"""TCM: typical images first, small margins later."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from ..seeding import RandomState
from ._select import check_pool, len_of, predict_proba, top_k
from .typiclust import typiclust
from .uncertainty import margin_score


def tcm(
    classifier: Any,
    X: Any,
    n_instances: int = 1,
    *,
    random_state: RandomState = None,
    labels_per_class: float = 5.0,
    unit_length: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """Query by `typiclust` until there are some labels per class, and by `margin` from then on.

    Before the first label no prediction is needed, so that features alone are enough to start.

    Parameters
    ----------
    classifier : learner or estimator
        With ``transform`` and ``predict_proba``; the labeled set is its ``X_training``.
    X : array-like, shape (n, ...)
        The pool.
    n_instances : int
        Batch size.
    random_state : RandomState
        Starts k-means, and breaks ties.
    labels_per_class : float
        The switch: margin from ``labels_per_class · K`` labels. See the notes.
    unit_length : bool
        As in `typiclust`.

    Returns
    -------
    indices : ndarray, shape (n_instances,)
        Into `X`, in the order of choice.
    scores : ndarray, shape (n_instances,)
        Typicality before the switch (see `typiclust`), ``1 - (p_1st - p_2nd)`` after it.

    Notes
    -----
    The two strategies and their order are the paper's, and so is that the switch comes early where
    features are pretrained; there a run is a sequence of steps, whose size follows a rule, and
    TypiClust makes the first of them. A number of labels per class, and its 5, are ours: compared
    with the paper's abstract and with summaries of it, not with its text or tables, and no code of
    its authors was seen. In the studies ``few_labels_*`` margin overtakes TypiClust far later.

    References
    ----------
    Doucet, Estermann, Aczel and Wattenhofer, "Bridging Diversity and Uncertainty in Active learning
    with Self-Supervised Pre-Training", ICLR 2024 workshop PML4LRS, arXiv 2403.03728.
    """
    check_pool(X, n_instances)
    if not (np.isfinite(labels_per_class) and labels_per_class >= 0):
        raise ValueError(
            f"labels_per_class must be a number of 0 or more; got {labels_per_class!r}."
        )
    labeled = getattr(classifier, "X_training", None)
    n_labeled = 0 if labeled is None else len_of(labeled)
    typical = partial(typiclust, random_state=random_state, unit_length=unit_length)
    if n_labeled == 0 and labels_per_class > 0:
        return typical(classifier, X, n_instances)
    proba = predict_proba(classifier, X)
    if n_labeled < labels_per_class * proba.shape[1]:
        return typical(classifier, X, n_instances)
    return top_k(margin_score(proba), n_instances, random_state)

"""Expected error reduction: refit the model with every label of every image, and compare."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from ..errors import check_one_of
from ..image_arrays import match_scale
from ..progress import progress_bar
from ..seeding import RandomState, check_random_state
from ._select import check_pool, estimator_of, predict_proba, top_k
from .uncertainty import entropy_score, uncertainty_score

logger = logging.getLogger(__name__)

LOSSES = {"log": entropy_score, "binary": uncertainty_score}


def expected_errors(
    classifier: Any, X: Any, candidates: np.ndarray, loss: str = "log", progress: bool | None = None
) -> np.ndarray:
    """Return the expected loss on the rest of the pool after a candidate is labeled.

    ``sum_y P(y | x) · sum_{x' != x} L(p_{D + (x, y)}(x'))`` for each candidate x, with L the
    entropy or ``1 - max p``, and ``p_{D + (x, y)}`` a clone fitted to the labeled set D with x
    labeled y.

    Parameters
    ----------
    classifier : learner
        With ``X_training`` and ``y_training`` (labels, or one-hot rows).
    X : array-like, shape (n, ...)
        The pool.
    candidates : ndarray of int
        Rows of `X` to try.
    loss : {"log", "binary"}
        Entropy, or ``1 - max p``.
    progress : bool, optional
        False hides the progress bar.

    Returns
    -------
    ndarray, shape (len(candidates),)
        Lower = more informative.
    """
    from sklearn.base import clone

    check_one_of("loss", loss, LOSSES)
    labeled, y = _labeled_set(classifier)
    proba = predict_proba(classifier, X)
    labels = _possible_labels(classifier, y, proba.shape[1])
    model = clone(estimator_of(classifier))
    fit_kwargs = getattr(classifier, "fit_kwargs", {})
    expected = np.zeros(len(candidates))
    with progress_bar(
        total=len(candidates) * len(labels),
        desc="expected_error",
        unit="fit",
        shown=progress is not False,
    ) as bar:
        for position, candidate in enumerate(candidates):
            image = match_scale(np.asarray(X[candidate])[None], labeled)
            X_new = np.concatenate([labeled, image])
            for column, probability in enumerate(proba[candidate]):
                y_new = np.concatenate([y, labels[column : column + 1]])
                model.fit(X_new, y_new, **fit_kwargs)
                losses = LOSSES[loss](predict_proba(model, X))
                expected[position] += probability * (losses.sum() - losses[candidate])
                bar.update()
    return expected


def expected_error(
    classifier: Any,
    X: Any,
    n_instances: int = 1,
    *,
    random_state: RandomState = None,
    loss: str = "log",
    n_candidates: int | None = None,
    max_fits: int = 2_000,
    progress: bool | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Query the images whose label is expected to leave the smallest error on the pool.

    For small pools and models that fit fast: each candidate costs one fit, and one pass over the
    pool, for each class. The number of fits is logged and shown in the progress bar before the
    first, and refused above `max_fits`.

    Parameters
    ----------
    classifier : learner
        With ``predict_proba`` and a labeled set; its estimator is cloned, not touched.
    X : array-like, shape (n, ...)
        The pool.
    n_instances : int
        Batch size.
    random_state : RandomState
        Draws the candidates, and breaks ties.
    loss : {"log", "binary"}
        The loss: the entropy of the predictions, or ``1 - max p``.
    n_candidates : int, optional
        Try this many images, drawn at random; by default all.
    max_fits : int
        Refuse a query that would take more fits.
    progress : bool, optional
        False hides the progress bar.

    Returns
    -------
    indices : ndarray, shape (n_instances,)
        Into `X`, best first.
    scores : ndarray, shape (n_instances,)
        The expected loss over the rest of the pool, negated.

    Raises
    ------
    TypeError
        The classifier has no labeled set.
    ValueError
        More than `max_fits` fits, or fewer candidates than `n_instances`.

    References
    ----------
    Roy and McCallum, "Toward Optimal Active Learning through Sampling Estimation of Error
    Reduction", ICML 2001.
    """
    n = check_pool(X, n_instances)
    check_one_of("loss", loss, LOSSES)
    _, y = _labeled_set(classifier)
    rng = check_random_state(random_state)
    n_tried = n if n_candidates is None else n_candidates
    if not n_instances <= n_tried <= n:
        raise ValueError(
            f"n_candidates must be between n_instances={n_instances} and the pool's {n}; got "
            f"{n_candidates}."
        )
    n_labels = len(_possible_labels(classifier, y, None))
    n_fits = n_tried * n_labels
    cost = f"expected_error takes {n_fits} fits ({n_tried} images × {n_labels} classes)"
    if n_fits > max_fits:
        raise ValueError(
            f"{cost}, more than max_fits={max_fits}. Pass n_candidates={max_fits // n_labels} or "
            "fewer, a smaller pool, or a larger max_fits."
        )
    logger.info("%s.", cost)
    candidates = np.arange(n) if n_tried == n else np.sort(rng.choice(n, n_tried, replace=False))
    errors = expected_errors(classifier, X, candidates, loss, progress)
    chosen, scores = top_k(-errors, n_instances, rng)
    return candidates[chosen], scores


def _labeled_set(classifier: Any) -> tuple[np.ndarray, np.ndarray]:
    labeled = getattr(classifier, "X_training", None)
    y = getattr(classifier, "y_training", None)
    if labeled is None or y is None:
        raise TypeError(
            "expected_error refits the model with images added to the labeled set: pass a "
            "learner with X_training and y_training, not a bare estimator."
        )
    return np.asarray(labeled), np.asarray(y)


def _possible_labels(classifier: Any, y: np.ndarray, n_columns: int | None) -> np.ndarray:
    """Return the labels in the order of predict_proba's columns, one-hot rows if `y` is."""
    if y.ndim == 2:
        labels = np.eye(y.shape[1], dtype=y.dtype)
    else:
        labels = np.asarray(getattr(estimator_of(classifier), "classes_", np.unique(y)))
    if n_columns is not None and len(labels) != n_columns:
        raise ValueError(
            f"The classifier has {len(labels)} classes but predicts {n_columns} probabilities."
        )
    return labels

"""Common parts of strategies: ask a classifier, check its answers, choose the best.

A `classifier` here is either a bare estimator or a learner (this package's or modAL's own) that
holds one. Nothing in this module writes to its arguments or to numpy's global generator.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any

import numpy as np

from ..geometry import unit_rows
from ..seeding import RandomState, check_random_state

SUM_TOLERANCE = 1e-2  # half-precision softmax over 1,000 classes stays inside
JOINT_TOLERANCE = 1e-3  # between two copies of one image in one sample


def check_pool(X: Any, n_instances: int) -> int:
    """Check the pool and the batch size; return the number of images in the pool.

    Parameters
    ----------
    X : array-like, shape (n, ...)
        The pool.
    n_instances : int
        Batch size.

    Returns
    -------
    int
        ``n``, the size of the pool.

    Raises
    ------
    TypeError
        `n_instances` is not an integer.
    ValueError
        The pool is empty, or `n_instances` is below 1 or above ``n``.
    """
    n = len_of(X)
    if isinstance(n_instances, bool) or not isinstance(n_instances, numbers.Integral):
        raise TypeError(f"n_instances must be an integer; got {n_instances!r}.")
    if n == 0:
        raise ValueError("The pool is empty: there is nothing to query.")
    if n_instances < 1:
        raise ValueError(f"n_instances must be 1 or more; got {n_instances}.")
    if n_instances > n:
        raise ValueError(
            f"n_instances={n_instances} is more than the {n} images in the pool. Ask for fewer."
        )
    return n


def estimator_of(classifier: Any) -> Any:
    """Return the estimator inside a learner, or `classifier` itself where it is an estimator.

    A learner is recognised by having both ``estimator`` and ``query_strategy``. scikit-learn's
    meta-estimators have only the first, and there it is the unfitted template.
    """
    if hasattr(classifier, "query_strategy") and hasattr(classifier, "estimator"):
        return classifier.estimator
    return classifier


def predict_proba(classifier: Any, X: Any) -> np.ndarray:
    """Return the class probabilities of the pool, checked.

    Parameters
    ----------
    classifier : learner or estimator
        Anything with ``predict_proba``.
    X : array-like, shape (n, ...)
        The pool.

    Returns
    -------
    ndarray, shape (n, K), float64
        A copy that the caller may write to.

    Raises
    ------
    TypeError
        The classifier has no ``predict_proba``.
    ValueError
        Not two-dimensional, not one row per image, not finite, or rows that do not sum to 1.
    """
    if not hasattr(classifier, "predict_proba"):
        raise TypeError(
            f"This strategy needs class probabilities, and {type(classifier).__name__} has no "
            "predict_proba."
        )
    return check_proba(classifier.predict_proba(X), len_of(X))


def check_proba(proba: Any, n: int | None = None) -> np.ndarray:
    """Return `proba` as float64 ``(n, K)``; raise ValueError as documented in `predict_proba`."""
    proba = np.array(proba, dtype=np.float64)
    if proba.ndim != 2 or proba.shape[1] == 0 or n not in (None, proba.shape[0]):
        raise ValueError(
            f"Probabilities must have the shape (n, K){'' if n is None else f' with n={n}'}; "
            f"got {proba.shape}."
        )
    check_finite_rows("probabilities", proba)
    off = (proba < -SUM_TOLERANCE).any(axis=1) | (abs(proba.sum(axis=1) - 1) > SUM_TOLERANCE)
    if off.any():
        raise ValueError(
            f"Probabilities must be non-negative and sum to 1 in each row; {off.sum()} of "
            f"{len(off)} rows do not. Does the model end in a softmax?"
        )
    return proba


def features(classifier: Any, X: Any) -> np.ndarray:
    """Return the features of the pool: the estimator's ``transform``, or 2-D `X` as it is.

    Parameters
    ----------
    classifier : learner or estimator
        With ``transform``, unless `X` is two-dimensional.
    X : array-like, shape (n, ...)
        The pool.

    Returns
    -------
    ndarray, shape (n, d), float32 or float16
        float16 as it comes, so that a memory map is not copied; anything else as float32.

    Raises
    ------
    TypeError
        The estimator has no ``transform`` and `X` is not two-dimensional.
    ValueError
        Not two-dimensional, not one row per image, or not finite.
    """
    estimator = estimator_of(classifier)
    if hasattr(estimator, "transform"):
        return _check_features(estimator.transform(X), len_of(X))
    shape = np.shape(X)
    if len(shape) != 2:
        raise TypeError(
            f"This strategy needs features, and {type(estimator).__name__} has no transform(X) -> "
            f"(n, d). Add one, or pass a pool of shape (n, d); this one has the shape {shape}."
        )
    return _check_features(X, len_of(X))


def n_classes_of(classifier: Any) -> int:
    """Return the number of classes, of ``classes_`` after a fit or of ``classes`` before it.

    Raises
    ------
    TypeError
        The estimator has neither.
    """
    estimator = estimator_of(classifier)
    for name in ("classes_", "classes"):
        classes = getattr(estimator, name, None)
        if classes is not None:
            return len(classes)
    raise TypeError(
        f"This strategy needs the number of classes, and {type(estimator).__name__} has neither "
        "classes_ nor classes. Give it its label set: classes=…"
    )


def proba_and_features(classifier: Any, X: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return ``(predict_proba(…), features(…))``, from one forward pass where possible."""
    estimator = estimator_of(classifier)
    if hasattr(estimator, "predict_with_features"):
        proba, pool_features = estimator.predict_with_features(X)
        return check_proba(proba, len_of(X)), _check_features(pool_features, len_of(X))
    return predict_proba(classifier, X), features(classifier, X)


def sampled_proba(
    classifier: Any,
    X: Any,
    n_samples: int,
    random_state: RandomState = None,
    *,
    joint: bool = False,
) -> np.ndarray:
    """Return ``estimator.sample_proba`` of the pool, ``(n_samples, n, K)``, as it comes.

    Parameters
    ----------
    classifier : learner or estimator
        With ``sample_proba``.
    X : array-like, shape (n, ...)
        The pool.
    n_samples : int
        2 or more.
    random_state : RandomState
        Seeds the samples.
    joint : bool
        Each sample must be one draw of the weights for all images. It is tried on two copies of
        the first image.

    Raises
    ------
    TypeError
        The estimator has no ``sample_proba``, or draws for each image separately with `joint`.
    ValueError
        Fewer than two samples, samples of another shape, or a network without dropout.
    """
    estimator = estimator_of(classifier)
    if not hasattr(estimator, "sample_proba"):
        raise TypeError(
            "This strategy needs an estimator with sample_proba(X, n_samples, random_state) -> "
            "(n_samples, n, K), such as LinearProbeClassifier or KerasImageClassifier; "
            f"{type(estimator).__name__} has no such method."
        )
    if n_samples < 2:
        raise ValueError(f"Samples are compared: n_samples must be 2 or more; got {n_samples}.")
    seed = int(check_random_state(random_state).integers(2**31))
    if joint:
        copies = np.repeat(np.asarray(X[:1]), 2, axis=0)
        first, second = np.moveaxis(estimator.sample_proba(copies, 8, seed), 1, 0)
        if not np.allclose(first, second, atol=JOINT_TOLERANCE, equal_nan=True):
            raise TypeError(
                "This strategy needs samples that are one draw of the weights for all images, and "
                f"{type(estimator).__name__} draws for each image separately, as dropout does. Use "
                "LinearProbeClassifier, or bald, which takes either."
            )
    samples = np.asarray(estimator.sample_proba(X, n_samples=n_samples, random_state=seed))
    if samples.ndim != 3 or samples.shape[:2] != (n_samples, len_of(X)):
        raise ValueError(
            f"sample_proba must return the shape ({n_samples}, {len_of(X)}, K); got "
            f"{samples.shape}."
        )
    return samples


def labeled_features(classifier: Any, *, unit_length: bool = False) -> np.ndarray | None:
    """Return the features ``(m, d)`` of the labeled set, or None where there is none.

    With `unit_length` each is divided by its Euclidean length, as those of the pool are by
    ``RowsInOrder(…, unit=True)``.
    """
    labeled = getattr(classifier, "X_training", None)
    if labeled is None or len_of(labeled) == 0:
        return None
    rows = features(classifier, labeled)
    return unit_rows(rows) if unit_length else rows


def top_k(
    scores: np.ndarray,
    n_instances: int,
    random_state: RandomState = None,
    *,
    groups: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Choose the highest scores; ties are broken by `random_state`, never by pool order.

    Parameters
    ----------
    scores : ndarray, shape (n,)
        Higher = more informative.
    n_instances : int
        How many to choose, at most ``n``.
    random_state : RandomState
        For ties.
    groups : ndarray of int, shape (n,), optional
        Usually the predicted classes. The batch is then spread over them: the best of each group,
        then the second best of each, and so on, while a group has images left; in the last,
        incomplete turn the highest scores are chosen.

    Returns
    -------
    indices : ndarray, shape (n_instances,), intp
        Best first.
    scores : ndarray, shape (n_instances,), float64

    Raises
    ------
    ValueError
        Scores that are not finite, or not of shape (n,).

    Examples
    --------
    >>> import numpy as np
    >>> from al_tf.strategies import top_k
    >>> indices, scores = top_k(np.array([0.1, 0.9, 0.5, 0.8]), 2)
    >>> indices.tolist(), scores.tolist()
    ([1, 3], [0.9, 0.8])
    >>> top_k(np.array([0.1, 0.9, 0.5, 0.8]), 2, groups=np.array([0, 1, 0, 1]))[0].tolist()
    [1, 2]
    """
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 1:
        raise ValueError(f"Scores must have the shape (n,); got {scores.shape}.")
    check_finite_rows("scores", scores[:, None])
    tie_break = check_random_state(random_state).random(len(scores))
    ranking = np.lexsort((tie_break, -scores))  # best first
    if groups is None:
        chosen = ranking[:n_instances]
    else:
        turn = occurrence(np.asarray(groups)[ranking])
        chosen = ranking[np.sort(np.argsort(turn, kind="stable")[:n_instances])]
    return chosen, scores[chosen]


def query_by_proba(
    score: Callable[[np.ndarray], np.ndarray],
    classifier: Any,
    X: Any,
    n_instances: int,
    random_state: RandomState,
    *,
    balance: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Predict the probabilities of the pool and choose the images with the highest score.

    Parameters
    ----------
    score : callable
        From probabilities ``(n, K)`` to scores ``(n,)``; higher = more informative.
    classifier : learner or estimator
        With ``predict_proba``.
    X : array-like, shape (n, ...)
        The pool.
    n_instances : int
        Batch size, 1 to n.
    random_state : RandomState
        Breaks ties.
    balance : bool
        Spread the batch over the predicted classes; see ``groups`` in `top_k`.

    Returns
    -------
    indices : ndarray, shape (n_instances,), intp
        Best first.
    scores : ndarray, shape (n_instances,), float64

    Raises
    ------
    ValueError
        Empty pool, a batch larger than it, probabilities or scores that are not finite.

    Examples
    --------
    A strategy of one's own, from a score of probabilities:

    >>> import numpy as np
    >>> from al_tf.strategies import query_by_proba
    >>> from al_tf.strategies.testing import FakeClassifier
    >>> def gini(classifier, X, n_instances=1, *, random_state=None):
    ...     score = lambda proba: 1 - (proba**2).sum(axis=1)
    ...     return query_by_proba(score, classifier, X, n_instances, random_state)
    >>> X = np.random.default_rng(0).random((20, 4, 4))
    >>> classifier = FakeClassifier().fit(X[:6], [0, 1, 2, 0, 1, 2])
    >>> indices, scores = gini(classifier, X, 3, random_state=0)
    >>> len(set(indices.tolist())), bool(scores[0] >= scores[1] >= scores[2])
    (3, True)
    """
    check_pool(X, n_instances)
    proba = predict_proba(classifier, X)
    groups = proba.argmax(axis=1) if balance else None
    return top_k(score(proba), n_instances, random_state, groups=groups)


def occurrence(groups: np.ndarray) -> np.ndarray:
    """Return for each position how many earlier positions belong to the same group."""
    by_group = np.argsort(groups, kind="stable")
    _, first, counts = np.unique(groups[by_group], return_index=True, return_counts=True)
    turn = np.empty(len(groups), dtype=np.intp)
    turn[by_group] = np.arange(len(groups)) - np.repeat(first, counts)
    return turn


def len_of(X: Any) -> int:
    """Return the number of rows of anything array-like (sparse matrices have no ``len``)."""
    return int(X.shape[0]) if hasattr(X, "shape") else len(X)


def check_finite_rows(what: str, values: np.ndarray) -> None:
    """Raise a ValueError that counts the rows of `values` ``(n, d)`` that are not finite."""
    if np.isfinite(values.min(initial=0.0)) and np.isfinite(values.max(initial=0.0)):
        return  # two passes without a temporary array
    bad = int((~np.isfinite(values)).any(axis=1).sum())
    if bad:
        raise ValueError(
            f"{bad} of {len(values)} rows of {what} are not finite (NaN or infinite). Look at the "
            "images and at the training loss before querying."
        )


def _check_features(features: Any, n: int) -> np.ndarray:
    features = np.asarray(features)
    if features.dtype != np.float16:
        features = features.astype(np.float32, copy=False)
    if features.ndim != 2 or features.shape[0] != n:
        raise ValueError(f"Features must have the shape (n, d) with n={n}; got {features.shape}.")
    check_finite_rows("features", features)
    return features

"""Which labels does a model dispute that has not seen them? Out-of-fold probabilities, a ranking."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import UnknownLabelError, check_one_of
from .seeding import RandomState, check_random_state

SCORES = ("self_confidence", "normalized_margin")
PENALTY = 0.01
"""C of a probe that judges labels. It is below that of a probe that learns from them: the more
closely a model follows its labels, the more it believes those that are wrong
(``benchmarks/suspects.py``)."""


@dataclass(frozen=True)
class Suspects:
    """Labels ranked by how strongly a model disputes them; see `suspect_labels`."""

    order: np.ndarray
    """Rows, the most suspect first, int ``(n,)``."""
    score: np.ndarray
    """Of each row, float64 ``(n,)`` in [0, 1], lower = more suspect. NaN where no other image, or
    no other group, has a label of its class: a model without it does not know the class. These come
    last."""
    predicted: np.ndarray
    """The most probable class of each row, ``(n,)``."""
    disputed: np.ndarray
    """Whether that is another class than the label's, bool ``(n,)``; False where there is no score."""


def out_of_fold_proba(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    classes: Sequence[Any] | np.ndarray | None = None,
    groups: Any = None,
    n_folds: int = 10,
    random_state: RandomState = None,
) -> np.ndarray:
    """Return for each image the probabilities of a model that was trained without it.

    The labeled set is split into folds, each with its part of every class; a clone of the
    estimator is fitted on all folds but one and predicts that one. A group is in one fold as a
    whole, so that no image is judged by a model that has learned another one of its group.

    Parameters
    ----------
    estimator : estimator
        With ``fit`` and ``predict_proba``, of scikit-learn's kind, such as
        ``LinearProbeClassifier(backbone=None)`` for features. It is cloned, never fitted itself.
    X : array-like (n, …)
        Images, or features of them.
    y : array-like (n,)
        Their labels, of two classes or more.
    classes : sequence, optional
        What the columns stand for; by default the sorted labels of `y`. Of the estimator, too, if
        it has a parameter of that name.
    groups : array-like (n,), optional
        What each image shows, such as a part of which there are several photographs; two groups or
        more. If not given, each image is a group of its own.
    n_folds : int
        2 or more; at most as many are made as there are groups. More folds leave more labels to train on and take longer.
    random_state : int, Generator, RandomState or None
        Seeds the folds, and the clones if they have a parameter of that name.

    Returns
    -------
    ndarray of float64 (n, K)
        A class that was not among the labels trained on has the probability 0.

    Raises
    ------
    ValueError
        `X`, `y` or `groups` of different lengths; fewer than two classes, groups or folds.
    UnknownLabelError
        A label that is not among `classes`.

    Examples
    --------
    >>> import numpy as np
    >>> from al_tf import LinearProbeClassifier
    >>> from al_tf.suspects import out_of_fold_proba, suspect_labels
    >>> features = np.repeat([[0.0, 1.0], [1.0, 0.0]], 10, axis=0)
    >>> labels = np.repeat(["cat", "dog"], 10)
    >>> labels[3] = "dog"  # a mistake
    >>> probe = LinearProbeClassifier(backbone=None)
    >>> proba = out_of_fold_proba(probe, features, labels, random_state=0)
    >>> suspects = suspect_labels(labels, proba)
    >>> int(suspects.order[0]), str(suspects.predicted[3])
    (3, 'cat')
    """
    from sklearn.base import clone

    y = np.asarray(y)
    names, codes = _encoded(y, classes)
    if len(X) != len(y):
        raise ValueError(f"X and y must have one row per image; got {len(X)} and {len(y)} rows.")
    if len(np.unique(codes)) < 2:
        raise ValueError(
            f"Labels are judged by a model of two classes or more; got {len(np.unique(codes))}."
        )
    if n_folds < 2:
        raise ValueError(f"n_folds must be 2 or more; got {n_folds}.")
    members = _members(groups, len(y))
    if members.max() == 0:
        raise ValueError(
            "Labels are judged by models of other groups; all images are of one group."
        )
    rng = check_random_state(random_state)
    proba = np.zeros((len(y), len(names)))
    settings = _parameters(estimator)
    for train, held_out in _folds(codes, members, n_folds, rng):
        model = clone(estimator)
        if "classes" in settings:
            model.set_params(classes=names)
        if "random_state" in settings:
            model.set_params(random_state=int(rng.integers(2**31)))
        model.fit(X[train], y[train])
        columns = _encoded(np.asarray(model.classes_), names)[1]
        proba[np.ix_(held_out, columns)] = model.predict_proba(X[held_out])
    return proba


def suspect_labels(
    y: Any,
    proba: np.ndarray,
    *,
    classes: Sequence[Any] | np.ndarray | None = None,
    groups: Any = None,
    score: str = "self_confidence",
) -> Suspects:
    """Rank labels by how strongly a model disputes them.

    ``benchmarks/suspects.py`` measures how many injected errors are at the top of the ranking.

    Parameters
    ----------
    y : array-like (n,)
        The labels.
    proba : ndarray (n, K)
        Probabilities by a model that has not seen these labels; see `out_of_fold_proba`.
    classes : sequence, optional
        What the columns stand for; by default the sorted labels of `y`.
    groups : array-like (n,), optional
        As given to `out_of_fold_proba`.
    score : {"self_confidence", "normalized_margin"}
        The probability p of the label's class; or (p - q + 1) / 2, with q the largest probability
        of another class.

    Returns
    -------
    Suspects

    Raises
    ------
    ValueError
        `proba` that is not ``(n, K)``, or `groups` of another length.
    UnknownLabelError
        A label that is not among `classes`.

    References
    ----------
    Northcutt, Jiang, Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels",
    JAIR 70, 2021.

    Examples
    --------
    >>> import numpy as np
    >>> proba = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.7, 0.3]])
    >>> suspects = suspect_labels(["cat", "cat", "cat", "dog"], proba, classes=["cat", "dog"])
    >>> suspects.order.tolist()
    [1, 2, 0, 3]
    >>> suspects.score.tolist()
    [0.9, 0.2, 0.4, nan]
    """
    check_one_of("score", score, SCORES)
    names, codes = _encoded(np.asarray(y), classes)
    proba = np.asarray(proba, dtype=np.float64)
    if proba.shape != (len(codes), len(names)):
        raise ValueError(
            f"proba must have a row for each of the {len(codes)} labels and a column for each of "
            f"the {len(names)} classes; got shape {proba.shape}. Pass classes=… if the labels lack "
            "a class."
        )
    rows = np.arange(len(codes))
    values = proba[rows, codes]
    if score == "normalized_margin":
        others = proba.copy()
        others[rows, codes] = -np.inf
        values = (values - others.max(axis=1) + 1) / 2
    pairs = np.unique(np.column_stack([codes, _members(groups, len(codes))]), axis=0)
    values[np.bincount(pairs[:, 0], minlength=len(names))[codes] == 1] = np.nan
    predicted = proba.argmax(axis=1)
    return Suspects(
        order=np.argsort(values, kind="stable"),  # NaN last
        score=values,
        predicted=names[predicted],
        disputed=(predicted != codes) & ~np.isnan(values),
    )


def _encoded(y: np.ndarray, classes: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the class names ``(K,)`` and the column of each label ``(n,)``."""
    if y.ndim != 1:
        raise ValueError(f"Labels must be one per image; got shape {y.shape}.")
    names = np.unique(y) if classes is None else np.asarray(list(classes))
    column = {label: k for k, label in enumerate(names.tolist())}
    unknown = [label for label in y.tolist() if label not in column]
    if unknown:
        raise UnknownLabelError(
            f"The label {unknown[0]!r} is not among the classes {names.tolist()}."
        )
    return names, np.array([column[label] for label in y.tolist()], dtype=np.intp)


def _members(groups: Any, n: int) -> np.ndarray:
    """Return the number of each image's group ``(n,)``; each is its own where none are given."""
    if groups is None:
        return np.arange(n)
    groups = np.asarray(groups)
    if groups.shape != (n,):
        raise ValueError(f"groups must be one per image, {n}; got shape {groups.shape}.")
    return np.unique(groups, return_inverse=True)[1]


def _folds(
    codes: np.ndarray, members: np.ndarray, n_folds: int, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the rows to train on and those held out.

    Groups are dealt out in turn, class by class; that of a group is its commonest.
    """
    counts = np.zeros((members.max() + 1, codes.max() + 1), np.intp)
    np.add.at(counts, (members, codes), 1)
    commonest = counts.argmax(axis=1)
    shuffled = rng.permutation(len(counts))
    dealt = shuffled[np.argsort(commonest[shuffled], kind="stable")]
    for number in range(min(n_folds, len(counts))):
        held_out = np.isin(members, dealt[number::n_folds])
        yield np.flatnonzero(~held_out), np.flatnonzero(held_out)


def _parameters(estimator: Any) -> set[str]:
    return set(estimator.get_params()) if hasattr(estimator, "get_params") else set()

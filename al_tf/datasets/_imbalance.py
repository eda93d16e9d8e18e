"""Thin out the classes of a training pool: a long tail, or explicit ratios."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np

from ..seeding import stream
from ._base import ImageDataset

Imbalance = float | Sequence[float] | Mapping[str, float] | Mapping[int, float]


def kept_ratios(imbalance: Imbalance, class_names: Sequence[str]) -> np.ndarray:
    """Turn what callers pass as ``imbalance`` into the fraction kept of each class.

    Parameters
    ----------
    imbalance : float, sequence of float, or mapping
        A float r is the exponential long tail of Cui et al. (2019): class k of K keeps
        ``r ** (k / (K - 1))`` of its images, so that of equally large classes the last is r
        times the first. A sequence holds one fraction for each class; a mapping from class names (or
        indices) holds the fractions of the classes to thin out, the others are kept whole.
    class_names : sequence of str
        The K classes, in the order of their labels.

    Returns
    -------
    ndarray of float, shape (K,)
        Fractions in (0, 1].

    Raises
    ------
    ValueError
        A fraction outside (0, 1], a wrong number of fractions, or an unknown class.

    References
    ----------
    Cui, Jia, Lin, Song, Belongie, "Class-balanced loss based on effective number of samples",
    CVPR 2019.
    """
    n_classes = len(class_names)
    if isinstance(imbalance, Mapping):
        ratios = np.ones(n_classes)
        for key, fraction in imbalance.items():
            ratios[_class_index(key, class_names)] = _check_fraction(fraction)
        return ratios
    if not isinstance(imbalance, (Sequence, np.ndarray)):
        exponents = np.arange(n_classes) / max(1, n_classes - 1)
        return np.asarray(_check_fraction(imbalance) ** exponents)
    if isinstance(imbalance, str) or np.shape(imbalance) != (n_classes,):
        raise ValueError(
            f"imbalance must be a float, a mapping of classes to fractions, or {n_classes} "
            f"fractions (one for each of {', '.join(class_names)}); got {imbalance!r}."
        )
    return np.array([_check_fraction(fraction) for fraction in imbalance])


def _check_fraction(fraction: Any) -> float:
    if isinstance(fraction, bool) or not isinstance(fraction, Real) or not 0 < float(fraction) <= 1:
        raise ValueError(
            f"imbalance: the fraction kept of a class must be above 0 and at most 1; got {fraction!r}."
        )
    return float(fraction)


def _class_index(key: object, class_names: Sequence[str]) -> int:
    if isinstance(key, str) and key in class_names:
        return class_names.index(key)
    if isinstance(key, Integral) and 0 <= int(key) < len(class_names):
        return int(key)
    raise ValueError(
        f"imbalance names the class {key!r}. Expected names among {', '.join(class_names)}, "
        f"or indices from 0 to {len(class_names) - 1}."
    )


def imbalance_pool(dataset: ImageDataset, imbalance: Imbalance, seed: int) -> ImageDataset:
    """Keep a fraction of each class of the training images; the test set stays as it is.

    Parameters
    ----------
    dataset : ImageDataset
        What to thin out.
    imbalance : float, sequence or mapping
        See `kept_ratios`. At least one image of a class is kept.
    seed : int
        Draws which images are kept. With the same seed, a smaller fraction of a class is a
        subset of a larger one.

    Returns
    -------
    ImageDataset
        With the kept training images in their former order.
    """
    ratios = kept_ratios(imbalance, dataset.class_names)
    kept = []
    for k, ratio in enumerate(ratios):
        members = np.flatnonzero(dataset.y_train == k)
        n_kept = min(len(members), max(1, round(ratio * len(members))))
        kept.append(stream(seed, "imbalance", k).permutation(members)[:n_kept])
    order = np.sort(np.concatenate(kept))
    listed = ", ".join(f"{ratio:.3g}" for ratio in ratios)
    return replace(
        dataset,
        x_train=dataset.x_train[order],
        y_train=dataset.y_train[order],
        source=f"{dataset.source}; pool thinned to {listed} of its classes (seed {seed})",
        fingerprint="",
    )

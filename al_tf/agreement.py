"""Agreement between sets of labels, and over how many models it is averaged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

KAPPA_WINDOW = 3
"""Number of models whose agreement with the one before is averaged before a run may stop."""


def cohen_kappa(a: np.ndarray, b: np.ndarray) -> float:
    """Return Cohen's kappa of two label vectors; 1 where both are the same constant.

    Parameters
    ----------
    a, b : ndarray, shape (n,)
        Labels of the same n ≥ 1 images, from two models or two annotators.

    Returns
    -------
    float
        At most 1; 0 is the agreement expected by chance.

    References
    ----------
    Cohen, "A coefficient of agreement for nominal scales", Educational and Psychological
    Measurement 20, 1960.

    Examples
    --------
    >>> import numpy as np
    >>> cohen_kappa(np.array([0, 1, 1, 0]), np.array([0, 1, 0, 0]))
    0.5
    """
    from sklearn.metrics import cohen_kappa_score

    if len(np.union1d(a, b)) == 1:  # chance alone agrees as well: 0 / 0
        return 1.0
    return float(cohen_kappa_score(a, b))


def pair_kappa(
    first: Sequence[str], second: Sequence[str], weights: np.ndarray | None = None
) -> float | None:
    """Return Fleiss' kappa of items with two labels each, given by any two of many annotators.

    Chance is reckoned from all labels together, since it is chance, too, who gave the first. With
    two labels an item this is Scott's pi, which is Cohen's kappa of all pairs in both orders.

    Parameters
    ----------
    first, second : sequence of str, length n
        The two labels of each item, in any order.
    weights : ndarray of shape (n,), optional
        How often each pair counts.

    Returns
    -------
    float or None
        At most 1; 0 is the agreement expected by chance. None where all labels are the same: there
        is nothing to tell apart.

    References
    ----------
    Fleiss, "Measuring nominal scale agreement among many raters", Psychological Bulletin 76, 1971.
    Scott, "Reliability of content analysis: the case of nominal scale coding", Public Opinion
    Quarterly 19, 1955.

    Examples
    --------
    >>> round(pair_kappa(["good", "good", "bad", "bad"], ["good", "good", "bad", "good"]), 3)
    0.467
    """
    from sklearn.metrics import cohen_kappa_score

    weights = np.ones(len(first)) if weights is None else weights
    pairs = [(a, b, w) for a, b, w in zip(first, second, weights, strict=True) if w > 0]
    if len({label for a, b, _ in pairs for label in (a, b)}) < 2:
        return None
    a, b, w = zip(*pairs, strict=True)
    return float(cohen_kappa_score([*a, *b], [*b, *a], sample_weight=[*w, *w]))


def pair_kappa_interval(
    first: Sequence[str],
    second: Sequence[str],
    counts: np.ndarray,
    rng: np.random.Generator,
    *,
    resamples: int = 300,
    confidence: float = 0.95,
) -> tuple[float, float] | None:
    """Return an interval of `pair_kappa`: the percentile bootstrap over items.

    Parameters
    ----------
    first, second : sequence of str, length n
        Different pairs of labels.
    counts : ndarray of int, shape (n,)
        Items with each pair.
    rng : Generator
    resamples : int
    confidence : float
        In (0, 1).

    Returns
    -------
    (low, high) or None
        None where kappa is None, or is 1: items that all agree say nothing about how many would
        not. Resamples whose labels are all the same are left out.
    """
    if pair_kappa(first, second, counts) is None or list(first) == list(second):
        return None
    drawn = rng.multinomial(counts.sum(), counts / counts.sum(), size=resamples)
    kappas = [kappa for w in drawn if (kappa := pair_kappa(first, second, w)) is not None]
    tail = (1 - confidence) / 2
    low, high = np.quantile(kappas, [tail, 1 - tail])
    return float(low), float(high)

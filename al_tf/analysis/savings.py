"""Label savings: how many labels random needs for what a strategy reaches with fewer."""

from __future__ import annotations

import numbers
from collections.abc import Iterable
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ..seeding import RandomState, check_random_state, stream
from .pairing import (
    FloatArray,
    PairedCurves,
    by_dataset,
    check_baseline,
    check_results,
    paired_curves,
)

Target = float | Literal["final"]

SAVINGS_COLUMNS = [
    "dataset",
    "metric",
    "strategy",
    "target",
    "target_value",
    "n_seeds",
    "labels_baseline",
    "labels_strategy",
    "savings",
    "low",
    "high",
    "note",
]


def labels_to_reach(n_labeled: ArrayLike, values: ArrayLike, target: ArrayLike) -> FloatArray:
    """Fewest labels at which a curve reaches a target.

    The curve is first made monotone by least squares (see `monotone`), on the assumption that
    more labels do not hurt, and then inverted, linearly between measurements. With a running
    maximum instead, a single lucky round would count as reaching the target.

    Parameters
    ----------
    n_labeled : array_like of shape (L,)
        Label counts, increasing.
    values : array_like of shape (..., L)
        The metric at these counts.
    target : array_like, broadcast against (...)
        The value to reach.

    Returns
    -------
    ndarray of shape (...)
        The first label count where the first value is enough; infinity where the target is
        never reached.

    Examples
    --------
    >>> from al_tf.analysis import labels_to_reach
    >>> float(labels_to_reach([100, 200, 400], [0.5, 0.7, 0.8], 0.6))
    150.0
    """
    x, y = np.asarray(n_labeled, dtype=float), np.asarray(values, dtype=float)
    y = monotone(y)
    goal = np.broadcast_to(np.asarray(target, dtype=float), y.shape[:-1])
    reached = y >= goal[..., None] - 1e-12  # (..., L); equal means differ by rounding
    right = reached.argmax(axis=-1)  # first measurement that is enough
    left = np.maximum(right - 1, 0)
    y_right = np.take_along_axis(y, right[..., None], axis=-1)[..., 0]
    y_left = np.take_along_axis(y, left[..., None], axis=-1)[..., 0]
    rise = np.where(right > left, y_right - y_left, 1.0)
    part = np.where(right > left, (goal - y_left) / np.where(rise > 0, rise, 1.0), 0.0)
    labels = x[left] + np.minimum(part, 1.0) * (x[right] - x[left])
    return np.where(reached.any(axis=-1), labels, np.inf)


def monotone(values: ArrayLike) -> FloatArray:
    """Return the closest curve, in least squares, that never falls (isotonic regression).

    Parameters
    ----------
    values : array_like of shape (..., L)

    Returns
    -------
    ndarray of shape (..., L)
        By the max–min formula: entry i is the largest, over starts j ≤ i, of the smallest,
        over ends k ≥ i, of the mean of entries j to k. Many curves are fitted at once.
    """
    y = np.asarray(values, dtype=float)
    fitted = np.full(y.shape, -np.inf)
    for j in range(y.shape[-1]):
        means = np.cumsum(y[..., j:], axis=-1) / np.arange(1, y.shape[-1] - j + 1)
        smallest = np.minimum.accumulate(means[..., ::-1], axis=-1)[..., ::-1]
        fitted[..., j:] = np.maximum(fitted[..., j:], smallest)
    return fitted


def label_savings(
    results: pd.DataFrame,
    metric: str = "accuracy",
    baseline: str = "random",
    targets: Iterable[Target] = ("final",),
    *,
    n_resamples: int = 2000,
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> pd.DataFrame:
    """Labels the baseline needs divided by labels the strategy needs for the same accuracy.

    Both are read from the mean curves over the paired seeds, made monotone (see
    `labels_to_reach`). The interval is a percentile bootstrap that draws whole seeds, for
    strategy and baseline together; with few seeds such an interval is too narrow, and it
    describes the savings rather than testing them. At ``"final"`` a strategy that is no better
    than the baseline either just reaches the target, with a ratio of 1 or a little above, or
    does not reach it: read the interval, not the ratio alone.

    Parameters
    ----------
    results : pandas.DataFrame
        Tidy results (see `check_results`).
    metric : str, default "accuracy"
    baseline : str, default "random"
    targets : iterable of float or "final", default ("final",)
        Values of `metric` to reach. ``"final"`` is the baseline's own final mean, computed
        again in every bootstrap draw.
    n_resamples : int, default 2000
    confidence : float, default 0.95
    random_state : None, int, Generator or RandomState, default 0
        Seeds the bootstrap. Every comparison draws its seeds from the start of the same stream,
        so that adding, dropping or renaming a strategy or a dataset moves no other interval.

    Returns
    -------
    pandas.DataFrame
        Columns `SAVINGS_COLUMNS`. ``savings`` of 1.25 means that the baseline needed a
        quarter more labels; below 1 the strategy needed more. Where one of the two never
        reaches the target within its labels, its ``labels_…``, ``savings`` and the interval
        are NaN and ``note`` names the one that did not. The lower end of the interval is 0
        where the strategy, and the upper end infinity where the baseline, does not reach the
        target in enough of the draws.

    Raises
    ------
    ValueError
        See `check_results`; or a target that is neither a number nor ``"final"``.
    UnknownNameError
        A dataset without a run of the baseline.

    Examples
    --------
    >>> import pandas as pd
    >>> from al_tf.analysis import label_savings
    >>> curves = {"random": [0.5, 0.6, 0.7, 0.8], "margin": [0.5, 0.7, 0.8, 0.85]}
    >>> results = pd.DataFrame(
    ...     [("digits", strategy, seed, 100 * (i + 1), value)
    ...      for strategy, curve in curves.items()
    ...      for seed in range(5) for i, value in enumerate(curve)],
    ...     columns=["dataset", "strategy", "seed", "n_labeled", "accuracy"])
    >>> label_savings(results)[["strategy", "labels_baseline", "labels_strategy", "savings"]].round(3)
      strategy  labels_baseline  labels_strategy  savings
    0   margin            400.0            300.0    1.333
    """
    seed = _bootstrap_seed(random_state)
    targets = list(targets)
    lines = []
    for dataset, rows in by_dataset(check_results(results, metric)):
        check_baseline(dataset, rows, baseline)
        for strategy in dict.fromkeys(rows["strategy"]):
            if strategy == baseline:
                continue
            pair = paired_curves(rows, strategy, baseline)
            if not pair.seeds:
                continue
            weights = _bootstrap_weights(seed, len(pair.seeds), n_resamples)
            for target in targets:
                line = _one_target(pair, target, weights, confidence, (strategy, baseline))
                head = {"dataset": dataset, "metric": metric, "strategy": strategy}
                lines.append({**head, "n_seeds": len(pair.seeds), **line})
    return pd.DataFrame(lines, columns=SAVINGS_COLUMNS)


def _bootstrap_seed(random_state: RandomState) -> int:
    if isinstance(random_state, numbers.Integral):
        return int(random_state)
    return int(check_random_state(random_state).integers(2**31))


def _bootstrap_weights(seed: int, n_seeds: int, n_resamples: int) -> FloatArray:
    """Share of each run seed in each draw ``(R, S)``, by a generator for this comparison alone."""
    generator = stream(seed, "label savings")
    return generator.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), size=n_resamples) / n_seeds


def _one_target(
    pair: PairedCurves,
    target: Target,
    weights: FloatArray,
    confidence: float,
    names: tuple[str, str],
) -> dict[str, object]:
    if isinstance(target, str) and target != "final":
        raise ValueError(f"A target is a value of the metric or 'final'; got {target!r}.")
    all_seeds = np.full((1, len(pair.seeds)), 1 / len(pair.seeds))
    value, ours, theirs = (float(a[0]) for a in _reach(pair, target, all_seeds))
    absent = [name for name, n in zip(names, (ours, theirs), strict=True) if np.isinf(n)]
    notes = [f"{value:.4g} not reached by {' or '.join(absent)}"] if absent else []
    low, high = _interval(*_reach(pair, target, weights)[1:], confidence)
    if absent or len(pair.seeds) == 1:
        low = high = np.nan
    return {
        "target": str(target),
        "target_value": value,
        "labels_baseline": theirs if np.isfinite(theirs) else np.nan,
        "labels_strategy": ours if np.isfinite(ours) else np.nan,
        "savings": np.nan if absent else theirs / ours,
        "low": low,
        "high": high,
        "note": "; ".join([*notes, *filter(None, [pair.note])]),
    }


def _reach(
    pair: PairedCurves, target: Target, weights: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the target value and the labels each needs, per weighting of the seeds: ``(R,)``."""
    ours, theirs = weights @ pair.first, weights @ pair.second  # (R, L)
    value = theirs[:, -1] if target == "final" else np.full(len(weights), float(target))
    return (
        value,
        labels_to_reach(pair.n_labeled, ours, value),
        labels_to_reach(pair.n_labeled, theirs, value),
    )


def _interval(ours: FloatArray, theirs: FloatArray, confidence: float) -> tuple[float, float]:
    """Return the percentile interval of theirs / ours.

    A draw in which neither reaches the target counts as 0 at the lower end, as infinity at the
    upper one.
    """
    neither = np.isinf(ours) & np.isinf(theirs)
    ratio = np.divide(theirs, ours, out=np.zeros_like(ours), where=~neither)
    tail = (1 - confidence) / 2
    low = np.quantile(np.where(neither, 0.0, ratio), tail, method="lower")
    high = np.quantile(np.where(neither, np.inf, ratio), 1 - tail, method="higher")
    return float(low), float(high)

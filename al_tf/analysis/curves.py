"""Learning curves from tidy results: interpolation, area under the budget curve, intervals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import integrate, stats

from .pairing import FloatArray, by_dataset, check_baseline, check_results, paired_curves


def aubc(n_labeled: ArrayLike, values: ArrayLike) -> FloatArray:
    """Area under the budget curve: the mean height of a learning curve.

    The trapezoid integral over the number of labels, divided by the budget range, so that it
    has the metric's own unit and does not depend on how finely the curve was measured.

    Parameters
    ----------
    n_labeled : array_like of shape (L,)
        Label counts, increasing.
    values : array_like of shape (..., L)
        The metric at these counts.

    Returns
    -------
    ndarray of shape (...)
        The metric itself where there is only one label count.

    Raises
    ------
    ValueError
        Shapes that do not fit, no label count, or label counts that do not increase.

    Examples
    --------
    >>> from al_tf.analysis import aubc
    >>> float(aubc([100, 200, 400], [0.5, 0.7, 0.8]))
    0.7
    """
    x, y = np.asarray(n_labeled, dtype=float), np.asarray(values, dtype=float)
    if x.ndim != 1 or y.shape[-1:] != x.shape or not len(x):
        raise ValueError(
            "aubc needs one value for each label count; got label counts of shape "
            f"{x.shape} and values of shape {y.shape}."
        )
    if (np.diff(x) <= 0).any():
        raise ValueError("aubc needs label counts that increase.")
    if len(x) == 1:
        return y[..., 0]
    return np.asarray(integrate.trapezoid(y, x, axis=-1) / (x[-1] - x[0]))


def value_at(n_labeled: ArrayLike, values: ArrayLike, at: float) -> FloatArray:
    """Metric at a chosen number of labels, interpolated linearly between measurements.

    Parameters
    ----------
    n_labeled : array_like of shape (L,)
        Label counts, increasing.
    values : array_like of shape (..., L)
        The metric at these counts.
    at : float
        The number of labels.

    Returns
    -------
    ndarray of shape (...)

    Raises
    ------
    ValueError
        `at` lies outside the label counts; curves are not extrapolated.

    Examples
    --------
    >>> from al_tf.analysis import value_at
    >>> value_at([50, 100, 200], [[0.5, 0.6, 0.8], [0.4, 0.6, 0.7]], at=150).round(3).tolist()
    [0.7, 0.65]
    """
    x, y = np.asarray(n_labeled, dtype=float), np.asarray(values, dtype=float)
    if not x[0] <= at <= x[-1]:
        raise ValueError(
            f"{at:g} labels lie outside the measured range of {x[0]:g} to {x[-1]:g}; "
            "curves are not extrapolated."
        )
    right = int(np.searchsorted(x, at))
    if x[right] == at:
        return y[..., right]
    weight = (at - x[right - 1]) / (x[right] - x[right - 1])
    return y[..., right - 1] * (1 - weight) + y[..., right] * weight


def mean_interval(
    values: ArrayLike, confidence: float = 0.95
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the mean over the last axis and its t-interval.

    Parameters
    ----------
    values : array_like of shape (..., n)
    confidence : float, default 0.95

    Returns
    -------
    mean, low, high : ndarray of shape (...)
        ``low`` and ``high`` are NaN where there is only one value.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence lies between 0 and 1; got {confidence!r}.")
    y = np.asarray(values, dtype=float)
    n = y.shape[-1]
    mean = y.mean(axis=-1)
    if n < 2:
        return mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    half = stats.t.ppf((1 + confidence) / 2, n - 1) * y.std(axis=-1, ddof=1) / np.sqrt(n)
    return mean, mean - half, mean + half


def summary_table(
    results: pd.DataFrame, metric: str = "accuracy", at: Sequence[float] = ()
) -> pd.DataFrame:
    """Area under the budget curve, final value and values at chosen label counts.

    Parameters
    ----------
    results : pandas.DataFrame
        Tidy results (see `check_results`).
    metric : str, default "accuracy"
    at : sequence of float
        Label counts to report, each inside every run's range.

    Returns
    -------
    pandas.DataFrame
        ``dataset, strategy, metric, measure, n_seeds, mean, low, high``: mean over seeds
        with a 95 % t-interval; ``measure`` is ``"aubc"``, ``"final"`` or ``"at N"``. Every
        run is measured over its own range.

    Raises
    ------
    ValueError
        See `check_results`; or a label count outside the range of a run.

    Examples
    --------
    >>> import pandas as pd
    >>> from al_tf.analysis import summary_table
    >>> results = pd.DataFrame({
    ...     "dataset": "digits", "strategy": "margin", "seed": [0, 0, 1, 1],
    ...     "n_labeled": [50, 100, 50, 100], "accuracy": [0.5, 0.75, 0.25, 0.5]})
    >>> summary_table(results, at=[80])[["measure", "n_seeds", "mean"]]
      measure  n_seeds   mean
    0    aubc        2  0.500
    1   final        2  0.625
    2   at 80        2  0.525
    """
    rows = []
    table = check_results(results, metric)
    for (dataset, strategy), runs in table.groupby(["dataset", "strategy"], sort=False):
        curves = [(r["n_labeled"].to_numpy(float), r[metric]) for _, r in runs.groupby("seed")]
        measures = {
            "aubc": [aubc(x, y) for x, y in curves],
            "final": [y.iloc[-1] for _, y in curves],
            **{f"at {a:g}": [value_at(x, y, a) for x, y in curves] for a in at},
        }
        for name, values in measures.items():
            mean, low, high = map(float, mean_interval(values))
            rows.append((dataset, strategy, metric, name, len(curves), mean, low, high))
    columns = ["dataset", "strategy", "metric", "measure", "n_seeds", "mean", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def learning_curve_table(
    results: pd.DataFrame, metrics: Iterable[str] = ("accuracy",), confidence: float = 0.95
) -> pd.DataFrame:
    """Mean learning curves with a t-interval over seeds, ready to draw.

    Parameters
    ----------
    results : pandas.DataFrame
        Tidy results (see `check_results`).
    metrics : iterable of str
    confidence : float, default 0.95

    Returns
    -------
    pandas.DataFrame
        ``dataset, metric, strategy, n_labeled, n_seeds, mean, low, high``; ``low`` and
        ``high`` are NaN where a single seed was measured.

    Raises
    ------
    ValueError
        See `check_results`.

    Examples
    --------
    >>> import pandas as pd
    >>> from al_tf.analysis import learning_curve_table
    >>> results = pd.DataFrame({
    ...     "dataset": "digits", "strategy": "margin", "seed": [0, 0, 1, 1],
    ...     "n_labeled": [50, 100, 50, 100], "accuracy": [0.5, 0.75, 0.25, 0.5]})
    >>> learning_curve_table(results)[["n_labeled", "n_seeds", "mean"]]
       n_labeled  n_seeds   mean
    0         50        2  0.375
    1        100        2  0.625
    """
    parts = []
    for metric in metrics:
        table = check_results(results, metric)
        parts.append(_mean_by(table, ["dataset", "strategy", "n_labeled"], metric, confidence))
    return pd.concat(parts, ignore_index=True)[
        ["dataset", "metric", "strategy", "n_labeled", "n_seeds", "mean", "low", "high"]
    ]


def difference_curve_table(
    results: pd.DataFrame,
    metric: str = "accuracy",
    baseline: str = "random",
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Paired difference to the baseline at every label count, with a t-interval.

    The intervals are pointwise: they describe the curve; the test is `verdict_table`.

    Parameters
    ----------
    results : pandas.DataFrame
        Tidy results (see `check_results`).
    metric : str, default "accuracy"
    baseline : str, default "random"
    confidence : float, default 0.95

    Returns
    -------
    pandas.DataFrame
        ``dataset, metric, strategy, n_labeled, n_seeds, mean, low, high``.

    Raises
    ------
    ValueError
        See `check_results`; or no strategy shares a seed with the baseline.
    UnknownNameError
        A dataset without a run of the baseline.

    Examples
    --------
    >>> import pandas as pd
    >>> from al_tf.analysis import difference_curve_table
    >>> results = pd.DataFrame({
    ...     "dataset": "digits", "strategy": ["random"] * 4 + ["margin"] * 4,
    ...     "seed": [0, 0, 1, 1] * 2, "n_labeled": [50, 100] * 4,
    ...     "accuracy": [0.5, 0.7, 0.4, 0.6, 0.5, 0.8, 0.4, 0.7]})
    >>> difference_curve_table(results)[["strategy", "n_labeled", "n_seeds", "mean"]].round(3)
      strategy  n_labeled  n_seeds  mean
    0   margin       50.0        2   0.0
    1   margin      100.0        2   0.1
    """
    parts = []
    for dataset, rows in by_dataset(check_results(results, metric)):
        check_baseline(dataset, rows, baseline)
        for strategy in dict.fromkeys(rows["strategy"]):
            if strategy == baseline:
                continue
            pair = paired_curves(rows, strategy, baseline)
            if not pair.seeds:
                continue
            mean, low, high = mean_interval((pair.first - pair.second).T, confidence)
            parts.append(
                pd.DataFrame(
                    {
                        "dataset": dataset,
                        "metric": metric,
                        "strategy": strategy,
                        "n_labeled": pair.n_labeled,
                        "n_seeds": len(pair.seeds),
                        "mean": mean,
                        "low": low,
                        "high": high,
                    }
                )
            )
    if not parts:
        raise ValueError(
            f"No strategy shares a seed with the baseline {baseline!r}: there is no difference "
            "to show."
        )
    return pd.concat(parts, ignore_index=True)


def _mean_by(table: pd.DataFrame, keys: list[str], value: str, confidence: float) -> pd.DataFrame:
    """Return the mean and t-interval of `value` in each group, in order of appearance."""
    rows = []
    for key, group in table.groupby(keys, sort=False):
        mean, low, high = map(float, mean_interval(group[value], confidence))
        rows.append((*key, value, len(group), mean, low, high))
    return pd.DataFrame(rows, columns=[*keys, "metric", "n_seeds", "mean", "low", "high"])

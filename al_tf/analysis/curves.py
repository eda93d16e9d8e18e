"""Learning curves from tidy results: checks, interpolation, area under the budget curve."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import integrate, stats

from ..errors import UnknownNameError

RUN = ["dataset", "strategy", "seed"]
FloatArray = NDArray[np.float64]


def check_results(results: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return the columns an analysis of `metric` needs, checked, each run in label order.

    Parameters
    ----------
    results : pandas.DataFrame
        One row per round, with ``dataset, strategy, seed, n_labeled`` and `metric`.
    metric : str
        Name of the column to analyse (``"accuracy"``, ``"f1_macro"``).

    Returns
    -------
    pandas.DataFrame
        ``dataset, strategy, seed, n_labeled`` and `metric`, by rising ``n_labeled``; datasets
        and strategies keep the order of the results.

    Raises
    ------
    ValueError
        No rows, a missing column, a value that is not finite, or a run with two rows at one
        number of labels.
    """
    columns = [*RUN, "n_labeled", metric]
    missing = [name for name in columns if name not in results.columns]
    if missing:
        raise ValueError(
            f"The results lack the column(s) {', '.join(missing)}; "
            f"they have: {', '.join(map(str, results.columns))}."
        )
    if results.empty:
        raise ValueError("The results have no rows; run the experiment first.")
    table = results[columns].sort_values("n_labeled", kind="stable", ignore_index=True)
    bad = ~np.isfinite(table[["n_labeled", metric]].to_numpy(dtype=float)).all(axis=1)
    if bad.any():
        first = table[bad].iloc[0]
        raise ValueError(
            f"{int(bad.sum())} row(s) have a {metric} or n_labeled that is not a finite number; "
            f"the first is {first.strategy}, seed {first.seed}, {first.n_labeled} labels, in "
            f"{first.dataset}. Remove these rows or run them again."
        )
    twice = table.duplicated([*RUN, "n_labeled"])
    if twice.any():
        first = table[twice].iloc[0]
        raise ValueError(
            f"{first.dataset}, {first.strategy}, seed {first.seed} has more than one row at "
            f"{first.n_labeled} labels. Two experiments on one dataset need different names in "
            "the dataset column."
        )
    return table


def by_dataset(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield ``(dataset, its rows)`` in the order of first appearance."""
    for dataset, rows in table.groupby("dataset", sort=False):
        yield str(dataset), rows


def check_baseline(dataset: str, rows: pd.DataFrame, baseline: str) -> None:
    """Raise `UnknownNameError` where `baseline` was not run on this dataset."""
    strategies = list(dict.fromkeys(rows["strategy"]))
    if baseline not in strategies:
        raise UnknownNameError(
            f"No run of the baseline {baseline!r} in {dataset!r}, so there is nothing to compare "
            f"with. Strategies there: {', '.join(strategies)}."
        )


@dataclass(frozen=True)
class PairedCurves:
    """The curves of two strategies over the seeds and the label counts that both have.

    Attributes
    ----------
    seeds : tuple of int
        The shared seeds, ``S`` of them (possibly none).
    n_labeled : ndarray of shape (L,)
        Every label count at which any of these runs was measured, inside the common range.
        Between its own measurements a run is interpolated linearly.
    first, second : ndarray of shape (S, L)
        The metric of either strategy, one row per seed.
    note : str
        A sentence about runs or label counts that were left out; empty when nothing was.
    """

    seeds: tuple[int, ...]
    n_labeled: FloatArray
    first: FloatArray
    second: FloatArray
    note: str = ""


def paired_curves(rows: pd.DataFrame, first: str, second: str) -> PairedCurves:
    """Match two strategies of one dataset seed by seed on their common label range.

    Parameters
    ----------
    rows : pandas.DataFrame
        One dataset's rows, as `check_results` returns them.
    first, second : str
        The two strategies.

    Returns
    -------
    PairedCurves
        Seeds that only one of the two has are left out; runs that end early shorten the
        range for all seeds. ``note`` reports both.

    Raises
    ------
    ValueError
        The runs have no label count in common.
    """
    metric = rows.columns[-1]
    runs = {
        name: {int(run["seed"].iloc[0]): run for _, run in own.groupby("seed")}
        for name, own in ((name, rows[rows["strategy"] == name]) for name in (first, second))
    }
    seeds = sorted(runs[first].keys() & runs[second].keys())
    unpaired = sorted(runs[first].keys() ^ runs[second].keys())
    notes = []
    if unpaired:
        notes.append(f"seeds without a partner left out: {', '.join(map(str, unpaired))}")
    if not seeds:
        empty = np.empty((0, 0))
        return PairedCurves((), np.empty(0), empty, empty, "; ".join(notes))
    members = [runs[name][seed] for name in (first, second) for seed in seeds]
    starts = np.array([run["n_labeled"].iloc[0] for run in members], dtype=float)
    ends = np.array([run["n_labeled"].iloc[-1] for run in members], dtype=float)
    start, end = starts.max(), ends.min()
    if start > end:
        raise ValueError(
            f"The runs of {first} and {second} share no label count: some start at {start:g} "
            f"labels, others end at {end:g}."
        )
    if starts.min() < start or ends.max() > end:
        notes.append(f"compared over the common range of {start:g} to {end:g} labels")
    grid = np.unique(np.concatenate([run["n_labeled"].to_numpy(float) for run in members]))
    grid = grid[(grid >= start) & (grid <= end)]
    values = np.array([np.interp(grid, run["n_labeled"], run[metric]) for run in members])
    n = len(seeds)
    return PairedCurves(tuple(seeds), grid, values[:n], values[n:], "; ".join(notes))


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

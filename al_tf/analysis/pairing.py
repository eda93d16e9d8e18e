"""Tidy results checked, and two strategies matched seed by seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

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
        Name of the column to analyse (``"accuracy"``, ``"f1_macro"``, ``"average_precision"``).

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

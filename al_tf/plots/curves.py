"""Curves over the number of labels: the metric itself, and its difference to random."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .looks import strategy_look
from .style import (
    caption,
    check_columns,
    finite,
    in_order,
    label_outside,
    metric_name,
    panels,
    strategy_legend,
    style,
)

MOST_TOGETHER = 8
"""Most strategies in one panel; with more, each gets a panel of its own, beside the baseline."""

_COLUMNS = ["dataset", "metric", "strategy", "n_labeled", "n_seeds", "mean", "low", "high"]


class _Panel(NamedTuple):
    ax: Axes
    rows: pd.DataFrame
    metric: str
    strategies: list[str]


def learning_curves(table: pd.DataFrame, baseline: str = "random") -> Figure:
    """Draw mean learning curves with their interval over seeds.

    Parameters
    ----------
    table : pandas.DataFrame
        From `al_tf.analysis.learning_curve_table`.
    baseline : str, default "random"
        Drawn dashed, first in the legend.

    Returns
    -------
    Figure
        One panel per dataset and metric. With more than `MOST_TOGETHER` strategies, one panel
        per strategy, beside the baseline.

    Raises
    ------
    ValueError
        A table of another kind, or without rows.

    Examples
    --------
    >>> import pandas as pd
    >>> from al_tf import analysis, plots
    >>> results = pd.DataFrame(
    ...     [("digits", s, seed, n, 0.5 + gain + n / 1000 + seed / 100)
    ...      for s, gain in [("random", 0.0), ("margin", 0.05)]
    ...      for seed in range(3) for n in (100, 200, 300)],
    ...     columns=["dataset", "strategy", "seed", "n_labeled", "accuracy"])
    >>> fig = plots.learning_curves(analysis.learning_curve_table(results))
    >>> fig.axes[0].get_ylabel()
    'accuracy'
    """
    check_columns(table, _COLUMNS, "learning_curve_table")
    names = in_order(table["strategy"], baseline)
    with style():
        fig, cells = _grid(table, [name for name in names if name != baseline] or names)
        for cell in cells:
            for name in dict.fromkeys([baseline, *cell.strategies]):
                _line_with_band(cell.ax, cell.rows, name, dashed=name == baseline)
            cell.ax.set(xlabel="labeled images", ylabel=metric_name(cell.metric))
        _finish(fig, cells, names, baseline, "Mean", table)
    return fig


def difference_curves(table: pd.DataFrame, baseline: str = "random") -> Figure:
    """Draw each strategy's paired difference to the baseline with its interval.

    Parameters
    ----------
    table : pandas.DataFrame
        From `al_tf.analysis.difference_curve_table`.
    baseline : str, default "random"
        Named on the zero line.

    Returns
    -------
    Figure
        Panels as in `learning_curves`.

    Raises
    ------
    ValueError
        A table of another kind, or without rows.

    Examples
    --------
    >>> import pandas as pd
    >>> from al_tf import analysis, plots
    >>> results = pd.DataFrame(
    ...     [("digits", s, seed, n, 0.5 + gain * seed + n / 1000)
    ...      for s, gain in [("random", 0.0), ("margin", 0.05)]
    ...      for seed in range(3) for n in (100, 200, 300)],
    ...     columns=["dataset", "strategy", "seed", "n_labeled", "accuracy"])
    >>> fig = plots.difference_curves(analysis.difference_curve_table(results))
    >>> fig.axes[0].get_xlabel()
    'labeled images'
    """
    check_columns(table, _COLUMNS, "difference_curve_table")
    names = in_order(table["strategy"], baseline)
    with style():
        fig, cells = _grid(table, names)
        for cell in cells:
            color = strategy_look(baseline).color
            cell.ax.axhline(0, color=color, linewidth=1.2, linestyle="--", label=baseline)
            for name in cell.strategies:
                _line_with_band(cell.ax, cell.rows, name)
            cell.ax.set(xlabel="labeled images", ylabel=f"Δ {metric_name(cell.metric)}")
        what = f"Mean paired difference to {baseline}"
        _finish(fig, cells, [baseline, *names], baseline, what, table)
    return fig


def _grid(table: pd.DataFrame, names: list[str]) -> tuple[Figure, list[_Panel]]:
    """Make the panels, one per dataset and metric, and per strategy where there are many."""
    datasets, metrics = in_order(table["dataset"]), in_order(table["metric"], "accuracy")
    apart = len(names) >= MOST_TOGETHER
    shown = [[name] for name in names] if apart else [names]
    keys = [(d, m, strategies) for d in datasets for m in metrics for strategies in shown]
    one_kind = len(datasets) == len(metrics) == 1
    n_columns = min(2, len(keys))
    if apart:
        n_columns = min((4, 3), key=lambda n: -len(shown) % n)  # whichever leaves fewer gaps
    titles: list[str | None] = []
    for dataset, metric, strategies in keys:
        parts = [dataset] if len(datasets) > 1 or not apart else []
        parts += [metric_name(metric)] if len(metrics) > 1 and not apart else []
        parts += strategies if apart else []
        titles.append(": ".join(parts))
        if apart and strategies == shown[-1]:
            titles += [None] * (-len(shown) % n_columns)
    fig, axes = panels(
        titles,
        height=1.9 if apart else 3.4,
        n_columns=n_columns,
        sharex=apart and one_kind,
        sharey=apart and one_kind,
    )
    cells = []
    for ax, (dataset, metric, strategies) in zip(axes, keys, strict=True):
        rows = table[(table["dataset"] == dataset) & (table["metric"] == metric)]
        cells.append(_Panel(ax, rows, metric, strategies))
    return fig, cells


def _line_with_band(ax: Axes, rows: pd.DataFrame, name: str, dashed: bool = False) -> None:
    rows = rows[rows["strategy"] == name]
    if rows.empty:
        return
    look = strategy_look(name)
    sns.lineplot(
        rows,
        x="n_labeled",
        y="mean",
        ax=ax,
        label=name,
        color=look.color,
        marker=look.marker,
        markeredgewidth=0.4,
        linestyle="--" if dashed else "-",
        estimator=None,
        errorbar=None,
        legend=False,
    )
    known = rows[finite(rows["low"])]
    band = (known["n_labeled"], known["low"], known["high"])
    ax.fill_between(*band, color=look.color, alpha=0.13, linewidth=0)


def _finish(
    fig: Figure,
    cells: list[_Panel],
    names: list[str],
    baseline: str,
    what: str,
    table: pd.DataFrame,
) -> None:
    axes = [cell.ax for cell in cells]
    apart = len(cells[0].strategies) < len(names) - 1  # then the titles name the strategies
    one_kind = table["dataset"].nunique() == table["metric"].nunique() == 1
    if one_kind:
        label_outside(axes, ticks=not apart)
    strategy_legend(fig, axes, [baseline] if apart else names)
    few, many = int(table["n_seeds"].min()), int(table["n_seeds"].max())
    seeds = f"{few}" if few == many else f"{few} to {many}"
    if many == 1:
        caption(fig, f"{what}, one seed: no interval")
    else:
        caption(fig, f"{what} over {seeds} seeds; band: 95 % t-interval")

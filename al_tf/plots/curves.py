"""Curves over the number of labels: the metric itself, and its difference to random."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .style import (
    check_columns,
    finite,
    in_order,
    metric_name,
    panels,
    strategy_legend,
    strategy_look,
    style,
)

_COLUMNS = ["dataset", "metric", "strategy", "n_labeled", "n_seeds", "mean", "low", "high"]


def learning_curves(table: pd.DataFrame) -> Figure:
    """Draw mean learning curves with their interval over seeds.

    Parameters
    ----------
    table : pandas.DataFrame
        From `al_tf.analysis.learning_curve_table`.

    Returns
    -------
    Figure
        A panel for each dataset (rows) and metric (columns); with one metric, for each
        dataset.
    """
    check_columns(table, _COLUMNS, "learning_curve_table")
    names = in_order(table["strategy"])
    with style():
        fig, cells = _grid(table)
        for ax, rows, metric in cells:
            for name in names:
                _line_with_band(ax, rows[rows["strategy"] == name], name)
            ax.set(xlabel="labelled images", ylabel=metric_name(metric))
        strategy_legend(fig, [ax for ax, *_ in cells], names)
        fig.suptitle(_caption("Mean", table), fontsize=9, color="#444444")
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
        A panel for each dataset and metric, as `learning_curves`.
    """
    check_columns(table, _COLUMNS, "difference_curve_table")
    names = in_order(table["strategy"])
    with style():
        fig, cells = _grid(table)
        for ax, rows, metric in cells:
            look = strategy_look(baseline)
            ax.axhline(0, color=look.color, linewidth=1.2, linestyle="--", label=baseline)
            for name in names:
                _line_with_band(ax, rows[rows["strategy"] == name], name)
            ax.set(xlabel="labelled images", ylabel=f"{metric_name(metric)} less {baseline}'s")
        strategy_legend(fig, [ax for ax, *_ in cells], [baseline, *names])
        fig.suptitle(_caption("Mean paired difference", table), fontsize=9, color="#444444")
    return fig


def _grid(table: pd.DataFrame) -> tuple[Figure, list[tuple[Axes, pd.DataFrame, str]]]:
    datasets, metrics = in_order(table["dataset"]), in_order(table["metric"], "accuracy")
    keys = [(dataset, metric) for dataset in datasets for metric in metrics]
    titles = [f"{d}: {metric_name(m)}" if len(metrics) > 1 else d for d, m in keys]
    n_columns = len(metrics) if len(metrics) > 1 else min(len(datasets), 2)
    fig, axes = panels(titles, height=3.4, n_columns=n_columns)
    cells = []
    for ax, (dataset, metric) in zip(axes, keys, strict=True):
        rows = table[(table["dataset"] == dataset) & (table["metric"] == metric)]
        cells.append((ax, rows, metric))
    return fig, cells


def _line_with_band(ax: Axes, rows: pd.DataFrame, name: str) -> None:
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
        linestyle="--" if name == "random" else "-",
        estimator=None,
        errorbar=None,
        legend=False,
    )
    known = rows[finite(rows["low"])]
    ax.fill_between(
        known["n_labeled"],
        known["low"],
        known["high"],
        color=look.color,
        alpha=0.13,
        linewidth=0,
    )


def _caption(what: str, table: pd.DataFrame) -> str:
    few, many = int(table["n_seeds"].min()), int(table["n_seeds"].max())
    seeds = f"{few}" if few == many else f"{few}–{many}"
    if many == 1:
        return f"{what} of 1 seed, no interval"
    return f"{what} over {seeds} seeds; band: 95 % t-interval"

"""All strategies of a study in one picture: forest plot, label savings, penalty matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .looks import strategy_look
from .style import (
    WIDTH,
    NotebookFigure,
    caption,
    check_columns,
    finite,
    in_order,
    metric_name,
    panels,
    style,
)

if TYPE_CHECKING:
    from ..analysis import PenaltyMatrix

_ROW = 0.27
"""Inches per strategy."""


def forest_plot(table: pd.DataFrame, baseline: str = "random") -> Figure:
    """Draw the differences to the baseline with their intervals, and the verdict beside them.

    Parameters
    ----------
    table : pandas.DataFrame
        From `al_tf.analysis.verdict_table`, of one metric and measure.
    baseline : str, default "random"

    Returns
    -------
    Figure
        One panel per dataset, the best strategy at the top.

    Raises
    ------
    ValueError
        A table of another kind, or one that compares no strategy with the baseline.

    Examples
    --------
    >>> import pandas as pd
    >>> from al_tf import analysis, plots
    >>> results = pd.DataFrame(
    ...     [("digits", s, seed, n, 0.5 + gain * (1 + seed % 2) + n / 1000)
    ...      for s, gain in [("random", 0.0), ("margin", 0.05)]
    ...      for seed in range(6) for n in (100, 200)],
    ...     columns=["dataset", "strategy", "seed", "n_labeled", "accuracy"])
    >>> fig = plots.forest_plot(analysis.verdict_table(results))
    >>> [text.get_text() for text in fig.axes[0].texts]
    ['better than random']
    """
    columns = ["dataset", "metric", "measure", "strategy", "difference", "low", "high", "verdict"]
    check_columns(table, columns, "verdict_table")
    rows = table[finite(table["difference"])]
    if rows.empty:
        raise ValueError(f"The table compares no strategy with {baseline!r}: nothing to draw.")
    datasets = in_order(rows["dataset"])
    tallest = int(rows["dataset"].value_counts().max())
    metric, measure = rows["metric"].iloc[0], rows["measure"].iloc[0]
    what = f"{measure.upper() if measure == 'aubc' else measure} ({metric_name(metric)})"
    with style():
        fig, axes = panels(datasets, height=1.0 + _ROW * tallest, n_columns=1, sharex=True)
        for ax, dataset in zip(axes, datasets, strict=True):
            here = rows[rows["dataset"] == dataset].sort_values("difference")
            _intervals(ax, here, "difference")
            ax.axvline(0, color=strategy_look(baseline).color, linewidth=1.2, linestyle="--")
            for y, words in enumerate(here["verdict"]):
                _beside(ax, y, words)
        axes[-1].set_xlabel(f"difference in {what} to {baseline}")
        caption(fig, "Mean paired difference and its 95 % t-interval; verdict after Holm")
    return fig


def savings_plot(table: pd.DataFrame, baseline: str = "random") -> Figure:
    """Draw label savings with their bootstrap intervals.

    Parameters
    ----------
    table : pandas.DataFrame
        From `al_tf.analysis.label_savings`.
    baseline : str, default "random"

    Returns
    -------
    Figure
        One panel per dataset and target. Where a target was not reached, the row says so; an
        interval without an upper end runs to the edge and ends in an arrow head.

    Raises
    ------
    ValueError
        A table of another kind, or without rows.

    Examples
    --------
    >>> import pandas as pd
    >>> from al_tf import analysis, plots
    >>> curves = {"random": [0.5, 0.6, 0.7, 0.8], "margin": [0.5, 0.7, 0.8, 0.85]}
    >>> results = pd.DataFrame(
    ...     [("digits", strategy, seed, 100 * (i + 1), value)
    ...      for strategy, curve in curves.items()
    ...      for seed in range(5) for i, value in enumerate(curve)],
    ...     columns=["dataset", "strategy", "seed", "n_labeled", "accuracy"])
    >>> fig = plots.savings_plot(analysis.label_savings(results, n_resamples=100))
    >>> len(fig.axes)
    1
    """
    columns = ["dataset", "metric", "strategy", "target", "target_value", "savings", "low", "high"]
    check_columns(table, [*columns, "note"], "label_savings")
    keys = list(dict.fromkeys(zip(table["dataset"], table["target"], strict=True)))
    groups = [table[(table["dataset"] == d) & (table["target"] == t)] for d, t in keys]
    titles = [_savings_title(group, baseline) for group in groups]
    tallest = max(map(len, groups))
    numbers = table[["savings", "low", "high"]].to_numpy(dtype=float)
    edge = 1.08 * max(1.5, float(np.max(numbers[np.isfinite(numbers)], initial=1.5)))
    with style():
        fig, axes = panels(titles, height=1.0 + _ROW * tallest, n_columns=1, sharex=True)
        for ax, group in zip(axes, groups, strict=True):
            here = group.sort_values("savings", na_position="first")
            endless = np.isinf(here["high"].to_numpy(dtype=float))
            _intervals(ax, here.assign(high=here["high"].clip(upper=edge)), "savings")
            for y, (name, arrow, ratio) in enumerate(
                zip(here["strategy"], endless, here["savings"], strict=True)
            ):
                if arrow:
                    color = strategy_look(name).color
                    ax.plot(edge, y, marker=">", color=color, clip_on=False, linestyle="none")
                _beside(ax, y, f"{ratio:.2f} ×" if np.isfinite(ratio) else "not reached")
            ax.axvline(1, color=strategy_look(baseline).color, linewidth=1.2, linestyle="--")
            ax.set_xlim(0, edge)
        axes[-1].set_xlabel(f"labels {baseline} needs / labels the strategy needs")
        caption(
            fig,
            "Right of 1: fewer labels for the same result. 95 % bootstrap interval,\n"
            "from 0 where the target was not reached in every draw",
        )
    return fig


def penalty_heatmap(matrix: PenaltyMatrix) -> Figure:
    """Draw the pairwise penalty matrix with the mean of each column below it.

    Parameters
    ----------
    matrix : PenaltyMatrix
        From `al_tf.analysis.penalty_matrix`: how often the row beats the column.

    Returns
    -------
    Figure
        Two axes: the matrix, and the column means (lower is better).

    Examples
    --------
    >>> import pandas as pd
    >>> from al_tf import analysis, plots
    >>> results = pd.DataFrame(
    ...     [("digits", s, seed, n, 0.5 + gain * (1 + seed % 2) + n / 1000)
    ...      for s, gain in [("random", 0.0), ("margin", 0.05)]
    ...      for seed in range(6) for n in (100, 200)],
    ...     columns=["dataset", "strategy", "seed", "n_labeled", "accuracy"])
    >>> fig = plots.penalty_heatmap(analysis.penalty_matrix(results))
    >>> len(fig.axes)
    2
    """
    names = list(matrix.table.index)
    size = (min(WIDTH, max(5.5, 3.0 + 0.5 * len(names))), 1.8 + 0.3 * len(names))
    top = max(len(matrix.settings), 1)
    means = matrix.column_mean.to_frame("mean").T
    with style():
        fig = NotebookFigure(figsize=size, layout="constrained")
        above, below = fig.subplots(2, 1, height_ratios=[len(names), 1])
        for ax, part in ((above, matrix.table), (below, means)):
            sns.heatmap(
                part,
                annot=part.map(lambda value: f"{value:.2f}".rstrip("0").rstrip(".")),
                fmt="",
                annot_kws={"size": 9 if len(names) <= 8 else 7},
                mask=np.eye(len(names), dtype=bool) if ax is above else None,
                cmap="Blues",
                vmin=0,
                vmax=top,
                cbar=False,
                linewidths=0.6,
                ax=ax,
            )
            ax.grid(False)
            ax.tick_params(length=0)
        above.set_xticks([])
        above.set_yticks(np.arange(len(names)) + 0.5, names, rotation=0)
        below.set_yticks([0.5], ["mean: how often beaten"], rotation=0)
        below.set_xticks(np.arange(len(names)) + 0.5, names, rotation=45, ha="right")
        settings = "1 setting" if top == 1 else f"{top} settings"
        caption(fig, f"How often the row beats the column, {settings}; a low mean is good")
    return fig


def _intervals(ax: Axes, rows: pd.DataFrame, value: str) -> None:
    """Draw one point with its interval per row of the table, the first at the bottom."""
    numbers = rows[["low", "high", value]].to_numpy(dtype=float)
    for y, (name, (low, high, point)) in enumerate(zip(rows["strategy"], numbers, strict=True)):
        look = strategy_look(name)
        ax.plot([low, high], [y, y], color=look.color, linewidth=2.2, alpha=0.55)
        ax.plot(point, y, marker=look.marker, color=look.color, markersize=7, linestyle="none")
    ax.set_yticks(range(len(rows)), list(rows["strategy"]))
    ax.set_ylim(-0.6, len(rows) - 0.4)
    ax.grid(False, axis="y")


def _beside(ax: Axes, y: float, words: str) -> None:
    """Write words to the right of a panel, at height `y`."""
    ax.annotate(
        words,
        xy=(1.0, y),
        xycoords=("axes fraction", "data"),
        xytext=(8, 0),
        textcoords="offset points",
        va="center",
        fontsize=9,
    )


def _savings_title(group: pd.DataFrame, baseline: str) -> str:
    first = group.iloc[0]
    goal = f"{metric_name(first['metric'])} {first['target_value']:.3f}"
    if first["target"] == "final":
        goal += f", where {baseline} ends"
    return f"{first['dataset']}: {goal}"

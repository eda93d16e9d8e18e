"""Labeling by people: accuracy over minutes of work, and the price of the model's mistakes."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.figure import Figure

from .looks import FALSE_ALARMS, MISSED_DEFECTS, SLATE
from .style import caption, check_columns, panels, style


def labeling_curves(table: pd.DataFrame) -> Figure:
    """Draw the accuracy estimated after each training, over labels and over minutes of work.

    Parameters
    ----------
    table : pandas.DataFrame
        From `LabelingSession.curve`.

    Returns
    -------
    Figure
        Two panels that share their vertical axis.

    Raises
    ------
    ValueError
        A table of another kind, or without rows.

    Examples
    --------
    >>> import pandas as pd
    >>> from al_tf import plots
    >>> table = pd.DataFrame(
    ...     {"labels": [50, 100], "minutes": [2.5, 5.5], "accuracy": [0.7, 0.8],
    ...      "low": [0.6, 0.7], "high": [0.8, 0.9], "audited": [20, 40]})
    >>> len(plots.labeling_curves(table).axes)
    2
    """
    check_columns(
        table, ["labels", "minutes", "accuracy", "low", "high", "audited"], "LabelingSession.curve"
    )
    with style():
        fig, axes = panels(["over labels", "over minutes"], height=3.0, sharey=True)
        for ax, column, xlabel in zip(
            axes, ("labels", "minutes"), ("labels trained on", "minutes of labeling"), strict=True
        ):
            ax.fill_between(table[column], table["low"], table["high"], color=SLATE, alpha=0.2)
            ax.plot(table[column], table["accuracy"], color=SLATE, marker="o")
            ax.set(xlabel=xlabel, ylabel="accuracy on random images", ylim=(0, 1.02))
        last = int(table["audited"].iloc[-1])
        caption(fig, f"Estimate and exact 95 % interval; {last} random images at the end.")
    return fig


def cost_curve(table: pd.DataFrame, fair_threshold: float | None = None) -> Figure:
    """Draw the cost of each rejection threshold, and the two kinds of mistakes behind it.

    Parameters
    ----------
    table : pandas.DataFrame
        From `al_tf.labeling.costs.cost_table`.
    fair_threshold : float, optional
        Marked by a dashed line; from `al_tf.labeling.costs.fair_threshold`.

    Returns
    -------
    Figure
        Cost per image on the left, missed defects and false alarms on the right.

    Raises
    ------
    ValueError
        A table of another kind, or without rows.

    Examples
    --------
    >>> import numpy as np
    >>> from al_tf import plots
    >>> from al_tf.labeling.costs import cost_table
    >>> table = cost_table(
    ...     np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.3, 0.9]), missed=10, false_alarm=1)
    >>> len(plots.cost_curve(table).axes)
    2
    """
    columns = ["threshold", "missed", "false_alarms", "cost_per_image"]
    check_columns(table, columns, "al_tf.labeling.costs.cost_table")
    rows = table[table["threshold"] < math.inf]
    with style():
        fig, (left, right) = panels(["cost", "mistakes"], height=3.0)
        left.plot(rows["threshold"], rows["cost_per_image"], drawstyle="steps-pre", color="black")
        left.set(xlabel="reject from this probability up", ylabel="cost per image")
        for column, label, color in (
            ("missed", "missed defects", MISSED_DEFECTS),
            ("false_alarms", "false alarms", FALSE_ALARMS),
        ):
            right.plot(
                rows["threshold"], rows[column], drawstyle="steps-pre", color=color, label=label
            )
        right.set(xlabel="reject from this probability up", ylabel="images")
        right.legend()
        if fair_threshold is not None:
            left.axvline(fair_threshold, color="grey", linestyle="--")
            caption(fig, "Dashed: the cheapest threshold if probabilities are calibrated.")
    return fig

"""What happened in the rounds: the classes that were queried, and the seconds each phase took."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .looks import PHASES
from .style import check_columns, in_order, panels, style

_PHASE_NAMES = {"query": "query", "fit": "fit", "eval": "test"}


def class_balance(table: pd.DataFrame) -> Figure:
    """Draw the share of each class among the images that each strategy queried, round by round.

    Parameters
    ----------
    table : pandas.DataFrame
        From `al_tf.analysis.queried_class_table`.

    Returns
    -------
    Figure
        One heat map per dataset and strategy (classes by rounds), all on one colour scale. The
        panel of ``random`` shows the balance of the pool itself.

    Examples
    --------
    >>> import pandas as pd
    >>> from al_tf import plots
    >>> from al_tf.analysis import queried_class_table
    >>> records = pd.DataFrame({"dataset": "tiles", "strategy": ["random", "margin"], "seed": 0,
    ...                         "round": 1, "queried_labels": [[0, 1], [1, 1]]})
    >>> fig = plots.class_balance(queried_class_table(records, ["good", "defective"]))
    >>> [ax.get_title() for ax in fig.axes[:2]]
    ['random', 'margin']
    """
    columns = ["dataset", "strategy", "round", "class_name", "share"]
    check_columns(table, columns, "queried_class_table")
    datasets, names = in_order(table["dataset"]), in_order(table["strategy"])
    have = set(zip(table["dataset"], table["strategy"], strict=True))
    keys = [(d, s) for d in datasets for s in names if (d, s) in have]
    titles = [f"{d}: {s}" if len(datasets) > 1 else s for d, s in keys]
    n_columns = min(len(keys), 4)
    n_classes = table["class_name"].nunique()
    with style():
        tall = 0.17 if n_columns > 2 else 0.22
        fig, axes = panels(titles, height=0.8 + tall * n_classes, n_columns=n_columns)
        top = float(table["share"].max())
        for i, (ax, (dataset, strategy)) in enumerate(zip(axes, keys, strict=True)):
            here = table[(table["dataset"] == dataset) & (table["strategy"] == strategy)]
            leftmost = i % n_columns == 0 or keys[i - 1][0] != dataset
            _class_by_round(ax, here, top, name_classes=leftmost)
        bar = fig.colorbar(
            axes[0].collections[0], ax=axes, location="bottom", shrink=0.4, aspect=35, pad=0.02
        )
        bar.set_label("share of the round's queries")
        bar.outline.set_visible(False)
    return fig


def seconds_by_phase(table: pd.DataFrame) -> Figure:
    """Draw the mean seconds per round, phase by phase.

    Parameters
    ----------
    table : pandas.DataFrame
        From `al_tf.analysis.seconds_table`.

    Returns
    -------
    Figure
        One panel of stacked bars per dataset, the slowest strategy at the top.

    Examples
    --------
    >>> import pandas as pd
    >>> from al_tf import plots
    >>> table = pd.DataFrame({
    ...     "dataset": "digits", "strategy": "margin", "phase": ["query", "fit"], "seconds": [0.5, 2.0]})
    >>> fig = plots.seconds_by_phase(table)
    >>> fig.axes[0].get_xlabel()
    'mean seconds per round'
    """
    check_columns(table, ["dataset", "strategy", "phase", "seconds"], "seconds_table")
    datasets = in_order(table["dataset"])
    tallest = table["strategy"].nunique()
    with style():
        fig, axes = panels(datasets, height=0.9 + 0.27 * tallest, n_columns=1, sharex=True)
        for ax, dataset in zip(axes, datasets, strict=True):
            here = table[table["dataset"] == dataset]
            wide = here.pivot(index="strategy", columns="phase", values="seconds")
            wide = wide.loc[wide.sum(axis=1).sort_values(kind="stable").index]
            left = np.zeros(len(wide))
            for phase in [phase for phase in _PHASE_NAMES if phase in wide]:
                color, name = PHASES[phase], _PHASE_NAMES[phase]
                ax.barh(list(wide.index), wide[phase], left=left, color=color, label=name)
                left += wide[phase].to_numpy()
            ax.grid(False, axis="y")
        axes[-1].set_xlabel("mean seconds per round")
        handles, labels = axes[0].get_legend_handles_labels()
        fig.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False)
    return fig


def _class_by_round(ax: Axes, rows: pd.DataFrame, top: float, name_classes: bool) -> None:
    """Draw one strategy's heat map, classes by rounds, on a scale from 0 to `top`."""
    classes = list(dict.fromkeys(rows["class_name"]))
    shares = rows.pivot(index="class_name", columns="round", values="share").loc[classes]
    sns.heatmap(shares, ax=ax, cmap="cividis", vmin=0, vmax=top, cbar=False)
    ax.grid(False)
    ax.set(xlabel="round", ylabel="")
    ax.tick_params(length=0, axis="y", rotation=0)
    if name_classes:
        ax.set_yticks(np.arange(len(classes)) + 0.5, classes, rotation=0)
    else:
        ax.set_yticks([])
    rounds = list(shares.columns)
    step = max(1, -(-len(rounds) // 6))
    ax.set_xticks(np.arange(0, len(rounds), step) + 0.5, rounds[::step], rotation=0)

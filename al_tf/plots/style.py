"""One look for all figures: a strategy's colour and marker, sizes, panels."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

WIDTH = 8.0
"""Inches; at 100 dots an inch the 800 pixels a README shows."""


class Look(NamedTuple):
    """How a strategy is drawn in every figure."""

    color: str
    marker: str


# Hues of Okabe & Ito (2008) and Paul Tol's "muted" scheme, both made for colour-blind readers.
# Seventeen hues cannot all be told apart by everyone, so no two strategies share a marker
# within a hue family, and the ones usually compared have the hues that differ most.
STRATEGY_LOOKS = {
    "random": Look("#4D4D4D", "o"),
    "margin": Look("#0072B2", "s"),
    "entropy": Look("#D55E00", "^"),
    "uncertainty": Look("#E69F00", "v"),
    "badge": Look("#009E73", "D"),
    "bald": Look("#CC79A7", "P"),
    "kcenter": Look("#56B4E9", "X"),
    "typiclust": Look("#332288", "p"),
    "cluster_margin": Look("#882255", "h"),
    "entropy_cluster": Look("#AA4499", "<"),
    "kmeans": Look("#117733", ">"),
    "density": Look("#999933", "*"),
    "entropy_density": Look("#A6761D", "d"),
    "information_density": Look("#44AA99", "8"),
    "probcover": Look("#6A3D9A", "H"),
    "softmax_outlier": Look("#CC6677", "o"),
    "softmax_kde": Look("#88AA55", "s"),
    "ranked_batch": Look("#7F9FD3", "^"),
    "expected_error": Look("#B2A000", "v"),
    "vote_entropy": Look("#661100", "D"),
    "consensus_entropy": Look("#E78AC3", "P"),
    "max_disagreement": Look("#1B4F72", "X"),
}

# None of those usually compared: a strategy of one's own is drawn beside them.
_OTHER_COLORS = (
    "#AA4499",
    "#44AA99",
    "#882255",
    "#999933",
    "#332288",
    "#117733",
    "#661100",
    "#88CCEE",
)
_OTHER_MARKERS = (">", "<", "*", "p", "h", "d", "8", "H")

_RC: Any = {
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "legend.fontsize": 9,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E5E5E5",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "svg.hashsalt": "al_tf",
}


class NotebookFigure(Figure):
    """A figure that a notebook shows as the last expression of a cell, without pyplot."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=100)
        return buffer.getvalue()


def strategy_look(name: str) -> Look:
    """Colour and marker of a strategy, the same in every figure and every session.

    Parameters
    ----------
    name : str
        A canonical name has an entry of its own in `STRATEGY_LOOKS`; any other gets a pair
        that follows from the name alone.
    """
    if name in STRATEGY_LOOKS:
        return STRATEGY_LOOKS[name]
    digest = hashlib.sha256(name.encode()).digest()
    color = _OTHER_COLORS[digest[0] % len(_OTHER_COLORS)]
    return Look(color, _OTHER_MARKERS[digest[1] % len(_OTHER_MARKERS)])


@contextmanager
def style() -> Iterator[None]:
    """Apply this package's settings to what is drawn inside, and to nothing else."""
    with mpl.rc_context(_RC):
        yield


def panels(
    titles: Sequence[str | None],
    *,
    height: float,
    n_columns: int | None = None,
    sharex: bool = False,
    sharey: bool = False,
    width: float = WIDTH,
) -> tuple[Figure, list[Axes]]:
    """Make a figure of titled panels, outside pyplot's global state.

    Parameters
    ----------
    titles : sequence of str or None
        One a panel; None leaves its place empty.
    height : float
        Inches a row of panels.
    n_columns : int, optional
        Panels side by side; all by default, at most three.
    sharex, sharey : bool
    width : float
        Inches.

    Returns
    -------
    fig : Figure
    axes : list of Axes
        One for each title.
    """
    n_columns = n_columns or min(len(titles), 3)
    n_rows = -(-len(titles) // n_columns)
    fig = NotebookFigure(figsize=(width, height * n_rows), layout="constrained")
    grid = fig.subplots(n_rows, n_columns, sharex=sharex, sharey=sharey, squeeze=False)
    axes = []
    for ax, title in zip_longest(grid.flat, titles):
        if title is None:
            ax.remove()
        else:
            ax.set_title(title)
            axes.append(ax)
    return fig, axes


def label_outside(axes: Sequence[Axes], *, ticks: bool = True) -> None:
    """Keep axis labels at the left and wherever no panel follows below, and say them once.

    Parameters
    ----------
    axes : sequence of Axes
        Panels made by `panels`, in its order.
    ticks : bool, default True
        Keep the tick labels of inner panels: needed where these have axes of their own.
    """
    for i, ax in enumerate(axes):
        place = ax.get_subplotspec()
        n_columns = place.get_gridspec().ncols if place is not None else 1
        lowest, leftmost = i + n_columns >= len(axes), i % n_columns == 0
        if not lowest:
            ax.set_xlabel("")
        if not leftmost:
            ax.set_ylabel("")
        if not ticks:
            ax.tick_params(labelbottom=lowest, labelleft=leftmost)


def strategy_legend(fig: Figure, axes: Sequence[Axes], names: Sequence[str]) -> None:
    """Put one legend for all panels below them, entries in the order of `names`."""
    handles: dict[str, Artist] = {}
    for ax in axes:
        handles.update(dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True)))
    entries = [name for name in names if name in handles]
    if not entries:
        return
    fig.legend(
        [handles[name] for name in entries],
        entries,
        loc="outside lower center",
        ncols=min(len(entries), 6 if len(entries) <= 6 else 4),
        frameon=False,
    )


def caption(fig: Figure, text: str) -> None:
    """Say above the panels what is drawn."""
    fig.suptitle(text, fontsize=9, color="#444444")


def in_order(names: pd.Series, first: str = "random") -> list[str]:
    """Distinct names in the table's order, `first` (if it is there) ahead."""
    distinct = list(dict.fromkeys(map(str, names)))
    return sorted(distinct, key=lambda name: name != first)


def metric_name(metric: str) -> str:
    """Metric as an axis label says it."""
    return {"accuracy": "accuracy", "f1_macro": "macro F1"}.get(metric, metric.replace("_", " "))


def check_columns(table: pd.DataFrame, columns: Sequence[str], source: str) -> None:
    """Raise ValueError unless `table` has rows and these columns; `source` makes such tables."""
    source = source if "." in source else f"al_tf.analysis.{source}"
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise ValueError(
            f"The table lacks the column(s) {', '.join(missing)}; pass one that {source} made."
        )
    if table.empty:
        raise ValueError(f"The table has no rows to draw; see {source}.")


def finite(values: pd.Series) -> np.ndarray:
    """Mask of the values that can be drawn."""
    return np.isfinite(values.to_numpy(dtype=float))

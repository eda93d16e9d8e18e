"""What all figures share: fonts and lines, panels, captions, checks of the tables."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

WIDTH = 8.0
"""Inches; at 100 dots per inch, the 800 pixels that a README shows."""
CAPTION_LETTERS = 15
"""Letters of a caption on an inch, few enough for broad ones."""

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
        One per panel; None leaves its place empty.
    height : float
        Inches per row of panels.
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
    """Keep axis labels only at the left and where no panel follows below.

    Parameters
    ----------
    axes : sequence of Axes
        Panels made by `panels`, in its order.
    ticks : bool, default True
        Keep the tick labels of inner panels: needed where these have scales of their own.
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
    """Put one legend below all panels, its entries in the order of `names`."""
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
    """Write above the panels what is drawn, in lines that the figure is wide enough for."""
    width = int(CAPTION_LETTERS * fig.get_figwidth())
    lines = [part for line in text.splitlines() for part in textwrap.wrap(line, width)]
    fig.suptitle("\n".join(lines), fontsize=9, color="#444444")


def in_order(names: pd.Series, first: str = "random") -> list[str]:
    """Return the distinct names in the order of the table, `first` ahead if it is among them."""
    distinct = list(dict.fromkeys(map(str, names)))
    return sorted(distinct, key=lambda name: name != first)


def metric_name(metric: str) -> str:
    """Return the metric's name for an axis."""
    return {"f1_macro": "macro F1"}.get(metric, metric.replace("_", " "))


def check_columns(table: pd.DataFrame, columns: Sequence[str], source: str) -> None:
    """Raise ValueError unless `table` has rows and these columns; `source` names its maker."""
    source = source if "." in source else f"al_tf.analysis.{source}"
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise ValueError(
            f"The table lacks the column(s) {', '.join(missing)}; pass a table from {source}."
        )
    if table.empty:
        raise ValueError(f"The table has no rows to draw; see {source}.")


def finite(values: pd.Series) -> np.ndarray:
    """Return which values can be drawn, as a boolean mask."""
    return np.isfinite(values.to_numpy(dtype=float))

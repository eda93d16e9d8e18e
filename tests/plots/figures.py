"""Simulated results to draw, and what a figure says."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.analysis._curves import experiment, simulate


def simulated(n_strategies: int, dataset: str = "digits", n_seeds: int = 5) -> pd.DataFrame:
    accuracy = simulate(np.random.default_rng(3), 1, n_strategies, n_seeds, gain=0.02)[0]
    return experiment(accuracy, dataset=dataset)


def curve_names(ax: Axes) -> list[str]:
    return [str(line.get_label()) for line in ax.lines if not line.get_label().startswith("_")]


def legend_names(fig: Figure) -> list[str]:
    return [text.get_text() for legend in fig.legends for text in legend.get_texts()]


def tick_names(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.get_yticklabels()]


def words(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]

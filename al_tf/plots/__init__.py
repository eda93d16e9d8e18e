"""Figures from tidy tables, and the files they are saved in.

The drawing functions return a matplotlib Figure, which a notebook shows as the last expression of
a cell; none opens a window. The numbers come from the tables of `al_tf.analysis`: nothing here
runs a test or fits an interval (`project_2d` reduces features for `query_map`, and that is all).
Matplotlib and seaborn are loaded when the first function is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOME_OF = {
    "build_provenance": "provenance",
    "class_balance": "rounds",
    "cost_curve": "labeling",
    "difference_curves": "curves",
    "forest_plot": "verdicts",
    "labeling_curves": "labeling",
    "learning_curves": "curves",
    "penalty_heatmap": "verdicts",
    "project_2d": "queries",
    "query_gallery": "queries",
    "query_map": "queries",
    "read_figure_table": "provenance",
    "read_provenance": "provenance",
    "save_figure": "provenance",
    "savings_plot": "verdicts",
    "seconds_by_phase": "rounds",
    "strategy_look": "looks",
}

if TYPE_CHECKING:
    from .curves import difference_curves as difference_curves
    from .curves import learning_curves as learning_curves
    from .labeling import cost_curve as cost_curve
    from .labeling import labeling_curves as labeling_curves
    from .looks import strategy_look as strategy_look
    from .provenance import build_provenance as build_provenance
    from .provenance import read_figure_table as read_figure_table
    from .provenance import read_provenance as read_provenance
    from .provenance import save_figure as save_figure
    from .queries import project_2d as project_2d
    from .queries import query_gallery as query_gallery
    from .queries import query_map as query_map
    from .rounds import class_balance as class_balance
    from .rounds import seconds_by_phase as seconds_by_phase
    from .verdicts import forest_plot as forest_plot
    from .verdicts import penalty_heatmap as penalty_heatmap
    from .verdicts import savings_plot as savings_plot

__all__ = list(_HOME_OF)


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'al_tf.plots' has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME_OF])

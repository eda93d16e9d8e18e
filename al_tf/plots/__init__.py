"""Figures from tidy tables. Every function returns a Figure; none shows or computes a statistic.

Matplotlib and seaborn are loaded when the first function is used. In a notebook a figure shows
itself as the last expression of a cell.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOME_OF = {
    "build_provenance": "provenance",
    "class_balance": "queries",
    "cost_curve": "labeling",
    "difference_curves": "curves",
    "forest_plot": "verdicts",
    "labeling_curves": "labeling",
    "learning_curves": "curves",
    "penalty_heatmap": "verdicts",
    "project_2d": "queries",
    "query_gallery": "queries",
    "query_map": "queries",
    "read_provenance": "provenance",
    "save_figure": "provenance",
    "savings_plot": "verdicts",
    "seconds_by_phase": "queries",
    "strategy_look": "style",
}

if TYPE_CHECKING:
    from .curves import difference_curves as difference_curves
    from .curves import learning_curves as learning_curves
    from .labeling import cost_curve as cost_curve
    from .labeling import labeling_curves as labeling_curves
    from .provenance import build_provenance as build_provenance
    from .provenance import read_provenance as read_provenance
    from .provenance import save_figure as save_figure
    from .queries import class_balance as class_balance
    from .queries import project_2d as project_2d
    from .queries import query_gallery as query_gallery
    from .queries import query_map as query_map
    from .queries import seconds_by_phase as seconds_by_phase
    from .style import strategy_look as strategy_look
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

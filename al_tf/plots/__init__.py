"""Figures from tidy tables. Every function returns a Figure; none shows or computes a statistic.

Matplotlib and seaborn are loaded when the first function is used. In a notebook a figure shows
itself as the last expression of a cell.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOME_OF = {
    "build_provenance": "provenance",
    "difference_curves": "curves",
    "learning_curves": "curves",
    "read_provenance": "provenance",
    "save_figure": "provenance",
    "strategy_look": "style",
}

if TYPE_CHECKING:
    from .curves import difference_curves as difference_curves
    from .curves import learning_curves as learning_curves
    from .provenance import build_provenance as build_provenance
    from .provenance import read_provenance as read_provenance
    from .provenance import save_figure as save_figure
    from .style import strategy_look as strategy_look

__all__ = list(_HOME_OF)


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'al_tf.plots' has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME_OF])

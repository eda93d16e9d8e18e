"""Pictures of what a strategy asks for in the plane."""

from __future__ import annotations

import hashlib
import inspect
import io
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from PIL import Image
from threadpoolctl import threadpool_limits

import al_tf
from al_tf.plots import strategy_look
from al_tf.plots.style import panels, style
from al_tf.strategies import StrategyInfo

from . import plane as plane_module
from .plane import BATCH, Plane, make_learner, run

_KEY = "drawn by code"
_REGIONS = ("#DCE9F5", "#FBE7D3", "#DFF1E3")
_POINTS = ("#6F9BC8", "#D9A066", "#7DB48A")
_INITIAL: dict[str, Any] = {"color": "#111111", "marker": "x", "s": 30, "linewidth": 1.4}


def draw(info: StrategyInfo, plane: Plane, folder: Path) -> dict[str, bytes]:
    """Return the pictures of a strategy as PNG, by file name.

    They show the first batch with its order, and all rounds with the model after them. Pictures in
    `folder` that the same code drew are used again.
    """
    names = [f"{info.name}-{end}.png" for end in ("first", "later")]
    code = _fingerprint(info)
    if all(drawn_by(folder / name) == code for name in names):
        return {name: (folder / name).read_bytes() for name in names}
    with threadpool_limits(1):  # many small fits: threads would wait for each other
        rounds = run(info, plane)
        figures = [_first_batch(info, plane, rounds[0]), _all_rounds(info, plane, rounds)]
    return {name: png(figure, code) for name, figure in zip(names, figures, strict=True)}


@cache
def _code_of_all() -> bytes:
    """Return the code that any picture depends on."""
    package = Path(al_tf.__file__).parent
    sources = [*package.glob("strategies/**/*.py"), *package.glob("geometry/**/*.py")]
    names = ("learner.py", "plots/style.py", "network/laplace.py", "network/linear_head.py")
    sources += [package / name for name in names]
    sources += [Path(__file__), Path(plane_module.__file__)]
    return b"".join(path.read_bytes() for path in sorted(sources))


def _fingerprint(info: StrategyInfo) -> str:
    own = inspect.getsource(inspect.getmodule(info.function) or type(info))
    return hashlib.sha256(_code_of_all() + own.encode()).hexdigest()


def drawn_by(path: Path) -> str | None:
    """Return the fingerprint that `png` put into a picture; None where there is no picture."""
    if not path.exists():
        return None
    with Image.open(path) as image:
        return image.info.get(_KEY)


def _first_batch(info: StrategyInfo, plane: Plane, asked: np.ndarray) -> Figure:
    fig, ax = _canvas(info, plane, plane.labeled, f"the first {BATCH} it asks for, in its order")
    look = strategy_look(info.name)
    ax.scatter(
        *plane.points[asked].T, color=look.color, marker="o", s=95, edgecolor="white", zorder=3
    )
    for number, row in enumerate(asked, start=1):
        ax.annotate(
            str(number),
            plane.points[row],
            color="white",
            ha="center",
            va="center",
            fontsize=6.5,
            fontweight="bold",
            zorder=4,
        )
    return fig


def _all_rounds(info: StrategyInfo, plane: Plane, rounds: list[np.ndarray]) -> Figure:
    labeled = np.concatenate([plane.labeled, *rounds])
    title = f"{len(rounds)} rounds of {BATCH}, and the model after them"
    fig, ax = _canvas(info, plane, labeled, title)
    shades = mpl.colormaps["plasma"](np.linspace(0.0, 0.85, len(rounds)))
    for number, (asked, shade) in enumerate(zip(rounds, shades, strict=True), start=1):
        ax.scatter(
            *plane.points[asked].T,
            color=shade,
            s=34,
            edgecolor="white",
            linewidth=0.5,
            label=str(number),
            zorder=3,
        )
    ax.legend(
        title="round",
        loc="lower center",
        ncols=len(rounds),
        fontsize=7,
        title_fontsize=7,
        handletextpad=0.1,
        columnspacing=0.8,
        framealpha=0.85,
    )
    return fig


def _canvas(info: StrategyInfo, plane: Plane, labeled: np.ndarray, title: str) -> Any:
    """Draw the pool over the regions of the model that is fitted to `labeled`."""
    learner = make_learner(info, plane.points[labeled], plane.classes[labeled])
    low, high = plane.points.min(axis=0) - 0.12, plane.points.max(axis=0) + 0.12
    xs, ys = np.linspace(low[0], high[0], 160), np.linspace(low[1], high[1], 160)
    grid = np.stack(np.meshgrid(xs, ys), axis=-1)
    regions = np.asarray(learner.predict(grid.reshape(-1, 2))).reshape(grid.shape[:2])
    with style():
        fig, (ax,) = panels([title], height=4.0, width=4.4)
        ax.pcolormesh(xs, ys, regions, cmap=ListedColormap(_REGIONS), vmin=0, vmax=2)
        colors = np.array(_POINTS)[plane.classes]
        ax.scatter(*plane.points.T, color=colors, s=9, linewidth=0)
        ax.scatter(*plane.points[plane.labeled].T, zorder=3, **_INITIAL)
        ax.set(xticks=[], yticks=[], xlim=(low[0], high[0]), ylim=(low[1], high[1]))
        ax.grid(False)
        ax.spines[:].set_visible(False)
    return fig, ax


def png(fig: Figure, code: str) -> bytes:
    """Return a figure as PNG with the fingerprint of what drew it inside."""
    buffer = io.BytesIO()
    with style():
        fig.savefig(buffer, format="png", dpi=130, metadata={"Software": None, _KEY: code})
    return buffer.getvalue()

"""What was asked for: classes queried, seconds spent, the queried images themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from .style import (
    WIDTH,
    caption,
    check_columns,
    in_order,
    label_outside,
    panels,
    strategy_look,
    style,
)

_PHASES = {"query": ("#D55E00", "query"), "fit": ("#0072B2", "fit"), "eval": ("#BBBBBB", "test")}


def class_balance(table: pd.DataFrame) -> Figure:
    """Draw the share of each class in what every strategy queried, round by round.

    Parameters
    ----------
    table : pandas.DataFrame
        From `al_tf.analysis.queried_class_table`.

    Returns
    -------
    Figure
        A heat map for each dataset and strategy (classes by rounds) on one colour scale. The
        panel of ``random`` shows the pool's own balance.
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
            classes = list(dict.fromkeys(here["class_name"]))
            shares = here.pivot(index="class_name", columns="round", values="share").loc[classes]
            sns.heatmap(shares, ax=ax, cmap="cividis", vmin=0, vmax=top, cbar=False)
            ax.grid(False)
            ax.set(xlabel="round", ylabel="")
            ax.tick_params(length=0, axis="y", rotation=0)
            first = i % n_columns == 0 or keys[i - 1][0] != dataset
            if first:
                ax.set_yticks(np.arange(len(classes)) + 0.5, classes, rotation=0)
            else:
                ax.set_yticks([])
            rounds = list(shares.columns)
            step = max(1, -(-len(rounds) // 6))
            ax.set_xticks(np.arange(0, len(rounds), step) + 0.5, rounds[::step], rotation=0)
        bar = fig.colorbar(
            axes[0].collections[0], ax=axes, location="bottom", shrink=0.4, aspect=35, pad=0.02
        )
        bar.set_label("share of the round's queries")
        bar.outline.set_visible(False)
    return fig


def seconds_by_phase(table: pd.DataFrame) -> Figure:
    """Draw the seconds a round takes, by phase.

    Parameters
    ----------
    table : pandas.DataFrame
        From `al_tf.analysis.seconds_table`.

    Returns
    -------
    Figure
        A panel of stacked bars for each dataset, the longest at the top.
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
            for phase, (color, name) in _PHASES.items():
                ax.barh(list(wide.index), wide[phase], left=left, color=color, label=name)
                left += wide[phase].to_numpy()
            ax.grid(False, axis="y")
        axes[-1].set_xlabel("mean seconds a round")
        handles, labels = axes[0].get_legend_handles_labels()
        fig.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False)
    return fig


def project_2d(features: ArrayLike) -> tuple[NDArray[np.float64], tuple[float, float]]:
    """Project features onto their first two principal components.

    Parameters
    ----------
    features : array_like of shape (n, d)

    Returns
    -------
    coordinates : ndarray of shape (n, 2)
    explained : tuple of two floats
        Share of the variance that each component keeps: what the picture leaves out is the
        rest.
    """
    from sklearn.decomposition import PCA

    x = np.asarray(features, dtype=np.float64)
    if x.ndim != 2 or min(x.shape) < 2:
        raise ValueError(
            "project_2d needs at least two points of at least two features, shape (n, d); "
            f"got {x.shape}."
        )
    pca = PCA(n_components=2, svd_solver="full" if x.shape[1] < 500 else "randomized")
    pca.set_params(random_state=0)
    coordinates = pca.fit_transform(x)
    first, second = map(float, pca.explained_variance_ratio_)
    return coordinates, (first, second)


def query_map(
    coordinates: ArrayLike,
    labeled: ArrayLike,
    queried: Mapping[str, ArrayLike],
    *,
    explained: tuple[float, float] | None = None,
) -> Figure:
    """Draw where in the pool several strategies ask, side by side.

    Parameters
    ----------
    coordinates : array_like of shape (n, 2)
        Labeled and unlabeled images in two dimensions; see `project_2d`.
    labeled : array_like of int
        Rows of `coordinates` that were labeled before the query.
    queried : mapping of strategy name to array_like of int
        Rows of `coordinates` that each strategy asked for.
    explained : tuple of two floats, optional
        Share of the variance of either axis, from `project_2d`.

    Returns
    -------
    Figure
        A panel for each strategy.
    """
    points = np.asarray(coordinates, dtype=float)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(
            f"query_map draws points of shape (n, 2); got {points.shape}. "
            "Reduce features with project_2d first."
        )
    if not queried:
        raise ValueError("query_map needs at least one strategy's queried indices.")
    known = _rows(labeled, len(points), "labeled")
    shares = (
        [""] * 2 if explained is None else [f" ({share:.0%} of variance)" for share in explained]
    )
    n_columns = 2 if len(queried) == 4 else min(len(queried), 3)
    with style():
        fig, axes = panels(
            list(queried), height=6.8 / n_columns, n_columns=n_columns, sharex=True, sharey=True
        )
        for ax, (name, asked) in zip(axes, queried.items(), strict=True):
            chosen = _rows(asked, len(points), name)
            rest = np.setdiff1d(np.arange(len(points)), np.concatenate([known, chosen]))
            look = strategy_look(name)
            _dots(ax, points[rest], "rest of the pool", color="#D0D0D0", s=4, linewidth=0)
            _dots(ax, points[known], "labeled", color="#222222", s=9, marker="x", linewidth=0.7)
            _dots(
                ax,
                points[chosen],
                "queried",
                color=look.color,
                marker=look.marker,
                s=26,
                edgecolor="white",
                linewidth=0.4,
            )
            ax.set(xlabel=f"PC 1{shares[0]}", ylabel=f"PC 2{shares[1]}", xticks=[], yticks=[])
            ax.grid(False)
        label_outside(axes)
        handles, labels = axes[0].get_legend_handles_labels()
        fig.legend(
            handles, labels, loc="outside lower center", ncols=3, frameon=False, markerscale=1.6
        )
    return fig


def query_gallery(
    images: ArrayLike,
    probabilities: ArrayLike,
    scores: ArrayLike,
    class_names: Sequence[str],
    *,
    nearest_images: ArrayLike | None = None,
    nearest_classes: Sequence[int] | None = None,
    title: str = "",
    most: int = 8,
) -> Figure:
    """Show queried images, what the model takes them for, and their nearest labeled images.

    Parameters
    ----------
    images : array_like of shape (k, H, W) or (k, H, W, C)
        The queried images, best first; uint8, or floats in [0, 1].
    probabilities : array_like of shape (k, K)
        The model's class probabilities for them.
    scores : array_like of shape (k,)
        The strategy's scores.
    class_names : sequence of str
        K names.
    nearest_images : array_like shaped as `images`, optional
        For each, the labeled image nearest to it in feature space.
    nearest_classes : sequence of int, optional
        The labels of these.
    title : str
        Usually the strategy's name.
    most : int, default 8
        Images shown.

    Returns
    -------
    Figure
        A column for each image; the nearest labeled images in a second row.
    """
    shown = np.asarray(images)[:most]
    proba = np.asarray(probabilities, dtype=float)
    values = np.asarray(scores, dtype=float)
    k = len(np.asarray(images))
    if not k or proba.shape != (k, len(class_names)) or values.shape != (k,):
        raise ValueError(
            "query_gallery needs at least one image, probabilities of shape (k, K) and k scores; "
            f"got {k} images, probabilities {proba.shape}, scores {values.shape} and "
            f"{len(class_names)} class names."
        )
    best = proba.argmax(axis=1)
    titles = [
        f"{class_names[c]}\np = {proba[i, c]:.2f}\nscore {values[i]:.3g}"
        for i, c in enumerate(best[: len(shown)])
    ]
    neighbours = [] if nearest_images is None else list(np.asarray(nearest_images)[:most])
    if neighbours and len(neighbours) != len(shown):
        raise ValueError(
            f"{k} images were queried, but {len(np.asarray(nearest_images))} nearest labeled "
            "images were given."
        )
    below = [""] * len(neighbours)
    if nearest_classes is not None:
        below = [class_names[int(c)] for c in list(nearest_classes)[: len(neighbours)]]
    with style():
        fig, axes = panels(
            titles + below,
            height=WIDTH / max(len(shown), 5) + 0.4,
            n_columns=len(shown),
        )
        for ax, image in zip(axes, [*shown, *neighbours], strict=True):
            _picture(ax, image)
        axes[0].set_ylabel("queried")
        if neighbours:
            axes[len(shown)].set_ylabel("nearest\nlabeled")
        number = f"{len(shown)} of {k} queried images" if len(shown) < k else "queried images"
        caption(fig, ": ".join(filter(None, [title, number])))
    return fig


def _rows(indices: ArrayLike, n: int, what: str) -> NDArray[np.intp]:
    rows = np.asarray(indices, dtype=np.intp).ravel()
    if len(rows) and (rows.min() < 0 or rows.max() >= n):
        raise ValueError(
            f"Indices of {what!r} run from {rows.min()} to {rows.max()}, outside the {n} points."
        )
    return rows


def _dots(ax: Axes, points: NDArray[np.float64], label: str, **look: Any) -> None:
    # Thousands of points would make an SVG of megabytes: they are kept as a picture in it.
    ax.scatter(points[:, 0], points[:, 1], label=label, rasterized=len(points) > 1000, **look)


def _picture(ax: Axes, image: NDArray) -> None:
    if image.ndim == 3 and image.shape[-1] == 1:
        image = image[..., 0]
    top = 255 if image.dtype == np.uint8 else 1.0
    ax.imshow(image, cmap="gray", vmin=0, vmax=top, interpolation="nearest")
    ax.grid(False)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.title.set_fontsize(8)

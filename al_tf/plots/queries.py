"""Which images were queried: where they lie among the pool's features, and what they look like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from .looks import strategy_look
from .style import WIDTH, caption, label_outside, panels, style


def project_2d(features: ArrayLike) -> tuple[NDArray[np.float64], tuple[float, float]]:
    """Project features onto their first two principal components.

    Parameters
    ----------
    features : array_like of shape (n, d)
        At least two rows of at least two columns.

    Returns
    -------
    coordinates : ndarray of shape (n, 2)
    explained : tuple of two floats
        The share of the total variance, in [0, 1], that each component keeps. The rest of the
        variance is not in the picture.

    Raises
    ------
    ValueError
        Fewer than two rows or columns.

    Examples
    --------
    >>> from al_tf.plots import project_2d
    >>> coordinates, explained = project_2d([[0.0, 0.0], [2.0, 0.1], [4.0, 0.0]])
    >>> coordinates.shape
    (3, 2)
    >>> round(explained[0], 2)
    1.0
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
    """Draw where in the pool several strategies query, side by side.

    Parameters
    ----------
    coordinates : array_like of shape (n, 2)
        Labeled and unlabeled images in two dimensions; see `project_2d`.
    labeled : array_like of int
        Rows of `coordinates` that were labeled before the query.
    queried : mapping of strategy name to array_like of int
        Rows of `coordinates` that each strategy queried.
    explained : tuple of two floats, optional
        Share of the variance along either axis, from `project_2d`.

    Returns
    -------
    Figure
        One panel per strategy.

    Raises
    ------
    ValueError
        Points that are not two-dimensional, no strategy, or rows outside the points.

    Examples
    --------
    >>> import numpy as np
    >>> from al_tf import plots
    >>> points = np.random.default_rng(0).normal(size=(30, 2))
    >>> fig = plots.query_map(points, labeled=[0, 1], queried={"random": [3, 4], "margin": [5]})
    >>> [ax.get_title() for ax in fig.axes]
    ['random', 'margin']
    """
    points = np.asarray(coordinates, dtype=float)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(
            f"query_map draws points of shape (n, 2); got {points.shape}. "
            "Reduce features with project_2d first."
        )
    if not queried:
        raise ValueError("query_map needs at least one strategy's queried indices.")
    labeled_rows = _rows(labeled, len(points), "labeled")
    shares = ["", ""]
    if explained is not None:
        shares = [f" ({share:.0%} of variance)" for share in explained]
    n_columns = 2 if len(queried) == 4 else min(len(queried), 3)
    with style():
        fig, axes = panels(
            list(queried), height=6.8 / n_columns, n_columns=n_columns, sharex=True, sharey=True
        )
        for ax, (name, indices) in zip(axes, queried.items(), strict=True):
            _map_one(ax, points, labeled_rows, _rows(indices, len(points), name), name)
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
    """Show queried images with the model's prediction, and their nearest labeled images.

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
        For each queried image, the labeled image nearest to it in feature space.
    nearest_classes : sequence of int, optional
        The labels of these.
    title : str
        Usually the strategy's name.
    most : int, default 8
        How many images to show at most.

    Returns
    -------
    Figure
        One column per image; the nearest labeled images in a second row.

    Raises
    ------
    ValueError
        No image, or probabilities, scores, names and neighbours that do not fit the images.

    Examples
    --------
    >>> import numpy as np
    >>> from al_tf import plots
    >>> images = np.zeros((2, 8, 8), dtype=np.uint8)
    >>> fig = plots.query_gallery(images, [[0.6, 0.4], [0.1, 0.9]], [0.8, 0.2], ["good", "bad"])
    >>> [ax.get_title().splitlines()[0] for ax in fig.axes]
    ['good', 'bad']
    """
    shown = np.asarray(images)[:most]
    k = len(np.asarray(images))
    titles = _predictions(k, probabilities, scores, class_names)[: len(shown)]
    neighbours = [] if nearest_images is None else list(np.asarray(nearest_images)[:most])
    if neighbours and len(neighbours) != len(shown):
        raise ValueError(
            f"{k} images were queried, but {len(np.asarray(nearest_images))} nearest labeled "
            "images were given."
        )
    titles += [""] * len(neighbours)
    if nearest_classes is not None:
        neighbour_classes = list(nearest_classes)[: len(neighbours)]
        titles[len(shown) :] = [class_names[int(c)] for c in neighbour_classes]
    with style():
        fig, axes = panels(titles, height=WIDTH / max(len(shown), 5) + 0.4, n_columns=len(shown))
        for ax, image in zip(axes, [*shown, *neighbours], strict=True):
            _picture(ax, image)
        axes[0].set_ylabel("queried")
        if neighbours:
            axes[len(shown)].set_ylabel("nearest\nlabeled")
        number = f"{len(shown)} of {k} queried images" if len(shown) < k else "queried images"
        caption(fig, ": ".join(filter(None, [title, number])))
    return fig


def _map_one(
    ax: Axes,
    points: NDArray[np.float64],
    labeled: NDArray[np.intp],
    queried: NDArray[np.intp],
    name: str,
) -> None:
    """Draw one strategy's panel of `query_map`."""
    rest = np.setdiff1d(np.arange(len(points)), np.concatenate([labeled, queried]))
    look = strategy_look(name)
    _dots(ax, points[rest], "rest of the pool", color="#D0D0D0", s=4, linewidth=0)
    _dots(ax, points[labeled], "labeled", color="#222222", s=9, marker="x", linewidth=0.7)
    _dots(
        ax,
        points[queried],
        "queried",
        color=look.color,
        marker=look.marker,
        s=26,
        edgecolor="white",
        linewidth=0.4,
    )


def _predictions(
    k: int, probabilities: ArrayLike, scores: ArrayLike, class_names: Sequence[str]
) -> list[str]:
    """Return for each of `k` images its predicted class, the probability of that, and the score."""
    proba = np.asarray(probabilities, dtype=float)
    values = np.asarray(scores, dtype=float)
    if not k or proba.shape != (k, len(class_names)) or values.shape != (k,):
        raise ValueError(
            "query_gallery needs at least one image, probabilities of shape (k, K) and k scores; "
            f"got {k} images, probabilities {proba.shape}, scores {values.shape} and "
            f"{len(class_names)} class names."
        )
    return [
        f"{class_names[c]}\np = {row[c]:.2f}\nscore {value:.3g}"
        for row, c, value in zip(proba, proba.argmax(axis=1), values, strict=True)
    ]


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

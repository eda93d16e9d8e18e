"""``folder:PATH``: images in one subfolder per class, or in a folder with a table of labels."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import DataNotFoundError, DataWarning
from ..folders import part_of_name
from ..seeding import stream
from ._base import ImageDataset, digest_of
from ._label_table import read_label_table
from ._layout import ON_THE_COMMAND_LINE, LabeledFiles, read_layout
from ._lazy import LazyImageFolder, Size
from ._split import choose_test


def load(
    path: str | os.PathLike[str],
    data_dir: str | os.PathLike[str] | None,
    seed: int,
    *,
    size: Size = None,
    grey: bool | None = None,
    test_size: float = 0.2,
    group: str | None = None,
    labels: str | os.PathLike[str] | None = None,
) -> ImageDataset:
    r"""Load a folder of images with one subfolder per class, or ``train/`` and ``test/`` of such.

    What is not used, or makes accuracy misleading, is a warning: files left out, a class that the
    test set lacks, images in two classes, files that differ by extension alone (masks, or a second
    format), copies of training images in a given test set.

    Parameters
    ----------
    path : path
        The folder; a relative one starts at the working directory (`data_dir` is not used). Of
        ``train/``, ``valid/`` and ``test/``, ``valid/`` is the test set if there is no ``test/``,
        and left out otherwise.
    data_dir : path, optional
        Not used.
    seed : int
        Draws the test set where the folder has none. Copies of one image stay on one side, and
        files whose names differ by extension alone.
    size : int or (int, int), optional
        Height and width to scale and pad to; where it is not given, all must have one size.
    grey : bool, optional
        True for grey, False for RGB; where it is not given, grey if every image is.
    test_size : float
        Part of each class drawn for testing, above 0 and below 1.
    group : str, optional
        A regular expression for the file name without its extension. Images whose names match
        with the same text in parentheses show the same thing and stay on one side of the split:
        ``(.*)_\d+`` for ``tile17_1.png``, ``tile17_2.png``. Without it, near copies of pool
        images in the test set make every accuracy too high.
    labels : path, optional
        A CSV of file names and labels, in place of class folders; see `read_label_table`.

    Returns
    -------
    ImageDataset
        Classes are sorted by name, images by file name; everything beneath a class folder counts.

    Raises
    ------
    DataNotFoundError
        No such folder, or no images in it.
    DataCorruptError
        Images that cannot be read, or folders that are not one per class.
    ValueError
        A `group` that is not such an expression, or a test set without images.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise DataNotFoundError(
            f"folder:{path}: {root.absolute()} is not a folder. Check the path."
        )
    test_files: LabeledFiles | None = None
    if labels is None:
        train_files, test_files, how = read_layout(root)
    else:
        train_files, how = read_label_table(Path(labels).expanduser(), root), f"labels: {labels}, "
    every = train_files if test_files is None else train_files + test_files
    names = tuple(sorted(set(every.words)))
    y = np.array([names.index(word) for word in every.words])
    images = LazyImageFolder(every.files, size=size, grey=grey).load()
    copies = _first_with_same([digest_of(image) for image in images])
    twins = _first_with_same([str(file.with_suffix("")) for file in every.files])
    _warn_of_twins(twins, every.files)
    _warn_of_two_classes(copies, y, names, every.files)
    if test_files is not None:
        test = np.arange(len(y)) >= len(train_files.files)
        _warn_of_copies(int(np.isin(copies[test], copies[~test]).sum()), int(test.sum()))
    else:
        alike = [copies, twins] + ([] if group is None else [_named_alike(every.files, group)])
        groups = _connected(alike)
        test = choose_test(y, test_size, stream(seed, "folder", "test"), groups)
        how += f"split by seed {seed}" + (f" in groups {group}" if group else "")
    _check_test(y[test], y, names)
    return ImageDataset(
        images[~test],
        y[~test],
        images[test],
        y[test],
        class_names=names,
        name=f"folder:{path}",
        source=f"images in {root}, {how}" + (f", scaled and padded to {size}" if size else ""),
    )


def _first_with_same(keys: Sequence[str]) -> np.ndarray:
    """Return for each row the first row that has the same key."""
    first: dict[str, int] = {}
    return np.array([first.setdefault(key, row) for row, key in enumerate(keys)], dtype=int)


def _named_alike(files: Sequence[Path], pattern: str) -> np.ndarray:
    """Return for each file the first whose name matches with the same text in parentheses."""
    parts = [*map(part_of_name(pattern), files)]
    if not any(parts):
        raise ValueError(
            f"group={pattern!r} matches none of the {len(files):,} names (without extension), "
            f"{files[0].stem!r} for example. Give a "
            r"regular expression that does, such as group='(.*)_\d+'."
        )
    return _first_with_same(
        [f"\x1e{row}" if part is None else "\x1f".join(part) for row, part in enumerate(parts)]
    )


def _connected(alike: Sequence[np.ndarray]) -> np.ndarray:
    """Return a group for each row, where each array of `alike` names a row of the same group."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(alike[0])
    edges = (np.tile(np.arange(n), len(alike)), np.concatenate(alike))
    graph = coo_array((np.ones(n * len(alike)), edges), shape=(n, n))
    return np.asarray(connected_components(graph, directed=False)[1])


def _warn_of_twins(twins: np.ndarray, files: Sequence[Path]) -> None:
    rows = np.flatnonzero(twins != np.arange(len(twins)))
    if len(rows):
        warnings.warn(
            f"{len(rows):,} files have the name of another one but for the extension, for example "
            f"{files[twins[rows[0]]]} and {files[rows[0]].name}. All count as images: if they are "
            "masks, or the same in another format, move them elsewhere.",
            DataWarning,
            stacklevel=4,
        )


def _warn_of_two_classes(
    copies: np.ndarray, y: np.ndarray, names: Sequence[str], files: Sequence[Path]
) -> None:
    rows = np.flatnonzero(y != y[copies])
    if len(rows):
        row, other = rows[0], copies[rows[0]]
        warnings.warn(
            f"{len(rows):,} images are copies of images in another class, for example {files[row]} "
            f"({names[y[row]]}) of {files[other]} ({names[y[other]]}). No model can get both right.",
            DataWarning,
            stacklevel=4,
        )


def _warn_of_copies(n: int, of: int) -> None:
    if n:
        warnings.warn(
            f"{n:,} of the {of:,} test images are copies of training images: accuracy will be too "
            "high. Remove them from one side, or merge the folders and let the split be drawn.",
            DataWarning,
            stacklevel=4,
        )


def _check_test(y_test: np.ndarray, y: np.ndarray, names: Sequence[str]) -> None:
    """Refuse a test set without images; warn of classes that it lacks."""
    if not len(y_test):
        raise ValueError(
            "No image is left for the test set: no class has two groups of images (two images, if "
            "group= is not given). Give more images, or another group= "
            f"({ON_THE_COMMAND_LINE}group=…)."
        )
    if len(names) == 1:
        warnings.warn(
            f"There is one class only, {names[0]!r}: every model is right about it.",
            DataWarning,
            stacklevel=4,
        )
    if absent := [name for k, name in enumerate(names) if k not in y_test]:
        counts = ", ".join(
            f"{name} ({np.sum(y == names.index(name))} in all)" for name in absent[:5]
        )
        warnings.warn(
            f"The test set has no image of {len(absent)} of {len(names)} classes: {counts}"
            f"{', …' if len(absent) > 5 else ''}. Accuracy says nothing about them.",
            DataWarning,
            stacklevel=4,
        )

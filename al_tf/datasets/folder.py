"""``folder:PATH``: one subfolder of images a class."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ..errors import DataCorruptError, DataNotFoundError
from ..images import EXTENSIONS, list_images
from ..seeding import stream
from ._base import ImageDataset
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
) -> ImageDataset:
    """Load a folder of images with one subfolder a class, or ``train/`` and ``test/`` of such.

    Parameters
    ----------
    path : path
        The folder; a relative one starts at the working directory (`data_dir` is not used).
    data_dir : path, optional
        Not used.
    seed : int
        Draws the test set where there is no ``test/``.
    size : int or (int, int), optional
        Height and width to scale and pad to; where it is not given, all must have one size.
    grey : bool, optional
        True for grey, False for RGB; where it is not given, grey if every image is.
    test_size : float
        Share of each class drawn for testing where there is no ``test/``.

    Returns
    -------
    ImageDataset
        Classes are sorted by name, images by file name; everything beneath a class folder counts.

    Raises
    ------
    DataNotFoundError
        No such folder, or no images in it.
    DataCorruptError
        An image that cannot be read, or folders that are not one a class.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise DataNotFoundError(f"folder:{path}: {root.absolute()} is not a folder.")
    train_root, test_root = _parts(root)
    classes = _class_files(train_root)
    names = tuple(classes)
    files = [file for of_class in classes.values() for file in of_class]
    labels = np.repeat(np.arange(len(names)), [len(of_class) for of_class in classes.values()])
    n_train = len(files)
    if test_root is not None:
        test_classes = _class_files(test_root)
        if unknown := [name for name in test_classes if name not in names]:
            raise DataCorruptError(
                f"{test_root}: expected the classes of {train_root} ({', '.join(names)}), "
                f"found also {', '.join(unknown)}."
            )
        for name, of_class in test_classes.items():
            files += of_class
            labels = np.append(labels, np.full(len(of_class), names.index(name)))
        test = np.arange(len(files)) >= n_train
    else:
        test = choose_test(labels, test_size, stream(seed, "folder", "test"))
    images = LazyImageFolder(files, size=size, grey=grey).load()
    how = f"split by seed {seed}" if test_root is None else "with a test folder of its own"
    return ImageDataset(
        images[~test],
        labels[~test],
        images[test],
        labels[test],
        class_names=names,
        name=f"folder:{path}",
        source=f"images in {root}, {how}" + (f", scaled and padded to {size}" if size else ""),
    )


def _parts(root: Path) -> tuple[Path, Path | None]:
    """Return the training and the test folder; a ``train`` that holds images itself is a class."""
    train = root / "train"
    if not train.is_dir() or not _subfolders(train):
        return root, None
    others = [folder.name for folder in _subfolders(root) if folder.name not in ("train", "test")]
    if others:
        raise DataCorruptError(
            f"{root}: expected only train/ and test/ where there is a train/ with one folder a "
            f"class; found also {', '.join(others)}. Move them elsewhere."
        )
    test = root / "test"
    return train, test if test.is_dir() else None


def _subfolders(folder: Path) -> list[Path]:
    return sorted(
        child
        for child in folder.iterdir()
        if child.is_dir() and not child.name.startswith((".", "__MACOSX"))
    )


def _class_files(root: Path) -> dict[str, list[Path]]:
    classes = {folder.name: list_images(folder) for folder in _subfolders(root)}
    if not classes:
        raise DataNotFoundError(f"{root}: expected one subfolder of images a class, found none.")
    if empty := [name for name, files in classes.items() if not files]:
        raise DataNotFoundError(
            f"{root}: no images ({', '.join(EXTENSIONS)}) in the class folder {', '.join(empty)}."
        )
    return classes

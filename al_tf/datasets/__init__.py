"""Where images come from: `load_dataset` and the registry of datasets.

Datasets are looked for in ``data_dir`` or ``$AL_TF_DATA_DIR``, the user cache, system folders, and
then downloaded; nothing is unpickled and no archive is extracted.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ..errors import DataNotFoundError, UnknownNameError
from . import cifar10, digits, fashion_mnist, folder, magnetic_tile, solar_cells
from ._base import ImageDataset, describe
from ._imbalance import Imbalance, imbalance_pool
from ._lazy import LazyImageFolder
from ._source import PathLike

__all__ = [
    "DATASETS",
    "DatasetInfo",
    "DatasetStatus",
    "ImageDataset",
    "LazyImageFolder",
    "dataset_status",
    "describe",
    "fetch_dataset",
    "list_datasets",
    "load_dataset",
]


@dataclass(frozen=True)
class DatasetInfo:
    """A dataset in the registry.

    Attributes
    ----------
    summary : str
        What the images are.
    load : callable
        ``load(data_dir, seed, **options) -> ImageDataset``; its keyword-only parameters are the
        dataset's options.
    find : callable
        ``find(data_dir) -> str``: where it would be read from, without any download.
    fetch : callable, optional
        ``fetch(data_dir, report)``: bring it into the user cache unless it is on this machine.
    imbalance : float, optional
        The imbalance of the pool unless the caller asks for another.
    own_test_set : bool
        It comes with a test set, so that a seed draws nothing but an imbalance.
    """

    summary: str
    load: Callable[..., ImageDataset]
    find: Callable[[PathLike | None], str]
    fetch: Callable[[PathLike | None, Callable[[str], None]], None] | None = None
    imbalance: float | None = None
    own_test_set: bool = False


DATASETS: dict[str, DatasetInfo] = {
    "digits": DatasetInfo(
        "1,797 handwritten digits, grey 8×8, 10 classes",
        digits.load,
        digits.find,
    ),
    "fashion_mnist": DatasetInfo(
        "70,000 pieces of clothing, grey 28×28, 10 classes",
        fashion_mnist.load,
        fashion_mnist.SOURCE.find,
        fashion_mnist.SOURCE.fetch,
        own_test_set=True,
    ),
    "imbalanced_fashion_mnist": DatasetInfo(
        "Fashion-MNIST with a long-tailed pool (smallest/largest class 0.02), balanced test set",
        fashion_mnist.load,
        fashion_mnist.SOURCE.find,
        fashion_mnist.SOURCE.fetch,
        imbalance=0.02,
        own_test_set=True,
    ),
    "cifar10": DatasetInfo(
        "60,000 photographs, colour 32×32, 10 classes",
        cifar10.load,
        cifar10.SOURCE.find,
        cifar10.SOURCE.fetch,
        own_test_set=True,
    ),
    "magnetic_tile": DatasetInfo(
        "1,344 magnetic-tile surfaces, grey 64×64, 6 classes or good/defective",
        magnetic_tile.load,
        magnetic_tile.SOURCE.find,
        magnetic_tile.SOURCE.fetch,
    ),
    "solar_cells": DatasetInfo(
        "2,624 solar cells, grey 64×64, good/defective or 4 ratings; from a package of PyPI",
        solar_cells.load,
        solar_cells.SOURCE.find,
        solar_cells.SOURCE.fetch,
    ),
}
_FOLDER = "folder:"


def list_datasets() -> list[str]:
    """Return the names in the registry; `load_dataset` also takes ``folder:PATH``.

    Examples
    --------
    >>> from al_tf import list_datasets
    >>> list_datasets()
    ['digits', 'fashion_mnist', 'imbalanced_fashion_mnist', 'cifar10', 'magnetic_tile',
     'solar_cells']
    """
    return [*DATASETS]


def load_dataset(
    name: str,
    *,
    data_dir: PathLike | None = None,
    imbalance: Imbalance | None = None,
    seed: int = 0,
    **options: Any,
) -> ImageDataset:
    """Load a dataset by name.

    Parameters
    ----------
    name : str
        One of `list_datasets`, or ``folder:PATH`` for images in one subfolder per class.
    data_dir : path, optional
        A folder to search first, in place of ``$AL_TF_DATA_DIR``. Downloads do not go there but
        into the user cache.
    imbalance : float, sequence or mapping, optional
        Thin out the classes of the training pool: a float is the ratio of the smallest to the
        largest class of an exponential long tail; a sequence or a mapping holds the fraction kept
        of each class. The test set stays as it is.
    seed : int
        Draws what `imbalance` keeps, and the test set of data that come without one
        (``magnetic_tile``, ``solar_cells``, folders without ``test/``).
    **options
        Options of the dataset itself; an unknown one is an error that lists them. ``magnetic_tile``
        and ``solar_cells`` take ``size`` and ``labels``; ``folder:PATH`` takes ``size``, ``grey``,
        ``test_size``, ``group`` (a pattern of file names that show the same thing) and ``labels``
        (a CSV of file names and labels): see `al_tf.datasets.folder.load`.

    Returns
    -------
    ImageDataset
        Images are uint8, labels int64.

    Raises
    ------
    UnknownNameError
        No dataset has that name; the message lists those that exist.
    DataNotFoundError
        It was not found; the message lists the places tried and the command that supplies it.
    DataCorruptError
        A file was found but is truncated, altered or of another format.

    Examples
    --------
    >>> from al_tf import load_dataset
    >>> digits = load_dataset("digits")
    >>> digits.x_train.shape, digits.x_train.dtype, digits.y_test.shape
    ((1438, 8, 8), dtype('uint8'), (359,))

    A pool in which the last class is five times rarer than the first:

    >>> import numpy as np
    >>> np.bincount(load_dataset("digits", imbalance=0.2).y_train).tolist()
    [142, 122, 99, 85, 71, 60, 50, 41, 33, 29]
    """
    info = _info(name)
    known = default_options(name)
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise TypeError(
            f"Dataset {name!r} takes no option {', '.join(map(repr, unknown))}. "
            f"Its options: {', '.join(known) or 'none'}."
        )
    dataset = replace(info.load(data_dir, seed, **options), name=name)
    kept = imbalance if imbalance is not None else info.imbalance
    return dataset if kept is None else imbalance_pool(dataset, kept, seed)


def default_options(name: str) -> dict[str, Any]:
    """Return the options of a dataset that `load_dataset` takes, with their defaults."""
    parameters = inspect.signature(_info(name).load).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


def depends_on_seed(name: str, imbalance: Imbalance | None = None) -> bool:
    """Return whether `load_dataset` gives other images for another seed."""
    info = _info(name)
    return not info.own_test_set or imbalance is not None or info.imbalance is not None


def _info(name: str) -> DatasetInfo:
    if isinstance(name, str) and name.startswith(_FOLDER) and name != _FOLDER:
        path = name.removeprefix(_FOLDER)
        return DatasetInfo("a folder of images", partial(folder.load, path), lambda _: path)
    if not isinstance(name, str) or name not in DATASETS:
        listed = ", ".join(map(repr, [*DATASETS, "folder:PATH"]))
        raise UnknownNameError(f"Unknown dataset {name!r}. Expected one of: {listed}.")
    return DATASETS[name]


@dataclass(frozen=True)
class DatasetStatus:
    """Whether a dataset can be read without a download.

    Attributes
    ----------
    name, summary : str
        As in the registry.
    found : bool
        It is on this machine.
    where : str
        The place it would be read from; where it is missing, what to do.
    """

    name: str
    summary: str
    found: bool
    where: str


def dataset_status(data_dir: PathLike | None = None) -> list[DatasetStatus]:
    """Return for each dataset where it is on this machine, or how to get it.

    Examples
    --------
    >>> from al_tf.datasets import dataset_status
    >>> digits = dataset_status()[0]
    >>> digits.name, digits.found, digits.where
    ('digits', True, 'bundled with scikit-learn')
    """
    status = []
    for name, info in DATASETS.items():
        try:
            found, where = True, info.find(data_dir)
        except DataNotFoundError as error:
            found, where = False, str(error).splitlines()[-1]
        status.append(DatasetStatus(name, info.summary, found, where))
    return status


def fetch_dataset(
    name: str,
    *,
    data_dir: PathLike | None = None,
    report: Callable[[str], None] = print,
    **options: Any,
) -> ImageDataset:
    """Bring a dataset into the user cache unless it is on this machine, then load it.

    Parameters
    ----------
    name : str
        One of `list_datasets`.
    data_dir : path, optional
        A folder to search first, in place of ``$AL_TF_DATA_DIR``.
    report : callable
        Gets a line on each step, for example where the files are.
    **options
        Passed to `load_dataset`.

    Returns
    -------
    ImageDataset
        Verified by having been loaded; `describe` prints it.

    Raises
    ------
    DataNotFoundError
        It could not be fetched; the message says what was tried.

    Examples
    --------
    >>> from al_tf import fetch_dataset
    >>> digits = fetch_dataset("digits")
    digits: bundled with scikit-learn
    """
    info = _info(name)
    if info.fetch is None:
        report(f"{name}: {info.find(data_dir)}")
    else:
        info.fetch(data_dir, report)
    return load_dataset(name, data_dir=data_dir, **options)

"""Images embedded once per experiment: for all its seeds, strategies, rounds and workers.

A probe never sees an image. Before the runs begin, this process, or the workers of a Dask cluster,
turn the images that they need into features of the pretrained network. This process writes them as ``features/*.npy``; every worker maps
these files into memory. What was embedded before, here or elsewhere, comes from the user's cache.
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataCorruptError, RecordError
from ..image_arrays import ImageSource
from .cluster import embed_on_cluster
from .config import ExperimentConfig
from .setting import Setting, draw_pool, draw_validation, load_data

if TYPE_CHECKING:
    from ..datasets import ImageDataset
    from ..network.backbones import Backbone


def sees_features(config: ExperimentConfig) -> bool:
    """Return whether the model is trained on features in place of images."""
    return config.model == "probe"


def backbone_of(config: ExperimentConfig) -> Backbone:
    """Load the pretrained network of an experiment."""
    from ..network.backbones import load_backbone

    return load_backbone(str(config.backbone), size=config.backbone_size)


def embed_images(
    config: ExperimentConfig,
    seeds: Iterable[int],
    out_dir: Path,
    *,
    progress: bool,
    scheduler: str | None = None,
) -> None:
    """Write the features of every image that the runs of these seeds look at.

    Parameters
    ----------
    config : ExperimentConfig
        Names the dataset and the backbone.
    seeds : iterable of int
        Those of the runs that are not finished.
    out_dir : Path
        The study's folder.
    progress : bool
        Show a progress bar.
    scheduler : str, optional
        Address of the Dask scheduler whose workers embed; they read the dataset by themselves.
    """
    backbone = backbone_of(config)
    for seed, data, rows in images_needed(config, seeds):
        for part, images, needed in (
            ("train", data.x_train, rows),
            ("test", data.x_test, np.arange(len(data.x_test))),
        ):
            path = _path(out_dir, data, part)
            path.parent.mkdir(parents=True, exist_ok=True)
            shape = (len(images), backbone.dim)
            features = np.lib.format.open_memmap(path, "w+", np.float32, shape)
            if scheduler is None:
                features[needed] = backbone.features(images[needed], progress=progress)
            else:
                features[needed] = embed_on_cluster(
                    DatasetImages(config, seed, data, part, needed),
                    backbone,
                    scheduler=scheduler,
                    threads=config.threads,
                    progress=progress,
                )
            features.flush()


class DatasetImages(ImageSource):
    """Some images of an experiment's dataset, which is loaded wherever they are read.

    Parameters
    ----------
    config, seed
        What the dataset is loaded by.
    data : ImageDataset
        As loaded here; a worker whose data are others refuses.
    part : {"train", "test"}
    rows : ndarray of int (k,)
    """

    in_memory = True

    def __init__(
        self, config: ExperimentConfig, seed: int, data: ImageDataset, part: str, rows: np.ndarray
    ) -> None:
        images = getattr(data, f"x_{part}")
        self._config, self._seed, self._part, self._rows = config, seed, part, rows
        self._data_fingerprint = data.fingerprint
        self._image_shape, self.dtype = images.shape[1:], images.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """(k, …)."""
        return (len(self._rows), *self._image_shape)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return the images at `rows`."""
        data = load_data(self._config, self._seed)
        if data.fingerprint != self._data_fingerprint:
            raise DataCorruptError(
                f"The data of {self._config.dataset!r} on a worker are others: fingerprint "
                f"{data.fingerprint[:12]}, expected {self._data_fingerprint[:12]}. Give all machines "
                "the same data in $AL_TF_DATA_DIR."
            )
        return np.asarray(getattr(data, f"x_{self._part}")[self._rows[rows]])

    def read_elsewhere(self, rows: np.ndarray) -> DatasetImages:
        """Return a source of the images at `rows` alone."""
        part = copy.copy(self)
        part._rows = self._rows[rows]
        return part


def images_needed(
    config: ExperimentConfig, seeds: Iterable[int]
) -> Iterator[tuple[int, ImageDataset, np.ndarray]]:
    """Yield each different dataset that these seeds see, and the training rows that they need.

    The first of the three is a seed that sees it.
    """
    rows: dict[str, np.ndarray] = {}
    seed_of: dict[str, int] = {}
    for seed in seeds:
        data = load_data(config, seed)
        n = len(data.x_train)
        pool = draw_pool(config, seed, n)
        needed = np.union1d(pool, draw_validation(config, seed, pool, n))
        rows[data.fingerprint] = np.union1d(rows.get(data.fingerprint, needed), needed)
        seed_of.setdefault(data.fingerprint, seed)
    for fingerprint, needed in rows.items():
        seed = seed_of[fingerprint]
        yield seed, load_data(config, seed), needed


def with_features(setting: Setting, out_dir: Path) -> Setting:
    """Return the setting with features in place of images.

    Raises
    ------
    RecordError
        They have not been embedded.
    """
    train, test = (_load(_path(out_dir, setting.data, part)) for part in ("train", "test"))
    return replace(setting, x_train=train, x_test=test)


def _load(path: Path) -> np.ndarray:
    if not path.exists():
        raise RecordError(f"{path} is missing. Start the experiment again to embed its images.")
    return np.asarray(np.load(path, mmap_mode="r"))


def remove_features(out_dir: Path) -> None:
    """Remove the features of a finished experiment; the user's cache still has them."""
    shutil.rmtree(out_dir / "features", ignore_errors=True)


def _path(out_dir: Path, data: ImageDataset, part: str) -> Path:
    return out_dir / "features" / f"{data.fingerprint[:16]}-{part}.npy"

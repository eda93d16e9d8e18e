"""Predictions of an exported model for a folder of images."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import DataCorruptError
from ...parsing import parse_json
from ...progress import progress_bar
from ..pool import FolderPool
from .export import NOTES

if TYPE_CHECKING:
    import pandas as pd

BATCH = 64
MAX_NOTES = 2**24
"""Bytes that the class names of a model may take."""


class ExportedModel:
    """A network written by `export_model`, with its class names and the images that it takes.

    Parameters
    ----------
    path : path
        A ``.keras`` file.

    Attributes
    ----------
    classes : tuple of str
        In the order of the columns of its probabilities.
    size : (int, int)
        Height and width of the images that it takes.
    grey : bool
        Whether it takes them in grey.
    bits : int
        How many bits 16-bit images use.

    Raises
    ------
    DataNotFoundError
        There is no such file.
    DataCorruptError
        A model that `export_model` did not write.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        from ...network.device import without_start_messages
        from ...network.model_files import load_network

        with without_start_messages():
            self._network = load_network(path)
        notes = _notes(Path(path))
        self.classes: tuple[str, ...] = tuple(notes["classes"])
        height, width, *channels = notes["image_shape"]
        self.size, self.grey = (height, width), not channels
        self.bits = int(notes.get("bits", 16))  # older models saw all images so

    def open_folder(self, folder: str | os.PathLike[str], *, progress: bool = False) -> FolderPool:
        """Return the images beneath a folder as this model takes them; see `FolderPool`."""
        return FolderPool(folder, size=self.size, grey=self.grey, bits=self.bits, progress=progress)

    def predict(
        self, pool: FolderPool, ids: Sequence[str], *, progress: bool = False
    ) -> tuple[list[str], np.ndarray]:
        """Return those of some images that can be read, and their probabilities ``(n, K)``."""
        readable: list[str] = []
        parts = [np.zeros((0, len(self.classes)))]
        with progress_bar(
            total=len(ids), desc="Predicting", unit="image", leave=False, shown=progress
        ) as bar:
            for part, images in pool.chunks(ids, BATCH, keep=False):
                readable += part
                parts.append(self._network.predict(images, batch_size=BATCH, verbose=0))
                bar.update(len(part))
        return readable, np.concatenate(parts)


def predict_folder(
    model: str | os.PathLike[str], folder: str | os.PathLike[str], *, progress: bool = False
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Predict every image beneath a folder with a model written by `export_model`.

    Parameters
    ----------
    model : path
        A ``.keras`` file.
    folder : path
        Every image file beneath it.
    progress : bool
        Show progress bars.

    Returns
    -------
    predictions : DataFrame
        One row for each file, the most uncertain first: ``name``, ``image`` (content hash),
        ``predicted``, ``margin`` (difference of the two highest probabilities, 0 to 1; small =
        uncertain), and ``p(<class>)`` for each class.
    problems : dict of str to str
        What is wrong with each file that cannot be read, by name.

    Raises
    ------
    DataNotFoundError
        There is no such model or folder, or no readable image in it.
    DataCorruptError
        A model that `export_model` did not write.
    """
    import pandas as pd

    exported = ExportedModel(model)
    classes = exported.classes
    pool = exported.open_folder(folder, progress=progress)
    ids, proba = exported.predict(pool, pool.ids, progress=progress)
    ranked = np.sort(proba, axis=1)
    table = pd.DataFrame(
        {
            "name": [pool.names(image) for image in ids],
            "image": ids,
            "predicted": [classes[k] for k in proba.argmax(axis=1)],
            "margin": ranked[:, -1] - ranked[:, -2],
            **{f"p({label})": proba[:, k] for k, label in enumerate(classes)},
        }
    )
    table = table.sort_values("margin", kind="stable").explode("name", ignore_index=True)
    return table, dict(pool.problems)


def _notes(path: Path) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(NOTES).file_size > MAX_NOTES:
                raise ValueError(f"{NOTES} is too long")
            return dict(parse_json(archive.read(NOTES)))
    except Exception as error:  # what zipfile raises on hostile bytes is open-ended
        raise DataCorruptError(
            f"{path}: expected a model written by `al-tf export`; this one does not hold its class "
            f"names ({NOTES})."
        ) from error

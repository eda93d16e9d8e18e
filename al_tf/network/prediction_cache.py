"""Predictions kept on disk, used again while neither the network nor the pool has changed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import warnings
import zipfile
from pathlib import Path

import numpy as np

from ..files import storage_explained, write_atomically
from ..image_arrays import ImageSource
from .sources import ArraySource

MAX_ENTRIES = 4
"""Predictions kept in one folder: a new model makes the old ones useless."""

Prediction = tuple[np.ndarray, np.ndarray]


class PredictionCache:
    """A folder of predictions, each under a key made from the weights and the pool.

    Parameters
    ----------
    folder : path
        Made if it is not there. It may be shared by several processes.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = Path(folder)

    def load(self, key: str) -> Prediction | None:
        """Return the probabilities and features kept under `key`, or None.

        A damaged entry counts as absent, with a warning; its checksums are read too.
        """
        entry = self._entry(key)
        try:
            with np.load(entry, allow_pickle=False) as file:
                prediction = file["proba"], file["features"]
            os.utime(entry)
        except FileNotFoundError:  # not there, or dropped by another process meanwhile
            return None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            warnings.warn(
                f"{entry}: this kept prediction cannot be read and is computed again. ({error})",
                RuntimeWarning,
                stacklevel=2,
            )
            return None
        return prediction

    def save(self, key: str, prediction: Prediction) -> None:
        """Keep `prediction` under `key` and drop the entries unused for longest.

        A disk that refuses it is a warning, since the prediction itself is there.
        """
        proba, features = prediction
        entry = self._entry(key)
        try:
            with storage_explained(entry):
                write_atomically(entry, lambda path: np.savez(path, proba=proba, features=features))
        except OSError as error:
            warnings.warn(
                f"The prediction was computed but could not be kept for later: {error}",
                RuntimeWarning,
                stacklevel=2,
            )
        self._drop_oldest()

    def _entry(self, key: str) -> Path:
        return self._folder / f"{key}.npz"

    def _drop_oldest(self) -> None:
        used = []
        for entry in self._folder.glob("*.npz"):
            with contextlib.suppress(FileNotFoundError):  # dropped by another process meanwhile
                used.append((entry.stat().st_mtime_ns, entry))
        for _, entry in sorted(used)[:-MAX_ENTRIES]:
            with contextlib.suppress(OSError):  # open in another process, on Windows
                entry.unlink()


def prediction_key(variables: list[np.ndarray], source: ImageSource, divides: bool = True) -> str:
    """Return the key of the prediction of the pool `source` by a network with these variables.

    `divides` says whether uint8 images are divided by 255 before the network.

    A memory-mapped file is identified by its path, size, time of change and some of its rows; any
    other array by all its bytes; another source by its ``fingerprint``.

    Raises
    ------
    TypeError
        For a source without a ``fingerprint``.
    """
    digest = hashlib.blake2b(digest_size=16)
    facts = [divides, tuple(source.shape), str(source.dtype), *_identity(source)]
    for part in (*variables, *facts):
        digest.update(np.ascontiguousarray(part).data if isinstance(part, np.ndarray) else
                      repr(part).encode())  # fmt: skip
    return digest.hexdigest()


def _identity(source: ImageSource) -> list[object]:
    if isinstance(source, ArraySource):
        return source.identity()
    if isinstance(source.fingerprint, str):
        return [source.fingerprint]
    raise TypeError(
        "cache_dir needs a pool that can be distinguished from others: an array, a memory-mapped "
        f"file, or a source with a fingerprint (text); got {source!r}. Give it one, or set "
        "cache_dir=None."
    )

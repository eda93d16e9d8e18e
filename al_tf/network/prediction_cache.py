"""Predictions kept on disk, used again while neither the network nor the pool has changed."""

from __future__ import annotations

import hashlib
import mmap
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

MAX_ENTRIES = 4
"""Predictions kept in one folder: a new model makes the old ones useless."""

SAMPLED_ROWS = 256
"""Rows of a memory-mapped file that are read to tell it from another one."""

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
        """Return the probabilities and features kept under `key`, or None."""
        entry = self._folder / key
        try:
            found = np.load(entry / "proba.npy"), np.load(entry / "features.npy")
            os.utime(entry)
        except FileNotFoundError:
            return None
        return found

    def save(self, key: str, prediction: Prediction) -> None:
        """Keep `prediction` under `key` and drop the entries unused for longest."""
        self._folder.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=self._folder))
        for name, array in zip(("proba", "features"), prediction, strict=True):
            np.save(partial / f"{name}.npy", array)
        try:
            partial.rename(self._folder / key)
        except OSError:  # another process was first, with the same arrays
            shutil.rmtree(partial)
        entries = sorted(self._folder.glob("[0-9a-f]*"), key=lambda e: e.stat().st_mtime_ns)
        for old in entries[:-MAX_ENTRIES]:
            shutil.rmtree(old, ignore_errors=True)


def prediction_key(variables: list[np.ndarray], X: Any) -> str:
    """Return the key of the prediction of pool `X` by a network with these variables.

    A memory-mapped file is told by its path, size and time of change and by some of its rows;
    any other array by all its bytes; another source by its ``fingerprint``.

    Raises
    ------
    TypeError
        For a source without a ``fingerprint``.
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in (*variables, *_identity(X)):
        digest.update(np.ascontiguousarray(part).data if isinstance(part, np.ndarray) else
                      repr(part).encode())  # fmt: skip
    return digest.hexdigest()


def _identity(X: Any) -> list[Any]:
    facts = [tuple(X.shape), str(X.dtype)]
    if isinstance(X, np.memmap) and isinstance(X.base, mmap.mmap):
        file = os.stat(X.filename)
        facts += [str(X.filename), X.offset, file.st_size, file.st_mtime_ns]
        return [*facts, X[:: max(1, len(X) // SAMPLED_ROWS)]]
    if isinstance(X, np.ndarray):
        return [*facts, X]
    if isinstance(getattr(X, "fingerprint", None), str):
        return [*facts, X.fingerprint]
    raise TypeError(
        f"cache_dir needs a pool that can be told from others: an array, a memory-mapped file or a "
        f"source with a fingerprint (text); got {type(X).__name__}. Give it one, or set "
        "cache_dir=None."
    )

"""Fitted states on disk: NPZ files of plain arrays."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataCorruptError
from ..files import storage_explained, write_atomically


def write_arrays(path: str | os.PathLike[str], arrays: Mapping[str, Any]) -> None:
    """Write an NPZ file, whole or not at all.

    Raises
    ------
    StorageError
        If the disk is full or refuses the file.
    ValueError
        For an array of Python objects.
    """

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:  # given a path, numpy appends ".npz" to it
            np.savez(file, allow_pickle=False, **arrays)

    with storage_explained(path):
        write_atomically(Path(path), write)


def read_arrays(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read what `write_arrays` wrote.

    Raises
    ------
    FileNotFoundError
        No such file.
    DataCorruptError
        Not an NPZ file of plain arrays, or a damaged one.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise DataCorruptError(
            f"{path}: expected weights (.npz), found a file that cannot be read ({error})."
        ) from error


def numbered(arrays: Mapping[str, np.ndarray], prefix: str) -> list[np.ndarray]:
    """Return ``arrays[prefix0]``, ``arrays[prefix1]`` … as a list."""
    count = sum(name.startswith(prefix) for name in arrays)
    return [arrays[f"{prefix}{i}"] for i in range(count)]

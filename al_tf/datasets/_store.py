"""Decoded arrays kept beside the downloads, so that decoding happens once."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..files import cache_dir, new_folder
from ..parsing import parse_json, read_text
from ._base import digest_of


def stored(
    name: str, key: str, build: Callable[[], dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """Return what `build` returned the first time it was called for `key`.

    Parameters
    ----------
    name : str
        The dataset, for the folder's name.
    key : str
        Identifies the source bytes and what is done to them; another key is another folder.
    build : callable
        Decodes the arrays.

    Returns
    -------
    dict of str to ndarray
        Read from the cache they are memory-mapped, and verified by their SHA-256. A damaged copy
        is decoded again, and where the cache cannot be written nothing is kept, each with a warning.
    """
    folder = cache_dir() / "decoded" / f"{name}-{key}"
    if folder.is_dir():
        try:
            return _read(folder)
        except (OSError, ValueError) as error:
            warnings.warn(f"{folder} is damaged ({error}); decoding again.", stacklevel=3)
            shutil.rmtree(folder, ignore_errors=True)
    arrays = build()
    try:
        _write(folder, arrays)
    except OSError as error:
        warnings.warn(
            f"The decoded images could not be kept in {folder} ({error}); they will be decoded "
            "again next time. Set $AL_TF_CACHE_DIR to a folder that can be written.",
            stacklevel=3,
        )
    return arrays


def _read(folder: Path) -> dict[str, np.ndarray]:
    digests = parse_json(read_text(folder / "sha256.json"))
    if not isinstance(digests, dict):
        raise ValueError(f"sha256.json holds {type(digests).__name__}, not a name for each array")
    arrays = {}
    for name, expected in digests.items():
        mapped = np.load(folder / f"{Path(name).name}.npy", mmap_mode="r", allow_pickle=False)
        arrays[name] = np.asarray(mapped)
        if digest_of(arrays[name]) != expected:
            raise ValueError(f"{name}.npy has another SHA-256 than when it was written")
    return arrays


def _write(folder: Path, arrays: dict[str, np.ndarray]) -> None:
    with new_folder(folder) as part:
        for name, array in arrays.items():
            np.save(part / f"{name}.npy", array, allow_pickle=False)
        digests = {name: digest_of(array) for name, array in arrays.items()}
        (part / "sha256.json").write_text(json.dumps(digests), encoding="utf-8")

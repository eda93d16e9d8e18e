"""Where datasets are looked for, and the one message for when they are nowhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from ..errors import DataNotFoundError
from ..files import cache_dir

T = TypeVar("T")


def search(
    accept: Callable[[Path], T | None],
    *,
    name: str,
    wanted: str,
    data_dir: str | os.PathLike[str] | None,
    system: Sequence[Path] = (),
) -> tuple[T | None, list[str]]:
    """Look for a dataset in ``data_dir`` (or ``$AL_TF_DATA_DIR``), the user cache, system folders.

    Parameters
    ----------
    accept : callable
        Gets a folder, returns what it found there or None.
    name : str
        The dataset's name; in each place the subfolder of that name is tried first.
    wanted : str
        What `accept` looks for, for the message.
    data_dir : path, optional
        The caller's folder, in place of ``$AL_TF_DATA_DIR``.
    system : sequence of Path
        Folders where packages of the operating system put it.

    Returns
    -------
    (found, tried)
        What `accept` found first (None: nowhere), and a line on each place without it.

    Raises
    ------
    DataNotFoundError
        The caller's folder does not exist.
    """
    tried = []
    places = [("user cache", cache_dir()), *(("system folder", folder) for folder in system)]
    given = data_dir if data_dir is not None else os.environ.get("AL_TF_DATA_DIR") or None
    label = "data_dir" if data_dir is not None else "$AL_TF_DATA_DIR"
    if given is None:
        tried.append("data_dir: not given, and $AL_TF_DATA_DIR is not set")
    else:
        folder = Path(given).expanduser()
        if not folder.is_dir():
            raise DataNotFoundError(
                f"{label} is {str(folder)!r}, which is not a folder. "
                "Name the folder that holds the datasets, or leave it unset."
            )
        places.insert(0, (label, folder))
    for label, base in places:
        for folder in (base / name, base):
            found = accept(folder)
            if found is not None:
                return found, tried
        tried.append(f"{label} {base}: no {wanted}")
    return None, tried


def not_found(name: str, tried: Sequence[str], remedy: str) -> DataNotFoundError:
    """Return the error that lists every place tried and the command that supplies the dataset."""
    listed = "\n".join(f"  - {line}" for line in tried)
    return DataNotFoundError(f"Dataset {name!r} was not found. Tried:\n{listed}\n{remedy}")

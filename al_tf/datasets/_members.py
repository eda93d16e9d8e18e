"""A copy of a dataset as names and bytes, whether it is an archive or a folder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..folders import list_images
from ..images import read_image_file
from ._archive import file_digest, iter_members

Members = Iterator[tuple[str, bytes]]


def read_members(path: Path, subfolders: Sequence[str], max_bytes: int) -> tuple[str, Members]:
    """Return a key that changes with the copy's content, and name and bytes of each of its files.

    Parameters
    ----------
    path : Path
        An archive, see `iter_members`, or a folder.
    subfolders : sequence of str
        Where in a folder the image files are.
    max_bytes : int
        The most that an archive may hold decompressed.

    Returns
    -------
    key : str
        Of an archive, from its bytes. Of a folder, from names, lengths and times of change, as a
        build tool would do it: reading 60,000 files to see that they are the same takes longer
        than using them.
    members : iterator of (str, bytes)
        Each file's name within the copy, and its bytes.
    """
    if path.is_file():
        return file_digest(path)[:16], iter_members(path, max_bytes)
    files = [file for subfolder in subfolders for file in list_images(path / subfolder)]
    digest = hashlib.sha256()
    for file in files:
        stat = file.stat()
        digest.update(f"{file}\x1f{stat.st_size}\x1f{stat.st_mtime_ns}\n".encode())
    members = ((file.relative_to(path).as_posix(), read_image_file(file)) for file in files)
    return digest.hexdigest()[:16], members

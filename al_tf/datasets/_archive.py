"""Read compressed files and archives in memory, within bounds; nothing is ever extracted.

Members are handed on as bytes, so that no member name reaches the file system (no
``../../x``, no symlink), and what a file declares about its own size is never believed.
"""

from __future__ import annotations

import gzip
import hashlib
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from ..errors import DataCorruptError
from ..folders import list_images
from ..images import read_image_file

MAX_MEMBERS = 200_000
MAX_MEMBER_BYTES = 64 << 20
_GZIP, _XZ, _ZIP = b"\x1f\x8b", b"\xfd7zXZ\x00", b"PK\x03\x04"

Members = Iterator[tuple[str, bytes]]


def file_digest(path: Path, algorithm: str = "sha256") -> str:
    """Return the hex digest of a file's bytes."""
    digest = hashlib.new(algorithm)
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def read_payload(path: Path, max_bytes: int) -> bytes:
    """Return the contents of a file, decompressed where it is gzip (by its first bytes).

    Parameters
    ----------
    path : Path
        The file.
    max_bytes : int
        The most that is read; more is an error.

    Raises
    ------
    DataCorruptError
        A truncated or broken gzip file, or one that holds more than `max_bytes`.
    """
    with open(path, "rb") as raw:
        compressed = raw.read(2) == _GZIP
        raw.seek(0)
        file: IO[bytes] = gzip.GzipFile(fileobj=raw) if compressed else raw  # type: ignore[assignment]
        try:
            data = file.read(max_bytes + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise _corrupt(path, error) from error
    if len(data) > max_bytes:
        raise DataCorruptError(f"{path}: expected at most {max_bytes:,} bytes, found more.")
    return data


def iter_members(path: Path, max_bytes: int) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of every regular file in a tar (gzip, xz) or zip archive.

    Parameters
    ----------
    path : Path
        The archive; its kind is read from its first bytes.
    max_bytes : int
        The most that the whole archive may hold decompressed.

    Yields
    ------
    (str, bytes)
        Links, devices and folders are passed over.

    Raises
    ------
    DataCorruptError
        A truncated or broken archive, one of another kind, or one beyond `max_bytes`,
        `MAX_MEMBER_BYTES` a member or `MAX_MEMBERS` members.
    """
    with open(path, "rb") as file:
        magic = file.read(6)
    if magic.startswith(_ZIP):
        members = _zip_members(path, max_bytes)
    elif magic.startswith(_GZIP) or magic == _XZ:
        members = _tar_members(path, max_bytes, gzip.open if magic[:2] == _GZIP else lzma.open)
    else:
        raise DataCorruptError(
            f"{path}: expected a .tar.gz, .tar.xz or .zip archive, found a file that starts with "
            f"{magic.hex(' ') or 'nothing (it is empty)'}."
        )
    while True:
        try:
            member = next(members)
        except StopIteration:
            return
        except DataCorruptError:
            raise
        except Exception as error:  # what the archive readers raise on hostile bytes is open-ended
            raise _corrupt(path, error) from error
        yield member


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


def _corrupt(path: Path, error: Exception) -> DataCorruptError:
    return DataCorruptError(
        f"{path}: truncated or damaged ({type(error).__name__}: {error}). "
        "Delete it and fetch it again."
    )


class _Bounded:
    """A stream that refuses to give more than a number of bytes in all."""

    def __init__(self, stream: IO[bytes], path: Path, max_bytes: int) -> None:
        self._stream, self._path, self._limit, self._left = stream, path, max_bytes, max_bytes

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise DataCorruptError(
                f"{self._path}: expected at most {self._limit:,} bytes decompressed, found more."
            )
        return data


def _check_member(path: Path, count: int, name: str, size: int) -> None:
    if count > MAX_MEMBERS:
        raise DataCorruptError(f"{path}: expected at most {MAX_MEMBERS:,} members, found more.")
    if size > MAX_MEMBER_BYTES:
        raise DataCorruptError(
            f"{path}: the member {name!r} declares {size:,} bytes; "
            f"at most {MAX_MEMBER_BYTES:,} are read."
        )


def _tar_members(
    path: Path, max_bytes: int, opener: Callable[..., Any]
) -> Iterator[tuple[str, bytes]]:
    with opener(path, "rb") as stream:
        bounded = _Bounded(stream, path, max_bytes)
        with tarfile.open(fileobj=bounded, mode="r|") as tar:  # type: ignore[call-overload]
            count = 0
            while (member := tar.next()) is not None:
                count += 1
                _check_member(path, count, member.name, member.size)
                if member.isreg() and not member.issparse():
                    content = tar.extractfile(member)
                    yield member.name, content.read() if content else b""
                tar.members.clear()  # else it keeps every header
        while bounded.read(1 << 20):  # to the end: a truncated or altered tail fails its checksum
            pass


def _zip_members(path: Path, max_bytes: int) -> Iterator[tuple[str, bytes]]:
    left = max_bytes
    with zipfile.ZipFile(path) as archive:
        for count, info in enumerate(archive.infolist(), start=1):
            _check_member(path, count, info.filename, info.file_size)
            if info.is_dir():
                continue
            with archive.open(info) as content:
                data = content.read(MAX_MEMBER_BYTES + 1)
            left -= len(data)
            if len(data) > MAX_MEMBER_BYTES or left < 0:
                raise DataCorruptError(
                    f"{path}: expected at most {max_bytes:,} bytes decompressed, found more."
                )
            yield info.filename, data

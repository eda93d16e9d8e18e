"""Files written whole or not at all, the user cache, locks, and errors of the disk in words."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import AlTfError, StorageError

_STORAGE_ADVICE = {
    errno.ENOSPC: "the disk is full. Make room",
    errno.EDQUOT: "your quota on this disk is used up. Make room",
    errno.EROFS: "the disk is read-only. Name another place",
    errno.ENOTDIR: "a file is in the place of a folder. Name another place",
    errno.EEXIST: "a file is in the place of a folder. Name another place",
    errno.EACCES: "access is denied. Change its permissions, or name another place",
}
_DATABASE = b"SQLite format 3\0"


def cache_dir() -> Path:
    """Return the folder where downloads and everything computed from them are kept.

    It is ``$AL_TF_CACHE_DIR``, or the user cache of the operating system.
    """
    named = os.environ.get("AL_TF_CACHE_DIR")
    if named:
        return Path(named).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("al_tf", appauthor=False))


def check_replaceable(path: str | os.PathLike[str], kind: str | None = None) -> None:
    """Refuse to write a file over what somebody cannot mean to lose.

    Parameters
    ----------
    path : path
        Where a file is to be written. Call this before what takes time.
    kind : {"text", "zip"}, optional
        What is to be written: a table or JSON file, or a model. A file of another kind that is
        there already, an image say, is not replaced by it. A database, as ledgers of labels are,
        is never replaced.

    Raises
    ------
    StorageError
        The message says what is there.
    """
    path = Path(path)
    if path.is_dir():
        raise StorageError(f"{path} is a folder. Name a file.")
    if not path.is_file():
        return
    try:
        with open(path, "rb") as file:
            head = file.read(512)
    except FileNotFoundError:  # another process has just removed it
        return
    if head.startswith(_DATABASE):
        raise StorageError(
            f"{path} is a database, as ledgers of labels are, and is not overwritten. Name another "
            "file."
        )
    if kind == "text" and b"\0" in head:
        what = "no text"
    elif kind == "zip" and head and not head.startswith(b"PK"):
        what = "no model"
    else:
        return
    raise StorageError(
        f"{path} is there already and is {what}. It is not overwritten: name another file."
    )


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file, sync it, and put it in the place of `path` in one step.

    Parameters
    ----------
    path : Path
        The file; its folder is made. An old file stays until the new one is complete, and
        several processes may write the same file: the last one wins.
    write : callable
        Gets the path of the temporary file, which has the name of `path`. If it raises, the
        temporary file is removed: what has to be verified first is verified in here.

    Raises
    ------
    StorageError
        `path` is a folder, or a database; see `check_replaceable`.
    """
    check_replaceable(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".tmp-") as folder:
        temporary = Path(folder, path.name)
        write(temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    _sync_folder(path.parent)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes `path` in one step at the end of the block.

    If `path` is there by then, it stays and the temporary folder is removed: whoever else made
    it came first. An exception in the block removes the temporary folder and makes nothing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".tmp-") as parent:
        temporary = Path(parent, path.name)  # a folder inside, as temporary ones are for us alone
        temporary.mkdir()
        yield temporary
        try:
            os.rename(temporary, path)
        except OSError:
            if not path.is_dir():
                raise
        else:
            _sync_folder(path.parent)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file, whole or not at all."""
    text = json.dumps(content, indent=2) + "\n"
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


@contextmanager
def locked(path: Path, *, seconds: float, busy: Exception) -> Iterator[None]:
    """Hold the lock file at `path` during the block.

    Parameters
    ----------
    path : Path
        Made with its folder. The lock ends with the process that holds it, however it ends.
    seconds : float
        How long to wait for another holder.
    busy : Exception
        Raised when that time is over.
    """
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=seconds)
    except Timeout:
        raise busy from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def storage_explained(place: str | os.PathLike[str]) -> Iterator[None]:
    """Turn errors of the disk (full, read-only, no permission) into a `StorageError` with advice.

    Parameters
    ----------
    place : path
        What the block works on, for the message where the error itself names no file. The message
        promises that what was finished before is kept: the caller has to keep it.
    """
    try:
        yield
    except OSError as error:
        advice = _STORAGE_ADVICE.get(error.errno or 0)
        if advice is None or isinstance(error, AlTfError):
            raise
        raise StorageError(
            f"{error.filename or place}: {advice} and do the same again; what was finished before "
            f"is kept. ({error})"
        ) from error


def _sync_folder(folder: Path) -> None:
    """Have a folder's entries outlive a power cut."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

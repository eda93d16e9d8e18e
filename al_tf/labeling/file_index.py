"""What is known of the files beneath a folder, kept on disk so that none is read a second time.

One SQLite file for each folder, in the user's cache. It only saves time: whatever is wrong with it,
files are read as if there were none, and the hash of an image is checked again whenever its file is
decoded. SQLite's locks let several desks share it, and a kill leaves each transaction whole or undone.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import sys
import threading
import time
import warnings
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ..errors import DataCorruptError
from ..files import cache_dir as user_cache
from ..images import header_of, read_image_file

BUSY_SECONDS = 10.0
SETTLED_NS = 2_000_000_000
"""A file changed more recently is not kept: it might change again and show the same time."""
TRIES = 3
ROWS_AT_ONCE = 4_096
_VERSION = 1
_APPLICATION_ID = 0x616C6669
_SCHEMA = (
    "CREATE TABLE file (name BLOB PRIMARY KEY, size INTEGER NOT NULL, changed INTEGER NOT NULL,"
    " digest BLOB NOT NULL, grey INTEGER NOT NULL) WITHOUT ROWID"
)
_FILE_NAMES = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()
"""How bytes become a name, as in `os.fsdecode`."""


class Seen(NamedTuple):
    """What one look at a file has shown."""

    size: int
    """Bytes."""
    changed: int
    """When it was written or put there, whichever is later: nanoseconds since 1970."""
    image: str | None
    """Content hash; None of a file that cannot be read."""
    grey: bool
    problem: str | None = None
    """Why it cannot be read."""


def file_mark(stat: os.stat_result) -> tuple[int, int]:
    """Return the size and the time of change, which differ when a file has been written to."""
    return stat.st_size, max(stat.st_mtime_ns, stat.st_ctime_ns)


def look_at(path: Path) -> Seen | None:
    """Read a file and return what is to be known of it; None if it vanished meanwhile."""
    try:
        for _ in range(TRIES):
            mark = file_mark(path.stat())
            seen = _read(path, mark)
            if file_mark(path.stat()) == mark:
                return seen
        return Seen(*mark, None, False, f"{path}: it changes while it is being read.")
    except FileNotFoundError:
        return None
    except OSError as error:
        return Seen(0, 0, None, False, str(error))


def _read(path: Path, mark: tuple[int, int]) -> Seen:
    try:
        data = read_image_file(path)
        *_, is_grey = header_of(data, str(path))
        return Seen(*mark, hashlib.sha256(data).hexdigest(), is_grey)
    except FileNotFoundError:
        raise
    except (DataCorruptError, OSError, MemoryError) as error:
        return Seen(*mark, None, False, str(error))


class FileIndex:
    """What earlier looks at a folder's files have shown; any number of threads may ask.

    A disk that is full or cannot be written is no reason to stop: one warning says that files are
    read again next time, and nothing is kept any more. A damaged index is begun anew.

    Parameters
    ----------
    folder : path
    cache_dir : path, optional
        Where indexes are kept; the user's cache if not given.
    """

    def __init__(
        self, folder: str | os.PathLike[str], cache_dir: str | os.PathLike[str] | None = None
    ) -> None:
        place = user_cache() if cache_dir is None else Path(cache_dir).expanduser()
        name = hashlib.sha256(os.fsencode(Path(folder).resolve())).hexdigest()[:32]
        self.path = place / "folders" / f"{name}.db"
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._open()
            except sqlite3.OperationalError:  # locked, read-only: not the file's fault
                raise
            except sqlite3.DatabaseError:
                self.close()
                self.path.unlink()
                self._open()
        except (sqlite3.Error, OSError) as error:
            self._give_up(error)

    def _open(self) -> None:
        self._connection = connection = sqlite3.connect(
            self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA synchronous = OFF")  # what a power cut damages is begun anew
        if _number(connection, "user_version") == 0:
            connection.execute("BEGIN IMMEDIATE")
            if _number(connection, "user_version") == 0:  # no other process was first
                connection.execute(_SCHEMA)
                connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {_VERSION}")
            connection.execute("COMMIT")
        kind = _number(connection, "application_id"), _number(connection, "user_version")
        if kind != (_APPLICATION_ID, _VERSION):
            raise sqlite3.DatabaseError("not an index of files")

    def known(self) -> dict[str, Seen]:
        """Return what was seen of each file, by its name below the folder; nearly sorted by name."""
        known: dict[str, Seen] = {}
        with self._lock:
            if self._connection is None:
                return known
            try:
                rows = self._connection.execute(
                    "SELECT name, size, changed, digest, grey FROM file ORDER BY name"
                )
                while part := rows.fetchmany(ROWS_AT_ONCE):
                    names, sizes, changes, digests, greys = zip(*part, strict=True)
                    seen = map(Seen, sizes, changes, map(bytes.hex, digests), map(bool, greys))
                    known.update(zip([n.decode(*_FILE_NAMES) for n in names], seen, strict=True))
            except (sqlite3.Error, AttributeError, TypeError) as error:  # damaged rows, too
                self._give_up(error)
        return known

    def keep(self, files: Mapping[str, Seen]) -> None:
        """Keep what was seen of some files, by name; those that cannot be read are tried again."""
        settled = time.time_ns() - SETTLED_NS
        rows = [
            (os.fsencode(name), seen.size, seen.changed, bytes.fromhex(seen.image), seen.grey)
            for name, seen in files.items()
            if seen.image is not None and seen.changed < settled
        ]
        self._write("INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?)", rows)

    def forget(self, names: Collection[str]) -> None:
        """Drop some files."""
        self._write("DELETE FROM file WHERE name = ?", [(os.fsencode(name),) for name in names])

    def _write(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        with self._lock:
            if self._connection is None or not rows:
                return
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                self._connection.executemany(statement, rows)
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                self._give_up(error)

    def close(self) -> None:
        """Close the file; nothing is kept any more."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _give_up(self, error: Exception) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
        warnings.warn(
            f"{self.path}: what is known of the files cannot be kept ({error}). All is well but "
            "that they are read again next time: make room, or name another place by "
            "$AL_TF_CACHE_DIR.",
            RuntimeWarning,
            stacklevel=3,
        )


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])

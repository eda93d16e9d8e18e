"""The file where features are kept: one SQLite database for all backbones and processes.

SQLite brings what a shared cache needs: locks between processes, transactions that a kill leaves
whole or undone, and quick look-ups. Its rollback journal is used, not its write-ahead log, because
home folders may lie on network disks, where the latter does not work. It does not wait for the disk:
a process that is killed loses nothing by that, and after a power cut, damage is noticed by SQLite or
by the checksum of each entry.

A database that turns out to be damaged is left to those who still have it open: the next one, whose
file name has the next number, takes its place.
"""

from __future__ import annotations

import re
import sqlite3
import time
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import DataCorruptError, StorageError
from ..files import storage_explained

DEFAULT_LIMIT = 4 << 30
"""Bytes; 800,000 images of 1,280 features."""
REFRESH_SECONDS = 600
"""How long an entry counts as just used, before its time of use is written again."""
BUSY_SECONDS = 60.0
_VERSION = 1
_PAGE_BYTES = 1 << 15
_FILL = 0.9
"""Fraction of the limit that is left when entries are dropped."""
_TYPICAL_BYTES = 8192
"""Bytes of an entry, roughly."""
_KEYS_A_QUERY = 500
_NAME = re.compile(r"features-(\d+)\.db")
_SCHEMA = """
CREATE TABLE backbone (
    id INTEGER PRIMARY KEY, fingerprint TEXT UNIQUE, label TEXT, dim INTEGER
);
CREATE TABLE image (
    id INTEGER PRIMARY KEY, backbone INTEGER, digest BLOB, used INTEGER, UNIQUE (backbone, digest)
);
CREATE TABLE features (id INTEGER PRIMARY KEY, checksum INTEGER, vector BLOB);
CREATE TABLE setting (name TEXT PRIMARY KEY, value INTEGER);
"""
_SOURCES = "CREATE TABLE IF NOT EXISTS source (name BLOB PRIMARY KEY, digest BLOB) WITHOUT ROWID"
"""Later than the other tables, and none of the versions before minds it."""


@dataclass(frozen=True)
class KeptFeatures:
    """What is kept for one backbone: its label, the number of images and of bytes, the last use."""

    label: str
    n_images: int
    n_bytes: int
    last_used: float


class FeatureDatabase:
    """An open database of features. Used by one thread; another opens it again.

    Parameters
    ----------
    folder : Path
        Made if it is not there.

    Raises
    ------
    StorageError
        The disk refuses it, or another process does not let go of it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            with storage_explained(folder):
                folder.mkdir(parents=True, exist_ok=True)
                number = max(_numbers(folder), default=1)
        except StorageError:
            raise
        except OSError as error:
            raise StorageError(f"{folder}: the folder cannot be made ({error}).") from error
        try:
            self._open(number)
        except DataCorruptError as error:
            self._open_next(number, error)

    def replace(self, error: DataCorruptError) -> None:
        """Go on with the next database, because this one turned out to be damaged."""
        self.close()
        self._open_next(self._number, error)

    def _open_next(self, number: int, error: DataCorruptError) -> None:
        warnings.warn(
            f"{error} A new one is begun; what was in it is computed again.",
            RuntimeWarning,
            stacklevel=2,
        )
        self._open(number + 1)

    def _open(self, number: int) -> None:
        self._number = number
        self.path = self._folder / f"features-{number}.db"
        with self._explained():
            self._connection = sqlite3.connect(
                self.path, timeout=BUSY_SECONDS, isolation_level=None
            )
        try:
            with self._explained():
                # What is there is opened without a write: the disk may be full or read-only.
                self._connection.execute("PRAGMA synchronous = OFF")
                if self._version() == 0:
                    self._connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
                    self._connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
                    self._create()
                if self._version() != _VERSION:
                    raise DataCorruptError(
                        f"{self.path}: not a database of features, or of another version of al_tf."
                    )
                if not self._has_sources():
                    self._connection.execute(_SOURCES)
            for other in _numbers(self._folder):
                if other < number:
                    with suppress(OSError):
                        (self._folder / f"features-{other}.db").unlink(missing_ok=True)
        except BaseException:
            self._connection.close()
            raise

    def _version(self) -> int:
        return self._connection.execute("PRAGMA user_version").fetchone()[0]

    def _has_sources(self) -> bool:
        query = "SELECT count(*) FROM sqlite_master WHERE name = 'source'"
        return self._connection.execute(query).fetchone()[0] == 1

    def _create(self) -> None:
        with self._writing():
            if self._version() == 0:  # no other process was first
                for statement in _SCHEMA.split(";"):
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA user_version = {_VERSION}")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> FeatureDatabase:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what SQLite raises into our errors."""
        try:
            yield
        except sqlite3.OperationalError as error:  # full, read-only, locked: not the file's fault
            if str(error).startswith("no such "):
                raise DataCorruptError(
                    f"{self.path}: the database is damaged ({error})."
                ) from error
            raise StorageError(f"{self.path}: features cannot be kept ({error}).") from error
        except sqlite3.DatabaseError as error:
            raise DataCorruptError(f"{self.path}: the database is damaged ({error}).") from error

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise

    def backbone_id(self, fingerprint: str, label: str, dim: int) -> int:
        """Return the number under which a backbone's features are kept."""
        with self._explained():
            row = self._connection.execute(
                "SELECT id FROM backbone WHERE fingerprint = ?", (fingerprint,)
            ).fetchone()
            if row is None:
                with self._writing():
                    self._connection.execute(
                        "INSERT OR IGNORE INTO backbone (fingerprint, label, dim) VALUES (?, ?, ?)",
                        (fingerprint, label, dim),
                    )
                return self.backbone_id(fingerprint, label, dim)
            return row[0]

    def read(
        self, backbone: int, keys: Sequence[bytes], dim: int, *, by_source: bool = False
    ) -> tuple[dict[bytes, np.ndarray], list[int]]:
        """Return the features kept for the keys, and the numbers of entries to `touch`.

        Entries whose checksum is wrong are passed over.

        Parameters
        ----------
        backbone : int
        keys : sequence of bytes
            Digests of images; with `by_source`, names of sources, see `write_sources`.
        dim : int
        by_source : bool
        """
        kept, stale = {}, []
        recent = time.time() - REFRESH_SECONDS
        key, tables = "digest", "image JOIN features USING (id)"
        if by_source:
            key, tables = "name", f"source JOIN {tables.replace(' JOIN', ' USING (digest) JOIN')}"
        for start in range(0, len(keys), _KEYS_A_QUERY):
            part = keys[start : start + _KEYS_A_QUERY]
            marks = ", ".join("?" * len(part))
            with self._explained():
                rows = self._connection.execute(
                    f"SELECT {key}, id, digest, used, checksum, vector FROM {tables} "
                    f"WHERE backbone = ? AND {key} IN ({marks})",
                    (backbone, *part),
                ).fetchall()
            for name, entry, digest, used, checksum, vector in rows:
                if _checksum(digest, vector) == checksum and len(vector) == 4 * dim:
                    kept[name] = np.frombuffer(vector, "<f4")
                    if used < recent:
                        stale.append(entry)
        return kept, stale

    def write_sources(self, names: Sequence[bytes], digests: Sequence[bytes]) -> None:
        """Keep which image each of some files gives, so that it need not be read to know that.

        Parameters
        ----------
        names : sequence of bytes
            Each of a file's content and the way it is brought to the pixels that a network sees.
        digests : sequence of bytes
            Of these pixels.
        """
        with self._explained(), self._writing():
            self._connection.executemany(
                "INSERT OR REPLACE INTO source VALUES (?, ?)", zip(names, digests, strict=True)
            )

    def write(
        self, backbone: int, digests: Sequence[bytes], features: np.ndarray, since: float
    ) -> bool:
        """Keep features in one transaction, and drop the ones unused for longest over the limit.

        Parameters
        ----------
        backbone : int
        digests : sequence of bytes
        features : ndarray of float32 (n, dim)
        since : float
            Entries used since then are not dropped (seconds since 1970).

        Returns
        -------
        bool
            Whether there was room.
        """
        now = int(time.time())
        with self._explained(), self._writing():
            if not self._make_room(features.nbytes, since):
                return False
            for digest, row in zip(digests, features, strict=True):
                vector = row.astype("<f4").tobytes()
                self._connection.execute(
                    "INSERT INTO image (backbone, digest, used) VALUES (?, ?, ?) "
                    "ON CONFLICT (backbone, digest) DO UPDATE SET used = excluded.used",
                    (backbone, digest, now),
                )
                self._connection.execute(
                    "INSERT OR REPLACE INTO features SELECT id, ?, ? FROM image "
                    "WHERE backbone = ? AND digest = ?",
                    (_checksum(digest, vector), vector, backbone, digest),
                )
        return True

    def touch(self, entries: Sequence[int]) -> None:
        """Note that entries were used now."""
        now = int(time.time())
        with self._explained(), self._writing():
            self._connection.executemany(
                "UPDATE image SET used = ? WHERE id = ?", [(now, entry) for entry in entries]
            )

    def _make_room(self, n_bytes: int, since: float) -> bool:
        """Within a transaction, drop old entries if `n_bytes` more would exceed the limit."""
        limit = self.limit
        if self.n_bytes + n_bytes <= limit:
            return True
        while (excess := self.n_bytes + n_bytes - int(_FILL * limit)) > 0:
            oldest = self._connection.execute(
                "SELECT id FROM image WHERE used < ? ORDER BY used, id LIMIT ?",
                (since, 1 + excess // _TYPICAL_BYTES),
            ).fetchall()
            if not oldest:
                break
            self._connection.executemany("DELETE FROM image WHERE id = ?", oldest)
            self._connection.executemany("DELETE FROM features WHERE id = ?", oldest)
            self._connection.execute(
                "DELETE FROM source WHERE digest NOT IN (SELECT digest FROM image)"
            )
        return self.n_bytes + n_bytes <= limit

    @property
    def n_bytes(self) -> int:
        """Bytes of the file that are in use."""
        pages, free = (
            self._connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count")
        )
        return (pages - free) * _PAGE_BYTES

    @property
    def limit(self) -> int:
        """Bytes that the file may use; the entries unused for longest are dropped beyond it."""
        row = self._connection.execute("SELECT value FROM setting WHERE name = 'limit'").fetchone()
        return DEFAULT_LIMIT if row is None else row[0]

    def set_limit(self, n_bytes: int) -> None:
        """Set the limit for all processes from now on, and drop what exceeds it."""
        with self._explained():
            with self._writing():
                self._connection.execute(
                    "INSERT OR REPLACE INTO setting VALUES ('limit', ?)", (n_bytes,)
                )
                self._make_room(0, time.time() + 1)
            self._connection.executescript("PRAGMA incremental_vacuum")  # execute() frees one page

    def contents(self) -> list[KeptFeatures]:
        """Return what is kept for each backbone."""
        with self._explained():
            rows = self._connection.execute(
                "SELECT label, count(*), 4 * dim * count(*), max(used) FROM backbone "
                "JOIN image ON backbone = backbone.id GROUP BY backbone.id ORDER BY label"
            ).fetchall()
        return [KeptFeatures(*row) for row in rows]

    def clear(self) -> None:
        """Drop all features and give their disk space back, on a full disk too."""
        with self._explained():
            self._connection.execute("PRAGMA journal_mode = MEMORY")  # it needs no room then
            with self._writing():
                for table in ("features", "image", "backbone", "source"):
                    self._connection.execute(f"DELETE FROM {table}")
            self._connection.executescript("PRAGMA incremental_vacuum")  # execute() frees one page


def _checksum(digest: bytes, vector: bytes) -> int:
    """Return what proves that a vector is whole, and that of this image."""
    return zlib.crc32(vector, zlib.crc32(digest))


def _numbers(folder: Path) -> list[int]:
    matches = (_NAME.fullmatch(path.name) for path in folder.glob("features-*.db"))
    return [int(match.group(1)) for match in matches if match]

"""The ledger's file: how it is opened, shared by threads and processes, and what can go wrong."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from ...errors import LedgerError
from .schema import APPLICATION_ID, VERSION, migrate, version_of

BUSY_SECONDS = 30.0
REFUSED = (sqlite3.Error, UnicodeDecodeError)  # the second from damaged text, in messages too


class LedgerFile:
    """One SQLite connection for all threads of a process, opened anew in a forked one.

    Parameters
    ----------
    path : Path
    synchronous : str
        ``"FULL"`` or ``"NORMAL"``, see `LabelLedger`.
    read_only : bool
    """

    def __init__(self, path: Path, synchronous: str, read_only: bool) -> None:
        self.path, self.synchronous, self.read_only = path, synchronous, read_only
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._pid = 0

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Hold the connection; what SQLite raises becomes a `LedgerError`."""
        with self._lock:
            if self._connection is None or self._pid != os.getpid():  # never carried over a fork
                self._connection = open_ledger(self.path, self.synchronous, self.read_only)
                self._pid = os.getpid()
            try:
                yield self._connection
            except REFUSED as error:
                raise explained(error, self.path) from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Hold the connection in a transaction that no other writer is in; commit it at the end."""
        with self.reading() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the connection; the next use opens it again."""
        with self._lock:
            if self._connection is not None and self._pid == os.getpid():
                self._connection.close()
            self._connection = None


@contextmanager
def one_moment(connection: sqlite3.Connection) -> Iterator[None]:
    """Let several queries see the ledger as it was at one moment."""
    if connection.in_transaction:  # of a writer: nobody else changes anything
        yield
        return
    connection.execute("BEGIN")
    try:
        yield
    finally:
        if connection.in_transaction:
            connection.execute("COMMIT")


def open_ledger(path: Path, synchronous: str, read_only: bool) -> sqlite3.Connection:
    """Open a ledger, creating or migrating it where that is allowed.

    Raises
    ------
    LedgerError
        As in `LabelLedger`.
    """
    if not path.parent.is_dir():
        raise LedgerError(f"{path}: there is no folder {path.parent} to keep a ledger in.")
    try:
        connection = _connect(path, read_only)
    except REFUSED as error:
        raise explained(error, path) from error
    try:
        _check_kind(connection, path)
        if not read_only:
            _prepare(connection, path, synchronous)
        elif version_of(connection) < VERSION:
            connection = _migrated_copy(connection)
    except REFUSED as error:
        connection.close()
        raise explained(error, path) from error
    except BaseException:
        connection.close()
        raise
    return connection


def explained(error: sqlite3.Error | UnicodeDecodeError, path: Path) -> LedgerError:
    """Return what SQLite refused as an error that says what to do."""
    text = str(error).lower()
    if "readonly" in text or "read-only" in text:
        advice = "it cannot be written. Make the file and its folder writable, or open it with read_only=True"
    elif "unable to open" in text:
        advice = "it cannot be opened. Check that the file and its folder exist and may be written"
    elif "not a database" in text:
        advice = "it is not a label ledger. Name another file"
    elif "locked" in text or "busy" in text:
        advice = "another process has kept it locked for too long. Close that process and try again"
    elif "malformed" in text or isinstance(error, UnicodeDecodeError):
        advice = "the file is damaged. Restore a copy, or salvage it with `sqlite3 FILE .recover`"
    elif "full" in text:
        advice = "the disk is full. Nothing was recorded; make room and label again"
    else:
        advice = "the database refused"
    return LedgerError(f"{path}: {advice} (SQLite: {error}).")


def _connect(path: Path, read_only: bool) -> sqlite3.Connection:
    def connect(query: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"file:{quote(str(path.absolute()))}?{query}",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            version_of(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    if path.is_dir():
        raise LedgerError(f"{path} is a folder. A ledger is a file: name one, in it or elsewhere.")
    if not read_only:
        return connect("mode=rwc")
    if not path.is_file():
        raise LedgerError(f"{path}: there is no such ledger.")
    try:
        return connect("mode=ro")
    except sqlite3.OperationalError:
        if Path(f"{path}-wal").exists():
            raise
        return connect("immutable=1")  # where the log's side files cannot be made: a read-only disk


def _check_kind(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("BEGIN")  # both from one moment: another process may be creating it
    kind = connection.execute("PRAGMA application_id").fetchone()[0]
    tables = connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
    connection.execute("COMMIT")
    if kind != APPLICATION_ID and (kind or tables):
        raise LedgerError(f"{path}: it is a database, but not a label ledger. Name another file.")
    if version_of(connection) > VERSION:
        raise LedgerError(
            f"{path}: it has schema version {version_of(connection)}, written by a newer al_tf; "
            f"this one knows versions up to {VERSION}. Update al_tf to open it."
        )


def _migrated_copy(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Return a ledger of an older version as a current one in memory; the file stays as it is."""
    copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.backup(copy)
    connection.close()
    migrate(copy)
    copy.execute("PRAGMA query_only = ON")
    return copy


def _prepare(connection: sqlite3.Connection, path: Path, synchronous: str) -> None:
    mode = _write_ahead(connection)
    if mode != "wal":
        raise LedgerError(
            f"{path}: its disk does not allow SQLite's write-ahead log (journal mode {mode!r}). "
            "Keep the ledger on a local disk."
        )
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("PRAGMA foreign_keys = ON")
    if version_of(connection) < VERSION:
        migrate(connection)


def _write_ahead(connection: sqlite3.Connection) -> str:
    """Switch the journal to the write-ahead log, and return the mode it is in then.

    SQLite does not wait for other processes that switch a new file at the same time: we do.
    """
    give_up = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            return str(connection.execute("PRAGMA journal_mode = WAL").fetchone()[0])
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > give_up:
                raise
            time.sleep(0.01)

"""The ledger's tables, and how an older file becomes a current one."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from urllib.parse import quote

from ..errors import LedgerError

APPLICATION_ID = 0x616C7466  # "altf": marks the file as a ledger of this package

_VERSION_1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE slots (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    image TEXT NOT NULL,
    annotator TEXT NOT NULL,
    purpose TEXT NOT NULL CHECK (purpose IN ('query', 'audit', 'repeat')),
    round INTEGER NOT NULL,
    position INTEGER NOT NULL,
    batch INTEGER NOT NULL,
    strategy TEXT NOT NULL,
    score REAL,
    expires REAL NOT NULL,
    released INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX slots_by_image ON slots (image);
CREATE INDEX slots_by_annotator ON slots (annotator, released);

CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('label', 'skip', 'relabel', 'undo')),
    image TEXT NOT NULL,
    name TEXT NOT NULL,
    label TEXT,
    annotator TEXT NOT NULL,
    seconds REAL NOT NULL CHECK (seconds >= 0),
    purpose TEXT NOT NULL CHECK (purpose IN ('query', 'audit', 'repeat', 'import')),
    round INTEGER NOT NULL,
    strategy TEXT NOT NULL,
    score REAL,
    time TEXT NOT NULL,
    slot INTEGER REFERENCES slots (id),
    undoes INTEGER UNIQUE REFERENCES events (id),
    CHECK ((label IS NOT NULL) = (kind IN ('label', 'relabel'))),
    CHECK ((undoes IS NOT NULL) = (kind = 'undo'))
);
CREATE INDEX events_by_image ON events (image);
CREATE INDEX events_by_slot ON events (slot) WHERE slot IS NOT NULL;

CREATE TRIGGER events_are_never_changed BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: events are never changed'); END;
CREATE TRIGGER events_are_never_deleted BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: events are never deleted'); END;

CREATE VIEW standing AS
SELECT * FROM events AS e
WHERE kind != 'undo' AND NOT EXISTS (SELECT 1 FROM events AS u WHERE u.undoes = e.id);

CREATE VIEW open_slots AS
SELECT * FROM slots AS s
WHERE NOT released AND NOT EXISTS (SELECT 1 FROM standing AS e WHERE e.slot = s.id);
"""

_VERSION_2 = """
CREATE TABLE rounds (
    round INTEGER PRIMARY KEY AUTOINCREMENT,
    annotator TEXT NOT NULL,
    labels INTEGER NOT NULL,
    minutes REAL NOT NULL,
    seconds REAL NOT NULL,
    audited INTEGER NOT NULL,
    correct INTEGER NOT NULL,
    kappa REAL,
    uncertainty REAL NOT NULL,
    time TEXT NOT NULL
);
"""

MIGRATIONS = (_VERSION_1, _VERSION_2)
"""Script n brings a ledger from version n to n + 1; a new ledger runs them all."""

VERSION = len(MIGRATIONS)


def version_of(connection: sqlite3.Connection) -> int:
    """Return the schema version of a ledger; 0 of an empty file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a ledger to `VERSION` in one transaction, by whichever process comes first."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for number in range(version_of(connection), VERSION):
            for statement in _statements(MIGRATIONS[number]):
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _statements(script: str) -> list[str]:
    """Split a script; `executescript` would commit the transaction it runs in."""
    statements, rest = [], ""
    for line in script.splitlines(keepends=True):
        rest += line
        if sqlite3.complete_statement(rest):
            statements.append(rest)
            rest = ""
    return statements


def open_ledger(
    path: Path, synchronous: str, read_only: bool, busy_seconds: float
) -> sqlite3.Connection:
    """Open a ledger, creating or migrating it where that is allowed.

    Raises
    ------
    LedgerError
        As in `LabelLedger`.
    """
    if not path.parent.is_dir():
        raise LedgerError(f"{path}: there is no folder {path.parent} to keep a ledger in.")
    try:
        connection = _connect(path, read_only, busy_seconds)
    except sqlite3.Error as error:
        raise worded(error, path) from error
    try:
        _check_kind(connection, path)
        if read_only:
            _check_version_to_read(connection, path)
        else:
            _prepare(connection, path, synchronous)
    except sqlite3.Error as error:
        connection.close()
        raise worded(error, path) from error
    except BaseException:
        connection.close()
        raise
    return connection


def worded(error: sqlite3.Error, path: Path) -> LedgerError:
    """Return the error in words that say what to do."""
    text = str(error).lower()
    if "readonly" in text or "read-only" in text:
        advice = "it cannot be written. Make the file and its folder writable, or open it with read_only=True"
    elif "unable to open" in text:
        advice = (
            "it cannot be opened. Check that the file and its folder exist and are yours to write"
        )
    elif "not a database" in text:
        advice = "it is not a label ledger. Name another file"
    elif "locked" in text or "busy" in text:
        advice = "another process has kept it locked for too long. Close that process and try again"
    elif "malformed" in text:
        advice = "the file is damaged. Restore a copy, or salvage it with `sqlite3 FILE .recover`"
    elif "full" in text:
        advice = "the disk is full. Nothing was recorded; make room and label again"
    else:
        advice = "the database refused"
    return LedgerError(f"{path}: {advice} (SQLite: {error}).")


def _connect(path: Path, read_only: bool, busy_seconds: float) -> sqlite3.Connection:
    def connect(query: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"file:{quote(str(path.absolute()))}?{query}",
            uri=True,
            timeout=busy_seconds,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            version_of(connection)
        except BaseException:
            connection.close()
            raise
        return connection

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
    kind = connection.execute("PRAGMA application_id").fetchone()[0]
    tables = connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
    if kind != APPLICATION_ID and (kind or tables):
        raise LedgerError(f"{path}: it is a database, but not a label ledger. Name another file.")
    if version_of(connection) > VERSION:
        raise LedgerError(
            f"{path}: it has schema version {version_of(connection)}, written by a newer al_tf; "
            f"this one knows versions up to {VERSION}. Update al_tf to open it."
        )


def _check_version_to_read(connection: sqlite3.Connection, path: Path) -> None:
    if version_of(connection) < VERSION:
        raise LedgerError(
            f"{path}: it has the older schema version {version_of(connection)} and is opened for "
            f"reading alone. Open it once for writing, to bring it to version {VERSION}."
        )


def _prepare(connection: sqlite3.Connection, path: Path, synchronous: str) -> None:
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise LedgerError(
            f"{path}: its disk does not allow SQLite's write-ahead log (journal mode {mode!r}). "
            "Keep the ledger on a local disk."
        )
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("PRAGMA foreign_keys = ON")
    if version_of(connection) < VERSION:
        migrate(connection)

"""The ledger's tables and views, and how an older file becomes a current one.

Views say what holds now; no other place decides it:

- ``undoable``: the events that no undo has taken back. Of these, ``standing`` are those about
  images, ``class_changes`` those about classes.
- ``class_roots``: which class each merged one counts as. Events name a class by the name that it
  had first.
- ``answers``: the event that counts for each image, its last standing one that is neither a repeat
  nor a second opinion; an image whose last one is a ``clear`` has no answer. While a second opinion
  is another class, the image is in dispute: the event has no label there, so that neither counts.
  A relabel was made with the second opinions before it in sight, and settles them.
- ``open_slots``: the places in the queue that still wait for an answer; of an image that was set
  aside again, after its answer was cleared, the last one alone. A second opinion waits while
  somebody else's label counts.
"""

from __future__ import annotations

import sqlite3

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
WHERE NOT released AND NOT EXISTS (SELECT 1 FROM standing AS e WHERE e.slot = s.id)
AND (purpose = 'repeat' OR NOT EXISTS (
    SELECT 1 FROM standing AS e WHERE e.image = s.image AND e.purpose != 'repeat'));
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

_VERSION_3 = """
CREATE VIEW answers AS
SELECT * FROM standing AS e
WHERE purpose != 'repeat' AND NOT EXISTS (
    SELECT 1 FROM standing AS later
    WHERE later.image = e.image AND later.purpose != 'repeat' AND later.id > e.id);

DROP VIEW open_slots;
CREATE VIEW open_slots AS
SELECT * FROM slots AS s
WHERE NOT released AND NOT EXISTS (SELECT 1 FROM standing AS e WHERE e.slot = s.id)
AND (purpose = 'repeat' OR NOT EXISTS (SELECT 1 FROM answers AS a WHERE a.image = s.image));
"""

# SQLite cannot change a table's checks: the events move to a new table of that name.
_VERSION_4 = """
DROP VIEW open_slots;
DROP VIEW answers;
DROP VIEW standing;

CREATE TABLE new_events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('label', 'skip', 'relabel', 'clear', 'undo')),
    image TEXT NOT NULL,
    name TEXT NOT NULL,
    label TEXT,
    annotator TEXT NOT NULL,
    seconds REAL NOT NULL CHECK (seconds >= 0),
    purpose TEXT NOT NULL CHECK (purpose IN ('query', 'audit', 'repeat', 'import', 'bulk')),
    round INTEGER NOT NULL,
    strategy TEXT NOT NULL,
    score REAL,
    time TEXT NOT NULL,
    slot INTEGER REFERENCES slots (id),
    undoes INTEGER UNIQUE REFERENCES new_events (id),
    action INTEGER,
    CHECK ((label IS NOT NULL) = (kind IN ('label', 'relabel'))),
    CHECK ((undoes IS NOT NULL) = (kind = 'undo'))
);
INSERT INTO new_events SELECT *, NULL FROM events;
DROP TABLE events;
ALTER TABLE new_events RENAME TO events;
CREATE INDEX events_by_image ON events (image);
CREATE INDEX events_by_slot ON events (slot) WHERE slot IS NOT NULL;
CREATE INDEX events_by_action ON events (action) WHERE action IS NOT NULL;

CREATE TRIGGER events_are_never_changed BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: events are never changed'); END;
CREATE TRIGGER events_are_never_deleted BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: events are never deleted'); END;

CREATE VIEW standing AS
SELECT * FROM events AS e
WHERE kind != 'undo' AND NOT EXISTS (SELECT 1 FROM events AS u WHERE u.undoes = e.id);

CREATE VIEW answers AS
SELECT * FROM standing AS e
WHERE purpose != 'repeat' AND kind != 'clear' AND NOT EXISTS (
    SELECT 1 FROM standing AS later
    WHERE later.image = e.image AND later.purpose != 'repeat' AND later.id > e.id);

CREATE VIEW open_slots AS
SELECT * FROM slots AS s
WHERE NOT released AND NOT EXISTS (SELECT 1 FROM standing AS e WHERE e.slot = s.id)
AND (purpose = 'repeat' OR NOT (
    EXISTS (SELECT 1 FROM answers AS a WHERE a.image = s.image)
    OR EXISTS (
        SELECT 1 FROM slots AS later
        WHERE later.image = s.image AND later.id > s.id AND later.purpose != 'repeat')));
"""

_VERSION_5 = """
DROP VIEW open_slots;
DROP VIEW answers;
DROP VIEW standing;

CREATE TABLE new_slots (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    image TEXT NOT NULL,
    annotator TEXT NOT NULL,
    purpose TEXT NOT NULL CHECK (purpose IN ('query', 'audit', 'repeat', 'second')),
    round INTEGER NOT NULL,
    position INTEGER NOT NULL,
    batch INTEGER NOT NULL,
    strategy TEXT NOT NULL,
    score REAL,
    expires REAL NOT NULL,
    released INTEGER NOT NULL DEFAULT 0
);
INSERT INTO new_slots SELECT * FROM slots;

CREATE TABLE new_events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL
        CHECK (kind IN ('label', 'skip', 'relabel', 'settle', 'clear', 'undo', 'class_added',
            'class_renamed', 'class_merged', 'class_separated', 'class_removed', 'class_described')),
    image TEXT NOT NULL,
    name TEXT NOT NULL,
    label TEXT,
    annotator TEXT NOT NULL,
    seconds REAL NOT NULL CHECK (seconds >= 0),
    purpose TEXT NOT NULL
        CHECK (purpose IN ('query', 'audit', 'repeat', 'second', 'import', 'bulk', 'class')),
    round INTEGER NOT NULL,
    strategy TEXT NOT NULL,
    score REAL,
    time TEXT NOT NULL,
    slot INTEGER REFERENCES new_slots (id),
    undoes INTEGER UNIQUE REFERENCES new_events (id),
    action INTEGER,
    details TEXT,
    CHECK ((label IS NOT NULL) = (kind IN ('label', 'relabel', 'settle') OR kind LIKE 'class%')),
    CHECK ((undoes IS NOT NULL) = (kind = 'undo')),
    CHECK ((details IS NOT NULL) = (kind = 'class_described'))
);
INSERT INTO new_events SELECT *, NULL FROM events;
DROP TABLE events;
DROP TABLE slots;
ALTER TABLE new_slots RENAME TO slots;
ALTER TABLE new_events RENAME TO events;
CREATE INDEX slots_by_image ON slots (image);
CREATE INDEX slots_by_annotator ON slots (annotator, released);
CREATE INDEX events_by_image ON events (image);
CREATE INDEX events_by_slot ON events (slot) WHERE slot IS NOT NULL;
CREATE INDEX events_by_action ON events (action) WHERE action IS NOT NULL;
CREATE INDEX second_opinions_by_image ON events (image) WHERE purpose = 'second';
CREATE INDEX events_of_classes ON events (id) WHERE purpose = 'class';

CREATE TRIGGER events_are_never_changed BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: events are never changed'); END;
CREATE TRIGGER events_are_never_deleted BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: events are never deleted'); END;

CREATE VIEW undoable AS
SELECT * FROM events AS e
WHERE kind != 'undo' AND NOT EXISTS (SELECT 1 FROM events AS u WHERE u.undoes = e.id);

CREATE VIEW standing AS SELECT * FROM undoable WHERE purpose != 'class';

CREATE VIEW class_changes AS SELECT * FROM undoable WHERE purpose = 'class';

CREATE VIEW class_roots AS
WITH RECURSIVE merged (class, target) AS (
    SELECT label, name FROM class_changes AS c
    WHERE kind = 'class_merged' AND NOT EXISTS (
        SELECT 1 FROM class_changes AS later
        WHERE later.label = c.label AND later.id > c.id
        AND later.kind IN ('class_merged', 'class_separated', 'class_added'))
), chain (class, root) AS (
    SELECT class, target FROM merged
    UNION SELECT chain.class, merged.target FROM chain JOIN merged ON merged.class = chain.root
)
SELECT class, root FROM chain WHERE root NOT IN (SELECT class FROM merged);

CREATE VIEW answers AS
SELECT id, kind, image, name,
    CASE WHEN EXISTS (
        SELECT 1 FROM standing AS other
        WHERE other.image = e.image AND other.purpose = 'second' AND other.label != e.label
        AND other.annotator != e.annotator AND (e.kind = 'label' OR other.id > e.id)
        AND COALESCE((SELECT root FROM class_roots WHERE class = other.label), other.label)
        != COALESCE((SELECT root FROM class_roots WHERE class = e.label), e.label)
    ) THEN NULL ELSE label END AS label,
    annotator, seconds, purpose, round, strategy, score, time, slot, undoes, action, details
FROM standing AS e
WHERE purpose NOT IN ('repeat', 'second') AND kind != 'clear' AND NOT EXISTS (
    SELECT 1 FROM standing AS later
    WHERE later.image = e.image AND later.purpose NOT IN ('repeat', 'second')
    AND later.id > e.id);

CREATE VIEW open_slots AS
SELECT * FROM slots AS s
WHERE NOT released AND NOT EXISTS (SELECT 1 FROM standing AS e WHERE e.slot = s.id)
AND CASE purpose
    WHEN 'repeat' THEN 1
    WHEN 'second' THEN EXISTS (
        SELECT 1 FROM answers AS a
        WHERE a.image = s.image AND a.label IS NOT NULL AND a.annotator != s.annotator)
    ELSE NOT (
        EXISTS (SELECT 1 FROM answers AS a WHERE a.image = s.image)
        OR EXISTS (
            SELECT 1 FROM slots AS later
            WHERE later.image = s.image AND later.id > s.id
            AND later.purpose NOT IN ('repeat', 'second')))
    END;
"""

MIGRATIONS = (_VERSION_1, _VERSION_2, _VERSION_3, _VERSION_4, _VERSION_5)
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

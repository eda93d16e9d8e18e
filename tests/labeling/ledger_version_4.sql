-- A ledger of schema version 4, kept as it was: do not edit.
PRAGMA application_id = 1634497638;
PRAGMA user_version = 4;
BEGIN TRANSACTION;
CREATE TABLE "events" (
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
    undoes INTEGER UNIQUE REFERENCES "events" (id),
    action INTEGER,
    CHECK ((label IS NOT NULL) = (kind IN ('label', 'relabel'))),
    CHECK ((undoes IS NOT NULL) = (kind = 'undo'))
);
INSERT INTO "events" VALUES(1,'label','aa','a.png','good','ann',2.5,'query',0,'random',NULL,'2026-11-01T08:00:00.000+00:00',1,NULL,NULL);
INSERT INTO "events" VALUES(2,'label','bb','b.png','good','ann',1.5,'query',0,'random',NULL,'2026-11-01T08:00:00.000+00:00',2,NULL,NULL);
INSERT INTO "events" VALUES(3,'skip','cc','c.png',NULL,'ann',9.0,'query',0,'random',NULL,'2026-11-01T08:00:00.000+00:00',3,NULL,NULL);
INSERT INTO "events" VALUES(4,'undo','cc','c.png',NULL,'ann',0.0,'query',0,'random',NULL,'2026-11-01T08:00:00.000+00:00',3,3,NULL);
INSERT INTO "events" VALUES(5,'relabel','aa','a.png','defective','ann',1.0,'query',0,'random',NULL,'2026-11-01T08:00:00.000+00:00',NULL,NULL,NULL);
INSERT INTO "events" VALUES(6,'label','ee','e.png','good','ann',1.0,'audit',0,'',NULL,'2026-11-01T08:00:00.000+00:00',5,NULL,NULL);
INSERT INTO "events" VALUES(7,'label','bb','b.png','defective','ann',1.0,'repeat',0,'',NULL,'2026-11-01T08:00:00.000+00:00',6,NULL,NULL);
INSERT INTO "events" VALUES(8,'label','ff','f.png','good','bob',0.0,'bulk',0,'',NULL,'2026-11-26T13:11:47.904+00:00',NULL,NULL,8);
INSERT INTO "events" VALUES(9,'label','gg','g.png','good','bob',0.0,'bulk',0,'',NULL,'2026-11-26T13:11:47.904+00:00',NULL,NULL,8);
INSERT INTO "events" VALUES(10,'clear','ff','f.png',NULL,'bob',0.0,'bulk',0,'',NULL,'2026-11-26T13:11:47.928+00:00',NULL,NULL,10);
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "meta" VALUES('audit_share','0.1');
INSERT INTO "meta" VALUES('classes','["good", "defective"]');
INSERT INTO "meta" VALUES('seed','7');
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
INSERT INTO "rounds" VALUES(1,'ann',2,2.66666666666666662965e-01,1.0,1,1,NULL,0.5,'2026-11-01T08:00:00.000+00:00');
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
INSERT INTO "slots" VALUES(1,'aa','ann','query',0,1,5,'random',NULL,2000000000.0,0);
INSERT INTO "slots" VALUES(2,'bb','ann','query',0,2,5,'random',NULL,2000000000.0,0);
INSERT INTO "slots" VALUES(3,'cc','ann','query',0,3,5,'random',NULL,2000000000.0,0);
INSERT INTO "slots" VALUES(4,'dd','ann','query',0,4,5,'random',NULL,2000000000.0,0);
INSERT INTO "slots" VALUES(5,'ee','ann','audit',0,5,5,'random',NULL,2000000000.0,0);
INSERT INTO "slots" VALUES(6,'bb','ann','repeat',1,1,1,'random',NULL,2000000000.0,0);
CREATE INDEX slots_by_image ON slots (image);
CREATE INDEX slots_by_annotator ON slots (annotator, released);
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
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('rounds',1);
INSERT INTO "sqlite_sequence" VALUES('slots',6);
INSERT INTO "sqlite_sequence" VALUES('events',10);
COMMIT;

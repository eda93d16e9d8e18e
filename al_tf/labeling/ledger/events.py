"""`LabelLedger`: who said what about which image, and when; an SQLite file that only grows."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import LedgerError, StaleItemError, UnknownLabelError, check_one_of
from .file import LedgerFile
from .queue import Queue, has_answer, open_slot

if TYPE_CHECKING:
    import pandas as pd

IDLE_AFTER = 120.0


class Event(NamedTuple):
    """One line of the ledger; see `LabelLedger.history` for the fields."""

    id: int
    kind: str
    image: str
    name: str
    label: str | None
    annotator: str
    seconds: float
    purpose: str
    round: int
    strategy: str
    score: float | None
    time: str
    slot: int | None
    undoes: int | None


class LabelLedger:
    """An append-only record of labels in one SQLite file.

    Every label, skip, relabel and undo is an event. Events are never changed or deleted (the
    database itself refuses): an undo is a further event that names the one it takes back. Images
    are known by the hash of their content, so files may be renamed or moved.

    Any number of threads and processes may write at once. When a method that writes has returned,
    the event survives the death of the process (``kill -9``); with ``synchronous="FULL"``, the
    default, it also survives a power cut, as far as the disk does what it says. With
    ``"NORMAL"`` a power cut may take the last events, never the ledger's consistency, and writing
    is several times faster. The file must be on a local disk: SQLite's write-ahead log does not
    work over network file systems.

    Parameters
    ----------
    path : path
        The file; it is created if it is not there.
    synchronous : {"FULL", "NORMAL"}
        What a power cut may take, see above.
    read_only : bool
        Open for reading alone, also from a medium that cannot be written.

    Attributes
    ----------
    queue : Queue
        Which images are set aside for whom.

    Raises
    ------
    LedgerError
        The file cannot be opened or written, is no ledger, or comes from a newer version.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, synchronous: str = "FULL", read_only: bool = False
    ) -> None:
        check_one_of("synchronous", synchronous, ("FULL", "NORMAL"))
        self.path = Path(path)
        self.read_only = read_only
        self._file = LedgerFile(self.path, synchronous, read_only)
        self.queue = Queue(self._file)
        self._known: tuple[int | None, tuple[Event, ...]] = (None, ())
        with self._file.reading():  # what is wrong with the file is told now
            pass

    # What is settled once ---------------------------------------------------------------

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names, in order; empty before `fix_classes`."""
        return tuple(json.loads(self._meta("classes") or "[]"))

    def fix_classes(self, classes: Sequence[str]) -> tuple[str, ...]:
        """Settle the class names; later only further ones may be added at the end.

        Parameters
        ----------
        classes : sequence of str
            At least two, different, not blank. Any characters.

        Returns
        -------
        tuple of str
            The classes of the ledger.

        Raises
        ------
        ValueError
            For unusable names, or a list that does not begin with the classes already settled.
        """
        if isinstance(classes, str) or not all(isinstance(name, str) for name in classes):
            raise ValueError(f"classes must be a sequence of strings; got {classes!r}.")
        given = tuple(map(str, classes))  # numpy's strings, too, become plain ones
        if len(given) < 2 or len(set(given)) < len(given) or not all(n.strip() for n in given):
            raise ValueError(
                f"classes must be two or more different names that are not blank; got {given}."
            )
        with self._file.writing() as connection:
            known = tuple(json.loads(self._meta("classes") or "[]"))
            if given[: len(known)] != known:
                raise ValueError(
                    f"{self.path} was begun with the classes {list(known)}; got {list(given)}. "
                    "Use the same classes in the same order; new ones go to the end."
                )
            connection.execute(
                "INSERT OR REPLACE INTO meta VALUES ('classes', ?)", (json.dumps(given),)
            )
        return given

    def settle(self, key: str, value: Any) -> Any:
        """Store a setting unless it is there already, and return the one that is there.

        Parameters
        ----------
        key : str
            Its name.
        value : JSON-serialisable
            Taken by the first session that comes.
        """
        with self._file.writing() as connection:
            connection.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (key, json.dumps(value)))
            return json.loads(self._meta(key) or "null")

    # Writing ----------------------------------------------------------------------------

    def label(self, image: str, label: str, *, annotator: str, **details: Any) -> Event:
        """Record a label and return its event once it is on the disk.

        Parameters
        ----------
        image : str
            Content hash of the image.
        label : str
            One of `classes`, once these are fixed.
        annotator : str
            Who says so.
        **details
            ``name`` (of the file), ``seconds`` (spent on it), ``round``, ``strategy``, ``score``,
            ``purpose``, and ``slot``, the place in the queue that this answers.

        Returns
        -------
        Event

        Raises
        ------
        UnknownLabelError
            A label that is not one of the classes.
        StaleItemError
            The slot has been answered already or given to somebody else; or the image has a label
            already and this is no repeat. Nothing is recorded.
        """
        self.check_label(label)
        return self._answer("label", image, label, annotator, **details)

    def skip(self, image: str, *, annotator: str, **details: Any) -> Event:
        """Record that an annotator sets an image aside; arguments and errors as in `label`."""
        return self._answer("skip", image, None, annotator, **details)

    def relabel(
        self,
        image: str,
        label: str,
        *,
        annotator: str,
        name: str = "",
        seconds: float = 0.0,
        strategy: str = "",
    ) -> Event:
        """Record another label for an image that has one, or was set aside.

        It keeps the purpose of the answer before: an audit image stays one.

        Raises
        ------
        UnknownLabelError
            A label that is not one of the classes.
        LedgerError
            The image has neither a label nor a skip.
        """
        self.check_label(label)
        with self._file.writing() as connection:
            before = self._standing(connection, image)
            if before is None:
                raise LedgerError(f"Image {image} has no label yet: use label.")
            return self._append(
                connection, "relabel", image, label, annotator, name=name or before.name,
                seconds=seconds, purpose=before.purpose, round=before.round,
                strategy=strategy or before.strategy, score=before.score,
            )  # fmt: skip

    def undo(self, annotator: str) -> Event | None:
        """Take back an annotator's last standing event, and return that event.

        An answer's slot is open again afterwards, ahead of all later ones. Imported labels are
        not taken back.

        Returns
        -------
        Event or None
            The event undone; None where there is nothing to undo.
        """
        with self._file.writing() as connection:
            last = _one(
                Event,
                connection.execute(
                    "SELECT * FROM standing WHERE annotator = ? AND purpose != 'import'"
                    " ORDER BY id DESC LIMIT 1",
                    (annotator,),
                ),
            )
            if last is not None:
                self._append(
                    connection, "undo", last.image, None, annotator, name=last.name,
                    purpose=last.purpose, round=last.round, strategy=last.strategy,
                    slot=last.slot, undoes=last.id,
                )  # fmt: skip
            return last

    def _answer(
        self,
        kind: str,
        image: str,
        label: str | None,
        annotator: str,
        *,
        slot: int | None = None,
        purpose: str = "query",
        **details: Any,
    ) -> Event:
        with self._file.writing() as connection:
            if slot is not None:
                place = open_slot(connection, slot)
                if place is None or (place.image, place.annotator) != (image, annotator):
                    raise StaleItemError(stale_slot(slot, annotator))
                purpose = place.purpose
            elif purpose != "repeat" and has_answer(connection, image):
                raise StaleItemError(
                    f"Image {image} has an answer already; use relabel to change it. "
                    "Nothing was recorded."
                )
            return self._append(
                connection, kind, image, label, annotator, slot=slot, purpose=purpose, **details
            )

    def _append(
        self,
        connection: sqlite3.Connection,
        kind: str,
        image: str,
        label: str | None,
        annotator: str,
        *,
        name: str = "",
        seconds: float = 0.0,
        purpose: str = "query",
        round: int = 0,
        strategy: str = "",
        score: float | None = None,
        slot: int | None = None,
        undoes: int | None = None,
    ) -> Event:
        values = (
            kind, image, name, label, annotator, float(seconds), purpose, int(round), strategy,
            None if score is None else float(score), _now(), slot, undoes,
        )  # fmt: skip
        marks = ", ".join("?" * len(values))
        cursor = connection.execute(
            "INSERT INTO events (kind, image, name, label, annotator, seconds, purpose, round,"
            f" strategy, score, time, slot, undoes) VALUES ({marks})",
            values,
        )
        return Event(int(cursor.lastrowid or 0), *values)

    @staticmethod
    def _standing(connection: sqlite3.Connection, image: str) -> Event | None:
        return _one(
            Event,
            connection.execute(
                "SELECT * FROM standing WHERE image = ? AND purpose != 'repeat'"
                " ORDER BY id DESC LIMIT 1",
                (image,),
            ),
        )

    def check_label(self, label: str) -> None:
        """Raise `UnknownLabelError` for a label that is not one of the fixed classes."""
        classes = self.classes
        if classes and label not in classes:
            raise UnknownLabelError(
                f"Label {label!r} is not one of the classes {list(classes)} of {self.path}."
            )

    # Trained models ---------------------------------------------------------------------

    def add_round(
        self,
        *,
        annotator: str,
        labels: int,
        seconds: float,
        audited: int,
        correct: int,
        kappa: float | None,
        uncertainty: float,
    ) -> int:
        """Record that a model was trained, and return its number, from 1; see `rounds`."""
        with self._file.writing() as connection:
            minutes = sum(self.seconds().values()) / 60
            cursor = connection.execute(
                "INSERT INTO rounds (annotator, labels, minutes, seconds, audited, correct, kappa,"
                " uncertainty, time) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (annotator, labels, minutes, seconds, audited, correct, kappa, uncertainty, _now()),
            )
            return int(cursor.lastrowid or 0)

    def kappas(self, annotator: str) -> list[float]:
        """Return the agreement of each model of an annotator's sessions with the one before it."""
        with self._file.reading() as connection:
            rows = connection.execute(
                "SELECT kappa FROM rounds WHERE annotator = ? AND kappa IS NOT NULL ORDER BY round",
                (annotator,),
            )
            return [float(value) for (value,) in rows]

    def rounds(self) -> pd.DataFrame:
        """Return the models trained so far.

        Returns
        -------
        DataFrame
            ``round`` (from 1), ``annotator`` (in whose session), ``labels`` (trained on),
            ``minutes`` (spent labeling until then, by all), ``seconds`` (training and scoring
            took), ``audited`` and ``correct`` (audit images, and those of them that the model got
            right), ``kappa`` (agreement with the model before, on the pool), ``uncertainty`` (mean
            normalised entropy on the pool, 0 to 1), ``time`` (UTC).
        """
        return self._table("SELECT * FROM rounds ORDER BY round").astype({"kappa": float})

    # Reading ----------------------------------------------------------------------------

    def events(self) -> list[Event]:
        """Return every event, in the order in which they were recorded."""
        with self._file.reading() as connection:
            return list(map(Event._make, connection.execute("SELECT * FROM events ORDER BY id")))

    def answer(self, image: str) -> Event | None:
        """Return the event that counts for an image: its last standing one that is no repeat."""
        with self._file.reading() as connection:
            return self._standing(connection, image)

    def standing(self) -> tuple[Event, ...]:
        """Return the events that no undo has taken back, in order; undos are not among them."""
        with self._file.reading() as connection:
            last = connection.execute("SELECT MAX(id) FROM events").fetchone()[0]
            if last != self._known[0]:  # nothing changes but by a further event
                rows = connection.execute("SELECT * FROM standing ORDER BY id")
                self._known = last, tuple(map(Event._make, rows))
            return self._known[1]

    def seconds(self, idle_after: float = IDLE_AFTER) -> dict[str, float]:
        """Return the time that each annotator spent, undone work included.

        Parameters
        ----------
        idle_after : float
            Seconds that one event counts at most: who takes longer has left the desk.
        """
        with self._file.reading() as connection:
            rows = connection.execute(
                "SELECT annotator, SUM(MIN(seconds, ?)) FROM events GROUP BY annotator",
                (idle_after,),
            )
            return {annotator: float(total) for annotator, total in rows}

    def history(self) -> pd.DataFrame:
        """Return every event.

        Returns
        -------
        DataFrame
            In the order in which they were recorded, whatever the clock said: ``id``, ``kind``
            (label, skip, relabel, undo), ``image``, ``name``, ``label``, ``annotator``,
            ``seconds``, ``purpose`` (query, audit, repeat, import), ``round``, ``strategy``,
            ``score``, ``time`` (UTC), ``slot``, ``undoes`` (the id of an event), and ``undone``
            (whether an undo names it).
        """
        return self._table("SELECT *, EXISTS (SELECT 1 FROM events u WHERE u.undoes = e.id)"
                           " AS undone FROM events e ORDER BY id")  # fmt: skip

    def current(self) -> pd.DataFrame:
        """Return the present state: one row for each image that has a label or was set aside.

        Returns
        -------
        DataFrame
            The last standing event of each image that is no repeat, in the order of recording:
            columns as in `history`, without ``slot``, ``undoes`` and ``undone``. ``label`` is
            missing where ``kind`` is ``"skip"``.
        """
        table = self._table(
            "SELECT * FROM standing WHERE id IN (SELECT MAX(id) FROM standing"
            " WHERE purpose != 'repeat' GROUP BY image) ORDER BY id"
        )
        return table.drop(columns=["slot", "undoes", "undone"], errors="ignore")

    def _table(self, query: str) -> pd.DataFrame:
        import pandas as pd

        with self._file.reading() as connection:
            cursor = connection.execute(query)
            columns = [column[0] for column in cursor.description]
            table = pd.DataFrame(cursor.fetchall(), columns=columns)
        table["time"] = pd.to_datetime(table["time"], utc=True)
        integers = table.columns.intersection(["slot", "undoes"])
        table[integers] = table[integers].astype("Int64")
        if "undone" in table:
            table["undone"] = table["undone"].astype(bool)
        floats = table.columns.intersection(["seconds", "score"])
        table[floats] = table[floats].astype(float)
        return table

    def _meta(self, key: str) -> str | None:
        with self._file.reading() as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
            return None if row is None else row[0]

    # The connection ---------------------------------------------------------------------

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        self._file.close()

    def __enter__(self) -> LabelLedger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "synchronous": self._file.synchronous,
            "read_only": self.read_only,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        path = state.pop("path")
        LabelLedger.__init__(self, path, **state)

    def __repr__(self) -> str:
        return f"LabelLedger({str(self.path)!r})"


def _one(kind: Any, cursor: sqlite3.Cursor) -> Any:
    row = cursor.fetchone()
    return None if row is None else kind(*row)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def stale_slot(slot: int, annotator: str) -> str:
    """Return what to tell who answers a slot that no longer waits for their answer."""
    return (
        f"Slot {slot} is not waiting for an answer of {annotator!r}: it was answered already, or "
        "given to somebody else. Nothing was recorded."
    )

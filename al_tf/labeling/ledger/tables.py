"""What a ledger holds, read back: the answers that count, every event, the trained models."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import check_one_of
from .class_list import ClassList
from .event import Event
from .file import LedgerFile, one_moment
from .queue import Queue

if TYPE_CHECKING:
    import pandas as pd

IDLE_AFTER = 120.0
"""Seconds that one event counts at most in sums of time: a longer one holds a pause."""


class Snapshot(NamedTuple):
    """What holds at one moment, all labels under the present names of their classes."""

    standing: tuple[Event, ...]
    """See `LedgerReader.standing`."""
    answers: Mapping[str, Event]
    """See `LedgerReader.answers`."""
    classes: ClassList


class Training(NamedTuple):
    """One model that was trained; see `LedgerReader.rounds`."""

    round: int
    annotator: str
    labels: int
    minutes: float
    seconds: float
    audited: int
    correct: int
    kappa: float | None
    uncertainty: float
    time: str


class LedgerReader:
    """The half of `LabelLedger` that reads.

    Parameters
    ----------
    path, synchronous, read_only
        As in `LabelLedger`.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, synchronous: str = "FULL", read_only: bool = False
    ) -> None:
        check_one_of("synchronous", synchronous, ("FULL", "NORMAL"))
        self.path = Path(path)
        self.read_only = read_only
        self._file = LedgerFile(self.path, synchronous, read_only)
        self.queue = Queue(self._file)
        self._seen: tuple[int | None, str | None] | None = None
        self._snapshot = Snapshot((), MappingProxyType({}), ClassList(()))
        self._trainings: tuple[Training, ...] = ()
        with self._file.reading():  # a file that cannot be used is refused now
            pass

    # Settings ---------------------------------------------------------------------------

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes now, in order; empty before `fix_classes`."""
        return self.class_list.names

    @property
    def class_list(self) -> ClassList:
        """The classes now, with what they were called before and were merged from."""
        return self.snapshot().classes

    def check_classes(self, classes: Sequence[str]) -> tuple[str, ...]:
        """Return class names as plain strings, or raise what `LabelLedger.fix_classes` raises."""
        if isinstance(classes, str) or not all(isinstance(name, str) for name in classes):
            raise ValueError(f"classes must be a sequence of strings; got {classes!r}.")
        names = tuple(map(str, classes))  # numpy's strings, too, become plain ones
        if len(names) < 2 or len(set(names)) < len(names) or not all(n.strip() for n in names):
            raise ValueError(
                f"classes must be two or more different names that are not blank; got {names}."
            )
        known = self.class_list
        if not known.first or names in (known.first, known.identities):
            return known.names or names  # what they were called at the beginning
        if names[: len(known.names)] != known.names:
            begun = (
                f", and was begun with {list(known.first)}" if known.first != known.names else ""
            )
            raise ValueError(
                f"{self.path} has the classes {list(known.names)}{begun}; got {list(names)}. Leave "
                "them out, or give the same in the same order; new ones go to the end."
            )
        return (*known.names, *map(known.checked_name, names[len(known.names) :]))

    def check_label(self, label: str) -> None:
        """Raise `UnknownLabelError` for a label that is not one of the fixed classes.

        A name that a class had before, or that was merged away, is one.
        """
        self.class_list.identity(label)

    def setting(self, key: str) -> Any:
        """Return a stored setting, or None; see `LabelLedger.settle`."""
        return json.loads(self._meta(key) or "null")

    # Events -----------------------------------------------------------------------------

    def events(self) -> list[Event]:
        """Return every event, in the order in which they were recorded."""
        with self._file.reading() as connection:
            shown = read_class_list(connection).shown
            return list(map(shown, select_events(connection, "SELECT * FROM events ORDER BY id")))

    def standing(self) -> tuple[Event, ...]:
        """Return the events about images that no undo has taken back, in order, without undos."""
        return self.snapshot().standing

    def answers(self) -> Mapping[str, Event]:
        """Return the event that counts for each image with a label or a skip, in order.

        It is the image's last standing event that is neither a repeat nor a second opinion. An
        image whose last one is a clear has none. While an image is in dispute, see
        `Event.in_dispute`, its event has no label here: a second opinion differs from it, and
        neither counts before somebody settles it.
        """
        return self.snapshot().answers

    def answer(self, image: str) -> Event | None:
        """Return the event that counts for one image, see `answers`; None before its first."""
        with self._file.reading() as connection:
            event = current_answer(connection, image)
            return event and read_class_list(connection).shown(event)

    def last_event(self, annotator: str) -> Event | None:
        """Return what `LabelLedger.undo` of an annotator would take back; None where nothing is."""
        with self._file.reading() as connection:
            event = last_event(connection, annotator)
            return event and read_class_list(connection).shown(event)

    def snapshot(self) -> Snapshot:
        """Return what holds now; the same object while nothing has changed."""
        with self._file.reading() as connection, one_moment(connection):
            seen = connection.execute(
                "SELECT (SELECT MAX(id) FROM events),"
                " (SELECT value FROM meta WHERE key = 'classes')"
            ).fetchone()
            if seen != self._seen:  # nothing else changes what holds
                classes = read_class_list(connection)
                standing = select_events(connection, "SELECT * FROM standing ORDER BY id")
                answers = select_events(connection, "SELECT * FROM answers ORDER BY id")
                self._snapshot = Snapshot(
                    tuple(map(classes.shown, standing)),
                    MappingProxyType({e.image: classes.shown(e) for e in answers}),
                    classes,
                )
                self._seen = seen
            return self._snapshot

    def seconds(self, idle_after: float = IDLE_AFTER) -> dict[str, float]:
        """Return the time that each annotator spent, undone work included.

        Parameters
        ----------
        idle_after : float
            Seconds that one event counts at most: a longer one holds a pause.
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
            In the order in which they were recorded, whatever the clock showed: ``id``, ``kind``
            (label, skip, relabel, settle, clear, undo; class_added, class_renamed, class_merged,
            class_separated, class_removed, class_described), ``image``, ``name`` (of the file; of
            a class: its new name, or the class that it was merged into), ``label`` (under its
            present name), ``annotator``, ``seconds``, ``purpose`` (query, audit, repeat, second,
            import, bulk, class), ``round``, ``strategy``, ``score``, ``time`` (UTC), ``slot``,
            ``undoes`` (the id of an event), ``action`` (the same number for events recorded
            together), ``details`` (description, color and key of a class, JSON), and ``undone``
            (whether an undo names it).
        """
        return self._table(
            "SELECT *, EXISTS (SELECT 1 FROM events u WHERE u.undoes = e.id) AS undone"
            " FROM events e ORDER BY id"
        )

    def current(self) -> pd.DataFrame:
        """Return the present state: one row for each image with a label or a skip.

        Returns
        -------
        DataFrame
            The events of `answers`, in the order of recording: columns as in `history`, without
            ``slot``, ``undoes``, ``action``, ``details`` and ``undone``. ``label`` is missing where ``kind``
            is ``"skip"``, and of images in dispute.
        """
        table = self._table("SELECT * FROM answers ORDER BY id")
        return table.drop(columns=["slot", "undoes", "action", "details"])

    # Models -----------------------------------------------------------------------------

    def trainings(self) -> tuple[Training, ...]:
        """Return the models trained so far, in order; the same object while there is no other."""
        with self._file.reading() as connection:
            rows = connection.execute(
                "SELECT * FROM rounds WHERE round > ? ORDER BY round",
                (self._trainings[-1].round if self._trainings else 0,),
            ).fetchall()
            if rows:
                self._trainings += tuple(map(Training._make, rows))
            return self._trainings

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
        import pandas as pd

        table = pd.DataFrame(self.trainings(), columns=Training._fields).astype({"kappa": float})
        table["time"] = pd.to_datetime(table["time"], utc=True)
        return table

    # The connection ---------------------------------------------------------------------

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        self._file.close()

    def __getstate__(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "synchronous": self._file.synchronous,
            "read_only": self.read_only,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        path = state.pop("path")
        LedgerReader.__init__(self, path, **state)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    def _meta(self, key: str) -> str | None:
        with self._file.reading() as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
            return None if row is None else row[0]

    def _table(self, query: str) -> pd.DataFrame:
        import pandas as pd

        with self._file.reading() as connection:
            cursor = connection.execute(query)
            columns = [column[0] for column in cursor.description]
            table = pd.DataFrame(cursor.fetchall(), columns=columns)
            if "label" in table:
                _show_classes(table, read_class_list(connection))
        table["time"] = pd.to_datetime(table["time"], utc=True)
        integers = table.columns.intersection(["slot", "undoes", "action"])
        table[integers] = table[integers].astype("Int64")
        if "undone" in table:
            table["undone"] = table["undone"].astype(bool)
        floats = table.columns.intersection(["seconds", "score"])
        table[floats] = table[floats].astype(float)
        return table


def select_events(
    connection: sqlite3.Connection, query: str, values: tuple[Any, ...] = ()
) -> list[Event]:
    """Return the events of a query on ``events`` or one of its views."""
    return [Event._make(row) for row in connection.execute(query, values)]


def read_class_list(connection: sqlite3.Connection) -> ClassList:
    """Return the classes as they are now."""
    row = connection.execute("SELECT value FROM meta WHERE key = 'classes'").fetchone()
    changes = select_events(connection, "SELECT * FROM class_changes ORDER BY id")
    return ClassList(json.loads(row[0]) if row else (), changes)


def _show_classes(table: pd.DataFrame, classes: ClassList) -> None:
    """Put the present names of classes in a table of events; as `ClassList.shown`."""
    of_classes = table["kind"].str.startswith("class_")
    table["label"] = [
        (classes.own_name if own else classes.name_of)(label) if isinstance(label, str) else label
        for label, own in zip(table["label"], of_classes, strict=True)
    ]
    merges = table["kind"] == "class_merged"
    table["name"] = table["name"].where(~merges, table["name"].map(classes.own_name))


def current_answer(connection: sqlite3.Connection, image: str) -> Event | None:
    """Return the event that counts for an image, as it is in the file, or None."""
    events = select_events(connection, "SELECT * FROM answers WHERE image = ?", (image,))
    return events[0] if events else None


def last_event(connection: sqlite3.Connection, annotator: str) -> Event | None:
    """Return what an undo of an annotator would take back, or None."""
    events = select_events(
        connection,
        "SELECT * FROM undoable WHERE annotator = ?"
        " AND (purpose != 'import' OR kind IN ('relabel', 'clear'))"
        " AND NOT (purpose = 'repeat' AND strategy LIKE 'label-studio %') ORDER BY id DESC LIMIT 1",
        (annotator,),
    )
    return events[0] if events else None

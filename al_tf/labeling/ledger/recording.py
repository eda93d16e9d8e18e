"""`LedgerRecorder`: how one event gets into the ledger, and what is refused."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timezone
from typing import Any

from ...errors import StaleItemError
from .event import MEASUREMENTS, Event
from .queue import open_slot
from .tables import LedgerReader, current_answer, read_class_list


class LedgerRecorder(LedgerReader):
    """The half of `LabelLedger` that appends; parameters as there."""

    def _undo(
        self,
        connection: sqlite3.Connection,
        event: Event,
        annotator: str,
        action: int | None = None,
    ) -> None:
        self._append(
            connection, "undo", event.image, None, annotator, name=event.name,
            purpose=event.purpose, round=event.round, strategy=event.strategy,
            slot=event.slot, undoes=event.id, action=action,
        )  # fmt: skip

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
            classes = read_class_list(connection)
            identity = None if label is None else classes.identity(label)
            if slot is not None:
                place = open_slot(connection, slot)
                if place is None or (place.image, place.annotator) != (image, annotator):
                    raise StaleItemError(stale_slot_message(slot, annotator))
                purpose = place.purpose
            elif purpose not in MEASUREMENTS and current_answer(connection, image) is not None:
                raise StaleItemError(
                    f"Image {image} has an answer already; use relabel to change it. "
                    "Nothing was recorded."
                )
            event = self._append(
                connection, kind, image, identity, annotator, slot=slot, purpose=purpose, **details
            )
            return classes.shown(event)

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
        action: int | None = None,
        details: str | None = None,
    ) -> Event:
        """Write an event and return it as it is in the file: `label` names a class for ever."""
        values = (
            kind, image, name, label, annotator, float(seconds), purpose, int(round), strategy,
            None if score is None else float(score), now(), slot, undoes,
            action, details,
        )  # fmt: skip
        marks = ", ".join("?" * len(values))
        cursor = connection.execute(
            "INSERT INTO events (kind, image, name, label, annotator, seconds, purpose, round,"
            f" strategy, score, time, slot, undoes, action, details) VALUES ({marks})",
            values,
        )
        return Event(int(cursor.lastrowid or 0), *values)


def now() -> str:
    """Return the time as events hold it: UTC, to the millisecond."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def next_id(connection: sqlite3.Connection) -> int:
    """Return the id of the next event; it numbers those that are recorded together."""
    return int(connection.execute("SELECT COALESCE(MAX(id), 0) + 1 FROM events").fetchone()[0])


def stale_slot_message(slot: int, annotator: str) -> str:
    """Return the message for an answer to a slot that does not wait for this annotator."""
    return (
        f"Slot {slot} is not waiting for an answer by {annotator!r}: it was answered already, or "
        "given to somebody else. Nothing was recorded."
    )

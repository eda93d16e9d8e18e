"""The queue of a ledger: which images are set aside for whom, in which order they are shown."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass

from .file import LedgerFile


@dataclass(frozen=True)
class Slot:
    """An image set aside for one annotator, in the order in which they are to see it."""

    id: int
    image: str
    annotator: str
    purpose: str
    """``"query"`` (chosen by the strategy), ``"audit"`` (drawn at random) or ``"repeat"``."""
    round: int
    position: int
    batch: int
    strategy: str
    score: float | None
    expires: float
    """Seconds since 1970; after that another annotator may be given the image."""
    released: int


@dataclass(frozen=True)
class Wish:
    """An image that a session would like to set aside."""

    image: str
    purpose: str
    strategy: str
    score: float | None = None


class Queue:
    """Images set aside for annotators, kept in the ledger's file so that a crash loses none.

    Parameters
    ----------
    file : LedgerFile
    """

    def __init__(self, file: LedgerFile) -> None:
        self._file = file

    def claim(
        self,
        wishes: Sequence[Wish],
        n: int,
        *,
        annotator: str,
        round: int,
        lease_seconds: float,
    ) -> list[Slot]:
        """Set images aside for one annotator, so that nobody else is shown them.

        Parameters
        ----------
        wishes : sequence of Wish
            In the order of preference. Those that have an answer, or are set aside for somebody
            whose lease has not run out, are passed over; a repeat needs an answer instead.
        n : int
            How many to set aside at most.
        annotator : str
            For whom.
        round : int
            Number of models trained so far.
        lease_seconds : float
            How long nobody else may have them, counted from now and anew from each answer.

        Returns
        -------
        list of Slot
            `n`, or fewer where the wishes run out.
        """
        with self._file.writing() as connection:
            now = time.time()
            chosen: list[Wish] = []
            for wish in wishes:
                if len(chosen) == n:
                    break
                if _is_free(connection, wish, annotator, now):
                    chosen.append(wish)
            for position, wish in enumerate(chosen, 1):
                connection.execute(
                    "UPDATE slots SET released = 1 WHERE image = ? AND id IN"
                    " (SELECT id FROM open_slots WHERE image = ?)",
                    (wish.image, wish.image),
                )
                connection.execute(
                    "INSERT INTO slots (image, annotator, purpose, round, position, batch,"
                    " strategy, score, expires) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        wish.image, annotator, wish.purpose, round, position, len(chosen),
                        wish.strategy, None if wish.score is None else float(wish.score),
                        now + lease_seconds,
                    ),
                )  # fmt: skip
            return _waiting(connection, annotator)

    def waiting(self, annotator: str, *, lease_seconds: float | None = None) -> list[Slot]:
        """Return what is set aside for an annotator, in order; optionally renew the leases."""
        if lease_seconds is None:
            with self._file.reading() as connection:
                return _waiting(connection, annotator)
        with self._file.writing() as connection:
            connection.execute(
                "UPDATE slots SET expires = ? WHERE id IN"
                " (SELECT id FROM open_slots WHERE annotator = ?)",
                (time.time() + lease_seconds, annotator),
            )
            return _waiting(connection, annotator)

    def release(self, slot: int) -> None:
        """Give up a slot without an answer: its image cannot be shown."""
        with self._file.writing() as connection:
            connection.execute("UPDATE slots SET released = 1 WHERE id = ?", (slot,))

    def counts(self, annotator: str) -> dict[str, int]:
        """Return how many images were ever set aside for an annotator, by purpose."""
        with self._file.reading() as connection:
            return dict(
                connection.execute(
                    "SELECT purpose, COUNT(*) FROM slots WHERE annotator = ? AND NOT released"
                    " GROUP BY purpose",
                    (annotator,),
                ).fetchall()
            )

    def taken(self, annotator: str) -> set[str]:
        """Return the images that have an answer or are set aside, also for this annotator."""
        with self._file.reading() as connection:
            rows = connection.execute(
                "SELECT image FROM standing UNION SELECT image FROM open_slots"
                " WHERE annotator = ? OR expires > ?",
                (annotator, time.time()),
            )
            return {image for (image,) in rows}


def has_answer(connection: sqlite3.Connection, image: str) -> bool:
    """Tell whether an image has a label or was set aside by a skip; repeats do not count."""
    found = connection.execute(
        "SELECT 1 FROM standing WHERE image = ? AND purpose != 'repeat' LIMIT 1", (image,)
    )
    return found.fetchone() is not None


def open_slot(connection: sqlite3.Connection, slot: int) -> Slot | None:
    """Return a slot if it still waits for an answer."""
    row = connection.execute("SELECT * FROM open_slots WHERE id = ?", (slot,)).fetchone()
    return None if row is None else Slot(*row)


def _waiting(connection: sqlite3.Connection, annotator: str) -> list[Slot]:
    rows = connection.execute(
        "SELECT * FROM open_slots WHERE annotator = ? ORDER BY id", (annotator,)
    )
    return [Slot(*row) for row in rows]


def _is_free(connection: sqlite3.Connection, wish: Wish, annotator: str, now: float) -> bool:
    held = connection.execute(
        "SELECT 1 FROM open_slots WHERE image = ? AND (annotator = ? OR expires > ?)",
        (wish.image, annotator, now),
    ).fetchone()
    return held is None and has_answer(connection, wish.image) == (wish.purpose == "repeat")

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
    """``"query"`` (chosen by the strategy), ``"audit"`` (drawn at random), ``"repeat"`` or
    ``"second"`` (somebody else labeled it before)."""
    round: int
    position: int
    batch: int
    strategy: str
    score: float | None
    expires: float
    """Seconds since 1970; after that another annotator may be given the image."""
    released: int


@dataclass(frozen=True)
class Candidate:
    """An image that a session may set aside, and what it is for."""

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
        candidates: Sequence[Candidate],
        n: int,
        *,
        annotator: str,
        round: int,
        lease_seconds: float,
    ) -> list[Slot]:
        """Set images aside for one annotator, so that nobody else is shown them.

        Parameters
        ----------
        candidates : sequence of Candidate
            In the order of preference. Those that have an answer, or are set aside for somebody
            whose lease has not run out, are passed over; a repeat needs an answer instead, and a
            second opinion must be due, see `second_opinions_due`.
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
            `n`, or fewer where the candidates run out.
        """
        with self._file.writing() as connection:
            now = time.time()
            chosen: list[Candidate] = []
            for candidate in candidates:
                if len(chosen) == n:
                    break
                if _is_free(connection, candidate, annotator, now):
                    chosen.append(candidate)
            for position, candidate in enumerate(chosen, 1):
                connection.execute(
                    "UPDATE slots SET released = 1 WHERE image = ? AND id IN"
                    " (SELECT id FROM open_slots WHERE image = ?)",
                    (candidate.image, candidate.image),
                )
                connection.execute(
                    "INSERT INTO slots (image, annotator, purpose, round, position, batch,"
                    " strategy, score, expires) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        candidate.image, annotator, candidate.purpose, round, position,
                        len(chosen), candidate.strategy,
                        None if candidate.score is None else float(candidate.score),
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

    def unavailable(self, annotator: str) -> set[str]:
        """Return the images that cannot be set aside for an annotator.

        They have an answer, are set aside (for this annotator, too), or had their second opinion
        from this annotator.
        """
        with self._file.reading() as connection:
            rows = connection.execute(
                "SELECT image FROM answers UNION SELECT image FROM open_slots"
                " WHERE annotator = :annotator OR expires > :now UNION SELECT image FROM standing"
                " WHERE annotator = :annotator AND purpose = 'second'",
                {"annotator": annotator, "now": time.time()},
            )
            return {image for (image,) in rows}

    def second_opinions_due(self, annotator: str) -> list[str]:
        """Return the images that an annotator may be asked for a second opinion on.

        Somebody else labeled them, one by one; this annotator never answered them, nobody gave a
        second opinion, and nobody holds them. Those labeled first come first.
        """
        with self._file.reading() as connection:
            rows = connection.execute(
                f"SELECT a.image {_SECOND_OPINION_DUE} ORDER BY a.id",
                {"annotator": annotator, "now": time.time()},
            )
            return [image for (image,) in rows]


_SECOND_OPINION_DUE = """
FROM answers AS a
WHERE a.label IS NOT NULL AND a.purpose IN ('query', 'audit') AND a.annotator != :annotator
AND NOT EXISTS (SELECT 1 FROM events WHERE image = a.image AND annotator = :annotator)
AND NOT EXISTS (SELECT 1 FROM standing WHERE image = a.image AND purpose = 'second')
AND NOT EXISTS (
    SELECT 1 FROM open_slots WHERE image = a.image AND (annotator = :annotator OR expires > :now))
"""


def open_slot(connection: sqlite3.Connection, slot: int) -> Slot | None:
    """Return a slot if it still waits for an answer."""
    row = connection.execute("SELECT * FROM open_slots WHERE id = ?", (slot,)).fetchone()
    return None if row is None else Slot(*row)


def is_held_for_others(connection: sqlite3.Connection, image: str, annotator: str) -> bool:
    """Return whether an image is set aside for somebody else whose lease has not run out."""
    row = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM open_slots"
        " WHERE image = ? AND annotator != ? AND expires > ? AND purpose != 'repeat')",
        (image, annotator, time.time()),
    ).fetchone()
    return bool(row[0])


def _waiting(connection: sqlite3.Connection, annotator: str) -> list[Slot]:
    rows = connection.execute(
        "SELECT * FROM open_slots WHERE annotator = ? ORDER BY id", (annotator,)
    )
    return [Slot(*row) for row in rows]


def _is_free(
    connection: sqlite3.Connection, candidate: Candidate, annotator: str, now: float
) -> bool:
    """Tell whether an image may be set aside: not held, and answered or not as its purpose needs."""
    values = {"image": candidate.image, "annotator": annotator, "now": now}
    if candidate.purpose == "second":
        query = f"SELECT EXISTS (SELECT 1 {_SECOND_OPINION_DUE} AND a.image = :image)"
        return bool(connection.execute(query, values).fetchone()[0])
    held, answered, seconded = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM open_slots"
        " WHERE image = :image AND (annotator = :annotator OR expires > :now)),"
        " EXISTS (SELECT 1 FROM answers WHERE image = :image),"
        " EXISTS (SELECT 1 FROM standing"
        " WHERE image = :image AND annotator = :annotator AND purpose = 'second')",
        values,
    ).fetchone()
    if candidate.purpose == "repeat":
        return bool(answered) and not held
    return not (held or answered or seconded)

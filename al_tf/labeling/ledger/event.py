"""`Event`: one line of the ledger."""

from __future__ import annotations

from typing import NamedTuple

MEASUREMENTS = ("repeat", "second")
"""Purposes of events that measure how far people agree, and are no answers."""


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
    action: int | None
    details: str | None = None

    @property
    def is_measurement(self) -> bool:
        """Whether it measures agreement and is no answer: a repeat or a second opinion."""
        return self.purpose in MEASUREMENTS

    @property
    def in_dispute(self) -> bool:
        """Whether this is the answer, of `LedgerReader.answers`, of an image in dispute."""
        return self.label is None and self.kind in ("label", "relabel", "settle")

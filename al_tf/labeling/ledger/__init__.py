"""The label ledger: every answer ever given, kept in one SQLite file."""

from __future__ import annotations

from .events import LabelLedger
from .queue import Candidate, Slot
from .recording import stale_slot_message
from .tables import IDLE_AFTER, MEASUREMENTS, Event

__all__ = [
    "IDLE_AFTER",
    "MEASUREMENTS",
    "Candidate",
    "Event",
    "LabelLedger",
    "Slot",
    "stale_slot_message",
]

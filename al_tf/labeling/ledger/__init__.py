"""The label ledger: every answer ever given, kept in one SQLite file."""

from __future__ import annotations

from .class_list import COLORS, COMMAND_KEYS, ClassList, LabelClass
from .event import MEASUREMENTS, Event
from .events import LabelLedger
from .queue import Candidate, Slot
from .recording import stale_slot_message
from .tables import IDLE_AFTER, Snapshot, Training

__all__ = [
    "COLORS",
    "COMMAND_KEYS",
    "IDLE_AFTER",
    "MEASUREMENTS",
    "Candidate",
    "ClassList",
    "Event",
    "LabelClass",
    "LabelLedger",
    "Slot",
    "Snapshot",
    "Training",
    "stale_slot_message",
]

"""The label ledger: every answer ever given, kept in one SQLite file."""

from __future__ import annotations

from .events import LabelLedger, stale_slot_message
from .queue import Candidate, Slot
from .tables import IDLE_AFTER, Event

__all__ = ["IDLE_AFTER", "Candidate", "Event", "LabelLedger", "Slot", "stale_slot_message"]

"""The label ledger: every answer ever given, kept in one SQLite file."""

from __future__ import annotations

from .events import IDLE_AFTER, Event, LabelLedger, stale_slot
from .queue import Slot, Wish

__all__ = ["IDLE_AFTER", "Event", "LabelLedger", "Slot", "Wish", "stale_slot"]

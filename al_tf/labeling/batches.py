"""`Batches`: the images set aside for one annotator, batch after batch."""

from __future__ import annotations

import copy
import threading
import time

from ..errors import StaleItemError
from .choosing import Chooser
from .image_pool import ImagePool
from .ledger import LabelLedger, Slot, stale_slot_message
from .trainer import Trainer

WAIT_SECONDS = 10.0
"""How long a new batch waits at most for a kept model, and for a training that should be quick."""
READING_PAUSE = 0.1
"""Seconds until it is tried again to choose from images that are still being read."""


class Batches:
    """What one annotator is to be shown, in the ledger's queue.

    Parameters
    ----------
    pool : ImagePool
    ledger : LabelLedger
    trainer : Trainer
    chooser : Chooser
    annotator : str
    size : int
        Images set aside at once.
    lease_seconds : float
        How long nobody else is shown them, counted from the last answer.
    """

    def __init__(
        self,
        pool: ImagePool,
        ledger: LabelLedger,
        trainer: Trainer,
        chooser: Chooser,
        *,
        annotator: str,
        size: int,
        lease_seconds: float,
    ) -> None:
        self._pool, self._ledger, self._trainer, self._chooser = pool, ledger, trainer, chooser
        self._annotator, self._size, self._lease = annotator, size, lease_seconds
        self._choosing = threading.Lock()  # so that two annotators' batches have no image in common

    def for_annotator(self, annotator: str) -> Batches:
        """Return the batches of another annotator, from the same pool, model and settings."""
        other = copy.copy(self)
        other._annotator = annotator
        return other

    def waiting(self) -> list[Slot]:
        """Return what is set aside for this annotator; leases half run out are renewed."""
        slots = self._ledger.queue.waiting(self._annotator)
        if any(slot.expires < time.time() + self._lease / 2 for slot in slots):
            return self._ledger.queue.waiting(self._annotator, lease_seconds=self._lease)
        return slots

    def slot(self, number: int) -> Slot:
        """Return a slot that is set aside for this annotator; raise `StaleItemError` for others."""
        for slot in self._ledger.queue.waiting(self._annotator):
            if slot.id == number:
                return slot
        raise StaleItemError(stale_slot_message(number, self._annotator))

    def new(self) -> list[Slot]:
        """Set the next batch aside; empty when no image is left for this annotator."""
        with self._choosing:
            self._trainer.let_load(WAIT_SECONDS)
            if self._trainer.is_quick:
                self._trainer.let_finish(WAIT_SECONDS)  # so that it chooses with all labels so far
            slots = self._chosen()
            if not slots:  # before saying so: new files may have come
                self._pool.refresh_soon(now_if_quick=True)
                slots = self._chosen()
            return slots

    def _chosen(self) -> list[Slot]:
        queue = self._ledger.queue
        while True:
            candidates = self._chooser.batch(
                pool=self._pool,
                inputs=self._trainer.inputs,
                standing=self._ledger.standing(),
                unavailable=queue.unavailable(self._annotator),
                counts=queue.counts(self._annotator),
                due=queue.second_opinions_due(self._annotator) if self._chooser.overlap else (),
                annotator=self._annotator,
                classifier=self._trainer.classifier(self._ledger.answers()),
                size=self._size,
            )
            if not candidates and self._pool.is_reading:
                time.sleep(READING_PAUSE)
                continue
            if not candidates:
                return []
            slots = queue.claim(
                candidates,
                self._size,
                annotator=self._annotator,
                round=self._trainer.round,
                lease_seconds=self._lease,
            )
            if slots:  # else others were faster with every one of them
                return slots

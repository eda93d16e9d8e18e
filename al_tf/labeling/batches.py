"""`Batches`: the images set aside for one annotator, batch after batch."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from ..errors import StaleItemError
from .choosing import Chooser, repeat_candidates
from .image_pool import ImagePool
from .ledger import Candidate, Event, LabelLedger, Slot, stale_slot_message
from .scored_model import PoolClassifier, ScoredModel
from .trainer import Trainer

WAIT_SECONDS = 10.0
"""How long a new batch waits at most for a kept model, and for a training that should be quick."""
READING_PAUSE = 0.1
"""Seconds until it is tried again to choose from images that are still being read."""


class Situation(NamedTuple):
    """What a batch depends on besides the model: arguments of `Chooser.batch`."""

    repeatable: Sequence[Event]
    unavailable: set[str]
    counts: Mapping[str, int]
    due: Sequence[str]


class PreparedBatch(NamedTuple):
    """A batch that was chosen before it was due."""

    situation: Situation
    classifier: PoolClassifier | None
    candidates: list[Candidate]


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
        self._prepared: list[PreparedBatch] = []

    def for_annotator(self, annotator: str) -> Batches:
        """Return the batches of another annotator, from the same pool, model and settings."""
        other = copy.copy(self)
        other._annotator, other._prepared = annotator, []
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

    def foresee(
        self,
        slot: Slot,
        prepared: Callable[[Candidate, ScoredModel | None, PoolClassifier | None], None],
    ) -> None:
        """Choose what follows the last image of a batch while it is looked at; see `Trainer.foresee`.

        `new` sets such a batch aside where it is due and would be chosen now: with the same labels,
        nothing set aside meanwhile, and the same model.

        Parameters
        ----------
        slot : Slot
            Of that image.
        prepared : callable
            Given the image that would come first after each of the likeliest answers, the model
            then, and what chose it; None and None where there is no model yet.
        """
        self._prepared = []

        def prepare(labels: Mapping[str, str], model: ScoredModel | None) -> None:
            situation = self._situation([*self._ledger.standing(), _answer_to(slot)])
            classifier = None if model is None else self._trainer.classifier_of(model, labels)
            candidates = self._choose(situation, classifier)
            self._prepared.append(PreparedBatch(situation, classifier, candidates))
            if candidates:
                prepared(candidates[0], model, classifier)

        self._trainer.foresee(slot, prepare)

    def _situation(self, standing: Sequence[Event]) -> Situation:
        queue = self._ledger.queue
        return Situation(
            repeat_candidates(standing, self._annotator, gap=self._size),
            queue.unavailable(self._annotator),
            queue.counts(self._annotator),
            queue.second_opinions_due(self._annotator) if self._chooser.overlap else (),
        )

    def _choose(self, situation: Situation, classifier: PoolClassifier | None) -> list[Candidate]:
        return self._chooser.batch(
            pool=self._pool, inputs=self._trainer.inputs, annotator=self._annotator,
            classifier=classifier, size=self._size, **situation._asdict(),
        )  # fmt: skip

    def _foreseen(
        self, situation: Situation, classifier: PoolClassifier | None
    ) -> list[Candidate] | None:
        """Return the batch that was chosen for what is the case now; None without one."""
        prepared, self._prepared = self._prepared, []
        for batch in prepared:
            if batch.situation == situation and _choose_alike(classifier, batch.classifier):
                return batch.candidates
        return None

    def _chosen(self) -> list[Slot]:
        queue = self._ledger.queue
        while True:
            situation = self._situation(self._ledger.standing())
            classifier = self._trainer.classifier(self._ledger.answers())
            candidates = self._foreseen(situation, classifier)
            candidates = candidates or self._choose(situation, classifier)
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


def _choose_alike(one: PoolClassifier | None, other: PoolClassifier | None) -> bool:
    """Tell whether a strategy would choose the same with both; without a model, None."""
    if one is None or other is None:
        return one is other
    return one.chooses_as(other)


def _answer_to(slot: Slot) -> Event:
    """Return the event of an answer to come, as far as choosing asks for it."""
    return Event(
        id=0, kind="label", image=slot.image, name="", label=None, annotator=slot.annotator,
        seconds=0.0, purpose=slot.purpose, round=slot.round, strategy=slot.strategy,
        score=slot.score, time="", slot=slot.id, undoes=None, action=None,
    )  # fmt: skip

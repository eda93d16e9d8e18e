"""`ItemStream`: the images that one annotator is shown, one after the other, and their answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from ..errors import ImageGoneError, StaleItemError
from .annotator_view import AnnotatorView
from .batches import Batches
from .image_pool import ImagePool
from .items import Item
from .ledger import Candidate, Event, LabelLedger, Slot, Snapshot
from .scored_model import PoolClassifier, ScoredModel
from .showing import build_item
from .trainer import Trainer


class ItemStream:
    """What one annotator is shown, batch after batch; any number of threads may ask.

    Parameters
    ----------
    batches : Batches
        Of this annotator.
    pool : ImagePool
    ledger : LabelLedger
    trainer : Trainer
    view : AnnotatorView
        Who looks, and what they may know.
    foresees : bool
        Whether models are trained for the likeliest answers to the last image of a batch.
    """

    def __init__(
        self,
        batches: Batches,
        pool: ImagePool,
        ledger: LabelLedger,
        trainer: Trainer,
        view: AnnotatorView,
        *,
        foresees: bool,
    ) -> None:
        self._batches, self._pool, self._ledger, self._trainer = batches, pool, ledger, trainer
        self._view, self._foresees = view, foresees
        self._lock = threading.RLock()
        self._current: Slot | None = None
        self._foreseen: tuple[Snapshot, tuple[int, int]] | None = None  # slot, number of the model
        self._make_ready: Callable[[Item], object] = lambda item: None
        self._shown_since: dict[int, float] = {}
        trainer.subscribe(self._foresee_anew)

    def next(self) -> Item | None:
        """Return the image to label now; see `LabelingSession.next`."""
        with self._lock:
            while True:
                waiting = self._readable(self._batches.waiting())
                slots = waiting or self._readable(self._batches.new())
                if not slots:
                    self._current = None
                    return None
                item = self._shown(slots[0])
                if item is not None:
                    self._trainer.image_is_shown()
                    if self._foresees and len(slots) == 1:
                        self._foresee(slots[0])
                    return item

    def ahead(self, n: int) -> list[Item]:
        """Return images that follow the one `next` returns; see `LabelingSession.ahead`."""
        with self._lock:
            slots = self._ledger.queue.waiting(self._view.annotator)[1 : n + 1]
            model, classifier = self._model()
        items, hidden = [], self._view.hidden()
        for slot in slots:
            try:
                items.append(build_item(slot, self._pool, model, classifier, hidden))
            except ImageGoneError:
                continue  # `next` passes it over
        return items

    def answer(
        self, label: str | None, slot: int | None, seconds: float | None
    ) -> tuple[Event, bool]:
        """Record a label, or a skip (None), and tell whether it ends the batch.

        Arguments and errors as in `LabelingSession.label`.
        """
        with self._lock:
            place = self._slot(slot)
            since = self._shown_since.get(place.id)
            if seconds is None:
                seconds = 0.0 if since is None else time.monotonic() - since
            details: dict[str, Any] = {
                "annotator": self._view.annotator, "name": self._pool.name(place.image),
                "seconds": seconds, "round": place.round, "strategy": place.strategy,
                "score": place.score, "slot": place.id,
            }  # fmt: skip
            if label is None:
                event = self._ledger.skip(place.image, **details)
            else:
                event = self._ledger.label(place.image, label, **details)
            self._shown_since.pop(place.id, None)
            self._current = None
            return event, not self._batches.waiting()

    def undo(self) -> Event | None:
        """Take back this annotator's last answer or change of a class."""
        with self._lock:
            return self._ledger.undo(self._view.annotator)

    def subscribe_ahead(self, callback: Callable[[Item], object]) -> None:
        """See `LabelingSession.subscribe_ahead`."""
        self._make_ready = callback

    def _foresee(self, last: Slot) -> None:
        """Choose what may follow the last image of a batch, once for each state of affairs."""
        snapshot, place = self._ledger.snapshot(), (last.id, self._trainer.round)
        if (
            self._foreseen is None
            or self._foreseen[0] is not snapshot
            or self._foreseen[1] != place
        ):
            self._foreseen = (snapshot, place)
            self._batches.foresee(last, self._prepare)

    def _foresee_anew(self) -> None:
        """Choose again what may follow the image shown, if another model has come meanwhile."""
        if self._foreseen is None or self._foreseen[1][1] == self._trainer.round:
            return
        if not self._lock.acquire(blocking=False):
            return  # by somebody who may wait for the training that has just ended
        try:
            current, waiting = self._current, self._batches.waiting()
            if current is not None and [slot.id for slot in waiting] == [current.id]:
                self._foresee(current)
        finally:
            self._lock.release()

    def _prepare(
        self,
        candidate: Candidate,
        model: ScoredModel | None,
        classifier: PoolClassifier | None,
    ) -> None:
        """Have the image ready that may come first in the next batch."""
        round_then = self._trainer.round + (model is not self._trainer.model)
        slot = Slot(
            id=0, image=candidate.image, annotator=self._view.annotator, purpose=candidate.purpose,
            round=round_then, position=1, batch=1, strategy=candidate.strategy,
            score=candidate.score, expires=0.0, released=0,
        )  # fmt: skip
        item = build_item(slot, self._pool, model, classifier, self._view.hidden())
        self._make_ready(item)

    def forget_times(self) -> None:
        """Count no time until now as that of an image."""
        with self._lock:
            self._shown_since.clear()

    def _model(self) -> tuple[Any, Any]:
        return self._trainer.model, self._trainer.classifier(self._ledger.answers())

    def _readable(self, slots: list[Slot]) -> list[Slot]:
        """Leave out slots whose image is in a file that is still to be read; they keep waiting."""
        if not self._pool.n_unread:
            return slots
        return [slot for slot in slots if slot.image in self._pool]

    def _shown(self, slot: Slot) -> Item | None:
        """Return the item of a slot; None, and the slot given up, if it cannot be shown."""
        model, classifier = self._model()
        try:
            item = build_item(slot, self._pool, model, classifier, self._view.hidden())
        except ImageGoneError:
            self._ledger.queue.release(slot.id)
            return None
        self._current = slot
        self._shown_since.setdefault(slot.id, time.monotonic())
        return item

    def _slot(self, slot: int | None) -> Slot:
        if slot is None:
            if self._current is None:
                raise StaleItemError("No image is being shown: call next first.")
            return self._current
        return self._batches.slot(slot)

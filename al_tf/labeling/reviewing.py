"""`Reviewer`: all images and their answers to look through, to correct, and to label alike at once."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..errors import ImageGoneError
from .annotator_view import AnnotatorView
from .audit import AuditReserve
from .feature_table import BLOCK
from .image_pool import ImagePool
from .ledger import IDLE_AFTER, MEASUREMENTS, Event, LabelLedger
from .pixel_features import thumbnails
from .pool_features import PoolFeatures
from .review_list import ReviewFilter, ReviewList, ReviewRow, fits
from .scored_model import ScoredModel
from .second_opinions import disputed_opinions
from .trainer import Trainer

MAX_ALIKE = 200


class Changes(NamedTuple):
    """What `Reviewer.answer` did."""

    events: list[Event]
    audit: int
    """Images passed over because they are drawn at random, to measure the model."""
    other: int
    """Images passed over because they were answered or set aside for somebody meanwhile, or had
    that label."""


class Reviewer:
    """One annotator's look through the whole pool.

    Images whose labels they are not to know (`AnnotatorView.hidden`) are in no list, and looked at
    alone they are as if nobody had labeled them. Whoever is no referee settles no disagreement.

    Parameters
    ----------
    pool : ImagePool
    ledger : LabelLedger
    trainer : Trainer
    view : AnnotatorView
        Who looks, and what they may know.
    reserve : AuditReserve
    changed : callable
        Called after each change.
    """

    def __init__(
        self,
        pool: ImagePool,
        ledger: LabelLedger,
        trainer: Trainer,
        view: AnnotatorView,
        *,
        reserve: AuditReserve,
        changed: Callable[[], None],
    ) -> None:
        self._pool, self._ledger, self._trainer = pool, ledger, trainer
        self._view, self._annotator, self._reserve = view, view.annotator, reserve
        self._changed = changed
        self._since: float | None = None
        self._lock = threading.Lock()
        self._suspects: tuple[Mapping[str, Event] | None, dict[str, str]] = (None, {})

    # Looking ----------------------------------------------------------------------------

    def rows(self, wanted: ReviewFilter) -> ReviewList:
        """Return the images that fit.

        Parameters
        ----------
        wanted : ReviewFilter

        Returns
        -------
        ReviewList
            Suspects with the most suspect first; else images with an answer, the newest first,
            and then those without, by name.

        Raises
        ------
        ValueError
            Suspects, where no model can judge the labels.
        """
        self._look()
        answers, hidden = self._view.answers(), self._view.hidden()
        disputed = disputed_opinions(answers, self._ledger.standing())
        suspects = self._suspected() if wanted.show == "suspects" else None
        predicted = self._predicted()
        names = wanted.name.casefold()

        def row_of(image: str) -> ReviewRow:
            return self._row(
                image, answers.get(image), predicted, suspects, disputed.get(image, ())
            )

        def is_open(image: str) -> bool:
            return image not in hidden and (
                not names or names in self._pool.title(image).casefold()
            )

        answered = answers if suspects is None else suspects
        images = [
            image
            for image in answered
            if image in self._pool and is_open(image) and fits(row_of(image), wanted)
        ]
        if suspects is None:
            images.sort(key=lambda image: -answers[image].id)
        if wanted.takes_unlabeled:
            images += [i for i in self._pool.by_name if i not in answers and is_open(i)]
        return ReviewList(images, row_of)

    def row(self, image: str) -> ReviewRow:
        """Return one image; of one that is not in the pool, raise `ImageGoneError`."""
        self._check([image])
        answers = self._view.answers()
        if image in self._view.hidden():
            return self._row(image, None, {}, None)
        disputed = disputed_opinions(answers, self._ledger.standing())
        predicted = self._predicted()
        return self._row(image, answers.get(image), predicted, None, disputed.get(image, ()))

    def alike(self, image: str, n: int) -> list[ReviewRow]:
        """Return the images without an answer that are most like one, nearest first.

        By the Euclidean distance of their features: those that the model is trained on, or has
        learned, or of the pixels while there is no model. Images of the audit, and those set aside
        for somebody else, are left out.

        Parameters
        ----------
        image : str
            Its content hash; with or without an answer.
        n : int
            How many at most, `MAX_ALIKE` or fewer.

        Raises
        ------
        ImageGoneError
            The image is not in the pool, or has no features yet.
        ValueError
            `n` is not from 1 to `MAX_ALIKE`.
        """
        from ..geometry import nearest_of_set

        if not 1 <= n <= MAX_ALIKE:
            raise ValueError(f"n must be from 1 to {MAX_ALIKE}; got {n}.")
        self._check([image])
        self._look()
        unavailable = self._ledger.queue.unavailable(self._annotator)
        own = {slot.image for slot in self._ledger.queue.waiting(self._annotator)}
        answers = self._ledger.answers()
        reserve = self._reserve.drawn()
        free = [
            other
            for other in self._pool.ids
            if other not in reserve
            and other != image
            and other not in answers
            and (other not in unavailable or other in own)
        ]
        _, features = self._features([image])
        if not len(features):
            raise ImageGoneError(
                f"{self._pool.name(image)} has no features yet: wait until the desk has looked at "
                "all images."
            )
        distance: dict[str, float] = {}
        for part, others in self._feature_blocks(free):
            distance.update(zip(part, nearest_of_set(others, features)[0].tolist(), strict=True))
        known = [other for other in free if other in distance]
        nearest = heapq.nsmallest(n, known, key=distance.__getitem__)
        predicted = self._predicted()
        return [self._row(other, None, predicted, None) for other in nearest]

    def past(self, image: str | None, step: int) -> tuple[str | None, int, int]:
        """Return the image that this annotator answered before or after another one.

        Parameters
        ----------
        image : str or None
            One that they answered; None is the one that waits for an answer, after all others.
        step : int
            -1 for the one before, 1 for the one after.

        Returns
        -------
        image : str or None
            None after the last.
        place, n : int
            Its place, from 1, among the `n` images that they answered and that are still there.
        """
        order: dict[str, None] = {}
        for event in self._ledger.standing():
            if event.annotator == self._annotator and event.purpose not in (
                *MEASUREMENTS,
                "import",
            ):
                order.setdefault(event.image)
        images = [known for known in order if known in self._pool]
        place = images.index(image) if image in order and image in self._pool else len(images)
        place = min(max(place + step, 0), len(images))
        return (images[place] if place < len(images) else None), place + 1, len(images)

    # Changing ---------------------------------------------------------------------------

    def answer(
        self, label: str | None, answers_seen: Mapping[str, int | None], *, strategy: str = "review"
    ) -> Changes:
        """Label, relabel or clear images in one step; see `LabelLedger.answer_together`.

        Images without an answer that belong to the audit are passed over: they are drawn at
        random, and labeling those that somebody has chosen would bias what they measure. So are
        those whose labels this annotator is not to know, and, for whoever is no referee, those in
        dispute.

        Parameters
        ----------
        label : str or None
            One of the classes; None clears.
        answers_seen : mapping of str to (int or None)
            `ReviewRow.event` of each image.
        strategy : str
            How the images were put together.

        Raises
        ------
        UnknownLabelError, ImageGoneError
            Not one of the classes; not in the pool. Nothing was recorded.
        """
        self._check(answers_seen)
        audit = {i for i, seen in answers_seen.items() if seen is None and self._is_audit(i)}
        known, hidden = self._view.answers(), self._view.hidden()
        wanted = {
            image: seen
            for image, seen in answers_seen.items()
            if image not in audit | hidden and seen == (known[image].id if image in known else None)
        }
        events = self._ledger.answer_together(
            label,
            wanted,
            annotator=self._annotator,
            names={image: self._pool.name(image) for image in wanted},
            seconds=self._seconds(len(wanted)),
            round=self._trainer.round,
            strategy=strategy,
            settle=self._view.is_referee,
        )
        if events:
            self._changed()
        return Changes(events, len(audit), len(answers_seen) - len(audit) - len(events))

    def undo(self, last: int | None = None) -> list[Event]:
        """Take back what this annotator did last; see `LabelLedger.undo_together`.

        Raises
        ------
        StaleItemError
            It is another by now; nothing is taken back.
        """
        events = self._ledger.undo_together(self._annotator, last=last)
        if events:
            self._changed()
        return events

    def pause(self) -> None:
        """Count no time until somebody looks again."""
        self._since = None

    # Inside -----------------------------------------------------------------------------

    def _look(self) -> None:
        if self._since is None:
            self._since = time.monotonic()

    def _seconds(self, n: int) -> float:
        """Return the seconds since the last change, or the first look; at most those of no pause."""
        now = time.monotonic()
        since, self._since = self._since, now
        return 0.0 if since is None else min(now - since, IDLE_AFTER * max(1, n))

    def _check(self, images: Iterable[str]) -> None:
        for image in images:
            if image not in self._pool:
                raise ImageGoneError(f"Image {image[:80]!r} is not in this pool.")

    def _predicted(self) -> Mapping[str, str]:
        model = self._trainer.model
        return {} if model is None else model.predicted()

    def _is_audit(self, image: str) -> bool:
        return image in self._reserve

    def _row(
        self,
        image: str,
        answer: Event | None,
        predicted: Mapping[str, str],
        suspects: Mapping[str, str] | None,
        opinions: Sequence[Event] = (),
    ) -> ReviewRow:
        if answer is None:
            purpose = "audit" if self._is_audit(image) else ""
            state, label, event, annotator, number = "unlabeled", None, None, None, None
        else:
            purpose, label, event = answer.purpose, answer.label, answer.id
            state = "skipped" if label is None else "labeled"
            state = "disputed" if answer.in_dispute else state
            annotator, number = answer.annotator, answer.round
        return ReviewRow(
            image=image,
            name=self._pool.name(image),
            state=state,
            label=label,
            event=event,
            annotator=annotator,
            round=number,
            purpose=purpose,
            predicted=None if purpose == "audit" else (suspects or predicted).get(image),
            opinions=tuple((event.annotator, str(event.label)) for event in opinions),
        )

    def _features(self, ids: list[str]) -> tuple[list[str], np.ndarray]:
        inputs, model = self._trainer.inputs, self._trainer.model
        if isinstance(inputs, PoolFeatures):
            return inputs.available(ids)
        return _pixel_features(self._pool, ids) if model is None else _model_features(model, ids)

    def _feature_blocks(self, ids: list[str]) -> Iterator[tuple[list[str], np.ndarray]]:
        """Yield features as `_features`, in parts; those that are there already may all come."""
        inputs = self._trainer.inputs
        if isinstance(inputs, PoolFeatures):
            yield from inputs.table.blocks()
            return
        for start in range(0, len(ids), BLOCK):
            part, features = self._features(ids[start : start + BLOCK])
            if part:
                yield part, features

    def _suspected(self) -> dict[str, str]:
        """Return what an out-of-fold model says instead, of each label that it disputes, in order."""
        from .suspects import suspect_answers

        answers = self._ledger.answers()
        with self._lock:
            if self._suspects[0] is not answers:
                if not isinstance(self._trainer.inputs, PoolFeatures):
                    raise ValueError(
                        "Suspects need the linear probe, which is trained in no time without the "
                        "labels that it judges: start the desk with --model probe."
                    )
                table = suspect_answers(
                    answers, self._trainer.inputs, self._ledger.classes,
                    part_of=self._reserve.part_of,
                )  # fmt: skip
                disputed = table[table["disputed"]]
                found = dict(zip(disputed["image"], map(str, disputed["predicted"]), strict=True))
                self._suspects = (answers, found)
            return self._suspects[1]


def _model_features(model: ScoredModel, ids: list[str]) -> tuple[list[str], np.ndarray]:
    scored = [image for image in ids if model.knows(image)]
    return scored, model.features_of(scored)


def _pixel_features(pool: ImagePool, ids: list[str]) -> tuple[list[str], np.ndarray]:
    parts = [(part, thumbnails(images)) for part, images in pool.chunks(ids)]
    readable = [image for part, _ in parts for image in part]
    return readable, np.concatenate([rows for _, rows in parts]) if parts else np.empty((0, 1))

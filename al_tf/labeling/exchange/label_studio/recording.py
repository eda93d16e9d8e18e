"""Annotations of Label Studio in the ledger: each once, corrected, taken back, several on an image.

An event of an annotation carries its identifier, its version and its task in ``strategy``, as in
``label-studio 17 2030-01-31T12:00:00.000000Z task 5``, so that one that comes twice or late is known. Of
several answers to one image, the label counts that most people gave; while two are tied, the one
that counted before. The others are kept with the purpose ``"repeat"``, which changes no label.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...ledger import Event, LabelLedger
from .annotations import Answer, TaskAnswers

_ANNOTATION = re.compile(
    r"label-studio (?P<key>\S+)(?: (?P<version>\d[0-9T:.Z-]+))?(?: task (?P<task>\S+))?"
    r"(?: replaces (?P<source>\d+))?"
)
_DELETED = "label studio: deleted before they came"


class Recorder:
    """Writes the answers of annotations to a ledger.

    Parameters
    ----------
    ledger : LabelLedger
        As it is now; a recorder is made anew after others may have written.
    """

    def __init__(self, ledger: LabelLedger) -> None:
        self._ledger = ledger
        self._last: dict[str, Event] = {}
        for event in ledger.events():
            if event.kind != "undo" and (key := _key(event)) is not None:
                self._last[key] = event
        self._by_image: dict[str, list[Event]] = defaultdict(list)
        for event in ledger.standing():
            self._by_image[event.image].append(event)
        self._deleted = set(ledger.setting(_DELETED) or ())

    def record(self, image: str, name: str, answer: Answer, **details: Any) -> bool:
        """Record an answer; False if it, or a newer version of it, is in the ledger already.

        Parameters
        ----------
        image : str
            Content hash.
        name : str
            Of the file.
        answer : Answer
        **details
            ``round`` and ``score`` of the prediction that was shown.
        """
        if answer.label is not None:  # from before the class was renamed or merged, perhaps
            answer = replace(answer, label=self._ledger.class_list.present_name(answer.label))
        last = self._last.get(answer.key)
        if answer.key in self._deleted:
            return False
        if last is not None:
            standing = last in self._by_image[last.image]
            if not standing or answer.version <= _version(last) or last.label == answer.label:
                return False
        elif self._is_our_own(image, answer):
            return False
        details |= {
            "annotator": answer.annotator, "name": name, "seconds": answer.seconds,
            "strategy": _strategy(answer),
        }  # fmt: skip
        self._append(image, answer, last, details)
        self._settle(image)
        return True

    def take_back(self, key: str) -> bool:
        """Take back the answers of an annotation that was deleted, now or when it comes."""
        last = self._last.get(key)
        if last is None:
            if key not in self._deleted:
                self._deleted.add(key)
                self._ledger.store(_DELETED, sorted(self._deleted))
            return False
        events = [event for event in self._by_image[last.image] if _key(event) == key]
        for event in reversed(events):
            self._undo(event)
        if events:
            self._settle(last.image)
        return bool(events)

    def known_keys(self, image: str, task: str) -> dict[str, str]:
        """Return the identifier and version of each annotation of a task that stands."""
        known = {}
        for event in self._by_image[image]:
            mark = _parts(event)
            if mark is not None and mark["task"] == task:
                known[mark["key"]] = mark["version"] or ""
        return known

    def disagreement(self, image: str) -> str | None:
        """Return the different labels of an image with their numbers; None if all agree."""
        labels = Counter(e.label for e in self._votes(image).values() if e.label is not None)
        if len(labels) < 2:
            return None
        return ", ".join(f"{label} ({n})" for label, n in labels.most_common())

    # Inside -----------------------------------------------------------------------------

    def _is_our_own(self, image: str, answer: Answer) -> bool:
        """Tell whether an answer is one of this ledger's, which came back as it was."""
        if answer.replaces is None:
            return False
        own = [event for event in self._by_image[image] if _key(event) is None]
        if not answer.edited:
            return bool(own)
        source = self._source(image, answer)
        return source is not None and source.label == answer.label

    def _source(self, image: str, answer: Answer) -> Event | None:
        """Return the event that an annotation was exported from, if it stands."""
        if answer.replaces is None:
            return None
        if answer.replaces == -1:  # a table does not say which
            current = self._ledger.answer(image)
            return None if current is None or _key(current) is not None else current
        events = [e for e in self._by_image[image] if e.id == answer.replaces and _key(e) is None]
        return events[0] if events else None

    def _append(
        self, image: str, answer: Answer, last: Event | None, details: dict[str, Any]
    ) -> None:
        ledger, current = self._ledger, self._ledger.answer(image)
        source = self._source(image, answer) if last is None else None
        if source is not None:  # edited there: this is its new version
            details["strategy"] += f" replaces {source.id}"
        edits = [event for event in (last, source) if event is not None]
        if answer.label is None and current is not None and current in edits:
            for event in edits:
                self._undo(event)
            current = ledger.answer(image)
        if current is None:
            details["purpose"] = "import"
            event = (
                ledger.skip(image, **details)
                if answer.label is None
                else ledger.label(image, answer.label, **details)
            )
        elif answer.label is not None and current in edits:
            details = {k: v for k, v in details.items() if k not in ("round", "score")}
            event = ledger.relabel(image, answer.label, **details)
        elif answer.label is None:
            event = ledger.skip(image, purpose="repeat", **details)
        else:
            event = ledger.label(image, answer.label, purpose="repeat", **details)
        self._add(answer.key, event)

    def _settle(self, image: str) -> None:
        """Let the label count that most people gave; ties leave the one that counts."""
        votes = list(self._votes(image).values())
        current = self._ledger.answer(image)
        labels = Counter(event.label for event in votes if event.label is not None)
        most = max(labels.values(), default=0)
        best = [event for event in votes if most in (0, labels.get(event.label or "", 0))]
        if not best or (current is not None and current.label in {e.label for e in best}):
            return
        chosen = min(best, key=lambda event: event.id)
        details: dict[str, Any] = {
            "annotator": chosen.annotator, "name": chosen.name, "strategy": chosen.strategy,
        }  # fmt: skip
        if current is None and chosen.label is None:
            event = self._ledger.skip(image, purpose="import", **details)
        elif current is None:
            event = self._ledger.label(image, str(chosen.label), purpose="import", **details)
        elif chosen.label is not None:
            event = self._ledger.relabel(image, chosen.label, **details)
        else:
            return
        key = _key(chosen)
        if key is None:
            self._by_image[image].append(event)
        else:
            self._add(key, event)

    def _votes(self, image: str) -> dict[str, Event]:
        """Return the last event of each person for an image since it was cleared, by their name."""
        events = self._by_image[image]
        cleared = [place for place, event in enumerate(events) if event.kind == "clear"]
        events = events[cleared[-1] + 1 :] if cleared else events
        replaced = {source for event in events if (source := _replaced(event)) is not None}
        last: dict[str, Event] = {}
        own: Event | None = None
        for event in events:
            key = _key(event)
            if key is not None:
                last[key] = event
            elif not event.is_measurement and event.id not in replaced:
                own = event
        votes = {} if own is None else {own.annotator: own}
        for event in sorted(last.values(), key=lambda event: event.id):
            votes[event.annotator] = event
        return votes

    def _undo(self, event: Event) -> None:
        self._ledger.take_back(event)
        self._by_image[event.image].remove(event)

    def _add(self, key: str, event: Event) -> None:
        self._last[key] = event
        self._by_image[event.image].append(event)


@dataclass(frozen=True)
class ImportResult:
    """What `import_annotations` did."""

    recorded: int
    """Annotations that are new in the ledger, or newer than they were there."""
    known: int
    """Annotations that were in it already."""
    taken_back: int
    """Annotations in the ledger that were deleted in Label Studio."""
    unmatched: tuple[str, ...]
    """Tasks whose image is not known, each with the reason."""
    dropped: tuple[str, ...]
    """What else annotations held, with its number."""
    disagreements: tuple[str, ...]
    """Images to which different labels were given, with the labels."""


def record_tasks(
    ledger: LabelLedger,
    matched: Sequence[tuple[str, str, TaskAnswers]],
    unmatched: Sequence[str] = (),
    dropped: Mapping[str, int] | None = None,
    *,
    details: Callable[[str], Mapping[str, Any]] = lambda image: {},
) -> ImportResult:
    """Record the answers of tasks whose images are known.

    Parameters
    ----------
    ledger : LabelLedger
    matched : sequence of (str, str, TaskAnswers)
        The content hash and the name of the image of each task, and the task. If it is complete,
        older annotations of it that the ledger has were deleted.
    unmatched, dropped
        What the result says of the others.
    details : callable
        From an image to what `Recorder.record` is given of the prediction that was shown.
    """
    recorder = Recorder(ledger)
    recorded = known = taken_back = 0
    for image, name, task in matched:
        new = sum(recorder.record(image, name, answer, **details(image)) for answer in task.answers)
        recorded, known = recorded + new, known + len(task.answers) - new
        if task.complete_at:
            present = {answer.key for answer in task.answers}
            for key, version in recorder.known_keys(image, str(task.number)).items():
                if key not in present and version < task.complete_at:
                    taken_back += recorder.take_back(key)
    names = {image: name for image, name, _ in matched}
    lines = [(name, recorder.disagreement(image)) for image, name in names.items()]
    return ImportResult(
        recorded,
        known,
        taken_back,
        tuple(unmatched),
        tuple(f"{n} × {what}" for what, n in sorted((dropped or {}).items())),
        tuple(f"{name}: {labels}" for name, labels in lines if labels is not None),
    )


def _strategy(answer: Answer) -> str:
    return f"label-studio {answer.key} {answer.version}".rstrip() + (
        f" task {answer.task}" if answer.task else ""
    )


def _parts(event: Event) -> re.Match[str] | None:
    return _ANNOTATION.fullmatch(event.strategy)


def _key(event: Event) -> str | None:
    mark = _parts(event)
    return None if mark is None else mark["key"]


def _version(event: Event) -> str:
    mark = _parts(event)
    return "" if mark is None else mark["version"] or ""


def _replaced(event: Event) -> int | None:
    mark = _parts(event)
    return None if mark is None or mark["source"] is None else int(mark["source"])

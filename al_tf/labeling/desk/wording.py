"""Sentences of the desk: names that cannot disturb them, and what was done to many images."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from ...errors import AlTfError
from ..ledger import Event
from ..reviewing import Changes

_DIRECTION_MARKS = re.compile("[\u202a-\u202e\u2066-\u2069]")


def isolated(name: str) -> str:
    """Return a name that cannot change the writing direction of the sentence around it."""
    return f"\u2068{_DIRECTION_MARKS.sub('', name)}\u2069"


def error_line(error: Exception) -> str:
    """Return an error as one line for people; the kind of one that was not written for them, too."""
    is_for_people = isinstance(error, AlTfError | ValueError | OSError)
    text = str(error) if is_for_people else f"{type(error).__name__}: {error}"
    return " ".join(text.split()) or type(error).__name__


def changed(changes: Changes, label: str | None) -> str:
    """Return what a change of many images did."""
    kinds = Counter(event.kind for event in changes.events)
    sentences = []
    if kinds["label"]:
        sentences.append(f"Labeled {_images(kinds['label'])} as {isolated(str(label))}.")
    if kinds["relabel"]:
        sentences.append(f"Relabeled {_images(kinds['relabel'])} as {isolated(str(label))}.")
    if kinds["settle"]:
        sentences.append(f"Settled {_images(kinds['settle'])} as {isolated(str(label))}.")
    if kinds["clear"]:
        sentences.append(f"Cleared {_images(kinds['clear'])}.")
    if not changes.events:
        sentences.append("Nothing was changed.")
    if changes.audit:
        sentences.append(
            f"Left out {_images(changes.audit)} of the audit, which comes one by one, at random."
        )
    if changes.other:
        sentences.append(f"Left out {_images(changes.other)}, answered or set aside meanwhile.")
    return " ".join(sentences)


def taken_back(events: Sequence[Event]) -> str:
    """Return what an undo took back."""
    if not events:
        return "There is nothing to take back."
    if events[0].purpose == "class":
        return f"Took back {_class_change(events[0])}."
    if len(events) > 1:
        return f"Took back what was done to {_images(len(events))}."
    (event,) = events
    what = {"skip": "the skip", "clear": "the clearing", "settle": "the settlement"}.get(
        event.kind, f"the label {isolated(str(event.label))}"
    )
    return f"Took back {what} of {isolated(event.name)}."


def _class_change(event: Event) -> str:
    """Return what a change of a class was, to be taken back."""
    name, other = isolated(str(event.label)), isolated(event.name)
    return {
        "class_added": f"the class {name}",
        "class_renamed": f"the name {other} of a class",
        "class_merged": f"the merging of {name} into {other}",
        "class_separated": f"the separation of the class {name}",
        "class_removed": f"the removal of the class {name}",
    }.get(event.kind, f"the description of the class {name}")


def _images(n: int) -> str:
    return f"{n} image{'' if n == 1 else 's'}"

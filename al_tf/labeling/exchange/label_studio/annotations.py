"""Annotations of Label Studio: what of them is a class of an image, whose, and when it was given."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from ....errors import LabelStudioError, UnknownLabelError
from .interface import FROM, IMAGE_KEY

OUR_IMAGE, OUR_NAME, OUR_ANNOTATOR = "al_tf_image", "al_tf_name", "al_tf_annotator"
"""Columns of a task's data that `export_tasks` writes; no other column is taken for them."""
_OUR_KEYS = (OUR_IMAGE, OUR_NAME, OUR_ANNOTATOR)
_OURS = re.compile(r"[0-9a-f]{64}")
_UNTOUCHED_SECONDS = 0.1


@dataclass(frozen=True)
class Answer:
    """One annotation: what somebody chose for the image of a task."""

    key: str
    """Identifier of the annotation in Label Studio."""
    version: str
    """When it was last changed: ISO 8601 in UTC, so that later versions sort later."""
    label: str | None
    """None: the task was skipped."""
    annotator: str
    seconds: float
    task: str = ""
    """Number of the task that it belongs to."""
    replaces: int | None = None
    """Of an annotation that `export_tasks` wrote: the ledger's event that it came from."""
    edited: bool = True
    """False for an annotation that was imported and not changed since."""


@dataclass
class TaskAnswers:
    """A task with its answers, oldest first."""

    data: Mapping[str, Any]
    number: Any
    answers: list[Answer] = field(default_factory=list)
    complete_at: str | None = None
    """When the task was last changed, if the answers are all it has; None if there may be others."""

    @property
    def image(self) -> str | None:
        """The content hash that `export_tasks` wrote, or None."""
        image = self.data.get(OUR_IMAGE)
        return image if isinstance(image, str) and _OURS.fullmatch(image) else None

    @property
    def addresses(self) -> list[str]:
        """The texts in its data that may be the address of its image, the likeliest first."""
        keys = (
            [IMAGE_KEY] if IMAGE_KEY in self.data else [k for k in self.data if k not in _OUR_KEYS]
        )
        texts = [self.data.get(key) for key in (*keys, OUR_NAME)]
        return [text for text in texts if isinstance(text, str) and text]

    @property
    def title(self) -> str:
        """What to call it."""
        return next(iter(self.addresses), f"task {self.number}")


@dataclass
class Reading:
    """Tasks of a file or of a server, and what of their annotations is no class of an image."""

    tasks: list[TaskAnswers]
    dropped: Counter[str] = field(default_factory=Counter)
    """How many parts were left out, by what they are."""


def read_tasks(
    tasks: Iterable[Mapping[str, Any]],
    classes: Sequence[str],
    *,
    complete: bool = False,
    emails: Mapping[int, str] | None = None,
    control: str | None = None,
) -> Reading:
    """Read tasks in the form of the "JSON" export.

    Parameters
    ----------
    tasks : iterable of dict
        With ``data`` and ``annotations``.
    classes : sequence of str
        Of the ledger.
    complete : bool
        Whether each task comes with every annotation that it has.
    emails : dict of int to str, optional
        Of Label Studio's users, by their number.
    control : str, optional
        Name of the ``Choices`` that holds the class; else the one whose choices are classes, and
        of several such that of `labeling_interface`.

    Raises
    ------
    UnknownLabelError
        A choice that is not among the classes.
    LabelStudioError
        Several controls have choices among the classes, and none is that of `labeling_interface`.
    """
    tasks = list(tasks)
    dropped: Counter[str] = Counter()
    if control is None:
        control = _our_control(tasks, classes)
    read = []
    for task in tasks:
        row = TaskAnswers(task["data"], task.get("id"))
        if complete:
            row.complete_at = _version(task.get("updated_at"))
        annotations = [
            a for a in task.get("annotations") or [] if isinstance(a, Mapping) or _bad(a)
        ]
        annotations.sort(key=lambda a: (str(a.get("created_at") or ""), _number(a.get("id"))))
        for place, annotation in enumerate(annotations):
            label = _label(annotation, control, classes, dropped)
            if label is not _NOTHING:
                row.answers.append(_answer(annotation, task, place, label, emails or {}))
        row.answers.sort(key=lambda answer: answer.version)
        read.append(row)
    return Reading(read, dropped)


_NOTHING: Any = object()


def _our_control(tasks: Sequence[Mapping[str, Any]], classes: Sequence[str]) -> str | None:
    """Return the name of the control whose choices are classes; None if there are no choices."""
    values = _chosen(tasks)
    ours = {name: sum(n for v, n in seen.items() if v in classes) for name, seen in values.items()}
    best = [name for name, n in ours.items() if n and all(v in classes for v in values[name])]
    best = best or [name for name, n in ours.items() if n]
    if len(best) > 1 and FROM in best:  # a table does not tell choices from free text
        return FROM
    if len(best) > 1:
        raise LabelStudioError(
            f"the controls {sorted(map(str, best))} all hold choices among the classes "
            f"{list(classes)}. Name the one that is meant (`control`; on the command line --control)."
        )
    if best:
        return best[0]
    if values:
        named = "; ".join(f"{name!r}: {sorted(seen)[:10]}" for name, seen in values.items())
        raise UnknownLabelError(
            f"no choice is among the classes {list(classes)} of the ledger. Chosen were {named}."
        )
    return None


def _chosen(tasks: Sequence[Mapping[str, Any]]) -> dict[str | None, Counter[str]]:
    """Return how often each choice was made, by the control; those without any are left out."""
    values: dict[str | None, Counter[str]] = defaultdict(Counter)
    for task in tasks:
        for annotation in task.get("annotations") or []:
            for part in annotation.get("result") or []:
                if part.get("type") == "choices":
                    values[part.get("from_name")].update(map(str, part["value"]["choices"]))
    return {name: seen for name, seen in values.items() if seen}


def check_control(tasks: Sequence[Mapping[str, Any]], control: str) -> None:
    """Raise LabelStudioError unless something was chosen in the control of that name."""
    if control not in (values := _chosen(tasks)):
        raise LabelStudioError(
            f"nothing was chosen in a control named {control!r}. There are choices in "
            f"{sorted(map(str, values)) or 'none'}."
        )


def _label(
    annotation: Mapping[str, Any],
    control: str | None,
    classes: Sequence[str],
    dropped: Counter[str],
) -> Any:
    """Return the class chosen, None for a skip, `_NOTHING` without a single class."""
    chosen: list[str] = []
    for part in annotation.get("result") or []:
        kind, name = part.get("type"), part.get("from_name")
        if kind == "choices" and name == control:
            chosen += map(str, part["value"]["choices"])
        elif kind != "choices" or part["value"]["choices"]:
            dropped[f"{kind} of the control {name!r}"] += 1
    if annotation.get("was_cancelled"):
        return None
    unknown = [choice for choice in chosen if choice not in classes]
    known = list(dict.fromkeys(choice for choice in chosen if choice in classes))
    if len(chosen) == 1 and unknown:
        raise UnknownLabelError(
            f"{unknown[0]!r}, chosen in {control!r}, is not one of the classes {list(classes)} of "
            "the ledger."
        )
    if len(known) == 1:
        for choice in unknown:
            dropped[f"choice {choice!r} beside the class"] += 1
        return known[0]
    dropped[
        f"annotation with {len(known) or 'no'} classes" if known else "annotation without a class"
    ] += 1
    return _NOTHING


def _answer(
    annotation: Mapping[str, Any],
    task: Mapping[str, Any],
    place: int,
    label: str | None,
    emails: Mapping[int, str],
) -> Answer:
    created, changed = (_version(annotation.get(key)) for key in ("created_at", "updated_at"))
    source = annotation.get("import_id")
    ours = task["data"].get(OUR_ANNOTATOR)
    is_ours = isinstance(ours, str) and bool(ours)
    if is_row := "import_id" not in annotation:
        imported = is_ours and place == 0
        edited = not imported or _seconds_between(created, changed) > _UNTOUCHED_SECONDS
    else:
        imported = source is not None and is_ours
        edited = not imported or annotation.get("updated_by") is not None
    by = annotation.get("completed_by")
    return Answer(
        key="".join(str(annotation.get("id", created)).split()) or "unnumbered",
        version=changed or created,
        label=label,
        annotator=str(ours) if imported and not edited else _annotator(by, emails),
        seconds=_seconds(annotation.get("lead_time")),
        task="" if task.get("id") is None else "".join(str(task["id"]).split()),
        replaces=(-1 if is_row else _number(source)) if imported else None,
        edited=edited,
    )


def _annotator(by: Any, emails: Mapping[int, str]) -> str:
    if isinstance(by, Mapping):
        by = by.get("email") or by.get("id")
    if isinstance(by, int) or (isinstance(by, str) and by.isdecimal()):
        return emails.get(int(by)) or f"label-studio user {by}"
    return str(by) if by else "label-studio"


def _version(time: Any) -> str:
    """Return a time in UTC, with microseconds; an empty text without one."""
    if time is None or time == "":
        return ""
    moment = datetime.fromisoformat(re.sub(r"Z$", "+00:00", str(time)))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return moment.astimezone(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _seconds_between(start: str, end: str) -> float:
    if not start or not end:
        return 0.0
    first, last = (datetime.fromisoformat(time.replace("Z", "+00:00")) for time in (start, end))
    return (last - first).total_seconds()


def _number(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return -1


def _bad(annotation: Any) -> bool:
    raise TypeError(f"expected an annotation, got {type(annotation).__name__}")


def _seconds(lead_time: Any) -> float:
    seconds = max(0.0, float(lead_time or 0.0))
    if not math.isfinite(seconds):
        raise ValueError(f"lead_time {lead_time!r}")
    return seconds

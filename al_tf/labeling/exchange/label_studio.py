"""Label Studio's JSON: tasks with predictions written, annotations read."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from ...errors import DataCorruptError
from ...files import write_atomically
from ...parsing import parse_json, read_text
from ..image_pool import ImagePool
from ..ledger import Event, LabelLedger

if TYPE_CHECKING:
    import pandas as pd

LOCAL_FILES = "/data/local-files/?d="
_FROM, _TO = "choice", "image"


@dataclass(frozen=True)
class ImportResult:
    """What `import_annotations` did."""

    recorded: int
    """Events added to the ledger."""
    known: int
    """Annotations that were in it already, or agree with its present label."""
    unmatched: tuple[str, ...]
    """Names of tasks whose image is not in the pool."""


def export_tasks(
    ledger: LabelLedger,
    pool: ImagePool,
    path: str | os.PathLike[str],
    *,
    predictions: pd.DataFrame | None = None,
    url_prefix: str = LOCAL_FILES,
) -> int:
    """Write the images of a pool as Label Studio tasks, with their labels and predictions.

    Beside `path`, a file of the same name ending in ``.xml`` gets the labeling interface that
    belongs to the classes.

    Parameters
    ----------
    ledger : LabelLedger
        Its present labels become annotations.
    pool : ImagePool
    path : path
        A JSON file; replaced if it exists.
    predictions : DataFrame, optional
        Of `predict_folder`; images that it lacks get no prediction.
    url_prefix : str
        Put before each (percent-encoded) file name. By default that of files which Label Studio
        serves from its own disk (``LOCAL_FILES_DOCUMENT_ROOT``).

    Returns
    -------
    int
        Number of tasks.
    """
    answers = ledger.answers()
    predicted = _predictions(predictions)
    tasks = [
        {
            "data": {
                "image": url_prefix + quote(pool.name(image)),
                "name": pool.name(image),
                "image_id": image,
            },
            "annotations": _annotations(answers.get(image)),
            "predictions": predicted.get(image, []),
        }
        for image in pool.ids
    ]
    target = Path(path)
    _write_text(target, json.dumps(tasks, indent=1, ensure_ascii=False) + "\n")
    _write_text(target.with_suffix(".xml"), labeling_interface(ledger.classes))
    return len(tasks)


def _write_text(path: Path, text: str) -> None:
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def labeling_interface(classes: Sequence[str]) -> str:
    """Return Label Studio's interface for one choice among the classes, as XML."""
    choices = "\n".join(f"    <Choice value={quoteattr(label)}/>" for label in classes)
    return (
        f'<View>\n  <Image name="{_TO}" value="$image"/>\n'
        f'  <Choices name="{_FROM}" toName="{_TO}" choice="single" showInLine="true">\n'
        f"{choices}\n  </Choices>\n</View>\n"
    )


def import_annotations(
    ledger: LabelLedger, path: str | os.PathLike[str], *, pool: ImagePool | None = None
) -> ImportResult:
    """Record the annotations of a Label Studio export (JSON) in the ledger.

    Tasks that this package wrote are matched by the content hash they carry; others by their file
    name in `pool`. An annotation is recorded once, however often the file is read; one of an
    image that has another label corrects it; cancelled ones are skips. Imported labels train
    models; the accuracy estimate of a session then holds for the images that were not imported.

    Parameters
    ----------
    ledger : LabelLedger
        With its classes fixed.
    path : path
        What Label Studio exports as "JSON".
    pool : ImagePool, optional
        For tasks without a content hash.

    Returns
    -------
    ImportResult

    Raises
    ------
    DataCorruptError
        Not such a file; nothing was recorded.
    UnknownLabelError
        A choice that is not among the classes; nothing was recorded.
    """
    names = (
        {} if pool is None else {name: image for image in pool.ids for name in pool.names(image)}
    )
    annotations, unmatched = [], []
    for task in _read_tasks(Path(path)):
        image, name = _image_of(task, names)
        if image is None:
            unmatched.append(name)
            continue
        annotations += [(image, name, *read) for read in _read_annotations(task, Path(path))]
    for _, _, _, label, _, _ in annotations:
        if label is not None:
            ledger.check_label(label)
    before = {(event.image, event.strategy) for event in ledger.standing()}
    recorded = sum(_record(ledger, before, *annotation) for annotation in annotations)
    return ImportResult(recorded, len(annotations) - recorded, tuple(unmatched))


def _record(
    ledger: LabelLedger,
    before: set[tuple[str, str]],
    image: str,
    name: str,
    key: str,
    label: str | None,
    annotator: str,
    seconds: float,
) -> bool:
    if (image, key) in before:
        return False
    answer = ledger.answer(image)
    details: dict[str, Any] = {
        "annotator": annotator, "name": name, "seconds": seconds, "strategy": key,
    }  # fmt: skip
    if answer is None and label is None:
        ledger.skip(image, purpose="import", **details)
    elif answer is None:
        ledger.label(image, str(label), purpose="import", **details)
    elif label is None or label == answer.label:
        return False
    else:
        ledger.relabel(image, label, **details)
    return True


def _predictions(table: pd.DataFrame | None) -> dict[str, list[dict[str, Any]]]:
    if table is None:
        return {}
    best = table.filter(regex=r"^p\(").max(axis=1)
    return {
        image: [{"model_version": "al_tf", "score": float(score), "result": _result(label)}]
        for image, label, score in zip(table["image"], table["predicted"], best, strict=True)
    }


def _annotations(event: Event | None) -> list[dict[str, Any]]:
    if event is None:
        return []
    return [
        {
            "result": [] if event.label is None else _result(event.label),
            "was_cancelled": event.label is None,
            "lead_time": event.seconds,
            "created_at": event.time,
            "completed_by": {"email": event.annotator},
        }
    ]


def _result(label: str) -> list[dict[str, Any]]:
    choice = {"choices": [label]}
    return [{"from_name": _FROM, "to_name": _TO, "type": "choices", "value": choice}]


def _read_tasks(path: Path) -> list[Mapping[str, Any]]:
    try:
        tasks = parse_json(read_text(path))
        json.dumps(tasks, ensure_ascii=False).encode()  # escapes can hide what is not a character
    except ValueError as error:
        raise DataCorruptError(f"{path}: not JSON ({error}).") from error
    if not isinstance(tasks, list) or not all(
        isinstance(t, dict) and isinstance(t.get("data"), dict) for t in tasks
    ):
        raise DataCorruptError(
            f"{path}: expected Label Studio's JSON export, a list of tasks with `data` and "
            "`annotations`."
        )
    return tasks


def _image_of(task: Mapping[str, Any], names: Mapping[str, str]) -> tuple[str | None, str]:
    """Return the content hash of a task's image, if it is known, and its name in the task."""
    data = task["data"]
    name = str(data.get("name") or data.get("image") or f"task {task.get('id')}")
    if isinstance(data.get("image_id"), str):
        return data["image_id"], name
    return names.get(name), name


def _read_annotations(
    task: Mapping[str, Any], path: Path
) -> Iterator[tuple[str, str | None, str, float]]:
    """Yield key, label (None: cancelled), annotator and seconds of annotations, oldest first."""
    annotations = task.get("annotations") or []
    try:
        for annotation in sorted(annotations, key=lambda a: str(a.get("created_at", ""))):
            choices = [
                choice
                for part in annotation["result"]
                if part.get("type") == "choices"
                for choice in part["value"]["choices"]
            ]
            cancelled = bool(annotation.get("was_cancelled"))
            if not cancelled and len(choices) != 1:
                continue  # nothing chosen, or no single class
            by = annotation.get("completed_by")
            annotator = by.get("email") or by.get("id") if isinstance(by, dict) else by
            yield (
                f"label-studio {annotation.get('id', annotation.get('created_at', ''))}",
                None if cancelled else str(choices[0]),
                str(annotator) if annotator is not None else "label-studio",
                _seconds(annotation.get("lead_time")),
            )
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise DataCorruptError(
            f"{path}: task {task.get('id')} has an annotation of another form than one choice "
            f"({type(error).__name__}: {error})."
        ) from error


def _seconds(lead_time: Any) -> float:
    seconds = max(0.0, float(lead_time or 0.0))
    if not math.isfinite(seconds):
        raise ValueError(f"lead_time {lead_time!r}")
    return seconds

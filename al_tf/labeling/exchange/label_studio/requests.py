"""What the requests of a Label Studio hold: the number of a project, annotations with their tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ....errors import AlTfError, LabelStudioError
from .annotations import Reading, read_tasks


def project_number(value: Any) -> int:
    """Return the number in ``"NUMBER.TIME"`` or ``NUMBER``; raise `LabelStudioError` for others."""
    text = str(value or "").partition(".")[0]
    if not (text.isascii() and text.isdecimal()):
        raise LabelStudioError(f"Expected the number of a project; got {value!r}.")
    return int(text)


def annotated_tasks(annotations: Any, tasks: Any) -> list[dict[str, Any]]:
    """Return the task of each annotation, with that annotation alone.

    Parameters
    ----------
    annotations, tasks : dict or list of dict
        One or several, as a webhook has them.

    Raises
    ------
    LabelStudioError
        An annotation without its task.
    """
    annotations = annotations if isinstance(annotations, list) else [annotations]
    tasks = tasks if isinstance(tasks, list) else [tasks]
    by_number = {task.get("id"): task for task in tasks if isinstance(task, Mapping)}
    whole = []
    for annotation in annotations:
        task = by_number.get((annotation or {}).get("task"))
        if task is None or not isinstance(task.get("data"), Mapping):
            raise LabelStudioError("Expected an annotation with its task.")
        whole.append({**task, "annotations": [annotation]})
    return whole


def read_annotations(
    tasks: Sequence[Mapping[str, Any]], classes: Sequence[str], **options: Any
) -> Reading:
    """Do as `read_tasks`, and raise `LabelStudioError` for whatever has another form."""
    try:
        return read_tasks(tasks, classes, **options)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        if isinstance(error, AlTfError):
            raise
        raise LabelStudioError(
            f"An annotation has another form than Label Studio gives it ({error})."
        ) from error

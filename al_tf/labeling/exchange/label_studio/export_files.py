"""The files that Label Studio exports: JSON, JSON-MIN and CSV, read as tasks with answers."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ....errors import DataCorruptError, LabelStudioError, UnknownLabelError
from ....parsing import parse_json, read_text
from .annotations import Reading, check_control, read_tasks

_AFTER_CONTROLS = "annotator"
_ROW = ("annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement")
_WIDEST_FIELD = 2**24


def read_file(path: Path, classes: Sequence[str], control: str | None = None) -> Reading:
    """Read an export of Label Studio: "JSON", "JSON-MIN" or "CSV".

    Parameters
    ----------
    path : Path
    classes : sequence of str
        Of the ledger; they tell which control holds the class.
    control : str, optional
        See `read_tasks`.

    Raises
    ------
    DataCorruptError
        Not such a file.
    UnknownLabelError
        A choice that is not among the classes.
    """
    try:
        text = read_text(path)
    except ValueError as error:
        raise DataCorruptError(f"{path}: {error}.") from error
    if text.lstrip("\ufeff \r\n\t")[:1] in ("[", "{"):
        tasks, complete = _json_tasks(path, text)
    else:
        tasks, complete = _csv_tasks(path, text, classes, control), False
    try:
        if control is not None:
            check_control(tasks, control)
        return read_tasks(tasks, classes, complete=complete, control=control)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        if isinstance(error, UnknownLabelError | LabelStudioError):
            raise type(error)(f"{path}: {error}") from error
        raise DataCorruptError(
            f"{path}: an annotation has another form than Label Studio gives it "
            f"({type(error).__name__}: {error})."
        ) from error


def _json_tasks(path: Path, text: str) -> tuple[list[dict[str, Any]], bool]:
    """Return tasks, and whether they come with all of their annotations."""
    try:
        tasks = parse_json(text.lstrip("\ufeff"))
        json.dumps(tasks, ensure_ascii=False).encode()  # escapes can hide what is not a character
    except ValueError as error:
        raise DataCorruptError(f"{path}: not JSON ({error}).") from error
    if isinstance(tasks, list) and all(isinstance(task, dict) for task in tasks):
        if all(isinstance(task.get("data"), dict) for task in tasks):
            if not all(isinstance(task.get("annotations") or [], list) for task in tasks):
                raise DataCorruptError(f"{path}: `annotations` of a task is no list.")
            return tasks, True
        if all("annotation_id" in task for task in tasks):
            return _grouped(tasks, path), False
    raise DataCorruptError(
        f"{path}: expected Label Studio's export as JSON (a list of tasks with `data` and "
        "`annotations`), JSON-MIN or CSV. Other formats, such as COCO or YOLO, hold no classes of "
        "whole images."
    )


def _grouped(rows: Iterable[dict[str, Any]], path: Path) -> list[dict[str, Any]]:
    """Return tasks of rows that hold one annotation each: data, then id, controls, annotator."""
    tasks: dict[Any, dict[str, Any]] = {}
    for row in rows:
        keys = list(row)
        if "id" not in row or _AFTER_CONTROLS not in row:
            raise DataCorruptError(f"{path}: a row of JSON-MIN has no id or annotator.")
        controls = keys[keys.index("id") + 1 : keys.index(_AFTER_CONTROLS)]
        data = {key: row[key] for key in keys if key not in (*controls, "id", *_ROW)}
        _add_row(tasks, row, controls, data)
    return list(tasks.values())


def _csv_tasks(
    path: Path, text: str, classes: Sequence[str], control: str | None
) -> list[dict[str, Any]]:
    csv.field_size_limit(_WIDEST_FIELD)
    try:
        rows = list(csv.DictReader(io.StringIO(text.lstrip("\ufeff"), newline=""), strict=True))
    except csv.Error as error:
        raise DataCorruptError(f"{path}: neither JSON nor CSV ({error}).") from error
    header = set(rows[0]) if rows else set()
    if not {"id", "annotation_id", "annotator"} <= header or any(None in row for row in rows):
        raise DataCorruptError(
            f"{path}: expected Label Studio's export as JSON, JSON-MIN or CSV; as CSV it has the "
            "columns id, annotation_id and annotator."
        )
    values = {
        key: {c for row in rows for c in _choices(row[key])} for key in header - {"id", *_ROW}
    }
    controls = sorted(
        key for key, seen in values.items() if seen & set(classes) or (seen and key == control)
    )
    if not controls:
        seen = sorted(key for key in values if not key.startswith("al_tf_"))
        raise UnknownLabelError(
            f"{path}: no column holds any of the classes {list(classes)}; it has {seen}."
        )
    tasks: dict[Any, dict[str, Any]] = {}
    for row in rows:
        data = {key: row[key] for key in values if key not in controls}
        _add_row(tasks, row, controls, data)
    return list(tasks.values())


def _add_row(
    tasks: dict[Any, dict[str, Any]],
    row: Mapping[str, Any],
    controls: Sequence[str],
    data: dict[str, Any],
) -> None:
    task = tasks.setdefault(str(row["id"]), {"id": row["id"], "data": data, "annotations": []})
    if row["annotation_id"] in (None, ""):
        return
    result = []
    for name in controls:
        choices = _choices(row[name])
        if choices:
            result.append({"type": "choices", "from_name": name, "value": {"choices": choices}})
        elif row[name] not in (None, "", []):
            result.append({"type": "value", "from_name": name})
    task["annotations"].append(
        {
            "id": row["annotation_id"], "result": result, "completed_by": row["annotator"],
            "created_at": row.get("created_at"), "updated_at": row.get("updated_at"),
            "lead_time": row.get("lead_time") or None,
        }
    )  # fmt: skip


def _choices(value: Any) -> list[str]:
    """Return the choices in a cell: one as it is, several as ``{"choices": […]}``."""
    if isinstance(value, str) and value.startswith('{"choices"'):
        try:
            value = parse_json(value)
        except ValueError:
            return [str(value)]
    if isinstance(value, Mapping):
        several = value.get("choices")
        return list(map(str, several)) if isinstance(several, list) else []
    return [value] if isinstance(value, str) and value else []

"""Label Studio's files: tasks with labels and predictions written, exports read."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ....errors import LabelStudioError
from ....files import check_replaceable, write_atomically
from ....strategies.uncertainty import margin_score
from ...image_pool import ImagePool
from ...ledger import Event, LabelLedger
from ...pool import FolderPool
from .addresses import ImageIndex
from .annotations import OUR_ANNOTATOR, OUR_IMAGE, OUR_NAME, Reading, TaskAnswers
from .export_files import read_file
from .interface import IMAGE_KEY, Control, default_control, labeling_interface
from .recording import ImportResult, record_tasks

if TYPE_CHECKING:
    import pandas as pd

LOCAL_FILES = "/data/local-files/?d="
MAX_NAMED = 10


def export_tasks(
    ledger: LabelLedger,
    pool: ImagePool,
    path: str | os.PathLike[str],
    *,
    predictions: pd.DataFrame | None = None,
    url_prefix: str | None = None,
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
        Of `predict_folder`; images that it lacks get no prediction. The score of a prediction is
        that of the strategy ``margin``: the highest is to be labeled next.
    url_prefix : str, optional
        Put before each (percent-encoded) file name. By default that of files which Label Studio
        serves from its own disk, if the parent of the folder is its document root
        (``LOCAL_FILES_DOCUMENT_ROOT``); see `local_files_setup`.

    Returns
    -------
    int
        Number of tasks.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from al_tf.labeling import ArrayPool, LabelLedger
    >>> from al_tf.labeling.exchange.label_studio import export_tasks
    >>> pool = ArrayPool(np.arange(128, dtype=np.uint8).reshape(2, 8, 8))
    >>> with tempfile.TemporaryDirectory() as folder, LabelLedger(f"{folder}/labels.db") as ledger:
    ...     classes = ledger.fix_classes(["good", "defective"])
    ...     event = ledger.label(pool.ids[0], "good", annotator="ana")
    ...     export_tasks(ledger, pool, f"{folder}/tasks.json", url_prefix="https://example.org/")
    2
    """
    check_tasks_path(path)
    control = default_control(ledger.classes)
    prefix = default_url_prefix(pool) if url_prefix is None else url_prefix
    answers = ledger.answers()
    predicted = _predictions(predictions, control)
    tasks = [
        {
            "data": _data(pool, image, prefix, answers.get(image)),
            "annotations": _annotations(answers.get(image), control),
            "predictions": predicted.get(image, []),
        }
        for image in pool.ids
    ]
    target = Path(path)
    _write_text(target, json.dumps(tasks, indent=1, ensure_ascii=False) + "\n")
    _write_text(target.with_suffix(".xml"), labeling_interface(ledger.classes))
    return len(tasks)


def default_url_prefix(pool: ImagePool) -> str:
    """Return what precedes the names of a pool where Label Studio serves the folder's parent."""
    if not isinstance(pool, FolderPool):
        return LOCAL_FILES
    name = pool.folder.resolve().name
    return LOCAL_FILES + (f"{quote(name)}/" if name else "")


def local_files_setup(pool: FolderPool) -> str:
    """Return how Label Studio is set up to show the files of `default_url_prefix`.

    Examples
    --------
    >>> import tempfile
    >>> from PIL import Image
    >>> from al_tf.labeling import FolderPool
    >>> from al_tf.labeling.exchange.label_studio import local_files_setup
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("L", (20, 20)).save(f"{folder}/a.png")
    ...     text = local_files_setup(FolderPool(folder))
    >>> print(text)  # doctest: +ELLIPSIS
    To show the images, Label Studio must run with LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true ...
    """
    folder = pool.folder.resolve()
    return (
        "To show the images, Label Studio must run with "
        "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true "
        f"LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT={folder.parent}, and the project needs a source "
        f"storage of the type Local files with the path {folder}: add it, do not synchronize it."
    )


def import_annotations(
    ledger: LabelLedger,
    path: str | os.PathLike[str],
    *,
    pool: ImagePool | None = None,
    control: str | None = None,
) -> ImportResult:
    """Record the annotations of a Label Studio export in the ledger.

    Tasks that this package wrote are matched by the content hash they carry; others in `pool` by
    the path in their address, then by a file name that no other image has. An annotation is
    recorded once, however often it is read; edited there, it corrects; deleted there, it is taken
    back (where the file is "JSON", which shows it); a cancelled one is a skip. Of several
    annotators, the label counts that most gave. Imported labels train models; the accuracy
    estimate of a session then holds for the images that were not imported.

    Parameters
    ----------
    ledger : LabelLedger
        With its classes fixed.
    path : path
        What Label Studio exports as "JSON", "JSON-MIN" or "CSV".
    pool : ImagePool, optional
        For tasks without a content hash.
    control : str, optional
        Name of the ``Choices`` that holds the class. By default the one whose choices are classes;
        of several such, the one named as `labeling_interface` names it.

    Returns
    -------
    ImportResult

    Raises
    ------
    DataCorruptError
        Not such a file; nothing was recorded.
    UnknownLabelError
        A choice that is not among the classes; nothing was recorded.
    LabelStudioError
        It cannot be decided which control holds the class, no task matches an image, or there is
        no annotation at all; nothing was recorded.

    Examples
    --------
    What one ledger exports, another imports, once:

    >>> import tempfile
    >>> import numpy as np
    >>> from al_tf.labeling import ArrayPool, LabelLedger
    >>> from al_tf.labeling.exchange.label_studio import export_tasks, import_annotations
    >>> pool = ArrayPool(np.arange(128, dtype=np.uint8).reshape(2, 8, 8))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with LabelLedger(f"{folder}/ana.db") as ana, LabelLedger(f"{folder}/bob.db") as bob:
    ...         for ledger in (ana, bob):
    ...             classes = ledger.fix_classes(["good", "defective"])
    ...         event = ana.label(pool.ids[0], "good", annotator="ana")
    ...         n = export_tasks(ana, pool, f"{folder}/tasks.json", url_prefix="https://example.org/")
    ...         for _ in range(2):
    ...             done = import_annotations(bob, f"{folder}/tasks.json")
    ...             print(done.recorded, done.known)
    1 0
    0 1
    """
    reading = read_file(Path(path), ledger.class_list.known_names, control)
    index = None if pool is None else ImageIndex(pool)
    matched, unmatched = match_tasks(reading.tasks, index)
    _check_something_is_there(Path(path), reading, matched, unmatched, index)
    named = [(image, _name_of(image, task, pool), task) for image, task in matched]
    return record_tasks(ledger, named, unmatched, reading.dropped)


def match_tasks(
    tasks: Sequence[TaskAnswers], index: ImageIndex | None, key: str | None = None
) -> tuple[list[tuple[str, TaskAnswers]], list[str]]:
    """Return the image of each task, and a line on each task whose image is not known.

    Parameters
    ----------
    tasks : sequence of TaskAnswers
    index : ImageIndex or None
        None: only images that `export_tasks` named are known.
    key : str, optional
        Of the data that holds the address; every text is tried if it is not given.
    """
    matched, unmatched = [], []
    ids = None if index is None else set(index.pool.ids)
    addresses = [_addresses(task, key) for task in tasks]
    flat = [address for several in addresses for address in several]
    found = {} if index is None else dict(zip(flat, index.match(flat), strict=True))
    for task, several in zip(tasks, addresses, strict=True):
        if task.image is not None and (ids is None or task.image in ids):
            matched.append((task.image, task))
            continue
        matches = [found[address] for address in several if address in found]
        images = {match.image for match in matches if match.image is not None}
        if IMAGE_KEY in task.data and matches and matches[0].image is not None:
            images = {matches[0].image}  # whatever our own column with the name says
        if len(images) == 1:
            matched.append((images.pop(), task))
        elif images:
            unmatched.append(f"{task.title}: ambiguous: its columns name several images")
        else:
            reason = matches[0].reason if matches else "its data names no image"
            if index is None:
                reason = "not exported by al_tf; give the folder of images to match it by name"
            unmatched.append(f"{task.title}: {reason}")
    return matched, unmatched


def _check_something_is_there(
    path: Path,
    reading: Reading,
    matched: Sequence[tuple[str, TaskAnswers]],
    unmatched: Sequence[str],
    index: ImageIndex | None,
) -> None:
    if not reading.tasks:
        raise LabelStudioError(f"{path} holds no tasks.")
    if not matched:
        listed = "".join(f"\n  {line}" for line in unmatched[:MAX_NAMED])
        advice = "" if index is None else f" Its {len(index.pool.ids)} images are named otherwise."
        if index is None:
            advice = " On the command line, add --images FOLDER."
        raise LabelStudioError(
            f"{path}: none of its {len(reading.tasks)} tasks is about an image of the folder."
            f"{advice}{listed}"
        )
    complete = all(task.complete_at for task in reading.tasks)
    if not any(task.answers for task in reading.tasks) and (reading.dropped or not complete):
        raise LabelStudioError(
            f"{path} holds no annotation with a class. {_dropped_line(reading.dropped)}"
        )


def _dropped_line(dropped: Counter[str]) -> str:
    return "Left out: " + ", ".join(f"{n} × {what}" for what, n in dropped.items()) + "."


def _name_of(image: str, task: TaskAnswers, pool: ImagePool | None) -> str:
    """Return what to call the image of a task: as the pool does, if it is there."""
    if pool is not None and image in pool:
        return pool.name(image)
    return str(task.data.get(OUR_NAME) or task.title)


def _addresses(task: TaskAnswers, key: str | None) -> list[str]:
    if key is None:
        return task.addresses
    address = task.data.get(key)
    return [address] if isinstance(address, str) and address else []


def check_tasks_path(path: str | os.PathLike[str]) -> None:
    """Refuse a path that tasks, and the interface beside them, cannot be written to."""
    target = Path(path)
    if target.suffix == ".xml":
        raise ValueError(f"The interface is written to {target}; name the tasks' file .json.")
    for file in (target, target.with_suffix(".xml")):
        check_replaceable(file, "text")


def _write_text(path: Path, text: str) -> None:
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def _data(pool: ImagePool, image: str, prefix: str, event: Event | None) -> dict[str, str]:
    name = pool.name(image)
    data = {IMAGE_KEY: prefix + quote(name), OUR_IMAGE: image, OUR_NAME: name}
    return data if event is None else data | {OUR_ANNOTATOR: event.annotator}


def _predictions(table: pd.DataFrame | None, control: Control) -> dict[str, list[dict[str, Any]]]:
    if table is None:
        return {}
    proba = table.filter(regex=r"^p\(").to_numpy(dtype=float)
    columns = zip(
        table["image"], table["predicted"], proba.max(axis=1), margin_score(proba), strict=True
    )
    return {
        image: [
            {
                "model_version": "al_tf",
                "score": float(score),
                "result": control.result(label, float(probability)),
            }
        ]
        for image, label, probability, score in columns
    }


def _annotations(event: Event | None, control: Control) -> list[dict[str, Any]]:
    """Return the annotation of an event; its number comes back as ``import_id``."""
    if event is None or event.in_dispute:
        return []
    return [
        {
            "id": event.id,
            "result": [] if event.label is None else control.result(event.label),
            "was_cancelled": event.label is None,
            "ground_truth": False,
            "lead_time": event.seconds,
        }
    ]

"""Whether the records of a study are those that its configuration leads to."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import pandas as pd

from ..parsing import read_text
from .config import ExperimentConfig
from .records import PACKED
from .study import Study, run_keys

_RATES = ("accuracy", "f1_macro")


def record_faults(study: Study, config: ExperimentConfig, folder: Path) -> Iterator[str]:
    """Yield what is wrong with the records: missing ones, and impossible values.

    Parameters
    ----------
    study : Study
    config : ExperimentConfig
        The study's, without the strategies that are not registered here.
    folder : Path
        The study's folder.

    Yields
    ------
    str
        A sentence that begins with the file, and names the run and its round.
    """
    if (folder / PACKED).exists():
        digest = sha256(read_text(folder / PACKED).encode()).hexdigest()
        if digest != study.records_sha256 and not (folder / "runs").exists():
            yield f"{PACKED}: holds other runs than study.toml names, or lines that were edited"
    answers: dict[tuple[int, int], int] = {}
    runs = dict(iter(study.records.groupby(["strategy", "seed"])))
    for label, seed in run_keys(study.meta["config"]):
        name = f"{PACKED}: {label}, seed {seed}"
        if (label, seed) not in runs:
            yield f"{name}: no records"
            continue
        rows = runs[label, seed]
        if config.annotators and "asked" not in rows:
            yield f"{name}: the answers of the annotators are missing"
            continue
        faults = list(_run_faults(rows, config, len(study.meta["class_names"])))
        if faults:  # the first is the cause of others
            yield f"{name}, {faults[0]}"
            continue
        if config.annotators:  # who may answer differently from run to run
            continue
        labeled = zip(_joined(rows["queried"]), _joined(rows["queried_labels"]), strict=True)
        for image, answer in labeled:
            if answers.setdefault((seed, image), answer) != answer:
                yield f"{name}: another label for image {image} than in another run"
                break


def _joined(lists: pd.Series) -> list[int]:
    return [value for values in lists for value in values]


def _run_faults(rows: pd.DataFrame, config: ExperimentConfig, n_classes: int) -> Iterator[str]:
    """Yield what is wrong with the records of one run, round by round."""
    total = 0
    asked: set[int] = set()
    last = len(rows) - 1
    records: list[Any] = rows.to_dict("records")
    for number, record in enumerate(records):
        place = f"round {number}"
        ids, labels = (record.get(name) for name in ("queried", "queried_labels"))
        if not _is_integers(ids) or not _is_integers(labels):
            yield f"{place}: queried and queried_labels are not lists of integers"
            return
        expected = config.batch_of(number) if number else config.initial
        if number and config.stop_budget is not None:
            expected = min(expected, config.stop_budget - total)
        paid = record["asked"] if config.annotators else ids  # of several, each answer
        total += len(paid)
        if len(paid) != expected:
            what = "answers" if config.annotators else "images labeled"
            yield f"{place}: {len(paid)} {what}, {expected} expected"
        if record["n_labeled"] != total or len(labels) != len(ids):
            yield f"{place}: n_labeled and the lists of images and labels do not agree"
        if len({*ids}) < len(ids) or asked & {*ids}:
            yield f"{place}: an image is labeled twice"
        if labels and not 0 <= min(labels) <= max(labels) < n_classes:
            yield f"{place}: a label that is not one of the {n_classes} classes"
        asked |= {*ids}
        stopped = _text(record["stopped"])
        if stopped and number < last:
            yield f"{place}: the run goes on after it was stopped"
        if total and (number % config.eval_every == 0 or stopped):
            yield from (f"{place}: {fault}" for fault in _value_faults(record, n_classes))
    if last < config.rounds and not _text(rows["stopped"].iloc[-1]):
        yield f"round {last}: the run ends there, {config.rounds} rounds expected"
    if last > config.rounds:
        yield f"round {last}: more than the {config.rounds} rounds of study.toml"


def _value_faults(record: dict[str, Any], n_classes: int) -> Iterator[str]:
    for name in _RATES:
        if not _is_rate(record[name]):
            yield f"{name} {record[name]!r} is not between 0 and 1"
    recall = record.get("recall")
    if not isinstance(recall, list) or len(recall) != n_classes or not all(map(_is_rate, recall)):
        yield f"recall is not a list of {n_classes} numbers between 0 and 1"
    precision = record.get("average_precision")  # which earlier versions did not record
    if isinstance(precision, list) and (
        len(precision) != n_classes or not all(_is_rate(v) or v != v for v in precision)
    ):
        yield f"average_precision is not a list of {n_classes} numbers between 0 and 1"
    for name in ("seconds_query", "seconds_fit", "seconds_eval"):
        if not isinstance(record[name], (int, float)) or not 0 <= record[name] < np.inf:
            yield f"{name} {record[name]!r} is not a time in seconds"


def _is_integers(value: Any) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(item) is int for item in value)


def _is_rate(value: Any) -> bool:
    return isinstance(value, (int, float)) and 0 <= value <= 1


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""

"""An evaluation as files: tables, and a page with pictures of the model's mistakes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import ImageGoneError
from ...files import new_folder
from ..desk.data_urls import data_url
from ..items import ClassQuality, Estimate
from ..pool import FolderPool
from .evaluate import Evaluation
from .export import write_csv

if TYPE_CHECKING:
    import pandas as pd

MAX_PICTURES = 200
"""Pictures of one class on the page; the table lists every mistake."""

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1rem; }
table { border-collapse: collapse; }
th, td { padding: 0.25rem 1rem 0.25rem 0; text-align: left; border-bottom: 1px solid #8886; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(14rem, 1fr)); gap: 1rem; }
figure { margin: 0; }
img { width: 100%; height: 14rem; object-fit: contain; background: #8882; }
figcaption { font-size: 0.875rem; overflow-wrap: anywhere; }
"""


def write_report(evaluation: Evaluation, out: str | os.PathLike[str]) -> None:
    """Write an evaluation into a new folder.

    ``index.html`` shows the numbers and the mistakes, by class; it needs no other file.
    ``classes.csv``, ``confusion.csv`` and ``images.csv`` are the tables behind it.

    Parameters
    ----------
    evaluation : Evaluation
    out : path
        A folder that does not exist yet; it appears when it is complete.

    Raises
    ------
    FileExistsError
        There is such a folder.
    """
    target = Path(out)
    if target.exists():
        raise FileExistsError(f"{target} exists already. Name a new folder.")
    with new_folder(target) as folder:
        write_csv(class_table(evaluation.per_class()), folder / "classes.csv")
        write_csv(evaluation.confusion().reset_index(), folder / "confusion.csv")
        write_csv(evaluation.table(), folder / "images.csv")
        (folder / "index.html").write_text(mistakes_page(evaluation), encoding="utf-8")


def class_table(per_class: Sequence[ClassQuality]) -> pd.DataFrame:
    """Return recall and precision of each class as a table of numbers.

    Returns
    -------
    DataFrame
        ``class``, ``images``, ``missed``, ``false_alarms``; ``recall`` and ``precision`` with
        ``_low`` and ``_high``, the ends of their exact 95 % intervals.
    """
    import pandas as pd

    rows = []
    for quality in per_class:
        row: dict[str, object] = {
            "class": quality.label, "images": quality.images, "missed": quality.missed,
            "false_alarms": quality.false_alarms,
        }  # fmt: skip
        for name, estimate in (("recall", quality.recall), ("precision", quality.precision)):
            row[name] = None if estimate is None else estimate.value
            row[f"{name}_low"] = None if estimate is None else estimate.low
            row[f"{name}_high"] = None if estimate is None else estimate.high
        rows.append(row)
    return pd.DataFrame(rows)


def mistakes_page(evaluation: Evaluation) -> str:
    """Return a page of HTML with the numbers and, for each class, pictures of the images missed."""
    commonest = evaluation.commonest
    per_class = evaluation.per_class()
    rows = "".join(
        f"<tr><th><bdi>{escape(q.label)}</bdi></th><td>{q.images}</td><td>{_percent(q.recall)}</td>"
        f"<td>{q.missed}</td><td>{_percent(q.precision)}</td><td>{q.false_alarms}</td></tr>\n"
        for q in per_class
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Mistakes of the model</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>The model on {len(evaluation.ids)} labeled images</h1>\n"
        f"<p>Accuracy {_percent(evaluation.accuracy)}; "
        f"always <bdi>{escape(commonest.label)}</bdi>: {_percent(commonest.accuracy)}.</p>\n"
        "<table>\n<tr><th>class</th><th>images</th><th>recall</th><th>missed</th><th>precision</th>"
        f"<th>false alarms</th></tr>\n{rows}</table>\n"
        "<p>In brackets: exact 95 % intervals.</p>\n"
        + "".join(_section(evaluation, quality) for quality in per_class if quality.missed)
        + "</body>\n</html>\n"
    )


def _section(evaluation: Evaluation, quality: ClassQuality) -> str:
    table = evaluation.table()
    missed = table[(table["label"] == quality.label) & ~table["correct"]]
    figures = "".join(
        _figure(evaluation.pool, row) for row in missed.head(MAX_PICTURES).to_dict("records")
    )
    more = len(missed) - MAX_PICTURES
    rest = f"<p>{more} more are in images.csv.</p>\n" if more > 0 else ""
    return (
        f"<h2><bdi>{escape(quality.label)}</bdi>: {len(missed)} of {quality.images} taken for "
        f'another class</h2>\n<div class="pictures">\n{figures}</div>\n{rest}'
    )


def _figure(pool: FolderPool, row: Mapping[Any, Any]) -> str:
    """Return an image of `Evaluation.table` with its name and prediction."""
    name, predicted = escape(str(row["name"])), str(row["predicted"])
    try:
        picture = data_url(pool.pictures.thumbnail(row["image"]))
        shown = f'<img src="{picture}" alt="{name}" loading="lazy">'
    except ImageGoneError:
        shown = "<p>The file has gone.</p>"
    return (
        f"<figure>{shown}<figcaption><bdi>{name}</bdi><br>predicted <bdi>{escape(predicted)}</bdi> "
        f"({row[f'p({predicted})']:.0%})</figcaption></figure>\n"
    )


def _percent(estimate: Estimate | None) -> str:
    if estimate is None:
        return "–"
    return f"{estimate.value:.0%} ({estimate.low:.0%} to {estimate.high:.0%})"

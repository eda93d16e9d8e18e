"""A table of file names and labels (CSV), as people and programs write it."""

from __future__ import annotations

import csv
import unicodedata
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from ..errors import DataCorruptError, DataNotFoundError
from ..folders import list_folder
from ..parsing import read_text
from ._layout import LabeledFiles, plain_text, warn_left_out

NAME_COLUMNS = ("name", "file", "filename", "file_name", "path", "image", "image_id", "id")
LABEL_COLUMNS = ("label", "class", "class_name", "category", "target", "species")


def read_label_table(table: Path, root: Path) -> LabeledFiles:
    """Return the images of a folder that a table names, with the labels that it gives them.

    Parameters
    ----------
    table : Path
        CSV in UTF-8 (a byte-order mark and Windows line ends are allowed), separated by comma,
        semicolon or tab. A header may say which columns hold names (`NAME_COLUMNS`) and labels
        (`LABEL_COLUMNS`); else they are the first and the second. Labels are text: ``007`` stays
        ``007``. Images without a label are left out, with a warning.
    root : Path
        The folder of images. A name is a path beneath it, or a file name that occurs once beneath
        it, with or without the extension; upper and lower case count where they have to.

    Raises
    ------
    DataNotFoundError
        No such table, or it names files that are not there.
    DataCorruptError
        Not such a table, or a file with two labels.
    """
    if not table.is_file() and (root / table).is_file():
        table = root / table
    if not table.is_file():
        raise DataNotFoundError(
            f"labels={str(table)!r}: no such file. Give the path of a CSV table of "
            "file names and labels."
        )
    listing = list_folder(root)
    files = _by_name(listing.images, root)
    labels = _labels(table, files)
    if missing := [name for name in labels if _find(name, files) is None]:
        raise DataNotFoundError(
            f"{table} names {len(missing):,} of {len(labels):,} files that are not beneath {root}, "
            f"or not once: {', '.join(missing[:5])}{', …' if len(missing) > 5 else ''}. "
            "Correct these names."
        )
    by_file = {_find(name, files): label for name, label in labels.items()}
    ordered = tuple(file for file in listing.images if by_file.get(file))
    unlabeled = Counter({f"without a label in {table.name}": len(listing.images) - len(ordered)})
    warn_left_out(root, +unlabeled)
    return LabeledFiles(ordered, tuple(by_file[file] for file in ordered))


def _labels(table: Path, files: Mapping[str, Path]) -> dict[str, str]:
    """Return the label of each name in the table."""
    rows = _rows(table)
    header = [cell.strip().lower() for cell in rows[0]]
    if _find(_plain(rows[0][0]), files):  # no header
        name_column, label_column = 0, 1
    else:
        name_column = _column(header, NAME_COLUMNS, 0)
        label_column = _column(header, LABEL_COLUMNS, 1)
        rows = rows[1:]
    labels: dict[str, str] = {}
    for row in rows:
        name = _plain(row[name_column])
        label = _text(row[label_column]) if len(row) > label_column else ""
        if labels.setdefault(name, label) != label:
            raise DataCorruptError(
                f"{table}: {name} has the labels {labels[name]} and {label}. Keep one."
            )
    return labels


def _rows(table: Path) -> list[list[str]]:
    try:
        lines = read_text(table).removeprefix("\ufeff").splitlines(keepends=True)
    except ValueError as error:
        raise DataCorruptError(
            f"{table}: expected a CSV table in UTF-8, found {error}. In Excel, save it as "
            '"CSV UTF-8".'
        ) from error
    if lines and lines[0].lower().startswith("sep="):  # written by Excel
        del lines[0]
    first = lines[0] if lines else ""
    separator = max(",;\t", key=first.count)
    try:
        rows = [row for row in csv.reader(lines, delimiter=separator) if any(row)]
    except csv.Error as error:
        raise DataCorruptError(f"{table}: not a CSV table ({error}).") from error
    if not rows or min(map(len, rows)) < 2:
        raise DataCorruptError(
            f"{table}: expected two columns, file names and labels, separated by comma, semicolon "
            f"or tab; found {first.strip()[:80]!r}."
        )
    return rows


def _plain(name: str) -> str:
    """Return a name as it is written beneath the root: with slashes, and no ``./``."""
    return _text(name).replace("\\", "/").removeprefix("./")


def _text(cell: str) -> str:
    """Return a cell without space around it; letters with accents in one form, NFC."""
    return unicodedata.normalize("NFC", cell.strip())


def _find(name: str, files: Mapping[str, Path]) -> Path | None:
    return files.get(name) or files.get(name.casefold())


def _column(header: list[str], known: tuple[str, ...], otherwise: int) -> int:
    return next((header.index(name) for name in known if name in header), otherwise)


def _by_name(files: tuple[Path, ...], root: Path) -> dict[str, Path]:
    """Return each file by its path beneath the root, and by other names that are its alone."""
    exact = {plain_text(file.relative_to(root).as_posix()): file for file in files}
    others: dict[str, set[Path]] = {}
    for path, file in exact.items():
        name = path.rpartition("/")[2]
        for other in (path, path.removesuffix(file.suffix), name, name.removesuffix(file.suffix)):
            others.setdefault(other, set()).add(file)
            others.setdefault(other.casefold(), set()).add(file)
    return {name: own.pop() for name, own in others.items() if len(own) == 1} | exact

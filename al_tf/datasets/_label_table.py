"""A table of file names and labels (CSV), as people and programs write it."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from ..errors import DataCorruptError, DataNotFoundError
from ..folders import list_folder
from ..parsing import read_text
from ._layout import LabeledFiles, warn_left_out

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
        ``007``.
    root : Path
        The folder of images. A name is a path beneath it, or a file name that occurs once beneath
        it, with or without the extension.

    Raises
    ------
    DataNotFoundError
        No such table, or it names files that are not there.
    DataCorruptError
        Not such a table, a row without a label, or a file with two labels.
    """
    if not table.is_file() and (root / table).is_file():
        table = root / table
    if not table.is_file():
        raise DataNotFoundError(f"labels={str(table)!r}: no such file.")
    listing = list_folder(root)
    files = _by_name(listing.images, root)
    labels = _labels(table, files)
    if missing := [name for name in labels if name not in files]:
        raise DataNotFoundError(
            f"{table} names {len(missing):,} of {len(labels):,} files that are not beneath {root}, "
            f"or not once: {', '.join(missing[:5])}{', …' if len(missing) > 5 else ''}."
        )
    by_file = {files[name]: label for name, label in labels.items()}
    ordered = tuple(file for file in listing.images if file in by_file)
    unnamed = Counter({f"not in {table.name}": len(listing.images) - len(ordered)})
    warn_left_out(root, +unnamed)
    return LabeledFiles(ordered, tuple(by_file[file] for file in ordered))


def _labels(table: Path, files: Mapping[str, Path]) -> dict[str, str]:
    """Return the label of each name in the table."""
    rows = _rows(table)
    header = [cell.strip().lower() for cell in rows[0]]
    if _plain(rows[0][0]) in files:  # no header
        name_column, label_column = 0, 1
    else:
        name_column = _column(header, NAME_COLUMNS, 0)
        label_column = _column(header, LABEL_COLUMNS, 1)
        rows = rows[1:]
    labels: dict[str, str] = {}
    for row in rows:
        name = _plain(row[name_column])
        label = row[label_column].strip() if len(row) > label_column else ""
        if not label:
            raise DataCorruptError(
                f"{table}: {name} has no label. Give every row a label, or remove the row."
            )
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
    return name.strip().replace("\\", "/").removeprefix("./")


def _column(header: list[str], known: tuple[str, ...], otherwise: int) -> int:
    return next((header.index(name) for name in known if name in header), otherwise)


def _by_name(files: tuple[Path, ...], root: Path) -> dict[str, Path]:
    """Return each file by its path beneath the root, and by shorter names that are its alone."""
    whole = {file.relative_to(root).as_posix(): file for file in files}
    shorter: dict[str, list[Path]] = {}
    for path, file in whole.items():
        for name in {path.removesuffix(file.suffix), file.name, file.stem} - {path}:
            shorter.setdefault(name, []).append(file)
    return {name: own[0] for name, own in shorter.items() if len(own) == 1} | whole

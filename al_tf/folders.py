"""Folders of images: which of their files are images, and what is left out."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .images import EXTENSIONS
from .parsing import parse_json, read_text

EXPORT_INDEX = "classes.json"
"""The file by which an export of labels into folders is recognised."""
_EXTENSIONS = frozenset(EXTENSIONS)
_SYSTEM_FILES = ("Thumbs.db", "desktop.ini", ".DS_Store")


@dataclass(frozen=True)
class FolderListing:
    """The files beneath a folder: images, and how many of each other kind there are."""

    images: tuple[Path, ...]
    """Sorted by name."""
    left_out: Counter[str]
    """Number of files by reason: their extension, ``hidden``, ``linked folder``, …"""

    def __str__(self) -> str:
        """Return what is left out in a line; nothing if nothing is."""
        return left_out_line(self.left_out)


def left_out_line(left_out: Counter[str]) -> str:
    """Return ``20 files left out: 18 .heic, 2 hidden``; nothing for no files."""
    total = sum(left_out.values())
    if not total:
        return ""
    reasons = ", ".join(f"{n:,} {reason}" for reason, n in left_out.most_common())
    return f"{total:,} file{'s' if total > 1 else ''} left out: {reasons}."


def list_folder(folder: Path) -> FolderListing:
    """Return the image files beneath a folder, and what else is there.

    Passed over are hidden files, folders reached through a link, and labels exported by
    ``al-tf export --format folders``, whose file names show the label. What operating systems
    leave behind (``.DS_Store``, ``Thumbs.db``, ``__MACOSX/``) is not counted.
    """
    left_out: Counter[str] = Counter()
    names = sorted(name for files in walk_images(folder, left_out) for name, _ in files)
    return FolderListing(tuple(folder / name for name in names), +left_out)


def walk_images(
    folder: Path, left_out: Counter[str], listed: Callable[[str, str], object] | None = None
) -> Iterator[list[tuple[str, os.DirEntry[str]]]]:
    """Yield the image files of each folder beneath one, in no particular order; see `list_folder`.

    Parameters
    ----------
    folder : Path
    left_out : Counter
        Files that are passed over are counted here by reason, and folders that cannot be read.
    listed : callable, optional
        Called before each folder is listed, with its name below `folder` (empty, or ending in
        ``/``) and its path.

    Yields
    ------
    list of (str, os.DirEntry)
        Names below `folder`, with ``/`` between their parts.
    """
    waiting = [("", os.fspath(folder))]
    while waiting:
        prefix, parent = waiting.pop()
        if listed is not None:
            listed(prefix, parent)
        folders, files = list_one(prefix, parent, left_out)
        waiting += folders
        yield files


def list_one(
    prefix: str, parent: str, left_out: Counter[str]
) -> tuple[list[tuple[str, str]], list[tuple[str, os.DirEntry[str]]]]:
    """Return the folders to look into and the image files of one folder, see `walk_images`.

    Parameters
    ----------
    prefix : str
        Its name below the folder that is listed: empty, or ending in ``/``.
    parent : str
        Its path.
    left_out : Counter

    Returns
    -------
    folders : list of (prefix, path)
    files : list of (name, entry)
    """
    try:
        with os.scandir(parent) as entries:
            folders, files = _sorted_out(entries)
    except FileNotFoundError:
        return [], []  # vanished while we looked
    except OSError:
        left_out["unreadable folder"] += 1
        return [], []
    if prefix and _is_export(Path(parent), folders, files):
        left_out["in an export of al-tf"] += sum(len(names) for *_, names in os.walk(parent))
        return [], []
    inner, images = [], []
    for entry in folders.values():
        if entry.is_symlink():
            left_out["linked folder"] += 1
        elif not entry.name.startswith((".", "__MACOSX")):
            inner.append((f"{prefix}{entry.name}/", entry.path))
    for name, entry in files.items():
        reason = _why_left_out(name, entry)
        if reason is None:
            images.append((prefix + name, entry))
        elif reason:
            left_out[reason] += 1
    return inner, images


def _sorted_out(
    entries: Iterable[os.DirEntry[str]],
) -> tuple[dict[str, os.DirEntry[str]], dict[str, os.DirEntry[str]]]:
    """Return folders, linked ones too, and everything else, by name."""
    folders: dict[str, os.DirEntry[str]] = {}
    files: dict[str, os.DirEntry[str]] = {}
    for entry in entries:
        try:
            is_folder = entry.is_dir()
        except OSError:  # a link to itself
            is_folder = False
        (folders if is_folder else files)[entry.name] = entry
    return folders, files


def _why_left_out(name: str, entry: os.DirEntry[str]) -> str | None:
    """Return why a file is no image, None if it may be one; empty where it is not worth a word."""
    if name[0] == ".":
        return "" if name.startswith("._") or name in _SYSTEM_FILES else "hidden"
    dot = name.rfind(".")
    extension = name[dot:].lower() if dot > 0 else ""
    if extension not in _EXTENSIONS:
        return "" if name in _SYSTEM_FILES else extension or "without an extension"
    try:
        return None if entry.is_file() else "broken link"
    except OSError:  # a link to itself
        return "broken link"


def list_images(folder: Path) -> list[Path]:
    """Return the image files beneath a folder, sorted by name; see `list_folder`."""
    return list(list_folder(folder).images)


def part_of_name(group: str) -> Callable[[str | Path], tuple[str, ...] | None]:
    r"""Return a function from the name of a file to what its images have in common with others.

    Parameters
    ----------
    group : str
        A regular expression for the whole name, without folder and extension. What is in its
        parentheses is the part that images of one group have in common; None for a name that does
        not match.

    Raises
    ------
    ValueError
        No regular expression, or one without parentheses.

    Examples
    --------
    >>> part = part_of_name(r"(.*)_\d+")
    >>> part("lot 7/tile 12_3.png"), part("other.png")
    (('tile 12',), None)
    """
    try:
        compiled = re.compile(group)
    except re.error as error:
        raise ValueError(f"group={group!r} is not a regular expression: {error}.") from error
    if not compiled.groups:
        raise ValueError(
            f"group={group!r} has no parentheses. Put them around the part of the name that "
            r"images of one group have in common, for example (.*)_\d+."
        )

    def part(name: str | Path) -> tuple[str, ...] | None:
        match = compiled.fullmatch(Path(name).stem)
        return None if match is None else tuple(map(str, match.groups()))

    return part


def _is_export(parent: Path, folders: Iterable[str], files: Container[str]) -> bool:
    """Whether `al_tf.labeling.exchange.export` wrote this folder, which its index shows."""
    if EXPORT_INDEX not in files:
        return False
    try:
        index = parse_json(read_text(parent / EXPORT_INDEX))
    except (OSError, ValueError):
        return False
    if not isinstance(index, dict) or not all(isinstance(label, str) for label in index.values()):
        return False
    names = set(folders)
    return bool(names) and names <= set(index)

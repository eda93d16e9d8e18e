"""Folders of images: which of their files are images, and what is left out."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from .images import EXTENSIONS
from .parsing import parse_json, read_text

EXPORT_INDEX = "classes.json"
"""The file by which an export of labels into folders is recognised."""
_SYSTEM_FILES = ("Thumbs.db", "desktop.ini", ".DS_Store")


@dataclass(frozen=True)
class FolderListing:
    """The files beneath a folder: images, and how many of each other kind there are."""

    images: tuple[Path, ...]
    """Sorted by name."""
    left_out: Counter[str]
    """Number of files by reason: their extension, ``hidden``, ``in a linked folder``, …"""

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
    images: list[Path] = []
    left_out: Counter[str] = Counter()
    for parent, folders, files in os.walk(folder):
        if Path(parent) != folder and _is_export(Path(parent), folders, files):
            left_out["in an export of al-tf"] += sum(len(names) for *_, names in os.walk(parent))
            folders.clear()
            continue
        left_out["linked folder"] += sum(os.path.islink(Path(parent, name)) for name in folders)
        folders[:] = [name for name in folders if not name.startswith((".", "__MACOSX"))]
        for name in files:
            path = Path(parent, name)
            if name.startswith("._") or name in _SYSTEM_FILES:
                continue
            if name.startswith("."):
                left_out["hidden"] += 1
            elif path.suffix.lower() not in EXTENSIONS:
                left_out[path.suffix.lower() or "without an extension"] += 1
            elif not path.is_file():
                left_out["broken link"] += 1
            else:
                images.append(path)
    images.sort(key=lambda path: path.relative_to(folder).as_posix())
    return FolderListing(tuple(images), +left_out)


def list_images(folder: Path) -> list[Path]:
    """Return the image files beneath a folder, sorted by name; see `list_folder`."""
    return list(list_folder(folder).images)


def _is_export(parent: Path, folders: list[str], files: list[str]) -> bool:
    """Whether `al_tf.labeling.exchange.export` wrote this folder, which its index shows."""
    if EXPORT_INDEX not in files:
        return False
    try:
        index = parse_json(read_text(parent / EXPORT_INDEX))
    except (OSError, ValueError):
        return False
    if not isinstance(index, dict) or not all(isinstance(label, str) for label in index.values()):
        return False
    return bool(folders) and set(folders) <= set(index)

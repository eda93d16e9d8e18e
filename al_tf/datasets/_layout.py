"""What a folder of images means: which files are which class, and which are for testing."""

from __future__ import annotations

import os
import unicodedata
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataCorruptError, DataNotFoundError, DataWarning
from ..folders import left_out_line, list_folder
from ..images import EXTENSIONS

ON_THE_COMMAND_LINE = "on the command line: --set dataset_options."
VALIDATION = ("valid", "val", "validation")
_SPLITS = ("train", "test", *VALIDATION)


@dataclass(frozen=True)
class LabeledFiles:
    """Image files and their classes."""

    files: tuple[Path, ...]
    words: tuple[str, ...]
    """The class of each file."""

    def __add__(self, other: LabeledFiles) -> LabeledFiles:
        return LabeledFiles(self.files + other.files, self.words + other.words)


def read_layout(root: Path) -> tuple[LabeledFiles, LabeledFiles | None, str]:
    """Return the files for training and for testing, and where the latter come from, in words.

    Parameters
    ----------
    root : Path
        One subfolder per class; or ``train/`` of such, with ``test/`` or ``valid/`` or both.

    Returns
    -------
    train, test : LabeledFiles
        None instead of `test` where the folder has no test set.
    how : str
        For `ImageDataset.source`.

    Raises
    ------
    DataNotFoundError
        No class folders, or one without images.
    DataCorruptError
        Folders that are not one per class.
    """
    train = root / "train"
    if not train.is_dir() or not _subfolders(train):
        return _class_folder(root), None, ""
    names = [folder.name for folder in _subfolders(root)]
    if others := [name for name in names if name not in _SPLITS]:
        raise DataCorruptError(
            f"{root}: expected only train/, test/ and valid/ where there is a train/ with one "
            f"folder per class; found also {', '.join(others)}. Move them elsewhere."
        )
    for_training = _class_folder(train)
    splits = [name for name in ("test", *VALIDATION) if _subfolders(root / name)]
    if "test" in names and "test" not in splits:
        warnings.warn(
            f"{root / 'test'} has no class folders, so its images have no labels: they are left "
            "out.",
            DataWarning,
            stacklevel=4,
        )
    if not splits:
        return for_training, None, ""
    if unused := [f"{name}/" for name in splits[1:]]:
        warnings.warn(
            f"{root}: {', '.join(unused)} is left out: images are drawn from train/ and measured "
            "on test/. To use them, move them into train/.",
            DataWarning,
            stacklevel=4,
        )
    for_testing = _class_folder(root / splits[0])
    if unknown := sorted(set(for_testing.words) - set(for_training.words)):
        raise DataCorruptError(
            f"{root / splits[0]}: expected the classes of {train} "
            f"({', '.join(sorted(set(for_training.words)))}), found also {', '.join(unknown)}."
        )
    return for_training, for_testing, f"tested on {splits[0]}/"


def _class_folder(root: Path) -> LabeledFiles:
    """Return the images of a folder with one subfolder per class."""
    folders = _subfolders(root)
    if not folders:
        raise DataNotFoundError(
            f"{root}: expected one subfolder of images per class, found none. Sort the images so, or "
            f"name a table: labels=FILE.csv ({ON_THE_COMMAND_LINE}labels=FILE.csv)."
        )
    names = [folder.name for folder in folders]
    if len(names) > 1 and set(names) <= set(_SPLITS):
        raise DataCorruptError(
            f"{root}: {', '.join(f'{name}/' for name in names)} hold images, not a folder per "
            "class. Sort them into one folder per class, or name a table: labels=FILE.csv "
            f"({ON_THE_COMMAND_LINE}labels=FILE.csv)."
        )
    inside = _subfolders(folders[0])
    listings = {folder.name: list_folder(folder) for folder in folders}
    if len(folders) == 1 and inside and not _count_images(folders[0]):
        raise DataCorruptError(
            f"{root}: its only subfolder, {names[0]}/, holds folders itself "
            f"({', '.join(folder.name for folder in inside[:5])}). If these are the classes, name "
            f"that folder: folder:{folders[0]}"
        )
    if empty := [name for name, listing in listings.items() if not listing.images]:
        raise DataNotFoundError(
            f"{root}: no images ({', '.join(EXTENSIONS)}) in the class folder {', '.join(empty)}. "
            "Add some, or remove the folder."
        )
    left_out = sum((listing.left_out for listing in listings.values()), Counter())
    left_out["beside the class folders"] += _count_images(root)
    warn_left_out(root, left_out)
    files = tuple(file for listing in listings.values() for file in listing.images)
    words = tuple(plain_text(name) for name, listing in listings.items() for _ in listing.images)
    return LabeledFiles(files, words)


def plain_text(name: str) -> str:
    """Return a file's name as text that can be written: accents in one form, NFC.

    Linux allows names that are not UTF-8; macOS writes accents in another form than Windows.
    """
    return unicodedata.normalize("NFC", os.fsencode(name).decode("utf-8", "replace"))


def warn_left_out(root: Path, left_out: Counter[str]) -> None:
    """Warn of files that are not used."""
    if line := left_out_line(+left_out):
        warnings.warn(f"{root}: {line}", DataWarning, stacklevel=5)


def _subfolders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(
        child
        for child in folder.iterdir()
        if child.is_dir() and not child.name.startswith((".", "__MACOSX"))
    )


def _count_images(folder: Path) -> int:
    """Return the number of images directly in a folder."""
    names = [path.name for path in folder.iterdir()]
    return sum(Path(name).suffix.lower() in EXTENSIONS and name[0] != "." for name in names)

"""Labels out of the ledger: a table, a folder for each class, a trained model."""

from __future__ import annotations

import json
import os
import unicodedata
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import ImageGoneError, StorageError, check_one_of
from ...files import check_replaceable, new_folder, write_atomically
from ...folders import EXPORT_INDEX
from ..desk_settings import DeskSettings
from ..image_pool import ImagePool
from ..ledger import LabelLedger
from ..pool_features import model_inputs
from ..training_set import labeled_images, training_labels

if TYPE_CHECKING:
    import pandas as pd

NOTES = "al_tf.json"
"""Member of an exported ``.keras`` file that holds class names and preprocessing."""

SHORT_HASH = 12
_PLAIN = " -_"
_MAX_BYTES = 200
_RESERVED = {"con", "prn", "aux", "nul", *(f"{p}{n}" for p in ("com", "lpt") for n in range(1, 10))}


@dataclass(frozen=True)
class FolderExport:
    """What `export_folders` did."""

    written: int
    missing: tuple[str, ...]
    """Names of labeled images that are not in the pool any more."""


def export_csv(
    ledger: LabelLedger,
    path: str | os.PathLike[str],
    *,
    history: bool = False,
    excel: bool = False,
    pool: ImagePool | None = None,
) -> int:
    """Write the present labels as CSV (UTF-8), or every event.

    Parameters
    ----------
    ledger : LabelLedger
    path : path
        Replaced if it exists, in one step.
    history : bool
        Write `LabelLedger.history` instead of `LabelLedger.current`.
    excel : bool
        Begin with the mark by which Excel knows UTF-8, and shorten the content hashes to 12 digits.

    pool : ImagePool, optional
        Where the images are: each copy of a labeled image then gets a row, by its name. Without
        it, and in the history, an image has the name under which it was shown.

    Returns
    -------
    int
        Rows written.
    """
    table = ledger.history() if history else ledger.current()
    if pool is not None and not history:
        present = set(pool.ids)
        table["name"] = [
            pool.names(image) if image in present else (name,)
            for image, name in zip(table["image"], table["name"], strict=True)
        ]
        table = table.explode("name", ignore_index=True)
    if excel:
        table["image"] = table["image"].str[:SHORT_HASH]
    write_csv(table, path, encoding="utf-8-sig" if excel else "utf-8")
    return len(table)


def write_csv(
    table: pd.DataFrame, path: str | os.PathLike[str], *, encoding: str = "utf-8"
) -> None:
    """Write a table as CSV, whole or not at all, and over no file that is not text."""
    check_replaceable(path, "text")
    write_atomically(
        Path(path), lambda temporary: table.to_csv(temporary, index=False, encoding=encoding)
    )


def export_folders(
    ledger: LabelLedger, pool: ImagePool, out: str | os.PathLike[str], *, how: str = "copy"
) -> FolderExport:
    """Write the labeled images into a folder for each class.

    Names of folders and files are made safe by percent-encoding, so that no class name or file
    name is ever taken for a path; ``classes.json`` beside them says which folder is which class.
    Copies of an image are written under all of their names.

    Parameters
    ----------
    ledger : LabelLedger
    pool : ImagePool
        Where the images are. Each is checked against the hash it was labeled under.
    out : path
        A folder that does not exist yet, or is empty; it appears when it is complete.
    how : {"copy", "link"}
        Copy the files, or make symbolic links to them (not for arrays).

    Returns
    -------
    FolderExport

    Raises
    ------
    ValueError
        The folder is not empty; or links to images that are not files.
    """
    check_one_of("how", how, ("copy", "link"))
    target = Path(out)
    if target.exists() and not target.is_dir():
        raise StorageError(f"{target} is a file. Name a new folder.")
    if target.exists() and any(target.iterdir()):
        raise ValueError(
            f"{target} is not empty; export into a new folder, so that no old label stays."
        )
    if target.exists():
        target.rmdir()  # empty
    with new_folder(target) as temporary:
        return _fill_folders(ledger, pool, temporary, how)


def _fill_folders(ledger: LabelLedger, pool: ImagePool, target: Path, how: str) -> FolderExport:
    folders = safe_folders(ledger.classes)
    for folder in folders.values():
        (target / folder).mkdir()
    index = {folder: label for label, folder in folders.items()}
    text = json.dumps(index, indent=2, ensure_ascii=False)
    (target / EXPORT_INDEX).write_text(text + "\n", encoding="utf-8")
    missing, written = [], 0
    for image, event in ledger.answers().items():
        if event.label is None:
            continue
        try:
            for name in pool.names(image):
                _write_image(pool, image, name, target / folders[event.label], how)
            written += 1
        except ImageGoneError:
            missing.append(event.name or image)
    return FolderExport(written, tuple(missing))


def _write_image(pool: ImagePool, image: str, name: str, folder: Path, how: str) -> None:
    data, suffix = pool.file_bytes(image)
    stem = name[: -len(suffix)] if name.lower().endswith(suffix) else name
    path = folder / (safe_name(stem) + suffix)
    if path.exists():
        path = folder / f"{safe_name(stem)}-{image[:12]}{suffix}"
    if how == "copy":
        path.write_bytes(data)
        return
    source = pool.path(image)
    if source is None:
        raise ValueError("Links need files, and the images of this pool are an array: use copies.")
    path.symlink_to(source.absolute())


def safe_name(text: str) -> str:
    """Return `text` as the name of a file on any system; `urllib.parse.unquote` reads it back.

    Letters and digits of any script, spaces inside, ``-`` and ``_`` stay; everything else is
    percent-encoded (UTF-8). A name too long for a file is cut, and then cannot be read back.
    """
    text = unicodedata.normalize("NFC", text)
    kept = [c if c.isalnum() or c in _PLAIN else _encoded(c) for c in text]
    for end in (0, -1):
        if kept and kept[end] == " ":
            kept[end] = "%20"
    if text.lower() in _RESERVED:
        kept[0] = _encoded(text[0])
    while len("".join(kept).encode()) > _MAX_BYTES:
        kept.pop()
    return "".join(kept) or "%00"


def safe_folders(classes: Iterable[str]) -> dict[str, str]:
    """Return a folder name for each class, different also where upper and lower case are one."""
    folders: dict[str, str] = {}
    used: set[str] = set()
    for label in classes:
        name, number = safe_name(label), 1
        while name.lower() in used:
            number += 1
            name = f"{safe_name(label)}%{number}"
        used.add(name.lower())
        folders[label] = name
    return folders


def _encoded(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogateescape"))


def export_model(
    estimator: Any,
    path: str | os.PathLike[str],
    *,
    classes: Sequence[str],
    image_shape: Sequence[int],
    labels: int,
    bits: int = 16,
) -> None:
    """Write a trained network as ``.keras``, its class names and preprocessing inside.

    The network takes images of 0–255 and scales them itself. The member ``al_tf.json`` of the
    file holds the classes and how a file becomes an image: what `predict_folder` needs.

    Parameters
    ----------
    estimator : fitted KerasImageClassifier
        Anything with ``to_keras()``.
    path : path
        Ends in ``.keras``; replaced if it exists.
    classes : sequence of str
        In the order of the columns.
    image_shape : sequence of int
        (H, W) or (H, W, C).
    labels : int
        How many it was trained on, for the record.
    bits : int
        How many bits 16-bit images use, see `al_tf.images.decode_image`.

    Raises
    ------
    TypeError
        An estimator without ``to_keras``.
    ValueError
        A path that does not end in ``.keras``.
    """
    check_model_path(path)
    target = Path(path)
    if not hasattr(estimator, "to_keras"):
        raise TypeError(
            f"{type(estimator).__name__} has no Keras network (to_keras) and cannot be written as "
            ".keras; use joblib.dump."
        )
    notes = {
        "classes": list(map(str, classes)),
        "image_shape": [int(side) for side in image_shape],
        "preprocessing": "scaled to fit, aspect kept, padded with the mean colour; values 0-255",
        "labels": labels,
        "bits": bits,
        "al_tf": metadata.version("al-tf"),
    }

    def write(temporary: Path) -> None:
        network = _network_of(estimator, tuple(image_shape))
        network.save(temporary)
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.writestr(NOTES, json.dumps(notes, indent=2, ensure_ascii=False))

    write_atomically(target, write)


def _network_of(estimator: Any, image_shape: tuple[int, ...]) -> Any:
    """Return the Keras network from images of 0–255 to probabilities."""
    if len(getattr(estimator, "input_shape_", image_shape)) == 1:  # a probe fitted on features
        return estimator.to_keras(input_shape=image_shape)
    return estimator.to_keras()


def train_and_export(
    ledger: LabelLedger,
    pool: ImagePool,
    path: str | os.PathLike[str],
    *,
    settings: DeskSettings,
    progress: bool = False,
) -> int:
    """Train the desk's model on a ledger's labels, those of the audit left out, and write it.

    The same settings and labels give the same model as in the desk.

    Parameters
    ----------
    ledger : LabelLedger
    pool : ImagePool
        Where the images are, in the settings' size.
    path : path
        Ends in ``.keras``.
    settings : DeskSettings
        Of `read_settings`.
    progress : bool
        Show a progress bar while the network is trained.

    Returns
    -------
    int
        Labels it was trained on.

    Raises
    ------
    ValueError
        Labels of fewer than two classes.
    """
    check_model_path(path)
    classes = ledger.classes
    estimator = settings.build_estimator(classes).set_params(verbose=int(progress))
    inputs = model_inputs(estimator, pool, progress=progress)
    X, y = labeled_images(inputs, training_labels(ledger.answers()))
    present = len(set(y.tolist()))
    if present < 2:
        raise ValueError(
            f"A model needs labels of two classes or more, on images of the pool; got {len(y)} "
            f"label(s) of {present} class(es)."
        )
    estimator.fit(X, y)
    export_model(
        estimator, path, classes=classes, image_shape=pool.shape, labels=len(y), bits=pool.bits
    )
    return len(y)


def check_model_path(path: str | os.PathLike[str]) -> None:
    """Refuse a path that a model cannot be written to; call it before the model is trained."""
    if Path(path).suffix != ".keras":
        raise ValueError(f"A model's file ends in .keras; got {str(path)!r}.")
    check_replaceable(path, "zip")

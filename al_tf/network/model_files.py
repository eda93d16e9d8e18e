"""Networks read from files that somebody else may have made."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataCorruptError, DataNotFoundError
from ..parsing import parse_json

if TYPE_CHECKING:
    import keras

CONFIG = "config.json"
"""The member of a ``.keras`` file that says what to build."""
MAX_CONFIG = 2**24
"""Bytes; a network of a thousand layers takes a twentieth of it."""
MAX_UNPACKED = 10
"""Times the size of the file; Keras does not compress, and trained weights hardly can be."""
PARTS_OF_KERAS = {
    "keras.layers", "keras.models", "keras.src.models.functional", "keras.src.models.sequential",
    "keras.initializers", "keras.regularizers", "keras.constraints", "keras.dtype_policies",
    "keras.optimizers", "keras.optimizers.schedules", "keras.losses", "keras.metrics",
}  # fmt: skip
OF_KERAS = {"Functional", "Sequential", "DTypePolicy"}
"""Classes that the module ``keras`` itself offers; it also has functions, which are refused."""
OF_APPLICATIONS = {
    ("keras.src.ops.numpy", "Add"),
    ("keras.src.ops.numpy", "Multiply"),
    ("keras.src.applications.convnext", "LayerScale"),
}
"""Arithmetic that networks of Keras Applications name by where it lies."""
DATA_NAMES = {"__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__tuple__", "__slice__",
              "__ellipsis__"}  # fmt: skip
"""Values that Keras marks as classes of no module."""
CODE_NAMES = {
    "Lambda", "TFSMLayer", "TorchModuleWrapper", "FlaxLayer", "JaxLayer",  # run code
    "StringLookup", "IntegerLookup", "TextVectorization",  # read files
    "function", "__lambda__",
}  # fmt: skip


def load_network(path: str | os.PathLike[str]) -> keras.Model:
    """Read a network from a ``.keras`` file; code inside the file is never run.

    Keras builds whatever a file names. So the names are checked before Keras sees them: layers,
    initializers and the like of Keras itself, and of those none that runs code or reads other files.

    Raises
    ------
    DataNotFoundError
        No such file.
    DataCorruptError
        Not a Keras model, or one that needs code of its own.
    """
    import keras

    if not Path(path).is_file():
        raise DataNotFoundError(f"{path}: no such model.")
    if Path(path).suffix != ".keras":  # Keras would read another format, with no names to check
        raise DataCorruptError(f"{path}: expected a Keras model, whose name ends in .keras.")
    _check_what_is_named(Path(path))
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # what Keras raises on a file that is none of its own is open-ended
        raise _unreadable(path, error) from error


def _check_what_is_named(path: Path) -> None:
    """Raise `DataCorruptError` unless all that a model's configuration names may be built."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
            if unpacked > MAX_UNPACKED * path.stat().st_size + MAX_CONFIG:
                raise ValueError(f"it unpacks to {unpacked:,} bytes, as no Keras model does")
            if archive.getinfo(CONFIG).file_size > MAX_CONFIG:
                raise ValueError(f"{CONFIG} is longer than {MAX_CONFIG:,} bytes")
            pending = [parse_json(archive.read(CONFIG), nan=True)]
    except Exception as error:  # what zipfile raises on hostile bytes is open-ended
        raise _unreadable(path, error) from error
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            pending += value.values()
            if "class_name" in value and not _may_be_built(value):
                module, name = value.get("module"), value["class_name"]
                raise DataCorruptError(
                    f"{path}: this model names {f'{module}.' if module else ''}{name}, which is no "
                    "plain part of Keras and could run code of its own. Load it with Keras itself "
                    "if you trust who made it."
                )
        elif isinstance(value, list):
            pending += value


def _may_be_built(named: dict[str, Any]) -> bool:
    module, name = named.get("module"), named["class_name"]
    if not isinstance(name, str) or name in CODE_NAMES or not isinstance(module, str | None):
        return False
    if module is None:
        return name in DATA_NAMES
    if (module, name) in OF_APPLICATIONS:
        return True
    return module in PARTS_OF_KERAS or (module == "keras" and name in OF_KERAS)


def _unreadable(path: str | os.PathLike[str], error: Exception) -> DataCorruptError:
    return DataCorruptError(
        f"{path}: expected a Keras model (.keras), found a file that cannot be read "
        f"({type(error).__name__}: {error})."
    )

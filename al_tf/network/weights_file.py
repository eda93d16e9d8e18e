"""Fitted states on disk: NPZ files of plain arrays."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataCorruptError
from ..files import storage_explained, write_atomically
from .engine import NetworkState
from .linear_head import LabeledFeatures, LinearHead


def write_arrays(path: str | os.PathLike[str], arrays: Mapping[str, Any]) -> None:
    """Write an NPZ file, whole or not at all.

    Raises
    ------
    StorageError
        If the disk is full or refuses the file.
    ValueError
        For an array of Python objects.
    """

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:  # given a path, numpy appends ".npz" to it
            np.savez(file, allow_pickle=False, **arrays)

    with storage_explained(path):
        write_atomically(Path(path), write)


def add_arrays(
    path: str | os.PathLike[str], write: Callable[[Path], object], arrays: Mapping[str, Any]
) -> None:
    """Let `write` make an NPZ file, add arrays to it, and put it in its place in one step.

    Raises
    ------
    StorageError
        If the disk is full or refuses the file.
    """

    def write_all(temporary: Path) -> None:
        write(temporary)
        with zipfile.ZipFile(temporary, "a") as archive:
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)

    with storage_explained(path):
        write_atomically(Path(path), write_all)


def read_arrays(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read what `write_arrays` wrote.

    Raises
    ------
    FileNotFoundError
        No such file.
    DataCorruptError
        Not an NPZ file of plain arrays, or a damaged one.
    """
    with open(path, "rb") as file:
        if not zipfile.is_zipfile(file):
            raise DataCorruptError(
                f"{path}: expected weights (.npz), found a file of another kind or a part of one."
            )
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise DataCorruptError(
            f"{path}: expected weights (.npz), found a file that cannot be read ({error})."
        ) from error


@dataclass(frozen=True)
class SavedFit:
    """A fitted `KerasImageClassifier` without its parameters."""

    classes: np.ndarray
    input_shape: tuple[int, ...]
    scale: str
    """From `image_scale`, of the images of the fit."""
    n_fits: int
    """Fits since the last from scratch, which seed the order of the images."""
    state: NetworkState

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write an NPZ file; raises as `write_arrays` does."""
        arrays: dict[str, Any] = {
            "classes": self.classes,
            "input_shape": np.array(self.input_shape),
            "scale": self.scale,
            "n_fits": self.n_fits,
        }
        arrays |= {f"variable_{i}": v for i, v in enumerate(self.state.variables)}
        arrays |= {f"optimizer_{i}": v for i, v in enumerate(self.state.optimizer)}
        write_arrays(path, arrays)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> SavedFit:
        """Read what `write` wrote; raises as `read_arrays` does."""
        arrays = read_arrays(path)
        if "n_fits" not in arrays:
            raise DataCorruptError(
                f"{path}: expected weights that KerasImageClassifier.save_weights wrote; it holds "
                f"{', '.join(sorted(arrays)[:5])}."
            )
        return cls(
            classes=arrays["classes"],
            input_shape=tuple(int(side) for side in arrays["input_shape"]),
            scale=str(arrays.get("scale", "unclear")),  # older files do not state it
            n_fits=int(arrays["n_fits"]),
            state=NetworkState(_numbered(arrays, "variable_"), _numbered(arrays, "optimizer_")),
        )


@dataclass(frozen=True)
class SavedProbe:
    """A fitted `LinearProbeClassifier` without its parameters."""

    classes: np.ndarray
    input_shape: tuple[int, ...]
    scale: str
    """From `image_scale`, of the images of the fit; "unclear" after a fit on features."""
    head: LinearHead
    labeled: LabeledFeatures

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write an NPZ file; raises as `write_arrays` does."""
        arrays = {
            "classes": np.asarray(self.classes.tolist()),  # text of pandas comes as objects
            "input_shape": np.array(self.input_shape),
            "scale": self.scale,
        }
        write_arrays(path, arrays | vars(self.head) | vars(self.labeled))

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> SavedProbe:
        """Read what `write` wrote; raises as `read_arrays` does, and ValueError for another file."""
        arrays = read_arrays(path)
        names = {field.name for part in (LinearHead, LabeledFeatures) for field in fields(part)}
        missing = {"classes", "input_shape", "scale", *names} - set(arrays)
        if missing:
            raise ValueError(
                f"{path} was not written by LinearProbeClassifier.save_weights: it lacks "
                f"{', '.join(sorted(missing))}."
            )
        return cls(
            classes=arrays["classes"],
            input_shape=tuple(int(side) for side in arrays["input_shape"]),
            scale=str(arrays["scale"]),
            head=LinearHead(arrays["coef"], arrays["intercept"], int(arrays["steps"])),
            labeled=LabeledFeatures(
                arrays["features"],
                arrays["codes"],
                arrays["weights"],
                float(arrays["C"]),
                str(arrays["backbone"]),
            ),
        )


def _numbered(arrays: Mapping[str, np.ndarray], prefix: str) -> list[np.ndarray]:
    """Return ``arrays[prefix0]``, ``arrays[prefix1]`` … as a list."""
    count = sum(name.startswith(prefix) for name in arrays)
    return [arrays[f"{prefix}{i}"] for i in range(count)]

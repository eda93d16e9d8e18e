"""CIFAR-10: 60,000 colour 32 × 32 photographs in ten classes."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from ..errors import DataCorruptError
from ..images import decode_image, decoder
from ..progress import progress_bar
from ._archive import Members, file_digest, iter_members, read_members
from ._base import ImageDataset
from ._download import download
from ._source import Source
from ._store import stored

CLASS_NAMES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
ARCHIVE = "cifar-10-binary.tar.gz"
# The authors publish an MD5 of the archive and nothing stronger. It detects a truncated or a wrong
# file, not one that somebody has forged on purpose.
ARCHIVE_MD5 = "c32a1d4ab5d03f1284b67883e8d87530"
JPEG_ARCHIVE = "cifar10-jpeg.tar.xz"
MIRRORS = (f"https://www.cs.toronto.edu/~kriz/{ARCHIVE}",)
PER_CLASS = {"train": 5000, "test": 1000}
_BATCHES = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")
_PER_BATCH, _RECORD = 10_000, 1 + 3 * 32 * 32
_MAX_ARCHIVE, _MAX_DECOMPRESSED = 200 << 20, 512 << 20


class _Copy(NamedTuple):
    """A copy of the dataset: a kind and the archive or folder that holds it."""

    kind: str  # "binary" or "jpeg"
    path: Path


class _Cifar10(Source[_Copy]):
    name = "cifar10"
    wanted = f"{ARCHIVE}, {JPEG_ARCHIVE}, or train/<class>/ and test/<class>/ folders"
    remedy = (
        "To get it: with a network, `al-tf data fetch cifar10` downloads it (170 MB); without, put "
        f"{ARCHIVE}, {JPEG_ARCHIVE} or the folder cifar10/ with train/<class>/ and test/<class>/ "
        "into a folder and name that in $AL_TF_DATA_DIR."
    )

    def accept(self, folder: Path) -> _Copy | None:
        if (folder / ARCHIVE).is_file():
            return _Copy("binary", folder / ARCHIVE)
        if all((folder / part / name).is_dir() for part in PER_CLASS for name in CLASS_NAMES):
            return _Copy("jpeg", folder)
        if (folder / JPEG_ARCHIVE).is_file():
            return _Copy("jpeg", folder / JPEG_ARCHIVE)
        return None

    def download(self) -> list[str]:
        return download(MIRRORS, self.cached / ARCHIVE, verify, _MAX_ARCHIVE)

    def place(self, copy: _Copy) -> str:
        return str(copy.path) + ("" if copy.kind == "binary" else " (lossy JPEG copy)")


SOURCE = _Cifar10()


def load(data_dir: str | os.PathLike[str] | None, seed: int) -> ImageDataset:
    """Load CIFAR-10 from the authors' binary archive, or from a copy as image files.

    The images are decoded once and kept in the user cache. The 50,000 training and 10,000 test
    images are those of its authors; `seed` changes nothing. A copy made of JPEG files is lossy:
    `ImageDataset.source` says so, and its fingerprint is another.

    References
    ----------
    Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
    """
    copy = SOURCE.obtain(data_dir)
    if copy.kind == "binary":
        verify(copy.path)
        arrays = stored("cifar10", ARCHIVE_MD5[:16], lambda: _from_binary(copy.path))
        source = f"the authors' binary archive {copy.path.name}"
    else:
        key, members = read_members(copy.path, list(PER_CLASS), _MAX_DECOMPRESSED)
        key = f"{key}-{decoder()}"
        arrays = stored("cifar10-jpeg", key, lambda: _from_jpegs(members, copy.path))
        source = f"a lossy JPEG copy (not the original pixels) in {copy.path.name}"
    return ImageDataset(
        arrays["x_train"],
        arrays["y_train"],
        arrays["x_test"],
        arrays["y_test"],
        class_names=CLASS_NAMES,
        name="cifar10",
        source=source,
    )


def verify(archive: Path) -> None:
    """Raise `DataCorruptError` unless a file has the MD5 of the authors' binary archive."""
    digest = file_digest(archive, "md5")
    if digest != ARCHIVE_MD5:
        raise DataCorruptError(
            f"{archive}: truncated or not the original archive; expected MD5 {ARCHIVE_MD5}, "
            f"found {digest}. Delete it and fetch it again."
        )


def parse_batch(data: bytes, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Read one file of the binary version: 10,000 records of a label byte and 3,072 pixels.

    Parameters
    ----------
    data : bytes
        The whole file.
    what : str
        Its name, for messages.

    Returns
    -------
    (images, labels)
        uint8 of shape (10000, 32, 32, 3) and int64 of shape (10000,).

    Raises
    ------
    DataCorruptError
        Another length, or a label above 9.
    """
    if len(data) != _PER_BATCH * _RECORD:
        raise DataCorruptError(
            f"{what}: expected {_PER_BATCH:,} records of {_RECORD:,} bytes "
            f"({_PER_BATCH * _RECORD:,} bytes), found {len(data):,} bytes."
        )
    records = np.frombuffer(data, dtype=np.uint8).reshape(_PER_BATCH, _RECORD)
    labels = records[:, 0].astype(np.int64)
    if labels.max() >= len(CLASS_NAMES):
        raise DataCorruptError(f"{what}: expected labels 0 to 9, found {labels.max()}.")
    planes = records[:, 1:].reshape(_PER_BATCH, 3, 32, 32)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels


def _from_binary(archive: Path) -> dict[str, np.ndarray]:
    parsed = {}
    for name, data in iter_members(archive, _MAX_DECOMPRESSED):
        stem = PurePosixPath(name).name
        if stem in _BATCHES:
            parsed[stem] = parse_batch(data, f"{archive}: {name}")
    if missing := [name for name in _BATCHES if name not in parsed]:
        raise DataCorruptError(f"{archive}: expected {', '.join(_BATCHES)}; lacks {missing}.")
    images, labels = zip(*(parsed[name] for name in _BATCHES), strict=True)
    return {
        "x_train": np.concatenate(images[:-1]),
        "y_train": np.concatenate(labels[:-1]),
        "x_test": images[-1],
        "y_test": labels[-1],
    }


def _from_jpegs(members: Members, what: Path) -> dict[str, np.ndarray]:
    """Decode ``…/train/<class>/<file>`` and ``…/test/<class>/<file>``, sorted by class and name."""
    decoded: dict[tuple[str, str], dict[str, np.ndarray]] = {
        (part, name): {} for part in PER_CLASS for name in CLASS_NAMES
    }
    total = sum(PER_CLASS.values()) * len(CLASS_NAMES)
    bar = progress_bar(members, desc="Decoding CIFAR-10", total=total, unit="image", delay=1)
    for name, data in bar:
        part, of_class, file = ("", "", *PurePosixPath(name).parts)[-3:]
        if (part, of_class) in decoded:
            image = decode_image(data, f"{what}: {name}", grey=False)
            if image.shape != (32, 32, 3):
                raise DataCorruptError(
                    f"{what}: {name}: expected an image of 32 × 32, found {image.shape[:2]}."
                )
            decoded[part, of_class][file] = image
    arrays = {}
    for part, expected in PER_CLASS.items():
        for name in CLASS_NAMES:
            if len(decoded[part, name]) != expected:
                raise DataCorruptError(
                    f"{what}: expected {expected:,} images in {part}/{name}/, "
                    f"found {len(decoded[part, name]):,}."
                )
        images = [image for name in CLASS_NAMES for _, image in sorted(decoded[part, name].items())]
        arrays[f"x_{part}"] = np.stack(images)
        arrays[f"y_{part}"] = np.repeat(np.arange(len(CLASS_NAMES)), expected)
    return arrays

"""Magnetic-tile surfaces: 1,344 grey photographs of sound and defective tiles."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from ..errors import DataCorruptError, check_one_of
from ..images import decode_image, decoder
from ..progress import progress_bar
from ..seeding import stream
from ._archive import Members, read_members
from ._base import ImageDataset
from ._download import download
from ._source import Source
from ._split import choose_test
from ._store import stored

# The counts of the authors; all that a copy can be checked against, as no checksum is published.
COUNTS = {"free": 952, "blowhole": 115, "uneven": 103, "break": 85, "crack": 57, "fray": 32}
CLASS_NAMES = tuple(COUNTS)
ARCHIVES = (
    "magnetic-tile.zip",  # as downloaded
    "magnetic-tile-160px.tar.gz",  # shorter side reduced to 160 pixels
    "Magnetic-tile-defect-datasets.-master.zip",  # as a browser saves it from GitHub
)
MIRRORS = (
    "https://codeload.github.com/abin24/Magnetic-tile-defect-datasets./zip/refs/heads/master",
)
TEST_FRACTION = 0.2
_MEMBER = re.compile(r"(?:^|/)MT_(\w+)/Imgs/exp(\d+)_num_(\d{1,9})\.jpe?g$", re.IGNORECASE)
_FOLDERS = tuple(f"MT_{name.capitalize()}/Imgs" for name in CLASS_NAMES)
_SAME_TILE = 400
_MAX_ARCHIVE, _MAX_DECOMPRESSED = 512 << 20, 1 << 30


class _MagneticTile(Source[Path]):
    name = "magnetic_tile"
    wanted = f"{', '.join(ARCHIVES)}, or folders MT_<Class>/Imgs/"
    remedy = (
        "To get it: with a network, `al-tf data fetch magnetic_tile` downloads it; without, put one "
        f"of {', '.join(ARCHIVES)} or the folders MT_<Class>/Imgs/ into a folder and name that in "
        "$AL_TF_DATA_DIR."
    )

    def accept(self, folder: Path) -> Path | None:
        for name in ARCHIVES:
            if (folder / name).is_file():
                return folder / name
        return folder if all((folder / subfolder).is_dir() for subfolder in _FOLDERS) else None

    def download(self) -> list[str]:
        return download(MIRRORS, self.cached / ARCHIVES[0], verify, _MAX_ARCHIVE)


SOURCE = _MagneticTile()


def load(
    data_dir: str | os.PathLike[str] | None,
    seed: int,
    *,
    size: int = 64,
    labels: str = "defect",
) -> ImageDataset:
    """Load the tiles as grey squares, about a fifth of each class for testing.

    Every tile was photographed about six times under different light, and the shots carry near
    numbers: shots within 400 numbers of each other stay on one side of the split. A split by
    image would leak: over five seeds it left 39–46 % of the test images with a shot in the pool
    that correlates above 0.98 with them, this one 0–2 %.

    Parameters
    ----------
    data_dir : path, optional
        A folder to search first.
    seed : int
        Draws which tiles are for testing.
    size : int
        Height and width; an image is scaled to fit, its aspect kept, and centred on its mean grey.
    labels : {"defect", "binary"}
        The six classes (free, blowhole, uneven, break, crack, fray), or good and defective.

    References
    ----------
    Huang, Qiu, Yuan, "Surface defect saliency of magnetic tile", The Visual Computer 36, 2020.
    """
    check_one_of("labels", labels, ("defect", "binary"))
    if isinstance(size, bool) or not isinstance(size, int) or not 8 <= size <= 512:
        raise ValueError(f"size must be an integer from 8 to 512 pixels; got {size!r}.")
    path = SOURCE.obtain(data_dir)
    key, members = read_members(path, _FOLDERS, _MAX_DECOMPRESSED)
    key = f"{key}-{size}-{decoder()}"
    arrays = stored("magnetic_tile", key, partial(_decode, members, path, size))
    images, defects = arrays["images"], arrays["defects"]
    test = choose_test(
        defects, TEST_FRACTION, stream(seed, "magnetic_tile", "test"), _tiles(arrays["numbers"])
    )
    y = np.minimum(defects, 1) if labels == "binary" else defects
    return ImageDataset(
        images[~test],
        y[~test],
        images[test],
        y[test],
        class_names=("good", "defective") if labels == "binary" else CLASS_NAMES,
        name="magnetic_tile",
        source=f"{path.name}, scaled and padded to {size} × {size}, split by tile with seed {seed}",
    )


def verify(path: Path) -> None:
    """Raise `DataCorruptError` unless an archive holds the right number of images of each class."""
    _, members = read_members(path, _FOLDERS, _MAX_DECOMPRESSED)
    _check_counts([defect for defect, _, _ in _tiles_in(members)], path)


def _tiles_in(members: Members) -> Iterator[tuple[int, int, bytes]]:
    """Yield class, shot number and JPEG bytes; masks and other files are passed over."""
    for name, data in members:
        match = _MEMBER.search(name)
        if match and match[1].lower() in COUNTS:
            yield CLASS_NAMES.index(match[1].lower()), int(match[3]), data


def _check_counts(defects: list[int], path: Path) -> None:
    counts = np.bincount(np.array(defects, dtype=int), minlength=len(COUNTS))
    if counts.tolist() != list(COUNTS.values()):
        counted = ", ".join(f"{n} {name}" for name, n in zip(CLASS_NAMES, counts, strict=True))
        expected = ", ".join(f"{n} {name}" for name, n in COUNTS.items())
        raise DataCorruptError(f"{path}: expected {expected} images; found {counted}.")


def _decode(members: Members, path: Path, size: int) -> dict[str, np.ndarray]:
    total = sum(COUNTS.values())
    tiles_in = _tiles_in(members)
    bar = progress_bar(tiles_in, desc="Decoding magnetic tiles", total=total, unit="image", delay=1)
    tiles = [
        (defect, number, decode_image(data, f"{path}: shot {number}", size=(size, size), grey=True))
        for defect, number, data in bar
    ]
    tiles.sort(key=lambda tile: tile[:2])
    _check_counts([defect for defect, _, _ in tiles], path)
    return {
        "images": np.stack([image for _, _, image in tiles]),
        "defects": np.array([defect for defect, _, _ in tiles]),
        "numbers": np.array([number for _, number, _ in tiles]),
    }


def _tiles(numbers: np.ndarray) -> np.ndarray:
    """Return a group for each shot: a gap of more than 400 numbers starts another tile."""
    order = np.argsort(numbers, kind="stable")
    group = np.empty(len(numbers), dtype=int)
    group[order] = np.cumsum(np.diff(numbers[order], prepend=numbers[order[:1]]) > _SAME_TILE)
    return group

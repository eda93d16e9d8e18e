"""Solar cells: 2,624 grey photographs of their glow under current, sound and defective."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from ..errors import DataCorruptError, check_one_of
from ..images import decode_image, decoder
from ..progress import progress_bar
from ..seeding import stream
from ._archive import iter_members
from ._base import ImageDataset
from ._source import Source
from ._split import choose_test
from ._store import stored

PACKAGE = "elpv_dataset"
WHEEL = "elpv_dataset-1.0.0.post1-py3-none-any.whl"
SHA256 = "78ce8c6eb2b8fb03e9d864c92380dde91c030f2a7ee99f72186a42e27ad20ad0"
"""Of the label table followed by every image file in the order of their names."""
RATINGS = ("good", "good, unsure", "defective, unsure", "defective")
TEST_FRACTION = 0.2
STRETCH = 60
"""Cells in a row that stay on one side of the split: as many as most modules have."""
_LINE = re.compile(r"(images/cell\d{4}\.png)\s+([01]\.\d+)\s+(?:mono|poly)")
_MAX_BYTES = 1 << 28


class _SolarCells(Source[Path]):
    name = "solar_cells"
    wanted = f"labels.csv with images/cell*.png, or {WHEEL}"
    remedy = (
        "To get it: pip install 'al-tf[solar-cells]' (or only the data, 87 MB: pip install "
        f"{PACKAGE.replace('_', '-')}); without a network, put {WHEEL} from PyPI into a folder and "
        "name that in $AL_TF_DATA_DIR."
    )

    @property
    def system(self) -> Sequence[Path]:  # type: ignore[override]
        """The folder that the package brings, if it is installed."""
        spec = importlib.util.find_spec(PACKAGE)
        folders = (spec.submodule_search_locations or ()) if spec else ()
        return [Path(folder, "data") for folder in folders]

    def accept(self, folder: Path) -> Path | None:
        if (folder / WHEEL).is_file():
            return folder / WHEEL
        is_copy = (folder / "labels.csv").is_file() and (folder / "images").is_dir()
        return folder if is_copy else None

    def download(self) -> list[str]:
        return [f"the package {PACKAGE.replace('_', '-')} is not installed"]


SOURCE = _SolarCells()


def load(
    data_dir: str | os.PathLike[str] | None,
    seed: int,
    *,
    size: int = 64,
    labels: str = "binary",
) -> ImageDataset:
    """Load the cells as grey squares, about a fifth of each class for testing.

    The cells were cut out of electroluminescence photographs of 44 modules and are numbered module
    after module. Cells of one module look alike, and which one a cell is from is not stated, so
    stretches of 60 numbers stay on one side of the split. A split by image would leak: over five
    seeds it left 12–15 % of the test images with a cell in the pool that correlates above 0.99 with
    them, this one 0–2 %.

    Parameters
    ----------
    data_dir : path, optional
        A folder to search first; otherwise the package ``elpv-dataset`` is read where it is
        installed.
    seed : int
        Draws which stretches are for testing.
    size : int
        Height and width in pixels, at most the 300 of the originals.
    labels : {"binary", "rating"}
        Good and defective; or, as experts rated them, good, good but unsure, defective but unsure,
        and defective, which the first puts into two classes.

    Notes
    -----
    The images have the licence CC BY-NC-SA 4.0: no commercial use. They are checked by their
    SHA-256.

    References
    ----------
    Buerhop-Lutz et al., "A Benchmark for Visual Identification of Defective Solar Cells in
    Electroluminescence Imagery", EU PVSEC 2018. Deitsch et al., "Automatic classification of
    defective photovoltaic module cells in electroluminescence images", Solar Energy 185, 2019.
    """
    check_one_of("labels", labels, ("binary", "rating"))
    if isinstance(size, bool) or not isinstance(size, int) or not 8 <= size <= 300:
        raise ValueError(f"size must be an integer from 8 to 300 pixels; got {size!r}.")
    path = SOURCE.obtain(data_dir)
    key = f"{SHA256[:16]}-{size}-{decoder()}"
    arrays = stored("solar_cells", key, partial(_decode, path, size))
    images, ratings = arrays["images"], arrays["ratings"]
    defective = (ratings >= len(RATINGS) // 2).astype(np.int64)
    stretches = np.arange(len(images)) // STRETCH
    test = choose_test(defective, TEST_FRACTION, stream(seed, "solar_cells", "test"), stretches)
    y = defective if labels == "binary" else ratings
    return ImageDataset(
        images[~test],
        y[~test],
        images[test],
        y[test],
        class_names=("good", "defective") if labels == "binary" else RATINGS,
        name="solar_cells",
        source=f"{PACKAGE.replace('_', '-')} (CC BY-NC-SA 4.0), scaled to {size} × {size}, split by "
        f"stretches of {STRETCH} cells with seed {seed}",
    )


def _decode(path: Path, size: int) -> dict[str, np.ndarray]:
    files = _files(path)
    table = files.pop("labels.csv", b"")
    digest = hashlib.sha256(table)
    for name in sorted(files):
        digest.update(files[name])
    if digest.hexdigest() != SHA256:
        raise DataCorruptError(
            f"{path}: not the original solar cells; expected SHA-256 {SHA256} of labels and "
            f"images, found {digest.hexdigest()} of {len(files):,} images. Install them again: "
            f"pip install --force-reinstall {PACKAGE.replace('_', '-')}"
        )
    rated = _LINE.findall(table.decode("ascii"))
    bar = progress_bar(rated, desc="Decoding solar cells", unit="image", delay=1)
    return {
        "images": np.stack(
            [decode_image(files[name], name, size=(size, size), grey=True) for name, _ in bar]
        ),
        "ratings": np.array([round(float(defect) * (len(RATINGS) - 1)) for _, defect in rated]),
    }


def _files(path: Path) -> dict[str, bytes]:
    """Return the label table and the images of a copy by their names, ``images/…`` and so on."""
    if path.is_file():
        inside = f"{PACKAGE}/data/"
        return {
            name.removeprefix(inside): data
            for name, data in iter_members(path, _MAX_BYTES)
            if name.startswith(inside)
        }
    files = [path / "labels.csv", *sorted((path / "images").glob("cell*.png"))]
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in files}

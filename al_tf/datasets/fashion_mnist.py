"""Fashion-MNIST: 70,000 grey 28 × 28 images of clothes in ten classes."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from ..errors import DataCorruptError, DataNotFoundError
from ..files import write_atomically
from ._archive import read_payload
from ._base import ImageDataset
from ._download import download
from ._idx import parse_idx
from ._source import Source

CLASS_NAMES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
# SHA-256 and length of each file, decompressed
FILES = {
    "train-images-idx3-ubyte": (
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888", 47_040_016),
    "train-labels-idx1-ubyte": (
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9", 60_008),
    "t10k-images-idx3-ubyte": (
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b", 7_840_016),
    "t10k-labels-idx1-ubyte": (
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34", 10_008),
}  # fmt: skip
MIRRORS = (
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
)
DEBIAN_PACKAGE = "dataset-fashion-mnist"
DEBIAN_FOLDER = "usr/share/datasets/fashion-mnist"  # where the package puts them, below /
_APT_SECONDS = 600


class _FashionMnist(Source[Mapping[str, Path]]):
    name = "fashion_mnist"
    wanted = "complete set of its four IDX files (.gz or not)"
    system = (Path("/", DEBIAN_FOLDER),)
    remedy = (
        "To get it: with a network, `al-tf data fetch fashion_mnist` downloads it or takes "
        f"Debian's package without root, and `sudo apt-get install {DEBIAN_PACKAGE}` installs "
        "that; without, put its four IDX files (.gz or not) into a folder and name that in "
        "$AL_TF_DATA_DIR."
    )

    def accept(self, folder: Path) -> Mapping[str, Path] | None:
        paths = {
            stem: path
            for stem in FILES
            for path in (folder / stem, folder / f"{stem}.gz")
            if path.is_file()
        }
        return paths if len(paths) == len(FILES) else None

    def place(self, copy: Mapping[str, Path]) -> str:
        return str(copy["train-images-idx3-ubyte"].parent)

    def download(self) -> list[str]:
        """Download the files that the cache lacks, up to the first that no mirror serves."""
        for stem, (_, length) in FILES.items():
            target = self.cached / f"{stem}.gz"
            if target.is_file():
                continue
            urls = [f"{mirror}{target.name}" for mirror in MIRRORS]
            verify = partial(read_verified, stem=stem)
            # a gzip file of incompressible bytes is only slightly longer than they are
            failed = download(urls, target, verify, max_bytes=length + length // 100 + 4096)
            if not target.is_file():
                return failed
        return []

    def install(self, report: Callable[[str], None]) -> list[str]:
        report("fashion_mnist: no mirror serves it; trying Debian's package (apt-get).")
        try:
            fetch_from_debian(report)
        except DataNotFoundError as error:
            return [str(error)]
        return []


SOURCE = _FashionMnist()


def load(data_dir: str | os.PathLike[str] | None, seed: int) -> ImageDataset:
    """Load Fashion-MNIST from this machine, or from a mirror into the user cache.

    Every file is verified by the SHA-256 of its decompressed bytes. The 60,000 training and
    10,000 test images are those of its authors; `seed` changes nothing.

    References
    ----------
    Xiao, Rasul, Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine learning
    algorithms", arXiv:1708.07747, 2017.
    """
    paths = SOURCE.obtain(data_dir)
    arrays = [
        parse_idx(read_verified(path, stem), 3 if "images" in stem else 1, str(path))
        for stem, path in paths.items()
    ]
    x_train, y_train, x_test, y_test = arrays
    return ImageDataset(
        x_train,
        y_train.astype(np.int64),
        x_test,
        y_test.astype(np.int64),
        class_names=CLASS_NAMES,
        name="fashion_mnist",
        source=f"the original IDX files in {SOURCE.place(paths)}",
    )


def fetch_from_debian(report: Callable[[str], None] = print) -> None:
    """Take the files from Debian's package into the user cache, without root.

    Parameters
    ----------
    report : callable
        Gets a line when it is done.

    Raises
    ------
    DataNotFoundError
        There is no apt here, or it cannot supply the package; the message says why.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = _unpack_package(DEBIAN_PACKAGE, Path(folder))
        for stem in FILES:
            unpacked = root / DEBIAN_FOLDER / f"{stem}.gz"
            try:
                read_verified(unpacked, stem)
                write_atomically(SOURCE.cached / unpacked.name, partial(shutil.copyfile, unpacked))
            except (DataCorruptError, OSError) as error:
                raise DataNotFoundError(f"Debian package {DEBIAN_PACKAGE}: {error}") from error
    report(f"Took the files of Debian's package {DEBIAN_PACKAGE} into {SOURCE.cached}.")


def read_verified(path: Path, stem: str) -> bytes:
    """Return the decompressed bytes of one of the four files, checked against `FILES`.

    Raises
    ------
    DataCorruptError
        Truncated, too long, or with another SHA-256.
    """
    expected, length = FILES[stem]
    data = read_payload(path, max_bytes=length)
    if len(data) != length:
        raise DataCorruptError(
            f"{path}: truncated; expected {length:,} bytes decompressed, found {len(data):,}. "
            "Delete it and fetch it again."
        )
    digest = hashlib.sha256(data).hexdigest()
    if digest != expected:
        raise DataCorruptError(
            f"{path}: not the original file; expected SHA-256 {expected} (decompressed), "
            f"found {digest}. Delete it and fetch it again."
        )
    return data


def _unpack_package(package: str, folder: Path) -> Path:
    """Download a Debian package with apt-get and unpack it, without root and without installing it.

    Some networks let nothing through but the mirror of the distribution. apt itself checks the
    package's signature; there is no library on PyPI that does.

    Parameters
    ----------
    package : str
        Its name.
    folder : Path
        An empty folder, where the package and its files go.

    Returns
    -------
    Path
        The folder in `folder` that stands for ``/``.

    Raises
    ------
    DataNotFoundError
        This system has no apt-get, or it cannot supply the package; the message says why.
    """
    what = f"Debian package {package}"
    missing = [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]
    if missing:
        raise DataNotFoundError(f"{what}: this system has no {' and no '.join(missing)}")
    run = partial(
        subprocess.run, cwd=folder, check=True, capture_output=True, text=True, timeout=_APT_SECONDS
    )
    root = folder / "root"
    try:
        run(["apt-get", "download", package])
        for file in folder.glob("*.deb"):
            run(["dpkg-deb", "-x", file.name, root.name])
    except subprocess.CalledProcessError as error:
        raise DataNotFoundError(f"{what}: {error.stderr.strip() or error}") from error
    except subprocess.TimeoutExpired as error:
        raise DataNotFoundError(f"{what}: not finished after {error.timeout:g} s") from error
    return root

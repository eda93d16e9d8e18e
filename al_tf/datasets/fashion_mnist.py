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
from ..files import cache_dir
from . import _download, _locate
from ._archive import read_payload
from ._base import ImageDataset
from ._idx import parse_idx

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
SYSTEM = (Path("/", DEBIAN_FOLDER),)
_APT_SECONDS = 600
REMEDY = (
    "To get it: with a network, `al-tf data fetch fashion_mnist` downloads it or takes Debian's "
    f"package without root, and `sudo apt-get install {DEBIAN_PACKAGE}` installs that; without, "
    "put its four IDX files (.gz or not) into a folder and name that in $AL_TF_DATA_DIR."
)


def load(data_dir: str | os.PathLike[str] | None, seed: int) -> ImageDataset:
    """Load Fashion-MNIST from where it is found, or from a mirror into the user cache.

    Every file is verified by the SHA-256 of its decompressed bytes. The 60,000 training and
    10,000 test images are those of its authors; `seed` changes nothing.

    References
    ----------
    Xiao, Rasul, Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine learning
    algorithms", arXiv:1708.07747, 2017.
    """
    paths, tried = _search(data_dir)
    if paths is None:
        failed = _from_mirrors()
        paths = _accept(_cache())
        if paths is None:
            raise _locate.not_found("fashion_mnist", tried + failed, REMEDY)
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
        source=f"the original IDX files in {paths['train-images-idx3-ubyte'].parent}",
    )


def find(data_dir: str | os.PathLike[str] | None) -> str:
    """Return the folder that holds the four files; nothing is downloaded.

    Raises
    ------
    DataNotFoundError
        They are in none of the places searched.
    """
    paths, tried = _search(data_dir)
    if paths is None:
        raise _locate.not_found("fashion_mnist", tried, REMEDY)
    return str(paths["train-images-idx3-ubyte"].parent)


def fetch(data_dir: str | os.PathLike[str] | None, report: Callable[[str], None]) -> None:
    """Bring the files into the user cache, unless they are found: from a mirror, else from Debian.

    Parameters
    ----------
    data_dir : path, optional
        A folder to search first.
    report : callable
        Gets a line on each step.

    Raises
    ------
    DataNotFoundError
        Neither way succeeded; the message says why.
    """
    paths, tried = _search(data_dir)
    if paths is None:
        failed = _from_mirrors()
        if _accept(_cache()) is None:
            report("fashion_mnist: no mirror could serve it; trying Debian's package (apt-get).")
            try:
                fetch_from_debian(report)
            except DataNotFoundError as error:
                tried += [*failed, str(error)]
                raise _locate.not_found("fashion_mnist", tried, REMEDY) from error
    report(f"fashion_mnist: {find(data_dir)}")


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
    what = f"Debian package {DEBIAN_PACKAGE}"
    missing = [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]
    if missing:
        raise DataNotFoundError(f"{what}: this system has no {' and no '.join(missing)}")
    target = _cache()
    try:
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target, prefix=".debian-") as folder:
            _unpack_debian(Path(folder), target)
    except subprocess.CalledProcessError as error:
        raise DataNotFoundError(f"{what}: {error.stderr.strip() or error}") from error
    except (subprocess.TimeoutExpired, DataCorruptError, OSError) as error:
        raise DataNotFoundError(f"{what}: {type(error).__name__}: {error}") from error
    report(f"Took the files of Debian's package {DEBIAN_PACKAGE} into {target}.")


def _unpack_debian(folder: Path, target: Path) -> None:
    run = partial(
        subprocess.run, cwd=folder, check=True, capture_output=True, text=True, timeout=_APT_SECONDS
    )
    run(["apt-get", "download", DEBIAN_PACKAGE])
    for package in folder.glob("*.deb"):
        run(["dpkg-deb", "-x", package.name, "tree"])
    for stem in FILES:
        unpacked = folder / "tree" / DEBIAN_FOLDER / f"{stem}.gz"
        read_verified(unpacked, stem)
        os.replace(unpacked, target / unpacked.name)


def _cache() -> Path:
    return cache_dir() / "fashion_mnist"


def _search(
    data_dir: str | os.PathLike[str] | None,
) -> tuple[Mapping[str, Path] | None, list[str]]:
    return _locate.search(
        _accept,
        name="fashion_mnist",
        wanted="complete set of its four IDX files (.gz or not)",
        data_dir=data_dir,
        system=SYSTEM,
    )


def _accept(folder: Path) -> Mapping[str, Path] | None:
    paths = {
        stem: path
        for stem in FILES
        for path in (folder / stem, folder / f"{stem}.gz")
        if path.is_file()
    }
    return paths if len(paths) == len(FILES) else None


def _from_mirrors() -> list[str]:
    """Download the files that the cache lacks; the lines are on the first that no mirror gave."""
    for stem, (_, length) in FILES.items():
        target = _cache() / f"{stem}.gz"
        if target.is_file():
            continue
        urls = [f"{mirror}{target.name}" for mirror in MIRRORS]
        verify = partial(read_verified, stem=stem)
        # a gzip file of incompressible bytes is only slightly longer than they are
        failed = _download.download(urls, target, verify, max_bytes=length + length // 100 + 4096)
        if not target.is_file():
            return failed
    return []


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
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        raise DataCorruptError(
            f"{path}: not the original file; expected SHA-256 {expected} (decompressed), "
            f"found {found}. Delete it and fetch it again."
        )
    return data

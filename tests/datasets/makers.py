"""Small files in the formats of the real datasets."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image


def idx(array: np.ndarray) -> bytes:
    dims = b"".join(n.to_bytes(4, "big") for n in array.shape)
    return bytes([0, 0, 8, array.ndim]) + dims + array.astype(np.uint8).tobytes()


def tiny_fashion() -> tuple[dict[str, bytes], dict[str, tuple[str, int]]]:
    """Four IDX files (40 training and 20 test images) and what `fashion_mnist.FILES` says of them."""
    rng = np.random.default_rng(0)
    payloads = {}
    for part, n in (("train", 40), ("t10k", 20)):
        images = rng.integers(0, 256, (n, 28, 28))
        payloads[f"{part}-images-idx3-ubyte"] = idx(images)
        payloads[f"{part}-labels-idx1-ubyte"] = idx(np.arange(n) % 10)
    facts = {stem: (hashlib.sha256(data).hexdigest(), len(data)) for stem, data in payloads.items()}
    return payloads, facts


def write_gz(folder: Path, payloads: Mapping[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for stem, data in payloads.items():
        (folder / f"{stem}.gz").write_bytes(gzip.compress(data))


def image_bytes(array: np.ndarray, format: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, format=format, **options)
    return buffer.getvalue()


def write_image(path: Path, array: np.ndarray, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)


def tar(path: Path, members: Mapping[str, bytes], mode: str = "w:gz") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def zipped(path: Path, members: Mapping[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path

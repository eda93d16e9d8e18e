"""Pools of images to label: a folder that may change, or an array."""

from __future__ import annotations

import hashlib
import io
import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..errors import DataCorruptError, DataNotFoundError, ImageGoneError
from ..folders import list_folder
from ..images import EXTENSIONS, decode_image, decode_pixels, image_shape, read_image_file
from .image_pool import ImagePool

MODEL_SIDE = 64
_T = TypeVar("_T")


def open_pool(
    source: Any, *, size: int | tuple[int, int] | None = None, grey: bool | None = None
) -> ImagePool:
    """Return the pool of a folder or an array; a pool is returned as it is.

    Parameters
    ----------
    source : path, array-like of uint8 (n, H, W[, C]), or ImagePool
    size, grey
        Of a folder, see `FolderPool`.

    Raises
    ------
    DataNotFoundError
        No such folder, or no readable image in it.
    ValueError
        An array that holds no uint8 images; `size` or `grey` for anything but a folder.

    Examples
    --------
    >>> import numpy as np
    >>> from al_tf.labeling import open_pool
    >>> pool = open_pool(np.arange(128, dtype=np.uint8).reshape(2, 8, 8))
    >>> len(pool)
    2
    """
    if isinstance(source, str | os.PathLike):
        return FolderPool(source, size=size or MODEL_SIDE, grey=grey)
    if size is not None or grey is not None:
        raise ValueError("size and grey are for folders; arrays are taken as they are.")
    return source if isinstance(source, ImagePool) else ArrayPool(source)


class ArrayPool(ImagePool):
    """Images in memory, or anything with ``shape``, ``dtype`` uint8 and indexing by row.

    Parameters
    ----------
    images : array-like of uint8 (n, H, W) or (n, H, W, C)
        Equal images are one image.
    names : sequence of str, optional
        What to call them; ``image 0`` … if not given.

    Examples
    --------
    >>> import numpy as np
    >>> from al_tf.labeling import ArrayPool
    >>> images = np.zeros((3, 8, 8), np.uint8)
    >>> images[2] = 255
    >>> pool = ArrayPool(images)  # the first two are equal
    >>> len(pool), pool.shape
    (2, (8, 8))
    """

    def __init__(self, images: Any, names: Sequence[str] | None = None) -> None:
        super().__init__()
        if getattr(images, "dtype", None) != np.uint8 or len(images.shape) not in (3, 4):
            raise ValueError(
                "The images of a pool must be uint8 of shape (n, H, W) or (n, H, W, C); got "
                f"{getattr(images, 'dtype', type(images).__name__)} {np.shape(images)}."
            )
        if len(images) == 0:
            raise ValueError("The pool is empty: there is nothing to label.")
        if names is not None and len(names) != len(images):
            raise ValueError(f"Expected a name for each of {len(images)} images; got {len(names)}.")
        self._images, self.shape = images, tuple(images.shape[1:])
        self._rows: dict[str, int] = {}
        self._names: dict[str, tuple[str, ...]] = {}
        for row in range(len(images)):
            image_id = array_id(images[row])
            self._rows.setdefault(image_id, row)
            name = f"image {row}" if names is None else names[row]
            self._names[image_id] = (*self._names.get(image_id, ()), name)

    @property
    def ids(self) -> tuple[str, ...]:
        """Content hashes, in the order of the rows."""
        return tuple(self._rows)

    def row(self, image_id: str) -> int:
        """Return the (first) row of an image in the array."""
        return self._rows[image_id]

    def refresh(self) -> None:
        """Do nothing: an array does not change."""

    def names(self, image_id: str) -> tuple[str, ...]:
        """Return the names of all rows that hold an image."""
        return self._names.get(image_id, (image_id[:12],))

    def path(self, image_id: str) -> Path | None:
        """Return None: there is no file."""
        return None

    def is_unchanged(self, image_id: str) -> bool:
        """Tell whether there is such an image: an array does not change."""
        return image_id in self._rows

    def pixels(self, image_id: str, *, at_least: int | None = None) -> np.ndarray:
        """Return an image as it is in the array."""
        return self._decode(image_id)

    def file_bytes(self, image_id: str) -> tuple[bytes, str]:
        """Return an image as PNG, and its suffix."""
        from PIL import Image

        buffer = io.BytesIO()
        Image.fromarray(_without_axis(self._decode(image_id))).save(buffer, "PNG")
        return buffer.getvalue(), ".png"

    def _decode(self, image_id: str) -> np.ndarray:
        if image_id not in self._rows:
            raise ImageGoneError(f"Image {image_id} is not in this pool.")
        return np.asarray(self._images[self._rows[image_id]])


class FolderPool(ImagePool):
    """The image files beneath a folder, which may come and go.

    Parameters
    ----------
    folder : path
        Every image file beneath it, see `list_folder`; copies of one file are one image.
    size : int or (int, int)
        Height and width in which the model sees them: each is scaled to fit, its aspect kept, and
        padded with its mean colour.
    grey : bool, optional
        Whether the model sees them in grey; if not given, when each is grey at the start.
    progress : bool
        Show a progress bar when the first look at the files takes more than a second.

    Attributes
    ----------
    left_out : collections.Counter
        Number of files beneath the folder that are not images, by reason.

    Raises
    ------
    DataNotFoundError
        No such folder, or no readable image in it.

    Examples
    --------
    >>> import tempfile
    >>> from PIL import Image
    >>> from al_tf.labeling import FolderPool
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name, color in [("a.png", "red"), ("b.png", "blue")]:
    ...         Image.new("RGB", (40, 30), color).save(f"{folder}/{name}")
    ...     pool = FolderPool(folder, size=32)
    >>> len(pool), pool.shape
    (2, (32, 32, 3))
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        size: int | tuple[int, int] = MODEL_SIDE,
        grey: bool | None = None,
        progress: bool = False,
    ) -> None:
        super().__init__()
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise DataNotFoundError(f"{folder}: no such folder.")
        self._size = size if isinstance(size, tuple) else (size, size)
        self._known: dict[Path, tuple[tuple[int, int], str, bool]] = {}  # stat, id, grey
        self._bad: dict[Path, tuple[tuple[int, int], str]] = {}  # stat, what is wrong
        self._files: dict[str, Path] = {}
        self._names: dict[str, tuple[str, ...]] = {}
        self.left_out: Counter[str] = Counter()
        self._scan(progress=progress)
        if not self._files:
            wrong = "".join(f"\n  {text}" for text in list(self.problems.values())[:5])
            raise DataNotFoundError(
                f"{folder}: expected image files ({', '.join(EXTENSIONS)}), found none that can be "
                f"read.{wrong}"
            )
        all_grey = all(is_grey for _, _, is_grey in self._known.values())
        self._grey = all_grey if grey is None else grey
        self.shape = (*self._size, *(() if self._grey else (3,)))

    @property
    def ids(self) -> tuple[str, ...]:
        """Content hashes, in the order of the file names."""
        return tuple(self._files)

    def refresh(self) -> None:
        """Take in new and changed files, and drop those that vanished."""
        self._scan(progress=False)

    def _scan(self, *, progress: bool) -> None:
        from tqdm.auto import tqdm

        with self._lock:
            known: dict[Path, Any] = {}
            bad: dict[Path, Any] = {}
            files: dict[str, Path] = {}
            names: dict[str, list[str]] = {}
            listing = list_folder(self.folder)
            for path in tqdm(
                listing.images, desc="Reading image files", unit="file", disable=not progress, delay=1,
                leave=False,
            ):  # fmt: skip
                try:
                    self._look_at(path, known, bad)
                except FileNotFoundError:
                    continue  # vanished while we looked
                if path in known:
                    files.setdefault(known[path][1], path)
                    names.setdefault(known[path][1], []).append(self._name(path))
            self._known, self._bad, self._files = known, bad, files
            self._names.update({image: tuple(copies) for image, copies in names.items()})
            self.left_out = listing.left_out
            self.problems = {self._name(path): text for path, (_, text) in bad.items()}

    def _look_at(self, path: Path, known: dict[Path, Any], bad: dict[Path, Any]) -> None:
        """Enter a file in one of the two tables; an unchanged file is not read again."""
        mark = _mark(path)
        for old, new in ((self._known, known), (self._bad, bad)):
            if path in old and old[path][0] == mark:
                new[path] = old[path]
                return
        try:
            *_, is_grey = image_shape(path)
            known[path] = (mark, hashlib.sha256(read_image_file(path)).hexdigest(), is_grey)
        except FileNotFoundError:
            raise
        except (DataCorruptError, OSError) as error:
            bad[path] = (mark, str(error))

    def names(self, image_id: str) -> tuple[str, ...]:
        """Return the names below the folder of all copies of a file; of one that has gone, its last."""
        return self._names.get(image_id, (image_id[:12],))

    def path(self, image_id: str) -> Path | None:
        """Return the file of an image, or None if it has gone."""
        return self._files.get(image_id)

    def id_of(self, file: Path) -> str | None:
        """Return the content hash of a file beneath the folder; None if it cannot be read."""
        return self._known[file][1] if file in self._known else None

    def is_unchanged(self, image_id: str) -> bool:
        """Tell whether an image's file is there with the size and time of change it had."""
        path = self._files.get(image_id)
        try:
            return path is not None and path in self._known and self._known[path][0] == _mark(path)
        except OSError:
            return False

    def pixels(self, image_id: str, *, at_least: int | None = None) -> np.ndarray:
        """Return an image in full resolution and depth. Raises ImageGoneError."""
        return self._reading(
            image_id, lambda data, path: decode_pixels(data, str(path), at_least=at_least)
        )

    def _decode(self, image_id: str) -> np.ndarray:
        return self._read(image_id, size=self._size, grey=self._grey)

    def file_bytes(self, image_id: str) -> tuple[bytes, str]:
        """Return the file of an image, and its suffix. Raises ImageGoneError."""
        return self._reading(image_id, lambda data, path: (data, path.suffix.lower()))

    def _read(self, image_id: str, **options: Any) -> np.ndarray:
        return self._reading(image_id, lambda data, path: decode_image(data, str(path), **options))

    def _reading(self, image_id: str, use: Callable[[bytes, Path], _T]) -> _T:
        path = self._files.get(image_id)
        if path is None:
            raise ImageGoneError(f"{self.name(image_id)}: the file has gone from {self.folder}.")
        try:
            data = read_image_file(path)
            if hashlib.sha256(data).hexdigest() != image_id:
                raise DataCorruptError(f"{path}: its content changed while it was being labeled.")
            return use(data, path)
        except (DataCorruptError, OSError) as error:
            self._drop(image_id, path, str(error))
            raise ImageGoneError(str(error)) from error

    def _drop(self, image_id: str, path: Path, why: str) -> None:
        with self._lock:
            self._files.pop(image_id, None)
            known = self._known.pop(path, None)
            if known is not None:
                self._bad[path] = (known[0], why)
            self.problems[self._name(path)] = why

    def _name(self, path: Path) -> str:
        relative = path.relative_to(self.folder).as_posix()
        return os.fsencode(relative).decode(
            "utf-8", "replace"
        )  # Linux allows names that are not valid text


def _mark(path: Path) -> tuple[int, int]:
    """Return what changes when a file is written to."""
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


def array_id(image: np.ndarray) -> str:
    """Return the content hash of an image in memory: SHA-256 of its shape, dtype and pixels."""
    image = np.ascontiguousarray(image)
    digest = hashlib.sha256(f"{image.dtype.str}{image.shape}".encode())
    digest.update(image.tobytes())
    return digest.hexdigest()


def _without_axis(image: np.ndarray) -> np.ndarray:
    """Return grey (H, W, 1) as (H, W), and anything else as it is."""
    return image[:, :, 0] if image.ndim == 3 and image.shape[2] == 1 else image

"""Pools of images to label: `open_pool`, and images of an array."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ImageGoneError
from .folder_pool import MODEL_SIDE, FolderPool
from .image_pool import ImagePool


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
        self._ids, self._arrivals = tuple(self._rows), tuple(sorted(self._rows))

    @property
    def ids(self) -> tuple[str, ...]:
        """Content hashes, in the order of the rows."""
        return self._ids

    @property
    def arrivals(self) -> tuple[str, ...]:
        """The same in the order of the hashes."""
        return self._arrivals

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, image_id: object) -> bool:
        return image_id in self._rows

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


def array_id(image: np.ndarray) -> str:
    """Return the content hash of an image in memory: SHA-256 of its shape, dtype and pixels."""
    image = np.ascontiguousarray(image)
    digest = hashlib.sha256(f"{image.dtype.str}{image.shape}".encode())
    digest.update(image.tobytes())
    return digest.hexdigest()


def _without_axis(image: np.ndarray) -> np.ndarray:
    """Return grey (H, W, 1) as (H, W), and anything else as it is."""
    return image[:, :, 0] if image.ndim == 3 and image.shape[2] == 1 else image

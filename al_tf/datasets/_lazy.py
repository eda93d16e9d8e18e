"""`LazyImageFolder`: images on disk that behave as an array and are decoded when asked for."""

from __future__ import annotations

import copy
import math
import numbers
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..errors import DataCorruptError, DataNotFoundError, DataWarning
from ..folders import list_folder
from ..image_arrays import ImageSource
from ..images import (
    EXTENSIONS,
    common_bits,
    decode_image,
    image_shape,
    read_image_file,
)
from ..progress import progress_bar

MAX_DECODED_BYTES = 8 << 30
MAX_LISTED = 10

Size = int | tuple[int, int] | None
T = TypeVar("T")


class LazyImageFolder(ImageSource):
    """Image files as an array of uint8, decoded on access and never kept.

    It is indexed along its first axis by an integer, a slice, integers or a mask. A pool of this
    kind may be larger than memory.

    Parameters
    ----------
    source : path or sequence of paths
        A folder (every image file beneath it, sorted by name), or the files.
    size : int or (int, int), optional
        Height and width of the images returned: each is scaled to fit, its aspect kept, and
        centred on its mean colour. An integer means a square. Where it is not given, all images
        must have one size.
    grey : bool, optional
        True for grey images, False for RGB; where it is not given, grey if every image is.
    bits : int, optional
        How many bits 16-bit images use; where it is not given, see `al_tf.images.common_bits`.

    Attributes
    ----------
    files : tuple of Path
        The files, in the order of the first axis.
    left_out : collections.Counter
        Number of files in the folder that are not read, by reason; also a warning.
    shape : tuple of int
        (n, H, W) for grey, (n, H, W, 3) for colour.
    dtype : numpy.dtype
        uint8.

    Examples
    --------
    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name, side in (("a.png", 20), ("b.png", 30)):
    ...         Image.new("RGB", (side, side), "navy").save(f"{folder}/{name}")
    ...     images = LazyImageFolder(folder, size=16)
    ...     print(images, images[:1].shape)
    LazyImageFolder(2 images, shape (2, 16, 16, 3), uint8) (1, 16, 16, 3)
    """

    dtype = np.dtype(np.uint8)
    reads_in_parallel = True

    def __init__(
        self,
        source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        *,
        size: Size = None,
        grey: bool | None = None,
        bits: int | None = None,
    ) -> None:
        if isinstance(source, (str, os.PathLike)):
            folder = Path(source)
            if not folder.is_dir():
                raise DataNotFoundError(f"{folder}: no such folder. Check the path.")
            listing = list_folder(folder)
            self.files, self.left_out = listing.images, listing.left_out
            if self.left_out:
                warnings.warn(f"{folder}: {listing}", DataWarning, stacklevel=2)
        else:
            self.files, self.left_out = tuple(map(Path, source)), Counter()
        if not self.files:
            raise DataNotFoundError(
                f"{source}: expected image files ({', '.join(EXTENSIONS)}), found none."
            )
        fixed = _check_size(size)
        if fixed is None or grey is None:
            headers = _each(image_shape, self.files)
            fixed = fixed or _common_size([header[:2] for header in headers])
            grey = all(header[2] for header in headers) if grey is None else grey
        self._size, self._grey = fixed, grey
        self._resize = size is not None
        self._bits = common_bits(self.files) if bits is None else bits

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, H, W) for grey, (n, H, W, 3) for colour."""
        return (len(self.files), *self._size, *(() if self._grey else (3,)))

    def __repr__(self) -> str:
        return f"LazyImageFolder({len(self.files):,} images, shape {self.shape}, uint8)"

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Decode the images at `rows`."""
        return self._decode_all(rows)

    def read_elsewhere(self, rows: np.ndarray) -> LazyImageFolder:
        """Return a source of the files at `rows` alone."""
        part = copy.copy(self)
        part.files = tuple(self.files[row].absolute() for row in rows)
        return part

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        images = self.load()
        return images if dtype is None else images.astype(dtype, copy=False)

    def load(self) -> np.ndarray:
        """Decode every image, with a progress bar."""
        return self._decode_all(np.arange(len(self.files)), progress=True)

    def _decode_all(self, rows: np.ndarray, *, progress: bool = False) -> np.ndarray:
        shape = (len(rows), *self.shape[1:])
        if math.prod(shape) > MAX_DECODED_BYTES:
            raise ValueError(
                f"{len(rows):,} images of shape {self.shape[1:]} take "
                f"{math.prod(shape) / 2**30:.1f} GiB decoded; at most "
                f"{MAX_DECODED_BYTES >> 30} GiB are decoded at once. Take fewer at a time, or a "
                "smaller size (--size on the command line)."
            )
        images = np.empty(shape, dtype=np.uint8)

        def decode(place: int, row: int) -> None:
            images[place] = self._decode(int(row))

        bar = progress_bar(rows, desc="Decoding", unit="image", delay=1, shown=progress)
        _each(decode, range(len(rows)), bar)
        return images

    def _decode(self, index: int) -> np.ndarray:
        path = self.files[index]
        size = self._size if self._resize else None
        data = read_image_file(path)
        image = decode_image(data, str(path), size=size, grey=self._grey, bits=self._bits)
        if image.shape != self.shape[1:]:
            raise DataCorruptError(
                f"{path}: expected an image of shape {self.shape[1:]}, found {image.shape}."
            )
        return image


def _each(step: Callable[..., T], *columns: Iterable[Any]) -> list[T]:
    """Return what `step` makes of each row; all images that cannot be read are one error."""
    results, errors = [], []
    for row in zip(*columns, strict=True):
        try:
            results.append(step(*row))
        except DataCorruptError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        listed = "\n".join(f"  {error}" for error in errors[:MAX_LISTED])
        raise DataCorruptError(
            f"{len(errors):,} of {len(results) + len(errors):,} images cannot be read. Repair or remove them:\n"
            f"{listed}" + ("\n  …" if len(errors) > MAX_LISTED else "")
        )
    return results


def _check_size(size: Size) -> tuple[int, int] | None:
    if size is None:
        return None
    pair = tuple(size) if isinstance(size, tuple | list) else (size, size)
    if len(pair) != 2 or not all(isinstance(s, numbers.Integral) and s > 0 for s in pair):
        raise ValueError(
            f"size must be a number of pixels or (height, width), above 0; got {size!r}."
        )
    return int(pair[0]), int(pair[1])


def _common_size(sizes: list[tuple[int, int]]) -> tuple[int, int]:
    counts = Counter(sizes)
    if len(counts) > 1:
        most = ", ".join(f"{n} of {h} × {w}" for (h, w), n in counts.most_common(5))
        raise ValueError(
            f"The images have {len(counts)} sizes (height × width: {most}"
            f"{', …' if len(counts) > 5 else ''}). Give a size to scale and pad them "
            "to, for example size=64, or --size 64 on the command line."
        )
    return sizes[0]

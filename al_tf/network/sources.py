"""What users have images in, as sources that are read a part at a time."""

from __future__ import annotations

import mmap
import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..image_arrays import ImageSource

SAMPLED_ROWS = 256
"""Rows of a memory-mapped file that are read to tell it from another one."""


class ArraySource(ImageSource):
    """An array in memory, or a memory-mapped file.

    Parameters
    ----------
    array : ndarray (n, …)
    """

    reads_in_parallel = True

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.dtype = array, array.dtype
        self.in_memory = not isinstance(array, np.memmap)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.array.shape

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return a copy of the images at `rows`."""
        return self.array[rows]

    def read_range(self, start: int, stop: int) -> np.ndarray:
        """Return a view of consecutive images."""
        return self.array[start:stop]

    def read_elsewhere(self, rows: np.ndarray) -> ImageSource | None:
        """Return a source that maps the file where it is read, if the array is one whole file."""
        mapped = self.array
        if not isinstance(mapped, np.memmap) or not isinstance(mapped.base, mmap.mmap):
            return None
        if not mapped.flags.c_contiguous or mapped.mode == "c":
            return None
        return SomeImages(MappedFile(mapped), rows)

    def release(self) -> None:
        """Drop the pages of a memory-mapped file, which stay in the system's cache.

        A private mapping (mode ``"c"``) is left alone: it may hold changes that are nowhere else.
        """
        mapped = self.array
        if not isinstance(mapped, np.memmap) or mapped.mode == "c":
            return
        base = mapped.base
        while isinstance(base, np.ndarray):
            base = base.base
        if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            base.madvise(mmap.MADV_DONTNEED)

    @property
    def is_plain(self) -> bool:
        """Whether these are numbers in memory, which can be checked at once: no pixels, no file."""
        return self.dtype != np.uint8 and not isinstance(self.array, np.memmap)

    def identity(self) -> list[Any]:
        """Return the file's name, place and time of change and some rows, or the whole array."""
        mapped = self.array
        if not isinstance(mapped, np.memmap) or not isinstance(mapped.base, mmap.mmap):
            return [mapped]
        file = os.stat(mapped.filename)
        facts = [str(mapped.filename), mapped.offset, file.st_size, file.st_mtime_ns]
        return [*facts, mapped[:: max(1, len(mapped) // SAMPLED_ROWS)]]


class MappedFile(ImageSource):
    """A memory-mapped file that is opened where and when it is read.

    Parameters
    ----------
    mapped : numpy.memmap (n, …)
        The whole file, in C order.
    """

    reads_in_parallel = True

    def __init__(self, mapped: np.memmap) -> None:
        if mapped.mode != "r":
            mapped.flush()
        self._path, self._offset = str(mapped.filename), mapped.offset
        self._shape, self.dtype = mapped.shape, mapped.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array in the file."""
        return self._shape

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return a copy of the images at `rows`."""
        return np.memmap(self._path, self.dtype, "r", self._offset, self._shape)[rows]


class IndexedSource(ImageSource):
    """Anything with ``shape``, ``dtype`` and indexing of its first axis.

    Parameters
    ----------
    images : object
        It is indexed by slices, and by integers in rising order without repeats.
    """

    def __init__(self, images: Any) -> None:
        self._images = images
        self.dtype = np.dtype(images.dtype)
        self.fingerprint = getattr(images, "fingerprint", None)

    def __repr__(self) -> str:
        return f"{type(self._images).__name__} of shape {self.shape}"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of what it reads from."""
        return tuple(self._images.shape)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return the images at `rows`."""
        unique, inverse = np.unique(rows, return_inverse=True)
        return np.asarray(self._images[unique])[inverse]

    def read_range(self, start: int, stop: int) -> np.ndarray:
        """Return consecutive images."""
        return np.asarray(self._images[start:stop])


class SomeImages(ImageSource):
    """Some of the images of another source.

    Parameters
    ----------
    source : ImageSource (n, …)
    rows : ndarray of int (k,)
    """

    def __init__(self, source: ImageSource, rows: np.ndarray) -> None:
        self._source, self._rows, self.dtype = source, rows, source.dtype
        self.in_memory = source.in_memory
        self.reads_in_parallel = source.reads_in_parallel

    @property
    def shape(self) -> tuple[int, ...]:
        """(k, …)."""
        return (len(self._rows), *self._source.shape[1:])

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return the images at `rows`."""
        return self._source.read(self._rows[rows])

    def read_elsewhere(self, rows: np.ndarray) -> ImageSource | None:
        """Return what the other source does."""
        return self._source.read_elsewhere(self._rows[rows])

    def release(self) -> None:
        """Free what the other source holds."""
        self._source.release()


def image_source(X: Any) -> ImageSource:
    """Return images, whatever they come in, as a source that is read a part at a time.

    The one place where images are converted: for fits, predictions, queries and strategies.

    Parameters
    ----------
    X : array-like (n, …)
        An array in memory; a memory-mapped file; an `ImageSource`; whatever has ``shape``,
        ``dtype`` and indexing, such as a data set of h5py or zarr (none of these is copied); a tensor of TensorFlow, JAX or PyTorch; a list of images of one shape; an array
        of such objects; a data frame or series with a column of images.

    Raises
    ------
    TypeError
        For anything else, and for sparse matrices.
    ValueError
        For images of several shapes, and tensors with channels first.
    """
    if isinstance(X, ImageSource):
        return X
    if hasattr(X, "toarray"):
        raise TypeError(
            "Sparse data was passed for X, but dense data is required. Use X.toarray()."
        )
    is_row = isinstance(X, list | tuple) or (isinstance(X, np.ndarray) and X.ndim == 1)
    if is_row and _is_text(X):
        raise TypeError(
            "X holds text. If these are files, read them with "
            "al_tf.datasets.LazyImageFolder(files, size=…)."
        )
    if isinstance(X, np.ndarray):
        return ArraySource(_stacked(X) if _holds_images(X) else X)
    if hasattr(X, "iloc"):
        return ArraySource(_from_frame(X))
    if isinstance(X, list | tuple):
        return ArraySource(_stacked(X))
    if hasattr(X, "detach") and hasattr(X, "cpu"):  # PyTorch
        return ArraySource(_channels_last(np.asarray(X.detach().cpu().numpy())))
    if hasattr(X, "shape") and callable(getattr(X, "numpy", None)):  # TensorFlow
        return ArraySource(np.asarray(X.numpy()))
    if all(hasattr(X, name) for name in ("shape", "dtype", "__getitem__")):
        return IndexedSource(X)
    if hasattr(X, "__array__"):
        return ArraySource(np.asarray(X))
    raise TypeError(_refusal(X))


def _refusal(X: Any) -> str:
    kind = type(X).__name__
    if isinstance(X, str | os.PathLike):
        return (
            f"X is a path ({X}); read the images with al_tf.datasets.LazyImageFolder(path, size=…)."
        )
    if hasattr(X, "element_spec"):
        return (
            f"X is a tf.data.Dataset ({kind}), which has no rows to choose from. Pass its images "
            "as an array, for example np.concatenate([images for images, _ in dataset])."
        )
    return (
        f"X must be images as an array (n, H, W) or (n, H, W, C), or something with shape, dtype "
        f"and indexing; got {kind}. Collect them in a list or an array."
    )


def _holds_images(X: np.ndarray) -> bool:
    """Whether it is an array of Python objects that are images, not numbers or text."""
    return X.dtype == object and X.ndim == 1 and len(X) > 0 and np.ndim(X[0]) > 0


def _stacked(images: Any) -> np.ndarray:
    """Return a list of images (or of numbers) as one array."""
    try:
        arrays = [np.asarray(image) for image in images]
        return np.stack(arrays) if arrays else np.asarray(images)
    except ValueError as error:
        shapes = Counter(np.shape(image) for image in arrays) if images is not None else Counter()
        if len(shapes) < 2:
            raise
        listed = ", ".join(f"{n} of {shape}" for shape, n in shapes.most_common(4))
        raise ValueError(
            f"The images have {len(shapes)} shapes ({listed}{', …' if len(shapes) > 4 else ''}). "
            "Bring them to one, for example with al_tf.datasets.LazyImageFolder(files, size=64)."
        ) from error


def _from_frame(frame: Any) -> np.ndarray:
    """Return the images of a series, or of a frame with a column of them; else the numbers."""
    if frame.ndim == 1:
        values = frame.to_numpy()
        if values.dtype == object and _is_text(values):
            raise TypeError(
                "X is a series of text. If these are files, read them with "
                "al_tf.datasets.LazyImageFolder(files, size=…)."
            )
        return _stacked(list(values)) if _holds_images(values) else values
    columns = {name: frame[name].to_numpy() for name in frame.columns}
    images = [name for name, values in columns.items() if _holds_images(values)]
    if not images:
        return frame.to_numpy()
    if len(columns) > 1:
        raise ValueError(
            f"The data frame has images in {images[0]!r} and {len(columns) - 1} more columns. Pass "
            f"the images alone: X[[{images[0]!r}]]."
        )
    return _stacked(list(columns[images[0]]))


def _is_text(values: Sequence[Any] | np.ndarray) -> bool:
    return len(values) > 0 and isinstance(values[0], str | os.PathLike)


def _channels_last(images: np.ndarray) -> np.ndarray:
    if images.ndim == 4 and images.shape[1] in (1, 3, 4) and images.shape[3] not in (1, 3, 4):
        raise ValueError(
            f"The tensor's shape {images.shape} looks like (n, C, H, W); the channels come last "
            "here. Pass X.permute(0, 2, 3, 1)."
        )
    return images

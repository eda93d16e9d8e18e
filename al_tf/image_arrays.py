"""Images as arrays: sources that are read a part at a time, and the scale of pixel values."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

_SAMPLED_IMAGES = 32


class ImageSource(ABC):
    """Images that are read when they are asked for, so that there may be more than fit in memory.

    A subclass states `shape` and `dtype` and reads images by row number. Indexing, ``len``,
    ``ndim`` and conversion to one array follow from these.

    Attributes
    ----------
    dtype : numpy.dtype
        uint8, or another type of real numbers.
    fingerprint : str or None
        Text that differs where the images differ, for caches; None where it is unknown.
    in_memory : bool
        Whether reading an image is a copy, and no work of its own.
    reads_in_parallel : bool
        Whether several threads may read at once.

    Examples
    --------
    >>> class Squares(ImageSource):
    ...     dtype = np.dtype(np.uint8)
    ...     shape = (100, 8, 8)
    ...
    ...     def read(self, rows):
    ...         return np.full((len(rows), 8, 8), rows[:, None, None], np.uint8)
    >>> Squares()[[3, 5]].shape
    (2, 8, 8)
    """

    dtype: np.dtype
    fingerprint: str | None = None
    in_memory: bool = False
    reads_in_parallel: bool = False

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """(n, …): the number of images, and the shape of one."""

    @abstractmethod
    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return the images at `rows`: integers of 0 to n - 1, in any order, possibly repeated."""

    def read_range(self, start: int, stop: int) -> np.ndarray:
        """Return the images from row `start` up to `stop`, which is at most n."""
        return self.read(np.arange(start, stop))

    def read_elsewhere(self, rows: np.ndarray) -> ImageSource | None:
        """Return the images at `rows` as a source that another machine can read by itself.

        It holds paths and no pixels, so that it is small when it is sent. None, unless a subclass
        knows better: the images have to be sent themselves.
        """
        return None

    def release(self) -> None:  # noqa: B027  (most hold none)
        """Free memory that reading has filled, in a subclass that holds some."""

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> np.ndarray:
        """Return the images that an integer, a slice, integers or a mask picks."""
        if isinstance(key, tuple) and len(key) == 2 and key[1] is Ellipsis:
            key = key[0]  # scikit-learn writes X[rows, ...]
        if isinstance(key, tuple):
            raise TypeError(f"{type(self).__name__} is indexed along its first axis only.")
        rows = np.arange(len(self))[key]
        if rows.ndim > 1:
            raise TypeError(f"An index of {rows.ndim} dimensions; expected one dimension.")
        return self.read(rows) if rows.ndim else self.read(rows[None])[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        images = self.read_range(0, len(self))
        return images if dtype is None else images.astype(dtype, copy=False)


def image_scale(images: Any) -> str:
    """Say what range of numbers the pixels of images use.

    Parameters
    ----------
    images : ndarray or ImageSource (n, …)
        If not uint8, up to 32 of them are looked at, spread evenly.

    Returns
    -------
    {"uint8", "0-1", "0-255", "other", "unclear"}
        ``"uint8"`` is a dtype; the others are ranges of values. ``"other"`` is clearly none of
        the ranges named. ``"unclear"`` fits several of them, as black images do, or images in
        [0, 1] with noise.
    """
    if images.dtype == np.uint8:
        return "uint8"
    rows = np.unique(np.linspace(0, len(images) - 1, _SAMPLED_IMAGES).astype(int))
    values = np.asarray(images[rows] if len(images) else [])
    if values.dtype.kind not in "uifb":
        return "unclear"
    values = values[np.isfinite(values)].astype(np.float64)
    low, high = values.min(initial=0), values.max(initial=0)
    if low == 0 and 0 < high <= 1:
        return "0-1"
    if low == 0 and 100 < high <= 255:
        return "0-255"
    if low == 0 and high <= 4 and (values == np.rint(values)).all():
        return "unclear"  # black, or nearly so, in any scale
    noise = low >= -3 and high <= 4 and np.mean((values < -0.5) | (values > 1.5)) <= 0.05
    return "unclear" if noise else "other"


def scales_conflict(known: str, new: str) -> bool:
    """Whether a network made for images of one scale gives wrong answers for another.

    Parameters
    ----------
    known, new : str
        From `image_scale`. uint8 counts as [0, 1]: it is divided by 255 before the network.
    """
    if known in ("uint8", "0-1"):
        return new in ("0-255", "other")
    return new in {"0-255": ("uint8", "0-1"), "other": ("uint8",)}.get(known, ())


def match_scale(new: Any, known: Any) -> Any:
    """Return the images `new`, refusing those that one array with `known` would falsify.

    Parameters
    ----------
    new, known : array-like (k, …) and (n, …)
        What has one or two dimensions is not images, and is returned as it is.

    Returns
    -------
    array-like (k, …)
        `new`; as uint8 if they are integers of 0 to 255 and `known` is uint8.

    Raises
    ------
    ValueError
        For images of two scales, floats in [0, 1] beside uint8 among them.
    """
    if not (len(new) and len(known)) or np.ndim(new[0]) < 2 or np.ndim(known[0]) < 2:
        return new
    images, sample = np.asarray(new), np.asarray(known[:_SAMPLED_IMAGES])
    if sample.dtype == np.uint8 and images.dtype.kind in "iu" and images.dtype != np.uint8:
        fits = images.min() >= 0 and images.max() <= 255
        images = new = images.astype(np.uint8) if fits else images
    scales = image_scale(sample), image_scale(images)
    one_is_uint8 = (scales[0] == "uint8") != (scales[1] == "uint8")
    conflict = one_is_uint8 or scales_conflict(*scales)
    if conflict and scales != ("0-255", "uint8"):  # floats of 0-255 can take uint8 in
        old, added = (f"{x.dtype} from {x.min():g} to {x.max():g}" for x in (sample, images))
        raise ValueError(
            f"The new images are {added}, those of the labeled set {old}: two scales of pixel "
            "values, of which one array would be nonsense. Give all images as uint8, or all as "
            "floats of one range."
        )
    return new

"""`Pictures`: images for people, whole or in part, in full resolution and with their bits."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ..images import highest_value, window

MAX_SHOWN_SIDE = 1024
"""Longest side of a whole image, as it is shown first."""
MAX_VIEW_SIDE = 2_048
"""Longest side of a part that is sent."""
THUMBNAIL_SIDE = 384
KEPT_BYTES = 256 << 20
"""Of whole images in full resolution; the newest is kept in any case."""
KEPT_OVERVIEWS = 16
KEPT_THUMBNAILS = 512


class PixelSource(Protocol):
    """Where the pixels come from: an `ImagePool`."""

    def pixels(self, image_id: str, *, at_least: int | None = None) -> np.ndarray:
        """See `ImagePool.pixels`."""

    def is_unchanged(self, image_id: str) -> bool:
        """See `ImagePool.is_unchanged`."""


@dataclass(frozen=True)
class Picture:
    """An image, or a part of one, ready for the screen."""

    image: np.ndarray = field(repr=False)
    """uint8 (h, w) or (h, w, 3)."""
    box: tuple[int, int, int, int]
    """Which part it is: left, top, width, height, in pixels of the whole."""
    width: int
    """Of the whole."""
    height: int
    """Of the whole."""
    highest: int
    """Value of white in the file: 255, or up to 65,535 for 16 bits a pixel."""
    low: float
    """What is shown black."""
    high: float
    """What is shown white."""


class Pictures:
    """The images of a pool as people look at them; any number of threads may ask.

    Parameters
    ----------
    pool : PixelSource
        An `ImagePool`.
    """

    def __init__(self, pool: PixelSource) -> None:
        self._pool = pool
        self._lock = threading.Lock()
        self._overviews: OrderedDict[str, Picture] = OrderedDict()
        self._whole: OrderedDict[str, np.ndarray] = OrderedDict()
        self._thumbnails: OrderedDict[str, np.ndarray] = OrderedDict()

    def overview(self, image_id: str) -> Picture:
        """Return a whole image, at most `MAX_SHOWN_SIDE` a side.

        Raises
        ------
        ImageGoneError
            It cannot be read any more.
        """
        if self._pool.is_unchanged(image_id):
            with self._lock:
                if image_id in self._overviews:
                    self._overviews.move_to_end(image_id)
                    return self._overviews[image_id]
        picture = self.part(image_id, side=MAX_SHOWN_SIDE)
        with self._lock:
            self._overviews[image_id] = picture
            while len(self._overviews) > KEPT_OVERVIEWS:
                self._overviews.popitem(last=False)
        return picture

    def part(
        self,
        image_id: str,
        *,
        box: tuple[float, float, float, float] | None = None,
        side: int = MAX_VIEW_SIDE,
        low: float | None = None,
        high: float | None = None,
    ) -> Picture:
        """Return a part of an image, scaled down only where it is larger than `side`.

        Parameters
        ----------
        image_id : str
        box : (left, top, width, height), optional
            In pixels of the whole, rounded outwards and cut to it; the whole if not given.
        side : int
            Longest side wanted, 1 to `MAX_VIEW_SIDE`.
        low, high : float, optional
            Values of the file shown black and white; 0 and `highest_value` if not given.

        Raises
        ------
        ImageGoneError
            It cannot be read any more.
        ValueError
            A box outside the image, or a window without width.
        """
        pixels = self._pixels(image_id)
        height, width = pixels.shape[:2]
        left, top, right, bottom = _corners(box, width, height)
        highest = highest_value(pixels)
        low, high = (0 if low is None else low), (highest if high is None else high)
        shown = window(pixels[top:bottom, left:right], low, high)
        image = _bounded(shown, min(max(1, side), MAX_VIEW_SIDE))
        return Picture(
            image, (left, top, right - left, bottom - top), width, height, highest, low, high
        )

    def thumbnail(self, image_id: str) -> np.ndarray:
        """Return a whole image as uint8, at most `THUMBNAIL_SIDE` a side; raises as `overview`."""
        with self._lock:
            if image_id in self._thumbnails:
                self._thumbnails.move_to_end(image_id)
                return self._thumbnails[image_id]
        pixels = self._pool.pixels(image_id, at_least=THUMBNAIL_SIDE)
        image = _bounded(window(pixels, 0, highest_value(pixels)), THUMBNAIL_SIDE)
        with self._lock:
            self._thumbnails[image_id] = image
            while len(self._thumbnails) > KEPT_THUMBNAILS:
                self._thumbnails.popitem(last=False)
        return image

    def _pixels(self, image_id: str) -> np.ndarray:
        if self._pool.is_unchanged(image_id):
            with self._lock:
                if image_id in self._whole:
                    self._whole.move_to_end(image_id)
                    return self._whole[image_id]
        pixels = self._pool.pixels(image_id)
        with self._lock:
            self._whole[image_id] = pixels
            while len(self._whole) > 1 and _bytes(self._whole) > KEPT_BYTES:
                self._whole.popitem(last=False)
        return pixels


def _bytes(images: OrderedDict[str, np.ndarray]) -> int:
    return sum(image.nbytes for image in images.values())


def _corners(
    box: tuple[float, float, float, float] | None, width: int, height: int
) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of a box, in whole pixels of the image."""
    if box is None:
        return 0, 0, width, height
    x, y, w, h = box
    if not np.isfinite(box).all() or w <= 0 or h <= 0:
        raise ValueError(f"A box is left, top, width, height in pixels; got {list(box)}.")
    left, top = max(0, int(np.floor(x))), max(0, int(np.floor(y)))
    right, bottom = min(width, int(np.ceil(x + w))), min(height, int(np.ceil(y + h)))
    if right <= left or bottom <= top:
        raise ValueError(f"The box {list(box)} is outside the image of {width} × {height}.")
    return left, top, right, bottom


def _bounded(image: np.ndarray, side: int) -> np.ndarray:
    """Shrink an image to a longest side; its aspect is kept."""
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    if max(image.shape[:2]) <= side:
        return np.ascontiguousarray(image)
    from PIL import Image

    picture = Image.fromarray(image)
    picture.thumbnail((side, side), reducing_gap=2.0)
    return np.asarray(picture)

"""Images as data URLs: one, and those of a pool, the latest kept in memory."""

from __future__ import annotations

import base64
import io
import threading
from collections import OrderedDict
from collections.abc import Callable

import numpy as np

from ...errors import ImageGoneError
from ..image_pool import ImagePool

SIDE = 160
CACHE_CHARACTERS = 64 << 20


def data_url(image: np.ndarray, side: int | None = None) -> str:
    """Return an image of uint8 (H, W[, C]) as a PNG in a data URL, at most `side` a side."""
    from PIL import Image

    picture = Image.fromarray(image[:, :, 0] if image.ndim == 3 and image.shape[2] == 1 else image)
    if side is not None:
        picture.thumbnail((side, side))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


class PictureUrls:
    """The images of a pool as data URLs, each encoded once: the latest are kept.

    Parameters
    ----------
    pool : ImagePool
    """

    def __init__(self, pool: ImagePool) -> None:
        self._pool = pool
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, int], str] = OrderedDict()  # by image and longest side
        self._characters = 0

    def thumbnail(self, image: str) -> str | None:
        """Return an image of at most `SIDE` pixels a side; None if it cannot be shown."""
        try:
            return self._url((image, SIDE), lambda: _small(self._pool.pictures.thumbnail(image)))
        except ImageGoneError:
            return None

    def of(self, image: str, pixels: np.ndarray) -> str:
        """Return the URL of `pixels`, uint8 (H, W[, C]), which show an image whole and unchanged."""
        return self._url((image, max(pixels.shape[:2])), lambda: data_url(pixels))

    def _url(self, key: tuple[str, int], encode: Callable[[], str]) -> str:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        url = encode()
        with self._lock:
            if key not in self._kept:
                self._characters += len(url)
            self._kept[key] = url
            while self._characters > CACHE_CHARACTERS and len(self._kept) > 1:
                self._characters -= len(self._kept.popitem(last=False)[1])
        return url


def _small(image: np.ndarray) -> str:
    """Return an image as a data URL: as it is in PNG if it is small, else shrunk, as JPEG."""
    from PIL import Image

    picture = Image.fromarray(image)
    small = max(picture.size) <= SIDE
    if not small:
        picture.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    if small:
        picture.save(buffer, "PNG", compress_level=1)
    else:
        picture.convert("L" if picture.mode == "L" else "RGB").save(buffer, "JPEG", quality=85)
    kind = "png" if small else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"

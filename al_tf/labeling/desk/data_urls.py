"""Images as data URLs: one, and the thumbnails of a pool, the latest kept in memory."""

from __future__ import annotations

import base64
import io
import threading
from collections import OrderedDict

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


class Thumbnails:
    """Thumbnails of at most `SIDE` pixels a side.

    Parameters
    ----------
    pool : ImagePool
    """

    def __init__(self, pool: ImagePool) -> None:
        self._pool = pool
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, str] = OrderedDict()
        self._characters = 0

    def url(self, image: str) -> str | None:
        """Return the thumbnail of an image as a data URL; None if the image cannot be shown."""
        with self._lock:
            if image in self._kept:
                self._kept.move_to_end(image)
                return self._kept[image]
        try:
            url = _encoded(self._pool.pictures.thumbnail(image))
        except ImageGoneError:
            return None
        with self._lock:
            if image not in self._kept:
                self._characters += len(url)
            self._kept[image] = url
            while self._characters > CACHE_CHARACTERS:
                self._characters -= len(self._kept.popitem(last=False)[1])
        return url


def _encoded(image: np.ndarray) -> str:
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

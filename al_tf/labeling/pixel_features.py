"""Features of images that need no model: small grey thumbnails and their principal components."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..seeding import stream
from .image_pool import ImagePool

MAX_SIDE, MAX_COMPONENTS = 16, 32


def thumbnails(images: np.ndarray) -> np.ndarray:
    """Return images as small grey ones, each a row.

    Parameters
    ----------
    images : ndarray of uint8 (n, H, W) or (n, H, W, C)

    Returns
    -------
    ndarray of float32 (n, d)
        Means of blocks of pixels in [0, 1], fewer than 2 `MAX_SIDE` along each side.
    """
    grey = images if images.ndim == 3 else images.mean(axis=3)
    step = [max(1, side // MAX_SIDE) for side in grey.shape[1:]]
    height, width = (grey.shape[i + 1] // step[i] * step[i] for i in (0, 1))
    blocks = grey[:, :height, :width].reshape(
        len(grey), height // step[0], step[0], width // step[1], step[1]
    )
    return (blocks.mean(axis=(2, 4)) / 255).reshape(len(grey), -1).astype(np.float32)


def pixel_features(pool: ImagePool, ids: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Return the principal components of thumbnails.

    Parameters
    ----------
    pool : ImagePool
    ids : sequence of str

    Returns
    -------
    ids : list of str
        Those that can be read.
    features : ndarray of float32 (n, d)
        d is at most `MAX_COMPONENTS`.
    """
    from sklearn.decomposition import PCA

    readable: list[str] = []
    parts = []
    for part, images in pool.chunks(ids):
        readable += part
        parts.append(thumbnails(images))
    if not readable:
        return [], np.zeros((0, 1), dtype=np.float32)
    rows = np.concatenate(parts)  # (n, pixels)
    components = min(MAX_COMPONENTS, *rows.shape)
    seed = int(stream(0, "simple features").integers(2**31))
    features = PCA(components, random_state=seed).fit_transform(rows)
    return readable, features.astype(np.float32)

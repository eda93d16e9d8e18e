"""Images of any size and kind become what a backbone takes in, by plain Keras layers.

Resizing is two matrix products, one for each axis, with the weights of a triangle filter that
widens when an image shrinks (antialiased bilinear resizing, as in Pillow and TensorFlow). So it
runs wherever the network runs, gives the same numbers on each backend, and is saved with the
network as layers that need no code of their own.
"""

from __future__ import annotations

import hashlib
import numbers
from typing import Any

import numpy as np

from ..image_arrays import ImageSource
from .sources import image_source

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in a grey value (ITU-R BT.601, as in Pillow)."""
WHITE = 255.0
CHANNELS = (1, 3, 4)


def check_images(X: Any) -> ImageSource:
    """Return `X` as a source that is read a part at a time, if it can hold images.

    Raises
    ------
    ValueError
        For a shape that is not that of images, or values that are neither uint8 nor floats.
    """
    source = image_source(X)
    shape = tuple(source.shape)
    if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] not in CHANNELS):
        raise ValueError(
            "Expected images of shape (n, H, W), (n, H, W, 1), (n, H, W, 3) or (n, H, W, 4); got "
            f"shape {shape}."
        )
    if len(shape) == 3 and shape[2] in (3, 4) and shape[1] > 4:
        raise ValueError(
            f"Expected images (n, H, W[, C]); shape {shape} looks like one image. Pass "
            "X[np.newaxis]."
        )
    if min(shape[1:]) < 1:
        raise ValueError(f"Expected images of at least one pixel; got shape {shape}.")
    if source.dtype != np.uint8 and source.dtype.kind != "f":
        raise ValueError(
            f"Expected uint8 pixels in 0–255 or floats in [0, 1]; got {source.dtype}. Convert 16-bit "
            "images with (X // 257).astype('uint8'), and other integers in 0–255 with "
            "X.astype('uint8')."
        )
    return source


def check_image_shape(shape: Any) -> None:
    """Raise ValueError unless `shape` is that of one image, with sides that are known."""
    is_shape = isinstance(shape, list | tuple) and len(shape) in (2, 3)
    if not (
        is_shape
        and all(isinstance(side, numbers.Integral) and int(side) > 0 for side in shape)
        and (len(shape) == 2 or shape[2] in CHANNELS)
    ):
        raise ValueError(
            "input_shape must be that of one image, (height, width) or (height, width, channels) "
            f"with 1, 3 or 4 channels; got {shape!r}."
        )


def check_pixels(pixels: Any, start: int) -> np.ndarray:
    """Return a batch as contiguous uint8, or as float32 in [0, 1].

    Parameters
    ----------
    pixels : array-like (batch, H, W[, C])
    start : int
        Number of the first image, for messages.

    Raises
    ------
    ValueError
        For floats that are NaN or outside [0, 1].
    """
    pixels = np.asarray(pixels)
    if pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels)
    inside = (pixels >= 0) & (pixels <= 1)  # false for NaN
    if not inside.all():
        i = int(np.flatnonzero(~inside.reshape(len(pixels), -1).all(axis=1))[0])
        value = pixels[i][~inside[i]].flat[0]
        advice = (
            "Divide pixels in 0–255 by 255, or pass them as uint8."
            if 1 < value <= 255
            else "Leave images with NaN or infinite pixels out."
            if not np.isfinite(value)
            else "Bring pixels to [0, 1], or pass them as uint8."
        )
        raise ValueError(f"Expected floats in [0, 1]; image {start + i} holds {value}. {advice}")
    return np.ascontiguousarray(pixels, dtype=np.float32)


def pixel_digests(pixels: np.ndarray) -> list[bytes]:
    """Return for each image of a batch 16 bytes that only the same pixels have."""
    start = hashlib.blake2b(f"{pixels.dtype} {pixels.shape[1:]}".encode(), digest_size=16)
    digests = []
    for image in pixels:
        digest = start.copy()
        digest.update(image.data)
        digests.append(digest.digest())
    return digests


def prepared(inputs: Any, shape: tuple[int, ...], *, scaled: bool) -> Any:
    """Apply the layers that bring raw images to the input of a network.

    Parameters
    ----------
    inputs : KerasTensor (n, H, W) or (n, H, W, C)
        Pixels in 0–255, or in [0, 1] with `scaled`; grey, RGB, or RGB with an opacity, which is
        laid on white.
    shape : tuple of int
        What the network takes: (height, width), or with 1 or 3 channels.
    scaled : bool

    Returns
    -------
    KerasTensor (n, height, width[, channels])
        Pixels in 0–255. None of the layers is trainable.
    """
    from keras import layers

    x = inputs
    if len(x.shape) == 3:
        x = layers.Reshape((*x.shape[1:], 1))(x)
    if scaled:
        x = layers.Rescaling(WHITE)(x)
    if x.shape[3] == 4:
        x = _on_white(x)
    channels = shape[2] if len(shape) == 3 else 1
    if channels < x.shape[3]:
        x = fixed_affine(x, np.reshape(LUMA, (3, 1)))
    x = _resized(x, shape[0], shape[1])
    if channels > x.shape[3]:
        x = layers.Concatenate()([x] * channels)
    return x if len(shape) == 3 else layers.Reshape(shape)(x)


def fixed_affine(x: Any, matrix: np.ndarray, offset: np.ndarray | None = None) -> Any:
    """Apply a layer that mixes the channels of each pixel: ``x @ matrix + offset``; not trained."""
    from keras import layers

    layer = layers.Dense(matrix.shape[1], use_bias=offset is not None)
    return _fixed(layer, x, [matrix] if offset is None else [matrix, offset])


def triangle_filter(n: int, n_new: int) -> np.ndarray:
    """Return the weights of `n` pixels in each of `n_new`, float32 ``(n, n_new)``; columns sum to 1."""
    centers = (np.arange(n_new) + 0.5) * n / n_new - 0.5
    distance = np.abs(np.arange(n)[:, np.newaxis] - centers) / max(1.0, n / n_new)
    weights = np.maximum(0.0, 1.0 - distance)
    return (weights / weights.sum(axis=0)).astype(np.float32)


def _resized(x: Any, height: int, width: int) -> Any:
    from keras import layers

    _, rows, columns, channels = x.shape
    if rows != height:
        shape = (height, columns, channels)
        layer = layers.EinsumDense("nrcd,rs->nscd", shape)
        x = _fixed(layer, x, [triangle_filter(rows, height)])
    if columns != width:
        shape = (height, width, channels)
        layer = layers.EinsumDense("nrcd,cs->nrsd", shape)
        x = _fixed(layer, x, [triangle_filter(columns, width)])
    return x


def _on_white(x: Any) -> Any:
    """Lay RGB with opacity, all in 0–255, on white."""
    from keras import layers

    colors, opacity = np.eye(4)[:, :3], np.repeat(np.eye(4)[:, 3:], 3, axis=1)
    seen = layers.Multiply()([fixed_affine(x, colors), fixed_affine(x, opacity / WHITE)])
    return layers.Add()([seen, fixed_affine(x, -opacity, np.full(3, WHITE))])


def _fixed(layer: Any, x: Any, weights: list[np.ndarray]) -> Any:
    """Apply a layer whose weights are given and never trained."""
    x = layer(x)
    layer.set_weights(weights)
    layer.trainable = False
    return x

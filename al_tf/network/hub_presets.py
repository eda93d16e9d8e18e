"""Image backbones of KerasHub, where it is installed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataNotFoundError
from .pixels import fixed_affine
from .pretrained import PretrainedNetwork, built_once, plain_float32, weights_digest

if TYPE_CHECKING:
    import keras

PREFIX = "keras_hub:"
_SIZE = 224
"""Side in pixels where neither the caller nor the preset says one."""


def load_preset(name: str, size: int | None) -> PretrainedNetwork:
    """Return the backbone of a preset of KerasHub with the scaling of its image converter.

    Features are the class token where a transformer has one, else the mean over all positions.

    Raises
    ------
    DataNotFoundError
        KerasHub is not installed, or it cannot load the preset.
    ValueError
        The preset is not one of images.
    """
    try:
        import keras_hub
    except ImportError as error:
        raise DataNotFoundError(f"{name} needs KerasHub. Run: pip install keras-hub") from error
    preset = name.removeprefix(PREFIX)
    try:
        converter = keras_hub.layers.ImageConverter.from_preset(preset)
    except Exception as error:  # what KerasHub raises for presets it cannot load is open-ended
        raise DataNotFoundError(
            f"{name}: KerasHub cannot load an image converter of this preset ({error}). Check its "
            "name and that it is one of images, or run where there is a connection: "
            f"al-tf data fetch backbone:{name}"
        ) from error
    side = size or (converter.image_size or (_SIZE,))[0]

    def build() -> keras.Model:
        return _build(keras_hub, name, preset, converter, side, resized=size is not None)

    network = build()
    return PretrainedNetwork(
        name, side, network.output_shape[-1], weights_digest(network), built_once(network, build)
    )


def _build(
    keras_hub: Any, name: str, preset: str, converter: Any, size: int, *, resized: bool
) -> keras.Model:
    import keras
    from keras import layers

    options = {"image_shape": (size, size, 3)} if resized else {}
    try:
        with plain_float32():
            body = keras_hub.models.Backbone.from_preset(preset, **options)
    except Exception as error:  # as above
        raise DataNotFoundError(
            f"{name}: KerasHub cannot load the backbone of this preset for images of {size} "
            f"pixels ({error})."
        ) from error
    with plain_float32():
        inputs = keras.Input((size, size, 3))
        scale, offset = (
            1.0 if v is None else v for v in (converter.scale, converter.offset or 0.0)
        )
        x = fixed_affine(inputs, np.diag(np.broadcast_to(scale, 3)), np.broadcast_to(offset, 3))
        x = body(dict.fromkeys(body.input, x) if isinstance(body.input, dict) else x)
        if len(x.shape) == 4:
            x = layers.GlobalAveragePooling2D()(x)
        elif len(x.shape) == 3 and math.isqrt(x.shape[1]) ** 2 == x.shape[1]:
            x = layers.GlobalAveragePooling1D()(x)  # positions of a square grid, and no more
        elif len(x.shape) == 3:
            x = layers.Flatten()(layers.Cropping1D((0, x.shape[1] - 1))(x))  # the class token
        return keras.Model(inputs, x)

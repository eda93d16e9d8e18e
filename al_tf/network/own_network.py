"""A network in a ``.keras`` file of one's own, without its head."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataCorruptError
from .model_files import load_network
from .models import FEATURES
from .pretrained import PretrainedNetwork, Size, built_once, plain_float32

if TYPE_CHECKING:
    import keras

SUFFIX = ".keras"
_PIXEL_SCALE = 1 / 64
"""A factor below this brings pixels of 0–255 to about 1; one above it works on smaller numbers."""
_PIXEL_MEAN = 4.0


def load_own_network(name: str, size: Size | None) -> PretrainedNetwork:
    """Return the network of a ``.keras`` file as a backbone.

    Features are what a layer named ``features`` puts out; else what the last layer with weights
    takes in, if it is a dense one, which is then taken for the head; else the network's output, of
    which the mean over all positions is taken. Parts that are networks themselves are looked into.

    Its own layers tell what pixels it takes. If its first `Rescaling` divides by 64 or more, or its
    first `Normalization` subtracts means above 4, it is given 0–255. In all other cases it is given
    [0, 1], as `KerasImageClassifier` gives uint8 images to its network.

    Raises
    ------
    DataNotFoundError, DataCorruptError
        As `load_network`, and for networks that do not take images.
    ValueError
        `size` is not what the network takes.
    """
    path = Path(name).expanduser()
    shape = _input_shape(load_network(path), path, size)

    def build() -> keras.Model:
        return _build(load_network(path), shape)

    network = build()
    identity = f"{hashlib.sha256(path.read_bytes()).hexdigest()} {shape}"
    height, width = shape[:2]
    side = height if height == width else (height, width)
    return PretrainedNetwork(
        name, side, network.output_shape[-1], identity, built_once(network, build)
    )


def _input_shape(network: keras.Model, path: Path, size: Size | None) -> tuple[int, ...]:
    """Return (height, width) or (height, width, channels)."""
    shape = network.input_shape
    if (
        not isinstance(shape, tuple)
        or len(shape) not in (3, 4)
        or shape[3:] not in ((), (1,), (3,))
    ):
        raise DataCorruptError(
            f"{path}: expected a network that takes images (n, height, width) or (n, height, "
            f"width, 1 or 3); got one with input shape {shape}."
        )
    wanted = (None, None) if size is None else np.broadcast_to(size, 2).tolist()
    sides = []
    for own, asked in zip(shape[1:3], wanted, strict=True):
        if own is not None and asked not in (None, own):
            raise ValueError(
                f"{path}: this network takes images of {shape[1]} × {shape[2]} pixels only; got "
                f"size={size}. Leave size out."
            )
        if own is None and asked is None:
            raise ValueError(f"{path}: this network takes images of any size; say which by size=.")
        sides.append(own or asked)
    return (*sides, *shape[3:])


def _build(network: keras.Model, shape: tuple[int, ...]) -> keras.Model:
    import keras
    from keras import layers

    takes_pixels = _takes_pixels(network)
    headless = _without_head(network)
    with plain_float32():
        x = inputs = keras.Input(shape)
        if not takes_pixels:
            x = layers.Rescaling(1 / 255)(x)
        x = headless(x)
        if len(x.shape) == 4:
            x = layers.GlobalAveragePooling2D()(x)
        elif len(x.shape) > 2:
            x = layers.Flatten()(x)
        return keras.Model(inputs, x)


def _without_head(network: keras.Model) -> keras.Model:
    import keras

    for layer in network.layers:
        if layer.name == FEATURES:
            return keras.Model(network.inputs[0], layer.output)
    weighted = [layer for layer in network.layers if layer.weights]
    head = weighted[-1] if weighted else None
    if isinstance(head, keras.layers.Dense):
        return keras.Model(network.inputs[0], head.input)
    if not isinstance(head, keras.Model):
        return network
    headless = _without_head(head)
    after = set(map(id, network.layers[network.layers.index(head) + 1 :]))

    def call(layer: Any, *inputs: Any, **options: Any) -> Any:
        if layer is head:
            return headless(*inputs)
        return (
            inputs[0] if id(layer) in after and headless is not head else layer(*inputs, **options)
        )

    functional = keras.Model(network.inputs[0], network.outputs[0])
    return keras.models.clone_model(
        functional, clone_function=lambda layer: layer, call_function=call
    )


def _takes_pixels(network: keras.Model) -> bool:
    """Whether the network's own layers scale pixels of 0–255."""
    import keras

    for layer in _all_layers(network):
        if isinstance(layer, keras.layers.Rescaling):
            return bool(np.max(np.abs(layer.scale)) <= _PIXEL_SCALE)
        if isinstance(layer, keras.layers.Normalization):
            return bool(np.max(np.abs(np.asarray(layer.mean))) > _PIXEL_MEAN)
    return False


def _all_layers(network: keras.Model) -> Iterator[Any]:
    for layer in network.layers:
        if hasattr(layer, "layers"):
            yield from _all_layers(layer)
        else:
            yield layer

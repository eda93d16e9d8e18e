"""Where pretrained networks come from: what each family needs to become a `Backbone`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from . import efficientnet_lite

if TYPE_CHECKING:
    import keras

Size = int | tuple[int, int]


@dataclass(frozen=True)
class PretrainedNetwork:
    """A network with its weights, to be built as often as it is needed.

    Attributes
    ----------
    name : str
        As `load_backbone` takes it.
    size : int or (int, int)
        Side of its square images, or their height and width, in pixels.
    dim : int
        Number of features.
    identity : str
        Changes with everything that changes the features.
    build : callable
        ``build(for_inference) -> keras.Model`` from pixels in 0–255, of the size it takes, to
        features ``(n, dim)``. For inference it may be put together in another way.
    """

    name: str
    size: Size
    dim: int
    identity: str
    build: Callable[[bool], keras.Model]


@contextmanager
def plain_float32() -> Iterator[None]:
    """Build layers of float32, whatever Keras' global policy is."""
    import keras

    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)


def built_once(
    network: keras.Model, build: Callable[[], keras.Model]
) -> Callable[[bool], keras.Model]:
    """Return a `PretrainedNetwork.build` that gives away `network` first, then builds new ones."""
    ready = [network]

    def build_or_give(for_inference: bool) -> keras.Model:
        return ready.pop() if ready else build()

    return build_or_give


def weights_digest(network: keras.Model) -> str:
    """Return text that changes with any weight of a network."""
    digest = hashlib.sha256()
    for array in network.get_weights():
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def load_efficientnet_lite(size: int | None) -> PretrainedNetwork:
    """Return EfficientNet-Lite0 for images of `size` pixels; see `efficientnet_lite`."""
    side = size or efficientnet_lite.SIZE
    weights = efficientnet_lite.read_weights()

    def build(for_inference: bool) -> keras.Model:
        with plain_float32():
            network = efficientnet_lite.build_network(side, folded=for_inference)
        efficientnet_lite.load_weights(network, weights)
        return network

    return PretrainedNetwork(
        efficientnet_lite.NAME, side, efficientnet_lite.DIM, efficientnet_lite.SHA256, build
    )

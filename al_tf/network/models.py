"""The convolutional network of the reproduced studies."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from ..errors import check_one_of
from .augmentation import augmented

if TYPE_CHECKING:
    import keras

FEATURES = "features"
"""Name of the layer whose output strategies see, in a network that has one of this name."""


def build_cnn(
    input_shape: tuple[int, ...],
    n_classes: int,
    *,
    filters: Sequence[int] = (32, 64, 64),
    dense: int = 128,
    padding: str = "same",
    dropout: float = 0.0,
    features: str = "dense",
    learning_rate: float = 1e-3,
    dtype: str | None = None,
    augment: bool | Collection[str] = False,
) -> keras.Model:
    """Build and compile the three-convolution network.

    Three blocks of 3 × 3 convolution (ReLU) and 2 × 2 max-pooling, flatten, a dense ReLU layer
    (by default the features that strategies see) and a dense softmax layer; Adam on categorical
    cross-entropy.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one image, ``(H, W)`` or ``(H, W, C)``. A side too short for another halving is
        not pooled further, so 8 × 8 images pass as well as 64 × 64.
    n_classes : int
        Number of classes, the width of the softmax.
    filters : sequence of int
        Filters of each convolution.
    dense : int
        Width of the penultimate layer.
    padding : {"same", "valid"}
        Zero padding, or none (then the maps shrink by 2 with each convolution).
    dropout : float
        Fraction of the flattened maps and of the penultimate layer dropped in training, in [0, 1).
        `KerasImageClassifier.sample_proba` (and so the ``bald`` strategy) needs more than 0.
    features : {"dense", "flatten"}
        What strategies see: the penultimate layer, or the flattened maps before it.
    learning_rate : float
        Adam's step size.
    dtype : {"float32", "mixed_bfloat16"}, optional
        Policy of all layers but the softmax, which is float32; Keras' global policy if not given
        (``"float32"`` unless you set another). On processors with bfloat16 instructions
        ``"mixed_bfloat16"`` trains 1.4 to 1.9 times and predicts 2.5 times as fast
        (``benchmarks/training.py``, ``inference.py``); on others it is slower.
    augment : bool or collection of {"flip", "shift", "brightness"}
        Random changes of training images in [0, 1]: mirrored left to right, shifted by up to a
        tenth of each side, lightened or darkened by up to 0.2. True is all of them. Prediction
        sees images unchanged.

    Returns
    -------
    keras.Model
        Compiled, with freshly initialised weights.

    Raises
    ------
    ValueError
        If `input_shape` is not that of an image.

    Notes
    -----
    The defaults were chosen by ``benchmarks/cnn.py``: random labeled sets, 20 epochs and at
    least 300 steps from scratch, mean test accuracy of 2 seeds, cost in time of a gradient step
    relative to the default's.

    ================================  ======================  ==================  ========
    network                           Fashion-MNIST, 1,200    CIFAR-10, 2,500     cost
    ================================  ======================  ==================  ========
    16/32/64, dense 128               0.821                   0.498               0.5–0.6
    32/64/64, dense 64                0.826                   0.501               0.9–1.0
    32/64/64, dense 128 (default)     0.830                   0.515               1
    32/64/64, dense 256               0.812                   0.506               1.0–1.3
    32/64/64, dense 128, no padding   0.790                   0.470               0.8–0.9
    32/64/128, dense 128              0.821                   0.517               1.3–1.5
    32/64/64, dense 128, dropout ¼    0.825                   0.520               1.0
    ================================  ======================  ==================  ========

    Seeds differ by 0.002 to 0.018 (SD): padding matters, more width buys nothing that these
    seeds can show, and half the filters save half the time for one to two points. CIFAR-10 was
    the lossy JPEG copy.

    Examples
    --------
    >>> from al_tf import KerasImageClassifier, build_cnn
    >>> build_cnn((28, 28), 10).output_shape
    (None, 10)
    >>> classifier = KerasImageClassifier(build_cnn, model_params={"dropout": 0.2})
    """
    import keras
    from keras import layers

    if len(input_shape) not in (2, 3) or not all(input_shape):
        raise ValueError(
            f"build_cnn takes images of shape (H, W) or (H, W, C); got input_shape={input_shape}. "
            "For other inputs pass a model_fn of your own to KerasImageClassifier."
        )
    height, width = input_shape[:2]
    inputs = keras.Input(input_shape)
    x = augmented(inputs, augment)
    if len(input_shape) == 2:
        x = layers.Reshape((height, width, 1), dtype=dtype)(x)
    for n_filters in filters:
        x = layers.Conv2D(n_filters, 3, padding=padding, activation="relu", dtype=dtype)(x)
        if padding == "valid":
            height, width = height - 2, width - 2
        pool = (2 if height > 1 else 1, 2 if width > 1 else 1)
        if math.prod(pool) > 1:
            x = layers.MaxPooling2D(pool, dtype=dtype)(x)
        height, width = height // pool[0], width // pool[1]
    check_one_of("features", features, ("dense", "flatten"))
    x = layers.Flatten(dtype=dtype, name=FEATURES if features == "flatten" else None)(x)
    if dropout:
        x = layers.Dropout(dropout, dtype=dtype)(x)
    x = layers.Dense(dense, activation="relu", dtype=dtype)(x)
    if dropout:
        x = layers.Dropout(dropout, dtype=dtype)(x)
    outputs = layers.Dense(n_classes, activation="softmax", dtype="float32")(x)

    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.Adam(learning_rate), loss="categorical_crossentropy")
    return model

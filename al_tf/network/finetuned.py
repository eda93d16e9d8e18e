"""A pretrained network with a new head, trained on labeled images."""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import TYPE_CHECKING

from ..errors import check_one_of
from .augmentation import augmented
from .initialization import innermost_layers

if TYPE_CHECKING:
    import keras

    from .backbones import Backbone

TRAINABLE = ("head", "top", "all")
_TOP = 3
"""The last of so many equal parts of a backbone's layers is its top."""


def build_finetuned(
    input_shape: tuple[int, ...],
    n_classes: int,
    *,
    backbone: str | os.PathLike[str] | Backbone = "efficientnet_lite0",
    size: int | None = None,
    trainable: str = "head",
    learning_rate: float | None = None,
    dropout: float = 0.2,
    augment: bool | Collection[str] = False,
) -> keras.Model:
    """Build and compile a pretrained network with a new softmax layer.

    A `model_fn` for `KerasImageClassifier`: each fit in the mode ``"scratch"`` starts from the
    pretrained body and a new head. Where labels are few, `LinearProbeClassifier` does the same as
    ``trainable="head"`` in a thousandth of the time.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one image, ``(H, W)`` or ``(H, W, C)``; values in [0, 1], or uint8, which
        `KerasImageClassifier` scales.
    n_classes : int
        Number of classes, the width of the softmax.
    backbone : str, path or Backbone
        Name of a pretrained network or ``.keras`` file, as `load_backbone` takes it, or what that
        returned.
    size : int, optional
        Side in pixels that images are resized to, for a backbone given by name.
    trainable : {"head", "top", "all"}
        What training moves: the new layer alone; also the last third of the backbone's layers that
        have weights (of EfficientNet-Lite0, all after the last halving of the maps); or all.
    learning_rate : float, optional
        Adam's step size. By default 1e-3 for the head alone, and 1e-4 where pretrained layers move
        too.
    dropout : float
        Fraction of the features dropped in training, in [0, 1).
        `KerasImageClassifier.sample_proba` (and so the ``bald`` strategy) needs more than 0.
    augment : bool or collection of {"flip", "shift", "brightness"}
        Random changes of training images; True is all of them. Prediction sees images unchanged.

    Returns
    -------
    keras.Model
        Compiled: a pretrained body, and a head with freshly initialised weights.

    Raises
    ------
    UnknownNameError
        For another `trainable`, `augment` or backbone.
    ValueError
        If `size` is given with a backbone that is loaded already.

    Notes
    -----
    Batch normalization keeps the statistics, scale and shift of its pretraining in every mode, and
    dropout inside the backbone is off: batches of a few labels say less about either than the
    images the network was pretrained on.

    Up to 1,000 labels none of it was better than the probe. Macro F1 of the magnetic tiles (good or
    defective, split by tile, 128 pixels, 10 epochs and at least 100 steps, means of 4 seeds, SD
    0.01 to 0.1), by ``benchmarks/probe.py --finetuned``:

    =======================  ==========  ============
    what moves               200 labels  1,000 labels
    =======================  ==========  ============
    `LinearProbeClassifier`        .687          .731
    head                           .625          .699
    top                            .656          .709
    all                            .662          .706
    top, augmented                 .645          .678
    all, augmented                 .679          .731
    =======================  ==========  ============

    Examples
    --------
    >>> from al_tf import KerasImageClassifier, build_finetuned
    >>> params = {"backbone": "efficientnet_lite0", "trainable": "top", "augment": ["flip"]}
    >>> classifier = KerasImageClassifier(build_finetuned, model_params=params, epochs=10)
    """
    import keras
    from keras import layers

    check_one_of("trainable", trainable, TRAINABLE)
    body = resolved_backbone(backbone, size).keras_model(input_shape, scaled=True)
    _freeze(body, trainable)
    inputs = keras.Input(input_shape)
    x = body(augmented(inputs, augment))
    if dropout:
        x = layers.Dropout(dropout)(x)
    outputs = layers.Dense(n_classes, activation="softmax", dtype="float32")(x)
    model = keras.Model(inputs, outputs)
    rate = learning_rate or (1e-3 if trainable == "head" else 1e-4)
    model.compile(keras.optimizers.Adam(rate), loss="categorical_crossentropy")
    return model


def resolved_backbone(backbone: str | os.PathLike[str] | Backbone, size: int | None) -> Backbone:
    """Return the backbone that a name or path and a size, or an object alone, stand for.

    Raises
    ------
    TypeError
        For what is neither a name nor a backbone.
    ValueError
        If `size` is another one than that of a backbone that is loaded already.
    """
    if isinstance(backbone, str | os.PathLike):
        from .backbones import load_backbone

        return load_backbone(backbone, size=size)
    if isinstance(backbone, type) or not hasattr(backbone, "fingerprint"):
        raise TypeError(
            "backbone must be a name of list_backbones(), the path of a .keras file, or what "
            f"load_backbone returned; got {backbone!r}."
        )
    if size not in (None, backbone.size):
        raise ValueError(
            f"size={size} is for a backbone given by name; this one was loaded for "
            f"{backbone.size} pixels. Load it with load_backbone(name, size={size})."
        )
    return backbone


def _freeze(body: keras.Model, trainable: str) -> None:
    """Mark what training moves, and switch off what draws at random inside the body."""
    import keras

    if trainable == "head":
        body.trainable = False
    weighted = []
    for layer in innermost_layers(body):
        for name in ("rate", "drop_path_rate"):  # of dropout and of stochastic depth
            if isinstance(getattr(layer, name, None), float):
                setattr(layer, name, 0.0)
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False  # which also keeps its statistics, in training and sampling
        elif layer.weights:
            weighted.append(layer)
    if trainable == "top":
        for layer in weighted[: len(weighted) - -(-len(weighted) // _TOP)]:
            layer.trainable = False

"""Random changes of training images: layers at the front of a network, left out when it predicts."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from ..errors import check_one_of

if TYPE_CHECKING:
    import keras

AUGMENTATION = "augmentation"
"""Name of the layer of random changes at the front of a network."""
CHANGES = ("flip", "shift", "brightness")


def augmented(images: Any, augment: bool | Collection[str]) -> Any:
    """Return images as they go through the layer of random changes, if there are any.

    Parameters
    ----------
    images : KerasTensor (n, H, W) or (n, H, W, C)
        In [0, 1], as uint8 images are by then.
    augment : bool or collection of {"flip", "shift", "brightness"}
        Mirror half of them left to right; shift by up to a tenth of each side, the border mirrored
        into the gap; add up to ±0.2 and clip to [0, 1]. True is all of them.

    Returns
    -------
    KerasTensor

    Raises
    ------
    UnknownNameError
        For another change.
    """
    from keras import Sequential, layers

    changes = CHANGES if augment is True else tuple(augment or ())
    if not changes:
        return images
    for change in changes:
        check_one_of("augment", change, CHANGES)
    makers = {
        "flip": lambda: layers.RandomFlip("horizontal"),
        "shift": lambda: layers.RandomTranslation(0.1, 0.1, fill_mode="reflect"),
        "brightness": lambda: layers.RandomBrightness(0.2, value_range=(0.0, 1.0)),
    }
    shape = tuple(images.shape[1:])
    steps = [makers[change]() for change in CHANGES if change in changes]
    if len(shape) == 2:
        steps = [layers.Reshape((*shape, 1)), *steps, layers.Reshape(shape)]
    return Sequential(steps, name=AUGMENTATION)(images)


def without_augmentation(model: keras.Model) -> keras.Model:
    """Return the part of a model behind its layer of random changes, with the same layers."""
    import keras

    behind = [layer.output for layer in model.layers if layer.name == AUGMENTATION]
    return keras.Model(behind[0], model.outputs[0]) if behind else model

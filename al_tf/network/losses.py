"""The loss that a model was compiled with, as a function of single images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class ImageLoss:
    """The loss of each image of a batch."""

    function: Callable[[Any, Any], Any]
    """Of targets and probabilities ``(n, K)``; returns ``(n,)``, or one number for the batch."""
    sparse: bool
    """Whether targets are class indices ``(n,)`` rather than one-hot rows ``(n, K)``."""
    per_image: bool
    """Whether there is one value for each image, so that images can have weights."""


def loss_of_images(model: Any, n_classes: int) -> ImageLoss:
    """Return the loss that `model` was compiled with; the kind of targets is found by trial.

    Raises
    ------
    TypeError
        For several losses or none, and for one that takes neither one-hot rows nor indices.
    ValueError
        For a loss of logits, as the network gives probabilities.
    """
    import keras

    loss = None if isinstance(model.loss, dict | list | tuple) else keras.losses.get(model.loss)
    if not callable(loss):
        raise TypeError(f"model_fn must compile the model with one loss; got loss={model.loss!r}.")
    is_object = isinstance(loss, keras.losses.Loss)
    settings = loss.get_config() if is_object else getattr(loss, "keywords", None) or {}
    if settings.get("from_logits"):
        raise ValueError(
            "The loss has from_logits=True, but the network must end in a softmax, which gives "
            "probabilities. Compile with a loss without from_logits=True."
        )
    function = loss.call if is_object else loss
    codes = np.arange(2 * n_classes, dtype=np.int32) % n_classes
    proba = np.full((len(codes), n_classes), 1 / n_classes, np.float32)
    one_hot = np.eye(n_classes, dtype=np.float32)[codes]
    errors = []
    kinds = [(False, one_hot), (True, codes)]
    if isinstance(loss, keras.losses.SparseCategoricalCrossentropy):
        kinds = kinds[1:]
    for sparse, targets in kinds:
        try:
            values = function(*map(keras.ops.convert_to_tensor, (targets, proba)))
            shape = tuple(keras.ops.shape(values))
        except Exception as error:  # what the losses of others raise is open-ended
            errors.append(f"{type(error).__name__}: {error}")
            continue
        if shape in ((len(codes),), ()):
            return ImageLoss(function, sparse, bool(shape))
        errors.append(f"it returned values of shape {shape}")
    raise TypeError(
        f"The loss {getattr(loss, 'name', None) or getattr(loss, '__name__', loss)!r} takes "
        f"neither one-hot rows (n, {n_classes}) nor class indices (n,) with probabilities "
        f"(n, {n_classes}): {'; '.join(errors)}"
    )

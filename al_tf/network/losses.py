"""The loss that a model was compiled with, as a function of single images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def has_sparse_targets(model: Any) -> bool:
    """Whether the loss takes class indices rather than one-hot rows."""
    name = model.loss if isinstance(model.loss, str) else getattr(model.loss, "name", "")
    return "sparse" in (name or getattr(model.loss, "__name__", ""))


def loss_per_image(model: Any) -> Callable[[Any, Any], Any]:
    """Return the compiled loss as a function that gives one value per image."""
    import keras

    loss = keras.losses.get(model.loss)
    if not callable(loss):
        raise TypeError(f"model_fn must compile the model with one loss; got loss={model.loss!r}.")
    return loss.call if isinstance(loss, keras.losses.Loss) else loss

"""The forward pass of a network that no longer changes, compiled once for batches of any length."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras

Forward = Callable[[np.ndarray], np.ndarray]
SMALL_BATCH = 8
"""JAX compiles for each length: for this one, to which few images are filled up, and the largest."""


def compiled_forward(model: keras.Model, dtype: Any, *, largest: int) -> Forward:
    """Return a function from images to the output of a network.

    Parameters
    ----------
    model : keras.Model
        One input and one output; its weights must not change any more.
    dtype : numpy dtype
        Of the images, which are turned into float32 on the device.
    largest : int
        The most images that will be passed at once.

    Returns
    -------
    callable
        ``forward(images) -> ndarray``.
    """
    import keras

    if keras.backend.backend() == "tensorflow":
        return _tensorflow_forward(model, dtype)
    return _jax_forward(model, largest)


def _tensorflow_forward(model: keras.Model, dtype: Any) -> Forward:
    import tensorflow as tf

    def run(images: Any) -> Any:
        return model(tf.cast(images, tf.float32), training=False)

    signature = [tf.TensorSpec([None, *model.input_shape[1:]], dtype)]
    function = tf.function(run, input_signature=signature).get_concrete_function()
    return lambda images: function(tf.constant(images)).numpy()


def _jax_forward(model: keras.Model, largest: int) -> Forward:
    import jax

    trainable = [v.value for v in model.trainable_variables]
    others = [v.value for v in model.non_trainable_variables]

    @jax.jit
    def run(trainable: Any, others: Any, images: Any) -> Any:
        return model.stateless_call(trainable, others, images.astype("float32"), training=False)[0]

    def forward(images: np.ndarray) -> np.ndarray:
        rows = max(
            len(images), min(largest, SMALL_BATCH if len(images) <= SMALL_BATCH else largest)
        )
        filled = np.zeros((rows, *images.shape[1:]), images.dtype)
        filled[: len(images)] = images
        return np.asarray(run(trainable, others, filled))[: len(images)]

    return forward

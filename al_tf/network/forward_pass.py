"""The forward pass of a network that no longer changes, compiled once for batches of any length."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras

Forward = Callable[[np.ndarray], np.ndarray]
SMALL_BATCH = 8
"""JAX compiles for each length: for this one, to which few images are filled up, and the largest."""
_one_at_a_time = threading.Lock()


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
        ``forward(images) -> ndarray``, computed in `full_float32`.
    """
    import keras

    if keras.backend.backend() == "tensorflow":
        return _tensorflow_forward(model, dtype)
    return _jax_forward(model, largest)


def passes_at_once() -> int:
    """Return how many batches a network should be given at a time.

    A GPU under JAX computes one while the next is copied to it. Elsewhere one batch keeps the
    processors busy.
    """
    import keras

    if keras.backend.backend() != "jax":
        return 1
    import jax

    return 1 if jax.default_backend() == "cpu" else 2


@contextmanager
def full_float32() -> Iterator[None]:
    """Multiply in float32 proper, on a GPU too.

    GPUs multiply float32 numbers with the 10 bits of TF32 unless told otherwise. Kept features must
    not depend on the machine that computed them.
    """
    import keras

    if keras.backend.backend() == "jax":
        import jax

        with jax.default_matmul_precision("highest"):
            yield
        return
    import tensorflow as tf

    setting = tf.config.experimental
    with _one_at_a_time:  # it holds for the whole process
        before = setting.tensor_float_32_execution_enabled()
        setting.enable_tensor_float_32_execution(False)
        try:
            yield
        finally:
            setting.enable_tensor_float_32_execution(before)


def _tensorflow_forward(model: keras.Model, dtype: Any) -> Forward:
    import tensorflow as tf

    def run(images: Any) -> Any:
        return model(tf.cast(images, tf.float32), training=False)

    signature = [tf.TensorSpec([None, *model.input_shape[1:]], dtype)]
    function = tf.function(run, input_signature=signature).get_concrete_function()

    def forward(images: np.ndarray) -> np.ndarray:
        with full_float32():
            return function(tf.constant(images)).numpy()

    return forward


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
        n = len(images)
        if n < rows:
            filled = np.zeros((rows, *images.shape[1:]), images.dtype)
            filled[:n] = images
            images = filled
        with full_float32():
            return np.asarray(run(trainable, others, images))[:n]

    return forward

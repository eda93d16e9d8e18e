"""One compiled network, kept for many fits and shared by every classifier of its architecture.

A Keras model rebuilt for each fit is traced again each time: seconds a round, and memory that
grows with the rounds. An `Engine` is built once per architecture. A classifier that wants to
train or predict loads its own state (plain numpy arrays) into the engine, and takes it out again.

All training goes through blocks of whole batches gathered on the host, ``(steps, batch, …)``, so
one traced function serves any number of samples and any source of images.
"""

from __future__ import annotations

import math
import sys
import threading
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .building import NetworkBuilder
from .initialization import arrays_of, initial_values
from .inspection import dropout_layers, generator_states, rescaling_layer
from .losses import loss_of_images

if TYPE_CHECKING:
    import keras

_BLOCK_STEPS = 64
_BLOCK_BYTES = 1 << 28
_PASS_IMAGES = 512
_PASS_PIXELS = 1 << 20


def block_steps(batch_shape: Sequence[int]) -> int:
    """Return how many gradient steps go by between two returns to Python: a block.

    64, or fewer where so many batches, gathered at once, would exceed 256 MB as float32.
    """
    return max(1, min(_BLOCK_STEPS, _BLOCK_BYTES // max(1, 4 * math.prod(batch_shape))))


def images_a_pass(image_shape: Sequence[int]) -> int:
    """Return how many images go through the network at once: 512, or those of 2**20 pixels.

    The maps of 512 images of 512 × 512 behind one convolution would need 17 GB.
    """
    return max(1, min(_PASS_IMAGES, _PASS_PIXELS // max(1, math.prod(image_shape[:2]))))


@dataclass
class NetworkState:
    """Everything that training changes: the network's variables and the optimizer's."""

    variables: list[np.ndarray]
    optimizer: list[np.ndarray]


class Engine:
    """A compiled model and the traced functions that train it and run it forward.

    Parameters
    ----------
    builder : NetworkBuilder
        Builds the network.
    n_classes : int
        The width of its output.
    rescale : bool, optional
        Divide uint8 images by 255; by default unless the network rescales them itself.

    Attributes
    ----------
    traces : collections.Counter
        How often each of ``"train"``, ``"forward"`` and ``"sample"`` was traced.
    lock : threading.RLock
        Held by whoever uses the engine.
    owner : object
        Whose state is loaded.
    rescaling_layer : str or None
        Name of the network's own layer that rescales images.
    """

    def __init__(
        self, builder: NetworkBuilder, n_classes: int, *, rescale: bool | None = None
    ) -> None:
        self.builder, self.model = builder, builder.first
        self._initial_values = initial_values(builder, self.model, builder.samples)
        self.traces: Counter[str] = Counter()
        self.lock = threading.RLock()
        self.owner: object = None
        self.loss = loss_of_images(self.model, n_classes)
        self.rescaling_layer = rescaling_layer(self.model)
        self.rescale = self.rescaling_layer is None if rescale is None else bool(rescale)
        self._warned = False
        self._n_classes = n_classes
        self.model.optimizer.build(self.model.trainable_variables)
        self._fresh_optimizer = arrays_of(self.model.optimizer.variables)
        self._compile()

    # What a backend provides ------------------------------------------------------------

    def _compile(self) -> None:
        raise NotImplementedError

    def _train(self, x: np.ndarray, y: np.ndarray, w: np.ndarray) -> Any:
        raise NotImplementedError

    def _forward(self, x: np.ndarray, sample: bool) -> tuple[Any, Any]:
        raise NotImplementedError

    # State ------------------------------------------------------------------------------

    def fresh_state(self, seed: int) -> NetworkState:
        """Return newly initialised weights; the same for the same seed."""
        return NetworkState(self._initial_values(seed), list(self._fresh_optimizer))

    def load(self, state: NetworkState) -> None:
        """Put `state` into the network and its optimizer."""
        for variable, value in zip(self.model.variables, state.variables, strict=True):
            variable.assign(value)
        for variable, value in zip(self.model.optimizer.variables, state.optimizer, strict=True):
            variable.assign(value)

    def state(self) -> NetworkState:
        """Copy the network and optimizer state out of the engine."""
        return NetworkState(
            arrays_of(self.model.variables), arrays_of(self.model.optimizer.variables)
        )

    def new_network(self, state: NetworkState) -> keras.Model:
        """Return a network of its own with the weights of `state`, not compiled."""
        import keras

        network = self.builder()
        for variable, value in zip(network.variables, state.variables, strict=True):
            variable.assign(value)
        if getattr(network, "inputs", None):
            return keras.Model(network.inputs, network.outputs)
        inputs = keras.Input(self.builder.input_shape)  # of a subclassed model
        return keras.Model(inputs, network(inputs))

    def check_state(self, state: NetworkState, source: str) -> None:
        """Raise ValueError unless `state`, read from `source`, fits this network."""
        for kind, own, given in (
            ("network", self.model.variables, state.variables),
            ("optimizer", self.model.optimizer.variables, state.optimizer),
        ):
            expected, shapes = [tuple(v.shape) for v in own], [v.shape for v in given]
            if expected != shapes:
                raise ValueError(
                    f"{source} holds the weights of another architecture: expected {kind} "
                    f"variables of shapes {expected}; got {shapes}."
                )

    def trainable_mask(self) -> list[bool]:
        """Say for each of the state's variables whether training moves it."""
        trainable = {id(v) for v in self.model.trainable_variables}
        return [id(v) in trainable for v in self.model.variables]

    def check_weights(self, weights: np.ndarray) -> None:
        """Raise ValueError for weights of images where the loss has no value for each image."""
        if not self.loss.per_image and np.ptp(weights) > 0:
            raise ValueError(
                "The loss returns one number for a whole batch, so that images cannot have weights "
                "of their own. Return the loss of each image, (n,), or leave out class_weight and "
                "sample_weight."
            )

    def warn_of_rescaling(self) -> None:
        """Say once that uint8 images are left to the network's own rescaling."""
        if self.rescaling_layer and not self._warned:
            self._warned = True
            warnings.warn(
                f"The network rescales images itself (layer {self.rescaling_layer!r}), so uint8 "
                "images are not divided by 255 before it. Pass rescale=False to "
                "KerasImageClassifier if that is right, or rescale=True to divide them.",
                UserWarning,
                stacklevel=5,
            )

    # Work -------------------------------------------------------------------------------

    def train(self, x: np.ndarray, y: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Take one gradient step per batch and return the loss of each, ``(steps,)``.

        Parameters
        ----------
        x : ndarray (steps, batch, …)
            Images: uint8 are divided by 255 on the device if `rescale`, floats are taken as they are.
        y : ndarray of int (steps, batch)
            Class indices.
        w : ndarray of float32 (steps, batch)
            Sample weights.
        """
        if not self.loss.sparse:
            y = np.eye(self._n_classes, dtype=np.float32)[y]  # (steps, batch, K)
        return np.asarray(self._train(x, y, w))

    def forward(
        self, x: np.ndarray, *, sample: bool = False, largest: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return probabilities and features of one batch.

        The batch is filled up with black images to a power of two: for each new shape the
        libraries below trace anew or keep another plan, and memory grows with the rounds.

        Parameters
        ----------
        x : ndarray (batch, …)
        sample : bool
            Leave dropout switched on.
        largest : int, optional
            The largest batch there will be; none is filled up beyond it.

        Returns
        -------
        proba : ndarray of float32 (batch, n_classes)
        features : ndarray of float32 (batch, d)
        """
        n = len(x)
        rows = max(n, min(1 << (n - 1).bit_length(), largest or sys.maxsize))
        proba, features = self._forward(x if rows == n else filled_up(x, rows), sample)
        return np.asarray(proba)[:n], np.asarray(features)[:n]

    def reseed_dropout(self, seed: int) -> None:
        """Set the state of every dropout layer's generator."""
        rng = np.random.default_rng(seed)
        for state in generator_states(self.model):
            state.assign(rng.integers(2**31, size=tuple(state.shape)).astype("uint32"))

    @property
    def has_dropout(self) -> bool:
        """Whether some layer drops something out in training."""
        return bool(dropout_layers(self.model))

    def _floats(self, x: Any) -> Any:
        """Return images as float32: uint8 divided by 255 if `rescale`, others as they are."""
        from keras import ops

        floats = ops.cast(x, "float32")
        return floats / 255.0 if self.rescale and x.dtype == "uint8" else floats


def flat(features: Any) -> Any:
    """Return the features of each image as one row."""
    from keras import ops

    return ops.reshape(features, (ops.shape(features)[0], -1))


def filled_up(block: np.ndarray, rows: int) -> np.ndarray:
    """Append zeros along the first axis, up to `rows`."""
    filled = np.zeros((rows, *block.shape[1:]), block.dtype)
    filled[: len(block)] = block
    return filled

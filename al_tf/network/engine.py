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
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .initialization import arrays_of, initial_values
from .inspection import check_model, generator_states
from .losses import has_sparse_targets, loss_per_image

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
    build : callable
        Returns a new compiled `keras.Model`.
    n_classes : int
        The width its output must have.

    Attributes
    ----------
    traces : collections.Counter
        How often each of ``"train"``, ``"forward"`` and ``"sample"`` was traced.
    lock : threading.RLock
        Held by whoever uses the engine.
    owner : object
        Whose state is loaded.
    """

    def __init__(self, build: Callable[[], keras.Model], n_classes: int) -> None:
        self.model = build()
        check_model(self.model, n_classes)
        self._initial_values = initial_values(build, self.model)
        self.traces: Counter[str] = Counter()
        self.lock = threading.RLock()
        self.owner: object = None
        self._loss = loss_per_image(self.model)
        self._sparse = has_sparse_targets(self.model)
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

    # Work -------------------------------------------------------------------------------

    def train(self, x: np.ndarray, y: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Take one gradient step per batch and return the loss of each, ``(steps,)``.

        Parameters
        ----------
        x : ndarray (steps, batch, …)
            Images: uint8 are divided by 255 on the device, floats are taken as they are.
        y : ndarray of int (steps, batch)
            Class indices.
        w : ndarray of float32 (steps, batch)
            Sample weights.
        """
        if not self._sparse:
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
        """Whether some layer draws at random in training."""
        return bool(generator_states(self.model))


def scaled(x: Any) -> Any:
    """Divide uint8 images by 255, and cast others to float32."""
    from keras import ops

    floats = ops.cast(x, "float32")
    return floats / 255.0 if x.dtype == "uint8" else floats


def flat(features: Any) -> Any:
    """Return the features of each image as one row."""
    from keras import ops

    return ops.reshape(features, (ops.shape(features)[0], -1))


def filled_up(block: np.ndarray, rows: int) -> np.ndarray:
    """Append zeros along the first axis, up to `rows`."""
    filled = np.zeros((rows, *block.shape[1:]), block.dtype)
    filled[: len(block)] = block
    return filled

"""One compiled network, kept for many fits and shared by every classifier of its architecture.

A Keras model rebuilt for each fit is traced again each time: seconds a round, and memory that
grows with the rounds. An `Engine` is built once per architecture. A classifier that wants to
train or predict loads its own state (plain numpy arrays) into the engine, and takes it out again.

All training goes through blocks of whole batches gathered on the host, ``(steps, batch, …)``, so
one traced function serves any number of samples and any source of images.
"""

from __future__ import annotations

import functools
import math
import sys
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .device import without_start_messages
from .initialization import arrays_of, initial_values
from .models import FEATURES

if TYPE_CHECKING:
    import keras

ModelFn = Callable[..., "keras.Model"]

_BLOCK_STEPS = 64
_BLOCK_BYTES = 1 << 28
_PASS_IMAGES = 512
_PASS_PIXELS = 1 << 20

_MAX_ENGINES = 8
_engines: OrderedDict[Any, Engine] = OrderedDict()
_engines_lock = threading.Lock()


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


def get_engine(
    model_fn: ModelFn,
    model_params: dict[str, Any] | None,
    input_shape: tuple[int, ...],
    n_classes: int,
) -> Engine:
    """Return the kept engine of this architecture, building it at the first call."""
    key = (_content_key(model_fn), _content_key(model_params or {}), input_shape, n_classes)
    with _engines_lock:
        if key not in _engines:
            build = functools.partial(model_fn, input_shape, n_classes, **(model_params or {}))
            _engines[key] = _engine_class()(build, n_classes)
            if len(_engines) > _MAX_ENGINES:
                _engines.popitem(last=False)
        _engines.move_to_end(key)
        return _engines[key]


def _content_key(value: Any) -> Any:
    """Key by content what scikit-learn's ``clone`` copies, by identity what it does not."""
    import joblib

    if isinstance(value, functools.partial):
        return _content_key(value.func), joblib.hash((value.args, value.keywords))
    return value if callable(value) else joblib.hash(value)


def _engine_class() -> type[Engine]:
    with nullcontext() if "keras" in sys.modules else without_start_messages():
        import keras

    backends = {"tensorflow": TensorFlowEngine, "jax": JaxEngine}
    backend = keras.backend.backend()
    if backend not in backends:
        raise RuntimeError(
            f"KERAS_BACKEND={backend!r} is not supported; use one of {', '.join(backends)}."
        )
    return backends[backend]


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
        _check_model(self.model, n_classes)
        self._initial_values = initial_values(build, self.model)
        self.traces: Counter[str] = Counter()
        self.lock = threading.RLock()
        self.owner: object = None
        self._loss = _per_sample_loss(self.model)
        self._sparse = _has_sparse_targets(self.model)
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
            expected, found = [tuple(v.shape) for v in own], [v.shape for v in given]
            if expected != found:
                raise ValueError(
                    f"{source} holds the weights of another architecture: expected {kind} "
                    f"variables of shapes {expected}; got {found}."
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
        proba, features = self._forward(x if rows == n else _filled_up(x, rows), sample)
        return np.asarray(proba)[:n], np.asarray(features)[:n]

    def reseed_dropout(self, seed: int) -> None:
        """Set the state of every dropout layer's generator."""
        rng = np.random.default_rng(seed)
        for state in _dropout_states(self.model):
            state.assign(rng.integers(2**31, size=tuple(state.shape)).astype("uint32"))

    @property
    def has_dropout(self) -> bool:
        """Whether some layer draws at random in training."""
        return bool(_dropout_states(self.model))

    def _taps(self) -> keras.Model:
        """Return the model that gives probabilities and features in one pass.

        Features are what a layer named ``features`` puts out, or, without one, what the last
        layer that has weights takes in.
        """
        import keras

        head = next(layer for layer in reversed(self.model.layers) if layer.weights)
        named = [layer.output for layer in self.model.layers if layer.name == FEATURES]
        features = named[0] if named else head.input
        return keras.Model(self.model.inputs[0], [self.model.outputs[0], features])


class TensorFlowEngine(Engine):
    """Engine on TensorFlow: a `tf.function` for each dtype, of relaxed shape."""

    def _compile(self) -> None:
        self._taps_model = self._taps()
        self._functions: dict[Any, Any] = {}

    def _train(self, x: np.ndarray, y: np.ndarray, w: np.ndarray) -> Any:
        import tensorflow as tf

        key = ("train", x.dtype)
        if key not in self._functions:
            signature = [
                tf.TensorSpec([None, None, *x.shape[2:]], x.dtype),
                tf.TensorSpec([None, None, *y.shape[2:]], y.dtype),
                tf.TensorSpec([None, None], tf.float32),
            ]
            self._functions[key] = tf.function(self._train_block, input_signature=signature)
        return self._functions[key](x, y, w)

    def _train_block(self, x: Any, y: Any, w: Any) -> Any:
        import tensorflow as tf

        self.traces["train"] += 1
        model, optimizer = self.model, self.model.optimizer

        def step(i: Any, losses: Any) -> tuple[Any, Any]:
            with tf.GradientTape() as tape:
                proba = model(_scaled(x[i]), training=True)
                losses_of_images = tf.cast(self._loss(y[i], proba), tf.float32)
                loss = tf.reduce_mean(losses_of_images * w[i])
                if model.losses:
                    loss += tf.add_n(model.losses)
                scaled = optimizer.scale_loss(loss)
            gradients = tape.gradient(scaled, model.trainable_variables)
            optimizer.apply(gradients, model.trainable_variables)
            return i + 1, losses.write(i, tf.cast(loss, tf.float32))

        steps = tf.shape(x)[0]
        start = (0, tf.TensorArray(tf.float32, size=steps))
        _, losses = tf.while_loop(lambda i, _: i < steps, step, start, parallel_iterations=1)
        return losses.stack()

    def _forward(self, x: np.ndarray, sample: bool) -> tuple[Any, Any]:
        import tensorflow as tf

        name = "sample" if sample else "forward"
        key = (name, x.dtype)
        if key not in self._functions:

            def run(x: Any) -> Any:
                self.traces[name] += 1
                proba, features = self._taps_model(_scaled(x), training=sample)
                return tf.cast(proba, tf.float32), tf.cast(_flat(features), tf.float32)

            signature = [tf.TensorSpec([None, *x.shape[1:]], x.dtype)]
            self._functions[key] = tf.function(run, input_signature=signature)
        with _frozen_batch_norm(self.model, sample):
            return self._functions[key](x)


class JaxEngine(Engine):
    """Engine on JAX: functions of fixed block shape, the last block filled up and cut short."""

    def _compile(self) -> None:
        import jax

        self._taps_model = self._taps()
        self._train_jit = jax.jit(self._train_block, donate_argnums=(0, 1, 2))
        self._forward_jit = jax.jit(self._forward_batch, static_argnums=3)

    def _train(self, x: np.ndarray, y: np.ndarray, w: np.ndarray) -> Any:
        steps = len(x)
        x, y, w = (_filled_up(a, block_steps(x.shape[1:])) for a in (x, y, w))
        model = self.model
        groups = (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
        )
        *values, losses = self._train_jit(*([v.value for v in g] for g in groups), x, y, w, steps)
        for group, new in zip(groups, values, strict=True):
            for variable, value in zip(group, new, strict=True):
                variable.assign(value)
        return losses[:steps]

    def _train_block(
        self, trainable: Any, others: Any, optimizer: Any, x: Any, y: Any, w: Any, steps: Any
    ) -> tuple[Any, Any, Any, Any]:
        import jax
        import jax.numpy as jnp

        self.traces["train"] += 1

        def loss_of(trainable: Any, others: Any, i: Any) -> tuple[Any, Any]:
            proba, others, losses = self.model.stateless_call(
                trainable, others, _scaled(x[i]), training=True, return_losses=True
            )
            return jnp.mean(self._loss(y[i], proba) * w[i]) + sum(losses), others

        def step(i: Any, carry: Any) -> Any:
            trainable, others, optimizer, losses = carry
            gradient = jax.value_and_grad(loss_of, has_aux=True)
            (loss, others), gradients = gradient(trainable, others, i)
            trainable, optimizer = self.model.optimizer.stateless_apply(
                optimizer, gradients, trainable
            )
            return trainable, others, optimizer, losses.at[i].set(loss.astype("float32"))

        return jax.lax.fori_loop(
            0, steps, step, (trainable, others, optimizer, jnp.zeros(len(x), jnp.float32))
        )

    def _forward(self, x: np.ndarray, sample: bool) -> tuple[Any, Any]:
        with _frozen_batch_norm(self.model, sample):
            taps = self._taps_model
            trainable = [v.value for v in taps.trainable_variables]
            others = [v.value for v in taps.non_trainable_variables]
            outputs, new = self._forward_jit(trainable, others, x, sample)
            if sample:  # the dropout generators have moved on
                for variable, value in zip(taps.non_trainable_variables, new, strict=True):
                    variable.assign(value)
        return outputs

    def _forward_batch(self, trainable: Any, others: Any, x: Any, sample: bool) -> tuple[Any, Any]:
        self.traces["sample" if sample else "forward"] += 1
        (proba, features), others = self._taps_model.stateless_call(
            trainable, others, _scaled(x), training=sample
        )
        return (proba.astype("float32"), _flat(features).astype("float32")), others


def _scaled(x: Any) -> Any:
    """Bring uint8 images to [0, 1]; leave floats alone."""
    from keras import ops

    floats = ops.cast(x, "float32")
    return floats / 255.0 if x.dtype == "uint8" else floats


def _flat(features: Any) -> Any:
    from keras import ops

    return ops.reshape(features, (ops.shape(features)[0], -1))


def _filled_up(block: np.ndarray, rows: int) -> np.ndarray:
    filled = np.zeros((rows, *block.shape[1:]), block.dtype)
    filled[: len(block)] = block
    return filled


def _check_model(model: Any, n_classes: int) -> None:
    """Refuse what cannot be trained as a classifier, and say what to change."""
    import keras

    if not isinstance(model, keras.Model) or getattr(model, "optimizer", None) is None:
        raise TypeError(
            "model_fn must return a compiled keras.Model; "
            f"got {type(model).__name__}{'' if not isinstance(model, keras.Model) else ' without an optimizer'}. "
            "Call model.compile(optimizer, loss) before returning it."
        )
    if not model.built or len(model.outputs) != 1:
        raise TypeError(
            "model_fn must return a Sequential or functional model with an Input layer and one "
            "output, so that the features before its last layer can be read."
        )
    shape = model.outputs[0].shape
    if len(shape) != 2 or shape[1] != n_classes:
        raise ValueError(
            f"The network must end in a softmax over {n_classes} classes, shape (n, {n_classes}); "
            f"model_fn returned one with output shape {tuple(shape)}."
        )


def _has_sparse_targets(model: Any) -> bool:
    name = model.loss if isinstance(model.loss, str) else getattr(model.loss, "name", "")
    return "sparse" in (name or getattr(model.loss, "__name__", ""))


def _per_sample_loss(model: Any) -> Callable[[Any, Any], Any]:
    """Return the compiled loss as a function that gives one value per image."""
    import keras

    loss = keras.losses.get(model.loss)
    if not callable(loss):
        raise TypeError(f"model_fn must compile the model with one loss; got loss={model.loss!r}.")
    return loss.call if isinstance(loss, keras.losses.Loss) else loss


def _dropout_states(model: Any) -> list[Any]:
    """Return the state variables of the layers' random generators."""
    weights = {id(v) for v in model.weights}
    return [v for v in model.variables if id(v) not in weights]


class _frozen_batch_norm:  # noqa: N801  (a context manager reads better in lower case)
    """Keep batch normalisation at inference while dropout is sampled."""

    def __init__(self, model: Any, active: bool) -> None:
        import keras

        norm = keras.layers.BatchNormalization
        self._layers = [x for x in model.layers if isinstance(x, norm)] if active else []

    def __enter__(self) -> None:
        self._was = [layer.trainable for layer in self._layers]
        for layer in self._layers:
            layer.trainable = False

    def __exit__(self, *exc_info: object) -> None:
        for layer, trainable in zip(self._layers, self._was, strict=True):
            layer.trainable = trainable

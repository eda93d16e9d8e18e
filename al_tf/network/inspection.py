"""What a Keras model is made of: its features, its dropout, and what it does to pixel values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .models import FEATURES

if TYPE_CHECKING:
    import keras

_RESCALING_OPERATIONS = {"Add", "Subtract", "Divide", "TrueDivide", "Multiply"}


def check_model(model: Any, input_shape: tuple[int, ...], n_classes: int) -> None:
    """Refuse what cannot be trained as a classifier, and say what to change."""
    import keras

    if not isinstance(model, keras.Model):
        raise TypeError(
            f"model_fn must return a compiled keras.Model; got {type(model).__name__}. Call "
            "model.compile(optimizer, loss) before returning it."
        )
    if getattr(model, "optimizer", None) is None:
        raise TypeError(
            f"model_fn must return a compiled keras.Model; got {type(model).__name__} without an "
            "optimizer. Call model.compile(optimizer, loss) before returning it."
        )
    n_inputs = len(getattr(model, "inputs", None) or [None])
    if n_inputs != 1:
        raise TypeError(
            f"The network has {n_inputs} inputs, but a classifier of images gives it one: the "
            "images. Let it take (n, H, W, C) and split it inside."
        )
    outputs = outputs_of_noise(model, input_shape)
    if len(outputs) != 1:
        raise TypeError(
            f"The network has {len(outputs)} outputs; a classifier needs one, the probabilities. "
            "Return keras.Model(inputs, probabilities), compiled."
        )
    proba = outputs[0]
    if proba.ndim == 2 and proba.shape[1] == 1 and n_classes == 2:
        raise ValueError(
            "The network ends in one unit. Let it end in Dense(2, activation='softmax') with "
            "loss='categorical_crossentropy', which has the same probabilities."
        )
    if proba.ndim != 2 or proba.shape[1] != n_classes:
        raise ValueError(
            f"The network must end in a softmax over {n_classes} classes, shape (n, {n_classes}); "
            f"model_fn returned one with output shape {(None, *proba.shape[1:])}."
        )
    if (proba < 0).any() or abs(proba.sum(axis=1) - 1).max() > 1e-2:
        raise ValueError(
            "The network's outputs do not sum to 1: model_fn must end in a softmax layer. For "
            "logits, add keras.layers.Softmax() and a loss without from_logits=True."
        )


def outputs_of_noise(model: Any, input_shape: tuple[int, ...]) -> list[np.ndarray]:
    """Return what the model makes of two images of noise, which builds it if it is not built."""
    import keras

    noise = np.random.default_rng(0).random((2, *input_shape), np.float32)
    try:
        outputs = model(keras.ops.convert_to_tensor(noise), training=False)
    except Exception as error:  # what a model raises on a shape that it is not made for
        raise ValueError(
            f"The network cannot take images of shape {input_shape}: {error} Let model_fn build it "
            "for the input_shape that it is given."
        ) from error
    tensors = (keras.ops.cast(output, "float32") for output in keras.tree.flatten(outputs))
    return [np.asarray(x.numpy() if hasattr(x, "numpy") else x) for x in tensors]


def every_layer(model: keras.Model) -> list[keras.Layer]:
    """Return all layers, those inside other models and layers too."""
    return list(model._flatten_layers(include_self=False, recursive=True))


def generator_states(model: Any) -> list[Any]:
    """Return the state variables of the layers' random generators."""
    weights = {id(v) for v in model.weights}
    return [v for v in model.variables if id(v) not in weights]


def dropout_layers(model: keras.Model) -> list[keras.Layer]:
    """Return the layers that drop something out in training, however deep they are."""
    from keras import layers

    kinds = (layers.Dropout, layers.AlphaDropout, layers.GaussianDropout)
    dropping = [x for x in every_layer(model) if isinstance(x, kinds) and x.rate]
    for layer in every_layer(model):
        cell = getattr(layer, "cell", None) if isinstance(layer, layers.RNN) else None
        if getattr(cell, "dropout", 0) or getattr(cell, "recurrent_dropout", 0):
            dropping.append(layer)
    return dropping


class FeatureTap:
    """Reads the features that pass through a model while it is called.

    Features are what a layer named ``features`` puts out, or, without one, what the last layer
    with a matrix of weights takes in: the last dense layer, wherever it is.

    Parameters
    ----------
    model : keras.Model
    sample : bool
        Switch dropout on, and nothing else that differs in training.

    Notes
    -----
    Works while the calls are traced, by standing in for the layers' ``call`` inside a ``with``
    block. So it finds layers inside other models, wrappers and subclassed models.
    """

    def __init__(self, model: keras.Model, *, sample: bool) -> None:
        layers = every_layer(model)
        self._named = [layer for layer in layers if layer.name == FEATURES]
        self._heads = [] if self._named else [x for x in layers if _has_own_matrix(x)]
        self._dropout = dropout_layers(model) if sample else []
        self._before: list[tuple[Any, Any]] = []
        self._features: Any = None

    @property
    def features(self) -> Any:
        """The features of the last call."""
        if self._features is None:
            raise TypeError(
                "The network has no layer with a matrix of weights, so its features are unknown. "
                f"Name the layer that puts them out {FEATURES!r}."
            )
        return self._features

    def __enter__(self) -> FeatureTap:
        for layers, stand_in in (
            (self._named, self._reading_output),
            (self._heads, self._reading_input),
            (self._dropout, _in_training),
        ):
            for layer in layers:
                self._before.append((layer, vars(layer).get("call")))
                object.__setattr__(layer, "call", stand_in(layer.call))
        return self

    def __exit__(self, *exc_info: object) -> None:
        for layer, before in reversed(self._before):
            if before is None:
                object.__delattr__(layer, "call")
            else:
                object.__setattr__(layer, "call", before)
        self._before = []

    def _reading_output(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def reading(*args: Any, **kwargs: Any) -> Any:
            self._features = call(*args, **kwargs)
            return self._features

        return reading

    def _reading_input(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def reading(inputs: Any, *args: Any, **kwargs: Any) -> Any:
            self._features = inputs[0] if isinstance(inputs, list | tuple) else inputs
            return call(inputs, *args, **kwargs)

        return reading


def _in_training(call: Callable[..., Any]) -> Callable[..., Any]:
    def training(*args: Any, **kwargs: Any) -> Any:
        return call(*args, **{**kwargs, "training": True})

    return training


def _has_own_matrix(layer: Any) -> bool:
    inner = {id(w) for x in layer._flatten_layers(include_self=False) for w in x.weights}
    return any(len(w.shape) > 1 for w in layer.weights if id(w) not in inner)


def rescaling_layer(model: keras.Model) -> str | None:
    """Return the name of the layer that brings pixels of 0–255 to the network's own range.

    Looked for ahead of the first layer with a matrix of weights: ``Rescaling`` (up to the first
    convolution, since images may be resized by matrices), ``Normalization``, and the arithmetic of
    Keras Applications' ``preprocess_input``. None where there is no such,
    and where the network first multiplies by 255: it is made for images in [0, 1].
    """
    matrices = 0
    for operation in _operations_in_order(model):
        kind = type(operation).__name__
        if kind == "Rescaling" and np.max(np.abs(operation.scale)) > 10:
            return None
        if getattr(operation, "weights", None) and _has_own_matrix(operation):
            matrices += 1
            if "Conv" in kind:
                return None
        elif (kind == "Rescaling" or not matrices) and _rescales(operation):
            return operation.name
    return None


def _operations_in_order(model: Any) -> Iterator[Any]:
    for operation in getattr(model, "operations", None) or getattr(model, "layers", []):
        if getattr(operation, "layers", None):
            yield from _operations_in_order(operation)
        else:
            yield operation


def _rescales(operation: Any) -> bool:
    kind = type(operation).__name__
    if kind == "Rescaling":
        return bool(np.min(np.abs(operation.scale)) < 0.1)
    if kind == "Normalization":
        mean = getattr(operation, "mean", None)
        return mean is not None and float(np.max(np.abs(np.asarray(mean)))) > 2
    if kind not in _RESCALING_OPERATIONS or "keras" not in type(operation).__module__:
        return False
    import keras

    nodes = getattr(operation, "_inbound_nodes", [])
    values = [x for n in nodes for x in keras.tree.flatten((n.arguments.args, n.arguments.kwargs))]
    constants = [
        abs(float(np.max(np.abs(np.asarray(value)))))
        for value in values
        if value is not None and not isinstance(value, keras.KerasTensor | str)
    ]
    if kind == "Multiply":
        return any(0 < value < 0.1 for value in constants)
    return any(value > 10 for value in constants)

"""What a Keras model is made of: its head and features, its random and its normalising layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .models import FEATURES

if TYPE_CHECKING:
    import keras


def check_model(model: Any, n_classes: int) -> None:
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


def generator_states(model: Any) -> list[Any]:
    """Return the state variables of the layers' random generators."""
    weights = {id(v) for v in model.weights}
    return [v for v in model.variables if id(v) not in weights]


class frozen_batch_norm:  # noqa: N801  (a context manager reads better in lower case)
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


def with_features(model: keras.Model) -> keras.Model:
    """Return the model that gives probabilities and features in one pass.

    Features are what a layer named ``features`` puts out, or, without one, what the last layer that
    has weights takes in.
    """
    import keras

    head = next(layer for layer in reversed(model.layers) if layer.weights)
    named = [layer.output for layer in model.layers if layer.name == FEATURES]
    features = named[0] if named else head.input
    return keras.Model(model.inputs[0], [model.outputs[0], features])

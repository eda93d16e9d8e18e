"""Networks from a `model_fn`: built, checked, and independent of whatever else it made."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..seeding import keras_seed
from .initialization import arrays_of
from .inspection import check_model, outputs_of_noise

if TYPE_CHECKING:
    import keras

ModelFn = Callable[..., "keras.Model"]
"""Or a compiled `keras.Model`, of which copies are trained."""


class NetworkBuilder:
    """Builds the networks of one architecture.

    Two calls of `model_fn` show which variables it hands out twice: all of a model that it made
    before, or those of a base model that it puts under a new head. Networks are then copies, in
    which these variables start from the values that they had at the first call.

    Parameters
    ----------
    model_fn, model_params, input_shape, n_classes
        As in `KerasImageClassifier`.

    Attributes
    ----------
    first : keras.Model
        The first network built, with its own variables.
    samples : pair of list of ndarray
        The values of two networks, for `initial_values`.
    """

    def __init__(
        self,
        model_fn: ModelFn | keras.Model,
        model_params: Mapping[str, Any] | None,
        input_shape: tuple[int, ...],
        n_classes: int,
    ) -> None:
        self._model_fn, self._model_params = model_fn, model_params
        self.input_shape, self._n_classes = input_shape, n_classes
        with keras_seed(0):
            self.first = self._built()
            check_model(self.first, self.input_shape, n_classes)
        with keras_seed(1):
            other = self._built()
        again = {id(variable) for variable in other.variables}
        values = arrays_of(self.first.variables)
        self._shared = {
            i: value
            for i, (variable, value) in enumerate(zip(self.first.variables, values, strict=True))
            if id(variable) in again
        }
        self.samples = values, arrays_of(other.variables)
        if self._shared:
            self.first = self._independent(self.first)

    def __call__(self) -> keras.Model:
        """Return a new network, compiled and with its own variables."""
        model = self._built()
        return self._independent(model) if self._shared else model

    def _built(self) -> keras.Model:
        import keras

        if isinstance(self._model_fn, keras.Model):
            model = self._model_fn
            if self._model_params:
                raise TypeError(
                    "model_params are arguments of a function; model_fn is a model, which takes "
                    "none. Pass a function that builds the model."
                )
        elif callable(self._model_fn):
            params = fresh_copies(dict(self._model_params or {}))
            model = self._model_fn(self.input_shape, self._n_classes, **params)
        else:
            raise TypeError(
                "model_fn must be a function (input_shape, n_classes, **model_params) that returns "
                f"a compiled keras.Model, or such a model; got {type(self._model_fn).__name__}."
            )
        if isinstance(model, keras.Model) and not model.built:  # subclassed
            outputs_of_noise(model, self.input_shape)
        return model

    def _independent(self, model: keras.Model) -> keras.Model:
        copied = copy_of_model(model)
        for i, value in self._shared.items():
            copied.variables[i].assign(value)
        return copied


def copy_of_model(model: keras.Model) -> keras.Model:
    """Return a model of new layers with the weights of `model`, compiled likewise.

    Raises
    ------
    TypeError
        If its layers cannot be made again from their configuration.
    """
    import keras

    try:
        copied = keras.models.clone_model(model)
        for variable, value in zip(copied.variables, arrays_of(model.variables), strict=True):
            variable.assign(value)
    except Exception as error:  # what the layers of others raise is open-ended
        raise TypeError(
            "model_fn returns layers that it has returned before, and they cannot be copied "
            f"({type(error).__name__}: {' '.join(str(error).split())[:200]}). Let it build all "
            "layers anew in each call."
        ) from error
    if getattr(model, "optimizer", None) is not None:
        copied.compile(optimizer=_from_config(model.optimizer), loss=model.loss)
    return copied


def with_pixels_divided(network: keras.Model, input_shape: tuple[int, ...]) -> keras.Model:
    """Return a model that takes images of 0–255 and gives `network` those in [0, 1]."""
    import keras

    inputs = keras.Input(input_shape)
    return keras.Model(inputs, network(keras.layers.Rescaling(1 / 255)(inputs)))


def fresh_copies(value: Any) -> Any:
    """Copy the Keras objects in the arguments of a `model_fn`, however deep.

    An optimizer belongs to the first model that it trains, an initializer may refuse to draw
    twice, and layers would be shared. Other values are passed as they are.
    """
    import keras

    if isinstance(value, dict):
        return {key: fresh_copies(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(fresh_copies(item) for item in value)
    if isinstance(value, keras.Model):
        return copy_of_model(value)
    return _from_config(value) if is_configurable(value) else value


def is_configurable(value: Any) -> bool:
    """Whether `value` is an object of Keras' kind, made again from its configuration."""
    return not isinstance(value, type) and all(
        callable(getattr(value, name, None)) for name in ("get_config", "from_config")
    )


def _from_config(value: Any) -> Any:
    return type(value).from_config(value.get_config())


def content_key(value: Any) -> Any:
    """Return a key that is equal for arguments of equal content.

    Functions are compared by identity, as scikit-learn's ``clone`` does not copy them.
    """
    import joblib

    if value is None or isinstance(value, str | int | float):
        return type(value), repr(value)
    if isinstance(value, functools.partial):
        return content_key(value.func), content_key(value.args), content_key(value.keywords)
    if isinstance(value, Mapping):
        return tuple((name, content_key(value[name])) for name in sorted(value, key=str))
    if isinstance(value, list | tuple):
        return tuple(map(content_key, value))
    if is_configurable(value):
        try:
            config = content_key(value.get_config())
        except Exception:  # of a subclass that does not state it: such an object is only itself
            return value
        weights = [np.asarray(w) for w in value.get_weights()] if hasattr(value, "layers") else []
        return type(value), config, joblib.hash(weights)
    return value if callable(value) else joblib.hash(value)

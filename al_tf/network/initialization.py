"""New initial weights for a network that is kept.

Building a Keras model again for each fit would do, but every build leaves some memory behind
(0.4 MB with Keras 3.15 on TensorFlow 2.21), which grows with the rounds. So two networks are compared
instead: values that are the same in both are kept (pretrained weights, zeros of biases), and values
that differ are drawn from the initialisers of their layers. Where the initialiser of such a value
is unknown, every draw builds the network again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..seeding import derive_seed, keras_seed

Draw = Callable[[int], list[np.ndarray]]


def initial_values(
    build: Callable[[], Any],
    model: Any,
    samples: tuple[list[np.ndarray], list[np.ndarray]] | None = None,
) -> Draw:
    """Return the function that draws new initial values of all variables from a seed.

    Parameters
    ----------
    build : callable
        Makes a new model.
    model : keras.Model
        One that it made.
    samples : pair of list of ndarray, optional
        Values of two models that `build` made with the seeds 0 and 1, if there are such.

    Returns
    -------
    callable
        ``draw(seed) -> list of ndarray``, in the order of ``model.variables``.
    """

    def from_building(seed: int) -> list[np.ndarray]:
        with keras_seed(seed):
            return arrays_of(build().variables)

    initializers = _initializers(model)
    one, other = samples or (from_building(0), from_building(1))
    constants = [a if np.array_equal(a, b) else None for a, b in zip(one, other, strict=True)]

    def from_initializers(seed: int) -> list[np.ndarray]:
        return [
            _drawn(initializer, variable, derive_seed(seed, "variable", i))
            if constant is None or initializer == "seed"
            else constant
            for i, (initializer, variable, constant) in enumerate(
                zip(initializers, model.variables, constants, strict=True)
            )
        ]

    explained = all(
        constant is not None or initializer == "seed" or _is_random(initializer)
        for initializer, constant in zip(initializers, constants, strict=True)
    )
    return from_initializers if explained else from_building


def arrays_of(variables: Any) -> list[np.ndarray]:
    """Copy variables out of the device."""
    values = (v.value for v in variables)  # TensorFlow's numpy() spares a deprecated protocol
    return [np.array(v.numpy() if hasattr(v, "numpy") else v) for v in values]


def _initializers(model: Any) -> list[Any]:
    """Return each variable's initialiser, "seed" for a generator's state, None where unknown."""
    weights = {id(v) for v in model.weights}
    known = {
        id(variable): getattr(layer, f"{variable.name}_initializer", None)
        for layer in innermost_layers(model)
        for variable in layer.weights
    }
    return [known.get(id(v)) if id(v) in weights else "seed" for v in model.variables]


def innermost_layers(model: Any) -> list[Any]:
    """Return the layers of a model in order, with those of nested models in place of these."""
    nested = [innermost_layers(x) if hasattr(x, "layers") else [x] for x in model.layers]
    return [layer for layers in nested for layer in layers]


def _drawn(initializer: Any, variable: Any, seed: int) -> np.ndarray:
    shape, dtype = tuple(variable.shape), str(variable.dtype)
    if initializer == "seed":
        drawn = np.random.default_rng(seed).integers(2**31, size=shape)
        return drawn.astype(dtype)
    if _is_random(initializer):
        config = initializer.get_config() | {"seed": seed}
        initializer = type(initializer).from_config(config)
    return np.array(initializer(shape, dtype=dtype))


def _is_random(initializer: Any) -> bool:
    """Whether it draws other values in every model (a seed fixed by the author does not)."""
    config = initializer.get_config() if hasattr(initializer, "get_config") else {}
    return "seed" in config and config["seed"] is None

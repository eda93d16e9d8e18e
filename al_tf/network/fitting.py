"""What `fit` takes: modes, arguments, and how many gradient steps they make."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

FIT_MODES = ("scratch", "warm", "warm_weights", "shrink_perturb")
"""What a fit may start from; `KerasImageClassifier` describes each."""

FIT_ARGUMENTS = ("sample_weight", "epochs", "batch_size", "verbose")
_ELSEWHERE = {
    "callbacks": "callbacks are not called, because many gradient steps go by between two returns "
    "to Python. To stop early, set validation_split and patience on the classifier",
    "class_weight": "class_weight is a parameter of the classifier: set_params(class_weight=…)",
    "validation_split": "validation_split is a parameter of the classifier: "
    "set_params(validation_split=…, patience=…)",
    "validation_data": "validation_data is not taken; the classifier's validation_split holds out "
    "some of the labeled images",
    "shuffle": "the images are shuffled in each pass, by random_state",
    "min_steps": "min_steps is a parameter of the classifier: set_params(min_steps=…)",
}


def gradient_steps(n_images: int, *, epochs: int, batch_size: int, min_steps: int) -> int:
    """Return how many gradient steps a fit takes: those of `epochs` passes, or `min_steps`."""
    return max(-(-n_images * epochs // batch_size), min_steps)


def refuse_arguments(arguments: Iterable[str]) -> None:
    """Raise TypeError for arguments that `fit` does not take, and say where they belong."""
    for name in arguments:
        where = _ELSEWHERE.get(name, f"it takes {', '.join(FIT_ARGUMENTS)}")
        raise TypeError(f"fit does not take {name}: {where}.")


def check_same_classes(mode: str, before: np.ndarray, now: np.ndarray) -> None:
    """Raise ValueError unless a fit that goes on from the last one has the same classes."""
    if not np.array_equal(now, before):
        raise ValueError(
            f"fit_mode={mode!r} goes on from a network for classes {list(before)}, but this fit has "
            f"{list(now)}. Fix classes=… up front."
        )

"""All images of a source through the network, a batch at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..image_arrays import ImageSource
from .engine import Engine, images_a_pass
from .inputs import prediction_batches


def forward(
    engine: Engine, source: ImageSource, size: int | None, bar: Any = None, *, sample: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities and features, in arrays of the final size from the start.

    Parameters
    ----------
    engine : Engine
        With the wanted weights in it.
    source : ImageSource (n, …)
    size : int or None
        Images in one forward pass; None for as many as suit their size.
    bar : progress bar, optional
        Progress bar over images.
    sample : bool
        Leave dropout switched on.

    Returns
    -------
    proba : ndarray of float32 (n, n_classes)
    features : ndarray of float32 (n, d)
    """
    size = images_a_pass(source.shape[1:]) if size is None else size
    outputs: tuple[np.ndarray, ...] = ()
    for rows, images in prediction_batches(source, size):
        parts = engine.forward(images, sample=sample, largest=size)
        outputs = outputs or tuple(np.empty((len(source), *a.shape[1:]), a.dtype) for a in parts)
        for output, part in zip(outputs, parts, strict=True):
            output[rows] = part
        if bar is not None:
            bar.update(len(images))
    return outputs[0], outputs[1]


def check_probabilities(proba: np.ndarray) -> None:
    """Raise ValueError unless the outputs of a network, (n, n_classes), sum to 1 for each image."""
    if abs(proba.sum(axis=1) - 1).max() > 1e-3:
        raise ValueError(
            "The network's outputs do not sum to 1: model_fn must end in a softmax layer."
        )

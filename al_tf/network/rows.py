"""Rows of images and labels, whatever holds them: arrays, sparse matrices, data frames, lists."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from ..image_arrays import match_scale
from .inputs import plain_labels
from .sources import ArraySource, image_source


def count_rows(X: Any) -> int:
    """Return how many rows `X` has."""
    return X.shape[0] if hasattr(X, "shape") else len(X)


def with_rows(X: Any) -> Any:
    """Return images from which rows can be taken in any order: tensors as arrays, files as sources.

    Lists and data frames stay what they are.
    """
    if hasattr(X, "iloc") or sp.issparse(X) or (isinstance(X, np.ndarray) and X.dtype != object):
        return X
    if isinstance(X, list):
        if len(X) and np.ndim(X[0]) > 1:
            image_source(X)  # of one shape, or an error that lists the shapes
        return X
    source = image_source(X)
    return source.array if isinstance(source, ArraySource) else source


def one_label_per_row(y: Any) -> Any:
    """Return labels with (n, 1), the shape of Keras' datasets, made (n,), and tensors made arrays.

    Missing labels are refused; lists and series stay what they are.
    """
    labels = plain_labels(y)
    if labels.ndim == 2 and labels.shape[1] == 1 and not hasattr(y, "iloc"):
        return labels.ravel()
    return y if isinstance(y, np.ndarray | list) or hasattr(y, "iloc") or sp.issparse(y) else labels


def take_rows(X: Any, indices: np.ndarray) -> Any:
    """Return the rows at `indices`, in that order, held as they were."""
    if hasattr(X, "iloc"):
        return X.iloc[indices]
    if sp.issparse(X):
        return X.tocsr()[indices]
    if isinstance(X, list):
        return [X[i] for i in np.atleast_1d(indices)]
    return X[indices]


def match_known_scale(new: Any, known: Any) -> Any:
    """Return new images; refuse those of another scale than the known ones. Tables pass as they are."""
    tables = any(hasattr(X, "iloc") or sp.issparse(X) for X in (new, known))
    return new if tables or known is None else match_scale(new, known)


def append_rows(known: Any, new: Any) -> Any:
    """Return known rows followed by new ones, held as the known ones are."""
    if hasattr(known, "iloc"):
        import pandas as pd

        return pd.concat([known, type(known)(new)], ignore_index=True)
    if isinstance(known, list):
        return [*known, *new]
    if sp.issparse(known):
        return sp.vstack((known, new))
    return np.concatenate([np.asarray(known), np.asarray(new)])

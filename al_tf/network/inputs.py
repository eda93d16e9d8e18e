"""What images and labels become before the network sees them, and what is refused."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from ..errors import UnknownLabelError, check_one_of


def is_streamed(X: Any) -> bool:
    """Whether `X` is read batch by batch, as it is: not a list, frame, sparse or plain array."""
    if isinstance(X, np.ndarray):
        return isinstance(X, np.memmap) or X.dtype == np.uint8
    has_all = all(hasattr(X, name) for name in ("shape", "dtype", "__len__", "__getitem__"))
    return has_all and not hasattr(X, "iloc") and not hasattr(X, "toarray")


def taken(X: Any, rows: np.ndarray) -> np.ndarray:
    """Return the images at `rows`, ready for the network; sources see sorted unique rows."""
    if isinstance(X, np.ndarray):
        return network_input(X[rows], None)
    unique, inverse = np.unique(rows, return_inverse=True)
    return network_input(X[unique], None)[inverse]


def release_pages(X: Any) -> None:
    """Give back the memory that reading a memory-mapped file has taken.

    The pages stay in the system's cache. A private mapping (mode ``"c"``) is left alone: it may
    hold changes that are nowhere else.
    """
    if not isinstance(X, np.memmap) or X.mode == "c" or not hasattr(mmap, "MADV_DONTNEED"):
        return
    base = X.base
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap):
        base.madvise(mmap.MADV_DONTNEED)


def network_input(images: Any, start: int | None) -> np.ndarray:
    """Return uint8 images as they are and all others as finite float32."""
    images = np.asarray(images)
    if images.dtype == np.uint8:
        return images
    if images.dtype.kind not in "uifb":
        raise ValueError(f"X must hold uint8 or real numbers; got dtype {images.dtype}.")
    with np.errstate(over="ignore"):
        images = images.astype(np.float32, copy=False)
    if not np.isfinite(images).all():
        bad = int((~np.isfinite(images)).reshape(len(images), -1).any(axis=1).sum())
        where = "" if start is None else f" among rows {start} to {start + len(images) - 1}"
        raise ValueError(
            f"X contains NaN or infinity (or values too large for float32) in {bad} images{where}."
        )
    return images


def encoded_labels(y: Any, n: int, classes: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the class set and, for each label, its position in it."""
    if y is None:
        raise ValueError("fit requires y to be passed, but the target y is None.")
    y = np.asarray(y)
    if len(np.atleast_1d(y)) != n:
        raise ValueError(f"X and y differ in length: {n} images, {len(np.atleast_1d(y))} labels.")
    fixed = None if classes is None else _checked_classes(classes)
    if y.ndim == 2 and y.shape[1] > 1:
        width = y.shape[1] if fixed is None else len(fixed)
        return (np.arange(width) if fixed is None else fixed), one_hot_codes(y, width)
    y = column_or_1d(y, warn=True)
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise ValueError(f"Input y contains NaN or infinity in {np.sum(~np.isfinite(y))} labels.")
    check_classification_targets(y)
    present, codes = np.unique(y, return_inverse=True)
    if fixed is None:
        return present, codes
    position = {label: i for i, label in enumerate(fixed.tolist())}
    unknown = [label for label in present.tolist() if label not in position]
    if unknown:
        raise UnknownLabelError(
            f"y has labels that are not among classes: {unknown}. Expected: {fixed.tolist()}."
        )
    return fixed, np.array([position[label] for label in present.tolist()])[codes]


def _checked_classes(classes: Any) -> np.ndarray:
    classes = np.asarray(classes)
    if classes.ndim != 1 or not len(classes) or len(np.unique(classes)) < len(classes):
        raise ValueError(f"classes must be a non-empty list of distinct labels; got {classes!r}.")
    return classes


def one_hot_codes(y: np.ndarray, width: int) -> np.ndarray:
    """Return the class index of each one-hot row, refusing rows that are not."""
    if y.shape[1] != width:
        raise ValueError(f"One-hot y must have {width} columns, one a class; got {y.shape[1]}.")
    if not (np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all()):
        raise ValueError("A 2-D y must be one-hot: a single 1 in each row, 0 elsewhere.")
    return y.argmax(axis=1)


def class_weights(spec: Any, classes: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return one float32 weight for each sample."""
    if spec is None:
        return np.ones(len(codes), np.float32)
    if isinstance(spec, str):
        check_one_of("class_weight", spec, ["balanced"])
        counts = np.bincount(codes, minlength=len(classes))
        return (len(codes) / (np.count_nonzero(counts) * counts[codes])).astype(np.float32)
    unknown = [label for label in spec if label not in classes.tolist()]
    if unknown:
        raise UnknownLabelError(
            f"class_weight names labels that are not classes: {unknown}. "
            f"Expected some of: {classes.tolist()}."
        )
    return np.array([spec.get(label, 1.0) for label in classes.tolist()], np.float32)[codes]

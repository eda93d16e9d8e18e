"""What images and labels become before the network sees them, and what is refused."""

from __future__ import annotations

import numbers
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from ..errors import UnknownLabelError, check_one_of
from ..image_arrays import ImageSource, image_scale, scales_conflict


def training_blocks(
    source: ImageSource,
    codes: np.ndarray,
    weights: np.ndarray,
    *,
    batch_size: int,
    steps: int,
    block: int,
    rng: np.random.Generator,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield images, classes and weights for at most `block` gradient steps at a time.

    Parameters
    ----------
    source : ImageSource (n, …)
    codes : ndarray of int (n,)
        Class indices.
    weights : ndarray of float32 (n,)
    batch_size : int
    steps : int
        Gradient steps in all.
    block : int
        The most in one block.
    rng : numpy.random.Generator
        Shuffles each pass over the images. Batches go across the end of a pass, so all are full.

    Yields
    ------
    images : ndarray (steps of the block, batch_size, …)
    codes, weights : ndarray (steps of the block, batch_size)
    """
    for rows in row_blocks(len(source), batch_size, steps, block, rng):
        images = network_input(source.read(rows.ravel()), None)
        yield images.reshape(*rows.shape, *source.shape[1:]), codes[rows], weights[rows]


def prediction_batches(source: ImageSource, size: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield the rows and images of batches of at most `size`, in order."""
    n = len(source)
    for start in range(0, n, size):
        rows = slice(start, min(start + size, n))
        yield rows, network_input(source.read_range(rows.start, rows.stop), start)
        source.release()


def row_blocks(
    n: int, batch: int, steps: int, block: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yield row numbers ``(at most block, batch)`` from an endless stream of reshuffled epochs."""
    rest = np.empty(0, dtype=np.intp)
    while steps:
        size = min(steps, block)
        epochs = max(0, -(-(size * batch - len(rest)) // n))
        rest = np.concatenate([rest, *(rng.permutation(n) for _ in range(epochs))])
        yield rest[: size * batch].reshape(size, batch)
        rest = rest[size * batch :]
        steps -= size


_MAX_WEIGHT = float(np.finfo(np.float32).max)
_RANGES = {"0-1": "numbers in [0, 1]", "0-255": "numbers in 0–255", "other": "another range"}
_RESCALING = {
    ("0-1", "0-255"): "Pass them as uint8, or divide them by 255.",
    ("0-255", "uint8"): "Pass them as floats (X.astype('float32')), or fit on uint8.",
    ("0-255", "0-1"): "Multiply them by 255, or fit on images in [0, 1].",
}


def check_scale(known: str, source: ImageSource, *, divides: bool = True) -> None:
    """Raise ValueError if `source` is clearly of another scale than the images of the fit.

    Rows of numbers ``(n, d)`` may be anything but pixels: of them only the dtypes are compared.

    Parameters
    ----------
    known : str
        From `image_scale`, of the images of the fit.
    source : ImageSource
    divides : bool
        Whether uint8 images are divided by 255.
    """
    new, pixels = image_scale(source), "0-1" if divides else "0-255"
    fitted, given = (pixels if scale == "uint8" else scale for scale in (known, new))
    conflict = scales_conflict(fitted, given) or (known, new) == ("other", "uint8")
    if not conflict or (source.ndim == 2 and "uint8" not in (known, new)):
        return
    fitted_on = f"uint8 images, which it sees as {_RANGES[pixels]}"
    these = f"uint8 images, which it would see as {_RANGES[pixels]}"
    advice = _RESCALING.get((fitted, new)) or _RESCALING.get((fitted, given))
    raise ValueError(
        f"The network was fitted on {fitted_on if known == 'uint8' else _RANGES[known]}, but these "
        f"are {these if new == 'uint8' else _RANGES[new] + f' ({source.dtype})'}. "
        f"{advice or 'Bring them to the scale of the images of the fit.'}"
    )


def image_weights(sample_weight: Any, n: int) -> np.ndarray:
    """Return the weight of each image, float32 ``(n,)``, refusing what is no weight."""
    if sample_weight is None:
        return np.ones(n, np.float32)
    weights = np.asarray(sample_weight, dtype=np.float32)
    if weights.ndim != 1 or len(weights) != n:
        raise ValueError(
            f"sample_weight must be 1D, one number for each of {n} images; got shape "
            f"{weights.shape}."
        )
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise ValueError("sample_weight must hold finite numbers of 0 or more, not all zero.")
    return weights


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
    y = plain_labels(y)
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


def plain_labels(y: Any, name: str = "y") -> np.ndarray:
    """Return labels as an array that can be sorted: categories and tensors become plain values.

    Parameters
    ----------
    y : array-like
    name : str
        Of the argument, for messages.

    Raises
    ------
    ValueError
        For missing labels (None, NaN) among others, and for text mixed with numbers.
    """
    if hasattr(y, "detach") and hasattr(y, "cpu"):  # PyTorch
        y = y.detach().cpu().numpy()
    given, y = y, np.asarray(y)
    if y.dtype.kind in "US" and isinstance(given, list | tuple):
        y = np.array(given, dtype=object)  # numpy has turned numbers, NaN among them, into text
    if y.dtype != object or y.ndim == 0:
        return y
    values = y.ravel().tolist()
    missing = [i for i, value in enumerate(values) if _is_missing(value)]
    if missing:
        raise ValueError(
            f"{name} contains {len(missing)} missing labels (None or NaN), the first in row "
            f"{missing[0] // max(1, y[0].size if y.ndim > 1 else 1)}. Label these images, or leave "
            "them out."
        )
    kinds = {str if isinstance(value, str) else type(value) for value in values}
    if str in kinds and len(kinds) > 1:
        others = ", ".join(sorted(kind.__name__ for kind in kinds - {str}))
        raise ValueError(f"{name} mixes text with {others}. Give all labels one type.")
    plain = np.array(values)
    return plain.reshape(y.shape) if plain.size == y.size else y


def _is_missing(label: Any) -> bool:
    """Whether it is None, NaN, NaT or the NA of pandas, which equals nothing and says so by an error."""
    try:
        return label is None or bool(label != label)
    except TypeError:
        return True


def _checked_classes(classes: Any) -> np.ndarray:
    classes = plain_labels(classes, "classes")
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


def check_n_samples(n_samples: Any) -> int:
    """Return how many samples of the probabilities to draw, refusing what is no number of 1 or more."""
    if not isinstance(n_samples, numbers.Integral) or n_samples < 1:
        raise ValueError(f"n_samples must be a whole number of 1 or more; got {n_samples!r}.")
    return int(n_samples)


def loss_weights(
    class_weight: Any, sample_weight: Any, classes: np.ndarray, codes: np.ndarray
) -> np.ndarray:
    """Return the weight of each image in the loss, float32 ``(n,)``: the product of both."""
    weights = class_weights(class_weight, classes, codes)
    with np.errstate(over="ignore"):
        weights = weights * image_weights(sample_weight, len(codes))
    if not weights.any():
        raise ValueError(
            "class_weight and sample_weight leave every image a weight of 0, so there is nothing "
            "to learn from. Give some of them more."
        )
    if not np.isfinite(weights).all():
        raise ValueError("class_weight times sample_weight is too large for float32.")
    return weights


def class_weights(spec: Any, classes: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return one float32 weight for each sample."""
    if spec is None:
        return np.ones(len(codes), np.float32)
    if isinstance(spec, str):
        check_one_of("class_weight", spec, ["balanced"])
        counts = np.bincount(codes, minlength=len(classes))
        return (len(codes) / (np.count_nonzero(counts) * counts[codes])).astype(np.float32)
    if not isinstance(spec, Mapping):
        raise TypeError(
            f"class_weight must be None, 'balanced' or a weight by label, such as "
            f"{{{classes.tolist()[0]!r}: 2.0}}; got {spec!r}."
        )
    unknown = [label for label in spec if label not in classes.tolist()]
    if unknown:
        raise UnknownLabelError(
            f"class_weight names labels that are not classes: {unknown}. "
            f"Expected some of: {classes.tolist()}."
        )
    for label, weight in spec.items():
        if not isinstance(weight, numbers.Real) or not 0 <= float(weight) <= _MAX_WEIGHT:
            raise ValueError(
                f"class_weight must give finite numbers of 0 or more; got {weight!r} for {label!r}."
            )
    return np.array([spec.get(label, 1.0) for label in classes.tolist()], np.float32)[codes]

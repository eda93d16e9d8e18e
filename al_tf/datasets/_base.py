"""`ImageDataset`: images, labels and where they came from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False, repr=False)
class ImageDataset:
    """Labeled images: a training set to draw the pool from, and a test set to measure on.

    Attributes
    ----------
    x_train : ndarray of uint8, shape (n, H, W) or (n, H, W, C)
        Images 0–255 from which the pool and the initial labeled set are drawn.
    y_train : ndarray of int64, shape (n,)
        Index into `class_names` of each training image.
    x_test, y_test : ndarray
        The same for the test set, which is used for the learning curve alone.
    class_names : tuple of str
        Names of the K classes, in the order of the labels 0 … K−1.
    name : str
        The name it was loaded by.
    source : str
        Where the bytes came from and what was done to them, in words.
    fingerprint : str
        SHA-256 (hex) of the arrays and the class names; computed where it is not given.

    Notes
    -----
    The arrays are read-only, because runs share them.

    Examples
    --------
    >>> x, y = np.zeros((4, 8, 8), np.uint8), np.array([0, 1, 0, 1])
    >>> data = ImageDataset(x[:3], y[:3], x[3:], y[3:], ("good", "bad"), "mine", source="made up")
    >>> data  # doctest: +ELLIPSIS
    ImageDataset('mine': 3 train + 1 test images of shape (8, 8) uint8, 2 classes, fingerprint ...)
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    class_names: tuple[str, ...]
    name: str
    source: str
    fingerprint: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "class_names", tuple(map(str, self.class_names)))
        for part in ("train", "test"):
            x = _images(getattr(self, f"x_{part}"), f"x_{part}")
            y = _labels(getattr(self, f"y_{part}"), f"y_{part}", len(x), len(self.class_names))
            object.__setattr__(self, f"x_{part}", x)
            object.__setattr__(self, f"y_{part}", y)
        if self.x_train.shape[1:] != self.x_test.shape[1:]:
            raise ValueError(
                "Training and test images must have one shape; got "
                f"{self.x_train.shape[1:]} and {self.x_test.shape[1:]}."
            )
        if not self.fingerprint:
            arrays = (self.x_train, self.y_train, self.x_test, self.y_test)
            object.__setattr__(self, "fingerprint", fingerprint_of(arrays, self.class_names))

    def __repr__(self) -> str:
        return (
            f"ImageDataset({self.name!r}: {len(self.x_train):,} train + {len(self.x_test):,} test "
            f"images of shape {self.x_train.shape[1:]} {self.x_train.dtype}, "
            f"{len(self.class_names)} classes, fingerprint {self.fingerprint[:12]})"
        )


def _images(x: np.ndarray, what: str) -> np.ndarray:
    x = np.asarray(x)
    if x.dtype != np.uint8 or x.ndim not in (3, 4):
        raise ValueError(
            f"{what} must be uint8 of shape (n, H, W) or (n, H, W, C); "
            f"got {x.dtype} of shape {x.shape}."
        )
    return _read_only(x)


def _labels(y: np.ndarray, what: str, n: int, n_classes: int) -> np.ndarray:
    y = np.asarray(y)
    if y.shape != (n,) or not np.issubdtype(y.dtype, np.integer):
        raise ValueError(
            f"{what} must hold one integer label for each of the {n} images; "
            f"got {y.dtype} of shape {y.shape}."
        )
    if n and (y.min() < 0 or y.max() >= n_classes):
        raise ValueError(
            f"{what} must lie in 0 … {n_classes - 1} (class_names has {n_classes}); "
            f"got values from {y.min()} to {y.max()}."
        )
    return _read_only(y.astype(np.int64, copy=False))


def _read_only(array: np.ndarray) -> np.ndarray:
    view = array.view()
    view.flags.writeable = False
    return view


def digest_of(array: np.ndarray) -> str:
    """Return the SHA-256 (hex) of an array: shape, dtype and C-ordered bytes."""
    digest = hashlib.sha256(f"{array.shape} {array.dtype.str}".encode())
    digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def fingerprint_of(arrays: Iterable[np.ndarray], class_names: Iterable[str]) -> str:
    """Return the SHA-256 (hex) over the digests of `arrays` and the class names."""
    parts = [*map(digest_of, arrays), *class_names]
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def describe(dataset: ImageDataset) -> str:
    """Return counts per class, shapes and checksums of a dataset as a printable text.

    Examples
    --------
    >>> from al_tf.datasets import load_dataset
    >>> print(describe(load_dataset("digits")))  # doctest: +ELLIPSIS
    ImageDataset('digits': 1,438 train + 359 test images of shape (8, 8) uint8, 10 classes, ...)
    source: scikit-learn's load_digits (UCI optical digits), values spread over 0–255
    class   train    test
    0         142      36
    1         146      36
    ...
    fingerprint be9cf8e790a237b6...
    """
    k = len(dataset.class_names)
    train = np.bincount(dataset.y_train, minlength=k)
    test = np.bincount(dataset.y_test, minlength=k)
    width = max(5, *map(len, dataset.class_names))
    lines = [repr(dataset), f"source: {dataset.source}", f"{'class':<{width}}   train    test"]
    for name, n_train, n_test in zip(dataset.class_names, train, test, strict=True):
        lines.append(f"{name:<{width}}  {n_train:>6}  {n_test:>6}")
    lines.append(f"{'total':<{width}}  {train.sum():>6}  {test.sum():>6}")
    for field in ("x_train", "y_train", "x_test", "y_test"):
        array = getattr(dataset, field)
        lines.append(f"{field:<7} {array.shape!s:<22} {array.dtype!s:<6} {digest_of(array)}")
    lines.append(f"fingerprint {dataset.fingerprint}")
    return "\n".join(lines)

"""The handwritten digits bundled with scikit-learn: always there."""

from __future__ import annotations

import os

import numpy as np

from ..seeding import stream
from ._base import ImageDataset
from ._split import choose_test

_TEST_FRACTION = 0.2


def load(data_dir: str | os.PathLike[str] | None, seed: int) -> ImageDataset:
    """Load 1,797 grey 8 × 8 digits, a fifth of each class for testing.

    The split is drawn once for all (stream ``0, "digits", "test"``): `seed` does not move it,
    and nothing is read from `data_dir`. The values 0–16 are spread over 0–255.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)  # (n, 8, 8)
    labels = bunch.target.astype(np.int64)
    test = choose_test(labels, _TEST_FRACTION, stream(0, "digits", "test"))
    return ImageDataset(
        images[~test],
        labels[~test],
        images[test],
        labels[test],
        class_names=tuple(map(str, bunch.target_names)),
        name="digits",
        source="scikit-learn's load_digits (UCI optical digits), values spread over 0–255",
    )


def find(data_dir: str | os.PathLike[str] | None) -> str:
    """Return where the digits are: inside scikit-learn."""
    return "bundled with scikit-learn"

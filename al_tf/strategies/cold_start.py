"""Features in place of a model, for choosing images before anything is labeled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


class FeaturesOnly:
    """Stands in for a classifier where the rows of X are features and no label is there yet.

    Parameters
    ----------
    classes : sequence, optional
        The label set, for strategies that need the number of classes.
    """

    def __init__(self, classes: Sequence[Any] | None = None) -> None:
        self.classes = classes

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return the features as they are."""
        return X

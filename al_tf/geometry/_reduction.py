"""Rows of few columns between which distances are nearly those of the originals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..seeding import RandomState, check_random_state
from ._points import Rows, make_frame, slices
from ._threads import for_each

SAMPLE = 4096  # rows that the directions are computed from
WIDTHS = (32, 64, 128, 256)  # numbers of directions that are tried
NARROWEST = 256  # columns; rows of fewer are not reduced
ROWS = 2048  # a step's worth of rows


@dataclass(frozen=True)
class Reduction:
    """A projection on directions of large variance, with the length of what lies outside them.

    ``|left(x) - right(y)|² = |x - y|² + 2 <x⊥, y⊥>``, where x⊥ is the part of x outside the
    directions, without the mean's. The second term is small unless x and y are close to each
    other: means over many rows are nearly right, neighbourhoods are not.

    Attributes
    ----------
    mean : ndarray, shape (d,), float32
    directions : ndarray, shape (d, r), float32
        Orthonormal.
    scale : float
        A power of two, so that squares stay in float32's range.
    """

    mean: np.ndarray
    directions: np.ndarray
    scale: float

    def left(self, X: Rows) -> np.ndarray:
        """Return one side's rows, float32 ``(n, r + 2)``."""
        return self._rows(X, -2)

    def right(self, X: Rows) -> np.ndarray:
        """Return the other side's rows, float32 ``(n, r + 2)``."""
        return self._rows(X, -1)

    def _rows(self, X: Rows, place: int) -> np.ndarray:
        rows = np.zeros((len(X), self.directions.shape[1] + 2), dtype=np.float32)

        def fill(part: slice) -> None:
            centred = X[part] - self.mean
            centred *= np.float32(1 / self.scale)
            projected = np.matmul(centred, self.directions, out=rows[part, :-2])
            outside = np.einsum("ij,ij->i", centred, centred)
            outside -= np.einsum("ij,ij->i", projected, projected)
            rows[part, place] = np.sqrt(np.maximum(outside, 0.0))
            rows[part] *= np.float32(self.scale)

        for_each(fill, slices(len(X), ROWS))
        return rows


def find_reduction(X: Rows, *, random_state: RandomState = None) -> Reduction | None:
    """Return the smallest reduction that keeps two thirds of the variance, or None.

    Its directions are principal components of a random sample of 4,096 rows; 32, 64, 128 or 256
    of them, at most a quarter of the columns.

    Parameters
    ----------
    X : ndarray, shape (n, d)
        Read in blocks.
    random_state : RandomState
        Draws the sample.

    Returns
    -------
    Reduction or None
        None for rows of fewer than 256 columns, and where no number of directions is enough.

    Examples
    --------
    >>> import numpy as np
    >>> from al_tf.geometry import find_reduction
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((500, 10)) @ rng.standard_normal((10, 400))
    >>> find_reduction(X.astype(np.float32), random_state=0).left(X).shape
    (500, 34)
    >>> find_reduction(rng.standard_normal((500, 400)), random_state=0) is None
    True
    """
    n, d = X.shape
    if d < NARROWEST:
        return None
    rng = check_random_state(random_state)
    sample = X[np.sort(rng.choice(n, min(n, SAMPLE), replace=False))]
    frame = make_frame(sample)
    centred = frame.points(sample).rows
    variances, directions = np.linalg.eigh(centred.T @ centred / len(centred))
    outside = variances.sum() - np.cumsum(variances[::-1])  # beyond the first 1, 2, … directions
    for width in WIDTHS:
        if width <= d / 4 and outside[width - 1] <= variances.sum() / 3:
            chosen = np.ascontiguousarray(directions[:, ::-1][:, :width], dtype=np.float32)
            return Reduction(frame.mean.astype(np.float32), chosen, frame.scale)
    return None

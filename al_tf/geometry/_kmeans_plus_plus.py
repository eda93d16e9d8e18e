"""k-means++ (D² sampling) on rows that are outer products, without building them."""

from __future__ import annotations

import numpy as np

from ..seeding import RandomState, check_random_state
from ._points import MEMORY_LIMIT, check_rows, slices, tile_size
from ._threads import for_each

ROUNDING = 1e-5  # squared distances below this share of the squared norm are rounding: equal rows
LARGEST_BLOCK = 256
PATIENCE = 4  # rounds of draws before all rows are brought up to date


def kmeans_plus_plus(
    left: np.ndarray,
    right: np.ndarray,
    k: int,
    *,
    random_state: RandomState = None,
    memory_limit: int = MEMORY_LIMIT,
) -> tuple[np.ndarray, np.ndarray]:
    """Choose `k` rows of ``left ⊗ right`` by k-means++, from the factors alone.

    The first is a row of the largest norm; each next one is drawn with probability proportional
    to its squared distance D² to the nearest row chosen before. Inner products factorise,
    ``<a ⊗ h, a' ⊗ h'> = <a, a'> <h, h'>``, so the ``n × (K d)`` rows are never built. Ordinary
    rows: `left` of ones.

    Drawing is by rejection. D² only shrinks while rows are chosen, so old values are upper bounds:
    a row drawn by its old value is accepted with probability current over old, which is a draw by
    the current values. All rows are brought up to date in one matrix product, a few times per
    batch.

    Parameters
    ----------
    left : ndarray, shape (n, K)
    right : ndarray, shape (n, d)
    k : int
        1 to n.
    random_state : RandomState
        Draws, and breaks ties.
    memory_limit : int
        Bytes of working memory, beside inputs, outputs and float32 copies of the inputs.

    Returns
    -------
    chosen : ndarray, shape (k,), intp
        In the order of choice, without repeats.
    squared : ndarray, shape (k,), float64
        D² at the moment of choice; for the first, its squared norm. 0 once every remaining row
        equals a chosen one.

    Raises
    ------
    ValueError
        `k` out of range; factors that are not finite, not two-dimensional or differ in rows.

    References
    ----------
    Arthur and Vassilvitskii, "k-means++: The Advantages of Careful Seeding", SODA 2007.

    Examples
    --------
    >>> import numpy as np
    >>> from al_tf.geometry import kmeans_plus_plus
    >>> rows = np.array([[0.0], [0.0], [3.0]])
    >>> chosen, squared = kmeans_plus_plus(np.ones((3, 1)), rows, 2, random_state=0)
    >>> int(chosen[0]), squared.tolist()
    (2, [9.0, 9.0])
    """
    rows = _OuterRows(left, right)
    n = len(rows.squared_norms)
    if not 1 <= k <= n:
        raise ValueError(f"k must be from 1 to {n}, the number of rows; got {k}.")
    rng = check_random_state(random_state)
    norms = rows.squared_norms
    new = [int(rng.choice(np.flatnonzero(norms == norms.max())))]
    chosen, values = list(new), [float(norms[new[0]])]
    stale = np.full(n, np.inf)
    while len(chosen) < k:
        rows.lower_to_nearest(stale, np.array(new), memory_limit)
        stale[chosen] = 0.0
        if not stale.any():
            rest = np.setdiff1d(np.arange(n), chosen)
            chosen += rng.choice(rest, k - len(chosen), replace=False).tolist()
            values += [0.0] * (k - len(values))
            break
        room = min(k - len(chosen), max(1, len(chosen) // 2), LARGEST_BLOCK)
        new, fresh = _draw(rows, stale, room, rng)
        chosen += new
        values += fresh
    return np.array(chosen, dtype=np.intp), np.array(values) * rows.scale**2


class _OuterRows:
    """Rows ``left_i ⊗ right_i`` in factors, `right` scaled by a power of two."""

    def __init__(self, left: np.ndarray, right: np.ndarray) -> None:
        left, right = check_rows(left, "left"), check_rows(right, "right")
        if len(left) != len(right):
            raise ValueError(f"left and right differ in rows: {len(left)} and {len(right)}.")
        reach = max(float(right.max()), -float(right.min()))
        if not np.isfinite(reach) or not np.isfinite(left).all():
            raise ValueError("left and right must be finite.")
        self.scale = 2.0 ** np.ceil(np.log2(reach)) if reach > 0 else 1.0
        self.left = left.astype(np.float32)
        self.right = np.empty(right.shape, dtype=np.float32)
        np.divide(right, self.scale, out=self.right, casting="same_kind")
        self.squared_norms = _squared_norms(self.left) * _squared_norms(self.right)

    def squared_distances(self, part: slice | np.ndarray, others: np.ndarray) -> np.ndarray:
        """Return squared distances less the squared norms of `part`: ``(len(part), len(others))``."""
        tile = self.left[part] @ self.left[others].T
        tile *= self.right[part] @ self.right[others].T
        tile *= -2.0
        tile += self.squared_norms[others].astype(np.float32)
        return tile

    def lower_to_nearest(self, squared: np.ndarray, others: np.ndarray, memory_limit: int) -> None:
        """Lower `squared` ``(n,)`` to the squared distance to the nearest of `others`, in place."""

        def lower(part: slice) -> None:
            lowest = self.squared_distances(part, others).min(axis=1) + self.squared_norms[part]
            lowest[lowest < ROUNDING * self.squared_norms[part]] = 0.0
            np.minimum(squared[part], lowest, out=squared[part])

        side = tile_size(memory_limit)
        for_each(lower, slices(len(squared), max(side, side * side // len(others))))

    def squared_among(self, some: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Return squared distances of a few rows: ``(len(some), len(others))``."""
        norms = self.squared_norms[some][:, None]
        with np.errstate(invalid="ignore"):  # a spurious flag of OpenBLAS: see _threads.py
            squared = self.squared_distances(some, others) + norms
        squared[squared < ROUNDING * norms] = 0.0
        return squared


def _squared_norms(rows: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", rows, rows).astype(np.float64)


def _draw(
    rows: _OuterRows, stale: np.ndarray, room: int, rng: np.random.Generator
) -> tuple[list[int], list[float]]:
    """Draw up to `room` rows, at least one, by D² sampling; return them and their D²."""
    cumulative = np.cumsum(stale)
    new: list[int] = []
    values: list[float] = []
    for _ in range(PATIENCE):
        marks, luck = rng.random((2, room - len(new)))
        drawn = np.searchsorted(cumulative, marks * cumulative[-1], side="right")
        fresh = stale[drawn]
        if new:
            np.minimum(fresh, rows.squared_among(drawn, np.array(new)).min(axis=1), out=fresh)
        apart = rows.squared_among(drawn, drawn)
        needed = luck * stale[drawn]
        for i, row in enumerate(drawn.tolist()):
            if needed[i] < fresh[i]:
                new.append(row)
                values.append(float(fresh[i]))
                np.minimum(fresh, apart[:, i], out=fresh)
        if len(new) == room:
            break
    return new, values

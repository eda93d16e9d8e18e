"""Choosing rows that leave linear weights least uncertain: greedy A-optimal design."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..seeding import RandomState, check_random_state
from ._points import Rows, check_rows, first_of_highest, slices
from ._threads import for_each, ordered_map

ROWS = 2048  # a step's worth of rows
CANDIDATES = 1024  # rows whose gains are kept up to date while others wait
ROUND = 32  # rows chosen among the candidates before the others are brought up to date
DROPS = 128  # rows dropped before the products of all that are left follow


def a_optimal(
    X: Rows,
    weights: np.ndarray,
    k: int,
    start: np.ndarray,
    *,
    over_sample: float = 2.0,
    random_state: RandomState = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Choose `k` rows that make ``tr(M⁻¹ F)`` small, ``F = mean_i w_i x_i x_iᵀ`` over all rows.

    M is `start` plus the sum of ``w x xᵀ`` over the chosen rows. Forward, ``over_sample · k`` rows
    are chosen one after another, each the one that lowers the trace most; backward, all but k of
    these are dropped, each the one that raises it least.

    Both use rank-one updates. Forward, some rows are chosen among the candidates with the largest
    gains; then the gains of all rows follow in one product, and choices are kept as long as no
    other row had a larger gain. So the choice is that of a pass over all rows for each.

    Parameters
    ----------
    X : ndarray, shape (n, d)
        Read in blocks; products with all rows are in float32 unless it holds float64 or integers.
    weights : ndarray, shape (n,)
        0 or more.
    k : int
        1 to n.
    start : ndarray, shape (d, d)
        Symmetric and positive definite.
    over_sample : float
        1 or more.
    random_state : RandomState
        Breaks ties.

    Returns
    -------
    chosen : ndarray, shape (k,), intp
        In the order of the forward choice.
    gains : ndarray, shape (k,), float64
        By how much each lowered the trace when it was chosen.

    Raises
    ------
    ValueError
        `k`, `weights` or `over_sample` out of range, or shapes that do not fit.

    References
    ----------
    Ash et al., "Gone Fishing: Neural Active Learning with Fisher Embeddings", NeurIPS 2021,
    algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> from al_tf.geometry import a_optimal
    >>> X = np.array([[1.0, 0.0], [0.0, 2.0], [0.0, 1.9]])
    >>> chosen, _ = a_optimal(X, np.ones(3), 2, np.eye(2), random_state=0)
    >>> chosen.tolist()
    [1, 2]
    """
    X = check_rows(X)
    n, d = X.shape
    weights = np.asarray(weights, dtype=np.float64)
    if not 1 <= k <= n:
        raise ValueError(f"k must be from 1 to {n}, the number of rows; got {k}.")
    if weights.shape != (n,) or not (np.isfinite(weights) & (weights >= 0)).all():
        raise ValueError(f"weights must be {n} numbers of 0 or more, one per row.")
    if np.shape(start) != (d, d):
        raise ValueError(f"start must have the shape ({d}, {d}); got {np.shape(start)}.")
    if not (np.isfinite(over_sample) and over_sample >= 1):
        raise ValueError(f"over_sample must be a number of 1 or more; got {over_sample!r}.")
    rank = check_random_state(random_state).permutation(n)  # the higher wins a tie
    inverse = np.linalg.inv(start)
    fisher = second_moment(X, weights) / n
    forward = min(n, int(np.ceil(over_sample * k)))
    chosen, gains, inverse = _forward(X, weights, forward, inverse, fisher, rank)
    kept = _backward(X[chosen], weights[chosen], k, inverse, fisher)
    return chosen[kept], gains[kept]


def second_moment(X: Rows, weights: np.ndarray) -> np.ndarray:
    """Return ``sum_i w_i x_i x_iᵀ``, float64 ``(d, d)``.

    Examples
    --------
    >>> import numpy as np
    >>> from al_tf.geometry import second_moment
    >>> second_moment(np.array([[1.0, 2.0], [3.0, 0.0]]), np.array([1.0, 0.5])).round(6).tolist()
    [[5.5, 2.0], [2.0, 4.0]]
    """
    work = _precision(X)
    roots = np.sqrt(weights)[:, None].astype(work)

    def product(part: slice) -> np.ndarray:
        block = X[part] * roots[part]
        return block.T @ block

    total = np.zeros((X.shape[1],) * 2)
    for term in ordered_map(product, slices(len(X), ROWS)):
        total += term
    return total


def _precision(X: Rows) -> np.dtype[Any]:
    """Return the precision of products with `X`: float32 for half and single precision."""
    return np.dtype(np.float32 if X.dtype in (np.float16, np.float32) else np.float64)


def _forms(X: Rows, *matrices: np.ndarray) -> np.ndarray:
    """Return ``xᵀ A x`` of each row for each matrix, ``(len(matrices), n)``."""
    work = _precision(X)
    forms = np.empty((len(matrices), len(X)))
    matrices = tuple(matrix.astype(work) for matrix in matrices)

    def fill(part: slice) -> None:
        block = X[part].astype(work, copy=False)
        for i, matrix in enumerate(matrices):
            product = block @ matrix
            product *= block
            forms[i, part] = product.sum(axis=1, dtype=np.float64)

    for_each(fill, slices(len(X), ROWS))
    return np.maximum(forms, 0.0)  # rounding may reach below


@dataclass(frozen=True)
class _Pick:
    """A chosen row: ``M⁻¹`` becomes ``M⁻¹ - c a aᵀ`` with ``a = M⁻¹ x``."""

    row: int
    a: np.ndarray
    b: np.ndarray
    """``M⁻¹ F a``."""
    c: float
    s: float
    """``aᵀ F a``."""


@dataclass
class _Forms:
    """``h = xᵀ M⁻¹ x`` and ``g = xᵀ M⁻¹ F M⁻¹ x`` of some rows x, and so what each would gain."""

    leverage: np.ndarray
    worth: np.ndarray
    weights: np.ndarray
    free: np.ndarray

    def gains(self) -> np.ndarray:
        gains = self.weights * self.worth / (1 + self.weights * self.leverage)
        return np.where(self.free, gains, -np.inf)

    def lower(self, pick: _Pick, u: np.ndarray, v: np.ndarray) -> None:
        """Follow a choice, given the products u and v of the rows with its a and b."""
        c = pick.c
        self.leverage = np.maximum(self.leverage - c * u**2, 0.0)  # rounding may reach below
        self.worth = np.maximum(self.worth + c * u * (c * pick.s * u - 2 * v), 0.0)

    def take(self, rows: np.ndarray) -> _Forms:
        return _Forms(self.leverage[rows], self.worth[rows], self.weights[rows], self.free[rows])


def _forward(
    X: Rows,
    weights: np.ndarray,
    k: int,
    inverse: np.ndarray,
    fisher: np.ndarray,
    rank: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows chosen one after another, their gains, and the inverse of M after them."""
    leverage, worth = _forms(X, inverse, inverse @ fisher @ inverse)
    forms = _Forms(leverage, worth, weights, np.ones(len(X), dtype=bool))
    chosen: list[int] = []
    gains: list[float] = []
    while len(chosen) < k:
        now = forms.gains()
        candidates = np.lexsort((rank, now))[-CANDIDATES:]
        room = min(ROUND, k - len(chosen), len(candidates))
        new = _pick_among(
            X[candidates], forms.take(candidates), rank[candidates], room, inverse, fisher
        )
        products = _products(X, [vector for pick in new for vector in (pick.a, pick.b)])
        first = len(chosen)
        for pick, u, v in zip(new, products[::2], products[1::2], strict=True):
            row = int(candidates[pick.row])
            if first_of_highest(now, rank) != row:
                break
            chosen.append(row)
            gains.append(float(now[row]))
            forms.free[row] = False
            forms.lower(pick, u, v)
            now = forms.gains()
        kept = new[: len(chosen) - first]
        a, c = np.array([pick.a for pick in kept]), np.array([pick.c for pick in kept])
        inverse = inverse - (a * c[:, None]).T @ a
    return np.array(chosen, dtype=np.intp), np.array(gains), inverse


def _pick_among(
    rows: np.ndarray,
    forms: _Forms,
    rank: np.ndarray,
    room: int,
    inverse: np.ndarray,
    fisher: np.ndarray,
) -> list[_Pick]:
    """Return `room` choices among a few rows; `inverse` is that of M before them."""
    rows = rows.astype(np.float64)
    a, c = np.empty((0, rows.shape[1])), np.empty(0)

    def solve(y: np.ndarray) -> np.ndarray:
        return inverse @ y - a.T @ (c * (a @ y))

    new: list[_Pick] = []
    for _ in range(room):
        best = first_of_highest(forms.gains(), rank)
        own = solve(rows[best])
        informed = fisher @ own
        factor = forms.weights[best] / (1 + forms.weights[best] * forms.leverage[best])
        pick = _Pick(best, own, solve(informed), float(factor), float(own @ informed))
        new.append(pick)
        a, c = np.vstack([a, pick.a]), np.append(c, pick.c)
        forms.free[best] = False
        forms.lower(pick, rows @ pick.a, rows @ pick.b)
    return new


def _backward(
    X: np.ndarray, weights: np.ndarray, k: int, inverse: np.ndarray, fisher: np.ndarray
) -> np.ndarray:
    """Return which `k` of the rows stay, after dropping those whose loss is least.

    With ``A = X M⁻¹ Xᵀ``, ``B = X M⁻¹ F M⁻¹ Xᵀ`` and j the row dropped, ``M⁻¹`` becomes
    ``M⁻¹ + c a aᵀ`` with ``a = M⁻¹ x_j``, so that A and B follow from their columns j.
    """
    X = X.astype(np.float64)
    solved = X @ inverse
    forms, worths = solved @ X.T, solved @ fisher @ solved.T
    kept = np.arange(len(X))
    while len(kept) > k:
        room = min(DROPS, len(kept) - k)
        stay, forms, worths = _drop_some(forms, worths, weights[kept], room)
        kept = kept[stay]
    return kept


def _drop_some(
    forms: np.ndarray, worths: np.ndarray, weights: np.ndarray, room: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Drop `room` rows; return which stay, and A and B of these afterwards.

    A and B follow in one product at the end. Before, only their diagonals are kept up to date, and
    the columns of each row that is dropped.
    """
    a, b = np.empty((2, room, len(forms)))
    c, s = np.empty((2, room))
    leverage, worth = forms.diagonal().copy(), worths.diagonal().copy()
    stay = np.ones(len(forms), dtype=bool)
    for i in range(room):
        # 1 - w h > 0, as the row itself is part of M; rounding may hide it
        remaining = np.maximum(1 - weights * leverage, np.finfo(np.float64).eps)
        j = int(np.argmin(np.where(stay, weights * worth / remaining, np.inf)))
        of_a, of_b = c[:i] * a[:i, j], c[:i] * b[:i, j]
        a[i] = forms[j] + of_a @ a[:i]
        b[i] = worths[j] + of_a @ b[:i] + (of_b + c[:i] * s[:i] * of_a) @ a[:i]
        c[i], s[i] = weights[j] / remaining[j], b[i, j]
        leverage += c[i] * a[i] ** 2
        worth += c[i] * a[i] * (2 * b[i] + c[i] * s[i] * a[i])
        stay[j] = False
    a, b, places = a[:, stay], b[:, stay], np.ix_(stay, stay)
    scaled = (a * c[:, None]).T
    mixed = scaled @ b
    worths = worths[places] + mixed + mixed.T + (scaled * (c * s)) @ a
    return stay, forms[places] + scaled @ a, worths


def _products(X: Rows, vectors: list[np.ndarray]) -> np.ndarray:
    """Return the products of all rows with some vectors, ``(len(vectors), n)``."""
    work = _precision(X)
    products = np.empty((len(vectors), len(X)), dtype=work)
    right = np.stack(vectors, axis=1).astype(work)

    def fill(part: slice) -> None:
        products[:, part] = (X[part].astype(work, copy=False) @ right).T

    for_each(fill, slices(len(X), ROWS))
    return products

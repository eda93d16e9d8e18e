"""Choosing rows that leave linear weights least uncertain: greedy A-optimal design."""

from __future__ import annotations

import numpy as np

from ..seeding import RandomState, check_random_state
from ._points import check_rows, slices
from ._threads import for_each, ordered_map

ROWS = 2048  # a step's worth of rows


def a_optimal(
    X: np.ndarray,
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
    these are dropped, each the one that raises it least. Both use rank-one updates: a choice costs
    two products with `X`.

    Parameters
    ----------
    X : ndarray, shape (n, d)
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
    X = X if np.issubdtype(X.dtype, np.floating) else X.astype(np.float64)
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


def second_moment(X: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return ``sum_i w_i x_i x_iᵀ``, float64 ``(d, d)``.

    Examples
    --------
    >>> import numpy as np
    >>> from al_tf.geometry import second_moment
    >>> second_moment(np.array([[1.0, 2.0], [3.0, 0.0]]), np.array([1.0, 0.5])).tolist()
    [[5.5, 2.0], [2.0, 4.0]]
    """

    def product(part: slice) -> np.ndarray:
        block = X[part].astype(np.float64)
        return (block * weights[part, None]).T @ block

    return np.sum(list(ordered_map(product, slices(len(X), ROWS))), axis=0)


def _forms(X: np.ndarray, *matrices: np.ndarray) -> np.ndarray:
    """Return ``xᵀ A x`` of each row for each matrix, ``(len(matrices), n)``."""
    forms = np.empty((len(matrices), len(X)))

    def fill(part: slice) -> None:
        block = X[part].astype(np.float64)
        for i, matrix in enumerate(matrices):
            forms[i, part] = np.einsum("ij,ij->i", block @ matrix, block)

    for_each(fill, slices(len(X), ROWS))
    return forms


def _forward(
    X: np.ndarray,
    weights: np.ndarray,
    k: int,
    inverse: np.ndarray,
    fisher: np.ndarray,
    rank: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows chosen one after another, their gains, and the inverse of M after them.

    With ``a = M⁻¹ x`` of the chosen row x, ``M⁻¹`` becomes ``M⁻¹ - c a aᵀ``, and the forms of the
    other rows with ``M⁻¹`` and ``M⁻¹ F M⁻¹`` follow from their products with a and ``M⁻¹ F a``.
    """
    inverse = inverse.copy()
    leverage, worth = _forms(X, inverse, inverse @ fisher @ inverse)
    chosen, gains = np.empty(k, dtype=np.intp), np.empty(k)
    free = np.ones(len(X), dtype=bool)
    for step in range(k):
        gain = np.where(free, weights * worth / (1 + weights * leverage), -np.inf)
        level = np.flatnonzero(gain == gain.max())
        best = level[rank[level].argmax()]
        chosen[step], gains[step], free[best] = best, gain[best], False
        x = X[best].astype(np.float64)
        a, c = inverse @ x, weights[best] / (1 + weights[best] * leverage[best])
        fisher_a = fisher @ a
        s = float(a @ fisher_a)
        u, v = _products(X, a, inverse @ fisher_a)
        leverage = np.maximum(leverage - c * u**2, 0.0)  # rounding may reach below
        worth = np.maximum(worth + c * u * (c * s * u - 2 * v), 0.0)
        inverse -= c * np.outer(a, a)
    return chosen, gains, inverse


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
    for _ in range(len(X) - k):
        # 1 - w h > 0, as the row itself is part of M; rounding may hide it
        remaining = np.maximum(1 - weights[kept] * forms[kept, kept], np.finfo(np.float64).eps)
        drop = int(np.argmin(weights[kept] * worths[kept, kept] / remaining))
        j = kept[drop]
        c = weights[j] / remaining[drop]
        of_a, of_b = forms[:, j].copy(), worths[:, j].copy()
        forms += c * np.outer(of_a, of_a)
        mixed = np.outer(of_a, of_b)
        worths += c * (mixed + mixed.T) + c**2 * of_b[j] * np.outer(of_a, of_a)
        kept = np.delete(kept, drop)
    return kept


def _products(X: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return ``X @ a`` and ``X @ b``, ``(2, n)``, by products in the precision of `X`."""
    products = np.empty((2, len(X)))
    both = np.stack([a, b], axis=1).astype(X.dtype)

    def fill(part: slice) -> None:
        products[:, part] = (X[part] @ both).T

    for_each(fill, slices(len(X), ROWS))
    return products

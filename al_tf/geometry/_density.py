"""Gaussian kernel density, exact, in tiles: one product and one exponential per pair of rows."""

from __future__ import annotations

import math

import numpy as np

from ._points import (
    MEMORY_LIMIT,
    Points,
    check_rows,
    distance_operand,
    make_points,
    precise_squared_distances,
    slices,
    tile_size,
)
from ._threads import for_each, ordered_map

SHIFT = 64.0  # float32 then holds 2**-190 … 2**63 of a row's own peak, before the shift
LOWEST = -126.0  # below, float32 is subnormal: slow by a factor of 20
FLOAT32_REACH = 4096.0  # exponents beyond this many bits are off by more than 2e-4 in float32
LOST = 2.0**-112  # what clipping adds to a sum, per row: 2**-126, at most 6e-5 of a sum this big


def kde_log_density(
    X: np.ndarray,
    reference: np.ndarray | None = None,
    *,
    bandwidth: float,
    leave_one_out: bool = False,
    memory_limit: int = MEMORY_LIMIT,
) -> np.ndarray:
    """Return the log of a Gaussian kernel density estimate at each row.

    ``log p(x) = log (1/m) sum_y N(x; y, bandwidth² I)``: what scikit-learn's ``KernelDensity``
    returns, to 1e-3, with ``leaf_size=m``. (With its default leaf size, scikit-learn 1.9 loses
    up to 16 nats where all kernels are remote, as in 64 dimensions at bandwidth 1.)

    Parameters
    ----------
    X : ndarray, shape (n, d)
    reference : ndarray, shape (m, d), optional
        The rows under the kernels; `X` itself by default, and then each pair is computed once.
    bandwidth : float
        Standard deviation of the kernel, in the units of `X`.
    leave_one_out : bool
        A row does not count itself, and ``m = n - 1``; only without `reference`.
    memory_limit : int
        Bytes of working memory, beside inputs, outputs and a float32 copy of the inputs.

    Returns
    -------
    ndarray, shape (n,), float64
        Natural logarithm; finite for finite rows.

    Raises
    ------
    ValueError
        A bandwidth that is not a positive number; `leave_one_out` with `reference` or with a
        single row; or rows that are not finite, not two-dimensional or of other widths.

    Examples
    --------
    >>> from al_tf.geometry import kde_log_density
    >>> kde_log_density([[0.0], [0.0], [9.0]], bandwidth=1.0, leave_one_out=True).round(2).tolist()
    [-1.61, -1.61, -41.42]
    """
    if not (np.isfinite(bandwidth) and bandwidth > 0):
        raise ValueError(f"bandwidth must be a positive number; got {bandwidth!r}.")
    if leave_one_out and reference is not None:
        raise ValueError("leave_one_out needs reference=None: a row is left out of its own set.")
    X = check_rows(X)
    m = (len(X) - leave_one_out) if reference is None else len(reference)
    if m < 1:
        raise ValueError("leave_one_out needs at least two rows.")
    side = tile_size(memory_limit)
    if reference is None:
        (points,) = make_points(X)
        kernel = Kernel(points.scale / bandwidth)
        log2_sum = _log2_sums_within(points, kernel, leave_one_out, side)
    else:
        points, others = make_points(X, reference)
        kernel = Kernel(points.scale / bandwidth)
        log2_sum = _log2_sums(points, others, kernel, side)
    constant = math.log(m) + X.shape[1] * (0.5 * math.log(2 * math.pi) + math.log(bandwidth))
    return log2_sum * math.log(2) - constant


class Kernel:
    """``2 ** (shift - factor |x - y|²)`` for tiles of points; `factor` holds the bandwidth."""

    def __init__(self, inverse_bandwidth: float) -> None:
        self.factor = 0.5 * math.log2(math.e) * inverse_bandwidth**2

    def left(self, A: Points, shift: float | np.ndarray = 0.0) -> np.ndarray:
        """Return the operand of `A` whose product with that of others gives the exponents."""
        left = distance_operand(A)
        left *= np.float32(-min(self.factor, 1e38))  # larger only where all norms are 0
        left[:, -2] += np.asarray(shift, dtype=np.float32)
        return left

    def exponents(
        self,
        A: Points,
        B: Points,
        shift: float | np.ndarray = 0.0,
        left: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return the exponents, ``(len(A), len(B))``; a `shift` may differ by row of `A`.

        float32 where their rounding is harmless, float64 where it is not. `left` is
        ``left(A, shift)``, if the caller has it already.
        """
        reach = self.factor * (float(A.squared_norms.max()) + float(B.squared_norms.max()))
        if reach > FLOAT32_REACH:
            exponents = precise_squared_distances(A.rows, B.rows)
            exponents *= -self.factor
            exponents += np.reshape(shift, (-1, 1))
            return exponents
        return (self.left(A, shift) if left is None else left) @ B.operand.T

    def tile(
        self,
        A: Points,
        B: Points,
        shift: float | np.ndarray = 0.0,
        left: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return the kernel values, ``(len(A), len(B))``."""
        return _powers(self.exponents(A, B, shift, left))


def _powers(exponents: np.ndarray) -> np.ndarray:
    """Return ``2 ** exponents``, in place."""
    np.maximum(exponents, LOWEST, out=exponents)
    return np.exp2(exponents, out=exponents)


def _log2_sums_within(points: Points, kernel: Kernel, leave_one_out: bool, side: int) -> np.ndarray:
    """Return log2 of each row's kernel sum over all rows, each pair computed once."""

    def scan(part: slice) -> np.ndarray:
        """Return what the tiles right of and on the diagonal add to rows ``part.start`` on."""
        block = points.take(part)
        left = kernel.left(block, SHIFT)
        partial = np.zeros(len(points) - part.start)
        for columns in slices(len(partial), side):
            others = points.take(slice(part.start + columns.start, part.start + columns.stop))
            tile = kernel.tile(block, others, SHIFT, left)
            if columns.start == 0:
                np.fill_diagonal(tile, 0.0 if leave_one_out else 2.0**SHIFT)
                partial[columns] += tile.sum(axis=1)
            else:
                ones = np.ones(side, dtype=tile.dtype)
                partial[: len(block)] += tile @ ones[: len(others)]
                partial[columns] += ones[: len(block)] @ tile
        return partial

    sums = np.zeros(len(points))
    parts = list(slices(len(points), side))
    for part, partial in zip(parts, ordered_map(scan, parts), strict=True):
        sums[part.start :] += partial
    return _rescue(points, points, kernel, sums, side, leave_one_out)


def _log2_sums(points: Points, others: Points, kernel: Kernel, side: int) -> np.ndarray:
    """Return log2 of the kernel sum over `others` for each of `points`."""
    sums = np.zeros(len(points))

    def scan(part: slice) -> None:
        block = points.take(part)
        left = kernel.left(block, SHIFT)
        for columns in slices(len(others), side):
            sums[part] += kernel.tile(block, others.take(columns), SHIFT, left).sum(axis=1)

    for_each(scan, slices(len(points), side))
    return _rescue(points, others, kernel, sums, side, leave_one_out=False)


def _rescue(
    points: Points,
    others: Points,
    kernel: Kernel,
    sums: np.ndarray,
    side: int,
    leave_one_out: bool,
) -> np.ndarray:
    """Return log2 of `sums`, recomputed for rows so remote that clipping distorts them.

    Each such row gets its own shift: its nearest neighbour's exponent becomes 0.
    """
    log2_sums = np.log2(np.maximum(sums, np.finfo(np.float64).tiny)) - SHIFT
    remote = np.flatnonzero(sums < LOST * len(others))

    def scan(part: slice) -> None:
        rows = remote[part]
        block = points.take(rows)
        peak = np.full(len(rows), -np.inf)
        for columns in slices(len(others), side):
            exponents = kernel.exponents(block, others.take(columns))
            if leave_one_out:
                _leave_out_own(exponents, rows, columns)
            np.maximum(peak, exponents.max(axis=1), out=peak)
        shift = -peak
        total = np.zeros(len(rows))
        for columns in slices(len(others), side):
            exponents = kernel.exponents(block, others.take(columns), shift)
            if leave_one_out:
                _leave_out_own(exponents, rows, columns)
            total += _powers(exponents).sum(axis=1)
        log2_sums[rows] = np.log2(total) - shift

    for_each(scan, slices(len(remote), side))
    return log2_sums


def _leave_out_own(exponents: np.ndarray, rows: np.ndarray, columns: slice) -> None:
    """Write minus infinity where a row of the tile meets itself."""
    own = np.flatnonzero((rows >= columns.start) & (rows < columns.stop))
    exponents[own, rows[own] - columns.start] = -np.inf

"""Columns made comparable before distances are computed, or reduced to fewer."""

from __future__ import annotations

import numpy as np

from ._points import Rows, check_rows, make_points, slices, to_unit_length
from ._threads import for_each, ordered_map, scratch

ROWS = 8192  # a step's worth of rows


def center_and_scale(X: Rows) -> tuple[np.ndarray, float]:
    """Subtract the mean of `X` and divide by a power of two, so that it lies in [-1, 1].

    Parameters
    ----------
    X : ndarray, shape (n, d)

    Returns
    -------
    rows : ndarray, shape (n, d), float32
    scale : float
        A distance between two of these rows, times `scale`, is the distance in `X`.

    Examples
    --------
    >>> import numpy as np
    >>> from al_tf.geometry import center_and_scale
    >>> rows, scale = center_and_scale(np.array([[0.0, 4.0], [2.0, 0.0]]))
    >>> rows.tolist(), float(scale)
    ([[-0.5, 1.0], [0.5, -1.0]], 2.0)
    """
    (points,) = make_points(X)
    return np.ascontiguousarray(points.rows), points.scale


def standardise(X: Rows) -> np.ndarray:
    """Return `X` with columns of mean 0 and standard deviation 1; constant ones become 0.

    Parameters
    ----------
    X : ndarray, shape (n, d)

    Returns
    -------
    ndarray, shape (n, d), float32

    Examples
    --------
    >>> from al_tf.geometry import standardise
    >>> standardise([[1.0, 5.0], [3.0, 5.0]]).tolist()
    [[-1.0, 0.0], [1.0, 0.0]]
    """
    rows, _ = center_and_scale(X)
    deviation = np.sqrt(column_variances(rows))
    inverse = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 0)

    def divide(part: slice) -> None:
        rows[part] = rows[part] * inverse

    for_each(divide, slices(len(rows), ROWS))
    return rows


def unit_rows(X: np.ndarray) -> np.ndarray:
    """Return the rows of `X` divided by their Euclidean lengths; rows of zeros stay zeros.

    Parameters
    ----------
    X : ndarray, shape (n, d)

    Returns
    -------
    ndarray, shape (n, d), float32

    Examples
    --------
    >>> from al_tf.geometry import unit_rows
    >>> unit_rows([[3.0, 4.0], [0.0, 0.0]]).round(2).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    X = check_rows(X)
    rows = np.empty(X.shape, dtype=np.float32)

    def divide(part: slice) -> None:
        rows[part] = to_unit_length(X[part])

    for_each(divide, slices(len(X), 1024))
    return rows


def column_variances(rows: np.ndarray) -> np.ndarray:
    """Return the variance of each column of centred rows ``(n, d)``, float64."""

    def squares(part: slice) -> np.ndarray:
        return np.square(rows[part], dtype=np.float64).sum(axis=0)

    return np.sum(list(ordered_map(squares, slices(len(rows), ROWS))), axis=0) / len(rows)


def principal_components(rows: np.ndarray, n_components: int) -> np.ndarray:
    """Return the projection of centred rows on the directions of the largest variance.

    Parameters
    ----------
    rows : ndarray, shape (n, d)
        Of mean 0, as `standardise` leaves them.
    n_components : int
        At least 1; where it is d or more, `rows` are returned unchanged.

    Returns
    -------
    ndarray, shape (n, n_components), float32

    Raises
    ------
    ValueError
        `n_components` is below 1.

    Examples
    --------
    >>> import numpy as np
    >>> from al_tf.geometry import principal_components
    >>> rows = np.array([[-2.0, 0.1], [0.0, -0.2], [2.0, 0.1]], np.float32)
    >>> np.abs(principal_components(rows, 1)).round(1).tolist()
    [[2.0], [0.0], [2.0]]
    """
    if n_components < 1:
        raise ValueError(f"n_components must be 1 or more; got {n_components}.")
    if n_components >= rows.shape[1]:
        return rows

    def product(part: slice) -> np.ndarray:
        block = rows[part].astype(np.float64)
        return block.T @ block

    covariance = np.sum(list(ordered_map(product, slices(len(rows), ROWS))), axis=0)
    _, directions = np.linalg.eigh(covariance)  # smallest variance first
    chosen = directions[:, ::-1][:, :n_components].astype(np.float32)
    projected = np.empty((len(rows), n_components), dtype=np.float32)

    def project(part: slice) -> None:
        projected[part] = rows[part] @ chosen

    for_each(project, slices(len(rows), ROWS))
    return projected


def project(X: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return ``X @ weights``, bit for bit the same for a row wherever it stands in `X`.

    In a matrix product by BLAS the rounding depends on a row's position; here each row is
    multiplied and summed by itself.

    Parameters
    ----------
    X : ndarray, shape (n, d)
    weights : ndarray, shape (d,), float64

    Returns
    -------
    ndarray, shape (n,), float64

    Examples
    --------
    >>> import numpy as np
    >>> from al_tf.geometry import project
    >>> project(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0.5, 0.25])).tolist()
    [1.0, 2.5]
    """
    projected = np.empty(len(X))

    def scan(part: slice) -> None:
        products = scratch("products", X[part].shape, np.float64)
        np.multiply(X[part], weights, out=products)
        products.sum(axis=1, out=projected[part])

    for_each(scan, slices(len(X), 1024))
    return projected

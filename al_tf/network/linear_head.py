"""A linear softmax head on fixed features: logistic regression, many times a second.

The loss is that of scikit-learn's logistic regression, and so is the minimiser, L-BFGS. What
differs is the coordinates, which change neither the optimum nor its penalty:

- with fewer images than half the columns, the rows are rotated into as many columns as there are
  images (`in_span`): the optimum of an L2-penalised linear model is a combination of its data;
- a few directions carry most of the variance of features, and the loss bends there thousands of
  times more than elsewhere. They are shortened (`_Coordinates`), which takes a third of the
  iterations to a tenth of the error.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from ..geometry._points import slices
from ..geometry._threads import one_blas_thread

TOLERANCE = 1e-5
"""Largest slope at which the minimiser stops, in coordinates in which the loss bends by about 1:
roughly the error left in the scores."""
MAX_ITERATIONS = 2000
LOGIT_OF_ABSENT = -40.0
"""Score of a class without a label: the scores of the others have a mean of 0, so e**-40 at most."""
FLOOR = 5.0
"""Of the scale of a column; ``benchmarks/probe.py`` compares others."""
_DIRECTIONS = 16
"""Directions that are shortened; 64 of them saved no more iterations."""
_CURVATURE = 0.03
"""Mean p (1 - p) at the optimum, relative to that of equal probabilities. Measured on features of
images; a wrong value costs iterations and nothing else."""
_LARGE = 1 << 19
"""Numbers in a matrix above which it is held as float32."""
_LARGEST_SCORE = 1e30
"""Above it float32 may not hold what is added to a score."""
_ROWS = 1024
"""Of a float32 matrix that are turned into float64 at once."""
_STAGES = 3
"""How often the minimiser begins again, at most, where rounding hides that the loss still falls."""


@dataclass(frozen=True)
class LinearHead:
    """A fitted head, in the units of the features: ``softmax(features @ coef.T + intercept)``.

    Attributes
    ----------
    coef : ndarray of float32 (n_classes, d)
    intercept : ndarray of float32 (n_classes,)
    steps : int
        Iterations of the solver.
    """

    coef: np.ndarray
    intercept: np.ndarray
    steps: int

    def proba(self, features: np.ndarray) -> np.ndarray:
        """Return class probabilities, float32 ``(n, n_classes)``."""
        scores = product_in_range(features, self.coef.T) + self.intercept
        return softmax(scores).astype(np.float32, copy=False)


@dataclass(frozen=True)
class LabeledFeatures:
    """What a head was fitted to, which the posterior of its weights depends on."""

    features: np.ndarray
    codes: np.ndarray
    weights: np.ndarray
    C: float
    backbone: str
    """Fingerprint; empty where no backbone was named."""


@dataclass(frozen=True)
class Standardization:
    """Shift and scale of each column, float64 ``(d,)``, from the labeled set."""

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray, floor: float = FLOOR) -> Standardization:
        """Measure the columns of `features` ``(n, d)``.

        The scale of a column is ``sqrt(s² + (floor / n)² · mean(s²))`` with s its standard
        deviation. From few images the spread of a column is hardly known: a column that is nearly
        constant in ten of them would be blown up in the pool. The floor keeps it small, and is gone
        by a few hundred images. Without any spread the scale is 1.
        """
        mean = features.mean(axis=0, dtype=np.float64)
        variance = ((features - mean) ** 2).mean(axis=0)
        variance[variance <= (10 * np.finfo(np.float64).eps * mean) ** 2] = 0  # rounding
        scale = np.sqrt(variance + (floor / len(features)) ** 2 * variance.mean())
        return cls(mean, np.where(scale > 0, scale, 1.0))

    def apply(self, features: np.ndarray) -> np.ndarray:
        """Return standardised features, float64 ``(n, d)``."""
        return (features - self.mean) / self.scale


def fit_head(
    features: np.ndarray,
    codes: np.ndarray,
    weights: np.ndarray,
    n_classes: int,
    C: float,
    *,
    floor: float = FLOOR,
) -> LinearHead:
    """Fit scikit-learn's logistic regression on standardised features.

    Parameters
    ----------
    features : ndarray (n, d)
    codes : ndarray of int (n,)
        Class of each row, in 0 … n_classes - 1. A class that is not among them gets a probability
        of about 0.
    weights : ndarray (n,)
        Of each row in the loss.
    n_classes : int
    C : float
        Inverse strength of the penalty, as in scikit-learn.
    floor : float
        Of the scales; see `Standardization.of`.

    Returns
    -------
    LinearHead
    """
    standard = Standardization.of(features, floor)
    present, rows = np.unique(codes, return_inverse=True)
    coef, intercept = np.zeros((n_classes, features.shape[1])), np.full(n_classes, LOGIT_OF_ABSENT)
    intercept[present], steps = 0.0, 0
    if len(present) > 1:
        with one_blas_thread():  # threads cost more than they bring at these sizes
            columns, basis = in_span(standard.apply(features))
            rotated, offset, steps = _minimum(columns, rows, weights, prior_variance(C, present))
            unrotated = rotated if basis is None else basis @ rotated
        coef[present] = unrotated.T / standard.scale
        intercept[present] = offset - coef[present] @ standard.mean
    return LinearHead(coef.astype(np.float32), intercept.astype(np.float32), steps)


def prior_variance(C: float, present: np.ndarray) -> float:
    """Return the variance of the normal prior on each weight that the penalty stands for.

    scikit-learn penalises all weights of several classes, but of two classes the one difference of
    their weights: as if each had half the variance.
    """
    return C / 2 if len(present) == 2 else C


def in_span(Z: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Rotate the rows of `Z` into as few columns as they span.

    Parameters
    ----------
    Z : ndarray (n, d)

    Returns
    -------
    columns : ndarray (n, r)
        With the inner products of the rows of `Z`.
    basis : ndarray (d, r) or None
        Of orthonormal columns: ``Z = columns @ basis.T``. None where `Z` is returned as it is,
        because it has few columns to begin with.
    """
    from scipy.linalg import qr

    n, d = Z.shape
    if 2 * n > d:  # a rotation would take longer than it saves
        return Z, None
    basis, triangle = qr(Z.T, mode="economic")
    return np.ascontiguousarray(triangle.T), basis


class _Coordinates:
    """Weights as ``u`` of about equal curvature: ``w = far · u + V (near - far) Vᵀ u``.

    V holds the leading directions of the columns. Any other orthonormal V would do for the optimum.
    """

    def __init__(self, columns: np.ndarray, curvature: float, variance: float) -> None:
        from sklearn.utils.extmath import randomized_svd

        n, r = columns.shape
        n_directions = min(_DIRECTIONS, n, r)
        _, size, V = randomized_svd(
            columns, n_directions, n_oversamples=8, n_iter=1, random_state=0
        )
        kept = size > 1e-6 * size[0]
        self._V, size = V[kept].T, size[kept]
        beyond = 0.5 * size[-1] ** 2 if n_directions < min(n, r) else 0.0
        self._far = (curvature * beyond + 1 / variance) ** -0.5
        self._near = (curvature * size**2 + 1 / variance) ** -0.5
        self._intercept = (curvature * n) ** -0.5
        self._precision = 1 / variance
        self.design = np.empty((n, r + 1), matrix_type(n * r))
        self.design[:, :-1] = self._scaled(columns.T, self._near, self._far).T
        self.design[:, -1] = self._intercept

    def weights(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return weights ``(r, P)`` and intercepts ``(P,)``."""
        return self._scaled(u[:-1], self._near, self._far), self._intercept * u[-1]

    def penalty_slope(self, u: np.ndarray) -> np.ndarray:
        """Return the gradient of half the squared length of the weights, over the variance."""
        slope = np.zeros_like(u)
        slope[:-1] = self._precision * self._scaled(u[:-1], self._near**2, self._far**2)
        return slope

    def _scaled(self, u: np.ndarray, near: np.ndarray, far: float) -> np.ndarray:
        return far * u + self._V @ ((near - far)[:, None] * (self._V.T @ u))


class _Loss:
    """The penalised log loss of P classes over small steps from ``u``, and its gradient.

    Parameters
    ----------
    columns : ndarray (n, r)
    rows : ndarray of int (n,)
        Class of each row, 0 … P - 1, each of them there.
    weights : ndarray (n,)
    variance : float
        Of the prior.
    """

    def __init__(
        self, columns: np.ndarray, rows: np.ndarray, weights: np.ndarray, variance: float
    ) -> None:
        n, P = len(columns), int(rows.max()) + 1
        curvature = _CURVATURE * (1 - 1 / P) / P * float(weights.mean())
        self.coordinates = _Coordinates(columns, curvature, variance)
        self._rows, self._all_rows, self._weights = rows, np.arange(n), weights.astype(np.float64)
        self.u = np.zeros((self.coordinates.design.shape[1], P))
        self._scores_at_u = np.zeros((n, P))

    def __call__(self, flat: np.ndarray) -> tuple[float, np.ndarray]:
        """Return loss and gradient at ``u`` and a step of as many numbers."""
        step, design = flat.reshape(self.u.shape), self.coordinates.design
        scores = self._scores_at_u + design @ step.astype(design.dtype, copy=False)
        scores -= scores.max(axis=1, keepdims=True)
        own = scores[self._all_rows, self._rows]
        proba = np.exp(scores, out=scores)
        total = proba.sum(axis=1)
        proba /= total[:, None]
        u = self.u + step
        slope = self.coordinates.penalty_slope(u)
        value = self._weights @ (np.log(total) - own) + 0.5 * np.vdot(slope, u)
        proba[self._all_rows, self._rows] -= 1
        proba *= self._weights[:, None]
        slope += design.T @ proba.astype(design.dtype, copy=False)
        return value, slope.ravel()

    def begin_again(self) -> None:
        """Compute the scores at ``u`` in float64: of what follows only the steps are rounded."""
        self._scores_at_u = _product(self.coordinates.design, self.u)


def _minimum(
    columns: np.ndarray, rows: np.ndarray, weights: np.ndarray, variance: float
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return weights ``(r, P)``, intercepts ``(P,)`` and iterations at the least loss; see `_Loss`.

    Intercepts are not penalised; their sum is 0.
    """
    from scipy.optimize import minimize

    loss = _Loss(columns, rows, weights, variance)
    steps, options = 0, {"gtol": TOLERANCE, "ftol": 1e-12, "maxls": 50}
    for _ in range(_STAGES):
        options["maxiter"] = MAX_ITERATIONS - steps
        start = np.zeros(loss.u.size)
        optimum = minimize(loss, start, jac=True, method="L-BFGS-B", options=options)
        loss.u += optimum.x.reshape(loss.u.shape)
        steps += int(optimum.nit)
        is_there = np.abs(optimum.jac).max() <= TOLERANCE
        is_exact = loss.coordinates.design.dtype == np.float64
        if is_there or is_exact or steps >= MAX_ITERATIONS:
            break
        loss.begin_again()
    if steps >= MAX_ITERATIONS:
        warnings.warn(
            f"The weights are less exact than usual: {MAX_ITERATIONS} iterations did not reach "
            "their optimum. A smaller C makes it easier.",
            ConvergenceWarning,
            stacklevel=2,
        )
    return *loss.coordinates.weights(loss.u), steps


def _product(design: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Return ``design @ u`` in float64, without a copy of a whole float32 matrix."""
    parts = [design[part].astype(np.float64) @ u for part in slices(len(design), _ROWS)]
    return np.concatenate(parts)


def matrix_type(n_numbers: int) -> type[np.floating]:
    """Return float64, or float32 for matrices so large that reading them takes the time."""
    return np.float32 if n_numbers > _LARGE else np.float64


def product_in_range(features: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return ``features @ weights``, in float64 if features are so large that float32 overflows."""
    with np.errstate(over="ignore", invalid="ignore"):
        product: np.ndarray = features @ weights
    if np.abs(product).max(initial=0.0) < _LARGEST_SCORE:  # not so for NaN
        return product
    return features.astype(np.float64) @ weights.astype(np.float64)


def softmax(scores: np.ndarray) -> np.ndarray:
    """Return ``exp(scores)`` divided by its sum over the last axis, in place of `scores`."""
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    return scores

"""Draws from the Laplace approximation of a linear head's weights.

The posterior of the weights is replaced by the Gaussian around their optimum whose precision is the
Hessian of the penalised loss there (MacKay, "The Evidence Framework Applied to Classification
Networks", Neural Computation 1992),

    N(w*, H⁻¹),   H = Σᵢ ωᵢ (diag(pᵢ) − pᵢ pᵢᵀ) ⊗ zᵢ zᵢᵀ + I / τ,

with pᵢ the fitted probabilities of labeled image i, zᵢ its standardised features and a 1 for the
intercept, ωᵢ its weight in the loss, and τ the variance of the prior that the penalty stands for.

For 1,280 features and 10 classes H has 12,810 rows, 1.3 GB. It is never made: a draw is the
solution of H u = Σᵢ Jᵢᵀ Λᵢ^½ ε + τ^-½ ε′ for normal ε, ε′, whose covariance is H⁻¹ H H⁻¹ = H⁻¹ (Papandreou and Yuille, "Gaussian Sampling by Local Perturbations", NeurIPS
2010), found by conjugate gradients in the span of the labeled features; in the directions outside
it the posterior is the prior. So draws are those of the full H, no diagonal or Kronecker factors,
to the accuracy `TOLERANCE` of the solution, in memory for a few copies of the weights.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from .linear_head import (
    LinearHead,
    Standardization,
    in_span,
    matrix_type,
    prior_variance,
    product_in_range,
    softmax,
)

TOLERANCE = 1e-3
"""Of a draw's residual, relative to its right-hand side: far below the noise of a few draws."""
MAX_ITERATIONS = 1000
INTERCEPT_VARIANCE = 100.0
"""Of the prior of the intercepts, which the penalty leaves free; without one they have no proper
posterior. Its standard deviation of 10 is wide for a log-odds."""
_BLOCK = 1 << 22
"""Numbers in one array of a block of draws: 32 MB."""
_SCORES = 1 << 22
"""Scores of images under draws computed at once: 16 MB."""


class LaplacePosterior:
    """The Gaussian approximation of the posterior of a head's weights.

    Parameters
    ----------
    head : LinearHead
        As `fit_head` returned it for the same data.
    features : ndarray (n, d)
        Of the labeled set.
    codes : ndarray of int (n,)
        Class of each row.
    weights : ndarray (n,)
        Of each row in the loss.
    C : float
        Of the fit.
    """

    def __init__(
        self,
        head: LinearHead,
        features: np.ndarray,
        codes: np.ndarray,
        weights: np.ndarray,
        C: float,
    ) -> None:
        self._head = head
        self._present = np.unique(codes)
        self._standard = Standardization.of(features)
        columns, self._basis = in_span(self._standard.apply(features))
        self._design = np.ones((len(columns), columns.shape[1] + 1), matrix_type(columns.size))
        self._design[:, :-1] = columns
        self._variance = prior_variance(C, self._present)
        self._precision = np.full(self._design.shape[1], 1 / self._variance)
        self._precision[-1] = 1 / INTERCEPT_VARIANCE
        scores = features @ head.coef[self._present].T.astype(np.float64)
        self._proba = softmax(scores + head.intercept[self._present])  # (n, P)
        self._weights = np.asarray(weights, np.float64)

    def sample_proba(
        self, features: np.ndarray, n_samples: int, rng: np.random.Generator
    ) -> np.ndarray:
        """Return the probabilities of images under draws, float32 ``(n_samples, n, n_classes)``.

        Parameters
        ----------
        features : ndarray of float32 (n, d)
        n_samples : int
        rng : numpy.random.Generator
        """
        samples = np.empty((n_samples, len(features), len(self._head.coef)), np.float32)
        start = 0
        for coef, intercept in self.heads(n_samples, rng):
            block = samples[start : start + len(intercept)]
            flat = coef.reshape(len(coef), -1)
            rows = max(1, _SCORES // flat.shape[1])
            for first in range(0, len(features), rows):
                scores = product_in_range(features[first : first + rows], flat)
                scores = scores.reshape(-1, *intercept.shape) + intercept
                block[:, first : first + rows] = np.moveaxis(softmax(scores), 0, 1)
            start += len(intercept)
        return samples

    def heads(
        self, n_samples: int, rng: np.random.Generator
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield draws in blocks: coefficients ``(d, s, n_classes)``, intercepts ``(s, n_classes)``.

        They are float32, in the units of the features, and altogether `n_samples`. Classes without
        a label keep their fitted weights. The draws do not depend on the size of the blocks.
        """
        largest = max(1, _BLOCK // self._head.coef.size)
        for start in range(0, n_samples, largest):
            size = min(n_samples - start, largest)
            coef = np.repeat(self._head.coef.T[:, None], size, axis=1)
            intercept = np.repeat(self._head.intercept[None], size, axis=0)
            if len(self._present) > 1:
                moved, offset = self.deviations(size, rng)
                coef[:, :, self._present] += moved / self._standard.scale[:, None, None]
                shift = self._standard.mean / self._standard.scale
                intercept[:, self._present] += offset - np.tensordot(shift, moved, 1)
            yield coef, intercept

    def deviations(self, n_samples: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw deviations from the optimum of the P present classes.

        Returns
        -------
        ndarray (d, n_samples, P)
            Of the weights of standardised features.
        ndarray (n_samples, P)
            Of the intercepts.
        """
        n, d, P = len(self._design), self._standard.mean.size, len(self._present)
        data, prior, free = (np.empty((rows, n_samples, P)) for rows in (n, d, 1))
        for i in range(n_samples):  # draw after draw: the same in blocks of any size
            for noise in (data, prior, free):
                noise[:, i] = rng.standard_normal((len(noise), P))
        inside = prior if self._basis is None else _product(self._basis.T, prior)
        right = np.concatenate([inside, free]) * np.sqrt(self._precision)[:, None, None]
        right += _product(self._design.T, self._curvature_root(data))
        solution = self._solve(right)
        weights, intercepts = solution[:-1], solution[-1]
        if self._basis is not None:
            beyond = prior - _product(self._basis, inside)
            weights = _product(self._basis, weights) + np.sqrt(self._variance) * beyond
        return weights, intercepts

    def _curvature_root(self, noise: np.ndarray) -> np.ndarray:
        """Give normal `noise` ``(n, s, P)`` the covariance ω (diag(p) − p pᵀ) in each row."""
        p = self._proba[:, None]
        scaled = np.sqrt(p) * noise
        scaled -= p * (np.sqrt(p) * noise).sum(axis=2, keepdims=True)
        return np.sqrt(self._weights)[:, None, None] * scaled

    def _hessian(self, u: np.ndarray) -> np.ndarray:
        """Return H u for u of shape (r + 1, s, P)."""
        scores = _product(self._design, u)
        weighted = self._proba[:, None] * scores
        weighted -= self._proba[:, None] * weighted.sum(axis=2, keepdims=True)
        weighted *= self._weights[:, None, None]
        return _product(self._design.T, weighted) + self._precision[:, None, None] * u

    def _solve(self, right: np.ndarray) -> np.ndarray:
        """Solve H u = `right` ``(r + 1, s, P)`` for s draws at once.

        By conjugate gradients, preconditioned by the diagonal of H.
        """
        curvature = self._weights[:, None] * self._proba * (1 - self._proba)
        diagonal = (self._design**2).T @ curvature + self._precision[:, None]
        diagonal = diagonal[:, None]  # (r + 1, 1, P)
        u, residual = np.zeros_like(right), right.copy()
        direction = residual / diagonal
        size = _inner(residual, direction)
        goal = TOLERANCE**2 * size
        for _ in range(MAX_ITERATIONS):
            image = self._hessian(direction)
            bend = _inner(direction, image)
            step = np.divide(size, bend, out=np.zeros_like(size), where=bend > 0)
            u += step[:, None] * direction
            residual -= step[:, None] * image
            scaled = residual / diagonal
            before, size = size, _inner(residual, scaled)
            if (size <= goal).all():
                return u
            ratio = np.divide(size, before, out=np.zeros_like(size), where=before > 0)
            direction = scaled + ratio[:, None] * direction
        warnings.warn(
            f"Draws from the posterior are less exact than usual: {MAX_ITERATIONS} steps of "
            "conjugate gradients did not solve for them. A smaller C makes it easier.",
            ConvergenceWarning,
            stacklevel=2,
        )
        return u


def _product(matrix: np.ndarray, stack: np.ndarray) -> np.ndarray:
    """Return ``matrix (a, b) @ stack (b, s, P)``, in one product of matrices."""
    flat = matrix @ stack.reshape(len(stack), -1).astype(matrix.dtype, copy=False)
    return flat.reshape(len(matrix), *stack.shape[1:])


def _inner(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the inner product of each draw, ``(s,)``."""
    return np.einsum("rsp,rsp->s", a, b)

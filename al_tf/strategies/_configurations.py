"""What the labels of the images chosen so far may be, and what that says about the weights."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..geometry._threads import scratch
from .uncertainty import plogp

GROUPS = 128  # of configurations that predict alike; more are grouped for bounds
STEPS = 3  # of k-means
ERRORS = 4  # standard errors by which drawn configurations may change a gain
NOISE = 0.02, 0.2  # their least and most part of a gain: late, small gains are all error


class Mixtures(NamedTuple):
    """Posteriors of the samples given the labels of the images chosen so far.

    Attributes
    ----------
    posteriors : ndarray, shape (C, S)
        Given each configuration of these labels; rows sum to 1.
    likelihoods : ndarray, shape (C,)
        Probability of each configuration; they sum to 1.
    """

    posteriors: np.ndarray
    likelihoods: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """The posterior ``(S,)`` over all configurations."""
        mean: np.ndarray = self.likelihoods @ self.posteriors
        return mean

    def astype(self, dtype: npt.DTypeLike) -> Mixtures:
        """Return the same in another precision, as `_cast` does with the posteriors."""
        return Mixtures(_cast(self.posteriors, dtype), self.likelihoods.astype(dtype))


def _cast(posteriors: np.ndarray, dtype: npt.DTypeLike) -> np.ndarray:
    """Return posteriors in another precision, 0 where they are far below its rounding.

    Products of numbers next to the smallest take a processor a hundred times as long as others.
    """
    return np.where(posteriors > np.finfo(dtype).eps ** 2, posteriors, 0.0).astype(dtype)


class Configurations:
    """Labels that the images chosen so far may have: all of them, or draws from the model.

    Attributes
    ----------
    posteriors, likelihoods : ndarray
        As in `Mixtures`.
    noise : float
        By which part of it a gain may be larger than given other draws: a few standard errors, as
        for the image added last. 0 as long as all are enumerated: more labels never raise a gain.
    """

    def __init__(self, n_samples: int, most: int, rng: np.random.Generator) -> None:
        self.posteriors = np.full((1, n_samples), 1 / n_samples)
        self.likelihoods = np.ones(1)
        self.noise, self._drawn = 0.0, False
        self._most, self._rng = most, rng

    @property
    def every(self) -> Mixtures:
        """All of them."""
        return Mixtures(self.posteriors, self.likelihoods)

    def grouped(self, samples: np.ndarray, dtype: npt.DTypeLike) -> Mixtures:
        """Return posteriors and likelihoods of groups of alike configurations, or of all, if few.

        Entropy is concave: gains given the mean posteriors of groups, in `joint_gains`, are never
        less than those given all. The difference is about twice the squared distance of the square
        roots of what configurations predict to the mean of their group, so the groups are those
        of a few steps of k-means on these roots, for the images of `samples` ``(S, n, K)``.
        """
        given = self.every.astype(dtype)
        if len(self.posteriors) <= 2 * GROUPS:
            return given
        examples = samples.reshape(len(samples), -1).astype(np.float32)
        roots = np.sqrt(given.posteriors.astype(np.float32, copy=False) @ examples)
        weights = self.likelihoods[:, None]  # in float64: some are next to 0
        alike = np.argsort(self.posteriors.argmax(axis=1), kind="stable")
        centres = roots[alike[np.linspace(0, len(alike) - 1, GROUPS).astype(np.intp)]]
        for _ in range(STEPS):
            far = scratch("far", (len(roots), len(centres)), np.float32)
            np.matmul(roots, -2 * centres.T, out=far)
            far += np.einsum("ij,ij->i", centres, centres)
            group = far.argmin(axis=1)
            by_group = np.argsort(group, kind="stable")
            first = np.flatnonzero(np.diff(group[by_group], prepend=-1))
            likelihoods = np.add.reduceat(weights[by_group], first, axis=0)
            centres = np.add.reduceat((roots * weights)[by_group], first, axis=0) / likelihoods
            centres = centres.astype(np.float32)
        means = np.add.reduceat((given.posteriors * weights)[by_group], first, axis=0) / likelihoods
        return Mixtures(means, likelihoods[:, 0]).astype(dtype)

    def add(self, proba: np.ndarray) -> None:
        """Extend every configuration by the label of one image, given its ``(S, K)``."""
        conditional = self.posteriors @ proba  # (C, K): of the new label, given the configuration
        if conditional.size <= self._most:
            joint = (self.posteriors[:, None, :] * proba.T).reshape(-1, len(proba))
            self.likelihoods = (self.likelihoods[:, None] * conditional).ravel()
            conditional = conditional.ravel()
        else:
            start = self._rng.choice(len(conditional), self._most, p=self.likelihoods)
            cumulative = conditional[start].cumsum(axis=1)
            marks = self._rng.random((self._most, 1)) * cumulative[:, -1:]
            labels = (cumulative <= marks).sum(axis=1)
            joint = self.posteriors[start] * proba.T[labels]
            conditional = conditional[start, labels]
            self.likelihoods = np.ones(self._most)  # equal; scaled below
            self._drawn = True
        possible = (conditional > 0) & (self.likelihoods > 0)  # the product may underflow
        self.posteriors = joint[possible] / conditional[possible, None]
        self.likelihoods = self.likelihoods[possible] / self.likelihoods[possible].sum()
        if self._drawn:
            self.noise = self._relative_error(proba)

    def _relative_error(self, proba: np.ndarray) -> float:
        """Return a few standard errors of the gain of an image over the gain."""
        mixed = self.posteriors @ proba
        information = self.posteriors @ plogp(proba).sum(axis=1) - plogp(mixed).sum(axis=1)
        gain = self.likelihoods @ information
        variance = self.likelihoods @ (information - gain) ** 2
        error = ERRORS * np.sqrt(variance / len(information))
        return float(np.clip(error / gain if gain > 0 else np.inf, *NOISE))

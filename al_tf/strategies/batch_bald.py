"""BatchBALD: the batch whose labels together say most about the weights."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..geometry._points import slices
from ..geometry._threads import for_each, one_blas_thread, scratch
from ..seeding import RandomState, check_random_state
from ._order import canonical_order
from ._select import check_pool, check_proba, sampled_proba
from .uncertainty import plogp

BLOCK = 128  # images whose gains are bounded before the largest are computed
WAVE = 8  # blocks bounded at once, when a large gain is known
FEW = 64  # images whose gains are computed at once
TILE = 2**19  # bytes of mixed probabilities at once: they stay in a core's cache
PARTS = 2  # of fewer images, for as many threads
GROUPS = 128  # of alike configurations; more are grouped for bounds
NOISE = 0.1  # by which drawn configurations may change a gain
ROUGH = 1e-3  # nats: gains below this are not bounded in float32
ROUNDING = {np.float32: 1e-5, np.float64: 1e-12}  # nats: far more than is lost in a gain
DECIMALS = 12  # of gains: those of copies are equal
STEPS = 3  # of k-means
EXHAUSTED = 1e-6  # nats: gains below this are rounding


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

    def astype(self, dtype: npt.DTypeLike) -> Mixtures:
        """Return the same in another precision, as `_cast` does with the posteriors."""
        return Mixtures(_cast(self.posteriors, dtype), self.likelihoods.astype(dtype))


def _cast(posteriors: np.ndarray, dtype: npt.DTypeLike) -> np.ndarray:
    """Return posteriors in another precision, 0 where they are far below its rounding.

    Products of numbers next to the smallest take a processor a hundred times as long as others.
    """
    return np.where(posteriors > np.finfo(dtype).eps ** 2, posteriors, 0.0).astype(dtype)


def joint_gains(
    samples: np.ndarray,
    posteriors: np.ndarray,
    likelihoods: np.ndarray,
    expected: np.ndarray | None = None,
) -> np.ndarray:
    """Return what each image's label adds to the information about the weights, in nats.

    ``I(y; w | y_chosen) = E_c [H(sum_s q_cs p_s) - sum_s q_cs H(p_s)]`` over configurations c of
    the labels chosen before, with the posterior q_c of the samples s given c.

    Parameters
    ----------
    samples : ndarray, shape (S, n, K)
        Class probabilities, in the precision of `posteriors` and `likelihoods`.
    posteriors : ndarray, shape (C, S)
        Rows sum to 1.
    likelihoods : ndarray, shape (C,)
        Probability of each configuration; they sum to 1.
    expected : ndarray, shape (n,), optional
        ``E_c sum_s q_cs H(p_s)``, in nats, where it is known.

    Returns
    -------
    ndarray, shape (n,), float64
        0 or more.
    """
    n_samples, n, n_classes = samples.shape
    if expected is None:
        expected = -plogp(samples).sum(axis=2).T @ (likelihoods @ posteriors)
    mixed = scratch("mixed", (len(posteriors), n * n_classes), posteriors.dtype)
    np.matmul(posteriors, samples.reshape(n_samples, -1), out=mixed)
    np.maximum(mixed, np.finfo(mixed.dtype).eps ** 2, out=mixed)  # 0 ln 0 = 0, nearly
    logarithm = np.log(mixed, out=scratch("logarithm", mixed.shape, mixed.dtype))
    logarithm *= mixed
    marginal = -(likelihoods @ logarithm).astype(np.float64)
    return np.maximum(marginal.reshape(n, n_classes).sum(axis=1) - expected, 0.0)


def batch_bald(
    classifier: Any,
    X: Any,
    n_instances: int = 1,
    *,
    random_state: RandomState = None,
    n_samples: int = 100,
    max_configurations: int = 1_000,
) -> tuple[np.ndarray, np.ndarray]:
    """Query the images whose labels carry most joint information about the weights, greedily.

    ``x_i = argmax_x I(y; w | y_1 … y_(i-1))``: two copies of one image do not count twice, as they
    do in `bald`. The configurations of the labels chosen before are enumerated as long as there are
    at most `max_configurations`, and drawn from the model after that. All gains of a batch together
    are at most ln S; once nothing is left to gain, the highest scores of `bald` follow.

    Parameters
    ----------
    classifier : learner or estimator
        With ``sample_proba``, each sample being one draw of the weights for all images.
    X : array-like, shape (n, ...)
        The pool.
    n_instances : int
        Batch size.
    random_state : RandomState
        Seeds the samples, draws configurations, and breaks ties.
    n_samples : int
        Samples S of the weights.
    max_configurations : int
        1 or more; memory and time are proportional to it.

    Returns
    -------
    indices : ndarray, shape (n_instances,)
        Into `X`, in the order of choice.
    scores : ndarray, shape (n_instances,)
        The information that each adds, in nats; never rising while configurations are enumerated.

    References
    ----------
    Kirsch, van Amersfoort and Gal, "BatchBALD: Efficient and Diverse Batch Acquisition for Deep
    Bayesian Active Learning", NeurIPS 2019.
    """
    n = check_pool(X, n_instances)
    if max_configurations < 1:
        raise ValueError(f"max_configurations must be 1 or more; got {max_configurations}.")
    rng = check_random_state(random_state)
    samples = sampled_proba(classifier, X, n_samples, rng, joint=True)
    order = canonical_order(check_proba(samples.mean(axis=0)), rng)
    rank = rng.permutation(n)  # the higher wins a tie
    given = _Configurations(n_samples, max_configurations, rng)
    chosen, scores = np.empty(n_instances, dtype=np.intp), np.zeros(n_instances)
    with one_blas_thread():  # its threads would spin while those of the kernels work
        pool = _Pool(samples, order)
        bound = pool.single.copy()  # the information given other labels is never more
        for step in range(n_instances):
            best, gain = _most_informative(pool, bound, rank, given)
            if gain < EXHAUSTED:
                rest = np.lexsort((rank, np.where(np.isfinite(bound), pool.single, -np.inf)))
                chosen[step:] = rest[::-1][: n_instances - step]
                break
            chosen[step], scores[step], bound[best] = best, gain, -np.inf
            given.add(samples[:, order[best]].astype(np.float64))
    return order[chosen], scores


class _Pool:
    """Samples of the images in canonical order, with what gains need and no label changes.

    Attributes
    ----------
    entropies : ndarray, shape (n, S)
        Of each sample, in nats; rows in the order of the samples.
    single : ndarray, shape (n,)
        What each image's label alone says about the weights, in canonical order.
    """

    def __init__(self, samples: np.ndarray, order: np.ndarray) -> None:
        self.samples, self.order = samples, order
        self._direct = samples.flags.c_contiguous  # `numpy.take` would copy the whole otherwise
        n_samples, n, n_classes = samples.shape
        self.entropies, single = np.empty((n, n_samples)), np.empty(n)

        def fill(part: slice) -> None:
            proba = check_proba(samples[:, part].reshape(-1, n_classes))
            block = proba.reshape(n_samples, -1, n_classes)
            self.entropies[part] = -plogp(block).sum(axis=2).T
            of_mean = -plogp(block.mean(axis=0)).sum(axis=1)
            single[part] = np.maximum(of_mean - self.entropies[part].mean(axis=1), 0.0)

        for_each(fill, slices(n, BLOCK))
        self.single = single[order]

    def gains(self, rows: np.ndarray, given: Mixtures, mean: np.ndarray) -> np.ndarray:
        """Return `joint_gains` of some images in the precision of `given`.

        `mean` ``(S,)`` is the mean of the posteriors, in float64.
        """
        gains, dtype = np.empty(len(rows)), given.posteriors.dtype
        n_samples, _, n_classes = self.samples.shape

        def fill(part: slice) -> None:
            images = self.order[rows[part]]
            block = scratch("samples", (n_samples, len(images), n_classes), dtype)
            if self._direct and dtype == self.samples.dtype:
                np.take(self.samples, images, axis=1, out=block, mode="clip")
            else:
                block[:] = self.samples[:, images]
            gains[part] = joint_gains(block, *given, self.entropies[images] @ mean)

        most = TILE // (len(given.likelihoods) * n_classes * dtype.itemsize)
        for_each(fill, slices(len(rows), max(1, min(most, -(-len(rows) // PARTS)))))
        return gains


def _most_informative(
    pool: _Pool, bound: np.ndarray, rank: np.ndarray, given: _Configurations
) -> tuple[int, float]:
    """Return the image with the largest gain; bounds of those looked at are brought up to date.

    Images are looked at in blocks, as long as their bounds reach the largest gain. Each is looked
    at up to three times, as long as it may be the best: its gain given groups of configurations,
    which is an upper bound; its gain given all; and this again in float64. Bounds by configurations
    that were drawn for an earlier choice have a margin.
    """
    dtype = np.float32 if bound.max() > ROUGH else np.float64
    every, groups, rounding = given.every, given.grouped(), ROUNDING[dtype]
    mean = every.likelihoods @ every.posteriors
    rough_every, rough_groups = every.astype(dtype), groups and groups.astype(dtype)
    reach = bound * (1 + NOISE) if given.drawn else bound + ROUNDING[np.float64]
    waiting = np.isfinite(bound)
    best, gain, size = -1, -np.inf, BLOCK
    while len(rows := np.flatnonzero(waiting & (reach >= gain))):
        if len(rows) > size:
            rows = rows[np.argpartition(bound[rows], -size)[-size:]]
        waiting[rows], size = False, WAVE * BLOCK
        if rough_groups:
            bound[rows] = reach[rows] = pool.gains(rows, rough_groups, mean) + rounding
        highest_first = rows[np.argsort(-reach[rows], kind="stable")]
        for part in slices(len(rows), FEW):
            few = highest_first[part]
            few = few[reach[few] >= gain]
            if not len(few):
                break
            rough = pool.gains(few, rough_every, mean)
            bound[few] = rough + rounding
            few = few[rough + rounding >= max(gain, rough.max() - rounding)]
            bound[few] = gains = pool.gains(few, every, mean).round(DECIMALS)
            for image, image_gain in zip(few.tolist(), gains.tolist(), strict=True):
                if (image_gain, rank[image]) > (gain, rank[best]):
                    best, gain = image, image_gain
    return best, gain


class _Configurations:
    """Labels that the images chosen so far may have: all of them, or draws from the model."""

    def __init__(self, n_samples: int, most: int, rng: np.random.Generator) -> None:
        self.posteriors = np.full((1, n_samples), 1 / n_samples)
        self.likelihoods = np.ones(1)
        self.drawn = False
        self._most, self._rng = most, rng

    @property
    def every(self) -> Mixtures:
        """All of them."""
        return Mixtures(self.posteriors, self.likelihoods)

    def grouped(self) -> Mixtures | None:
        """Return posteriors and likelihoods of groups of alike configurations, if there are many.

        Entropy is concave: gains given the mean posteriors of groups, in `joint_gains`, are never
        less than those given all. The groups are those of a few steps of k-means.
        """
        if len(self.posteriors) <= 2 * GROUPS:
            return None
        alike = np.argsort(self.posteriors.argmax(axis=1), kind="stable")
        means = self.posteriors[alike[np.linspace(0, len(alike) - 1, GROUPS).astype(np.intp)]]
        weighted = _cast(self.posteriors, np.float64) * self.likelihoods[:, None]
        rows = _cast(self.posteriors, np.float32)
        for _ in range(STEPS):
            centres = _cast(means, np.float32)
            far = scratch("far", (len(rows), len(centres)), np.float32)
            np.matmul(rows, -2 * centres.T, out=far)
            far += np.einsum("ij,ij->i", centres, centres)
            group = far.argmin(axis=1)
            by_group = np.argsort(group, kind="stable")
            first = np.flatnonzero(np.diff(group[by_group], prepend=-1))
            likelihoods = np.add.reduceat(self.likelihoods[by_group], first)
            means = np.add.reduceat(weighted[by_group], first, axis=0) / likelihoods[:, None]
        return Mixtures(means, likelihoods)

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
            self.drawn = True
        possible = (conditional > 0) & (self.likelihoods > 0)  # the product may underflow
        self.posteriors = joint[possible] / conditional[possible, None]
        self.likelihoods = self.likelihoods[possible] / self.likelihoods[possible].sum()

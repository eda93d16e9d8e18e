"""BatchBALD: the batch whose labels together say most about the weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..geometry._points import slices
from ..geometry._threads import for_each, one_blas_thread, scratch
from ..seeding import RandomState, check_random_state
from ._configurations import Configurations, Mixtures
from ._order import canonical_order
from ._select import check_pool, check_proba, sampled_proba
from .uncertainty import plogp

FEW = 48  # images whose gains are computed at once, and before those of others are bounded
BLOCK = 128  # images; of more at once, gains given groups of configurations come first
WAVE = 8  # blocks whose gains are bounded at once
EXAMPLES = 8  # images for which configurations of one group predict alike
TILE = 2**20  # bytes of mixed probabilities at once: they stay in a core's cache
PARTS = 2  # of fewer images, for as many threads
RARE = 0.01  # of the largest bound: labels of less probability are not told apart
ROUGH = 2e-4  # nats: gains below this are not bounded in float32
ROUNDING = {np.float32: 1e-5, np.float64: 3e-7}  # nats: far more than is lost in a bound
DECIMALS = 12  # of gains: those of copies are equal
EXHAUSTED = 1e-6  # nats: gains up to this are rounding


def joint_gains(samples: np.ndarray, posteriors: np.ndarray, likelihoods: np.ndarray) -> np.ndarray:
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

    Returns
    -------
    ndarray, shape (n,), float64
        0 or more.
    """
    given = Mixtures(posteriors, likelihoods)
    expected = -plogp(samples).sum(axis=2).T @ given.mean
    return _gain_bounds(samples, given, given.mean, expected, 0.0)


def _gain_bounds(
    samples: np.ndarray, given: Mixtures, mean: np.ndarray, expected: np.ndarray, rare: float
) -> np.ndarray:
    """Return `joint_gains`, or upper bounds, where labels are rarer than `rare`.

    The entropy of such a label is that given no configuration: it is concave, so that this is more.
    `mean` ``(S,)`` is that of the posteriors, `expected` ``(n,)`` is ``E_c sum_s q_cs H(p_s)``.
    """
    n_samples, n, n_classes = samples.shape
    columns = samples.reshape(n_samples, -1)
    overall = mean @ columns
    entropy = -plogp(overall.astype(np.float64))
    frequent = np.flatnonzero(overall > rare)
    kept = scratch("kept", (n_samples, len(frequent)), samples.dtype)
    np.take(columns, frequent, axis=1, out=kept, mode="clip")
    dtype = given.posteriors.dtype
    mixed = scratch("mixed", (len(given.posteriors), len(frequent)), dtype)
    np.matmul(given.posteriors, kept, out=mixed)
    np.maximum(mixed, np.finfo(dtype).eps ** 2, out=mixed)  # 0 ln 0 = 0, nearly
    logarithm = np.log(mixed, out=scratch("logarithm", mixed.shape, dtype))
    logarithm *= mixed
    entropy[frequent] = -(given.likelihoods @ logarithm)
    return np.maximum(entropy.reshape(n, n_classes).sum(axis=1) - expected, 0.0)


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
    given = Configurations(n_samples, max_configurations, rng)
    chosen, scores = np.empty(n_instances, dtype=np.intp), np.zeros(n_instances)
    with one_blas_thread():  # its threads would spin while those of the kernels work
        pool = _Pool(samples, order)
        bound = pool.single.copy()  # the information given other labels is never more
        for step in range(n_instances):
            best, gain = _most_informative(pool, bound, rank, given)
            if best < 0:
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
    entropies : ndarray, shape (n, S), float32
        Of each sample, in nats; rows in the order of the samples.
    single : ndarray, shape (n,)
        What each image's label alone says about the weights, in canonical order.
    """

    def __init__(self, samples: np.ndarray, order: np.ndarray) -> None:
        self.samples, self.order = samples, order
        self._direct = samples.flags.c_contiguous  # `numpy.take` would copy the whole otherwise
        n_samples, n, n_classes = samples.shape
        self.entropies, single = np.empty((n, n_samples), dtype=np.float32), np.empty(n)

        def fill(part: slice) -> None:
            proba = check_proba(samples[:, part].reshape(-1, n_classes))
            block = proba.reshape(n_samples, -1, n_classes)
            entropies = -plogp(block).sum(axis=2)
            self.entropies[part] = entropies.T
            of_mean = -plogp(block.mean(axis=0)).sum(axis=1)
            single[part] = np.maximum(of_mean - entropies.mean(axis=0), 0.0)

        for_each(fill, slices(n, BLOCK))
        self.single = single[order]

    def gains(self, rows: np.ndarray, given: Mixtures) -> np.ndarray:
        """Return `joint_gains` of some images."""
        return self._by_parts(rows, given, lambda block, images: joint_gains(block, *given))

    def bounds(self, rows: np.ndarray, given: Mixtures, rare: float) -> np.ndarray:
        """Return `_gain_bounds` of some images, in the precision of `given`."""
        mean = given.mean

        def part_bounds(block: np.ndarray, images: np.ndarray) -> np.ndarray:
            return _gain_bounds(block, given, mean, self.entropies[images] @ mean, rare)

        return self._by_parts(rows, given, part_bounds)

    def _by_parts(
        self,
        rows: np.ndarray,
        given: Mixtures,
        compute: Callable[[np.ndarray, np.ndarray], np.ndarray],
    ) -> np.ndarray:
        """Call `compute` on samples and numbers of as many images as a tile holds."""
        values, dtype = np.empty(len(rows)), given.posteriors.dtype

        def fill(part: slice) -> None:
            images = self.order[rows[part]]
            values[part] = compute(self.read(images, dtype), images)

        most = max(1, TILE // (given.posteriors[:, 0].nbytes * self.samples.shape[2]))
        n_parts = -(-len(rows) // most)
        n_parts += -n_parts % PARTS  # as many for each thread
        for_each(fill, slices(len(rows), -(-len(rows) // n_parts)))
        return values

    def read(self, images: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Return the samples ``(S, len(images), K)`` of some images."""
        n_samples, _, n_classes = self.samples.shape
        block = scratch("samples", (n_samples, len(images), n_classes), dtype)
        if self._direct and dtype == self.samples.dtype:
            np.take(self.samples, images, axis=1, out=block, mode="clip")
        else:
            block[:] = self.samples[:, images]
        return block


def _most_informative(
    pool: _Pool, bound: np.ndarray, rank: np.ndarray, given: Configurations
) -> tuple[int, float]:
    """Return the image with the largest gain, -1 if none is above `EXHAUSTED`, and the gain.

    Bounds of images that are looked at are brought up to date.

    Images are looked at in blocks, as long as their bounds reach the largest gain. Each is looked
    at up to three times, as long as it may be the best: its gain given groups of configurations,
    which is an upper bound; its gain given all; and this again in float64. Bounds by configurations
    that were drawn for an earlier choice have the margin `Configurations.noise`.
    """
    dtype = np.float32 if bound.max() > ROUGH else np.float64
    every, rounding, rare = given.every, ROUNDING[dtype], RARE * bound.max()
    rough, groups = every.astype(dtype), None
    reach = bound * (1 + given.noise) + ROUNDING[np.float64]
    waiting = np.isfinite(bound)
    best, gain, size = -1, EXHAUSTED, FEW
    while len(rows := np.flatnonzero(waiting & (reach >= gain))):
        if len(rows) > size:
            rows = rows[np.argpartition(bound[rows], -size)[-size:]]
        if len(rows) > BLOCK:
            if groups is None:
                examples = pool.order[rows[:: -(-len(rows) // EXAMPLES)]]
                groups = given.grouped(pool.samples[:, examples], dtype)
            bound[rows] = reach[rows] = pool.bounds(rows, groups, rare) + rounding
        waiting[rows], size = False, WAVE * BLOCK
        highest_first = rows[np.argsort(-reach[rows], kind="stable")]
        for part in slices(len(rows), FEW):
            few = highest_first[part]
            few = few[reach[few] >= gain]
            if not len(few):
                break
            bound[few] = pool.bounds(few, rough, rare) + rounding
            few = few[np.argsort(-bound[few], kind="stable")]
            for near in (few[:PARTS], few[PARTS:]):
                near = near[bound[near] >= gain]
                if not len(near):
                    break
                bound[near] = gains = pool.gains(near, every).round(DECIMALS)
                for image, image_gain in zip(near.tolist(), gains.tolist(), strict=True):
                    if (image_gain, rank[image]) > (gain, rank[best]):
                        best, gain = image, image_gain
    return best, gain

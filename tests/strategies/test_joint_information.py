"""BatchBALD and EPIG against sums over all labels, and samples that must be joint."""

from __future__ import annotations

from importlib import import_module
from itertools import product

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from al_tf.strategies._configurations import Configurations, Mixtures
from al_tf.strategies._order import canonical_order
from al_tf.strategies.bald import bald_score
from al_tf.strategies.batch_bald import (
    _gain_bounds,
    _most_informative,
    _Pool,
    batch_bald,
    joint_gains,
)
from al_tf.strategies.epig import epig, epig_score, highest_epig
from al_tf.strategies.testing import FakeClassifier

batch_bald_module = import_module("al_tf.strategies.batch_bald")  # the package has the function
JOINT = [batch_bald, epig]


def entropy(p):
    p = np.asarray(p, dtype=float).ravel()
    return -(p[p > 0] * np.log(p[p > 0])).sum()


def joint_information(samples, rows):
    """``I(y_rows; w)`` by enumeration of every combination of labels."""
    n_samples, _, n_classes = samples.shape
    joint = [
        np.mean(np.prod([samples[:, r, c] for r, c in zip(rows, labels, strict=True)], axis=0))
        for labels in product(range(n_classes), repeat=len(rows))
    ]
    given = sum(entropy(samples[s, r]) for s in range(n_samples) for r in rows) / n_samples
    return entropy(joint) - given


def draws(n_samples, n, n_classes, seed=0, concentration=0.4):
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.full(n_classes, concentration), size=(n_samples, n))


class Draws:
    """An estimator with fixed samples; of copies it gives the first image's."""

    def __init__(self, samples):
        self.samples = samples

    def sample_proba(self, X, n_samples, random_state):
        if len(X) != self.samples.shape[1]:  # two copies of the first image
            return np.repeat(self.samples[:, :1], len(X), axis=1)
        return self.samples


@pytest.mark.parametrize("n_classes", [2, 3])
def test_batch_bald_takes_the_largest_joint_information(n_classes):
    samples = draws(6, 25, n_classes)
    indices, scores = batch_bald(Draws(samples), np.zeros((25, 1)), 4, n_samples=6)
    for step in range(4):
        before = joint_information(samples, indices[:step])
        options = {
            i: joint_information(samples, [*indices[:step], i]) - before
            for i in set(range(25)) - set(indices[:step])
        }
        assert scores[step] == pytest.approx(max(options.values()), abs=1e-9)
        assert options[indices[step]] == pytest.approx(max(options.values()), abs=1e-9)


def test_the_first_choice_is_that_of_bald():
    samples = draws(8, 60, 4)
    indices, scores = batch_bald(Draws(samples), np.zeros((60, 1)), 1, n_samples=8)
    assert indices[0] == bald_score(samples).argmax()
    assert scores[0] == pytest.approx(bald_score(samples).max())


def test_drawn_configurations_estimate_the_enumerated_information():
    samples = draws(10, 30, 3)
    model, X = Draws(samples), np.zeros((30, 1))
    exact, _ = batch_bald(model, X, 5, n_samples=10, max_configurations=3**5)
    drawn, _ = batch_bald(model, X, 5, n_samples=10, max_configurations=80, random_state=0)
    assert drawn[:4].tolist() == exact[:4].tolist()  # up to 27 configurations: enumerated
    together = [joint_information(samples, rows) for rows in (exact, drawn)]
    assert together[1] > 0.97 * together[0]


def test_copies_of_the_best_image_are_not_asked_for_twice():
    samples = draws(20, 10, 3)
    samples[:, 1:5] = samples[:, [bald_score(samples).argmax()]]
    indices, _ = batch_bald(Draws(samples), np.zeros((10, 1)), 5, n_samples=20)
    copies = np.flatnonzero((samples == samples[:, [1]]).all(axis=(0, 2)))
    assert np.isin(indices, copies).sum() == 1


def plain_picks(samples, k, seed, max_configurations):
    """The picks where every image's gain is computed for each."""
    n = samples.shape[1]
    rng = np.random.default_rng(seed)
    rng.integers(2**31)  # the seed of the samples
    order = canonical_order(samples.mean(axis=0), rng)
    rank = rng.permutation(n)
    given = Configurations(len(samples), max_configurations, rng)
    chosen = []
    for _ in range(k):
        gains = joint_gains(samples[:, order], given.posteriors, given.likelihoods).round(12)
        gains[chosen] = -1
        chosen.append(np.lexsort((rank, gains))[-1])
        given.add(samples[:, order[chosen[-1]]])
    return order[chosen]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("copies", [1, 2])
@pytest.mark.parametrize(("block", "few"), [(20, 16), (3, 1)])
def test_the_picks_are_those_of_computing_every_gain(seed, copies, block, few, monkeypatch):
    monkeypatch.setattr(batch_bald_module, "BLOCK", block)
    monkeypatch.setattr(batch_bald_module, "FEW", few)
    monkeypatch.setattr("al_tf.strategies._configurations.GROUPS", 30)
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(120 // copies, 8)) @ (
        rng.normal(scale=0.5, size=(8, 4)) + rng.normal(scale=0.3, size=(40, 8, 4))
    )
    samples = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    samples = np.repeat(samples, copies, axis=1)
    expected = plain_picks(samples, 12, seed, 200)
    options = {"n_samples": 40, "max_configurations": 200, "random_state": seed}
    indices, _ = batch_bald(Draws(samples), np.zeros((120, 1)), 12, **options)
    np.testing.assert_array_equal(indices, expected)


def test_gains_too_near_for_single_precision_are_told_apart():
    samples = draws(20, 30, 3)
    best = bald_score(samples).argmax()
    samples[:, :20] = samples[:, [best]]
    samples[:, :20, 0] *= 1 - 1e-9 * np.random.default_rng(0).permutation(20)[:, None].T
    samples /= samples.sum(axis=2, keepdims=True)
    gains = joint_gains(samples, np.full((1, 20), 0.05), np.ones(1))
    assert len(np.unique(gains[:20].astype(np.float32))) < 15 < len(np.unique(gains[:20]))
    for form in (samples, np.ascontiguousarray(samples.swapaxes(0, 1)).swapaxes(0, 1)):
        indices, scores = batch_bald(Draws(form), np.zeros((30, 1)), 1, n_samples=20)
        assert indices[0] == gains.argmax()
        assert scores[0] == pytest.approx(gains.max(), abs=1e-12)


@pytest.mark.parametrize("scale", [1, 12, 40])
def test_gains_of_single_precision_are_within_its_rounding(scale):
    """At 40, configurations have posteriors far below the smallest number of float32."""
    logits = scale * np.random.default_rng(0).normal(size=(50, 40, 5))
    samples = np.exp(logits - logits.max(axis=2, keepdims=True))
    samples /= samples.sum(axis=2, keepdims=True)
    given = Configurations(50, 500, np.random.default_rng(0))
    for image in range(6):
        given.add(samples[:, image])
    exact = joint_gains(samples, *given.every)
    single = joint_gains(samples.astype(np.float32), *given.every.astype(np.float32))
    np.testing.assert_allclose(single, exact, atol=batch_bald_module.ROUNDING[np.float32] / 3)


def test_numbers_that_are_slow_in_single_precision_become_zero():
    """Processors take a hundred times as long for those next to the smallest."""
    few = Mixtures(np.array([[1 - 1e-40, 1e-40], [0.5, 0.5]]), np.array([0.5, 0.5]))
    assert few.astype(np.float32).posteriors.tolist() == [[1, 0], [0.5, 0.5]]
    assert few.astype(np.float64).posteriors[1].tolist() == [0.5, 0.5]


@pytest.mark.parametrize("rough", [0.0, np.inf])
@pytest.mark.parametrize("seed", range(3))
def test_bounds_of_either_precision_give_the_same_picks(rough, seed, monkeypatch):
    samples = draws(20, 200, 4, seed)
    options = {"n_samples": 20, "max_configurations": 256, "random_state": 0}
    expected, gains = batch_bald(Draws(samples), np.zeros((200, 1)), 8, **options)
    monkeypatch.setattr(batch_bald_module, "ROUGH", rough)
    again, same = batch_bald(Draws(samples.astype(np.float32)), np.zeros((200, 1)), 8, **options)
    assert again.tolist() == expected.tolist()
    np.testing.assert_allclose(same, gains, atol=1e-6)


def test_no_choice_depends_on_the_number_of_threads():
    samples = draws(20, 600, 4)
    chosen = []
    for n_threads in (1, 2):
        with threadpool_limits(n_threads):
            chosen.append(
                batch_bald(Draws(samples), np.zeros((600, 1)), 12, n_samples=20, random_state=0)
            )
    np.testing.assert_array_equal(*(indices for indices, _ in chosen))
    np.testing.assert_array_equal(*(scores for _, scores in chosen))


def test_what_is_known_of_a_pool_is_computed_block_by_block(monkeypatch):
    monkeypatch.setattr(batch_bald_module, "BLOCK", 7)
    samples, order = draws(5, 30, 3), np.random.default_rng(1).permutation(30)
    pool = _Pool(samples.astype(np.float32), order)
    expected = [[entropy(samples[s, i]) for s in range(5)] for i in range(30)]
    np.testing.assert_allclose(pool.entropies, expected, atol=1e-6)
    np.testing.assert_allclose(pool.single, bald_score(samples)[order], atol=1e-6)


def test_bounds_by_drawn_configurations_have_a_margin(monkeypatch):
    """The best image's bound, of an earlier draw, lies a little below the second's gain."""
    monkeypatch.setattr(batch_bald_module, "FEW", 1)
    samples = draws(6, 5, 3)
    given = Configurations(6, 2, np.random.default_rng(0))
    assert given.noise == 0
    given.add(samples[:, 0])
    assert given.noise > 0.01
    gains = joint_gains(samples, given.posteriors, given.likelihoods)
    second, best = np.argsort(gains)[-2:]
    for noise, expected in ((0.02, best), (0.0, second)):
        given.noise = noise
        bound = gains.copy()
        bound[best] = 0.99 * gains[second]
        answer = _most_informative(_Pool(samples, np.arange(5)), bound, np.arange(5), given)
        assert answer == (expected, pytest.approx(gains[expected]))


def test_gains_given_groups_of_configurations_are_upper_bounds(monkeypatch):
    monkeypatch.setattr("al_tf.strategies._configurations.GROUPS", 16)
    samples = draws(30, 50, 3)
    given = Configurations(30, 100, np.random.default_rng(0))
    assert len(given.grouped(samples, np.float64).likelihoods) == 1
    for image in range(8):
        given.add(samples[:, image])
    posteriors, likelihoods = given.grouped(samples[:, ::5], np.float64)
    assert len(posteriors) <= 16
    np.testing.assert_allclose(likelihoods.sum(), 1)
    np.testing.assert_allclose(posteriors.sum(axis=1), 1)
    bounds = joint_gains(samples, posteriors, likelihoods)
    gains = joint_gains(samples, given.posteriors, given.likelihoods)
    one_group = joint_gains(samples, given.likelihoods[None] @ given.posteriors, np.ones(1))
    assert (bounds >= gains - 1e-12).all()
    assert (bounds - gains).mean() < 0.5 * (one_group - gains).mean()


@pytest.mark.parametrize("rare", [0.0, 0.01, 0.2, 1.0])
def test_gains_by_frequent_labels_alone_are_upper_bounds(rare):
    samples = draws(30, 50, 5)
    given = Configurations(30, 100, np.random.default_rng(0))
    for image in range(6):
        given.add(samples[:, image])
    gains = joint_gains(samples, *given.every)
    expected = given.every.mean @ [[entropy(p) for p in sample] for sample in samples]
    bounds = _gain_bounds(samples, given.every, given.every.mean, expected, rare)
    loose = joint_gains(samples, given.every.mean[None], np.ones(1))
    if rare == 0.0:
        np.testing.assert_allclose(bounds, gains, atol=1e-12)
    elif rare == 1.0:
        np.testing.assert_allclose(bounds, loose, atol=1e-12)
    else:
        assert (bounds >= gains - 1e-12).all()
        assert (bounds - gains).mean() < 10 * rare * (loose - gains).mean()


def test_labels_that_are_next_to_impossible_leave_the_bounds_finite(monkeypatch):
    """The likelihood of some configurations is too small for a number."""
    monkeypatch.setattr("al_tf.strategies._configurations.GROUPS", 4)
    samples = np.full((6, 11, 2), 1e-38)
    samples[:, :, 1] = 1.0
    samples[:, 10] = draws(6, 1, 2)[:, 0]
    given = Configurations(6, 1024, np.random.default_rng(0))
    for image in range(10):
        given.add(samples[:, image])
    assert (given.likelihoods > 0).all()
    with np.errstate(invalid="raise"):
        groups = given.grouped(samples, np.float64)
    assert np.isfinite(joint_gains(samples, *groups)).all()


def test_once_nothing_is_left_to_gain_bald_fills_the_batch():
    """Two samples that one certain label tells apart: the second has nothing to add."""
    samples = np.full((2, 6, 2), 0.5)
    samples[:, 2] = [[1, 0], [0, 1]]
    samples[:, 4] = [[0.9, 0.1], [0.1, 0.9]]
    samples[:, 5] = [[0.7, 0.3], [0.3, 0.7]]
    indices, scores = batch_bald(Draws(samples), np.zeros((6, 1)), 3, n_samples=2)
    assert indices.tolist() == [2, 4, 5]
    np.testing.assert_allclose(scores, [np.log(2), 0, 0], atol=1e-12)


def test_all_of_a_batch_gains_at_most_the_logarithm_of_the_samples():
    samples = draws(5, 40, 3)
    _, scores = batch_bald(Draws(samples), np.zeros((40, 1)), 40, n_samples=5, random_state=0)
    assert scores.sum() <= np.log(5) + 1e-2  # estimated


@pytest.mark.parametrize("block", [1, 4])
def test_the_size_of_the_blocks_changes_no_choice(block, monkeypatch):
    samples = draws(6, 40, 3)
    samples[:, 20:] = samples[:, :20]  # every image twice: ties
    expected, gains = batch_bald(Draws(samples), np.zeros((40, 1)), 6, n_samples=6, random_state=0)
    looked_at = []

    def spied_gains(rows, *given):
        looked_at.append(rows.shape[1])
        return _gain_bounds(rows, *given)

    monkeypatch.setattr("al_tf.strategies.batch_bald.BLOCK", block)
    monkeypatch.setattr("al_tf.strategies.batch_bald.FEW", block)
    monkeypatch.setattr("al_tf.strategies.batch_bald.WAVE", 1)
    monkeypatch.setattr("al_tf.strategies.batch_bald.PARTS", 1)
    monkeypatch.setattr("al_tf.strategies.batch_bald._gain_bounds", spied_gains)
    again, same = batch_bald(Draws(samples), np.zeros((40, 1)), 6, n_samples=6, random_state=0)
    assert again.tolist() == expected.tolist()
    np.testing.assert_allclose(same, gains, atol=1e-12)
    assert max(looked_at) == block
    assert sum(looked_at) < 6 * 40  # those that cannot gain most are left out


def test_the_most_informative_image_may_come_after_a_block_of_copies():
    """One label tells what all copies have to tell; image 70 splits the samples across them."""
    samples = np.empty((4, 101, 2))
    samples[:] = [[[1, 0]], [[1, 0]], [[0, 1]], [[0, 1]]]
    samples[:, 70] = [[0.9, 0.1], [0.1, 0.9], [0.9, 0.1], [0.1, 0.9]]
    indices, _ = batch_bald(Draws(samples), np.zeros((101, 1)), 2, n_samples=4)
    assert indices[0] != 70
    assert indices[1] == 70


@pytest.mark.parametrize("max_configurations", [1000, 8])
def test_a_class_that_is_impossible_changes_nothing(max_configurations):
    samples = draws(6, 20, 2)
    padded = np.concatenate([samples, np.zeros((6, 20, 1))], axis=2)
    options = {"n_samples": 6, "random_state": 0, "max_configurations": max_configurations}
    expected, gains = batch_bald(Draws(samples), np.zeros((20, 1)), 3, **options)
    with np.errstate(invalid="raise", divide="raise"):
        again, same = batch_bald(Draws(padded), np.zeros((20, 1)), 3, **options)
    assert again.tolist() == expected.tolist()
    np.testing.assert_allclose(same, gains, atol=1e-12)


def test_as_many_configurations_as_allowed_are_enumerated():
    samples = draws(5, 2, 3)
    given = Configurations(5, 9, np.random.default_rng(0))
    for image in (0, 1):
        given.add(samples[:, image])
    joint = np.einsum("sa,sb->abs", samples[:, 0], samples[:, 1]).reshape(9, 5) / 5
    np.testing.assert_allclose(given.likelihoods, joint.sum(axis=1))
    np.testing.assert_allclose(given.posteriors, joint / joint.sum(axis=1, keepdims=True))
    given.add(samples[:, 0])
    assert given.posteriors.shape == (9, 5)
    np.testing.assert_allclose(given.posteriors.sum(axis=1), 1)
    np.testing.assert_allclose(given.likelihoods, 1 / 9)


def test_drawn_configurations_are_as_likely_as_the_model_says():
    samples = draws(6, 32, 40, concentration=0.05)
    every = Configurations(6, 40**2, np.random.default_rng(0))
    drawn = Configurations(6, 40**2 - 1, np.random.default_rng(0))
    for given in (every, drawn):
        given.add(samples[:, 0])
        given.add(samples[:, 1])
    gains = [
        joint_gains(samples[:, 2:], given.posteriors, given.likelihoods) for given in (every, drawn)
    ]
    assert gains[1].mean() == pytest.approx(gains[0].mean(), rel=0.05)


def test_probabilities_of_single_precision_can_be_drawn_from():
    samples = draws(10, 30, 3).astype(np.float32)
    for most in (1, 100):
        indices, _ = batch_bald(
            Draws(samples), np.zeros((30, 1)), 8, n_samples=10, max_configurations=most
        )
        assert len(set(indices)) == 8


def test_configurations_are_at_least_one(learner, pool):
    with pytest.raises(ValueError, match="max_configurations must be 1 or more; got 0"):
        batch_bald(learner, pool, 2, max_configurations=0)


def test_epig_is_the_mean_information_about_the_targets():
    samples, targets = draws(7, 9, 3), draws(7, 4, 3, seed=1)
    expected = []
    for i in range(9):
        information = []
        for t in range(4):
            joint = np.einsum("sa,sb->ab", samples[:, i], targets[:, t]) / 7
            information.append(
                entropy(joint.sum(axis=1)) + entropy(joint.sum(axis=0)) - entropy(joint)
            )
        expected.append(np.mean(information))
    np.testing.assert_allclose(epig_score(samples, targets), expected, atol=1e-12)


def test_epig_in_small_pieces_is_the_same(monkeypatch):
    samples, targets = draws(5, 40, 3), draws(5, 6, 3, seed=1)
    whole = epig_score(samples, targets)
    monkeypatch.setattr("al_tf.strategies.epig.TILE", 1)
    np.testing.assert_allclose(epig_score(samples, targets), whole, atol=1e-14)


def test_epig_reads_as_many_images_at_once_as_a_tile_holds(monkeypatch):
    class Rows:
        def __init__(self, samples):
            self.samples, self.shape, self.read = samples, samples.shape, []

        def __getitem__(self, key):
            self.read.append(self.samples[key].shape[1])
            return self.samples[key]

    targets = draws(5, 6, 3, seed=1)
    for tile, expected in ((8 * 3 * 18 * 4, [4, 4, 2]), (8 * 3 * 18 * 4 - 1, [3, 3, 3, 1])):
        monkeypatch.setattr("al_tf.strategies.epig.TILE", tile)
        rows = Rows(draws(5, 10, 3))
        epig_score(rows, targets)
        assert rows.read == expected
    monkeypatch.setattr("al_tf.strategies.epig.TILE", 1)
    rows = Rows(draws(5, 3, 3))
    epig_score(rows, targets)
    assert rows.read == [1, 1, 1]


def test_epig_scores_of_single_precision_are_those_of_double():
    samples, targets = (draws(7, n, 3).astype(np.float32) for n in (9, 4))
    exact = epig_score(samples.astype(np.float64), targets.astype(np.float64))
    np.testing.assert_allclose(epig_score(samples, targets), exact, atol=1e-14)


@pytest.mark.parametrize("n_highest", [1, 7, 300])
def test_the_highest_epig_scores_are_among_those_computed_exactly(n_highest):
    samples, targets = draws(20, 300, 4), draws(20, 10, 4, seed=1)
    every = epig_score(samples, targets)
    images, scores = highest_epig(samples.astype(np.float32), targets, n_highest)
    assert len(images) >= n_highest
    assert set(np.argsort(-every)[:n_highest]) <= set(images)
    np.testing.assert_allclose(scores, every[images], atol=1e-6)
    if n_highest == 1:
        assert len(images) < 300


def test_epig_ignores_doubt_that_has_nothing_to_do_with_the_targets():
    """Image 0 splits the samples as the targets do, image 1 across them: BALD likes both."""
    samples = np.full((4, 12, 2), 0.5)
    samples[:, 0] = [[1, 0], [1, 0], [0, 1], [0, 1]]
    samples[:, 1] = [[1, 0], [0, 1], [1, 0], [0, 1]]
    samples[:, 2:] = [[[0.8, 0.2]], [[0.8, 0.2]], [[0.2, 0.8]], [[0.2, 0.8]]]
    np.testing.assert_allclose(bald_score(samples)[:2], np.log(2))
    scores = epig_score(samples, samples[:, 2:])
    assert scores[0] > 0.1
    assert scores[1] == pytest.approx(0, abs=1e-12)
    assert epig(Draws(samples), np.zeros((12, 1)), 1, n_samples=4)[0][0] == 0


def test_epig_looks_at_the_targets_asked_for(pool, labeled):
    model = FakeClassifier(joint_samples=True).fit(*labeled)
    few, _ = epig(model, pool, 20, random_state=0, n_targets=1)
    many, scores = epig(model, pool, 20, random_state=0, n_targets=1000)
    assert few.tolist() != many.tolist()
    samples = model.sample_proba(pool, 100, int(np.random.default_rng(0).integers(2**31)))
    np.testing.assert_allclose(scores, epig_score(samples, samples)[many], rtol=1e-9)
    with pytest.raises(ValueError, match="n_targets must be 1 or more; got 0"):
        epig(model, pool, n_targets=0)


@pytest.mark.parametrize("strategy", JOINT)
def test_samples_that_differ_between_copies_are_refused(strategy, learner, pool):
    with pytest.raises(
        TypeError, match=r"one draw of the weights.*FakeClassifier draws for each image separately"
    ):
        strategy(learner, pool, 2)


@pytest.mark.parametrize("strategy", JOINT)
def test_a_reordered_pool_gives_the_same_images(strategy, pool, labeled):
    model = FakeClassifier(joint_samples=True).fit(*labeled)
    order = np.random.default_rng(1).permutation(len(pool))
    indices, scores = strategy(model, pool, 8, random_state=0)
    again, again_scores = strategy(model, pool[order], 8, random_state=0)
    np.testing.assert_array_equal(order[again], indices)
    np.testing.assert_allclose(again_scores, scores, rtol=1e-6)

"""k-center, k-means, TypiClust and ProbCover on pools small enough to know the answer."""

from __future__ import annotations

import tracemalloc
from importlib import import_module

import numpy as np
import pytest

from al_tf.experiments import StrategySpec
from al_tf.geometry import center_and_scale, max_ball_cover
from al_tf.strategies import get_strategy
from al_tf.strategies._clusters import cluster
from al_tf.strategies._order import canonical_order
from al_tf.strategies.probcover import purity_radius
from al_tf.strategies.typiclust import TYPICAL_AT_MOST, _members, _turns

ALL = ["kcenter", "kmeans", "typiclust", "probcover"]
UNIT_LENGTH = ["typiclust", "probcover"]


class Blobs:
    """A pool of 2-D points that are their own features, in blobs of stated sizes."""

    def __init__(self, sizes, labeled_blobs=(), spread=0.1, seed=0):
        rng = np.random.default_rng(seed)
        centres = np.array([[10.0 * i, 7.0 * (i % 2)] for i in range(len(sizes))])
        self.blob = np.repeat(np.arange(len(sizes)), sizes)
        self.X = centres[self.blob] + spread * rng.standard_normal((sum(sizes), 2))
        self.X = self.X.astype(np.float32)
        self.centres = centres
        self.classes_ = np.arange(len(sizes))
        self.query_strategy = None
        self.estimator = self
        self.X_training = centres[list(labeled_blobs)].astype(np.float32)

    def transform(self, X):
        return np.asarray(X, dtype=np.float32)

    def predict_proba(self, X):
        apart = ((X[:, None] - self.centres) ** 2).sum(axis=2)
        p = np.exp(-(apart - apart.min(axis=1, keepdims=True)))
        return p / p.sum(axis=1, keepdims=True)


def query(name, blobs, k, seed=0, **params):
    """Ask a strategy; blobs lie apart in the plane, and have no directions of their own."""
    as_they_come = {"unit_length": False} if name in UNIT_LENGTH else {}
    return get_strategy(name)(blobs, blobs.X, k, random_state=seed, **as_they_come | params)


@pytest.mark.parametrize("name", ALL)
def test_a_batch_as_large_as_the_number_of_blobs_visits_each(name):
    blobs = Blobs([40, 30, 20, 50])
    indices, _ = query(name, blobs, 4)
    assert sorted(blobs.blob[indices]) == [0, 1, 2, 3]


@pytest.mark.parametrize("name", ["kcenter", "typiclust", "probcover"])
def test_blobs_with_a_label_come_last(name):
    blobs = Blobs([40, 30, 20, 50], labeled_blobs=[1, 3])
    indices, _ = query(name, blobs, 2)
    assert sorted(blobs.blob[indices]) == [0, 2]


@pytest.mark.parametrize("name", ALL)
def test_a_reordered_pool_gives_the_same_images(name):
    blobs = Blobs([60, 50, 40, 70], spread=2.0, labeled_blobs=[0])
    order = np.random.default_rng(1).permutation(len(blobs.X))
    indices, scores = query(name, blobs, 12)
    blobs.X = blobs.X[order]
    moved, moved_scores = query(name, blobs, 12)
    np.testing.assert_array_equal(order[moved], indices)
    np.testing.assert_allclose(moved_scores, scores)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("scale", [1e-25, 1e-3, 1e25])
def test_the_unit_of_the_features_does_not_matter(name, scale):
    blobs = Blobs([30, 20, 40], spread=1.0)
    expected, _ = query(name, blobs, 5)
    factor = np.float32(2.0 ** np.round(np.log2(scale)))
    blobs.transform = lambda X: np.asarray(X, dtype=np.float32) * factor
    np.testing.assert_array_equal(query(name, blobs, 5)[0], expected)


@pytest.mark.parametrize("name", ALL)
def test_a_pool_of_copies_is_queried_without_repeats(name):
    blobs = Blobs([30])
    blobs.X[:] = 1.0
    indices, scores = query(name, blobs, 30)
    assert sorted(indices) == list(range(30))
    assert np.isfinite(scores).all()
    assert indices.tolist() != query(name, blobs, 30, seed=1)[0].tolist()


def test_kcenter_scores_are_distances_to_what_is_labeled_or_chosen():
    blobs = Blobs([40, 40], labeled_blobs=[0, 1], spread=3.0)
    indices, scores = query("kcenter", blobs, 10)
    for place, row in enumerate(indices):
        known = np.concatenate([blobs.X_training, blobs.X[indices[:place]]])
        apart = np.linalg.norm(blobs.X[:, None].astype(float) - known, axis=2).min(axis=1)
        assert scores[place] == pytest.approx(apart.max(), rel=1e-5)
        assert apart[row] == pytest.approx(apart.max(), rel=1e-5)


def test_kmeans_takes_the_image_nearest_to_each_mean():
    blobs = Blobs([25, 25, 25])
    indices, scores = query("kmeans", blobs, 3)
    for row, score in zip(indices, scores, strict=True):
        members = blobs.X[blobs.blob == blobs.blob[row]].astype(float)
        apart = np.linalg.norm(members - members.mean(axis=0), axis=1)
        assert -score == pytest.approx(apart.min(), rel=1e-3)
    assert (np.diff(scores) <= 0).all()


def test_typiclust_takes_the_inverse_mean_distance_in_the_largest_blob_first():
    blobs = Blobs([30, 60, 45])
    indices, scores = query("typiclust", blobs, 3, n_neighbours=8)
    assert blobs.blob[indices].tolist() == [1, 2, 0]
    for row, score in zip(indices, scores, strict=True):
        members = blobs.X[blobs.blob == blobs.blob[row]].astype(float)
        apart = np.sort(np.linalg.norm(members[:, None] - members, axis=2), axis=1)[:, 1:9]
        assert score == pytest.approx(1 / apart.mean(axis=1).min(), rel=0.02)


def test_typiclust_looks_at_a_sample_of_a_huge_cluster(monkeypatch):
    from al_tf.strategies import typiclust as module

    monkeypatch.setattr(module, "LARGEST_CLUSTER", 50)
    blobs = Blobs([400, 300])
    indices, _ = query("typiclust", blobs, 2)
    assert blobs.blob[indices].tolist() == [0, 1]
    assert len(set(query("typiclust", blobs, 700)[0])) == 700


def test_typiclust_asks_for_neighbours_within_the_cluster():
    blobs = Blobs([12, 9, 10])
    indices, scores = query("typiclust", blobs, 3)  # 20 neighbours: more than there are
    for row, score in zip(indices, scores, strict=True):
        members = blobs.X[blobs.blob == blobs.blob[row]].astype(float)
        apart = np.linalg.norm(members[:, None] - members, axis=2).sum(axis=1) / (len(members) - 1)
        assert score == pytest.approx(1 / apart.min(), rel=2e-3)


def test_typiclust_bounds_what_is_typical_of_copies():
    blobs = Blobs([30])
    blobs.X[:] = 1.0
    np.testing.assert_allclose(query("typiclust", blobs, 3)[1], TYPICAL_AT_MOST)


@pytest.mark.parametrize("k", [1, 30])
def test_typiclust_never_takes_a_labeled_image(k):
    blobs = Blobs([30], labeled_blobs=[0], spread=1.0)  # the label lies in the very middle
    indices, _ = query("typiclust", blobs, k, max_clusters=1, n_neighbours=1)
    assert len(set(indices)) == k


def test_typiclust_turns_go_to_few_labels_then_to_many_images_and_to_small_clusters_last():
    pool = np.repeat([0, 1, 2, 3, 4, 5], [4, 5, 6, 7, 9, 20])
    labeled = np.repeat([3, 4, 5], [4, 1, 2])
    turns = _turns(pool, labeled, 6, 12, np.random.default_rng(0))
    assert turns.tolist() == [2, 1, 4, 5, 3, 0] * 2
    turns = _turns(np.repeat([0, 1], [6, 9]), np.repeat([0, 1], 5), 2, 2, np.random.default_rng(0))
    assert turns.tolist() == [1, 0]


def test_typiclust_draws_its_sample_of_a_huge_cluster_from_the_pool(monkeypatch):
    monkeypatch.setattr("al_tf.strategies.typiclust.LARGEST_CLUSTER", 8)
    labels = np.array([0] * 30 + [1] * 8 + [2] * 20 + [0] * 10 + [1] + [3])  # the last 12 labeled
    rng = np.random.default_rng(0)
    rows = _members(labels, np.array([0, 1]), 58, rng)
    assert (np.diff(rows) > 0).all()
    assert (labels[rows] == 0).sum() == 8
    assert (labels[rows] == 1).sum() == 8  # the labeled one counts, and is not drawn
    assert rows.max() < 58
    assert set(labels[rows]) == {0, 1}
    whole = _members(labels, np.array([1, 3]), 58, rng)
    assert 69 in whole  # a cluster as large as that is looked at whole
    many = _members(labels, np.repeat(0, 25), 58, rng)
    assert len(many) == 25  # as many as are to be chosen


def test_typiclust_goes_round_when_clusters_are_capped():
    blobs = Blobs([30, 20])
    indices, _ = query("typiclust", blobs, 5, max_clusters=2)
    assert blobs.blob[indices].tolist() == [0, 1, 0, 1, 0]


def test_probcover_scores_are_shares_of_the_pool():
    blobs = Blobs([50, 30, 20])
    _, scores = query("probcover", blobs, 4, radius=3.0)
    np.testing.assert_allclose(scores, [0.5, 0.3, 0.2, 0.0])


def test_probcover_with_fewer_targets_than_images():
    blobs = Blobs([500, 300, 200])
    indices, scores = query("probcover", blobs, 3, radius=3.0, max_targets=100)
    assert blobs.blob[indices].tolist() == [0, 1, 2]
    np.testing.assert_allclose(scores.sum(), 1.0)


@pytest.mark.parametrize(("n", "k"), [(1000, 10), (700, 200), (5000, 3), (40, 40)])
def test_few_rows_are_clustered_as_scikit_learn_does(monkeypatch, n, k):
    rows = np.random.default_rng(n).standard_normal((n, 30)).astype(np.float32)
    rows = center_and_scale(rows)[0]
    labels, centroids = cluster(rows, k, np.random.default_rng(0))
    monkeypatch.setattr("al_tf.strategies._clusters.FEW_ROWS", 0)
    expected_labels, expected = cluster(rows.copy(), k, np.random.default_rng(0))
    np.testing.assert_array_equal(labels, expected_labels)
    np.testing.assert_allclose(centroids, expected, atol=1e-5)


def test_the_purity_radius_is_a_quantile_of_distances_to_other_clusters():
    features = np.array([[0.0], [1.0], [10.0], [11.0]])
    assert purity_radius(features, 2, purity=0.5, random_state=0) == pytest.approx(9.5)
    assert purity_radius(np.ones((9, 2)), 3) == 0.0


def test_the_purity_radius_is_the_largest_that_leaves_the_balls_pure():
    """The paper's definition, counted: in a pure ball all images are of its centre's cluster."""
    rows = np.random.default_rng(3).standard_normal((400, 6)).astype(np.float32)
    labels, _ = cluster(center_and_scale(rows)[0], 4, np.random.default_rng(0))
    apart = np.sqrt(((rows[:, None].astype(np.float64) - rows) ** 2).sum(axis=2))
    other = labels[:, None] != labels

    def purity(radius):
        return 1 - ((apart < radius) & other).any(axis=1).mean()

    radius = purity_radius(rows, 4, random_state=np.random.default_rng(0))
    assert purity(radius * (1 - 1e-6)) >= 0.95 > purity(1.01 * radius)  # up to rounding


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("typiclust", {"n_neighbours": 0}, "n_neighbours must be 1 or more"),
        ("typiclust", {"max_clusters": 0}, "max_clusters must be 1 or more"),
        ("probcover", {"radius": -1.0}, "radius must be a number of 0 or more"),
        ("probcover", {"max_targets": 0}, "max_targets must be 1 or more"),
    ],
)
def test_a_parameter_out_of_range_is_an_error(name, params, message):
    with pytest.raises(ValueError, match=message):
        query(name, Blobs([9, 9]), 2, **params)


def test_clusters_of_a_sample_still_label_every_row():
    blobs = Blobs([2000, 1500, 1000])
    labels, centroids = cluster(blobs.X, 3, random_state=0)
    assert len(labels) == 4500
    assert len(centroids) == len(set(zip(labels, blobs.blob, strict=True))) == 3


def test_clusters_are_as_many_as_asked_for_where_rows_are_distinct_enough():
    rows = np.zeros((1000, 2), dtype=np.float32)
    rows[:3] = [[9, 0], [0, 9], [9, 9]]  # the start by a sample misses some
    labels, centroids = cluster(rows, 4, random_state=0)
    assert len(centroids) == len(set(labels)) == 4
    assert len(cluster(rows, 9, random_state=0)[1]) == 4


def test_the_canonical_order_undoes_any_other():
    rows = np.random.default_rng(0).standard_normal((500, 7)).astype(np.float32)
    shuffled = rows[np.random.default_rng(1).permutation(500)]
    np.testing.assert_array_equal(rows[canonical_order(rows)], shuffled[canonical_order(shuffled)])


def test_the_canonical_order_of_copies_is_random():
    orders = {tuple(canonical_order(np.ones((4, 2)), seed)) for seed in range(60)}
    assert len(orders) > 15


@pytest.mark.parametrize("purity", [0.0, 1.0, 1.5])
def test_a_purity_lies_between_0_and_1(purity):
    with pytest.raises(ValueError, match="purity must lie between 0 and 1"):
        purity_radius(np.eye(4), 2, purity=purity)


def test_the_purity_radius_of_many_images_is_that_of_a_sample(monkeypatch):
    rng = np.random.default_rng(0)
    features = rng.standard_normal((900, 3)) + np.repeat([[0], [8], [16]], 300, axis=0)
    whole = purity_radius(features, 3, random_state=0)
    monkeypatch.setattr("al_tf.strategies.probcover.RADIUS_SAMPLE", 300)
    computed = [purity_radius(features, 3, random_state=seed) for seed in (0, 0, 1)]
    assert computed[0] == computed[1] != computed[2]
    np.testing.assert_allclose(computed, whole, rtol=0.25)


def test_probcover_covers_a_sample_without_repeats(monkeypatch):
    from al_tf.strategies import probcover as module

    seen = []

    def spied(computed, k, radius, centers, *, targets, random_state):
        seen.append(targets)
        return max_ball_cover(
            computed, k, radius, centers, targets=targets, random_state=random_state
        )

    monkeypatch.setattr(module, "max_ball_cover", spied)
    blobs = Blobs([50, 30, 20])
    query("probcover", blobs, 3, radius=3.0, max_targets=len(blobs.X) - 5)
    assert len(np.unique(seen[0], axis=0)) == len(blobs.X) - 5
    query("probcover", blobs, 3, radius=3.0, max_targets=1)
    assert len(seen[1]) == 1
    with pytest.raises(ValueError, match="max_targets must be 1 or more; got 0"):
        query("probcover", blobs, 3, radius=3.0, max_targets=0)


def of_unit_length(rows):
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    return (rows / np.maximum(lengths, 1e-30)).astype(np.float32)


class Directions(Blobs):
    """Blobs of directions in five dimensions; lengths differ a hundredfold. Two are labeled."""

    def __init__(self, sizes, dtype=np.float32):
        super().__init__(sizes)
        rng = np.random.default_rng(5)
        directions = np.eye(5)[self.blob] + 0.2 * rng.standard_normal((len(self.blob), 5))
        lengths = 10.0 ** rng.uniform(-1, 1, len(directions))[:, None]
        rows = (of_unit_length(directions) * lengths).astype(dtype)
        self.X, self.X_training = rows[2:], rows[:2]

    def transform(self, X):
        return X


@pytest.mark.parametrize("name", UNIT_LENGTH)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_features_are_divided_by_their_lengths_unless_told_not_to(name, dtype, monkeypatch):
    module = import_module(f"al_tf.strategies.{name}")
    monkeypatch.setattr(module, "canonical_order", lambda rows, rng: np.arange(len(rows)))
    pool = Directions([70, 50, 60, 40], dtype)
    indices, scores = get_strategy(name)(pool, pool.X, 9, random_state=0)
    raw, _ = query(name, pool, 9, unit_length=False)
    pool.X, pool.X_training = of_unit_length(pool.X), of_unit_length(pool.X_training)
    expected, expected_scores = query(name, pool, 9, unit_length=False)
    assert indices.tolist() == expected.tolist() != raw.tolist()
    np.testing.assert_allclose(scores, expected_scores, rtol=1e-5)


def test_probcover_at_unit_length_covers_the_most_directions_in_each_step():
    pool = Directions([70, 50, 60, 40])
    rows, labeled = of_unit_length(pool.X), of_unit_length(pool.X_training)
    near = np.linalg.norm(rows[:, None].astype(float) - rows, axis=2) <= 0.4
    left = (np.linalg.norm(rows[:, None].astype(float) - labeled, axis=2) > 0.4).all(axis=1)
    indices, scores = query("probcover", pool, 8, radius=0.4, unit_length=True)
    for row, score in zip(indices, scores, strict=True):
        gains = (near & left).sum(axis=1)
        assert score * len(rows) == pytest.approx(gains[row]) == gains.max()
        left &= ~near[row]


def test_typiclust_at_unit_length_asks_for_the_most_typical_direction():
    pool = Directions([32, 60, 45])
    indices, scores = query("typiclust", pool, 3, n_neighbours=8, max_clusters=3, unit_length=True)
    rows, blob = of_unit_length(pool.X), pool.blob[2:]
    assert blob[indices].tolist() == [1, 2, 0]  # the first has the two labels
    for row, score in zip(indices[:2], scores, strict=False):
        members = rows[blob == blob[row]].astype(float)
        apart = np.sort(np.linalg.norm(members[:, None] - members, axis=2), axis=1)[:, 1:9]
        assert score == pytest.approx(1 / apart.mean(axis=1).min(), rel=1e-3)


@pytest.mark.parametrize("name", UNIT_LENGTH)
def test_features_of_zeros_stay_zeros_at_unit_length(name):
    pool = Directions([70, 50, 60, 40])
    pool.X[:30] = 0.0
    indices, scores = query(name, pool, 5, unit_length=True)
    assert sum(indices < 30) <= 1  # they are copies of each other
    assert np.isfinite(scores).all()
    pool.X[:] = 0.0
    assert len(set(query(name, pool, 5, unit_length=True)[0])) == 5


@pytest.mark.parametrize("name", UNIT_LENGTH)
def test_unit_length_needs_no_second_copy_of_the_features(name):
    pool = Blobs([4000])
    pool.X = np.random.default_rng(0).standard_normal((4000, 300)).astype(np.float32)
    pool.X_training = pool.X[:20]
    peaks = {}
    for unit_length in (False, True):
        query(name, pool, 5, unit_length=unit_length)  # modules that are imported late
        tracemalloc.start()
        query(name, pool, 5, unit_length=unit_length)
        peaks[unit_length] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peaks[True] < peaks[False] + pool.X.nbytes / 4


@pytest.mark.parametrize("name", UNIT_LENGTH)
def test_a_misspelt_option_of_an_experiment_is_told_its_name(name):
    with pytest.raises(ValueError, match=r"has no parameter 'unit_lenght'. It has: .*unit_length"):
        StrategySpec("mine", name, {"unit_lenght": True})

"""k-means++ on factors: the probabilities of the definition, at any scale. k-means as scikit-learn's."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from sklearn.cluster import KMeans, kmeans_plusplus

from al_tf import geometry
from al_tf.geometry import _kmeans
from al_tf.geometry._kmeans import greedy_start, lloyd
from al_tf.geometry._threads import one_blas_thread

from .naive import naive_distances, rows


def test_kmeans_plus_plus_draws_with_the_probabilities_of_the_definition():
    rng = np.random.default_rng(3)
    left, right = rng.standard_normal((5, 2)), rng.standard_normal((5, 3))
    outer = np.einsum("nk,nd->nkd", left, right).reshape(5, -1)
    squared = naive_distances(outer, outer) ** 2
    first = int((outer**2).sum(axis=1).argmax())
    expected = {}
    for second in set(range(5)) - {first}:
        p = squared[first, second] / squared[first].sum()
        rest = np.minimum(squared[first], squared[second])
        for third in set(range(5)) - {first, second}:
            expected[first, second, third] = p * rest[third] / rest.sum()
    n = 3000
    counts = Counter(
        tuple(map(int, geometry.kmeans_plus_plus(left, right, 3, random_state=seed)[0]))
        for seed in range(n)
    )
    assert set(counts) <= set(expected)
    for triple, p in expected.items():
        assert abs(counts[triple] - n * p) < 5 * np.sqrt(n * p * (1 - p)) + 1


def test_kmeans_plus_plus_draws_in_blocks_as_it_would_one_by_one():
    """Later picks are drawn several at once: each row must be among them as often as it should."""
    rng = np.random.default_rng(3)
    left, right = rng.standard_normal((14, 2)), rng.standard_normal((14, 3))
    outer = np.einsum("nk,nd->nkd", left, right).reshape(14, -1)
    squared = naive_distances(outer, outer) ** 2
    n, k = 4000, 10
    alive = np.repeat(squared[[(outer**2).sum(axis=1).argmax()]], n, axis=0)  # (n, 14)
    chosen_before = np.zeros((n, 14), dtype=bool)
    chosen_before[:, (outer**2).sum(axis=1).argmax()] = True
    for _ in range(k - 1):
        cumulative = alive.cumsum(axis=1)
        pick = (cumulative < rng.random((n, 1)) * cumulative[:, -1:]).sum(axis=1)
        chosen_before[np.arange(n), pick] = True
        alive = np.minimum(alive, squared[pick])
    computed = np.zeros(14)
    for seed in range(n):
        computed[geometry.kmeans_plus_plus(left, right, k, random_state=seed)[0]] += 1
    expected = chosen_before.sum(axis=0)
    spread = np.sqrt(2 * expected * (1 - expected / n))
    assert (np.abs(computed - expected) <= 4.5 * spread + 1).all(), (computed, expected)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_kmeans_plus_plus_at_any_scale(scale):
    rng = np.random.default_rng(0)
    left, right = rng.standard_normal((50, 3)), rng.standard_normal((50, 4))
    expected = geometry.kmeans_plus_plus(left, right, 20, random_state=0)
    chosen, squared = geometry.kmeans_plus_plus(left, -right * scale, 20, random_state=0)
    np.testing.assert_array_equal(chosen, expected[0])
    np.testing.assert_allclose(squared / scale**2, expected[1], rtol=1e-3)


def test_kmeans_plus_plus_of_rows_below_zero():
    rng = np.random.default_rng(0)
    left, right = rng.random((50, 3)), rng.random((50, 4)) + 0.1
    expected = geometry.kmeans_plus_plus(left, right, 20, random_state=0)
    chosen, squared = geometry.kmeans_plus_plus(left, right * -1e30, 20, random_state=0)
    np.testing.assert_array_equal(chosen, expected[0])
    np.testing.assert_allclose(squared / 1e60, expected[1], rtol=1e-3)


def test_kmeans_plus_plus_tells_short_rows_apart():
    """As gradients of images that a network is nearly sure of are, beside others."""
    rng = np.random.default_rng(0)
    left, right = rng.standard_normal((200, 3)), rng.standard_normal((200, 8))
    left[5:] *= 1e-4
    outer = np.einsum("nk,nd->nkd", left, right).reshape(200, -1)
    chosen, squared = geometry.kmeans_plus_plus(left, right, 60, random_state=0)
    for place in range(1, 60):
        to_chosen = naive_distances(outer[chosen[place]][None], outer[chosen[:place]])
        assert squared[place] == pytest.approx(to_chosen.min() ** 2, rel=1e-3)


def test_kmeans_plus_plus_of_nothing_but_zeros():
    chosen, squared = geometry.kmeans_plus_plus(np.zeros((6, 2)), np.zeros((6, 3)), 6)
    assert sorted(chosen) == list(range(6))
    assert not squared.any()
    assert geometry.kmeans_plus_plus(np.ones((3, 2)), np.ones((3, 2)), 1)[0].shape == (1,)


@pytest.mark.parametrize("side", [0, 1])
def test_kmeans_plus_plus_refuses_what_is_not_finite_or_does_not_fit(side):
    factors = [rows(6, 2), rows(6, 3)]
    factors[side][2] = np.nan
    with pytest.raises(ValueError, match="left and right must be finite"):
        geometry.kmeans_plus_plus(*factors, 2)
    factors[side] = rows(5, 2)
    with pytest.raises(ValueError, match=r"left and right differ in rows: (5 and 6|6 and 5)"):
        geometry.kmeans_plus_plus(*factors, 2)
    factors[side] = np.zeros(6)
    with pytest.raises(ValueError, match=f"Expected {('left', 'right')[side]} of shape"):
        geometry.kmeans_plus_plus(*factors, 2)


def test_kmeans_plus_plus_reports_the_distances_of_the_outer_products():
    rng = np.random.default_rng(0)
    left, right = rng.standard_normal((400, 3)), rng.standard_normal((400, 8)) * 1e4
    outer = np.einsum("nk,nd->nkd", left, right).reshape(400, -1)
    chosen, squared = geometry.kmeans_plus_plus(left, right, 60, random_state=0)
    assert len(set(chosen)) == 60
    assert squared[0] == pytest.approx((outer[chosen[0]] ** 2).sum(), rel=1e-4)
    for place in range(1, 60):
        to_chosen = naive_distances(outer[chosen[place]][None], outer[chosen[:place]])
        assert squared[place] == pytest.approx(to_chosen.min() ** 2, rel=1e-3)


def test_kmeans_plus_plus_takes_copies_last():
    left = np.ones((60, 1))
    right = np.repeat(rows(6, 4), 10, axis=0)
    chosen, squared = geometry.kmeans_plus_plus(left, right, 60, random_state=0)
    assert sorted(chosen) == list(range(60))
    assert set(chosen[:6] // 10) == set(range(6))
    assert (squared[:6] > 0).all()
    assert not squared[6:].any()


def softmax(n, sharpness, seed=0):
    logits = sharpness * np.random.default_rng(seed).standard_normal((n, 10))
    proba = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (proba / proba.sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("sharpness", [1, 8, 40])
def test_the_start_of_kmeans_is_scikit_learns(sharpness):
    points = softmax(1500, sharpness)
    _, expected = kmeans_plusplus(points, 150, random_state=3)
    assert greedy_start(points, 150, np.random.RandomState(3)).tolist() == expected.tolist()


def plain_start(rows, k, rng):
    """Greedy k-means++ with all distances of every candidate."""
    n, n_trials = len(rows), 2 + int(np.log(k))
    right = np.ones((rows.shape[1] + 2, n))
    right[:-2] = rows.T
    np.einsum("ji,ji->i", right[:-2], right[:-2], out=right[-1])
    ones = np.ones(n, dtype=np.float32)
    chosen = [rng.choice(n, p=ones / ones.sum())]
    nearest = np.full(n, np.inf, dtype=np.float32)

    def lowered(candidates):
        left = right[:, candidates].T * -2.0
        left[:, -2], left[:, -1] = right[-1, candidates], 1.0
        return np.maximum(np.minimum((left @ right).astype(np.float32), nearest), 0.0)

    with one_blas_thread():
        nearest = lowered(chosen)[0]
        total = nearest @ ones
        while len(chosen) < k:
            marks = rng.uniform(size=n_trials) * total
            candidates = np.minimum(np.searchsorted(np.cumsum(nearest), marks), n - 1)
            tried = lowered(candidates)
            totals = (tried @ ones[:, None])[:, 0]
            total, nearest = totals.min(), tried[totals.argmin()]
            chosen.append(candidates[totals.argmin()])
    return chosen


def pool_of(kind, seed):
    """Return 2,000 to 3,000 rows of two columns, or three of probabilities."""
    rng = np.random.default_rng(seed)
    n = rng.integers(2000, 3000)
    normal = rng.standard_normal((n, 2))
    pools = {
        "probabilities": softmax(n, 3, seed)[:, :3],
        "ties": rng.integers(0, 30, (n, 2)) * 0.5,  # distances are exact
        "copies": normal[rng.integers(0, n, n)],
        "long and short": normal * np.exp(3 * rng.standard_normal((n, 1))),
        "nearly certain": np.eye(2)[rng.integers(0, 2, n)] + 1e-5 * normal,
        "far from 0": 1000 + normal,
        "small": 1e-15 * normal,
        "sorted": normal[np.argsort(normal[:, 0])],
    }
    return pools[kind].astype(np.float32)


@pytest.fixture
def computed(monkeypatch):
    """A list of how many rows' distances to the candidates were computed at once."""
    sizes = []

    class Counted(_kmeans._Groups):
        def near(self, left):
            for some, right in super().near(left):
                sizes.append(len(some))
                yield some, right

    monkeypatch.setattr(_kmeans, "_Groups", Counted)
    return sizes


KINDS = [
    *("probabilities", "ties", "copies", "long and short", "nearly certain", "far from 0"),
    *("small", "sorted"),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_the_start_of_kmeans_is_the_same_without_most_distances(computed, kind, seed):
    points = pool_of(kind, seed)
    expected = plain_start(points, 500, np.random.RandomState(seed))
    assert greedy_start(points, 500, np.random.RandomState(seed)).tolist() == expected
    assert sum(computed) < 0.5 * 500 * len(points)


@pytest.mark.parametrize("seed", range(6))
def test_the_start_of_kmeans_goes_on_where_every_row_is_a_copy(seed):
    """Squared distances of copies are not 0 but rounding, below 0 with some."""
    one = 1000 * np.random.default_rng(seed).standard_normal(3) * (seed > 0)
    points = np.tile(one, (600, 1)).astype(np.float32)
    expected = plain_start(points, 500, np.random.RandomState(seed))
    assert greedy_start(points, 500, np.random.RandomState(seed)).tolist() == expected


@pytest.mark.parametrize(("n", "k"), [(1500, 150), (1500, 3), (200, 1), (60, 60)])
def test_the_centroids_of_kmeans_are_scikit_learns(n, k):
    points = softmax(n, 3)
    expected = KMeans(k, n_init=1, random_state=7).fit(points).cluster_centers_
    np.testing.assert_allclose(geometry.kmeans(points, k, 7), expected, atol=2e-6)


def test_kmeans_stops_where_no_row_changes_its_cluster():
    points = softmax(600, 2).astype(np.float64)
    centroids = geometry.kmeans(points, 20, 0)
    labels = naive_distances(points, centroids).argmin(axis=1)
    means = [points[labels == label].mean(axis=0) for label in range(20)]
    np.testing.assert_allclose(centroids, means, atol=2e-3)


@pytest.mark.parametrize("tolerance", [0.0, 0.5])
def test_as_many_steps_are_made_as_scikit_learn_makes(tolerance):
    points = softmax(900, 3)
    for steps in (1, 2, 7):
        limits = {"max_iter": steps, "tol": tolerance}
        expected = KMeans(9, init=points[:9], n_init=1, **limits).fit(points).cluster_centers_
        centroids = lloyd(points, points[:9], max_iterations=steps, tolerance=tolerance)
        np.testing.assert_allclose(centroids, expected, atol=2e-6)


def test_a_cluster_that_loses_its_rows_gets_another_as_in_scikit_learn():
    points = softmax(300, 3)
    start = np.vstack([points[:9], np.full((1, 10), 50.0, dtype=np.float32)])
    expected = KMeans(10, init=start, n_init=1).fit(points).cluster_centers_
    np.testing.assert_allclose(lloyd(points, start), expected, atol=1e-5)
    assert lloyd(points, start).max() < 2

"""Kernels against naive float64 references, scikit-learn, and at the edges of shape and scale."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import KernelDensity
from threadpoolctl import threadpool_limits

from al_tf import geometry
from al_tf.errors import UnknownNameError
from al_tf.geometry._distances import lower_to_nearest
from al_tf.geometry._points import LARGEST_TILE, make_points, tile_size
from al_tf.geometry._threads import n_workers, ordered_map, scratch

SMALL = 2**20  # bytes: many tiles even for few rows


def rows(n, d, seed=0, scale=1.0, offset=0.0):
    return (offset + scale * np.random.default_rng(seed).standard_normal((n, d))).astype(np.float32)


def naive_distances(X, Y):
    return np.sqrt(((X[:, None].astype(float) - Y[None].astype(float)) ** 2).sum(axis=2))


def naive_k_center(X, k, centers):
    X = X.astype(float)
    nearest = naive_distances(X, centers).min(axis=1)
    chosen, values = [], []
    for _ in range(k):
        chosen.append(int(nearest.argmax()))
        values.append(nearest[chosen[-1]])
        nearest = np.minimum(nearest, naive_distances(X, X[chosen[-1:]])[:, 0])
        nearest[chosen] = -1
    return chosen, values


# Nearest of a set, mean similarity, neighbours ---------------------------------------------


@given(
    n=st.integers(1, 70),
    m=st.integers(1, 40),
    d=st.integers(1, 9),
    exponent=st.integers(-28, 28),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_nearest_of_set_at_any_shape_and_scale(n, m, d, exponent, seed):
    X, centers = rows(n, d, seed), rows(m, d, seed + 1)
    centers[0] = X[0]
    expected = naive_distances(X, centers)
    scale = np.float32(10.0**exponent)
    distances, nearest = geometry.nearest_of_set(X * scale, centers * scale)
    np.testing.assert_allclose(distances / float(scale), expected.min(axis=1), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(nearest, expected.argmin(axis=1))


def test_a_common_offset_costs_no_digits():
    X = rows(300, 8, offset=1000.0)
    distances, _ = geometry.nearest_of_set(X[:100], X[100:])
    np.testing.assert_allclose(distances, naive_distances(X[:100], X[100:]).min(axis=1), rtol=1e-4)


@pytest.mark.parametrize("offset", [1e6, -1e6])
def test_float64_rows_far_from_the_origin_keep_their_digits(offset):
    X = np.random.default_rng(0).standard_normal((300, 4))
    (points,) = make_points(X + offset)
    np.testing.assert_allclose(
        naive_distances(points.rows, points.rows) * points.scale, naive_distances(X, X), atol=1e-5
    )


@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_mean_similarity_is_modals_information_density(offset):
    X = rows(1300, 20, offset=offset)
    X[7] = X[1200]
    expected = (1 / (1 + pairwise_distances(X.astype(float)))).mean(axis=1)
    np.testing.assert_allclose(geometry.mean_similarity(X), expected, atol=1e-5)
    np.testing.assert_allclose(geometry.mean_similarity(X, memory_limit=SMALL), expected, atol=1e-5)


def test_mean_similarity_of_many_copies():
    X = np.repeat(rows(30, 6, scale=500.0), 25, axis=0)
    expected = (1 / (1 + naive_distances(X, X))).mean(axis=1)
    np.testing.assert_allclose(geometry.mean_similarity(X), expected, atol=1e-5)


@pytest.mark.parametrize("m", [90, 1300])
def test_mean_similarity_to_a_reference(m):
    X, reference = rows(600, 5), rows(m, 5, seed=1)
    expected = (1 / (1 + naive_distances(X, reference))).mean(axis=1)
    np.testing.assert_allclose(geometry.mean_similarity(X, reference), expected, atol=1e-5)


def test_rounded_distances_are_as_far_off_as_they_say():
    """A bound that is lower already stays; the others come down, over more centers than a tile."""
    points, centers = make_points(rows(900, 6), rows(1300, 6, seed=1, scale=0.01, offset=2.0))
    exact = naive_distances(points.rows, centers.rows).min(axis=1) ** 2
    bound = np.where(np.arange(900) % 3, np.inf, exact / 2).astype(np.float32)
    error = lower_to_nearest(bound, points, centers, SMALL)
    expected = np.where(np.arange(900) % 3, exact, exact / 2)
    assert 0 < np.abs(bound - expected).max() <= error < 1e-3


@pytest.mark.parametrize("k", [1, 7, 1000])
def test_mean_neighbour_distance(k):
    X = rows(700, 6)
    X[3] = X[650]
    apart = naive_distances(X, X)
    np.fill_diagonal(apart, np.inf)
    expected = np.sort(apart, axis=1)[:, : min(k, len(X) - 1)].mean(axis=1)
    np.testing.assert_allclose(
        geometry.mean_neighbour_distance(X, k), expected, rtol=1e-5, atol=1e-6
    )


def test_mean_neighbour_distance_inside_groups():
    """Groups in any order, of one row, and tight ones far from each other keep their digits."""
    rng = np.random.default_rng(0)
    groups = np.repeat([7, 3, 5, 9], [1, 40, 700, 12])
    X = rng.standard_normal((len(groups), 5)) * 1e-3 + groups[:, None] * 10.0
    mixed = rng.permutation(len(groups))
    X, groups = X[mixed], groups[mixed]
    found = geometry.mean_neighbour_distance(X, 6, groups)
    expected = np.zeros(len(X))
    for group in np.unique(groups)[[0, 1, 3]]:
        inside = np.flatnonzero(groups == group)
        apart = np.linalg.norm(X[inside, None] - X[None, inside], axis=2)
        expected[inside] = np.sort(apart, axis=1)[:, 1:7].mean(axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert found[groups == 7] == 0


def test_groups_that_span_tiles_far_from_each_other(monkeypatch):
    monkeypatch.setattr("al_tf.geometry._distances.MEMORY_LIMIT", SMALL)
    groups = np.repeat([0, 1], [500, 300])
    X = np.random.default_rng(0).standard_normal((800, 3)) + groups[:, None] * 1e6
    found = geometry.mean_neighbour_distance(X, 5, groups)
    for group in (0, 1):
        inside = X[groups == group]
        apart = np.sort(np.linalg.norm(inside[:, None] - inside, axis=2), axis=1)[:, 1:6]
        np.testing.assert_allclose(found[groups == group], apart.mean(axis=1), rtol=1e-4)


def test_groups_smaller_than_the_neighbours_asked_for():
    X = rows(11, 3)
    groups = np.repeat([2, 0, 5], [2, 3, 6])
    found = geometry.mean_neighbour_distance(X, 4, groups)
    for group in (2, 0, 5):
        inside = X[groups == group]
        apart = np.sort(naive_distances(inside, inside), axis=1)[:, 1:5]  # themselves come first
        np.testing.assert_allclose(found[groups == group], apart.mean(axis=1), rtol=1e-5)


def test_whole_numbers_have_neighbours_too():
    X = np.array([[0, 0], [3, 4], [100, 100], [100, 101]], dtype=np.uint8)
    found = geometry.mean_neighbour_distance(X, 1, np.array([0, 0, 1, 1]))
    np.testing.assert_allclose(found, [5, 5, 1, 1])


def test_mean_nearest_neighbour_distance_of_a_batch():
    batch = np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 4.0]])
    assert geometry.mean_nearest_neighbour_distance(batch) == pytest.approx(5 / 3)
    assert geometry.mean_nearest_neighbour_distance(batch[:1]) == 0


# Density -----------------------------------------------------------------------------------


@pytest.mark.parametrize("bandwidth", [0.3, 1.0, 5.0])
@pytest.mark.parametrize(("n", "d"), [(1100, 1), (1100, 16), (600, 64)])
def test_kde_equals_scikit_learns(n, d, bandwidth):
    X, queries = rows(n, d), rows(90, d, seed=1)
    # In one leaf: with the default leaf size its trees lose up to 16 nats in the tails.
    reference = KernelDensity(bandwidth=bandwidth, leaf_size=n).fit(X.astype(float))
    np.testing.assert_allclose(
        geometry.kde_log_density(X, bandwidth=bandwidth), reference.score_samples(X), atol=1e-3
    )
    np.testing.assert_allclose(
        geometry.kde_log_density(queries, X, bandwidth=bandwidth, memory_limit=SMALL),
        reference.score_samples(queries),
        atol=1e-3,
    )


@pytest.mark.parametrize("bandwidth", [0.02, 0.3, 3.0])
def test_leave_one_out_reaches_rows_far_from_all_others(bandwidth):
    X = rows(800, 4)
    X[0] = 60.0  # its kernel sum is below what float32 can hold
    exponents = -(naive_distances(X, X) ** 2) / (2 * bandwidth**2)
    np.fill_diagonal(exponents, -np.inf)
    constant = np.log(len(X) - 1) + 4 * (0.5 * np.log(2 * np.pi) + np.log(bandwidth))
    expected = logsumexp(exponents, axis=1) - constant
    found = geometry.kde_log_density(X, bandwidth=bandwidth, leave_one_out=True)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("bandwidth", [0.02, 0.3, 3.0])
def test_queries_far_from_all_kernels_keep_their_density(bandwidth):
    X, queries = rows(800, 4), rows(60, 4, seed=1)
    queries[:2] = X[:2] + 60.0
    exponents = -(naive_distances(queries, X) ** 2) / (2 * bandwidth**2)
    constant = np.log(len(X)) + 4 * (0.5 * np.log(2 * np.pi) + np.log(bandwidth))
    found = geometry.kde_log_density(queries, X, bandwidth=bandwidth)
    np.testing.assert_allclose(found, logsumexp(exponents, axis=1) - constant, rtol=1e-5, atol=1e-3)


def test_remote_rows_in_every_tile_are_left_out_of_their_own_sums():
    """Every row is far from all others, and far more of them than a tile holds."""
    X = np.arange(700, dtype=np.float64)[:, None] ** 1.5
    exponents = -(naive_distances(X, X) ** 2) / (2 * 0.05**2)
    np.fill_diagonal(exponents, -np.inf)
    constant = np.log(699) + 0.5 * np.log(2 * np.pi) + np.log(0.05)
    found = geometry.kde_log_density(X, bandwidth=0.05, leave_one_out=True, memory_limit=SMALL)
    np.testing.assert_allclose(found, logsumexp(exponents, axis=1) - constant, rtol=1e-3)
    queries = X + 0.9  # here the nearest kernel has the row's own number, and counts
    exponents = -(naive_distances(queries, X) ** 2) / (2 * 0.05**2)
    constant += np.log(700) - np.log(699)
    found = geometry.kde_log_density(queries, X, bandwidth=0.05, memory_limit=SMALL)
    np.testing.assert_allclose(found, logsumexp(exponents, axis=1) - constant, atol=0.5)


@given(
    n=st.integers(2, 60),
    d=st.integers(1, 12),
    exponent=st.integers(-28, 28),
    width=st.floats(1e-3, 1e3),
    equal=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_density_is_finite_at_any_scale(n, d, exponent, width, equal):
    X = np.repeat(rows(1, d), n, axis=0) if equal else rows(n, d)
    scale = 10.0**exponent
    for leave_one_out in (False, True):
        found = geometry.kde_log_density(
            X * np.float32(scale), bandwidth=scale * width, leave_one_out=leave_one_out
        )
        assert np.isfinite(found).all()


def test_a_single_row_has_a_bandwidth_too():
    assert geometry.select_bandwidth(rows(1, 3), "cv") > 0


@pytest.mark.parametrize("bandwidth", [0, -1.0, np.nan, np.inf])
def test_a_bandwidth_is_a_positive_number(bandwidth):
    with pytest.raises(ValueError, match="bandwidth must be a positive number"):
        geometry.kde_log_density(rows(5, 2), bandwidth=bandwidth)


def test_leaving_out_needs_the_rows_own_set():
    with pytest.raises(ValueError, match="leave_one_out needs reference=None"):
        geometry.kde_log_density(rows(5, 2), rows(4, 2), bandwidth=1.0, leave_one_out=True)


def test_leaving_out_the_only_row_is_an_error():
    with pytest.raises(ValueError, match="at least two rows"):
        geometry.kde_log_density(rows(1, 2), bandwidth=1.0, leave_one_out=True)


# Bandwidths --------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["scott", "silverman"])
def test_rules_of_thumb_are_scikit_learns_on_standardised_columns(rule):
    X = geometry.standardise(rows(500, 3, scale=7.0, offset=2.0))
    expected = KernelDensity(bandwidth=rule).fit(X).bandwidth_
    assert geometry.select_bandwidth(X, rule) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("rule", ["scott", "silverman", "median", "cv"])
def test_a_bandwidth_scales_with_the_data(rule):
    X = rows(400, 3)
    unit = geometry.select_bandwidth(X, rule, random_state=0)
    assert geometry.select_bandwidth(X * 1024, rule, random_state=0) == pytest.approx(1024 * unit)


def test_the_median_rule_is_its_formula_and_scott_the_default():
    X = rows(500, 3)
    distances = naive_distances(X, X)[np.triu_indices(500, 1)]
    expected = np.median(distances) / np.sqrt(2 * np.log(500))
    assert geometry.select_bandwidth(X, "median") == pytest.approx(expected, rel=1e-4)
    assert geometry.select_bandwidth(X) == geometry.select_bandwidth(X, "scott")
    assert geometry.select_bandwidth(X, 0.25) == 0.25


@pytest.mark.parametrize("rule", ["median", "cv"])
def test_of_many_rows_a_sample_is_looked_at(rule, monkeypatch):
    X = rows(1600, 2)
    whole = geometry.select_bandwidth(X, rule)
    monkeypatch.setattr("al_tf.geometry._bandwidth.SAMPLE", 200)
    found = [geometry.select_bandwidth(X, rule, random_state=seed) for seed in (0, 0, 1)]
    assert found[0] == found[1] != found[2]
    np.testing.assert_allclose(found, whole, rtol=0.2)  # (200 / 1600) ** (1 / 6) is 0.71


def test_the_bandwidth_of_a_sample_is_narrowed_to_the_number_of_rows(monkeypatch):
    from al_tf.geometry import _bandwidth as module

    found, likely = [], module._most_likely
    monkeypatch.setattr(module, "SAMPLE", 200)
    monkeypatch.setattr(module, "_most_likely", lambda *a: found.append(likely(*a)) or found[-1])
    X = rows(1600, 2)
    width = geometry.select_bandwidth(X, "cv", random_state=0)
    (scale,) = {points.scale for points in make_points(X)}
    assert width == pytest.approx(found[0] * scale * (200 / 1600) ** (1 / 6), rel=1e-6)


def test_the_diagnostic_of_densities_beyond_the_range_of_floats():
    found = geometry.diagnose_density(np.full(50, 900.0), 1e-3, 200)
    assert found.effective_sample_size == pytest.approx(50)


def test_the_diagnostic_measures_what_it_says():
    X, bandwidth = rows(60, 3), 0.7
    density = geometry.kde_log_density(X, bandwidth=bandwidth, leave_one_out=True)
    kernels = np.exp(-(naive_distances(X, X) ** 2) / (2 * bandwidth**2))  # a row's own is 1
    np.fill_diagonal(kernels, 0)
    sums = kernels.sum(axis=1)
    found = geometry.diagnose_density(density, bandwidth, 3)
    size = sums.sum() ** 2 / (sums**2).sum()
    assert found.effective_sample_size == pytest.approx(size, rel=1e-4)
    # the median of an even number of rows: between two in the logarithm, as little apart as they
    low, high = np.sort(sums)[29:31]
    assert found.neighbour_mass == pytest.approx(np.sqrt(low * high), rel=1e-4)
    assert (found.n, found.bandwidth) == (60, 0.7)


def test_cross_validation_beats_the_rules_on_two_narrow_peaks():
    X = np.concatenate([rows(300, 2, scale=0.05), rows(300, 2, seed=1, scale=0.05, offset=4.0)])

    def likelihood(bandwidth):
        return geometry.kde_log_density(X, bandwidth=bandwidth, leave_one_out=True).mean()

    found = geometry.select_bandwidth(X, "cv", random_state=0)
    assert likelihood(found) >= max(likelihood(found * 0.8), likelihood(found * 1.25))
    assert likelihood(found) > likelihood(geometry.select_bandwidth(X, "scott")) + 0.5


def test_equal_rows_have_some_bandwidth():
    for rule in ("scott", "silverman", "median", "cv"):
        assert geometry.select_bandwidth(np.ones((50, 3)), rule) == 1.0


def test_an_unknown_bandwidth_rule_lists_the_known_ones():
    with pytest.raises(UnknownNameError, match="'scott', 'silverman', 'median', 'cv'"):
        geometry.select_bandwidth(rows(5, 2), "silvermann")


@pytest.mark.parametrize(("bandwidth", "problem"), [(100.0, "flat"), (0.01, "alone"), (0.5, None)])
def test_the_diagnostic_tells_flat_from_lonely(bandwidth, problem):
    X = rows(500, 3)
    density = geometry.kde_log_density(X, bandwidth=bandwidth, leave_one_out=True)
    diagnostic = geometry.diagnose_density(density, bandwidth, 3)
    assert 1 <= diagnostic.effective_sample_size <= 500
    if problem is None:
        assert diagnostic.problem is None
    else:
        assert problem in diagnostic.problem


# Columns -----------------------------------------------------------------------------------


def test_standardise_gives_unit_columns_and_zeros_for_constant_ones():
    X = rows(900, 4) * np.float32([1e-12, 1.0, 1e3, 0.0]) + np.float32([0, 5, 0, 3])
    found = geometry.standardise(X)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(found.std(axis=0), [1, 1, 1, 0], atol=1e-3)


def test_principal_components_keep_the_widest_directions():
    X = rows(500, 6) * np.float32([1, 9, 1, 1, 7, 1])
    X -= X.mean(axis=0)
    found = geometry.principal_components(X, 2)
    largest = np.sort(np.linalg.eigvalsh(np.cov(X.T)))[::-1][:2]
    np.testing.assert_allclose(found.var(axis=0, ddof=1), largest, rtol=1e-4)
    assert found.dtype == np.float32
    one = geometry.principal_components(X, 1)
    np.testing.assert_allclose(np.abs(one[:, 0]), np.abs(found[:, 0]), atol=1e-5)
    assert geometry.principal_components(X, 6) is X
    with pytest.raises(ValueError, match="n_components must be 1 or more; got 0"):
        geometry.principal_components(X, 0)


def test_a_projection_is_the_same_bits_wherever_a_row_stands():
    X, weights = rows(2500, 37), np.random.default_rng(1).standard_normal(37)
    found = geometry.project(X, weights)
    np.testing.assert_allclose(found, X.astype(float) @ weights, rtol=1e-10, atol=1e-12)
    order = np.random.default_rng(2).permutation(2500)
    np.testing.assert_array_equal(geometry.project(X[order], weights), found[order])


# k-center ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "d", "k"), [(60, 2, 60), (5000, 3, 400), (3000, 30, 300), (3000, 3, 3000)]
)
@pytest.mark.parametrize("with_centers", [True, False])
def test_k_center_picks_what_the_plain_algorithm_picks(n, d, k, with_centers):
    X, centers = rows(n, d), rows(7, d, seed=1)
    expected = naive_k_center(X, k, centers if with_centers else X.mean(axis=0, dtype=float)[None])
    chosen, distances = geometry.k_center_greedy(X, k, centers if with_centers else None)
    np.testing.assert_array_equal(chosen, expected[0])
    np.testing.assert_allclose(distances, expected[1], rtol=1e-5)


def test_k_center_when_float32_cannot_tell_distances_apart():
    """Two tight groups far from each other, of whole numbers that float32 holds."""
    rng = np.random.default_rng(0)
    X = rng.integers(-(2**9), 2**9, size=(4096, 4)) + np.repeat([[-(2**20)], [2**20]], 2048, axis=0)
    X[0] -= X.sum(axis=0)  # of mean 0: centring rounds nothing
    expected = naive_k_center(X, 40, np.zeros((1, 4)))
    chosen, distances = geometry.k_center_greedy(X.astype(np.float32), 40)
    np.testing.assert_allclose(distances, expected[1], rtol=1e-7)
    np.testing.assert_array_equal(chosen, expected[0])


@pytest.mark.parametrize("n", [400, 2500])
def test_k_center_breaks_ties_by_one_ranking_of_the_rows(n):
    """On a grid of whole numbers many rows tie, at every pick: the highest rank wins."""
    X = np.random.default_rng(1).integers(0, 12, size=(n, 3)).astype(np.float32)
    center = X[:1]
    rank = np.random.default_rng(5).permutation(n)
    nearest = ((X - center) ** 2).sum(axis=1)
    expected = []
    for _ in range(350):
        expected.append(max(range(n), key=lambda i: (nearest[i], rank[i])))
        nearest = np.minimum(nearest, ((X - X[expected[-1]]) ** 2).sum(axis=1))
        nearest[expected] = -1
    found, _ = geometry.k_center_greedy(X, 350, center, random_state=np.random.default_rng(5))
    np.testing.assert_array_equal(found, expected)


def test_k_center_when_far_more_rows_tie_than_are_candidates():
    X = np.repeat(rows(5, 3), 2000, axis=0)
    chosen, distances = geometry.k_center_greedy(X, 3000, random_state=0)
    assert len(set(chosen)) == 3000
    assert set(chosen[:5] // 2000) == set(range(5))
    np.testing.assert_allclose(distances[5:], 0, atol=1e-6)


@pytest.mark.parametrize("n_candidates", [2, 5, 40])
@pytest.mark.parametrize("seed", range(4))
def test_greedy_choices_with_few_candidates_are_the_plain_ones(n_candidates, seed, monkeypatch):
    """On a small grid nearly all rows tie, and hardly any is a candidate."""
    monkeypatch.setattr("al_tf.geometry._covering.N_CANDIDATES", n_candidates)
    X = np.random.default_rng(seed).integers(0, 4, size=(90, 2)).astype(np.float32)
    rank = np.random.default_rng(seed).permutation(90)
    squared = naive_distances(X, X) ** 2
    nearest, covered = ((X - X[0]) ** 2).sum(axis=1), np.zeros(90, dtype=bool)
    centers, balls = [], []
    for _ in range(60):
        centers.append(max(set(range(90)) - set(centers), key=lambda i: (nearest[i], rank[i])))
        nearest = np.minimum(nearest, squared[centers[-1]])
        gain = ((squared <= 1.0 + 1e-9) & ~covered).sum(axis=1)
        balls.append(max(set(range(90)) - set(balls), key=lambda i: (gain[i], rank[i])))
        covered |= squared[balls[-1]] <= 1.0 + 1e-9
    found = geometry.k_center_greedy(X, 60, X[:1], random_state=np.random.default_rng(seed))
    assert found[0].tolist() == centers
    found = geometry.max_ball_cover(X, 60, 1.0 + 1e-6, random_state=np.random.default_rng(seed))
    assert found[0].tolist() == balls


def test_k_center_breaks_ties_by_the_random_state():
    X = np.eye(8)
    first = [geometry.k_center_greedy(X, 1, random_state=s)[0][0] for s in range(40)]
    assert len(set(first)) > 3
    assert first == [geometry.k_center_greedy(X, 1, random_state=s)[0][0] for s in range(40)]


# Ball cover --------------------------------------------------------------------------------


@pytest.mark.parametrize("with_centers", [True, False])
@pytest.mark.parametrize(("n", "k", "radius"), [(900, 60, 0.6), (2000, 250, 0.3)])
@pytest.mark.parametrize("m", [None, 700])
def test_ball_cover_takes_a_largest_gain_each_time(with_centers, n, k, radius, m):
    X = rows(n, 3)
    targets = X if m is None else rows(m, 3, seed=2)
    near = naive_distances(X, targets) <= radius
    centers = X[:4] + np.float32(0.01) if with_centers else None
    covered = np.zeros(len(targets), dtype=bool)
    if with_centers:
        covered = naive_distances(targets, centers).min(axis=1) <= radius
    chosen, gains = geometry.max_ball_cover(
        X, k, radius, centers, targets=None if m is None else targets, random_state=0
    )
    assert len(set(chosen)) == k
    for row, gain in zip(chosen, gains, strict=True):
        possible = (near & ~covered).sum(axis=1)
        assert gain == possible[row] == possible.max()
        covered |= near[row]


def test_balls_without_extent_cover_copies():
    X = np.repeat([[0.0], [1.0], [2.0]], [2, 1, 3], axis=0)
    chosen, gains = geometry.max_ball_cover(X, 1, 0.0, random_state=0)
    assert chosen[0] in (3, 4, 5)
    assert gains.tolist() == [3]
    chosen, gains = geometry.max_ball_cover(X, 3, 1.0, X[:1], random_state=0)
    assert gains.tolist() == [3, 0, 0]  # what a center reaches exactly is covered already


@pytest.mark.parametrize("radius", [-1.0, np.nan, np.inf])
def test_a_radius_is_a_number(radius):
    with pytest.raises(ValueError, match="radius must be a number of 0 or more"):
        geometry.max_ball_cover(rows(5, 2), 1, radius)


def test_ball_cover_of_targets_that_no_ball_reaches_is_a_random_choice():
    X, targets = rows(50, 2), rows(20, 2, offset=100.0)
    chosen, gains = geometry.max_ball_cover(X, 8, 1.0, targets=targets, random_state=0)
    assert len(set(chosen)) == 8
    assert not gains.any()
    assert chosen.tolist() != geometry.max_ball_cover(X, 8, 1.0, targets=targets)[0].tolist()


def test_ball_cover_fills_up_when_all_is_covered():
    chosen, gains = geometry.max_ball_cover(rows(50, 2), 50, 100.0, random_state=0)
    assert sorted(chosen) == list(range(50))
    assert gains[0] == 50
    assert not gains[1:].any()


# k-means++ on factors ----------------------------------------------------------------------


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
    taken = np.zeros((n, 14), dtype=bool)
    taken[:, (outer**2).sum(axis=1).argmax()] = True
    for _ in range(k - 1):
        cumulative = alive.cumsum(axis=1)
        pick = (cumulative < rng.random((n, 1)) * cumulative[:, -1:]).sum(axis=1)
        taken[np.arange(n), pick] = True
        alive = np.minimum(alive, squared[pick])
    found = np.zeros(14)
    for seed in range(n):
        found[geometry.kmeans_plus_plus(left, right, k, random_state=seed)[0]] += 1
    expected = taken.sum(axis=0)
    spread = np.sqrt(2 * expected * (1 - expected / n))
    assert (np.abs(found - expected) <= 4.5 * spread + 1).all(), (found, expected)


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


# All kernels -------------------------------------------------------------------------------

KERNELS = {
    "nearest_of_set": lambda X: geometry.nearest_of_set(X, X[::7])[0],
    "mean_similarity": geometry.mean_similarity,
    "kde": lambda X: geometry.kde_log_density(X, bandwidth=0.7, leave_one_out=True),
    "k_center": lambda X: geometry.k_center_greedy(X, 50, random_state=0)[0],
    "ball_cover": lambda X: geometry.max_ball_cover(X, 30, 1.0, random_state=0)[0],
    "kmeans_plus_plus": lambda X: geometry.kmeans_plus_plus(X, X, 50, random_state=0)[0],
    "neighbours": lambda X: geometry.mean_neighbour_distance(X, 5),
    "standardise": geometry.standardise,
}


@pytest.mark.parametrize("name", KERNELS)
def test_no_answer_depends_on_the_number_of_threads(name):
    X = rows(2500, 6)
    with threadpool_limits(1):
        alone = KERNELS[name](X)
    with threadpool_limits(2):
        np.testing.assert_array_equal(KERNELS[name](X), alone)


@pytest.mark.parametrize("name", KERNELS)
def test_inputs_are_left_as_they_were(name):
    X = rows(300, 4)
    X.setflags(write=False)
    KERNELS[name](X)


@pytest.mark.parametrize("name", sorted(set(KERNELS) - {"kmeans_plus_plus"}))
def test_rows_that_are_not_finite_are_counted(name):
    X = rows(40, 3)
    X[[4, 9], 1] = np.nan, np.inf
    with pytest.raises(ValueError, match="2 of 40 rows are not finite"):
        KERNELS[name](X)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (4,)])
def test_rows_must_be_a_matrix_with_something_in_it(shape):
    with pytest.raises(ValueError, match="Expected rows of shape"):
        geometry.mean_similarity(np.ones(shape))


@pytest.mark.parametrize("limit", [2**20, 2**24, 2**28, 2**36])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_tiles_of_all_threads_fit_into_the_memory_limit(limit, n_threads):
    with threadpool_limits(n_threads):
        assert n_workers() == n_threads
        side = tile_size(limit)
    assert 32 <= side <= LARGEST_TILE
    assert side == 32 or 16 * n_threads * side**2 <= limit
    assert side == LARGEST_TILE or 16 * n_threads * (side + 1) ** 2 > limit


def test_scratch_memory_is_kept_apart_by_name_and_kind_and_grows():
    first = scratch("a", (4, 5), np.float32)
    assert np.shares_memory(first, scratch("a", (2, 3), np.float32))
    assert not np.shares_memory(first, scratch("b", (4, 5), np.float32))
    assert scratch("a", (4, 5), np.float64).dtype == np.float64
    assert scratch("a", (40, 50), np.float32).shape == (40, 50)


def test_few_results_are_held_before_they_are_taken():
    done = []
    with threadpool_limits(2):
        results = ordered_map(lambda task: done.append(task) or task, range(40))
        taken = [next(results) for _ in range(3)]
        assert taken == [0, 1, 2]
        assert len(done) <= 3 + 2 * 2
        assert list(results) == list(range(3, 40))


def test_a_memory_limit_below_one_mebibyte_is_an_error():
    with pytest.raises(ValueError, match="at least 1 MiB"):
        geometry.mean_similarity(rows(5, 2), memory_limit=1000)


@pytest.mark.parametrize("k", [0, 6])
def test_k_must_fit_the_rows(k):
    for kernel in (
        geometry.k_center_greedy,
        lambda X, k: geometry.kmeans_plus_plus(X, X, k),
        lambda X, k: geometry.max_ball_cover(X, k, 1.0),
    ):
        with pytest.raises(ValueError, match="k must be from 1 to 5"):
            kernel(rows(5, 2), k)

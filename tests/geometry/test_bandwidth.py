"""Bandwidth rules, and the diagnostic of a density."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import KernelDensity

from al_tf import geometry
from al_tf.errors import UnknownNameError
from al_tf.geometry._points import make_points

from .naive import naive_distances, rows


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
    computed = [geometry.select_bandwidth(X, rule, random_state=seed) for seed in (0, 0, 1)]
    assert computed[0] == computed[1] != computed[2]
    np.testing.assert_allclose(computed, whole, rtol=0.2)  # (200 / 1600) ** (1 / 6) is 0.71


def test_the_bandwidth_of_a_sample_is_narrowed_to_the_number_of_rows(monkeypatch):
    from al_tf.geometry import _bandwidth as module

    computed, likely = [], module._most_likely
    monkeypatch.setattr(module, "SAMPLE", 200)
    monkeypatch.setattr(
        module, "_most_likely", lambda *a: computed.append(likely(*a)) or computed[-1]
    )
    X = rows(1600, 2)
    width = geometry.select_bandwidth(X, "cv", random_state=0)
    (scale,) = {points.scale for points in make_points(X)}
    assert width == pytest.approx(computed[0] * scale * (200 / 1600) ** (1 / 6), rel=1e-6)


def test_the_diagnostic_of_densities_beyond_the_range_of_floats():
    computed = geometry.diagnose_density(np.full(50, 900.0), 1e-3, 200)
    assert computed.effective_sample_size == pytest.approx(50)


def test_the_diagnostic_measures_what_it_says():
    X, bandwidth = rows(60, 3), 0.7
    density = geometry.kde_log_density(X, bandwidth=bandwidth, leave_one_out=True)
    kernels = np.exp(-(naive_distances(X, X) ** 2) / (2 * bandwidth**2))  # a row's own is 1
    np.fill_diagonal(kernels, 0)
    sums = kernels.sum(axis=1)
    computed = geometry.diagnose_density(density, bandwidth, 3)
    size = sums.sum() ** 2 / (sums**2).sum()
    assert computed.effective_sample_size == pytest.approx(size, rel=1e-4)
    # the median of an even number of rows: between two in the logarithm, as little apart as they
    low, high = np.sort(sums)[29:31]
    assert computed.neighbour_mass == pytest.approx(np.sqrt(low * high), rel=1e-4)
    assert (computed.n, computed.bandwidth) == (60, 0.7)


def test_cross_validation_beats_the_rules_on_two_narrow_peaks():
    X = np.concatenate([rows(300, 2, scale=0.05), rows(300, 2, seed=1, scale=0.05, offset=4.0)])

    def likelihood(bandwidth):
        return geometry.kde_log_density(X, bandwidth=bandwidth, leave_one_out=True).mean()

    computed = geometry.select_bandwidth(X, "cv", random_state=0)
    assert likelihood(computed) >= max(likelihood(computed * 0.8), likelihood(computed * 1.25))
    assert likelihood(computed) > likelihood(geometry.select_bandwidth(X, "scott")) + 0.5


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

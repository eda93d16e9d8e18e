"""Standardised columns, principal components and projections."""

from __future__ import annotations

import numpy as np
import pytest

from al_tf import geometry

from .naive import rows


def test_standardise_gives_unit_columns_and_zeros_for_constant_ones():
    X = rows(900, 4) * np.float32([1e-12, 1.0, 1e3, 0.0]) + np.float32([0, 5, 0, 3])
    computed = geometry.standardise(X)
    np.testing.assert_allclose(computed.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(computed.std(axis=0), [1, 1, 1, 0], atol=1e-3)


def test_principal_components_keep_the_widest_directions():
    X = rows(500, 6) * np.float32([1, 9, 1, 1, 7, 1])
    X -= X.mean(axis=0)
    computed = geometry.principal_components(X, 2)
    largest = np.sort(np.linalg.eigvalsh(np.cov(X.T)))[::-1][:2]
    np.testing.assert_allclose(computed.var(axis=0, ddof=1), largest, rtol=1e-4)
    assert computed.dtype == np.float32
    one = geometry.principal_components(X, 1)
    np.testing.assert_allclose(np.abs(one[:, 0]), np.abs(computed[:, 0]), atol=1e-5)
    assert geometry.principal_components(X, 6) is X
    with pytest.raises(ValueError, match="n_components must be 1 or more; got 0"):
        geometry.principal_components(X, 0)


def test_a_projection_is_the_same_bits_wherever_a_row_stands():
    X, weights = rows(2500, 37), np.random.default_rng(1).standard_normal(37)
    computed = geometry.project(X, weights)
    np.testing.assert_allclose(computed, X.astype(float) @ weights, rtol=1e-10, atol=1e-12)
    order = np.random.default_rng(2).permutation(2500)
    np.testing.assert_array_equal(geometry.project(X[order], weights), computed[order])

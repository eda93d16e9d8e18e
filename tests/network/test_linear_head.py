"""Logistic regression in the span of its data, against scikit-learn's own on all columns."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from al_tf.network import linear_head
from al_tf.network.linear_head import LinearHead, Standardization, fit_head, in_span, softmax


def make_features(n, d, n_classes, seed=0):
    """Skewed, correlated columns of very different scales; classes that overlap."""
    rng = np.random.default_rng(seed)
    codes = np.arange(n) % n_classes
    hidden = rng.normal(size=(n_classes, 6))[codes] + rng.normal(size=(n, 6))
    scales = 10 ** rng.uniform(-2, 1, size=d)
    return (np.maximum(hidden @ rng.normal(size=(6, d)), 0) * scales).astype(np.float32), codes


def peer(features, codes, C, weights=None):
    """scikit-learn's own, on columns standardized as the head does it."""
    standard = Standardization.of(features)
    model = LogisticRegression(C=C, tol=1e-9, max_iter=10_000)
    model.fit(standard.apply(features), codes, sample_weight=weights)
    return standard, model


def proba_of(peer, features):
    standard, model = peer
    return model.predict_proba(standard.apply(features))


@pytest.mark.parametrize("n_classes", [2, 5])
@pytest.mark.parametrize("C", [1e-3, 0.1, 1])
@pytest.mark.parametrize(("n", "d"), [(20, 300), (120, 200), (200, 30)])
def test_same_optimum_as_scaler_and_logistic_regression(n, d, n_classes, C):
    both, codes = make_features(n + 50, d, n_classes)
    features, codes, new = both[:n], codes[:n], both[n:]
    head = fit_head(features, codes, np.ones(n), n_classes, C)
    standard, model = expected = peer(features, codes, C)
    np.testing.assert_allclose(head.proba(features), proba_of(expected, features), atol=1e-4)
    np.testing.assert_allclose(head.proba(new), proba_of(expected, new), atol=1e-4)
    coef = (head.coef[1:] - head.coef[:1] if n_classes == 2 else head.coef) * standard.scale
    np.testing.assert_allclose(coef, model.coef_, atol=1e-4)


def test_without_a_floor_it_is_scikit_learns_scaler_and_logistic_regression():
    features, codes = make_features(60, 200, 3)
    head = fit_head(features, codes, np.ones(60), 3, 0.1, floor=0)
    scaled = make_pipeline(
        StandardScaler(), LogisticRegression(C=0.1, tol=1e-9, max_iter=10_000)
    ).fit(features.astype(float), codes)
    np.testing.assert_allclose(head.proba(features), scaled.predict_proba(features), atol=1e-4)


@pytest.mark.parametrize("C", [0.1, 3.0])
@pytest.mark.parametrize("seed", range(4))
def test_large_problems_held_in_float32_have_the_same_optimum(monkeypatch, seed, C):
    features, codes = make_features(60, 80, 4, seed)
    exact = fit_head(features, codes, np.ones(60), 4, C)
    monkeypatch.setattr(linear_head, "_LARGE", 100)
    head = fit_head(features, codes, np.ones(60), 4, C)
    expected = proba_of(peer(features, codes, C), features)
    np.testing.assert_allclose(head.proba(features), expected, atol=1e-4)
    assert (head.coef != exact.coef).any()  # float32 it was


def test_stopping_short_of_the_optimum_is_said_aloud(monkeypatch):
    features, codes = make_features(60, 80, 4)
    monkeypatch.setattr(linear_head, "MAX_ITERATIONS", 2)
    with pytest.warns(ConvergenceWarning, match="2 iterations did not reach"):
        fit_head(features, codes, np.ones(60), 4, 0.1)


@pytest.mark.parametrize("n", [20, 200])
def test_weights_of_rows_count_as_in_scikit_learn(n):
    features, codes = make_features(n, 60, 3)
    weights = np.random.default_rng(0).uniform(0.2, 3, size=n)
    head = fit_head(features, codes, weights, 3, 0.1)
    expected = proba_of(peer(features, codes, 0.1, weights), features)
    np.testing.assert_allclose(head.proba(features), expected, atol=1e-4)
    assert abs(expected - proba_of(peer(features, codes, 0.1), features)).max() > 1e-2


def test_the_optimum_does_not_depend_on_the_order_of_the_rows():
    features, codes = make_features(40, 200, 4)
    order = np.random.default_rng(0).permutation(40)
    one = fit_head(features, codes, np.ones(40), 4, 0.1)
    other = fit_head(features[order], codes[order], np.ones(40), 4, 0.1)
    np.testing.assert_allclose(one.proba(features), other.proba(features), atol=1e-4)


@pytest.mark.parametrize("present", [[0, 2, 3], [1, 3]])
def test_a_class_without_a_label_is_improbable_and_changes_nothing_else(present):
    features, codes = make_features(30, 50, len(present))
    whole = fit_head(features, np.array(present)[codes], np.ones(30), 4, 0.1)
    alone = fit_head(features, codes, np.ones(30), len(present), 0.1)
    for rows in (features, 1e3 * features):
        proba = whole.proba(rows)
        assert np.delete(proba, present, axis=1).max() < 1e-12
        np.testing.assert_allclose(proba[:, present], alone.proba(rows), atol=1e-6)


def test_one_class_alone_is_certain():
    features, _ = make_features(5, 50, 2)
    proba = fit_head(features, np.full(5, 1), np.ones(5), 3, 0.1).proba(features)
    np.testing.assert_allclose(proba, np.eye(3)[np.full(5, 1)], atol=1e-12)


def test_one_image_a_class_is_enough():
    features, codes = make_features(4, 300, 4)
    head = fit_head(features, codes, np.ones(4), 4, 0.1)
    assert (head.proba(features).argmax(axis=1) == codes).all()


class TestStandardization:
    def test_without_a_floor_it_is_the_standard_scaler(self):
        features, _ = make_features(30, 40, 3)
        ours, theirs = Standardization.of(features, 0), StandardScaler().fit(features.astype(float))
        np.testing.assert_allclose(ours.mean, theirs.mean_)
        np.testing.assert_allclose(ours.scale, theirs.scale_)

    @pytest.mark.parametrize(("n", "floor"), [(10, 0.5), (40, 0.125), (1000, 0.005)])
    def test_few_rows_have_a_floor_under_the_scale(self, n, floor):
        features = np.random.default_rng(0).normal(size=(n, 5))
        features[:, 0] = 3.0
        typical = np.sqrt(features.var(axis=0).mean())
        expected = np.hypot(features.std(axis=0), floor * typical)
        np.testing.assert_allclose(Standardization.of(features).scale, expected)

    @pytest.mark.parametrize("value", [0.0, 0.1, 1e6, -3.3])
    def test_a_constant_column_weighs_nothing(self, value):
        features, codes = make_features(30, 40, 3)
        features[:, 7] = value
        head = fit_head(features, codes, np.ones(30), 3, 0.1)
        assert Standardization.of(features, 0).scale[7] == 1
        assert abs(head.coef[:, 7]).max() < 1e-9

    def test_one_row_has_no_scale(self):
        assert (Standardization.of(make_features(1, 40, 1)[0]).scale == 1).all()


class TestSpan:
    def test_few_rows_are_rotated_into_as_many_columns(self):
        Z = np.random.default_rng(0).normal(size=(7, 40))
        columns, basis = in_span(Z)
        assert columns.shape == (7, 7)
        np.testing.assert_allclose(columns @ basis.T, Z, atol=1e-12)
        np.testing.assert_allclose(basis.T @ basis, np.eye(7), atol=1e-12)

    def test_many_rows_stay_as_they_are(self):
        Z = np.random.default_rng(0).normal(size=(40, 7))
        columns, basis = in_span(Z)
        assert columns is Z
        assert basis is None

    def test_equal_rows_are_no_trouble(self):
        Z = np.tile(np.random.default_rng(0).normal(size=(1, 40)), (5, 1))
        columns, basis = in_span(Z)
        np.testing.assert_allclose(columns @ basis.T, Z, atol=1e-12)


def test_softmax_of_large_scores_is_finite():
    proba = softmax(np.array([[1e4, 0.0, -1e4], [5.0, 5.0, 5.0]]))
    np.testing.assert_allclose(proba, [[1, 0, 0], [1 / 3, 1 / 3, 1 / 3]], atol=1e-12)


def test_probabilities_are_float32():
    head = LinearHead(np.zeros((2, 3), np.float32), np.zeros(2, np.float32), steps=0)
    assert head.proba(np.zeros((4, 3), np.float32)).dtype == np.float32

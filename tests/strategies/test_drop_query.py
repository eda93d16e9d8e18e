"""DropQuery: candidates by disagreement under dropout, one per cluster."""

from __future__ import annotations

from inspect import signature

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from al_tf.strategies.drop_query import drop_query, dropped_predictions
from al_tf.strategies.testing import FakeClassifier


class Stated:
    """An estimator whose features, probabilities and samples are stated."""

    def __init__(self, features, proba, samples):
        self.features, self.proba, self.samples = features, proba, samples

    def transform(self, X):
        return np.asarray(self.features, dtype=np.float32)

    def predict_proba(self, X):
        return np.array(self.proba)

    def sample_proba(self, X, n_samples, random_state):
        return np.array(self.samples)


def one_hot(codes, n_classes=2):
    return np.eye(n_classes)[np.asarray(codes)]


def test_candidates_change_their_class_in_more_than_half_of_the_passes():
    """Three passes: images 1 and 3 change in two and in three of them, image 4 in one."""
    codes = np.array([[0, 1, 0, 1, 1, 0], [0, 1, 0, 1, 0, 0], [0, 0, 0, 1, 0, 0]])
    features = np.arange(6)[:, None] * 10.0
    model = Stated(features, one_hot([0] * 6), one_hot(codes))
    for seed in range(10):
        assert set(drop_query(model, np.zeros((6, 2)), 2, random_state=seed)[0]) == {1, 3}


@pytest.mark.parametrize("n_samples", [2, 4])
def test_half_of_the_passes_are_not_more_than_half(n_samples):
    """Images 0 to 3 change in half of the passes, images 4 and 5 in all."""
    codes = np.zeros((n_samples, 6), dtype=int)
    codes[: n_samples // 2, :4] = codes[:, 4:] = 1
    model = Stated(np.arange(6)[:, None] * 10.0, one_hot([0] * 6), one_hot(codes))
    for seed in range(10):
        chosen, _ = drop_query(model, np.zeros((6, 2)), 2, random_state=seed, n_samples=n_samples)
        assert set(chosen) == {4, 5}


def test_where_there_are_too_few_candidates_the_next_most_changed_follow():
    codes = np.array([[0, 1, 0, 1, 1, 0], [0, 1, 0, 1, 0, 0], [0, 0, 0, 1, 0, 0]])
    model = Stated(np.arange(6)[:, None] * 10.0, one_hot([0] * 6), one_hot(codes))
    for seed in range(10):
        assert set(drop_query(model, np.zeros((6, 2)), 3, random_state=seed)[0]) == {1, 3, 4}
    assert sorted(drop_query(model, np.zeros((6, 2)), 6, random_state=0)[0]) == list(range(6))


def test_one_image_is_chosen_per_cluster_of_candidates():
    rng = np.random.default_rng(0)
    blob = np.repeat([0, 1, 2, 3], [30, 5, 40, 10])
    features = np.array([[0, 0], [9, 0], [0, 9], [9, 9]])[blob] + rng.normal(0, 0.1, (85, 2))
    samples = one_hot(np.repeat([np.where(blob < 3, 1, 0)], 3, axis=0))
    model = Stated(features, one_hot([0] * 85), samples)
    indices, scores = drop_query(model, np.zeros((85, 2)), 3, random_state=0)
    assert sorted(blob[indices]) == [0, 1, 2]  # nothing of the blob without disagreement
    for row, score in zip(indices, scores, strict=True):
        members = features[blob == blob[row]]
        apart = np.linalg.norm(members - members.mean(axis=0), axis=1)
        assert -score == pytest.approx(apart.min(), rel=1e-2)


def test_a_linear_head_sees_features_with_dropout():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(4000, 6)).astype(np.float32)
    coef, intercept = rng.normal(size=(3, 6)), rng.normal(size=3)
    codes = dropped_predictions(features, coef, intercept, 5, 0.75, random_state=1)
    assert codes.shape == (5, 4000)
    masks = rng.random((200, 6)) >= 0.75
    frequency = np.zeros(3)
    for mask in masks:
        frequency += np.bincount(
            (features * mask / 0.25 @ coef.T + intercept).argmax(axis=1), minlength=3
        )
    np.testing.assert_allclose(
        np.bincount(codes.ravel()) / 2e4, frequency / frequency.sum(), atol=0.03
    )
    assert (codes[0] != codes[1]).any()


def test_without_dropped_features_a_linear_head_predicts_as_it_does():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 4)).astype(np.float32)
    for n_classes in (2, 3):
        y = (X @ rng.normal(size=(4, n_classes))).argmax(axis=1)
        model = LogisticRegression().fit(X[:50], y[:50])
        codes = dropped_predictions(X, model.coef_, model.intercept_, 2, 1e-9, random_state=0)
        np.testing.assert_array_equal(codes, np.tile(model.predict(X), (2, 1)))


def test_a_score_of_zero_is_the_first_of_two_classes():
    """As in scikit-learn, where a decision above 0 is the second class."""
    rows, coef = np.zeros((3, 4), dtype=np.float32), np.ones((1, 4))
    for intercept, code in ((0.0, 0), (1e-6, 1), (-1e-6, 0)):
        codes = dropped_predictions(rows, coef, np.array([intercept]), 2, 0.5, random_state=0)
        np.testing.assert_array_equal(codes, np.full((2, 3), code))


def test_features_are_read_a_block_at_a_time(monkeypatch):
    class Rows:
        def __init__(self, rows):
            self.rows, self.read = rows, []

        def __len__(self):
            return len(self.rows)

        def __getitem__(self, part):
            self.read.append(len(self.rows[part]))
            return self.rows[part]

    monkeypatch.setattr("al_tf.strategies.drop_query.ROWS", 4)
    rows = Rows(np.ones((10, 3), dtype=np.float16))
    dropped_predictions(rows, np.ones((2, 3)), np.zeros(2), 3, 0.5, random_state=0)
    assert rows.read == [4, 4, 2]


def test_coefficients_of_something_else_than_the_features_are_left_aside():
    """As those of a linear model behind a step that changes the features' number."""
    codes = np.array([[0, 1, 0, 1, 1, 0], [0, 1, 0, 1, 0, 0], [0, 0, 0, 1, 0, 0]])
    model = Stated(np.arange(6)[:, None] * 10.0, one_hot([0] * 6), one_hot(codes))
    expected = drop_query(model, np.zeros((6, 2)), 2, random_state=0)
    model.coef_, model.intercept_ = np.ones((2, 5)), np.zeros(2)
    np.testing.assert_array_equal(drop_query(model, np.zeros((6, 2)), 2, random_state=0), expected)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_a_linear_classifier_needs_no_samples_and_no_order(n_classes):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 8)).astype(np.float32)
    y = (X @ rng.normal(size=(8, n_classes))).argmax(axis=1)
    model = LogisticRegression().fit(X[:40], y[:40])
    pool = X[40:]
    indices, scores = drop_query(model, pool, 10, random_state=0)
    order = rng.permutation(len(pool))
    again, again_scores = drop_query(model, pool[order], 10, random_state=0)
    np.testing.assert_array_equal(order[again], indices)
    np.testing.assert_allclose(again_scores, scores)
    other, _ = drop_query(model, pool, 10, random_state=1)
    assert set(other) != set(indices)


def test_the_paper_asks_for_three_passes_and_three_quarters_of_dropout(pool, labeled, monkeypatch):
    asked = []
    model = FakeClassifier().fit(*labeled)
    sample = model.sample_proba
    monkeypatch.setattr(
        model, "sample_proba", lambda X, n_samples, random_state: asked.append(n_samples)
        or sample(X, n_samples, random_state)
    )  # fmt: skip
    drop_query(model, pool, 3, random_state=0)
    assert asked == [3]
    assert signature(drop_query).parameters["dropout"].default == 0.75


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"dropout": 0}, "dropout must lie between 0 and 1"),
        ({"dropout": 1.0}, "dropout must lie between 0 and 1"),
        ({"n_samples": 1}, "n_samples must be 2 or more; got 1"),
    ],
)
def test_parameters_out_of_range_are_refused(learner, pool, params, message):
    with pytest.raises(ValueError, match=message):
        drop_query(learner, pool, 2, **params)

"""What modAL's own tests ask of its learners, asked of ours, and of modAL's where it still works.

Left out: its test in which a strategy returns two bare integers, index and score. Ours takes such a
pair for two indices (`tests/test_learner.py`).
"""

from __future__ import annotations

from itertools import product

import modAL.models
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from modAL.batch import uncertainty_batch_sampling
from modAL.uncertainty import entropy_sampling, margin_sampling, uncertainty_sampling
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import al_tf

TOO_NEW = tuple(int(part) for part in sklearn.__version__.split(".")[:2]) >= (1, 8)
MODAL = pytest.param(
    modAL.models,
    id="modAL",
    marks=pytest.mark.skipif(TOO_NEW, reason="modAL cannot teach under this scikit-learn"),
)
pytestmark = [
    pytest.mark.parametrize("models", [pytest.param(al_tf, id="al_tf"), MODAL]),
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # of scikit-learn, about modAL
]


class Canned(ClassifierMixin, BaseEstimator):
    """Answers what it was made with."""

    def __init__(self, predictions=None, proba=None, accuracy=None, classes=(0, 1)):
        self.predictions, self.proba, self.accuracy = predictions, proba, accuracy
        self.classes = classes

    @property
    def classes_(self):
        return np.asarray(self.classes)

    def fit(self, X, y):
        return self

    def predict(self, X):
        return self.predictions

    def predict_proba(self, X):
        return self.proba

    def score(self, X, y):
        return self.accuracy


def broken_in_modal(models, why):
    """End a test that modAL 0.4.2.1 itself fails."""
    if models is modAL.models:
        pytest.xfail(why)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def forest():
    return RandomForestClassifier(n_estimators=10, random_state=0)


SHAPES = [((4, 3), (4,)), ((4, 3), (4, 2)), ((4,), (4,)), ((4, 5, 5, 1), (4,)), ((1, 2), (1,))]


@pytest.mark.parametrize(("images", "labels"), SHAPES)
def test_new_images_and_labels_are_added_at_the_end(models, images, labels, rng):
    X, y = rng.random(images), rng.integers(2, size=labels)
    X_new, y_new = rng.random((7, *images[1:])), rng.integers(2, size=(7, *labels[1:]))
    learner = models.ActiveLearner(Canned(), X_training=X, y_training=y)
    learner.teach(X_new, y_new)
    np.testing.assert_array_equal(learner.X_training, np.concatenate([X, X_new]))
    np.testing.assert_array_equal(learner.y_training, np.concatenate([y, y_new]))


@pytest.mark.parametrize(("images", "labels"), [((3, 2), (6,)), ((3, 4), (3,))])
def test_what_does_not_fit_is_refused(models, images, labels, rng):
    learner = models.ActiveLearner(Canned(), X_training=rng.random((5, 2)), y_training=np.ones(5))
    with pytest.raises(ValueError, match=r"inconsistent|shape|dimension"):
        learner.teach(rng.random(images), np.ones(labels))
    assert len(learner.X_training) == 5


def test_the_estimator_answers(models, rng):
    X, predictions, proba = rng.random((6, 3)), rng.integers(2, size=6), rng.random((6, 2))
    learner = models.ActiveLearner(Canned(predictions, proba, 0.25))
    np.testing.assert_array_equal(learner.predict(X), predictions)
    np.testing.assert_array_equal(learner.predict_proba(X), proba)
    assert learner.score(X, predictions) == 0.25


def test_indices_images_and_scores_of_a_query(models, rng):
    X, scores = rng.random((9, 2)), np.array([0.5, 0.4])
    learner = models.ActiveLearner(Canned(), lambda classifier, pool: (np.array([7, 2]), scores))
    indices, rows = learner.query(X)
    np.testing.assert_array_equal(indices, [7, 2])
    np.testing.assert_array_equal(rows, X[[7, 2]])
    np.testing.assert_array_equal(learner.query(X, return_metrics=True)[2], scores)


def test_strategies_that_return_images_instead_of_scores(models, rng):
    """The interface of modAL's first versions."""
    X, y = rng.random((10, 5)), np.arange(10) % 2
    learner = models.ActiveLearner(
        forest(), lambda classifier, pool: (np.array([3, 1]), pool[[3, 1]]), X[:4], y[:4]
    )
    indices, rows = learner.query(X)
    np.testing.assert_array_equal(indices, [3, 1])
    np.testing.assert_array_equal(rows, X[[3, 1]])
    learner.teach(X[indices], y[indices])


@pytest.mark.parametrize(("bootstrap", "only_new"), list(product([True, False], repeat=2)))
@pytest.mark.parametrize("n", [1, 2, 9])
def test_ways_to_teach(models, bootstrap, only_new, n, rng):
    learner = models.ActiveLearner(
        Canned(), X_training=rng.random((10, 2)), y_training=rng.integers(2, size=10)
    )
    learner.teach(rng.random((n, 2)), rng.integers(2, size=n), bootstrap, only_new)
    assert len(learner.X_training) == (10 if only_new else 10 + n)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_missing_values_where_they_are_allowed(models, value):
    broken_in_modal(models, "hands force_all_finite on to the estimator's fit")
    X, y = np.full((10, 2), value), np.arange(10) % 2
    learner = models.ActiveLearner(Canned(), X_training=X, y_training=y, force_all_finite=False)
    learner.teach(X, y)
    assert len(learner.X_training) == 20


@pytest.mark.parametrize("strategy", [uncertainty_sampling, entropy_sampling, margin_sampling])
@pytest.mark.parametrize("kind", ["lil", "csc", "csr"])
def test_sparse_matrices(models, strategy, kind, rng):
    X = sp.random(15, 4, density=0.5, format=kind, random_state=0)
    y = np.arange(15) % 2
    learner = models.ActiveLearner(forest(), strategy, X[:5], y[:5])
    indices, rows = learner.query(X)
    np.testing.assert_array_equal(rows.toarray(), X.toarray()[indices])
    learner.teach(X[indices], y[indices])
    assert learner.X_training.shape == (6, 4)


def test_distances_behind_the_transformers_of_a_pipeline(models, rng):
    broken_in_modal(models, "takes columns of a data frame for rows")
    X, y = pd.DataFrame(rng.random((10, 5))), np.arange(10) % 2
    learner = models.ActiveLearner(
        make_pipeline(FunctionTransformer(pd.DataFrame.to_numpy), forest()),
        uncertainty_batch_sampling,
        X_training=X.iloc[:2],
        y_training=y[:2],
        on_transformed=True,
    )
    indices, rows = learner.query(X, n_instances=1)
    pd.testing.assert_frame_equal(rows, X.iloc[indices])
    learner.teach(X.iloc[indices], y[indices])
    assert len(learner.X_training) == 3


def test_transformers_that_learn_anew_with_each_fit(models):
    pool = ["Airplane", "House"]
    learner = models.ActiveLearner(
        make_pipeline(CountVectorizer(), forest()),
        uncertainty_batch_sampling,
        X_training=["Dog", "Cat", "Tree"],
        y_training=[0, 1, 1],
        on_transformed=True,
    )
    for _ in pool:
        indices, _ = learner.query(pool, n_instances=1)
        learner.teach([pool[indices[0]]], [0])
    assert len(learner.X_training) == 5


def members(models, answers, classes):
    """Return a learner for each answer ``(predictions, proba)``."""
    return [models.ActiveLearner(Canned(*answer, classes=classes)) for answer in answers]


@pytest.mark.parametrize(("n", "n_learners", "n_classes"), list(product([1, 7], [1, 4], [2, 5])))
def test_a_committee_counts_votes(models, n, n_learners, n_classes, rng):
    votes = rng.integers(n_classes, size=(n, n_learners))
    proba = rng.dirichlet(np.ones(n_classes), size=(n, n_learners))
    answers = [(votes[:, i], proba[:, i]) for i in range(n_learners)]
    committee = models.Committee(members(models, answers, range(n_classes)))
    X = rng.random((n, 3))
    np.testing.assert_array_equal(committee.classes_, range(n_classes))
    np.testing.assert_array_equal(committee.vote(X), votes)
    np.testing.assert_allclose(committee.vote_proba(X), proba)
    np.testing.assert_allclose(committee.predict_proba(X), proba.mean(axis=1))


@pytest.mark.parametrize(("bootstrap", "only_new"), list(product([True, False], repeat=2)))
def test_ways_to_teach_a_committee(models, bootstrap, only_new, rng):
    if only_new:
        broken_in_modal(models, "adds the labels nevertheless")
    X, y = rng.random((10, 2)), np.arange(10) % 2
    learners = [models.ActiveLearner(forest(), X_training=X, y_training=y) for _ in range(2)]
    committee = models.Committee(learners)
    committee.teach(X[:4], y[:4], bootstrap=bootstrap, only_new=only_new)
    assert [len(x.X_training) for x in committee] == [10 if only_new else 14] * 2


def test_a_committee_of_pipelines(models, rng):
    broken_in_modal(models, "calls DataFrame.append, which pandas 2 removed")
    X, y = pd.DataFrame(rng.random((10, 5))), np.arange(10) % 2
    learners = [
        models.ActiveLearner(
            make_pipeline(FunctionTransformer(pd.DataFrame.to_numpy), forest()),
            X_training=X.iloc[i : 2 * i + 2],
            y_training=y[i : 2 * i + 2],
        )
        for i in range(3)
    ]
    committee = models.Committee(learners, uncertainty_batch_sampling, on_transformed=True)
    indices, _ = committee.query(X, n_instances=1)
    committee.teach(X.iloc[indices], y[indices])
    assert [len(x.X_training) for x in committee] == [3, 4, 5]

"""Plain modAL, under a scikit-learn that it supports, teaches and queries with every strategy.

modAL 0.4.2.1 passes an argument that scikit-learn 1.8 removed, so its own ``teach`` fails under
newer versions. Run this file in an environment of its own with::

    pip install "scikit-learn>=1.6,<1.8" "modAL-python==0.4.2.1" "numpy<2.3" pytest pytest-timeout tqdm
    python -m pytest tests/compat -rs
"""

from __future__ import annotations

import modAL.batch
import modAL.disagreement
import modAL.models
import modAL.uncertainty
import numpy as np
import pytest
import sklearn
from sklearn.linear_model import LogisticRegression

import al_tf.learner
from al_tf.strategies import BUILT_IN, get_strategy, strategy_info
from al_tf.strategies.testing import FakeClassifier

from ..strategies.conftest import one_thread  # noqa: F401  (k-means on busy cores)

pytestmark = pytest.mark.skipif(
    tuple(int(part) for part in sklearn.__version__.split(".")[:2]) >= (1, 8),
    reason=f"plain modAL cannot teach under scikit-learn {sklearn.__version__}: see `make "
    "test-modal`, or the pip line at the top of this file",
)

N_ROUNDS, BATCH = 3, 4


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    X = rng.random((60, 5, 5)).astype(np.float32)
    return X, (X.reshape(60, -1) @ rng.normal(size=(25, 3))).argmax(axis=1)


def _make(models, name_or_strategy, estimators, X, y):
    """Return a learner, or a committee of three where the strategy needs one."""
    strategy, needs = name_or_strategy, ()
    if isinstance(strategy, str):
        strategy, needs = get_strategy(strategy), strategy_info(strategy).needs
    members = [models.ActiveLearner(estimator, strategy, X, y) for estimator in estimators]
    is_committee = "committee" in needs or strategy.__module__ == "modAL.disagreement"
    return models.Committee(members, strategy) if is_committee else members[0]


def _run_loop(learner, X, y, labeled, **query_arguments):
    """Query and teach for some rounds; require a growing labeled set and fresh images."""
    pool = np.setdiff1d(np.arange(len(X)), labeled)
    for _ in range(N_ROUNDS):
        indices, queried = learner.query(X[pool], n_instances=BATCH, **query_arguments)
        assert len(set(indices)) == BATCH
        np.testing.assert_array_equal(queried, X[pool[indices]])
        learner.teach(queried, y[pool[indices]])
        pool = np.delete(pool, indices)
    member = getattr(learner, "learner_list", [learner])[0]
    assert len(member.X_training) == len(labeled) + N_ROUNDS * BATCH
    assert len(pool) + len(member.X_training) == len(X)


SAMPLES = {"dropout", "joint samples"}


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_plain_modal_runs_each_of_our_strategies_on_images(name, images):
    X, y = images
    labeled = np.arange(12)
    joint = "joint samples" in strategy_info(name).needs
    estimators = [FakeClassifier([0, 1, 2], seed=seed, joint_samples=joint) for seed in range(3)]
    learner = _make(modAL.models, name, estimators, X[labeled], y[labeled])
    _run_loop(learner, X, y, labeled, random_state=0)


@pytest.mark.parametrize(
    "name", [name for name in sorted(BUILT_IN) if not SAMPLES & set(strategy_info(name).needs)]
)
def test_plain_modal_runs_each_of_our_strategies_on_flat_arrays(name, images):
    X, y = images
    X, labeled = X.reshape(60, -1), np.arange(12)
    estimators = [LogisticRegression(C=c) for c in (0.1, 1.0, 10.0)]
    learner = _make(modAL.models, name, estimators, X[labeled], y[labeled])
    _run_loop(learner, X, y, labeled, random_state=0)


@pytest.mark.parametrize("models", [modAL.models, al_tf.learner], ids=["modAL", "al_tf"])
@pytest.mark.parametrize(
    "strategy",
    [
        modAL.uncertainty.uncertainty_sampling,
        modAL.uncertainty.margin_sampling,
        modAL.uncertainty.entropy_sampling,
        modAL.batch.uncertainty_batch_sampling,
        modAL.disagreement.vote_entropy_sampling,
        modAL.disagreement.consensus_entropy_sampling,
        modAL.disagreement.max_disagreement_sampling,
    ],
    ids=lambda strategy: strategy.__name__,
)
def test_modals_strategies_run_in_both_learners(models, strategy, images):
    X, y = images
    X, labeled = X.reshape(60, -1), np.arange(12)
    estimators = [LogisticRegression(C=c) for c in (0.1, 1.0, 10.0)]
    _run_loop(_make(models, strategy, estimators, X[labeled], y[labeled]), X, y, labeled)

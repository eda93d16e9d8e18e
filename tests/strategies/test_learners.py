"""Each strategy is served by a bare estimator, by our learner and by modAL's own."""

from __future__ import annotations

import modAL.models
import numpy as np
import pytest

import al_tf.learner
from al_tf.strategies import BUILT_IN, get_strategy, strategy_info
from al_tf.strategies.testing import FakeClassifier

NAMES = [name for name in sorted(BUILT_IN) if "committee" not in strategy_info(name).needs]


@pytest.fixture(params=[modAL.models, al_tf.learner], ids=["modAL", "al_tf"])
def learners(request):
    """The module that has the learner and committee classes."""
    return request.param


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_a_learner_gives_the_strategys_images(name, learners, labeled, pool):
    strategy = get_strategy(name)
    images, y = labeled
    y = np.unique(y, return_inverse=True)[1]  # modAL's committee takes numbers for labels
    seeds = (0, 1, 2) if "committee" in strategy_info(name).needs else (0,)
    joint = "joint samples" in strategy_info(name).needs
    members = [
        learners.ActiveLearner(FakeClassifier(seed=s, joint_samples=joint), strategy, images, y)
        for s in seeds
    ]
    learner = learners.Committee(members, strategy) if len(members) > 1 else members[0]
    indices, queried, scores = learner.query(
        pool, n_instances=4, random_state=0, return_metrics=True
    )
    np.testing.assert_array_equal(queried, pool[indices])
    expected, expected_scores = strategy(learner, pool, 4, random_state=0)
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_array_equal(scores, expected_scores)


@pytest.mark.parametrize("name", [n for n in NAMES if "labeled set" not in BUILT_IN[n].needs])
def test_a_learner_and_its_estimator_are_asked_alike(name, learner, pool):
    strategy = get_strategy(name)
    learner.estimator.joint_samples = "joint samples" in strategy_info(name).needs
    of_learner, _ = strategy(learner, pool, 4, random_state=0)
    of_estimator, _ = strategy(learner.estimator, pool, 4, random_state=0)
    np.testing.assert_array_equal(of_learner, of_estimator)

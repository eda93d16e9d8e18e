"""Every strategy queries a real, tiny network: what the fake classifier promises holds."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from al_tf.strategies import BUILT_IN, get_strategy, strategy_info

pytestmark = pytest.mark.keras

PARAMS = {"expected_error": {"n_candidates": 5, "max_fits": 50}}


@pytest.fixture(scope="module")
def digits():
    data = load_digits()
    return data.images.astype(np.uint8) * 15, data.target


@pytest.fixture(scope="module")
def members(digits):
    """Three learners, each with a network with dropout trained on forty digits."""
    from al_tf import ActiveLearner, KerasImageClassifier, build_cnn

    X, y = digits
    return [
        ActiveLearner(
            KerasImageClassifier(
                build_cnn, model_params={"dropout": 0.3}, epochs=2, random_state=seed
            ),
            get_strategy("entropy"),
            X[:40],
            y[:40],
        )
        for seed in range(3)
    ]


JOINT = [name for name in sorted(BUILT_IN) if "joint samples" in strategy_info(name).needs]


@pytest.mark.parametrize("name", JOINT)
def test_dropout_draws_for_each_image_separately_which_joint_samples_must_not(
    name, members, digits
):
    with pytest.raises(TypeError, match="KerasImageClassifier draws for each image separately"):
        get_strategy(name)(members[0], digits[0][40:240], 5, random_state=0)


@pytest.mark.parametrize("name", sorted(set(BUILT_IN) - set(JOINT)))
def test_a_strategy_queries_a_network(name, members, digits):
    from al_tf import Committee

    strategy, pool = get_strategy(name), digits[0][40:240]
    wants_committee = "committee" in strategy_info(name).needs
    learner = Committee(members, strategy) if wants_committee else members[0]
    before = members[0].predict_proba(pool)
    first, scores = strategy(learner, pool, 5, random_state=0, **PARAMS.get(name, {}))
    again, _ = strategy(learner, pool, 5, random_state=0, **PARAMS.get(name, {}))
    assert len(set(first)) == 5
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(members[0].predict_proba(pool), before)


def test_bald_of_a_network_without_dropout_says_so(digits):
    from al_tf import KerasImageClassifier

    X, y = digits
    classifier = KerasImageClassifier(epochs=1, random_state=0).fit(X[:20], y[:20])
    with pytest.raises(ValueError, match="needs a network with dropout; this one has none"):
        get_strategy("bald")(classifier, X[20:40])

"""Every strategy queries a real, tiny network: what the fake classifier promises holds.

On real images, batch-aware strategies ask for fewer near-duplicates than entropy does.
"""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from al_tf import ActiveLearner, Committee, KerasImageClassifier, build_cnn, load_dataset
from al_tf.errors import DataNotFoundError
from al_tf.geometry import mean_nearest_neighbour_distance
from al_tf.seeding import stream
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
    X, y = digits
    classifier = KerasImageClassifier(epochs=1, random_state=0).fit(X[:20], y[:20])
    with pytest.raises(ValueError, match="needs a network with dropout; this one has none"):
        get_strategy("bald")(classifier, X[20:40])


@pytest.fixture(scope="module", params=["digits", "fashion_mnist"])
def learner_and_pool(request):
    try:
        data = load_dataset(request.param)
    except DataNotFoundError as error:
        pytest.skip(f"{request.param} is not here: {error}")
    rows = stream(0, "rows").permutation(len(data.x_train))[:2200]
    labeled, pool = rows[:200], rows[200:]
    classifier = KerasImageClassifier(classes=range(10), epochs=10, random_state=0)
    learner = ActiveLearner(
        classifier, X_training=data.x_train[labeled], y_training=data.y_train[labeled]
    )
    return learner, data.x_train[pool]


def spread_of_batch(strategy, learner, pool):
    indices, _ = get_strategy(strategy)(learner, pool, 100, random_state=0)
    features = learner.estimator.transform(pool)
    return mean_nearest_neighbour_distance(features[indices])


@pytest.mark.parametrize("strategy", ["kcenter", "badge", "cluster_margin"])
def test_the_batch_is_more_spread_than_entropys(strategy, learner_and_pool):
    assert spread_of_batch(strategy, *learner_and_pool) > spread_of_batch(
        "entropy", *learner_and_pool
    )


def test_copies_of_one_image_are_asked_for_once(learner_and_pool):
    learner, pool = learner_and_pool
    copies = np.concatenate([pool[:300], np.repeat(pool[:1], 50, axis=0)])
    indices, _ = get_strategy("kcenter")(learner, copies, 100, random_state=0)
    assert np.isin(indices, [0, *range(300, 350)]).sum() <= 1

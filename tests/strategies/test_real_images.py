"""On real images, batch-aware strategies ask for fewer near-duplicates than entropy does."""

import numpy as np
import pytest

from al_tf import ActiveLearner, KerasImageClassifier, get_strategy, load_dataset
from al_tf.errors import DataNotFoundError
from al_tf.geometry import mean_nearest_neighbour_distance
from al_tf.seeding import stream

pytestmark = pytest.mark.keras


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

"""Large pools: features in a memory map are read in blocks, and estimates list the right images."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from al_tf.geometry import mean_similarity
from al_tf.strategies import get_strategy, information_density, list_strategies, strategy_info
from al_tf.strategies.testing import FakeLearner

N, D, CLASSES, LABELED = 40_000, 512, 4, 40
LARGE = [
    name
    for name in list_strategies()
    if strategy_info(name).large_pools and "features" in strategy_info(name).needs
]
OPTIONS = {name: {"max_targets": 1000} for name in ("max_herding", "uherding")}


class RowNumbers:
    """An estimator of precomputed answers; an image is the number of its row."""

    classes_ = np.arange(CLASSES)

    def __init__(self, features):
        self.features = features
        start = np.array(features[:200], dtype=np.float32)
        self.coef_ = start[:CLASSES] - start.mean(axis=0)
        self.intercept_ = np.zeros(CLASSES)

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        rng = np.random.default_rng(1)
        return rng.dirichlet(np.ones(CLASSES), len(self.features))[X[:, 0]]

    def transform(self, X):
        first, last = X[0, 0], X[-1, 0]
        return self.features[first : last + 1]


@pytest.fixture(scope="module")
def low_rank():
    rng = np.random.default_rng(0)
    hidden = rng.standard_normal((N, 12)) @ rng.standard_normal((12, D))
    return np.maximum(hidden + 0.3 * rng.standard_normal((N, D)), 0).astype(np.float16)


@pytest.fixture(scope="module")
def mapped(low_rank, tmp_path_factory):
    path = tmp_path_factory.mktemp("pool") / "features.npy"
    np.save(path, low_rank)
    return np.load(path, mmap_mode="r")


def query(name, features, n_instances=8):
    numbers = np.arange(len(features))[:, None]
    learner = FakeLearner(RowNumbers(features), numbers[:LABELED], np.zeros(LABELED))
    options = OPTIONS.get(name, {})
    return get_strategy(name)(learner, numbers[LABELED:], n_instances, random_state=0, **options)


def test_some_strategies_with_features_are_for_large_pools():
    assert set(LARGE) >= {"kmeans", "ranked_batch", "bait", "entropy_cluster"}


@pytest.mark.parametrize("name", LARGE)
def test_no_copy_of_a_memory_map_is_made(name, mapped):
    query(name, mapped[:2000])  # modules that are imported late
    tracemalloc.start()
    query(name, mapped)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < mapped.nbytes  # half of what a float32 copy takes


@pytest.mark.parametrize("name", LARGE)
def test_half_precision_chooses_as_the_same_numbers_in_single_precision(name, mapped):
    some = mapped[:3000]
    half, scores = query(name, some)
    single, expected = query(name, np.array(some, dtype=np.float32))
    np.testing.assert_array_equal(half, single)
    np.testing.assert_allclose(scores, expected, rtol=1e-5)


def test_a_listed_image_has_its_exact_density(low_rank, monkeypatch):
    module = information_density
    monkeypatch.setattr(module, "ALL_COMPARED_UP_TO", 1000)
    monkeypatch.setattr(module, "ROUGH_REFERENCE_SIZE", 500)
    monkeypatch.setattr(module, "SHORTEST_LIST", 60)
    chosen, scores = query("information_density", low_rank[:2000], 20)
    pool = low_rank[LABELED:2000].astype(np.float32)
    every = mean_similarity(pool)
    np.testing.assert_allclose(scores, every[chosen], rtol=1e-5)
    assert len(set(chosen) & set(np.argsort(-every)[:20])) >= 18

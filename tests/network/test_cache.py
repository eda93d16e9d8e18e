"""Predictions kept on disk are used again exactly while weights and pool are the same."""

import numpy as np
import pytest

from al_tf import KerasImageClassifier
from al_tf.network.prediction_cache import MAX_ENTRIES, PredictionCache, prediction_key

from .networks import build_small_cnn


@pytest.fixture
def pool(tmp_path):
    path = tmp_path / "pool.dat"
    written = np.memmap(path, np.uint8, "w+", shape=(600, 8, 8))
    written[:] = np.random.default_rng(0).integers(256, size=written.shape)
    written.flush()
    return np.memmap(path, np.uint8, "r", shape=written.shape)


@pytest.fixture
def fitted(tmp_path, shapes_data):
    X, y = shapes_data
    classifier = KerasImageClassifier(
        build_small_cnn, epochs=1, random_state=0, cache_dir=tmp_path / "cache"
    )
    return classifier.fit(X[:64], y[:64])


@pytest.fixture
def forward_passes(monkeypatch):
    passes = []
    predicted = KerasImageClassifier._predicted
    monkeypatch.setattr(
        KerasImageClassifier,
        "_predicted",
        lambda self, X: passes.append(len(X)) or predicted(self, X),
    )
    return passes


@pytest.mark.keras
class TestClassifier:
    def test_a_pool_is_scored_once(self, fitted, pool, forward_passes):
        proba, features = fitted.predict_with_features(pool)
        np.testing.assert_array_equal(fitted.predict_proba(pool), proba)
        np.testing.assert_array_equal(fitted.transform(pool), features)
        assert forward_passes == [600]
        uncached = fitted.set_params(cache_dir=None).predict_with_features(pool)
        np.testing.assert_array_equal(uncached[0], proba)
        np.testing.assert_array_equal(uncached[1], features)

    def test_loaded_weights_find_what_the_same_weights_kept(
        self, fitted, pool, forward_passes, tmp_path
    ):
        proba = fitted.predict_proba(pool)
        fitted.save_weights(tmp_path / "weights.npz")
        other = KerasImageClassifier(build_small_cnn, cache_dir=fitted.cache_dir)
        other.load_weights(tmp_path / "weights.npz")
        np.testing.assert_array_equal(other.predict_proba(pool), proba)
        assert len(forward_passes) == 1

    def test_other_weights_score_again(self, fitted, pool, shapes_data, forward_passes):
        before = fitted.predict_proba(pool)
        X, y = shapes_data
        fitted.set_params(random_state=1).fit(X[:64], y[:64])
        assert not np.array_equal(fitted.predict_proba(pool), before)
        assert len(forward_passes) == 2

    def test_a_source_without_identity_is_refused(self, fitted):
        class Nameless:
            shape, dtype = (5, 8, 8), np.dtype("uint8")

            def __len__(self):
                return 5

            def __getitem__(self, rows):
                return np.zeros(self.shape, np.uint8)[rows]

        with pytest.raises(TypeError, match=r"fingerprint.*Nameless"):
            fitted.predict_proba(Nameless())

        class Named(Nameless):
            fingerprint = "five black images"

        assert fitted.predict_proba(Named()).shape == (5, 3)


WEIGHTS = [np.arange(6.0)]


class TestKey:
    def test_tells_weights_apart(self, pool):
        assert prediction_key(WEIGHTS, pool) == prediction_key([np.arange(6.0)], pool)
        assert prediction_key(WEIGHTS, pool) != prediction_key([np.arange(6.0) + 1e-12], pool)

    def test_tells_a_changed_file(self, pool, tmp_path):
        before = prediction_key(WEIGHTS, pool)
        changed = np.memmap(pool.filename, np.uint8, "r+", shape=pool.shape)
        changed[0, 0, 0] ^= 1
        changed.flush()
        assert prediction_key(WEIGHTS, changed) != before

    def test_tells_slices_of_a_file_apart(self, pool):
        keys = {prediction_key(WEIGHTS, part) for part in (pool, pool[:300], pool[300:])}
        assert len(keys) == 3

    def test_tells_arrays_by_every_byte(self):
        x = np.zeros((1000, 4), np.uint8)
        before = prediction_key(WEIGHTS, x)
        assert prediction_key(WEIGHTS, x.copy()) == before
        x[777, 1] = 1
        assert prediction_key(WEIGHTS, x) != before

    def test_tells_shapes_apart(self):
        x = np.arange(24, dtype=np.uint8)
        assert prediction_key(WEIGHTS, x.reshape(4, 6)) != prediction_key(WEIGHTS, x.reshape(6, 4))


class TestFolder:
    def test_the_entries_unused_for_longest_go(self, tmp_path):
        cache = PredictionCache(tmp_path / "cache")
        prediction = np.zeros((2, 3)), np.zeros((2, 4))
        for i in range(MAX_ENTRIES):
            cache.save(f"{i:032x}", prediction)
        assert cache.load(f"{0:032x}") is not None  # used now
        cache.save(f"{MAX_ENTRIES:032x}", prediction)
        assert cache.load(f"{0:032x}") is not None
        assert cache.load(f"{1:032x}") is None
        assert len(list((tmp_path / "cache").iterdir())) == MAX_ENTRIES

    def test_saving_twice_is_harmless(self, tmp_path):
        cache = PredictionCache(tmp_path)
        for _ in range(2):
            cache.save("ab", (np.ones((2, 3)), np.zeros((2, 4))))
        assert cache.load("ab")[0].sum() == 6
        assert len(list(tmp_path.iterdir())) == 1

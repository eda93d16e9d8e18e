"""Predictions kept on disk are used again exactly while weights and pool are the same."""

import copy
import errno
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from al_tf import KerasImageClassifier
from al_tf.errors import StorageError
from al_tf.network.prediction_cache import MAX_ENTRIES, PredictionCache
from al_tf.network.prediction_cache import prediction_key as key_of_source
from al_tf.network.sources import image_source

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


def prediction_key(variables, X):
    return key_of_source(variables, image_source(X))


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


PREDICTION = np.ones((20, 3), np.float32), np.zeros((20, 4), np.float32)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


class TestFolder:
    def test_the_entries_unused_for_longest_go(self, tmp_path):
        cache = PredictionCache(tmp_path / "cache")
        for i in range(MAX_ENTRIES):
            cache.save(f"{i:032x}", PREDICTION)
            os.utime(tmp_path / "cache" / f"{i:032x}.npz", (i, i))
        assert cache.load(f"{0:032x}") is not None  # used now
        cache.save(f"{MAX_ENTRIES:032x}", PREDICTION)
        assert cache.load(f"{0:032x}") is not None
        assert cache.load(f"{1:032x}") is None
        assert len(names_in(tmp_path / "cache")) == MAX_ENTRIES

    def test_saving_twice_is_harmless(self, tmp_path):
        cache = PredictionCache(tmp_path)
        for _ in range(2):
            cache.save("ab", PREDICTION)
        assert cache.load("ab")[0].sum() == 60
        assert names_in(tmp_path) == ["ab.npz"]

    def test_may_be_shared(self, tmp_path):
        """Saves, loads and removals at once: each load gives a whole prediction or none."""

        def work(seed):
            cache, rng = PredictionCache(tmp_path), np.random.default_rng(seed)
            for key in rng.integers(3 * MAX_ENTRIES, size=60):
                cache.save(f"{key:032x}", PREDICTION)
                loaded = cache.load(f"{key:032x}")
                assert loaded is None or np.array_equal(loaded[0], PREDICTION[0])

        with ThreadPoolExecutor(6) as pool, warnings.catch_warnings():
            warnings.simplefilter("error")
            list(pool.map(work, range(6)))
        assert len(names_in(tmp_path)) <= MAX_ENTRIES

    def test_an_entry_that_vanishes_meanwhile_is_passed_over(self, tmp_path, monkeypatch):
        cache = PredictionCache(tmp_path)
        for i in range(MAX_ENTRIES + 1):
            monkeypatch.setattr(Path, "glob", lambda self, pattern: [self / "gone.npz"])
            cache.save(f"{i:x}", PREDICTION)
            monkeypatch.undo()
        assert len(names_in(tmp_path)) == MAX_ENTRIES + 1

    @pytest.mark.parametrize("damage", ["cut", "emptied", "altered", "another file", "a folder"])
    def test_a_damaged_entry_counts_as_absent_and_is_replaced(self, tmp_path, damage):
        cache, entry = PredictionCache(tmp_path), tmp_path / "ab.npz"
        cache.save("ab", PREDICTION)
        whole = entry.read_bytes()
        altered = whole.replace(PREDICTION[0][0].tobytes(), bytes(12))
        spoilt = {"cut": whole[:-90], "emptied": b"", "altered": altered, "another file": b"text"}
        entry.unlink()
        if damage == "a folder":
            entry.mkdir()
        else:
            entry.write_bytes(spoilt[damage])
        with pytest.warns(RuntimeWarning, match=r"ab\.npz: this kept prediction cannot be read"):
            assert cache.load("ab") is None
        if damage != "a folder":
            cache.save("ab", PREDICTION)
            np.testing.assert_array_equal(cache.load("ab")[0], PREDICTION[0])

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EIO])
    def test_a_disk_that_refuses_costs_no_prediction(
        self, fitted, pool, forward_passes, monkeypatch, number
    ):
        expected = KerasImageClassifier.predict_proba(clone_without_cache(fitted), pool)

        def half(path, **arrays):
            Path(path).write_bytes(b"half")
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(np, "savez", half)
        with pytest.warns(RuntimeWarning, match=r"computed but could not be kept for later: .*"):
            found = fitted.predict_proba(pool)
        np.testing.assert_array_equal(found, expected)
        assert names_in(fitted.cache_dir) == []


def clone_without_cache(classifier):
    return copy.copy(classifier).set_params(cache_dir=None)


@pytest.mark.keras
def test_weights_that_cannot_be_written_leave_nothing_behind(fitted, tmp_path, monkeypatch):
    def half(file, **arrays):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", half)
    (tmp_path / "weights").mkdir()
    with pytest.raises(StorageError, match="the disk is full"):
        fitted.save_weights(tmp_path / "weights" / "weights.npz")
    assert names_in(tmp_path / "weights") == []

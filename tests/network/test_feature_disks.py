"""The store of features on disks that are full, read-only or none: it reads what it can, and says so once."""

import os
import warnings
from contextlib import suppress

import numpy as np
import pytest

from al_tf.errors import FeaturesNotKeptWarning
from al_tf.network.feature_database import FeatureDatabase
from al_tf.network.feature_store import FeatureStore

DIGESTS = [bytes([i]) * 16 for i in range(40)]
FEATURES = np.random.default_rng(0).normal(size=(40, 4000)).astype(np.float32)


def opened(folder):
    return FeatureStore(folder, fingerprint="f", label="l", dim=4000)


def filled(folder):
    with opened(folder) as store:
        store.put(DIGESTS, FEATURES)
    return folder


def test_a_file_in_the_place_of_the_folder_is_said_once(tmp_path):
    (tmp_path / "file").write_text("")
    message = "a file is in the place of a folder.*computed again next time"
    with pytest.warns(FeaturesNotKeptWarning, match=message) as said:
        filled(tmp_path / "file" / "c")
    assert len(said) == 1


def test_what_is_there_is_read_from_a_disk_that_is_read_only(small_disk):
    folder = filled(small_disk(4000) / "c")
    small_disk(4000, "ro")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with opened(folder) as store:
            np.testing.assert_array_equal([*store.get(DIGESTS).values()], FEATURES)
    with FeatureDatabase(folder) as database:
        assert [entry.n_images for entry in database.contents()] == [40]


def test_clearing_makes_room_on_a_disk_that_is_full(small_disk):
    disk = small_disk(4000)
    folder = filled(disk / "c")
    with suppress(OSError), open(disk / "fill", "wb", buffering=0) as file:
        while file.write(bytes(1 << 12)):
            pass
    assert os.statvfs(disk).f_bavail == 0
    with FeatureDatabase(folder) as database:
        assert [entry.n_images for entry in database.contents()] == [40]
        database.clear()
        assert database.contents() == []
    assert os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize > FEATURES.nbytes / 2


def test_a_database_without_its_tables_is_a_damaged_one(tmp_path):
    filled(tmp_path)
    with FeatureDatabase(tmp_path) as database:
        database._connection.execute("DROP TABLE image")
    with pytest.warns(RuntimeWarning, match="no such table.*A new one is begun"):
        filled(tmp_path)
    filled(tmp_path)
    with opened(tmp_path) as store:
        assert len(store.get(DIGESTS)) == 40

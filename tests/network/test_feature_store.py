"""An image is embedded once, whatever happens to the process, the disk or the file in between."""

import os
import signal
import sqlite3
import subprocess
import sys
import warnings

import numpy as np
import pytest

from al_tf.network import backbones, feature_database
from al_tf.network.backbones import Backbone
from al_tf.network.feature_database import REFRESH_SECONDS, FeatureDatabase
from al_tf.network.feature_store import FeatureStore, source_name
from al_tf.network.pixels import pixel_digests
from al_tf.network.pretrained import PretrainedNetwork

DIM = 6


class CountingBackbone(Backbone):
    """Features are means of six strips; `embedded` counts the images that went through it."""

    def __init__(self, identity="weights"):
        super().__init__(PretrainedNetwork("strips", 32, DIM, identity, build=None))
        self.embedded = 0

    def _forward(self, image_shape, is_uint8):
        def forward(pixels):
            self.embedded += len(pixels)
            strips = np.array_split(pixels.reshape(len(pixels), -1), DIM, axis=1)
            return np.stack([strip.mean(axis=1) for strip in strips], 1).astype(np.float32)

        return forward


@pytest.fixture
def backbone():
    return CountingBackbone()


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, size=(30, 9, 9), dtype=np.uint8)


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is moved."""

    class Clock:
        now = 1_000_000.0

        def time(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr("al_tf.network.feature_database.time", clock)
    monkeypatch.setattr("al_tf.network.feature_store.time", clock)
    return clock


def database_file(folder):
    (path,) = folder.glob("features-*.db")
    return path


def test_an_image_is_embedded_once_in_any_array_order_or_object(backbone, images, tmp_path):
    first = backbone.features(images, cache_dir=tmp_path)
    again = backbone.features(images[::-1][:20], cache_dir=tmp_path)
    other = CountingBackbone().features(images[..., np.newaxis][5:7, :, :, 0], cache_dir=tmp_path)
    assert backbone.embedded == 30
    np.testing.assert_array_equal(again, first[::-1][:20])
    np.testing.assert_array_equal(other, first[5:7])


def test_ten_new_images_embed_ten(backbone, images, tmp_path):
    backbone.features(images[:20], cache_dir=tmp_path)
    backbone.features(images, cache_dir=tmp_path)
    assert backbone.embedded == 30


def test_one_changed_pixel_and_another_backbone_embed_anew(backbone, images, tmp_path):
    backbone.features(images, cache_dir=tmp_path)
    images[3, 0, 0] ^= 1
    backbone.features(images, cache_dir=tmp_path)
    assert backbone.embedded == 31
    other = CountingBackbone("other weights")
    other.features(images, cache_dir=tmp_path)
    assert other.embedded == 30


def test_the_users_cache_is_the_default_and_false_keeps_nothing(
    backbone, images, tmp_path, monkeypatch
):
    monkeypatch.setenv("AL_TF_CACHE_DIR", str(tmp_path))
    backbone.features(images, cache_dir=False)
    assert not [*tmp_path.iterdir()]
    for _ in range(2):
        backbone.features(images)
    assert backbone.embedded == 60
    assert database_file(tmp_path / "features").is_file()
    with pytest.raises(TypeError, match="must be a folder, None"):
        backbone.features(images, cache_dir=True)


@pytest.mark.parametrize("fault", [KeyboardInterrupt, MemoryError])
def test_a_stop_in_the_middle_loses_at_most_one_batch(
    fault, backbone, images, tmp_path, monkeypatch
):
    monkeypatch.setattr(backbones, "_PASS_PIXELS", 4 * 32 * 32)
    forward = backbone._forward(None, True)

    def stops(pixels):
        if backbone.embedded >= 20:
            raise fault
        return forward(pixels)

    with monkeypatch.context() as patch:
        patch.setattr(backbone, "_forward", lambda *_: stops)
        with pytest.raises(fault):
            backbone.features(images, cache_dir=tmp_path)
    backbone.features(images, cache_dir=tmp_path)
    assert backbone.embedded == 30


KILLED = """
import os, signal, sys
import numpy as np
sys.path.insert(0, sys.argv[2])
from tests.network.test_feature_store import CountingBackbone
from al_tf.network import backbones

backbones._PASS_PIXELS = 4 * 32 * 32
backbone = CountingBackbone()
forward = backbone._forward(None, True)

def dies(pixels):
    if backbone.embedded >= 20:
        os.kill(os.getpid(), signal.SIGKILL)
    return forward(pixels)

backbone._forward = lambda *_: dies
images = np.random.default_rng(0).integers(0, 256, size=(30, 9, 9), dtype=np.uint8)
backbone.features(images, cache_dir=sys.argv[1])
"""


def test_a_kill_in_the_middle_loses_at_most_two_batches(backbone, images, tmp_path):
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path, root])
    assert done.returncode == -signal.SIGKILL
    backbone.features(images, cache_dir=tmp_path)
    assert backbone.embedded in (10, 14)  # the last batch computed may not have been written


SHARES = """
import sys
import numpy as np
from al_tf.network.feature_store import FeatureStore, source_name
from al_tf.network.pixels import pixel_digests

seed = int(sys.argv[2])
rows = np.random.default_rng(seed).permutation(400)
for _ in range(3):
    with FeatureStore(sys.argv[1], fingerprint="f", label="l", dim=4) as store:
        for part in np.array_split(rows, 40):
            digests = [int(i).to_bytes(16, "little") for i in part]
            for digest, row in store.get(digests).items():
                assert (row == int.from_bytes(digest, "little")).all()
            store.put(digests, np.repeat(part[:, None], 4, axis=1).astype(np.float32))
"""


def test_processes_share_it(tmp_path):
    command = [sys.executable, "-W", "error", "-c", SHARES, tmp_path]
    running = [subprocess.Popen([*command, str(seed)]) for seed in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]
    with FeatureStore(tmp_path, fingerprint="f", label="l", dim=4) as store:
        kept = store.get([i.to_bytes(16, "little") for i in range(400)])
    assert len(kept) == 400


def test_a_damaged_entry_is_computed_again(backbone, images, tmp_path):
    first = backbone.features(images, cache_dir=tmp_path)
    content = bytearray(database_file(tmp_path).read_bytes())
    at = content.find(first[7].tobytes())
    content[at + 5] ^= 1
    database_file(tmp_path).write_bytes(content)
    for embedded in (31, 31):
        np.testing.assert_array_equal(backbone.features(images, cache_dir=tmp_path), first)
        assert backbone.embedded == embedded


def test_features_of_another_image_are_not_mistaken(backbone, images, tmp_path):
    first = backbone.features(images, cache_dir=tmp_path)
    with sqlite3.connect(database_file(tmp_path)) as connection:
        connection.execute(
            "UPDATE features SET (checksum, vector) = (SELECT checksum, vector FROM features "
            "WHERE id = 1) WHERE id = 2"
        )
    np.testing.assert_array_equal(backbone.features(images, cache_dir=tmp_path), first)
    assert backbone.embedded == 31


@pytest.mark.parametrize("damage", ["text", "short", "middle", "other database"])
def test_a_damaged_file_is_replaced_by_a_new_one(damage, backbone, images, tmp_path):
    first = backbone.features(images, cache_dir=tmp_path)
    path = database_file(tmp_path)
    content = bytearray(path.read_bytes())
    if damage == "text":
        path.write_text("no database " * 1000)
    elif damage == "short":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "middle":
        content[1 << 15 :] = bytes(len(content) - (1 << 15))
        path.write_bytes(content)
    else:
        path.unlink()
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA user_version = 77")
    with pytest.warns(RuntimeWarning, match="features-1.db.*A new one is begun"):
        np.testing.assert_array_equal(backbone.features(images, cache_dir=tmp_path), first)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(backbone.features(images, cache_dir=tmp_path), first)
    assert backbone.embedded == 60
    assert database_file(tmp_path).name == "features-2.db"


def test_a_full_disk_is_said_once_and_features_are_returned(
    backbone, images, tmp_path, monkeypatch
):
    monkeypatch.setattr(backbones, "_PASS_PIXELS", 4 * 32 * 32)
    expected = backbone.features(images, cache_dir=False)
    backbone.features(images[:8], cache_dir=tmp_path)
    pages = os.path.getsize(database_file(tmp_path)) // feature_database._PAGE_BYTES
    opened = FeatureDatabase._open

    def open_small(self, number):
        opened(self, number)
        self._connection.execute(f"PRAGMA max_page_count = {pages}")

    monkeypatch.setattr(FeatureDatabase, "_open", open_small)
    monkeypatch.setattr(feature_database, "_PAGE_BYTES", 1)
    many = np.random.default_rng(1).integers(0, 256, size=(3000, 9, 9), dtype=np.uint8)
    with pytest.warns(RuntimeWarning, match=r"full.*computed again next time: make room") as said:
        features = backbone.features(np.concatenate([images, many]), cache_dir=tmp_path)
    assert len(said) == 1
    np.testing.assert_array_equal(features[:30], expected)


def test_a_small_real_disk_that_is_full(backbone, images, small_disk):
    disk = small_disk(64)
    expected = backbone.features(images, cache_dir=False)
    with pytest.warns(RuntimeWarning, match="They are computed, and will be computed again"):
        np.testing.assert_array_equal(backbone.features(images, cache_dir=disk / "c"), expected)


def test_a_folder_that_cannot_be_made_is_said_once(backbone, images, small_disk):
    disk = small_disk(100, "ro")
    with pytest.warns(RuntimeWarning, match="read-only.*computed again") as said:
        backbone.features(images, cache_dir=disk / "c")
    assert len(said) == 1
    assert backbone.embedded == 30


def test_what_was_unused_for_longest_goes_first(tmp_path, clock):
    digests = [bytes([i]) * 16 for i in range(40)]
    features = np.random.default_rng(0).normal(size=(40, 4000)).astype(np.float32)

    def store():
        return FeatureStore(tmp_path, fingerprint="f", label="l", dim=4000)

    with store() as kept:
        kept.put(digests[:10], features[:10])
    clock.now += 2 * REFRESH_SECONDS
    with store() as kept:
        kept.put(digests[10:20], features[10:20])
    clock.now += 2 * REFRESH_SECONDS
    with store() as kept:
        assert len(kept.get(digests[:10])) == 10  # used again
    clock.now += 2 * REFRESH_SECONDS
    with FeatureDatabase(tmp_path) as database:
        database.set_limit(feature_database._PAGE_BYTES * 17)
    with store() as kept:
        kept.put(digests[20:30], features[20:30])
        left = kept.get(digests)
    assert set(digests[20:30]) <= set(left)
    assert set(digests[:10]) & set(left)
    assert not set(digests[10:20]) & set(left)


def test_what_a_call_uses_itself_is_not_dropped_for_its_own_sake(tmp_path, clock):
    with FeatureDatabase(tmp_path) as database:
        database.set_limit(feature_database._PAGE_BYTES * 20)
    digests = [bytes([i]) * 16 for i in range(40)]
    features = np.random.default_rng(0).normal(size=(40, 4000)).astype(np.float32)
    with FeatureStore(tmp_path, fingerprint="f", label="l", dim=4000) as store:
        store.put(digests[:10], features[:10])
        with pytest.warns(RuntimeWarning, match="al-tf cache limit"):
            store.put(digests[10:30], features[10:30])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            store.put(digests[30:], features[30:])  # said once
        assert set(store.get(digests)) == set(digests[:10])


def test_contents_are_listed_and_cleared(backbone, images, tmp_path, clock):
    backbone.features(images, cache_dir=tmp_path)
    with FeatureDatabase(tmp_path) as database:
        (entry,) = database.contents()
        assert (entry.label, entry.n_images) == ("strips at 32 pixels", 30)
        assert (entry.n_bytes, entry.last_used) == (30 * DIM * 4, clock.now)
        database.clear()
        assert database.contents() == []
    backbone.features(images, cache_dir=tmp_path)
    assert backbone.embedded == 60


def test_clearing_gives_the_disk_space_back(tmp_path):
    with FeatureStore(tmp_path, fingerprint="f", label="l", dim=5000) as store:
        store.put([bytes([i]) * 16 for i in range(100)], np.ones((100, 5000), np.float32))
    before = database_file(tmp_path).stat().st_size
    with FeatureDatabase(tmp_path) as database:
        database.clear()
    assert database_file(tmp_path).stat().st_size < before / 10


def test_a_file_is_known_by_its_content_and_the_way_it_is_read(tmp_path):
    features = np.arange(12, dtype=np.float32).reshape(3, 4)
    names = [source_name(content, "12 x 12") for content in "abc"]
    with FeatureStore(tmp_path, fingerprint="f", label="l", dim=4) as store:
        store.put([b"1", b"2"], features[:2])
        store.put_sources(names, [b"1", b"2", b"3"])  # features of the third are not kept
    with FeatureStore(tmp_path, fingerprint="f", label="l", dim=4) as store:
        kept = store.get_sources(names)
        assert set(kept) == set(names[:2])
        np.testing.assert_array_equal(kept[names[1]], features[1])
        assert store.get_sources([source_name("a", "16 x 16"), b"1"]) == {}
    with FeatureStore(tmp_path, fingerprint="another", label="l", dim=4) as store:
        assert store.get_sources(names) == {}


def test_files_are_forgotten_with_the_features_that_they_lead_to(tmp_path, clock):
    digests = [bytes([i]) * 16 for i in range(20)]
    features = np.ones((20, 4000), np.float32)
    with FeatureStore(tmp_path, fingerprint="f", label="l", dim=4000) as store:
        store.put(digests, features)
        store.put_sources(digests, digests)
    clock.now += 2 * REFRESH_SECONDS
    with FeatureDatabase(tmp_path) as database:
        database.set_limit(feature_database._PAGE_BYTES * 17)
        left = {row[0] for row in database._connection.execute("SELECT digest FROM image")}
        known = {row[0] for row in database._connection.execute("SELECT digest FROM source")}
        assert known == left
        assert 0 < len(left) < 20
        database.clear()
        assert database._connection.execute("SELECT * FROM source").fetchall() == []


def test_a_database_from_before_files_were_known_is_used_on(backbone, images, tmp_path):
    backbone.features(images, cache_dir=tmp_path)
    with sqlite3.connect(database_file(tmp_path)) as connection:
        connection.execute("DROP TABLE source")
    connection.close()
    backbone.features(images, cache_dir=tmp_path)
    assert backbone.embedded == 30
    with backbone.store(tmp_path) as store:
        store.put_sources([b"a"], [pixel_digests(images)[0]])
        assert len(store.get_sources([b"a"])) == 1

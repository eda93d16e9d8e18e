"""Reading, digests and the network go on at once; order, errors and what is kept stay as they were."""

import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from al_tf.image_arrays import ImageSource
from al_tf.network import embedding
from al_tf.network.embedding import embed, read_ahead
from al_tf.network.feature_store import FeatureStore
from al_tf.network.forward_pass import passes_at_once
from al_tf.network.pixels import pixel_digests
from al_tf.progress import progress_bar

DIM, BATCH, PATIENCE = 4, 3, 60


class Images(ImageSource):
    """20 different images; what `before(start)` does comes before each reading."""

    dtype = np.dtype(np.uint8)
    shape = (20, 2, 2)

    def __init__(self, before=lambda start: None, *, reads_in_parallel=True):
        self.before, self.reads_in_parallel = before, reads_in_parallel
        self.pixels = np.arange(80, dtype=np.uint8).reshape(self.shape)

    def read(self, rows):
        self.before(int(rows[0]))
        return self.pixels[rows]


def forward(images):
    return images.reshape(len(images), DIM).astype(np.float32)


@pytest.fixture(autouse=True)
def one_pass_at_once(monkeypatch):
    """As it is on a processor, whatever this machine has."""
    monkeypatch.setattr(embedding, "passes_at_once", lambda: 1)


@pytest.fixture
def store(tmp_path):
    with FeatureStore(tmp_path, fingerprint="test", label="test", dim=DIM) as opened:
        yield opened


@pytest.fixture
def run(store):
    bar = progress_bar(total=0, desc="", unit="image", shown=False)

    def embedded(source, network=forward):
        return embed(source, lambda: network, store, bar, dim=DIM, batch=BATCH)

    return embedded


def test_features_are_in_the_order_of_the_images_whoever_reads_first(run, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    later = threading.Event()

    def before(start):
        if start == 0:
            assert later.wait(PATIENCE), "nothing was read beside the first images"
        else:
            later.set()

    source = Images(before)
    features, digests = run(source)
    np.testing.assert_array_equal(features, forward(source.pixels))
    assert digests == pixel_digests(source.pixels)


def test_images_are_read_while_the_network_computes(run):
    read_on = threading.Event()

    def network(images):
        assert read_on.wait(PATIENCE), "nothing was read while the network computed"
        return forward(images)

    source = Images(lambda start: read_on.set() if start > 2 * BATCH else None)
    np.testing.assert_array_equal(run(source, network)[0], forward(source.pixels))


def test_the_network_is_called_by_one_thread_in_full_batches(run):
    sizes, threads = [], set()

    def network(images):
        sizes.append(len(images))
        threads.add(threading.current_thread().name)
        return forward(images)

    run(Images(), network)
    assert sizes == [3, 3, 3, 3, 3, 3, 2]
    assert len(threads) == 1


def test_a_gpu_computes_one_batch_while_the_next_is_copied(run, monkeypatch):
    monkeypatch.setattr(embedding, "passes_at_once", lambda: 2)
    both = threading.Barrier(2)
    calls = []

    def network(images):
        calls.append(len(images))
        if len(calls) <= 6:
            both.wait(PATIENCE)
        return forward(images)

    source = Images()
    np.testing.assert_array_equal(run(source, network)[0], forward(source.pixels))
    assert sorted(calls) == [2, 3, 3, 3, 3, 3, 3]


@pytest.mark.keras
@pytest.mark.parametrize(
    ("backend", "device", "n"), [("tensorflow", "gpu", 1), ("jax", "cpu", 1), ("jax", "gpu", 2)]
)
def test_a_gpu_under_jax_alone_gets_two_batches_at_once(monkeypatch, backend, device, n):
    monkeypatch.setattr("keras.backend.backend", lambda: backend)
    monkeypatch.setitem(sys.modules, "jax", SimpleNamespace(default_backend=lambda: device))
    assert passes_at_once() == n


def test_a_source_that_does_not_say_otherwise_is_read_by_one_thread_at_a_time(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    assert not ImageSource.reads_in_parallel
    threads = set()
    source = Images(lambda start: threads.add(threading.get_ident()), reads_in_parallel=False)
    assert sum(len(digests) for _, digests in read_ahead(source, BATCH)) == 20
    assert len(threads) == 1


def test_no_more_is_read_ahead_than_there_is_room_for(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    starts = []
    parts = read_ahead(Images(starts.append), 1)
    next(parts)
    parts.close()
    assert len(starts) <= 4  # two readers: the first image, two more, and one that took its place


@pytest.mark.parametrize("kind", [OSError, KeyboardInterrupt])
def test_what_was_computed_before_reading_fails_is_kept(run, store, kind):
    def before(start):
        if start == 15:
            raise kind("the disk is gone")

    source = Images(before)
    with pytest.raises(kind, match="the disk is gone"):
        run(source)
    kept = store.get(pixel_digests(source.pixels))
    assert set(pixel_digests(source.pixels[:15])) == set(kept)


@pytest.mark.parametrize("at_once", [1, 2])
def test_what_was_computed_before_the_network_fails_is_kept(run, store, monkeypatch, at_once):
    monkeypatch.setattr(embedding, "passes_at_once", lambda: at_once)
    calls = []

    def network(images):
        calls.append(len(images))
        if len(calls) == 3:
            raise MemoryError("out of memory")
        return forward(images)

    source = Images()
    with pytest.raises(MemoryError, match="out of memory"):
        run(source, network)
    computed = pixel_digests(source.pixels[:6])
    assert set(store.get(computed)) == set(computed)

"""Images embedded on a real Dask cluster of two worker processes."""

import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from al_tf.datasets import LazyImageFolder
from al_tf.errors import DataCorruptError, DataNotFoundError, RunFailedError
from al_tf.experiments import cluster as cluster_module
from al_tf.experiments import embed_on_cluster, run_experiment
from al_tf.network import backbones
from al_tf.network.backbones import Backbone, load_backbone

from .helpers import fast_config, numbers

pytestmark = [pytest.mark.slow, pytest.mark.keras]

distributed = pytest.importorskip("distributed")
N_IMAGES, BATCH = 2500, 256


class ForwardLog(distributed.WorkerPlugin):
    """Makes batches small and writes down each; kills a worker before its third one, once."""

    name = "forward log"

    def __init__(self, folder):
        self.folder = Path(folder)

    def setup(self, worker):
        backbones._PASS_PIXELS = BATCH * 16 * 16  # the network takes images of 16 × 16
        original = getattr(Backbone, "unlogged_forward", Backbone._forward)
        Backbone.unlogged_forward = original
        folder = self.folder

        def logged(self, image_shape, is_uint8):
            forward = original(self, image_shape, is_uint8)

            def run(images):
                own = folder / f"pid-{os.getpid()}"
                if (folder / "kill").exists() and own.exists() and len(own.read_text().split()) > 1:
                    (folder / "kill").rename(folder / "killed")
                    os.kill(os.getpid(), signal.SIGKILL)
                for log in (folder / "log", own):
                    with open(log, "a") as file:
                        file.write(f"{len(images)}\n")
                return forward(images)

            return run

        Backbone._forward = logged


@pytest.fixture(scope="module")
def log_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("log")


@pytest.fixture(scope="module")
def cluster(log_folder, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AL_TF_CACHE_DIR", str(tmp_path_factory.mktemp("cache of workers")))
        with distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster:
            with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
                client.register_plugin(ForwardLog(log_folder))
            yield cluster


@pytest.fixture
def computed(log_folder):
    """Return a function that says how many images the workers' networks saw in this test."""
    (log_folder / "log").write_text("")
    return lambda: sum(map(int, (log_folder / "log").read_text().split()))


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AL_TF_CACHE_DIR", str(tmp_path / "cache of this process"))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (N_IMAGES, 8, 8, 3), np.uint8)


@pytest.fixture
def small_batches(monkeypatch):
    """Give out chunks of several batches: a worker that dies has kept some of its chunk."""
    monkeypatch.setattr(cluster_module, "CHUNKS_A_THREAD", 1)


def embed_on(cluster, X, backbone, **options):
    return embed_on_cluster(X, backbone, scheduler=cluster.scheduler_address, **options)


def pngs(folder, images):
    from PIL import Image

    folder.mkdir()
    for i, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{i:04}.png")
    return LazyImageFolder(folder, size=8, grey=False)


def as_array(images, tmp_path):
    return images


def as_mapped_file(images, tmp_path):
    mapped = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.uint8, images.shape)
    mapped[:] = images
    return mapped


def as_folder(images, tmp_path):
    return pngs(tmp_path / "images", images)


def test_a_killed_worker_costs_no_image_that_was_kept(
    cluster, backbone, images, tmp_path, log_folder, computed, small_batches
):
    X, shared = as_folder(images, tmp_path), tmp_path / "shared"
    (log_folder / "kill").touch()  # the first worker that begins its third batch
    features = embed_on(cluster, X, backbone, cache_dir=shared)
    assert (log_folder / "killed").exists()
    after = computed()
    assert N_IMAGES <= after <= N_IMAGES + BATCH  # the second batch may not have been written yet
    expected = load_backbone(backbone).features(images, cache_dir=False)
    np.testing.assert_allclose(features, expected, rtol=1e-5, atol=1e-5)
    out = np.lib.format.open_memmap(tmp_path / "features.npy", "w+", np.float32, features.shape)
    again = embed_on(cluster, X, backbone, cache_dir=shared, out=out)
    assert again is out
    assert computed() == after
    np.testing.assert_array_equal(again, features)


@pytest.mark.parametrize("form", [as_array, as_mapped_file])
def test_arrays_and_mapped_files_have_the_features_of_one_process(
    form, cluster, backbone, images, tmp_path
):
    features = embed_on(cluster, form(images[:300], tmp_path), backbone, cache_dir=False)
    expected = load_backbone(backbone).features(images[:300], cache_dir=False)
    np.testing.assert_allclose(features, expected, rtol=1e-5, atol=1e-5)


def test_this_process_keeps_what_workers_with_other_caches_computed(
    cluster, backbone, images, computed, monkeypatch
):
    features = embed_on(cluster, images[:300], backbone)
    assert computed() == 300
    loaded = load_backbone(backbone)
    monkeypatch.setattr(loaded, "_forward", None)  # nothing is computed here
    np.testing.assert_array_equal(loaded.features(images[:300]), features)
    repeated = images[np.arange(600) % 300]
    np.testing.assert_array_equal(embed_on(cluster, repeated, backbone), np.tile(features, (2, 1)))
    assert computed() == 300


def test_pixels_are_sent_only_where_workers_cannot_read_by_path(
    cluster, backbone, images, tmp_path, monkeypatch
):
    sent = []
    submit = distributed.Client.submit

    def measured(self, task, source, **options):
        sent.append(len(distributed.protocol.pickle.dumps(source)))
        return submit(self, task, source, **options)

    monkeypatch.setattr(distributed.Client, "submit", measured)
    big = np.repeat(np.repeat(images[:40], 16, axis=1), 16, axis=2)  # 49 kB each
    for form in (as_mapped_file, as_folder):
        sent.clear()
        embed_on(cluster, form(big, tmp_path), backbone, cache_dir=False)
        assert sum(sent) < big.nbytes / 20
    sent.clear()
    embed_on(cluster, big, backbone, cache_dir=False)
    assert sum(sent) > big.nbytes


def test_files_that_a_worker_does_not_see_are_named(cluster, backbone, images, tmp_path):
    folder = pngs(tmp_path / "images", images[:20])
    folder.files[7].unlink()
    with pytest.raises(DataNotFoundError, match=r"0007\.png: a worker of the cluster does not see"):
        embed_on(cluster, folder, backbone)


def test_a_damaged_image_is_named(cluster, backbone, images, tmp_path):
    folder = pngs(tmp_path / "images", images[:20])
    folder.files[7].write_bytes(b"no image")
    with pytest.raises(DataCorruptError, match=r"0007\.png: expected an image"):
        embed_on(cluster, folder, backbone)


def test_a_worker_with_another_network_under_the_same_name_refuses(
    cluster, backbone, images, monkeypatch
):
    monkeypatch.setattr(Backbone, "fingerprint", "0" * 32)
    with pytest.raises(DataCorruptError, match=r"of a worker is another one: .* expected 000000"):
        embed_on(cluster, images[:20], backbone, cache_dir=False)


def test_a_probe_experiment_embeds_on_the_cluster_before_its_runs(
    cluster, backbone, tmp_path, computed, monkeypatch
):
    config = fast_config(model="probe", model_params={}, backbone=backbone, rounds=2, pool=100)
    run_experiment(config, tmp_path / "alone", jobs=0, progress=False)
    monkeypatch.setenv("AL_TF_CACHE_DIR", str(tmp_path / "another cache"))
    monkeypatch.setattr(load_backbone(backbone), "_forward", None)
    address = cluster.scheduler_address
    out = tmp_path / "dask"
    run_experiment(config, out, backend="dask", scheduler=address, progress=False)
    assert 100 + 359 < computed() <= 200 + 359
    pd.testing.assert_frame_equal(numbers(out), numbers(tmp_path / "alone"))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            distributed.KilledWorker("task", SimpleNamespace(address="tcp://worker"), 3),
            "The same 5 images ended one worker after",
        ),
        (distributed.CancelledError("task"), "connection to the Dask scheduler was lost"),
    ],
)
def test_what_cannot_go_on_says_that_it_is_kept(error, message, monkeypatch):
    class Future:
        def result(self):
            raise error

    cancelled = []

    class Client:
        def submit(self, *_, **__):
            return Future()

        def cancel(self, futures):
            cancelled.extend(futures)

    class Finished(list):
        add = list.append

    monkeypatch.setattr(distributed, "as_completed", Finished)
    chunks = iter([cluster_module._Chunk(np.arange(5), None)] * 3)
    with pytest.raises(RunFailedError, match=f"(?s){message}.* What was embedded is kept"):
        list(cluster_module._embedded(Client(), None, chunks, 2))
    assert len(cancelled) == 1


def test_an_array_of_another_shape_or_type_is_refused(backbone, images):
    for out in (np.empty((3, 5), np.float32), np.empty((3, 6))):
        with pytest.raises(ValueError, match=r"out must be float32 of shape \(3, 6\); got float"):
            embed_on_cluster(images[:3], backbone, scheduler="tcp://nowhere:1", out=out)


def test_without_dask_the_error_says_what_to_install(backbone, images, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'al-tf\[dask\]'"):
        embed_on_cluster(images[:3], backbone, scheduler="tcp://nowhere:1", cache_dir=False)

"""The same runs on a real Dask cluster of two worker processes."""

import sys

import pandas as pd
import pytest

from al_tf.errors import RunFailedError
from al_tf.experiments import StrategySpec, load_results, run_experiment

from .helpers import fast_config, numbers

pytestmark = pytest.mark.slow

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def cluster():
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=2, processes=True, dashboard_address=None
    ) as cluster:
        yield cluster


def run_on(cluster, config, out_dir):
    address = cluster.scheduler_address
    return run_experiment(config, out_dir, backend="dask", scheduler=address, progress=False)


def test_the_numbers_are_those_of_one_process_though_a_worker_is_killed(cluster, tmp_path):
    dies = StrategySpec("dies", "dies_once", {"marker": str(tmp_path / "died")})
    config = fast_config(strategies=["margin", dies])
    before = {w["pid"] for w in worker_infos(cluster)}
    run_on(cluster, config, tmp_path / "dask")
    assert (tmp_path / "died-0").exists()
    assert before - {w["pid"] for w in worker_infos(cluster)}  # one of them is gone
    run_experiment(config, tmp_path / "alone", jobs=0, progress=False)
    pd.testing.assert_frame_equal(numbers(tmp_path / "dask"), numbers(tmp_path / "alone"))


def worker_infos(cluster):
    import os

    with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
        return [{"pid": pid} for pid in client.run(os.getpid).values()]


def test_a_failing_run_is_named_and_the_others_go_on(cluster, tmp_path):
    with pytest.raises(RunFailedError, match="1 of 2 runs failed") as caught:
        run_on(cluster, fast_config(strategies="fails_late", seeds=1), tmp_path)
    assert "fails_late-seed0: ZeroDivisionError: the strategy broke" in str(caught.value)
    assert load_results(tmp_path).groupby("strategy")["round"].max()["random"] == 4


def test_without_dask_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'al-tf\[dask\]'"):
        run_experiment(
            fast_config(), tmp_path, backend="dask", scheduler="tcp://nowhere:1", progress=False
        )


def test_workers_that_do_not_see_the_folder_say_so(cluster, tmp_path):
    from al_tf.experiments.parallel import Run, perform
    from al_tf.strategies import strategy_info

    run_experiment(fast_config(seeds=1), tmp_path, jobs=0, progress=False)
    run = Run("margin", 0, strategy_info("margin"))
    with pytest.raises(RuntimeError, match="must see the results folder under the same path"):
        perform(fast_config(seeds=2), run, tmp_path)
    with pytest.raises(RuntimeError, match="must see the results folder under the same path"):
        perform(fast_config(seeds=2), run, tmp_path / "elsewhere")

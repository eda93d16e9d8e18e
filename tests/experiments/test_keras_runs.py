"""The loop with the real network, tiny."""

import shutil

import pandas as pd
import pytest

from al_tf.experiments import load_records, make_plan, run_experiment
from al_tf.experiments.estimators import gradient_steps

from .helpers import fast_config, numbers

pytestmark = [pytest.mark.keras, pytest.mark.slow]


def tiny_config(**changes):
    return fast_config(
        **{
            "model": "cnn",
            "model_params": {"filters": [4, 4], "dense": 8, "dropout": 0.2},
            "epochs": 2,
            "min_steps": 8,
            "seeds": 1,
            "rounds": 3,
            **changes,
        }
    )


def test_the_network_learns_and_says_how_many_steps_it_took(tmp_path):
    changes = {"epochs": 150, "min_steps": 200, "rounds": 1}
    config = tiny_config(model_params={"filters": [16, 16], "dense": 32}, **changes)
    results = run_experiment(config, tmp_path, jobs=0, progress=False)
    records = load_records(tmp_path)
    assert results["accuracy"].min() > 0.3  # ten classes
    for record in records.itertuples():
        assert record.steps == gradient_steps(config, record.n_labeled)
        assert 0 < record.loss < 2.3


@pytest.mark.parametrize("fit_mode", ["scratch", "warm", "warm_weights", "shrink_perturb"])
def test_a_run_cut_short_in_any_fit_mode_ends_with_the_same_numbers(fit_mode, tmp_path):
    """Growing by a round goes through the checkpoint, as a kill does."""
    settings = {"fit_mode": fit_mode, "strategies": "bald,entropy_cluster"}
    run_experiment(tiny_config(**settings), tmp_path / "whole", jobs=0, progress=False)
    for rounds in (1, 2, 3):
        config = tiny_config(**settings, rounds=rounds)
        run_experiment(config, tmp_path / "parts", jobs=0, progress=False)
    pd.testing.assert_frame_equal(numbers(tmp_path / "parts"), numbers(tmp_path / "whole"))


@pytest.mark.parametrize("fit_mode", ["scratch", "warm"])
def test_a_published_study_grows_without_its_models(fit_mode, tmp_path):
    run_experiment(tiny_config(fit_mode=fit_mode, rounds=1), tmp_path, jobs=0, progress=False)
    for folder in ("round0", "checkpoints"):
        shutil.rmtree(tmp_path / folder)
    grown = tiny_config(fit_mode=fit_mode, rounds=2, strategies="margin,entropy")
    run_experiment(grown, tmp_path, jobs=0, progress=False)
    run_experiment(grown, tmp_path / "at once", jobs=0, progress=False)
    pd.testing.assert_frame_equal(numbers(tmp_path), numbers(tmp_path / "at once"))


PAIRED = tiny_config(seeds=2, rounds=2)


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    out_dir = tmp_path_factory.mktemp("two")
    run_experiment(PAIRED, out_dir, jobs=2, progress=False)
    return out_dir


def test_two_processes_give_the_numbers_of_one(two_processes, tmp_path):
    run_experiment(PAIRED, tmp_path, jobs=1, progress=False)
    pd.testing.assert_frame_equal(numbers(two_processes), numbers(tmp_path))


def test_a_dask_cluster_gives_the_numbers_of_one_process(two_processes, tmp_path):
    """Whatever threads its workers were started with."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=2, processes=True, dashboard_address=None
    ) as cluster:
        address = cluster.scheduler_address
        run_experiment(PAIRED, tmp_path, backend="dask", scheduler=address, progress=False)
    pd.testing.assert_frame_equal(numbers(two_processes), numbers(tmp_path))


def test_the_plan_counts_what_the_run_does(two_processes):
    plan = make_plan(PAIRED, jobs=8)
    records = load_records(two_processes)
    fits = records[(records["round"] > 0) | (records["strategy"] == "random")]  # round 0 is shared
    assert plan.runs == 4
    assert plan.jobs == 4  # no more than there are runs
    assert plan.fits == len(fits)
    assert plan.gradient_steps == fits["steps"].sum()
    assert plan.labels_per_run == records["n_labeled"].max()
    assert set(plan.query_seconds) == {"random", "margin"}
    assert plan.seconds > 0
    assert plan.worker_bytes > 100 * 2**20

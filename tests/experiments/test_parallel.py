import os
import signal
import subprocess
import sys

import pandas as pd
import psutil
import pytest

from al_tf.errors import RunFailedError
from al_tf.experiments import StrategySpec, load_results, run_experiment
from al_tf.experiments.workers import WorkerPool
from tests import interruptible

from .helpers import fast_config, numbers, wait_for_records

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Return the folder of the experiment done in this process."""
    out_dir = tmp_path_factory.mktemp("alone")
    run_experiment(fast_config(), out_dir, jobs=0, progress=False)
    return out_dir


def test_the_numbers_do_not_depend_on_the_number_of_processes(alone, tmp_path):
    run_experiment(fast_config(), tmp_path, jobs=2, progress=False)
    pd.testing.assert_frame_equal(numbers(tmp_path), numbers(alone))


def environment_of_a_worker():
    from threadpoolctl import threadpool_info

    names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    return (
        os.getpid(),
        [os.environ[n] for n in names],
        {p["num_threads"] for p in threadpool_info()},
    )


def test_each_worker_has_its_own_process_and_its_threads():
    with WorkerPool(2, threads=1) as pool:
        found = pool.map(environment_of_a_worker, [()] * 6)
    assert os.getpid() not in {pid for pid, *_ in found}
    assert len({pid for pid, *_ in found}) <= 2
    assert all(env == ["1", "1", "1"] and pools <= {1} for _, env, pools in found)


@pytest.mark.parametrize("kills", [1, 2])
def test_a_worker_killed_by_the_system_costs_its_run_one_attempt(kills, alone, tmp_path):
    dies = StrategySpec("dies", "dies_once", {"marker": str(tmp_path / "died"), "times": kills})
    config = fast_config(strategies=["margin", dies], seeds=1)
    if kills == 1:
        run_experiment(config, tmp_path / "out", jobs=2, progress=False)
    else:
        with pytest.raises(
            RunFailedError, match=r"1 of 3 runs failed:\s+dies-seed0: .*lost 2 times"
        ):
            run_experiment(config, tmp_path / "out", jobs=2, progress=False)
        assert set(load_results(tmp_path / "out")["round"]) == {0, 1, 2, 3, 4}
        run_experiment(config, tmp_path / "out", jobs=2, progress=False)  # tries it again
    table = numbers(tmp_path / "out")
    expected = numbers(alone).query("strategy == 'margin' and seed == 0")
    for label in ("margin", "dies"):  # dies_once chooses as margin does
        found = table.query(f"strategy == '{label}'").assign(strategy="margin")
        pd.testing.assert_frame_equal(found.reset_index(drop=True), expected.reset_index(drop=True))


def test_a_failing_run_is_named_and_the_others_go_on(tmp_path):
    config = fast_config(strategies="fails_late,margin")
    with pytest.raises(RunFailedError, match="2 of 6 runs failed") as caught:
        run_experiment(config, tmp_path, jobs=2, progress=False)
    first, second = "fails_late-seed0: ZeroDivisionError: the strategy broke", "fails_late-seed1"
    assert f"{first}\n    the same: {second}\n" in str(caught.value)
    last = load_results(tmp_path).groupby("strategy")["round"].max()
    assert last.to_dict() == {"random": 4, "fails_late": 2, "margin": 4}
    assert "in fails_late" in (tmp_path / "failures" / "fails_late-seed0.txt").read_text()


@pytest.mark.skipif(os.name == "nt", reason="limits a process as POSIX systems do")
def test_a_worker_out_of_memory_loses_nothing(alone, tmp_path):
    eats = StrategySpec("eats", "eats_memory", {"marker": str(tmp_path / "ate")})
    config = fast_config(strategies=["margin", eats], seeds=1)
    with pytest.raises(RunFailedError, match=r"eats-seed0: \w*MemoryError: Unable to allocate 8"):
        run_experiment(config, tmp_path / "out", jobs=2, progress=False)
    last = load_results(tmp_path / "out").groupby("strategy")["round"].max()
    assert last.to_dict() == {"random": 4, "margin": 4, "eats": 2}
    table = run_experiment(config, tmp_path / "out", jobs=2, progress=False)
    by_strategy = dict(list(table.groupby("strategy")))
    assert (
        by_strategy["eats"]["accuracy"].values == by_strategy["margin"]["accuracy"].values
    ).all()


NOTEBOOK = """
from al_tf import ExperimentConfig, register_strategy, run_experiment
import numpy as np

@register_strategy
def mine(classifier, X, n_instances=1, *, random_state=None):
    return np.arange(n_instances), np.zeros(n_instances)

config = ExperimentConfig(model="logistic", strategies="mine", seeds=1, initial=30, batch=5, rounds=2)
print(len(run_experiment(config, {out!r}, jobs=2, progress=False)))
"""


def test_a_strategy_registered_in_a_script_reaches_the_workers(tmp_path):
    """Nor does the script need a main guard."""
    script = tmp_path / "script.py"
    script.write_text(NOTEBOOK.format(out=str(tmp_path / "out")))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "6"


@pytest.mark.skipif(os.name == "nt", reason="sends a POSIX signal")
def test_an_interrupt_says_how_to_continue_and_leaves_no_process(tmp_path):
    command = [sys.executable, "-c", "from al_tf.cli.main import main; main()"]
    command += ["run", "--out", str(tmp_path), "--jobs", "2"]
    command += ["--strategies", "margin", "--rounds", "100", "--initial", "30", "--batch", "5"]
    command += ["--set", "model=logistic"]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=interruptible,
    )
    wait_for_records(tmp_path, process)
    workers = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers too
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "every finished round is kept. Continue with:\n  al-tf run --out" in stderr
    assert "Traceback" not in stderr
    assert psutil.wait_procs(workers, timeout=20)[1] == []

"""What is left after ``kill -9`` at any moment is finished by the same call, number for number."""

import os
import signal
import subprocess
import sys
import time
import warnings
from contextlib import suppress

import numpy as np
import pandas as pd
import psutil
import pytest

from al_tf.experiments import run_experiment
from tests.labeling.work import processes

from .helpers import fast_config, numbers, results_text, wait_for_records

KILLS = 24
CONFIG = fast_config(strategies="margin", seeds=1, rounds=12)

pytestmark = [pytest.mark.skipif(os.name == "nt", reason="kill -9 is POSIX"), pytest.mark.slow]


def work(out_dir):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # half-written lines are expected here
        run_experiment(CONFIG, out_dir, jobs=0, progress=False)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    out_dir = tmp_path_factory.mktemp("undisturbed")
    work(out_dir)
    return out_dir


def test_killed_at_random_moments_it_ends_with_the_same_numbers(undisturbed, tmp_path):
    whole = seconds_of_a_run(tmp_path / "first")
    rng = np.random.default_rng(int(time.time()))
    kills, folder, lines_at_kill = 0, 0, []
    while kills < KILLS:
        out_dir = tmp_path / str(folder)
        process = processes.Process(target=work, args=(out_dir,))
        process.start()
        further = rng.integers(CONFIG.rounds // 2)  # records, before it may be killed
        enough = n_lines(out_dir) + further
        while further and process.is_alive() and n_lines(out_dir) < enough:
            time.sleep(0.001)
        process.join(timeout=rng.uniform(0, whole / (1 + further)))
        if process.is_alive():
            process.kill()
            process.join()
            kills += 1
            lines_at_kill.append(n_lines(out_dir))
        else:
            assert process.exitcode == 0
            compare(out_dir, undisturbed)
            folder += 1
    work(tmp_path / str(folder))
    compare(tmp_path / str(folder), undisturbed)
    assert len(set(lines_at_kill)) > 5  # the kills fell on different moments of the work


def n_lines(out_dir):
    """Count the records of the runs that are under way."""
    with suppress(FileNotFoundError):  # packed meanwhile
        return sum(path.read_bytes().count(b"\n") for path in out_dir.glob("runs/*.jsonl"))
    return 0


def seconds_of_a_run(out_dir):
    for repeat in range(2):  # the first one starts the server
        process = processes.Process(target=work, args=(out_dir / str(repeat),))
        start = time.monotonic()
        process.start()
        process.join()
        assert process.exitcode == 0
    return time.monotonic() - start


def compare(out_dir, undisturbed):
    assert results_text(out_dir) == results_text(undisturbed)
    pd.testing.assert_frame_equal(numbers(out_dir), numbers(undisturbed))


SCRIPT = """
from al_tf.experiments import run_experiment
from tests.experiments.test_kill import CONFIG
run_experiment(CONFIG, {out!r}, jobs=2, progress=False)
"""


def test_workers_end_with_their_killed_parent_and_the_next_call_finishes(undisturbed, tmp_path):
    parent = subprocess.Popen([sys.executable, "-c", SCRIPT.format(out=str(tmp_path))])
    wait_for_records(tmp_path, parent)
    children = psutil.Process(parent.pid).children(recursive=True)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    work(tmp_path)  # at once: orphans may still be in their last round
    compare(tmp_path, undisturbed)
    assert len(children) >= 2
    assert psutil.wait_procs(children, timeout=20)[1] == []

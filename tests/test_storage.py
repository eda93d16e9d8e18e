"""A disk that is full or cannot be written: one clear message, nothing lost, the same call goes on.

The full disks are real: small file systems in memory, which root may mount.
"""

import errno
import os
import subprocess
import sys

import pandas as pd
import pytest

from al_tf.errors import (
    DataCorruptError,
    LedgerError,
    RunFailedError,
    StorageError,
)
from al_tf.experiments import load_results, run_experiment
from al_tf.files import storage_explained
from al_tf.labeling import LabelLedger

from .experiments.helpers import fast_config, numbers

CONFIG = fast_config(strategies="margin", seeds=1, rounds=25)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    out_dir = tmp_path_factory.mktemp("undisturbed")
    run_experiment(CONFIG, out_dir, jobs=0, progress=False)
    return out_dir


@pytest.mark.filterwarnings("ignore:.*only half written")
@pytest.mark.parametrize("kib", [4, 20, 36, 52])
@pytest.mark.slow
def test_an_experiment_on_a_full_disk_goes_on_once_there_is_room(kib, small_disk, undisturbed):
    disk = small_disk(kib)
    before = 0
    with pytest.raises((StorageError, RunFailedError), match=r"disk is full|No space left"):
        run_experiment(CONFIG, disk / "out", jobs=0, progress=False)
    if (disk / "out" / "study.toml").exists():
        before = len(load_results(disk / "out"))
    small_disk(10_000)
    run_experiment(CONFIG, disk / "out", jobs=0, progress=False)
    pd.testing.assert_frame_equal(numbers(disk / "out"), numbers(undisturbed))
    assert before < len(load_results(undisturbed))
    assert before > 5 or kib < 50


@pytest.mark.slow
def test_the_command_line_says_in_one_line_what_to_do(small_disk):
    disk = small_disk(40)
    command = [sys.executable, "-c", "from al_tf.cli.main import main; main()"]
    command += ["run", "--out", disk / "out", "--no-progress", "--strategies", "margin"]
    command += ["--rounds", "50", "--initial", "30", "--batch", "5", "--set", "model=logistic"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode in (1, 2)
    assert "Make room and do the same again; what was finished before is kept." in done.stderr
    assert (
        "al_tf/" not in done.stderr
    )  # no traceback of ours (numpy 1.26 leaves zip files that complain)


def test_a_read_only_disk(small_disk):
    disk = small_disk(100, "ro")
    with pytest.raises(StorageError, match=r"out: the disk is read-only\. Name another place"):
        run_experiment(CONFIG, disk / "out", jobs=0, progress=False)


def test_a_ledger_on_a_full_disk_keeps_every_answer_it_acknowledged(small_disk):
    disk = small_disk(5_000)
    acknowledged = []

    def label_on(ledger):
        while True:
            image = f"image {len(acknowledged)}"
            ledger.label(image, "good", annotator="ann")
            acknowledged.append(image)

    with LabelLedger(disk / "labels.db") as ledger:
        ledger.fix_classes(["good", "defective"])
        with pytest.raises(LedgerError, match=r"disk is full\. Nothing was recorded; make room"):
            label_on(ledger)
        assert len(acknowledged) > 200
        small_disk(10_000)
        ledger.label("another", "defective", annotator="ann")
    with LabelLedger(disk / "labels.db", read_only=True) as ledger:
        assert [event.image for event in ledger.standing()] == [*acknowledged, "another"]


def test_other_errors_pass_unchanged(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, storage_explained(tmp_path):
        (tmp_path / "nothing").read_bytes()
    assert not isinstance(caught.value, StorageError)
    with pytest.raises(DataCorruptError), storage_explained(tmp_path):
        raise DataCorruptError(errno.ENOSPC)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_every_refusal_has_its_advice(number, tmp_path):
    advice = r"(Make room|another place) and do the same again"
    with pytest.raises(StorageError, match=advice) as e, storage_explained(tmp_path):
        raise OSError(number, os.strerror(number))
    assert isinstance(e.value.__cause__, OSError)
    assert str(tmp_path) in str(e.value)


def test_the_file_refused_is_the_one_named(tmp_path):
    refused = str(tmp_path / "data" / "image.png")
    with pytest.raises(StorageError) as caught, storage_explained(tmp_path / "out"):
        raise PermissionError(errno.EACCES, "Permission denied", refused)
    assert str(caught.value).startswith(f"{refused}: access is denied.")

"""Files and folders that are written whole or not at all, locks between processes, refusing disks.

A disk that is full or cannot be written gives one clear message, nothing is lost, the same call goes
on. The full disks are real: small file systems in memory, which root may mount.
"""

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from al_tf.errors import DataCorruptError, LedgerError, RunFailedError, StorageError
from al_tf.experiments import load_results, run_experiment
from al_tf.files import (
    cache_dir,
    locked,
    new_folder,
    storage_explained,
    write_atomically,
    write_json,
)
from al_tf.labeling import LabelLedger

from .experiments.helpers import fast_config, numbers


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def usual_rights():
    before = os.umask(0o022)
    yield
    os.umask(before)


class TestWriteAtomically:
    def test_writes_into_a_new_folder_under_the_same_name(self, tmp_path):
        names = []

        def write(temporary):
            names.append(temporary.name)
            temporary.write_text("new")

        target = tmp_path / "a" / "b" / "file.keras"
        write_atomically(target, write)
        assert names == ["file.keras"]
        assert target.read_text() == "new"
        assert list(target.parent.iterdir()) == [target]

    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
    def test_a_failed_write_leaves_the_old_file_and_nothing_else(self, tmp_path, error):
        target = tmp_path / "file"
        target.write_text("old")

        def write(temporary):
            temporary.write_text("half")
            raise error

        with pytest.raises(error):
            write_atomically(target, write)
        assert target.read_text() == "old"
        assert list(tmp_path.iterdir()) == [target]

    def test_takes_a_name_as_long_as_the_disk_allows(self, tmp_path):
        target = tmp_path / ("x" * 255)
        write_atomically(target, lambda temporary: temporary.write_text("new"))
        assert target.read_text() == "new"

    def test_others_may_read_what_was_written(self, tmp_path, usual_rights):
        write_json(tmp_path / "file.json", {"a": 1})
        assert mode(tmp_path / "file.json") == 0o644

    def test_a_file_that_another_process_removes_meanwhile_is_no_obstacle(
        self, tmp_path, monkeypatch
    ):
        monkeypatch.setattr(Path, "is_file", lambda self: True)  # it was there a moment ago
        write_json(tmp_path / "new.json", {})
        assert (tmp_path / "new.json").read_text() == "{}\n"


class TestNewFolder:
    def test_the_folder_is_there_at_the_end_of_the_block_and_not_before(self, tmp_path):
        target = tmp_path / "deep" / "folder"
        with new_folder(target) as temporary:
            (temporary / "file").write_text("content")
            assert not target.exists()
        assert (target / "file").read_text() == "content"
        assert list(target.parent.iterdir()) == [target]

    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
    def test_a_failure_makes_nothing(self, tmp_path, error):
        def fail(folder):
            (folder / "file").write_text("half")
            raise error

        with pytest.raises(error), new_folder(tmp_path / "folder") as temporary:
            fail(temporary)
        assert list(tmp_path.iterdir()) == []

    def test_whoever_was_first_stays(self, tmp_path):
        target = tmp_path / "folder"
        with new_folder(target) as temporary:
            (temporary / "file").write_text("second")
            target.mkdir()
            (target / "file").write_text("first")
        assert (target / "file").read_text() == "first"
        assert list(tmp_path.iterdir()) == [target]

    def test_a_file_in_the_way_is_an_error(self, tmp_path):
        (tmp_path / "folder").write_text("a file")
        with pytest.raises(OSError, match="folder"), new_folder(tmp_path / "folder"):
            pass
        assert (tmp_path / "folder").read_text() == "a file"

    def test_others_may_look_into_it(self, tmp_path, usual_rights):
        with new_folder(tmp_path / "folder"):
            pass
        assert mode(tmp_path / "folder") == 0o755


def test_a_lock_is_held_against_other_processes_and_ends_with_the_block(tmp_path):
    code = (
        "import sys; from pathlib import Path; from al_tf.files import locked\n"
        "with locked(Path(sys.argv[1]), seconds=0, busy=SystemExit('busy')): print('mine')"
    )
    command = [sys.executable, "-c", code, tmp_path / "deep" / "lock"]
    with locked(tmp_path / "deep" / "lock", seconds=0, busy=RuntimeError("busy")):
        refused = subprocess.run(command, capture_output=True, text=True)
    accepted = subprocess.run(command, capture_output=True, text=True)
    assert (refused.returncode, refused.stderr.strip()) == (1, "busy")
    assert accepted.stdout.strip() == "mine"


def test_the_cache_is_where_the_environment_names_it(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AL_TF_CACHE_DIR", "~/mine")
    assert cache_dir() == tmp_path / "mine"
    monkeypatch.delenv("AL_TF_CACHE_DIR")
    assert "al_tf" in cache_dir().parts


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

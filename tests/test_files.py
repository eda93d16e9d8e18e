"""Files and folders that are written whole or not at all, and locks between processes."""

import os
import stat
import subprocess
import sys

import pytest

from al_tf.files import cache_dir, locked, new_folder, write_atomically, write_json


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

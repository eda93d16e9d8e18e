import errno
import time

import pytest

from al_tf.datasets import _download
from al_tf.datasets._download import download
from al_tf.errors import DataCorruptError, DataNotFoundError

DATA = bytes(range(256)) * 400


@pytest.fixture
def target(tmp_path):
    return tmp_path / "there" / "file.bin"


def verify(path):
    if path.read_bytes() != DATA:
        raise DataCorruptError(f"{path}: expected other bytes")


def fetch(mirrors, target, *modes, limit=102_400):
    mirrors.files["file.bin"] = DATA
    return download([mirrors.url(mode) + "file.bin" for mode in modes], target, verify, limit)


def nothing_left(target):
    return list(target.parent.iterdir()) == []


def test_a_good_mirror_serves_the_file(mirrors, target):
    assert fetch(mirrors, target, "good") == []
    assert target.read_bytes() == DATA
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("wrong", "served the wrong bytes: expected other bytes"),
        ("missing", "404"),
        ("truncated", "51200 bytes read, 51200 more expected"),
        ("hang", "timed out"),
        ("endless", "sent more than the 102,400 bytes allowed"),
    ],
)
def test_a_bad_mirror_is_passed_over_and_its_reason_kept(mirrors, target, mode, reason):
    failed = fetch(mirrors, target, mode, "good")
    assert len(failed) == 1
    assert failed[0].startswith(mirrors.url(mode))
    assert reason in failed[0]
    assert target.read_bytes() == DATA


@pytest.mark.parametrize("mode", ["wrong", "missing", "truncated", "hang", "endless"])
def test_when_every_mirror_fails_nothing_is_left(mirrors, target, mode):
    started = time.monotonic()
    assert len(fetch(mirrors, target, mode, mode)) == 2
    assert nothing_left(target)
    assert time.monotonic() - started < 10


def test_a_mirror_that_drips_is_given_up(mirrors, target, monkeypatch):
    monkeypatch.setattr(_download, "_GRACE_SECONDS", 0.2)
    monkeypatch.setattr(_download, "SLOWEST", 1e9)
    monkeypatch.setattr(_download, "_CHUNK", 64)
    failed = fetch(mirrors, target, "drip")
    assert "not finished after 0 s" in failed[0]
    assert nothing_left(target)


def test_a_mirror_nobody_answers_at(target):
    failed = download(["http://127.0.0.1:9/file.bin"], target, verify, 100)
    assert "127.0.0.1" in failed[0]
    assert nothing_left(target)


def test_a_mirror_that_declares_too_much_is_stopped_at_the_limit(mirrors, target):
    assert "more than the 1,000 bytes" in fetch(mirrors, target, "good", limit=1000)[0]
    assert nothing_left(target)


def test_an_interruption_is_passed_on_and_leaves_nothing(mirrors, target):
    mirrors.files["file.bin"] = DATA

    def interrupted(path):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download([mirrors.url("good") + "file.bin"], target, interrupted, len(DATA))
    assert nothing_left(target)


def test_a_full_disk_is_not_blamed_on_the_mirror(mirrors, target):
    mirrors.files["file.bin"] = DATA

    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(DataNotFoundError, match=r"No space left.*set \$AL_TF_CACHE_DIR"):
        download([mirrors.url("good") + "file.bin"] * 2, target, full, len(DATA))
    assert len(mirrors.requests) == 1


def test_a_folder_that_cannot_be_made_is_not_blamed_on_the_mirror(mirrors, tmp_path):
    (tmp_path / "there").write_text("in the way")
    with pytest.raises(DataNotFoundError, match=r"could not be written .*AL_TF_CACHE_DIR"):
        fetch(mirrors, tmp_path / "there" / "file.bin", "good")
    assert mirrors.requests == []

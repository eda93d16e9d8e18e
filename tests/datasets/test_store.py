import warnings

import numpy as np
import pytest

from al_tf.datasets._store import stored

ARRAYS = {"x": np.arange(12, dtype=np.uint8).reshape(3, 2, 2), "y": np.array([2, 0, 1])}


class Builder:
    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return {name: array.copy() for name, array in ARRAYS.items()}


def assert_same(arrays):
    assert list(arrays) == list(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype


def test_the_second_call_reads_what_the_first_built():
    build = Builder()
    assert_same(stored("data", "key", build))
    again = stored("data", "key", build)
    assert_same(again)
    assert build.calls == 1
    assert isinstance(again["x"].base, np.memmap)


def test_another_key_is_built_anew():
    build = Builder()
    stored("data", "one", build)
    stored("data", "two", build)
    assert build.calls == 2


@pytest.mark.parametrize(
    "damage", ["flip", "truncate", "remove", "pickle", "listing", "not a dict"]
)
def test_a_damaged_copy_is_built_anew_with_a_warning(cache, damage):
    build = Builder()
    stored("data", "key", build)
    folder = cache / "decoded" / "data-key"
    array = folder / "x.npy"
    content = array.read_bytes()
    if damage == "flip":
        array.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "truncate":
        array.write_bytes(content[:-1])
    elif damage == "remove":
        array.unlink()
    elif damage == "pickle":
        np.save(array, np.array([{}], dtype=object), allow_pickle=True)
    elif damage == "listing":
        (folder / "sha256.json").write_text('{"x": ')
    else:
        (folder / "sha256.json").write_text("[1]")
    with pytest.warns(UserWarning, match="is damaged .* decoding again"):
        assert_same(stored("data", "key", build))
    assert build.calls == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_same(stored("data", "key", build))
    assert build.calls == 2


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("AL_TF_CACHE_DIR", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="could not be kept in .*AL_TF_CACHE_DIR"):
        assert_same(stored("data", "key", Builder()))


def test_a_failed_build_leaves_nothing(cache):
    def fail():
        raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError):
        stored("data", "key", fail)
    assert not cache.exists()


def test_an_interrupted_write_leaves_nothing_under_the_final_name(cache, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("al_tf.datasets._store.np.save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        stored("data", "key", Builder())
    assert list((cache / "decoded").iterdir()) == []


def test_two_processes_that_build_at_once_agree():
    inner = Builder()

    def build():  # while this one is decoding, another finishes
        if inner.calls == 0:
            stored("data", "key", inner)
        return inner()

    assert_same(stored("data", "key", build))
    calls = inner.calls
    assert_same(stored("data", "key", inner))
    assert inner.calls == calls

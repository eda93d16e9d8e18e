import gzip
import os
import shutil
import stat

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from al_tf.datasets import fashion_mnist, fetch_dataset, load_dataset
from al_tf.datasets._idx import parse_idx
from al_tf.errors import DataCorruptError, DataNotFoundError

from .makers import idx, tiny_fashion, write_gz

IMAGES = "train-images-idx3-ubyte"


@pytest.fixture
def payloads(monkeypatch):
    made, facts = tiny_fashion()
    monkeypatch.setattr(fashion_mnist, "FILES", facts)
    return made


def check(dataset, payloads):
    assert dataset.x_train.shape == (40, 28, 28)
    assert dataset.x_test.shape == (20, 28, 28)
    assert dataset.x_train.tobytes() == payloads[IMAGES][16:]
    assert dataset.y_train.tolist() == [i % 10 for i in range(40)]
    assert dataset.class_names[9] == "Ankle boot"


@pytest.mark.parametrize("subfolder", ["", "fashion_mnist"])
@pytest.mark.parametrize("gz", [True, False])
def test_it_is_found_in_data_dir_flat_or_not_gz_or_not(tmp_path, payloads, subfolder, gz):
    folder = tmp_path / "data" / subfolder
    folder.mkdir(parents=True)
    for stem, data in payloads.items():
        if gz:
            (folder / f"{stem}.gz").write_bytes(gzip.compress(data))
        else:
            (folder / stem).write_bytes(data)
    dataset = load_dataset("fashion_mnist", data_dir=tmp_path / "data")
    check(dataset, payloads)
    assert str(folder) in dataset.source


def test_the_order_is_data_dir_environment_cache_system(tmp_path, payloads, cache, monkeypatch):
    places = [tmp_path / "given", tmp_path / "named", cache / "fashion_mnist", tmp_path / "system"]
    for place in places:
        write_gz(place, payloads)
    monkeypatch.setenv("AL_TF_DATA_DIR", str(places[1]))
    monkeypatch.setattr(fashion_mnist.SOURCE, "system", (places[3],))
    assert fashion_mnist.SOURCE.find(places[0]) == str(places[0])
    for place in places[1:]:
        assert fashion_mnist.SOURCE.find(None) == str(place)
        shutil.rmtree(place)
        if place == places[1]:
            monkeypatch.delenv("AL_TF_DATA_DIR")
    with pytest.raises(DataNotFoundError):
        fashion_mnist.SOURCE.find(None)


def test_an_incomplete_set_is_passed_over(tmp_path, payloads, cache):
    write_gz(tmp_path / "data", payloads)
    (tmp_path / "data" / f"{IMAGES}.gz").unlink()
    write_gz(cache / "fashion_mnist", payloads)
    assert fashion_mnist.SOURCE.find(tmp_path / "data") == str(cache / "fashion_mnist")


def flip(data):
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (flip, "not the original file; expected SHA-256 [0-9a-f]{64} .*, found [0-9a-f]{64}"),
        (lambda d: d[:-100], "truncated; expected 31,376 bytes decompressed, found 31,276"),
        (lambda d: d + b"x", "expected at most 31,376 bytes, found more"),
        (lambda d: idx(np.zeros((40, 28, 28))), "not the original file"),
    ],
)
def test_a_tampered_system_copy_is_refused_and_named(
    tmp_path, payloads, monkeypatch, spoil, message
):
    monkeypatch.setattr(fashion_mnist.SOURCE, "system", (tmp_path,))
    write_gz(tmp_path, payloads | {IMAGES: spoil(payloads[IMAGES])})
    with pytest.raises(DataCorruptError, match=f"{IMAGES}.gz: {message}"):
        load_dataset("fashion_mnist")


def test_a_truncated_gzip_file_is_refused_and_named(tmp_path, payloads):
    write_gz(tmp_path, payloads)
    path = tmp_path / f"{IMAGES}.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataCorruptError, match=f"{IMAGES}.gz: truncated or damaged"):
        load_dataset("fashion_mnist", data_dir=tmp_path)


def serve(mirrors, payloads):
    mirrors.files |= {f"{stem}.gz": gzip.compress(data) for stem, data in payloads.items()}


def test_it_is_downloaded_once(mirrors, payloads, cache, monkeypatch):
    serve(mirrors, payloads)
    monkeypatch.setattr(fashion_mnist, "MIRRORS", (mirrors.url("wrong"), mirrors.url("good")))
    check(load_dataset("fashion_mnist"), payloads)
    n_requests = len(mirrors.requests)
    assert n_requests == 8
    check(load_dataset("fashion_mnist"), payloads)
    assert len(mirrors.requests) == n_requests
    assert sorted(p.name for p in (cache / "fashion_mnist").iterdir()) == sorted(mirrors.files)


def test_a_download_that_stops_half_way_is_continued_file_by_file(mirrors, payloads, monkeypatch):
    serve(mirrors, payloads)
    monkeypatch.setattr(fashion_mnist, "MIRRORS", (mirrors.url("good"),))
    last = mirrors.files.pop("t10k-labels-idx1-ubyte.gz")
    with pytest.raises(DataNotFoundError, match=r"t10k-labels-idx1-ubyte.gz: 404"):
        load_dataset("fashion_mnist")
    mirrors.requests.clear()
    mirrors.files["t10k-labels-idx1-ubyte.gz"] = last
    check(load_dataset("fashion_mnist"), payloads)
    assert mirrors.requests == ["/good/t10k-labels-idx1-ubyte.gz"]


def test_when_it_is_nowhere_one_error_lists_every_place_and_the_command(
    tmp_path, mirrors, payloads, cache, monkeypatch
):
    serve(mirrors, payloads)
    urls = (mirrors.url("missing"), mirrors.url("wrong"), mirrors.url("hang"))
    monkeypatch.setattr(fashion_mnist, "MIRRORS", urls)
    monkeypatch.setattr(fashion_mnist.SOURCE, "system", (tmp_path / "system",))
    (tmp_path / "data").mkdir()
    with pytest.raises(DataNotFoundError) as caught:
        load_dataset("fashion_mnist", data_dir=tmp_path / "data")
    message = str(caught.value)
    places = (tmp_path / "data", cache, tmp_path / "system", *urls)
    assert all(str(place) in message for place in places)
    assert "al-tf data fetch fashion_mnist" in message
    assert "apt-get install dataset-fashion-mnist" in message
    assert not list((cache / "fashion_mnist").iterdir())


@pytest.fixture
def debian(tmp_path, payloads, monkeypatch):
    """Stand-ins for apt-get and dpkg-deb that supply what lies in a folder."""
    package = tmp_path / "package"
    write_gz(package, payloads)
    tools = tmp_path / "tools"
    tools.mkdir()
    inside = fashion_mnist.DEBIAN_FOLDER
    scripts = {
        "apt-get": 'test "$1 $2" = "download dataset-fashion-mnist" && touch d.deb',
        "dpkg-deb": f'test "$1" = -x && mkdir -p "$3/{inside}" && cp {package}/* "$3/{inside}"',
    }
    for name, script in scripts.items():
        (tools / name).write_text(f"#!/bin/sh\nset -e\n{script}\n")
        (tools / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    return tools


def test_fetch_takes_the_debian_package_where_no_mirror_serves(debian, payloads, cache):
    lines = []
    check(fetch_dataset("fashion_mnist", report=lines.append), payloads)
    assert "no mirror serves it; trying Debian's package" in lines[0]
    assert str(cache / "fashion_mnist") in lines[1]
    assert sorted(p.suffix for p in (cache / "fashion_mnist").iterdir()) == [".gz"] * 4


def test_load_does_not_run_apt(debian, payloads):
    (debian / "apt-get").write_text(f"#!/bin/sh\ntouch {debian}/ran\n")
    with pytest.raises(DataNotFoundError, match="al-tf data fetch"):
        load_dataset("fashion_mnist")
    assert not (debian / "ran").exists()


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'E: Unable to locate package' >&2; exit 100", "E: Unable to locate package"),
        ("exit 0", "No such file or directory: .*train-images"),
        ("sleep 20", "not finished after 0.3 s"),
    ],
)
def test_the_reason_is_kept_where_apt_cannot_supply_it(debian, cache, monkeypatch, script, reason):
    monkeypatch.setattr(fashion_mnist, "_APT_SECONDS", 0.3)
    (debian / "apt-get").write_text(f"#!/bin/sh\n{script}\n")
    with pytest.raises(DataNotFoundError, match=reason):
        fetch_dataset("fashion_mnist", report=lambda line: None)
    assert not list(cache.rglob("*"))


def test_a_debian_package_with_other_bytes_is_refused(debian, payloads, tmp_path, cache):
    write_gz(tmp_path / "package", {IMAGES: flip(payloads[IMAGES])})
    with pytest.raises(DataNotFoundError, match=r"Debian package .*not the original file"):
        fetch_dataset("fashion_mnist", report=lambda line: None)
    assert not (cache / "fashion_mnist" / f"{IMAGES}.gz").exists()


def test_a_system_without_apt_says_so(payloads, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(DataNotFoundError, match="this system has no apt-get and no dpkg-deb"):
        fetch_dataset("fashion_mnist", report=lambda line: None)


def test_the_long_tail_is_in_the_pool_only(tmp_path, payloads):
    write_gz(tmp_path, payloads)
    tail = load_dataset("imbalanced_fashion_mnist", data_dir=tmp_path)
    whole = load_dataset("fashion_mnist", data_dir=tmp_path)
    assert np.bincount(tail.y_train).tolist() == [4, 3, 2, 1, 1, 1, 1, 1, 1, 1]
    assert tail.x_test.tobytes() == whole.x_test.tobytes()
    assert tail.name == "imbalanced_fashion_mnist"
    gentler = load_dataset("imbalanced_fashion_mnist", data_dir=tmp_path, imbalance=0.5)
    assert np.bincount(gentler.y_train)[-1] == 2


def test_what_is_written_is_read():
    images = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    assert (parse_idx(idx(images), 3, "file") == images).all()
    assert parse_idx(idx(np.array([5, 6])), 1, "file").tolist() == [5, 6]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"file: expected an IDX .*\(first bytes 00 00 08 01\), found an empty file"),
        (b"\x1f\x8b\x08\x00", "found 1f 8b 08 00"),
        (b"\x00\x00\x0d\x01\x00\x00\x00\x00", "found 00 00 0d 01"),  # floats
        (b"\x00\x00\x08\x03" + bytes(12), "found 00 00 08 03"),  # images for labels
        (b"\x00\x00\x08\x01\x00", "truncated; expected an IDX header of 8 bytes, found 5"),
        (b"\x00\x00\x08\x01\x00\x00\x00\x03ab", r"declares shape \(3,\), .* 11 bytes; found 10"),
        (b"\x00\x00\x08\x01\x00\x00\x00\x01ab", r"declares shape \(1,\), .* 9 bytes; found 10"),
        (b"\x00\x00\x08\x01\xff\xff\xff\xffab", "takes 4294967303 bytes; found 10"),
    ],
)
def test_other_bytes_are_refused_with_what_was_expected_and_found(data, message):
    with pytest.raises(DataCorruptError, match=message):
        parse_idx(data, 1, "file")


@given(st.binary(max_size=64), st.integers(1, 3))
def test_any_bytes_end_in_an_array_or_in_our_error(tail, ndim):
    for data in (tail, bytes([0, 0, 8, ndim]) + tail):
        try:
            array = parse_idx(data, ndim, "file")
        except DataCorruptError:
            continue
        assert array.ndim == ndim
        assert array.size <= len(data)

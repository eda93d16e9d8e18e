import hashlib

import numpy as np
import pytest

from al_tf.datasets import cifar10, load_dataset
from al_tf.datasets.cifar10 import CLASS_NAMES, parse_batch
from al_tf.errors import DataCorruptError, DataNotFoundError

from .makers import image_bytes, tar

PER_BATCH = 20


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(cifar10, "_PER_BATCH", PER_BATCH)
    monkeypatch.setattr(cifar10, "PER_CLASS", {"train": 3, "test": 2})


def batch(seed):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (PER_BATCH, 32, 32, 3), dtype=np.uint8)
    labels = rng.integers(0, 10, PER_BATCH)
    planes = images.transpose(0, 3, 1, 2).reshape(PER_BATCH, -1)
    records = np.concatenate([labels[:, None].astype(np.uint8), planes], axis=1)
    return images, labels, records.tobytes()


def binary_archive(folder, monkeypatch, names=cifar10._BATCHES):
    members = {f"cifar-10-batches-bin/{name}": batch(i)[2] for i, name in enumerate(names)}
    members["cifar-10-batches-bin/readme.html"] = b"<html>"
    path = tar(folder / cifar10.ARCHIVE, members)
    monkeypatch.setattr(cifar10, "ARCHIVE_MD5", hashlib.md5(path.read_bytes()).hexdigest())
    return path


def test_a_batch_is_read_as_it_was_written():
    images, labels, data = batch(0)
    read_images, read_labels = parse_batch(data, "batch")
    np.testing.assert_array_equal(read_images, images)
    np.testing.assert_array_equal(read_labels, labels)


@pytest.mark.parametrize("change", [lambda d: d[:-1], lambda d: d + b"x", lambda d: b""])
def test_a_batch_of_another_length_is_refused(change):
    with pytest.raises(
        DataCorruptError, match=r"batch: expected 20 records .*\(61,460 bytes\), found"
    ):
        parse_batch(change(batch(0)[2]), "batch")


def test_a_label_above_9_is_refused():
    with pytest.raises(DataCorruptError, match="batch: expected labels 0 to 9, found 10"):
        parse_batch(b"\x0a" + batch(0)[2][1:], "batch")


def test_the_binary_archive_is_read_in_order(tmp_path, monkeypatch):
    path = binary_archive(tmp_path, monkeypatch)
    dataset = load_dataset("cifar10", data_dir=tmp_path)
    np.testing.assert_array_equal(dataset.x_train, np.concatenate([batch(i)[0] for i in range(5)]))
    np.testing.assert_array_equal(dataset.y_test, batch(5)[1])
    assert dataset.source == f"the authors' binary archive {path.name}"
    again = load_dataset("cifar10", data_dir=tmp_path)
    assert again.fingerprint == dataset.fingerprint


def test_an_altered_archive_is_refused_even_after_a_good_one_was_decoded(tmp_path, monkeypatch):
    path = binary_archive(tmp_path, monkeypatch)
    load_dataset("cifar10", data_dir=tmp_path)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(DataCorruptError, match=f"{cifar10.ARCHIVE}: truncated or not the original"):
        load_dataset("cifar10", data_dir=tmp_path)


def test_an_archive_without_a_batch_is_refused(tmp_path, monkeypatch):
    binary_archive(tmp_path, monkeypatch, names=cifar10._BATCHES[1:])
    with pytest.raises(DataCorruptError, match=r"lacks \['data_batch_1.bin'\]"):
        load_dataset("cifar10", data_dir=tmp_path)


def test_it_is_downloaded_and_verified(tmp_path, mirrors, monkeypatch, cache):
    path = binary_archive(tmp_path, monkeypatch)
    mirrors.files[path.name] = path.read_bytes()
    urls = tuple(mirrors.url(mode) + path.name for mode in ("wrong", "good"))
    monkeypatch.setattr(cifar10, "MIRRORS", urls)
    lines = []
    cifar10.SOURCE.fetch(None, lines.append)
    assert lines == [f"cifar10: {cache / 'cifar10' / path.name}"]
    assert load_dataset("cifar10").x_train.shape == (100, 32, 32, 3)


def test_when_it_is_nowhere_the_error_names_the_mirror_and_the_command(mirrors, monkeypatch):
    monkeypatch.setattr(cifar10, "MIRRORS", (mirrors.url("missing") + "x",))
    with pytest.raises(DataNotFoundError, match=r"(?s)/missing/x: 404.*al-tf data fetch cifar10"):
        load_dataset("cifar10")


def jpegs(shade=lambda part, k, i: 20 * k + i):
    return {
        f"{part}/{name}/{i:04}.jpg": image_bytes(
            np.full((32, 32, 3), shade(part, k, i), np.uint8), "JPEG"
        )
        for part, n in (("train", 3), ("test", 2))
        for k, name in enumerate(CLASS_NAMES)
        for i in reversed(range(n))
    }


def unpack(folder, members):
    for name, data in members.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def test_a_jpeg_copy_is_the_same_from_a_folder_and_an_archive(tmp_path):
    unpack(tmp_path / "a" / "cifar10", jpegs())
    tar(tmp_path / "b" / cifar10.JPEG_ARCHIVE, jpegs(), mode="w:xz")
    first, second = (load_dataset("cifar10", data_dir=tmp_path / name) for name in "ab")
    assert first.fingerprint == second.fingerprint
    assert "lossy JPEG copy (not the original pixels)" in first.source
    np.testing.assert_array_equal(first.y_train, np.repeat(np.arange(10), 3))
    np.testing.assert_allclose(
        first.x_train[:, 5, 5, 0], [20 * k + i for k in range(10) for i in range(3)], atol=1
    )


def test_a_changed_jpeg_is_decoded_anew(tmp_path):
    unpack(tmp_path / "cifar10", jpegs())
    before = load_dataset("cifar10", data_dir=tmp_path).fingerprint
    unpack(
        tmp_path / "cifar10", {"test/cat/0001.jpg": image_bytes(np.zeros((32, 32, 3), np.uint8))}
    )
    assert load_dataset("cifar10", data_dir=tmp_path).fingerprint != before


def test_jpegs_are_decoded_anew_by_another_pillow(tmp_path, monkeypatch):
    unpack(tmp_path / "cifar10", jpegs())
    decoded = []
    decode = cifar10.decode_image
    monkeypatch.setattr(
        cifar10, "decode_image", lambda *a, **k: decoded.append(1) or decode(*a, **k)
    )
    n_images = [len(decoded) for _ in range(2) if load_dataset("cifar10", data_dir=tmp_path)]
    monkeypatch.setattr("PIL.__version__", "0.1")
    load_dataset("cifar10", data_dir=tmp_path)
    assert len(decoded) == 2 * n_images[0] == 2 * n_images[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.pop("train/cat/0001.jpg"), "expected 3 images in train/cat/, found 2"),
        (lambda m: m.update({"test/dog/9.jpg": m["test/dog/0001.jpg"]}), "2 images in test/dog/, found 3"),
        (lambda m: m.update({"test/dog/0001.jpg": b"spoilt"}), "test/dog/0001.jpg: expected an image"),
        (
            lambda m: m.update({"test/dog/0001.jpg": image_bytes(np.zeros((16, 32, 3), np.uint8))}),
            r"test/dog/0001.jpg: expected an image of 32 × 32, found \(16, 32\)",
        ),
    ],
)  # fmt: skip
def test_a_jpeg_copy_that_is_not_whole_is_refused(tmp_path, change, message):
    members = jpegs()
    change(members)
    tar(tmp_path / cifar10.JPEG_ARCHIVE, members, mode="w:xz")
    with pytest.raises(DataCorruptError, match=message):
        load_dataset("cifar10", data_dir=tmp_path)

import numpy as np
import pytest

from al_tf.datasets import load_dataset
from al_tf.errors import DataCorruptError, DataNotFoundError

from .makers import write_image


def fill(root, counts, shade=0, shape=(6, 5)):
    """Write so many images per class: class k, image i has the grey ``shade + 20 k + i``."""
    for k, (name, n) in enumerate(counts.items()):
        for i in range(n):
            write_image(root / name / f"{i:03}.png", np.full(shape, shade + 20 * k + i, np.uint8))


def load(root, **options):
    return load_dataset(f"folder:{root}", **options)


pytestmark = pytest.mark.filterwarnings(
    "ignore:There is one class only",
    "ignore:The test set has",
    "ignore:.* are copies of ",
)


def test_class_folders_are_split_class_by_class(tmp_path):
    fill(tmp_path, {"cat": 10, "dog": 15})
    dataset = load(tmp_path)
    assert dataset.class_names == ("cat", "dog")
    assert np.bincount(dataset.y_train).tolist() == [8, 12]
    assert np.bincount(dataset.y_test).tolist() == [2, 3]
    assert dataset.x_train.shape == (20, 6, 5)
    shades = [*dataset.x_train[:, 0, 0], *dataset.x_test[:, 0, 0]]
    assert sorted(shades) == [*range(10), *range(20, 35)]
    assert (dataset.x_train[:, 0, 0] // 20 == dataset.y_train).all()
    assert dataset.name == f"folder:{tmp_path}"


def test_the_seed_draws_the_split_and_test_size_its_share(tmp_path):
    fill(tmp_path, {"a": 10, "b": 10})
    prints = [load(tmp_path, seed=s).fingerprint for s in (0, 0, 1)]
    assert prints[0] == prints[1] != prints[2]
    assert len(load(tmp_path, test_size=0.5).x_test) == 10


def test_train_and_test_folders_are_taken_as_they_are(tmp_path):
    fill(tmp_path / "train", {"a": 3, "b": 4, "c": 1})
    fill(tmp_path / "test", {"b": 2}, shade=100)
    dataset = load(tmp_path)
    assert dataset.y_train.tolist() == [0] * 3 + [1] * 4 + [2]
    assert dataset.y_test.tolist() == [1, 1]
    assert dataset.x_test[:, 0, 0].tolist() == [100, 101]
    assert dataset.fingerprint == load(tmp_path, seed=9).fingerprint


def test_a_train_folder_alone_is_split(tmp_path):
    fill(tmp_path / "train", {"a": 5, "b": 5})
    assert len(load(tmp_path).x_test) == 2


def test_train_may_be_a_class(tmp_path):
    fill(tmp_path, {"bus": 4, "train": 4})
    assert load(tmp_path).class_names == ("bus", "train")


def test_images_deeper_down_belong_to_the_class(tmp_path):
    fill(tmp_path / "a", {"monday": 2, "tuesday": 3})
    fill(tmp_path, {"b": 5})
    assert np.bincount(load(tmp_path).y_train).tolist() == [4, 4]


def test_several_sizes_need_a_size(tmp_path):
    fill(tmp_path, {"a": 2})
    fill(tmp_path, {"b": 2}, shape=(9, 9))
    with pytest.raises(ValueError, match=r"2 sizes.*Give a size .* size=64, or --size 64"):
        load(tmp_path)
    assert load(tmp_path, size=8).x_train.shape == (2, 8, 8)
    assert load(tmp_path, size=8, grey=False).x_train.shape == (2, 8, 8, 3)


def test_training_and_test_images_are_made_alike(tmp_path):
    fill(tmp_path / "train", {"a": 2})
    fill(tmp_path / "test", {"a": 2}, shape=(6, 5, 3))
    dataset = load(tmp_path)
    assert dataset.x_train.shape[1:] == dataset.x_test.shape[1:] == (6, 5, 3)


def test_imbalance_thins_the_pool(tmp_path):
    fill(tmp_path, {"a": 20, "b": 20})
    dataset = load(tmp_path, imbalance={"b": 0.25})
    assert np.bincount(dataset.y_train).tolist() == [16, 4]
    assert np.bincount(dataset.y_test).tolist() == [4, 4]


def test_an_unreadable_image_is_named(tmp_path):
    fill(tmp_path, {"a": 3, "b": 3})
    (tmp_path / "b" / "001.png").write_bytes(b"spoilt")
    with pytest.raises(DataCorruptError, match=r"b.001\.png: expected an image"):
        load(tmp_path)


def test_folders_without_classes_or_images_are_refused(tmp_path):
    with pytest.raises(DataNotFoundError, match="is not a folder"):
        load(tmp_path / "nowhere")
    with pytest.raises(
        DataNotFoundError, match="expected one subfolder of images per class, found none"
    ):
        load(tmp_path)
    fill(tmp_path, {"a": 2})
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataNotFoundError, match=r"no images \(.png.*in the class folder empty"):
        load(tmp_path)


def test_a_test_class_without_training_images_is_refused(tmp_path):
    fill(tmp_path / "train", {"a": 2})
    fill(tmp_path / "test", {"a": 2, "z": 1})
    with pytest.raises(
        DataCorruptError, match=r"expected the classes of .*train \(a\), found also z"
    ):
        load(tmp_path)


def test_other_folders_beside_train_are_not_dropped_silently(tmp_path):
    fill(tmp_path / "train", {"a": 2})
    fill(tmp_path / "extra", {"a": 2})
    with pytest.raises(DataCorruptError, match=r"found also extra. Move them elsewhere"):
        load(tmp_path)

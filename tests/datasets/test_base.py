import dataclasses

import numpy as np
import pytest

from al_tf.datasets import ImageDataset, describe


def make(**changes):
    values = {
        "x_train": np.arange(6 * 4, dtype=np.uint8).reshape(6, 2, 2),
        "y_train": np.array([0, 1, 1, 0, 1, 1]),
        "x_test": np.zeros((2, 2, 2), np.uint8),
        "y_test": np.array([0, 1]),
        "class_names": ("cat", "dog"),
        "name": "tiny",
        "source": "made up",
    }
    return ImageDataset(**(values | changes))


def test_labels_become_int64_and_arrays_read_only():
    dataset = make(y_train=np.array([0, 1, 1, 0, 1, 1], dtype=np.uint8))
    assert dataset.y_train.dtype == np.int64
    with pytest.raises(ValueError, match="read-only"):
        dataset.x_train[0] = 1


def test_the_callers_own_arrays_stay_writable():
    images = np.zeros((6, 2, 2), np.uint8)
    make(x_train=images)
    images[0] = 1


@pytest.mark.parametrize(
    "changes",
    [
        {"x_train": np.full((6, 2, 2), 7, np.uint8)},
        {"y_train": np.array([1, 1, 1, 0, 1, 1])},
        {"y_test": np.array([1, 1])},
        {"class_names": ("cat", "fox")},
        {
            "x_train": np.arange(24, dtype=np.uint8).reshape(6, 4, 1),
            "x_test": np.zeros((2, 4, 1), np.uint8),
        },
    ],
)
def test_the_fingerprint_follows_contents_labels_names_and_shape(changes):
    assert make(**changes).fingerprint != make().fingerprint


def test_the_fingerprint_is_the_same_for_the_same_contents_in_another_memory_order():
    images = make().x_train
    assert make(x_train=np.asfortranarray(images)).fingerprint == make().fingerprint


def test_the_fingerprint_is_fixed_for_all_time():
    expected = "890dcea1ed7e4e76364b485cf7f740b6ff279e36322356b52b4aa6502130762f"
    assert make().fingerprint == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_train": np.zeros((6, 2, 2))}, r"x_train must be uint8 .* got float64"),
        ({"x_train": np.zeros((6, 4), np.uint8)}, r"got uint8 of shape \(6, 4\)"),
        ({"y_train": np.array([0, 1])}, "one integer label for each of the 6 images"),
        ({"y_train": np.zeros(6)}, "got float64"),
        ({"y_test": np.array([0, 2])}, r"y_test must lie in 0 … 1 .* from 0 to 2"),
        ({"x_test": np.zeros((2, 3, 3), np.uint8)}, r"one shape; got \(2, 2\) and \(3, 3\)"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        make(**changes)


def test_it_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        make().name = "other"


def test_describe_counts_every_class_and_gives_the_checksums():
    text = describe(make())
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines()}
    assert rows["cat"] == ["2", "1"]
    assert rows["dog"] == ["4", "1"]
    assert rows["total"] == ["6", "2"]
    assert rows["fingerprint"] == [make().fingerprint]
    assert len(rows["x_train"][-1]) == 64

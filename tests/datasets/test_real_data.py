"""The real datasets, where they are on this machine; each test that is skipped says what it lacks."""

import os
from pathlib import Path

import numpy as np
import pytest

from al_tf.datasets import fashion_mnist, load_dataset, magnetic_tile, solar_cells
from al_tf.errors import DataNotFoundError

DATA_DIR = os.environ.get("AL_TF_DATA_DIR")
CACHE_DIR = os.environ.get("AL_TF_CACHE_DIR")
SYSTEM = (Path("/", fashion_mnist.DEBIAN_FOLDER),)
PACKAGE = solar_cells.PACKAGE


@pytest.fixture(autouse=True)
def cache(cache, monkeypatch):
    """The cache of the user, so that 60,000 images are decoded once and not in every test run."""
    if CACHE_DIR is None:
        monkeypatch.delenv("AL_TF_CACHE_DIR")
    else:
        monkeypatch.setenv("AL_TF_CACHE_DIR", CACHE_DIR)
    monkeypatch.setattr(fashion_mnist.SOURCE, "system", SYSTEM)
    monkeypatch.setattr(solar_cells, "PACKAGE", PACKAGE)


def load_or_skip(name, **options):
    try:
        return load_dataset(name, data_dir=DATA_DIR, **options)
    except DataNotFoundError as error:
        pytest.skip(f"{name} is not on this machine. {str(error).splitlines()[-1]}")


def test_fashion_mnist_is_the_original():
    dataset = load_or_skip("fashion_mnist")
    assert dataset.fingerprint.startswith("0a4740ec6fc9e5b9")
    assert np.bincount(dataset.y_train).tolist() == [6000] * 10
    assert np.bincount(dataset.y_test).tolist() == [1000] * 10


def test_the_long_tail_of_fashion_mnist():
    dataset = load_or_skip("imbalanced_fashion_mnist")
    counts = np.bincount(dataset.y_train)
    assert counts.tolist() == [6000, 3885, 2515, 1629, 1055, 683, 442, 286, 185, 120]
    assert np.bincount(dataset.y_test).tolist() == [1000] * 10


def test_the_magnetic_tiles_are_whole():
    dataset = load_or_skip("magnetic_tile")
    counts = np.bincount(dataset.y_train) + np.bincount(dataset.y_test)
    assert counts.tolist() == list(magnetic_tile.COUNTS.values())
    assert 0.17 < len(dataset.y_test) / 1344 < 0.23


def test_the_solar_cells_are_those_of_the_authors():
    dataset = load_or_skip("solar_cells", labels="rating")
    counts = np.bincount(dataset.y_train) + np.bincount(dataset.y_test)
    assert counts.tolist() == [1508, 295, 106, 715]
    assert 0.17 < len(dataset.y_test) / 2624 < 0.23


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("name", "alike"), [("magnetic_tile", 0.98), ("solar_cells", 0.99)])
def test_few_test_images_have_a_near_copy_in_the_pool(name, alike, seed):
    dataset = load_or_skip(name, seed=seed)

    def normed(x):
        rows = x.reshape(len(x), -1).astype(np.float32)
        rows -= rows.mean(axis=1, keepdims=True)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    nearest = (normed(dataset.x_test) @ normed(dataset.x_train).T).max(axis=1)
    assert (nearest > alike).mean() < 0.05  # a split by image: about 0.4 and 0.14


def test_the_jpeg_copy_of_cifar10_is_whole_and_always_the_same():
    dataset = load_or_skip("cifar10")
    assert np.bincount(dataset.y_train).tolist() == [5000] * 10
    assert np.bincount(dataset.y_test).tolist() == [1000] * 10
    assert dataset.x_train.shape == (50_000, 32, 32, 3)
    assert load_or_skip("cifar10").fingerprint == dataset.fingerprint
    mean = dataset.x_train.reshape(-1, 3).mean(axis=0) / 255
    np.testing.assert_allclose(mean, [0.4914, 0.4822, 0.4465], atol=0.002)  # of the original

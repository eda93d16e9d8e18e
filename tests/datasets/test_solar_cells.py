import hashlib

import numpy as np
import pytest

from al_tf.datasets import load_dataset, solar_cells
from al_tf.errors import DataCorruptError, DataNotFoundError, UnknownNameError

from .makers import image_bytes, zipped

N = 480


def members():
    """Cells of four ratings in turn, each of a grey of its own within its stretch of 60."""
    images = {
        f"images/cell{i + 1:04}.png": image_bytes(np.full((20, 20), 4 * (i % 60), np.uint8))
        for i in range(N)
    }
    lines = [
        f"{name}  {i % 4 / 3!r}      {'mono' if i % 2 else 'poly'}" for i, name in enumerate(images)
    ]
    return {"labels.csv": "\n".join(lines).encode(), **images}


def put(folder, content):
    for name, data in content.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(
        solar_cells, "SHA256", hashlib.sha256(b"".join(members().values())).hexdigest()
    )


@pytest.fixture
def folder(tmp_path):
    return put(tmp_path / "data", members())


def test_cells_are_good_or_defective(folder):
    dataset = load_dataset("solar_cells", data_dir=folder)
    assert dataset.class_names == ("good", "defective")
    assert dataset.x_train.shape[1:] == (64, 64)
    assert len(dataset.x_train) + len(dataset.x_test) == N
    shades = dataset.x_train[:, 32, 32].astype(int) // 4
    np.testing.assert_array_equal(dataset.y_train, shades % 4 // 2)


def test_the_ratings_are_the_same_split(folder):
    binary = load_dataset("solar_cells", data_dir=folder)
    ratings = load_dataset("solar_cells", data_dir=folder, labels="rating")
    assert ratings.class_names == ("good", "good, unsure", "defective, unsure", "defective")
    assert set(ratings.y_test) == {0, 1, 2, 3}
    assert ratings.x_test.tobytes() == binary.x_test.tobytes()
    assert (binary.y_test == ratings.y_test // 2).all()


def test_stretches_stay_on_one_side_and_the_seed_draws_which(folder):
    tests = []
    for seed in (1, 1, 2):
        dataset = load_dataset("solar_cells", data_dir=folder, seed=seed)
        shades = np.bincount(dataset.x_test[:, 32, 32].astype(int) // 4, minlength=60)
        assert len(set(shades[:60])) == 1  # whole stretches: every place in them equally often
        tests.append(dataset.fingerprint)
    assert tests[0] == tests[1]
    assert len(dataset.x_test) in (60, 120)


def test_the_wheel_and_an_installed_package_give_the_same(tmp_path, folder, monkeypatch):
    wheel = {f"elpv_dataset/data/{name}": data for name, data in members().items()}
    monkeypatch.setattr(solar_cells, "PACKAGE", "elpv_dataset")
    zipped(tmp_path / "wheel" / solar_cells.WHEEL, wheel | {"elpv_dataset/__init__.py": b""})
    places = [load_dataset("solar_cells", data_dir=place) for place in (folder, tmp_path / "wheel")]
    put(tmp_path / "site" / "fake_solar_package", {"__init__.py": b""})
    put(tmp_path / "site" / "fake_solar_package" / "data", members())
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setattr(solar_cells, "PACKAGE", "fake_solar_package")
    installed = load_dataset("solar_cells")
    assert len({dataset.fingerprint for dataset in [*places, installed]}) == 1


def test_altered_cells_are_refused(tmp_path, monkeypatch):
    content = members()
    content["images/cell0007.png"] = content["images/cell0008.png"]
    put(tmp_path / "data", content)
    with pytest.raises(DataCorruptError, match=r"expected SHA-256 .* of 480 images\. Install them"):
        load_dataset("solar_cells", data_dir=tmp_path / "data")


def test_without_the_package_the_message_says_what_to_install():
    with pytest.raises(DataNotFoundError, match=r"pip install 'al-tf\[solar-cells\]'"):
        load_dataset("solar_cells")


def test_options_are_checked(folder):
    with pytest.raises(UnknownNameError, match=r"Expected one of: 'binary', 'rating'"):
        load_dataset("solar_cells", data_dir=folder, labels="defect")
    for size in (0, 7, 301, 64.0, True):
        with pytest.raises(ValueError, match="size must be an integer from 8 to 300"):
            load_dataset("solar_cells", data_dir=folder, size=size)

import numpy as np
import pytest

from al_tf.datasets import load_dataset, magnetic_tile
from al_tf.errors import DataCorruptError, DataNotFoundError, UnknownNameError

from .makers import image_bytes, tar, zipped

COUNTS = {"free": 24, "blowhole": 12, "uneven": 12, "break": 12, "crack": 12, "fray": 12}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(magnetic_tile, "COUNTS", COUNTS)


def members():
    """Tiles photographed six times each, their shots 20 numbers apart, each shot of its own grey."""
    made, tile = {}, 0
    for k, (name, n) in enumerate(COUNTS.items()):
        for i in range(n):
            tile += i % 6 == 0
            file = f"MT_{name.capitalize()}/Imgs/exp{i % 6 + 1}_num_{tile * 1000 + i % 6 * 20}"
            made[f"{file}.jpg"] = image_bytes(np.full((20, 40), 40 * k + i, np.uint8), "JPEG")
            made[f"{file}.png"] = image_bytes(np.zeros((20, 40), np.uint8))  # the mask
    return made


@pytest.fixture
def archive(tmp_path):
    return tar(tmp_path / "magnetic-tile-160px.tar.gz", members())


def test_the_defects_are_grey_squares_of_six_classes(archive):
    dataset = load_dataset("magnetic_tile", data_dir=archive.parent)
    assert dataset.class_names == ("free", "blowhole", "uneven", "break", "crack", "fray")
    assert dataset.x_train.shape[1:] == (64, 64)
    total = np.bincount(dataset.y_train) + np.bincount(dataset.y_test)
    assert total.tolist() == list(COUNTS.values())
    shades = dataset.x_train[:, 32, 32].astype(int)
    assert (np.abs(shades // 40 - dataset.y_train) <= 0).all()


def test_good_or_defective_is_the_same_split(archive):
    defects = load_dataset("magnetic_tile", data_dir=archive.parent)
    binary = load_dataset("magnetic_tile", data_dir=archive.parent, labels="binary")
    assert binary.class_names == ("good", "defective")
    assert binary.x_test.tobytes() == defects.x_test.tobytes()
    assert (binary.y_test == (defects.y_test > 0)).all()


@pytest.mark.parametrize("seed", range(5))
def test_all_shots_of_a_tile_are_on_one_side_and_every_class_on_both(archive, seed):
    dataset = load_dataset("magnetic_tile", data_dir=archive.parent, seed=seed)

    def tiles(x):
        shades = x[:, 32, 32].astype(int)
        return set(zip(shades // 40, shades % 40 // 6, strict=True))

    assert not tiles(dataset.x_train) & tiles(dataset.x_test)
    assert set(dataset.y_train) == set(dataset.y_test) == set(range(6))


def test_the_seed_draws_the_split(archive):
    prints = [
        load_dataset("magnetic_tile", data_dir=archive.parent, seed=s).fingerprint
        for s in (1, 1, 2)
    ]
    assert prints[0] == prints[1] != prints[2]


def test_folder_tar_and_the_zip_of_github_give_the_same(tmp_path, archive):
    github = {f"Magnetic-tile-defect-datasets.-master/{n}": d for n, d in members().items()}
    github["Magnetic-tile-defect-datasets.-master/README.md"] = b"read me"
    zipped(tmp_path / "zip" / "Magnetic-tile-defect-datasets.-master.zip", github)
    for name, data in members().items():
        path = tmp_path / "folder" / "magnetic_tile" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    places = (archive.parent, tmp_path / "zip", tmp_path / "folder")
    assert len({load_dataset("magnetic_tile", data_dir=p).fingerprint for p in places}) == 1


def test_another_size_is_decoded_for_itself(archive):
    for size in (16, 32, 16):
        dataset = load_dataset("magnetic_tile", data_dir=archive.parent, size=size)
        assert dataset.x_train.shape[1:] == (size, size)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.pop("MT_Fray/Imgs/exp1_num_13000.jpg"), "12 crack, 12 fray images; found .* 11 fray"),
        (lambda m: m.update({"MT_Fray/Imgs/exp1_num_13000.jpg": b"spoilt"}), "shot 13000: expected an image"),
    ],
)  # fmt: skip
def test_an_archive_that_is_not_whole_is_refused(tmp_path, change, message):
    content = members()
    change(content)
    tar(tmp_path / "magnetic-tile-160px.tar.gz", content)
    with pytest.raises(DataCorruptError, match=message):
        load_dataset("magnetic_tile", data_dir=tmp_path)


def test_a_download_is_verified_by_its_counts(mirrors, monkeypatch, tmp_path, cache):
    whole = zipped(tmp_path / "whole.zip", members()).read_bytes()
    lacking = zipped(tmp_path / "lacking.zip", dict(list(members().items())[2:])).read_bytes()
    mirrors.files |= {"lacking": lacking, "whole": whole}
    monkeypatch.setattr(magnetic_tile, "MIRRORS", (mirrors.url("good") + "lacking",))
    with pytest.raises(
        DataNotFoundError, match=r"served the wrong bytes: expected 24 free, .* found 23"
    ):
        load_dataset("magnetic_tile")
    monkeypatch.setattr(magnetic_tile, "MIRRORS", (mirrors.url("good") + "whole",))
    lines = []
    magnetic_tile.SOURCE.fetch(None, lines.append)
    assert lines == [f"magnetic_tile: {cache / 'magnetic_tile' / 'magnetic-tile.zip'}"]
    assert (
        len(load_dataset("magnetic_tile").x_train) + len(load_dataset("magnetic_tile").x_test) == 84
    )


def test_options_are_checked(archive):
    with pytest.raises(
        UnknownNameError, match=r"Unknown labels 'shape'. Expected one of: 'defect', 'binary'"
    ):
        load_dataset("magnetic_tile", data_dir=archive.parent, labels="shape")
    for size in (0, 7, 513, 64.0, True):
        with pytest.raises(ValueError, match="size must be an integer from 8 to 512"):
            load_dataset("magnetic_tile", data_dir=archive.parent, size=size)

import pickle

import numpy as np
import pytest

from al_tf.datasets import LazyImageFolder, _lazy
from al_tf.errors import DataCorruptError, DataNotFoundError

from .makers import write_image


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (7, 5, 4), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path, images):
    for i, image in enumerate(images):
        write_image(tmp_path / "images" / f"{i}.png", image)
    return tmp_path / "images"


@pytest.mark.parametrize(
    "key",
    [
        slice(None),
        slice(1, 5, 2),
        slice(None, None, -1),
        [3, 0, 3],
        np.array([6, -1]),
        np.arange(7) % 2 == 0,
        [],
        np.array([], dtype=int),
        2,
        -1,
        np.int64(4),
    ],
)
def test_it_is_indexed_as_the_array_is(folder, images, key):
    key = np.array(key, dtype=int) if isinstance(key, list) and not key else key
    picked = LazyImageFolder(folder)[key]
    assert picked.dtype == np.uint8
    np.testing.assert_array_equal(picked, images[key])


def test_it_has_what_a_classifier_asks_for(folder, images):
    lazy = LazyImageFolder(folder)
    assert (len(lazy), lazy.shape, lazy.ndim, lazy.dtype) == (7, images.shape, 3, np.uint8)
    np.testing.assert_array_equal(np.asarray(lazy), images)
    np.testing.assert_array_equal(list(lazy), images)
    assert np.asarray(lazy, dtype=np.float32).dtype == np.float32


def test_it_survives_pickling(folder, images):
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(LazyImageFolder(folder)))[:], images)


def test_scikit_learn_can_take_rows_from_it(folder, images):
    from sklearn.model_selection import KFold
    from sklearn.utils import _safe_indexing

    lazy = LazyImageFolder(folder)
    _, test = next(iter(KFold(3).split(lazy)))
    np.testing.assert_array_equal(_safe_indexing(lazy, test), images[test])


def test_nothing_is_decoded_before_it_is_asked_for(folder):
    lazy = LazyImageFolder(folder, size=8, grey=True)  # no header is needed either
    lazy.files[6].write_bytes(b"spoilt")
    assert lazy[:6].shape == (6, 8, 8)
    with pytest.raises(DataCorruptError, match=r"6\.png"):
        lazy[6]


def test_a_list_of_files_keeps_its_order(folder, images):
    lazy = LazyImageFolder([folder / "4.png", folder / "1.png"])
    np.testing.assert_array_equal(lazy[:], images[[4, 1]])


def test_one_colour_image_makes_all_colour(folder, images):
    write_image(folder / "7.png", np.zeros((5, 4, 3), np.uint8))
    lazy = LazyImageFolder(folder)
    assert lazy.shape == (8, 5, 4, 3)
    np.testing.assert_array_equal(lazy[0], np.repeat(images[0][..., None], 3, axis=-1))
    assert LazyImageFolder(folder, grey=True).shape == (8, 5, 4)


def test_several_sizes_need_a_size(folder):
    write_image(folder / "large.png", np.zeros((9, 9), np.uint8))
    with pytest.raises(
        ValueError,
        match=r"2 sizes \(height × width: 7 of 5 × 4, 1 of 9 × 9\). Give a size .* size=64, or --size 64",
    ):
        LazyImageFolder(folder)
    assert LazyImageFolder(folder, size=6)[:].shape == (8, 6, 6)
    assert LazyImageFolder(folder, size=(3, 6))[7].shape == (3, 6)


def test_what_is_not_read_is_counted_and_warned_of(folder):
    for name in ("a.heic", "b.heic", ".hidden.png"):
        (folder / name).touch()
    with pytest.warns(UserWarning, match="3 files left out: 2 .heic, 1 hidden"):
        lazy = LazyImageFolder(folder)
    assert (len(lazy), dict(lazy.left_out)) == (7, {".heic": 2, "hidden": 1})


def test_a_size_may_be_a_list_as_in_toml(folder):
    assert LazyImageFolder(folder, size=[3, 6])[:].shape == (7, 3, 6)


def test_all_images_that_cannot_be_read_are_named_at_once(folder):
    for name in ("1", "4"):
        (folder / f"{name}.png").write_bytes(b"spoilt")
    message = r"(?s)2 of 7 images cannot be read. Repair or remove them:\n.*1\.png: .*4\.png: "
    with pytest.raises(DataCorruptError, match=message):
        LazyImageFolder(folder)
    with pytest.raises(DataCorruptError, match=message):
        LazyImageFolder(folder, size=8, grey=True).load()


@pytest.mark.parametrize("size", [0, -3, (3,), (3, 4, 5), (0, 4), 2.5, (2.5, 2)])
def test_impossible_sizes_are_refused(folder, size):
    with pytest.raises(ValueError, match="size must be a number of pixels or"):
        LazyImageFolder(folder, size=size)


def test_an_image_that_changed_since_is_an_error(folder):
    lazy = LazyImageFolder(folder)
    write_image(folder / "3.png", np.zeros((6, 6), np.uint8))
    with pytest.raises(
        DataCorruptError, match=r"3\.png: expected an image of shape \(5, 4\), found \(6, 6\)"
    ):
        lazy[:]


def test_more_than_the_bound_is_not_decoded_at_once(folder, monkeypatch):
    lazy = LazyImageFolder(folder)
    monkeypatch.setattr(_lazy, "MAX_DECODED_BYTES", 100)
    assert lazy[:5].shape == (5, 5, 4)
    with pytest.raises(ValueError, match=r"6 images of shape \(5, 4\) take .* at once"):
        lazy[:6]


@pytest.mark.parametrize("key", [(0, 1), (slice(None), 0), np.zeros((2, 2), int), np.newaxis])
def test_only_the_first_axis_is_indexed(folder, key):
    with pytest.raises(TypeError, match=r"first axis|one dimension"):
        LazyImageFolder(folder)[key]


@pytest.mark.parametrize("key", [7, -8, [0, 7]])
def test_indices_outside_are_refused(folder, key):
    with pytest.raises(IndexError, match="out of bounds"):
        LazyImageFolder(folder)[key]


def test_no_images_and_no_folder_are_errors(tmp_path):
    with pytest.raises(DataNotFoundError, match="no such folder"):
        LazyImageFolder(tmp_path / "nowhere")
    with pytest.raises(DataNotFoundError, match=r"expected image files \(.png, .* found none"):
        LazyImageFolder(tmp_path)
    with pytest.raises(DataNotFoundError, match="found none"):
        LazyImageFolder([])


def test_images_of_twelve_bits_in_sixteen_are_scaled_alike(tmp_path):
    for name, value in (("bright.png", 4_095), ("dark.png", 819)):
        write_image(tmp_path / name, np.full((2, 2), value, np.uint16))
    assert LazyImageFolder(tmp_path).load()[:, 0, 0].tolist() == [255, 51]
    assert LazyImageFolder(tmp_path, bits=16).load()[:, 0, 0].tolist() == [16, 3]

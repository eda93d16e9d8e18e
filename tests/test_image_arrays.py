"""What every source of images has for free, and how the scale of pixel values is recognised."""

import numpy as np
import pytest

from al_tf.image_arrays import ImageSource, image_scale, match_scale, scales_conflict

IMAGES = np.random.default_rng(0).integers(0, 256, size=(7, 5, 4), dtype=np.uint8)


class Source(ImageSource):
    """The least that a subclass states."""

    shape, dtype = IMAGES.shape, IMAGES.dtype

    def read(self, rows):
        return np.stack([IMAGES[row] for row in rows]) if len(rows) else IMAGES[:0]


class TestImageSource:
    @pytest.mark.parametrize(
        "key",
        [
            2, -1, np.int64(4), slice(None), slice(1, 6, 2), slice(None, None, -1), [3, 0, 3], [],
            np.array([6, -1]), np.arange(7) % 2 == 0, ([1, 2], ...),
        ],
        ids=repr,
    )  # fmt: skip
    def test_is_indexed_as_an_array_is(self, key):
        np.testing.assert_array_equal(Source()[key], IMAGES[key])

    def test_becomes_an_array(self):
        source = Source()
        assert (len(source), source.ndim) == (7, 3)
        np.testing.assert_array_equal(np.asarray(source), IMAGES)
        np.testing.assert_array_equal(list(source), IMAGES)
        assert np.asarray(source, dtype=np.float32).dtype == np.float32
        np.testing.assert_array_equal(source.read_range(2, 5), IMAGES[2:5])

    @pytest.mark.parametrize("key", [(0, 1), (slice(None), 0), np.zeros((2, 2), int), np.newaxis])
    def test_is_indexed_along_its_first_axis_only(self, key):
        with pytest.raises(TypeError, match=r"first axis|one dimension"):
            Source()[key]

    def test_rows_outside_are_refused(self):
        with pytest.raises(IndexError, match="out of bounds"):
            Source()[[0, 7]]

    def test_must_state_how_it_is_read(self):
        class Unreadable(ImageSource):
            shape, dtype = IMAGES.shape, IMAGES.dtype

        with pytest.raises(TypeError, match=r"abstract method.*read"):
            Unreadable()


UNIT = IMAGES / 255
NOISE = np.random.default_rng(1).normal(0, 0.2, IMAGES.shape)


class TestScale:
    @pytest.mark.parametrize(
        ("images", "scale"),
        [
            (IMAGES, "uint8"),
            (Source(), "uint8"),
            (UNIT, "0-1"),
            (UNIT.astype(np.float16), "0-1"),
            (UNIT > 0.5, "0-1"),
            (IMAGES.astype(np.float32), "0-255"),
            (IMAGES.astype(np.int64), "0-255"),
            (UNIT * 2 - 1, "other"),
            ((UNIT - UNIT.mean()) / UNIT.std(), "other"),
            (IMAGES.astype(np.uint16) * 257, "other"),
            (UNIT * 10, "other"),
            (UNIT + NOISE, "unclear"),
            (np.zeros_like(UNIT), "unclear"),
            (np.clip(IMAGES, 0, 3).astype(float), "unclear"),
            (UNIT[:0], "unclear"),
            (UNIT * 1j, "unclear"),
        ],
    )
    def test_is_recognised(self, images, scale):
        assert image_scale(images) == scale

    def test_values_that_are_not_finite_do_not_count(self):
        broken = UNIT.copy()
        broken[0], broken[1, 0, 0] = np.nan, np.inf
        assert image_scale(broken) == "0-1"

    def test_few_images_of_many_are_read(self):
        class Long(ImageSource):
            shape, dtype = (100_000, 5, 4), np.dtype(np.float32)

            def read(self, rows):
                assert len(rows) <= 32
                return np.full((len(rows), 5, 4), 200, np.float32)

        assert image_scale(Long()) == "0-255"

    @pytest.mark.parametrize(
        ("known", "conflicts"),
        [
            ("uint8", {"0-255", "other"}),
            ("0-1", {"0-255", "other"}),
            ("0-255", {"uint8", "0-1"}),
            ("other", {"uint8"}),
            ("unclear", set()),
        ],
    )
    def test_conflicts_are_those_that_give_wrong_answers(self, known, conflicts):
        scales = ("uint8", "0-1", "0-255", "other", "unclear")
        assert {new for new in scales if scales_conflict(known, new)} == conflicts


class TestImagesForOneArray:
    @pytest.mark.parametrize(
        ("known", "new"),
        [
            (IMAGES, UNIT),
            (UNIT, IMAGES),
            (IMAGES, IMAGES.astype(np.float32)),
            (IMAGES, np.zeros_like(UNIT)),
            (IMAGES, IMAGES.astype(np.uint16) * 257),
            (IMAGES, IMAGES.astype(int) - 128),
            (IMAGES, (UNIT - UNIT.mean()) / UNIT.std()),
            (UNIT, IMAGES.astype(np.float32)),
            (IMAGES.astype(np.float32), UNIT),
            (list(IMAGES), list(UNIT)),
            (IMAGES, UNIT.tolist()),
        ],
    )
    def test_of_two_scales_are_refused(self, known, new):
        with pytest.raises(ValueError, match=r"new images are .* labeled set .*two scales"):
            match_scale(new, known)

    @pytest.mark.parametrize(
        ("known", "new"),
        [
            (IMAGES, IMAGES[:2]),
            (UNIT, UNIT[:2]),
            (UNIT, UNIT.astype(np.float32)[:2]),
            (UNIT, np.zeros_like(UNIT)),
            (IMAGES.astype(np.float32), IMAGES),
            (IMAGES[:0], UNIT),
            (IMAGES, UNIT[:0]),
            (list(IMAGES), list(IMAGES)),
            (UNIT[0], IMAGES[0]),  # rows of a table, whatever they hold
            (np.array(["a"]), np.array(["b"])),
        ],
    )
    def test_of_one_scale_are_left_as_they_are(self, known, new):
        assert match_scale(new, known) is new

    @pytest.mark.parametrize("new", [IMAGES.astype(int), IMAGES.tolist()])
    def test_integers_beside_uint8_become_uint8(self, new):
        matched = match_scale(new, IMAGES)
        assert matched.dtype == np.uint8
        np.testing.assert_array_equal(matched, IMAGES)

"""Images for people: every pixel and bit of them, in parts, and what follows before it is asked for."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from al_tf.errors import DataCorruptError, ImageGoneError
from al_tf.images import decode_pixels, highest_value, window
from al_tf.labeling import ArrayPool, FolderPool
from al_tf.labeling.desk.protocol import Desk
from al_tf.labeling.pictures import MAX_SHOWN_SIDE, THUMBNAIL_SIDE


def encoded(pixels, form="TIFF", **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form, **options)
    return buffer.getvalue()


def ramp(top, shape=(40, 60)):
    return np.linspace(0, top, shape[0] * shape[1]).round().astype(np.uint16).reshape(shape)


class TestDecoding:
    @pytest.mark.parametrize("form", ["TIFF", "PNG"])
    @pytest.mark.parametrize("top", [900, 4_095, 16_000, 65_535])
    def test_sixteen_bits_are_kept(self, form, top):
        pixels = decode_pixels(encoded(ramp(top), form), "it")
        assert pixels.dtype == np.uint16
        np.testing.assert_array_equal(pixels, ramp(top))
        assert highest_value(pixels) == next(t for t in (1_023, 4_095, 16_383, 65_535) if t >= top)

    def test_eight_bits_are_as_for_the_model(self):
        pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
        np.testing.assert_array_equal(decode_pixels(encoded(pixels, "PNG"), "it"), pixels)
        assert highest_value(pixels) == 255

    def test_they_are_turned_upright_whatever_their_bits(self):
        exif = Image.Exif()
        exif[0x0112] = 6
        for pixels in (ramp(60_000), ramp(255).astype(np.uint8)):
            upright = decode_pixels(encoded(pixels, "PNG", exif=exif.tobytes()), "it")
            np.testing.assert_array_equal(upright, np.rot90(pixels, -1))

    def test_a_jpeg_that_may_be_small_is_decoded_at_a_fraction(self):
        data = encoded(np.full((800, 1_200), 77, np.uint8), "JPEG")
        small = decode_pixels(data, "it", at_least=200)
        assert 200 <= max(small.shape) < 1_200
        assert abs(float(small.mean()) - 77) < 2

    def test_pixels_that_no_camera_gives_are_refused(self):
        with pytest.raises(DataCorruptError, match="8 or 16 bits"):
            decode_pixels(encoded(np.full((4, 4), 0.5, np.float32)), "it")


class TestWindow:
    def test_spreads_the_values_between_its_ends(self):
        values = np.array([[0, 999, 1_000, 1_500, 2_000, 4_095]], np.uint16)
        assert window(values, 1_000, 2_000).tolist() == [[0, 0, 0, 128, 255, 255]]
        assert window(np.array([[10, 200]], np.uint8), 100, 50 + 100).tolist() == [[0, 255]]

    @pytest.mark.parametrize("ends", [(5, 5), (6, 5), (np.nan, 5)])
    def test_has_a_width(self, ends):
        with pytest.raises(ValueError, match="low < high"):
            window(np.zeros((2, 2), np.uint8), *ends)


@pytest.fixture
def large(tmp_path):
    """A pool of one image of 3,000 × 2,000 with 12 bits, and its pixels."""
    pixels = np.random.default_rng(0).integers(0, 4_096, (2_000, 3_000)).astype(np.uint16)
    Image.fromarray(pixels).save(tmp_path / "large.tif")
    return FolderPool(tmp_path, size=32), pixels


class TestParts:
    def test_are_in_full_resolution(self, large):
        pool, pixels = large
        picture = pool.pictures.part(pool.ids[0], box=(100.4, 50, 300, 200.2))
        assert picture.box == (100, 50, 301, 201)
        assert (picture.width, picture.height, picture.highest) == (3_000, 2_000, 4_095)
        np.testing.assert_array_equal(
            picture.image, np.rint(pixels[50:251, 100:401] / 4_095 * 255).astype(np.uint8)
        )

    def test_are_scaled_down_alone_and_cut_to_the_image(self, large):
        pool, _ = large
        (image,) = pool.ids
        assert pool.pictures.part(image, side=100).image.shape == (67, 100)
        corner = pool.pictures.part(image, box=(-50, -50, 80, 90), side=2_000)
        assert corner.box == (0, 0, 30, 40)
        assert corner.image.shape == (40, 30)
        assert max(pool.pictures.part(image, side=10**9).image.shape) == 2_048

    def test_the_whole_and_the_thumbnail(self, large):
        pool, _ = large
        (image,) = pool.ids
        assert pool.shown(image).shape == (683, MAX_SHOWN_SIDE)
        assert pool.pictures.thumbnail(image).shape == (256, THUMBNAIL_SIDE)

    @pytest.mark.parametrize("box", [(0, 0, 0, 5), (5_000, 0, 10, 10), (0, -20, 10, 10)])
    def test_a_box_that_holds_nothing(self, large, box):
        pool, _ = large
        with pytest.raises(ValueError, match="box"):
            pool.pictures.part(pool.ids[0], box=box)

    def test_a_file_that_changed_is_not_shown_from_memory(self, large, tmp_path):
        pool, _ = large
        (image,) = pool.ids
        pool.pictures.overview(image)
        (tmp_path / "large.tif").unlink()
        for look in (pool.pictures.overview, pool.pictures.part):
            with pytest.raises(ImageGoneError):
                look(image)


class TestRequests:
    def view(self, desk, **request):
        return Desk(desk.session()).handle({"do": "view", "image": desk.pool.ids[0], **request})

    def test_a_part_with_a_window(self, desk):
        low, high = 20, 80
        reply = self.view(desk, box=[1, 2, 3, 2], low=low, high=high)
        assert reply["error"] is None
        assert reply["view"]["box"] == [1, 2, 3, 2]
        data = base64.b64decode(reply["view"]["image"].partition(",")[2])
        part = desk.images[0][2:4, 1:4].astype(float)
        expected = np.rint(255 * ((part - low) / (high - low)).clip(0, 1))
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), expected)

    @pytest.mark.parametrize(
        "request_",
        [
            {"image": None}, {"image": 7}, {"image": "../../etc/passwd"}, {"image": "0" * 64},
            {"box": [1, 2, 3]}, {"box": "whole"}, {"box": [0, 0, "1", 1]}, {"box": [0, 0, None, 1]},
            {"box": [0, 0, float("inf"), 1]}, {"box": [0, 0, 1e300, -1]}, {"side": "large"},
            {"side": True}, {"side": float("nan")}, {"low": 9, "high": 9}, {"low": "black"},
        ],
    )  # fmt: skip
    def test_hostile_ones_are_one_line(self, desk, request_):
        reply = self.view(desk, **request_)
        assert set(reply) == {"error"}
        assert reply["error"]
        assert "\n" not in reply["error"]

    def test_what_follows_is_what_will_be_shown(self, desk):
        session = desk.session(batch_size=5, repeat_share=0.0)
        screen = Desk(session)
        first = screen.handle({"do": "look"})["item"]
        ahead = screen.handle({"do": "ahead"})["ahead"]
        assert len(ahead) == 3
        assert first["slot"] not in [item["slot"] for item in ahead]
        for item in ahead:
            done = screen.handle({"do": "label", "slot": first["slot"], "label": "dark"})
            first = done["item"]
            assert (first["slot"], first["image"]) == (item["slot"], item["image"])
        assert len(screen.handle({"do": "ahead"})["ahead"]) == 1

    def test_the_time_that_the_screen_measured_counts(self, desk):
        session = desk.session()
        screen = Desk(session)
        for seconds, recorded in ((2.5, 2.5), (-3, 0.0), (1e12, 86_400.0)):
            slot = screen.handle({"do": "look"})["item"]["slot"]
            screen.handle({"do": "label", "slot": slot, "label": "dark", "seconds": seconds})
            assert session.ledger.events()[-1].seconds == recorded
        slot = screen.handle({"do": "look"})["item"]["slot"]
        reply = screen.handle({"do": "label", "slot": slot, "label": "dark", "seconds": "long"})
        assert "seconds must be a number" in reply["error"]
        assert len(session.ledger.events()) == 3

    def test_ahead_is_empty_before_there_is_a_batch(self, desk):
        assert Desk(desk.session()).handle({"do": "ahead"}) == {"error": None, "ahead": []}


def test_arrays_are_pictures_too():
    images = np.random.default_rng(0).integers(0, 256, (2, 9, 9, 1), dtype=np.uint8)
    pool = ArrayPool(images)
    np.testing.assert_array_equal(pool.shown(pool.ids[0]), images[0, :, :, 0])
    with pytest.raises(ImageGoneError):
        pool.pictures.overview("0" * 64)

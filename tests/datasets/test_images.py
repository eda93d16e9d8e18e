import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from al_tf import images
from al_tf.errors import DataCorruptError
from al_tf.folders import list_images
from al_tf.images import common_bits, decode_image, image_shape, read_image_file

from .makers import image_bytes, write_image

GREY = np.array([[0, 50, 100], [150, 200, 255]], np.uint8)  # (2, 3)
COLOUR = np.stack([GREY, 255 - GREY, GREY // 2], axis=-1)


def encode(image, format="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, format=format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("format", ["PNG", "BMP"])
def test_grey_stays_grey_and_colour_colour(format):
    assert (decode_image(image_bytes(GREY, format), "i") == GREY).all()
    assert (decode_image(image_bytes(COLOUR, format), "i") == COLOUR).all()


def test_webp_is_read():
    data = image_bytes(COLOUR, "WEBP", lossless=True)
    assert (decode_image(data, "i") == COLOUR).all()


def test_jpeg_is_read_nearly():
    flat = np.full((8, 8, 3), (200, 100, 50), np.uint8)
    decoded = decode_image(image_bytes(flat, "JPEG", quality=95), "i")
    assert np.abs(decoded.astype(int) - flat).max() <= 3


def test_grey_and_colour_on_request():
    assert decode_image(image_bytes(COLOUR), "i", grey=True).shape == (2, 3)
    assert (decode_image(image_bytes(GREY), "i", grey=False) == GREY[..., None]).all()


def test_sixteen_bits_are_scaled_by_one_factor_for_all_images():
    deep = np.array([[0, 257, 65535], [25700, 128, 129]], np.uint16)
    decoded = decode_image(image_bytes(deep), "i")
    assert decoded.tolist() == [[0, 1, 255], [100, 0, 1]]


def test_transparent_pixels_are_laid_on_white():
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0, :, 3] = 0, 255, 51  # black: transparent, opaque, a fifth opaque
    decoded = decode_image(image_bytes(rgba), "i")
    assert decoded[0].tolist() == [[255] * 3, [0] * 3, [204] * 3]


def test_grey_with_transparency_stays_grey():
    la = Image.merge("LA", [Image.fromarray(GREY), Image.new("L", (3, 2), 255)])
    assert (decode_image(encode(la), "i") == GREY).all()


def test_palettes_become_rgb():
    palette = Image.fromarray(COLOUR).convert("P", palette=Image.Palette.ADAPTIVE)
    assert (decode_image(encode(palette), "i") == np.asarray(palette.convert("RGB"))).all()


def test_bilevel_becomes_0_and_255():
    decoded = decode_image(encode(Image.fromarray(GREY).convert("1", dither=0)), "i")
    assert set(np.unique(decoded)) == {0, 255}


def test_cmyk_jpeg_becomes_rgb():
    cmyk = Image.new("CMYK", (8, 8), (0, 0, 0, 0))
    assert decode_image(encode(cmyk, "JPEG"), "i").shape == (8, 8, 3)


def turned(orientation, format="PNG"):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(Image.fromarray(GREY), format, exif=exif)


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [(1, GREY), (3, GREY[::-1, ::-1]), (6, np.rot90(GREY, -1)), (8, np.rot90(GREY, 1))],
)
def test_exif_orientation_is_applied_and_foreseen(tmp_path, orientation, upright):
    data = turned(orientation)
    assert (decode_image(data, "i") == upright).all()
    path = tmp_path / "turned.png"
    path.write_bytes(data)
    assert image_shape(path) == (*upright.shape, True)


DAMAGED_EXIF = [
    b"nonsense",
    b"",
    b"II*\0",
    b"II*\0\xff\xff\xff\xff",
    b"MM\0*\0\0\0\x08\xff\xff\x01\x12",
]


@pytest.mark.filterwarnings("ignore:.*EXIF")
@pytest.mark.parametrize("exif", DAMAGED_EXIF)
@pytest.mark.parametrize("format", ["PNG", "WEBP", "JPEG"])
def test_damaged_exif_is_ignored(tmp_path, format, exif):
    data = image_bytes(GREY, format, exif=b"Exif\0\0" + exif)
    path = tmp_path / "image"
    path.write_bytes(data)
    assert image_shape(path)[:2] == GREY.shape
    assert decode_image(data, "i").shape[:2] == GREY.shape


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["TIFF", "WEBP"])
def test_every_format_is_turned_as_png_is(tmp_path, orientation, format):
    data = turned(orientation, format)
    path = tmp_path / "image"
    path.write_bytes(data)
    upright = decode_image(turned(orientation), "i", grey=True)
    assert decode_image(data, "i", grey=True).shape == upright.shape
    assert image_shape(path)[:2] == upright.shape
    if format == "TIFF":
        assert (decode_image(data, "i") == upright).all()


READABLE = [
    ("TIFF", ".tif"), ("TIFF", ".tiff"), ("GIF", ".gif"), ("JPEG", ".jfif"), ("JPEG", ".JPE"),
    ("AVIF", ".avif"), ("JPEG2000", ".jp2"), ("PPM", ".ppm"), ("PPM", ".pgm"), ("BMP", ".dib"),
    ("WEBP", ".webp"), ("PNG", ".PNG"),
]  # fmt: skip


@pytest.mark.parametrize(("format", "extension"), READABLE)
def test_what_pillow_reads_is_listed_and_read(tmp_path, format, extension):
    if format not in images._formats():
        pytest.skip(f"SKIPPED, this Pillow reads no {format}")
    flat = np.full((16, 16) if extension == ".pgm" else (16, 16, 3), 120, np.uint8)
    path = tmp_path / f"image{extension}"
    path.write_bytes(image_bytes(flat, format))
    assert list_images(tmp_path) == [path]
    assert image_shape(path)[:2] == (16, 16)
    decoded = decode_image(path.read_bytes(), "i", grey=True)
    assert np.abs(decoded.astype(int) - 120).max() <= 3


def test_twelve_bits_in_sixteen_are_warned_of():
    dark = np.array([[0, 4095], [17, 2000]], np.uint16)
    with pytest.warns(UserWarning, match="at most 12 of them.* pass bits=12"):
        decoded = decode_image(image_bytes(dark), "i")
    assert decoded.max() == 16
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decode_image(image_bytes(dark * 16), "i").max() == 255
        assert decode_image(image_bytes(dark * 0), "i").max() == 0  # black is black
        assert decode_image(image_bytes(dark), "i", bits=16).max() == 16  # as it was stated
        assert decode_image(image_bytes(dark), "i", bits=12).tolist() == [[0, 255], [1, 125]]


def test_brighter_than_the_bits_of_the_others_is_white_and_said():
    bright = np.array([[0, 4095], [5000, 2048]], np.uint16)
    with pytest.warns(UserWarning, match="a value of 5,000, where 4,095 is white"):
        decoded = decode_image(image_bytes(bright), "i", bits=12)
    assert decoded.tolist() == [[0, 255], [255, 128]]


@pytest.mark.parametrize(
    ("highest", "bits"), [(900, 10), (4_095, 12), (9_000, 14), (30_000, 16), (None, 16)]
)
@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_the_bits_of_a_folder_are_those_of_its_brightest_image(tmp_path, highest, bits, format):
    """A dark image among them is scaled like the others; files of 8 bits and damaged ones pass."""
    suffix = format.lower()
    for i, share in enumerate((0.02, 1.0, 0.5)):
        pixels = np.array([[0, (highest or 0) * share]]).astype(np.uint16)
        if highest is not None:
            (tmp_path / f"{i}.{suffix}").write_bytes(image_bytes(pixels, format))
    (tmp_path / "8 bits.png").write_bytes(image_bytes(GREY))
    (tmp_path / "damaged.png").write_bytes(image_bytes(GREY)[:40])
    assert common_bits(sorted(tmp_path.iterdir())) == bits
    assert common_bits([]) == 16


@pytest.mark.parametrize(
    ("pixels", "kind"),
    [
        (np.array([[0.0, 0.5], [1.0, 0.2]], np.float32), "float32 from 0 to 1"),
        (np.array([[0, 70_000], [1, 2]], np.int32), "int32 from 0 to 70000"),
        (np.array([[-5, 7], [1, 2]], np.int32), "int32 from -5 to 7"),
    ],
)
def test_pixels_of_more_than_sixteen_bits_are_refused(pixels, kind):
    data = image_bytes(pixels, "TIFF")
    with pytest.raises(DataCorruptError, match=f"i: expected pixels of 8 or 16 bits, found {kind}"):
        decode_image(data, "i")


def test_a_fault_of_ours_is_not_taken_for_a_damaged_file(monkeypatch):
    monkeypatch.setattr(images, "_fit", lambda image, height, width: image.nonsense)
    with pytest.raises(AttributeError, match="nonsense"):
        decode_image(image_bytes(GREY), "i", size=(8, 8))


def test_the_first_frame_of_an_animation_counts():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    data = encode(frames[0], save_all=True, append_images=frames[1:])
    assert (decode_image(data, "i") == (255, 0, 0)).all()


def test_scaling_keeps_the_aspect_and_pads_with_the_mean():
    wide = np.zeros((10, 40), np.uint8)
    wide[:, 20:] = 200
    decoded = decode_image(image_bytes(wide), "i", size=(20, 20))
    assert decoded.shape == (20, 20)
    assert (decoded[:7] == 100).all()  # 5 rows of image in the middle
    assert (decoded[13:] == 100).all()
    assert decoded[9, 2] == 0
    assert decoded[9, 17] == 200


def test_an_image_of_the_size_wanted_is_left_as_it_is():
    assert (decode_image(image_bytes(COLOUR), "i", size=(2, 3)) == COLOUR).all()


def test_scaling_up_and_colour_padding():
    decoded = decode_image(
        image_bytes(np.full((2, 1, 3), (10, 20, 30), np.uint8)), "i", size=(8, 8)
    )
    assert (decoded == (10, 20, 30)).all()


def test_an_extreme_aspect_keeps_one_pixel():
    line = np.full((1, 1000), 77, np.uint8)
    assert (decode_image(image_bytes(line), "i", size=(8, 8)) == 77).all()


@pytest.mark.parametrize("data", [b"", b"not an image", b"%PDF-1.7" + bytes(50)])
def test_what_is_no_image_is_named(data):
    with pytest.raises(DataCorruptError, match=r"photo.png: expected an image"):
        decode_image(data, "photo.png")


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "BMP"])
def test_a_truncated_image_is_an_error(format):
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    data = image_bytes(noise, format)
    with pytest.raises(DataCorruptError, match="cannot be read"):
        decode_image(data[: len(data) // 2], "i")


@pytest.mark.filterwarnings("ignore:::PIL")
@pytest.mark.filterwarnings("ignore:An image of 16 bits")
@settings(max_examples=300, deadline=None)
@given(st.data(), st.sampled_from(["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "PPM"]))
def test_altered_images_end_in_an_image_or_in_our_error(data, format):
    content = bytearray(
        turned(6, format) if format not in ("BMP", "GIF", "PPM") else image_bytes(COLOUR, format)
    )
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        image = decode_image(bytes(content), "i", size=(8, 8))
    except DataCorruptError:
        return
    assert image.dtype == np.uint8
    assert image.shape in ((8, 8), (8, 8, 3))


def bomb(width, height):
    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100)))


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(("width", "height"), [(9000, 9000), (12_000, 12_000), (60_000, 60_000)])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path, width, height):
    with pytest.raises(DataCorruptError, match=r"b\.png.*pixels"):
        decode_image(bomb(width, height), "b.png")
    path = tmp_path / "b.png"
    path.write_bytes(bomb(width, height))
    with pytest.raises(DataCorruptError, match=r"b\.png.*pixels"):
        image_shape(path)


def test_too_long_a_file_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "MAX_FILE_BYTES", 10)
    path = tmp_path / "long.png"
    path.write_bytes(bytes(11))
    with pytest.raises(DataCorruptError, match=r"long.png: expected .* at most 10 bytes, found 11"):
        read_image_file(path)


def test_images_are_listed_by_name_and_hidden_ones_passed_over(tmp_path):
    for name in ("b.PNG", "a.png", "sub/c.webp", ".hidden.png", ".cache/d.png", "__MACOSX/e.png"):
        write_image(tmp_path / name, GREY)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "folder.png").mkdir()
    listed = [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path)]
    assert listed == ["a.png", "b.PNG", "sub/c.webp"]

"""Image files: their headers, their pixels as arrays of uint8, and the bits that they use."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from .errors import DataCorruptError, DataWarning

if TYPE_CHECKING:
    from PIL import Image

FORMATS = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "BMP": (".bmp", ".dib"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "GIF": (".gif",),
    "AVIF": (".avif",),
    "JPEG2000": (".jp2", ".j2k"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
}
"""Formats that are read, by the names of Pillow, and the extensions of their files."""
EXTENSIONS = tuple(extension for extensions in FORMATS.values() for extension in extensions)
MAX_PIXELS = 64_000_000
MAX_FILE_BYTES = 256 << 20
_ORIENTATION = 0x0112
_GREY_MODES = ("1", "L", "LA", "F")  # and "I…", which is what Pillow calls 16-bit grey
_SAMPLED_FILES = 32


def read_image_file(path: Path) -> bytes:
    """Return the bytes of an image file of at most `MAX_FILE_BYTES`."""
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise DataCorruptError(
            f"{path}: expected an image file of at most {MAX_FILE_BYTES:,} bytes, found {size:,}."
        )
    return path.read_bytes()


def image_shape(path: Path) -> tuple[int, int, bool]:
    """Return height, width (upright, as EXIF says) and whether it is grey, from the header."""
    with open(path, "rb") as file:
        return _header(file, str(path))


def header_of(data: bytes, what: str) -> tuple[int, int, bool]:
    """Return the same as `image_shape` of a file's bytes; `what` is its name, for messages."""
    return _header(io.BytesIO(data), what)


def _header(file: IO[bytes], what: str) -> tuple[int, int, bool]:
    with _opened(file, what) as image:
        width, height = image.size
        if image.format == "TIFF":
            image.load()  # Pillow turns it upright, and not in every version before
            width, height = image.size
        elif _orientation(image) >= 5:  # a quarter turn
            width, height = height, width
        return height, width, _is_grey(image)


def common_bits(files: Sequence[Path]) -> int:
    """Return how many bits the pixels of 16-bit files use: 10, 12, 14 or 16.

    Cameras of 10, 12 and 14 bits save 16, and hardly any file says so. A single image cannot tell
    a dark one of 16 bits from a bright one of 12, so several are asked, and all of a folder are
    then scaled alike: the highest value among up to 32 of the files, spread evenly, decides.

    Parameters
    ----------
    files : sequence of Path
        Files of 8 bits, and files that cannot be read, have no say.

    Returns
    -------
    int
        16 where no file has 16 bits.
    """
    if not files:
        return 16
    rows = np.unique(np.linspace(0, len(files) - 1, _SAMPLED_FILES).astype(int))
    bits = [_used_bits(files[row]) for row in rows]
    return max((n for n in bits if n is not None), default=16)


def _used_bits(path: Path) -> int | None:
    """Return the bits that a file of 16 uses; None for other files."""
    try:
        with open(path, "rb") as file, _opened(file, str(path)) as image:
            if not _is_deep(image):
                return None
        pixels = decode_pixels(read_image_file(path), str(path))
    except (DataCorruptError, OSError):
        return None
    return highest_value(pixels).bit_length() if pixels.dtype == np.uint16 else None


def decoder() -> str:
    """Return name and version of what decodes and scales image files, for the names of what is kept.

    Another version may round otherwise: of magnetic tiles scaled to 224 pixels, 1.2 % of the pixels
    differ between Pillow 12.2 and 13.0, by up to four grey levels.
    """
    import PIL

    return f"pillow-{PIL.__version__}"


def decode_image(
    data: bytes,
    what: str,
    *,
    size: tuple[int, int] | None = None,
    grey: bool | None = None,
    bits: int | None = None,
) -> np.ndarray:
    """Decode an image file of any format in `FORMATS`.

    The EXIF orientation is applied, unless it is damaged; 16-bit grey is scaled by the bits that it
    uses; transparent pixels are laid on white; palettes and CMYK become RGB; of an animation or
    several pages the first counts.

    Parameters
    ----------
    data : bytes
        The file.
    what : str
        Its name, for messages.
    size : (int, int), optional
        Height and width wanted: the image is scaled to fit inside, its aspect kept, and centred
        on its mean colour.
    grey : bool, optional
        True for grey, False for RGB; where it is not given, grey stays grey.
    bits : int, optional
        Of 16-bit grey: ``2**bits - 1`` and more becomes white, with a warning for more. The same
        for all images of one purpose, see `common_bits`. Where it is not given, 16, with a warning
        if that leaves an image nearly black.

    Returns
    -------
    ndarray of uint8, shape (H, W) or (H, W, 3)

    Raises
    ------
    DataCorruptError
        Not an image of these formats, truncated, of more than `MAX_PIXELS`, or with pixels of
        more than 16 bits.
    """
    with _opened(io.BytesIO(data), what) as image:
        image.load()
        grey = _is_grey(image) if grey is None else grey
        upright = _turned(_to_uint8(image, what, bits), _orientation(image))
        upright = upright.convert("L" if grey else "RGB")
    return np.asarray(upright if size is None else _fit(upright, *size))


def decode_pixels(data: bytes, what: str, *, at_least: int | None = None) -> np.ndarray:
    """Decode an image file for people to look at: with the bits that it has.

    As `decode_image`, except that 16-bit grey stays as it is; see `window`.

    Parameters
    ----------
    data, what
        As in `decode_image`.
    at_least : int, optional
        A longer side in pixels that is enough: JPEG is then decoded at a fraction of its size, in
        a fraction of the time.

    Returns
    -------
    ndarray of uint8 or uint16, shape (H, W) or (H, W, 3)

    Raises
    ------
    DataCorruptError
        As in `decode_image`.
    """
    with _opened(io.BytesIO(data), what) as image:
        if at_least is not None:
            image.draft(None, (at_least, at_least))
        image.load()
        orientation = _orientation(image)
        if _is_deep(image):
            pixels = np.asarray(image)
            _check_16_bits(pixels, what)
            return np.asarray(_turned(_as_image(pixels), orientation)).astype(np.uint16)
        upright = _turned(_to_uint8(image, what), orientation)
        return np.asarray(upright.convert("L" if _is_grey(image) else "RGB"))


def highest_value(pixels: np.ndarray) -> int:
    """Return the highest value that pixels of this depth can have.

    255 for uint8; else 1,023, 4,095, 16,383 or 65,535: cameras of 10, 12 and 14 bits save 16.
    """
    if pixels.dtype == np.uint8:
        return 255
    most = int(pixels.max(initial=0))
    return next(top for top in (1_023, 4_095, 16_383, 65_535) if most <= top)


def window(pixels: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return pixels as uint8: `low` and less is black, `high` and more is white.

    Parameters
    ----------
    pixels : ndarray of uint8 or uint16
    low, high : float
        `low` is less than `high`.

    Examples
    --------
    >>> window(np.array([[0, 1_000, 2_000, 4_000]], dtype=np.uint16), 1_000, 3_000)
    array([[  0,   0, 128, 255]], dtype=uint8)
    """
    if not low < high:
        raise ValueError(f"A window needs low < high; got {low!r} and {high!r}.")
    if pixels.dtype == np.uint8 and (low, high) == (0, 255):
        return pixels
    scaled = (np.arange(np.iinfo(pixels.dtype).max + 1, dtype=np.float64) - low) / (high - low)
    return np.rint(255 * scaled.clip(0, 1)).astype(np.uint8)[pixels]


@contextmanager
def _opened(file: IO[bytes], what: str) -> Iterator[Image.Image]:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file, formats=_formats()) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise DataCorruptError(
                    f"{what}: expected at most {MAX_PIXELS:,} pixels, found {width} × {height}."
                )
            yield image
    except DataCorruptError:
        raise
    except UnidentifiedImageError as error:
        raise DataCorruptError(
            f"{what}: expected an image ({', '.join(_formats())}), found a file of another kind."
        ) from error
    except Exception as error:  # what Pillow's readers raise on hostile bytes is open-ended
        raise DataCorruptError(
            f"{what}: expected an image, found one that cannot be read "
            f"({type(error).__name__}: {error})."
        ) from error


@cache
def _formats() -> list[str]:
    """Return those of `FORMATS` that the Pillow installed can read."""
    from PIL import Image

    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _is_grey(image: Image.Image) -> bool:
    return image.mode in _GREY_MODES or image.mode.startswith("I")


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 if it is missing or damaged."""
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # what Pillow's readers raise on hostile bytes is open-ended
        return 1
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1


def _turned(image: Image.Image, orientation: int) -> Image.Image:
    """Return an image upright, as an EXIF orientation says."""
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE, 6: Transpose.ROTATE_270, 7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }  # fmt: skip
    turn = turns.get(orientation)
    return image if turn is None else image.transpose(turn)


def _is_deep(image: Image.Image) -> bool:
    """Whether an image has more than 8 bits a channel."""
    return image.mode == "F" or image.mode.startswith("I")


def _as_image(pixels: np.ndarray) -> Image.Image:
    from PIL import Image

    return Image.fromarray(pixels.astype(np.int32))


def _to_uint8(image: Image.Image, what: str, bits: int | None = None) -> Image.Image:
    """Return an image of 8 bits a channel, without transparency."""
    from PIL import Image

    if _is_deep(image):
        return Image.fromarray(_from_16_bits(np.asarray(image), what, bits))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image


def _check_16_bits(pixels: np.ndarray, what: str) -> None:
    low, high = pixels.min(initial=0), pixels.max(initial=0)
    if pixels.dtype.kind == "f" or low < 0 or high > 65_535:
        raise DataCorruptError(
            f"{what}: expected pixels of 8 or 16 bits, found {pixels.dtype} from {low:g} to "
            f"{high:g}. Save it with 8 or 16 bits a pixel, all images on one scale."
        )


def _from_16_bits(pixels: np.ndarray, what: str, bits: int | None) -> np.ndarray:
    _check_16_bits(pixels, what)
    high = int(pixels.max(initial=0))
    if bits is None and 0 < high < 4096:
        warnings.warn(
            "An image of 16 bits a pixel uses at most 12 of them, and becomes nearly black: 65,535 "
            "is white. If your camera has 12 bits, pass bits=12.",
            DataWarning,
            stacklevel=2,
        )
    white = 2 ** (16 if bits is None else bits) - 1
    if high > white:
        warnings.warn(
            f"{what}: a value of {high:,}, where {white:,} is white, as in the other images of its "
            f"folder, which use {bits} of their 16 bits. What is brighter is shown white.",
            DataWarning,
            stacklevel=2,
        )
    return np.rint(pixels.clip(0, white) * (255 / white)).astype(np.uint8)


def _fit(image: Image.Image, height: int, width: int) -> Image.Image:
    from PIL import Image

    if image.size == (width, height):
        return image
    scale = min(width / image.width, height / image.height)
    inner = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    image = image.resize(inner, Image.Resampling.BICUBIC)
    mean = np.rint(np.asarray(image).mean(axis=(0, 1))).astype(int)
    canvas = Image.new(image.mode, (width, height), tuple(np.atleast_1d(mean).tolist()))
    canvas.paste(image, ((width - inner[0]) // 2, (height - inner[1]) // 2))
    return canvas

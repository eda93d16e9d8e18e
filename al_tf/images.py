"""One image file to one uint8 array, whatever the file holds."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from .errors import DataCorruptError

if TYPE_CHECKING:
    from PIL import Image

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
MAX_PIXELS = 64_000_000
MAX_FILE_BYTES = 256 << 20
_FORMATS = ("PNG", "JPEG", "BMP", "WEBP")
_ORIENTATION = 0x0112
_GREY_MODES = ("1", "L", "LA")  # and "I…", which is what Pillow calls 16-bit grey


def list_images(folder: Path) -> list[Path]:
    """Return the image files beneath a folder, sorted by name; hidden ones are passed over."""
    found = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "__MACOSX"))]
        for name in files:
            path = Path(parent, name)
            if path.suffix.lower() in EXTENSIONS and not name.startswith(".") and path.is_file():
                found.append(path)
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


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
    with open(path, "rb") as file, _opened(file, str(path)) as image:
        width, height = image.size
        if image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8):  # a quarter turn
            width, height = height, width
        return height, width, _is_grey(image)


def decode_image(
    data: bytes, what: str, *, size: tuple[int, int] | None = None, grey: bool | None = None
) -> np.ndarray:
    """Decode PNG, JPEG, BMP or WebP bytes.

    The EXIF orientation is applied; 16-bit grey is divided by 257, the same for every image;
    transparent pixels are laid on white; palettes and CMYK become RGB; of an animation the first
    frame counts.

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

    Returns
    -------
    ndarray of uint8, shape (H, W) or (H, W, 3)

    Raises
    ------
    DataCorruptError
        Not an image of these formats, truncated, or of more than `MAX_PIXELS`.
    """
    with _opened(io.BytesIO(data), what) as image:
        from PIL import ImageOps

        image.load()
        grey = _is_grey(image) if grey is None else grey
        upright = _to_uint8(ImageOps.exif_transpose(image), grey)
        return np.asarray(upright if size is None else _fit(upright, *size))


@contextmanager
def _opened(file: IO[bytes], what: str) -> Iterator[Image.Image]:
    from PIL import Image

    try:
        with Image.open(file, formats=_FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise DataCorruptError(
                    f"{what}: expected at most {MAX_PIXELS:,} pixels, found {width} × {height}."
                )
            yield image
    except DataCorruptError:
        raise
    except Exception as error:  # what Pillow's readers raise on hostile bytes is open-ended
        raise DataCorruptError(
            f"{what}: expected a PNG, JPEG, BMP or WebP image, found one that cannot be read "
            f"({type(error).__name__}: {error})."
        ) from error


def _is_grey(image: Image.Image) -> bool:
    return image.mode in _GREY_MODES or image.mode.startswith("I")


def _to_uint8(image: Image.Image, grey: bool) -> Image.Image:
    from PIL import Image

    if image.mode.startswith("I"):
        image = Image.fromarray(np.rint(np.asarray(image) / 257).astype(np.uint8))
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("L" if grey else "RGB")


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

"""Folders of image files, good and bad, for the tests of pools and exports."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def write_image(path, value=0, side=12, seed=None):
    """Write a grey PNG: one grey value, or noise of a seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((side, side), value, dtype=np.uint8)
    if seed is not None:
        pixels = np.random.default_rng(seed).integers(0, 256, (side, side), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def make_folder(folder, n=6, seed=0):
    for i in range(n):
        write_image(folder / f"{i}.png", seed=seed + i)
    return folder


def huge_png():
    """Return a PNG whose header promises 20,000 x 20,000 pixels: 400 MB decoded, a few KB here."""
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(20_001) * 1_000, 9)

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    parts = [chunk(b"IHDR", header), chunk(b"IDAT", rows), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def truncated_jpeg():
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, "JPEG")
    return buffer.getvalue()[:900]

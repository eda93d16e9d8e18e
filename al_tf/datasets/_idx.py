"""The IDX format of MNIST and its relatives, from bytes."""

from __future__ import annotations

import math

import numpy as np

from ..errors import DataCorruptError

_UNSIGNED_BYTE = 0x08


def parse_idx(data: bytes, ndim: int, what: str) -> np.ndarray:
    """Read an IDX file of unsigned bytes.

    The header is two zero bytes, a type code (8: unsigned byte), the number of dimensions, and
    each dimension as a big-endian 32-bit integer; the values follow in C order.

    Parameters
    ----------
    data : bytes
        The whole file, decompressed.
    ndim : int
        Number of dimensions expected: 1 for labels, 3 for images.
    what : str
        The file's name, for messages.

    Returns
    -------
    ndarray of uint8
        A read-only view of `data`.

    Raises
    ------
    DataCorruptError
        Another format, or a length that differs from what the header declares.
    """
    expected = bytes([0, 0, _UNSIGNED_BYTE, ndim])
    if data[:4] != expected:
        raise DataCorruptError(
            f"{what}: expected an IDX file of unsigned bytes in {ndim} dimensions "
            f"(first bytes {expected.hex(' ')}), found {data[:4].hex(' ') or 'an empty file'}."
        )
    header = 4 + 4 * ndim
    if len(data) < header:
        raise DataCorruptError(
            f"{what}: truncated; expected an IDX header of {header} bytes, found {len(data)}."
        )
    shape = tuple(int.from_bytes(data[i : i + 4], "big") for i in range(4, header, 4))
    declared = header + math.prod(shape)
    if len(data) != declared:
        raise DataCorruptError(
            f"{what}: its header declares shape {shape}, which takes {declared} bytes; "
            f"found {len(data)}."
        )
    return np.frombuffer(data, dtype=np.uint8, offset=header).reshape(shape)

"""Weights read from a file of PyTorch's old format, without PyTorch.

The format is a pickle, and a pickle may run code. So two things stand before it: the file must have
the SHA-256 that is expected of it, and the unpickler builds what is in `_ALLOWED` and nothing else.

A file is three small pickles (a magic number, the version of the format, facts about the machine
that wrote it), a pickle of the tensors, a pickle of the keys of their storages, and then each
storage: its length as int64, and its values. A tensor says in which storage its values lie, where
they start, and how many values to step along each axis.
"""

from __future__ import annotations

import hashlib
import io
import pickle
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import DataCorruptError, DataNotFoundError

_MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001


class _StoragePlace(NamedTuple):
    key: str
    dtype: np.dtype[Any]
    length: int


class _Tensor(NamedTuple):
    storage: _StoragePlace
    start: int
    shape: tuple[int, ...]
    steps: tuple[int, ...]


def _tensor(
    storage: _StoragePlace, start: int, shape: Sequence[int], steps: Sequence[int], *_: object
) -> _Tensor:
    return _Tensor(storage, start, tuple(shape), tuple(steps))


_ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch", "FloatStorage"): np.dtype("<f4"),
    ("torch", "LongStorage"): np.dtype("<i8"),
}


class _TensorUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}") from None

    def persistent_load(self, pid: Any) -> _StoragePlace:
        kind, dtype, key, _device, length, view = pid
        if kind != "storage" or view is not None or not isinstance(dtype, np.dtype):
            raise pickle.UnpicklingError("it holds something other than plain tensors")
        return _StoragePlace(key, dtype, length)


def read_torch_file(path: Path, sha256: str) -> dict[str, np.ndarray]:
    """Read the tensors of a file.

    Parameters
    ----------
    path : Path
        A file of PyTorch's format before 1.6 that holds a dictionary of float32 and int64 tensors.
    sha256 : str
        What the SHA-256 of the file must be, in hexadecimal digits.

    Returns
    -------
    dict of str to ndarray
        Contiguous arrays under the names of the file.

    Raises
    ------
    DataNotFoundError
        No such file.
    DataCorruptError
        The file has another SHA-256, or is not of this format.
    """
    if not path.is_file():
        raise DataNotFoundError(f"{path}: no such file.")
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise DataCorruptError(
            f"{path}: expected weights with SHA-256 {sha256}, got a file with {digest}. It is "
            "damaged or was altered: install it again."
        )
    try:
        return _tensors(io.BytesIO(content))
    except Exception as error:  # what unpickling raises on other bytes is open-ended
        raise DataCorruptError(
            f"{path}: expected a file of tensors as PyTorch wrote them before version 1.6, got one "
            f"that cannot be read ({type(error).__name__}: {error})."
        ) from error


def _tensors(file: io.BytesIO) -> dict[str, np.ndarray]:
    magic, version, machine, tensors, keys = (_TensorUnpickler(file).load() for _ in range(5))
    if magic != _MAGIC or version != _VERSION or not machine["little_endian"]:
        raise ValueError("it does not start as such a file does")
    dtypes = {tensor.storage.key: tensor.storage.dtype for tensor in tensors.values()}
    storages = {key: _storage(file, dtypes[key]) for key in keys}
    return {name: _array(storages[t.storage.key], t) for name, t in tensors.items()}


def _storage(file: io.BytesIO, dtype: np.dtype[Any]) -> np.ndarray:
    length = int.from_bytes(file.read(8), "little", signed=True)
    content = file.read(length * dtype.itemsize)
    return np.frombuffer(content, dtype, count=length)


def _array(storage: np.ndarray, tensor: _Tensor) -> np.ndarray:
    """Return the values of a tensor, which may lie in its storage in any order."""
    steps = tensor.steps
    last = tensor.start + sum((n - 1) * s for n, s in zip(tensor.shape, steps, strict=True))
    if tensor.start < 0 or min((*tensor.shape, 1)) < 1 or min((*steps, 0)) < 0:
        raise ValueError("a tensor has a shape that no tensor of weights has")
    if last >= len(storage):
        raise ValueError("a tensor reaches beyond its storage")
    strides = [step * storage.itemsize for step in steps]
    view = np.lib.stride_tricks.as_strided(storage[tensor.start :], tensor.shape, strides)
    return np.ascontiguousarray(view)

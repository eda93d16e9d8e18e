"""JSON and TOML from files that others wrote and that may hold anything."""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from pathlib import Path
from typing import Any, NoReturn

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MAX_BYTES = 512 * 2**20
"""Of a text file, decompressed; a larger one is refused."""


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file; one whose name ends in ``.gz`` is decompressed.

    Raises
    ------
    ValueError
        More than `MAX_BYTES`, not UTF-8, or not a whole gzip file.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as file:
            content = file.read(MAX_BYTES + 1)  # whatever the file says about its own size
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"not a whole gzip file: {error}") from None
    if len(content) > MAX_BYTES:
        raise ValueError(f"more than {MAX_BYTES:,} bytes, the most that is read")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8: {error}") from None


def parse_json(text: str | bytes, *, nan: bool = False) -> Any:
    """Return the value of a JSON text.

    Parameters
    ----------
    text : str or bytes
    nan : bool
        Accept NaN and Infinity, which Python writes and JSON does not have.

    Raises
    ------
    ValueError
        Not JSON, or nested too deeply.
    """
    try:
        return json.loads(text, parse_constant=float if nan else _refuse)
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8: {error}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


def parse_toml(text: str) -> dict[str, Any]:
    """Return the table of a TOML text.

    Raises
    ------
    ValueError
        Not TOML, or nested too deeply.
    """
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")

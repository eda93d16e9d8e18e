"""Download one file from the first mirror that serves the right bytes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ..errors import DataCorruptError, DataNotFoundError
from ..files import write_atomically
from ..progress import progress_bar

CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 30.0  # the longest wait for the next bytes
SLOWEST = 20_000  # bytes a second, on average, below which a mirror is given up
_GRACE_SECONDS = 60.0
_CHUNK = 1 << 13


class _MirrorError(Exception):
    """A mirror does not serve the file; says why."""


def download(
    urls: Sequence[str], target: Path, verify: Callable[[Path], object], max_bytes: int
) -> list[str]:
    """Put the first verified copy of a file under its final name.

    An interrupted download, or one that `verify` refuses, leaves nothing under the final name.

    Parameters
    ----------
    urls : sequence of str
        Mirrors, tried in this order.
    target : Path
        The final name; its folder is made.
    verify : callable
        Gets the downloaded file; raises `DataCorruptError` if it is not the right one.
    max_bytes : int
        The most a mirror may send.

    Returns
    -------
    list of str
        A line on each mirror that failed. `target` exists unless every mirror is in it.

    Raises
    ------
    DataNotFoundError
        The bytes cannot be kept: the disk is full, or the folder cannot be written.
    """
    failed: list[str] = []
    for url in urls:
        try:
            write_atomically(target, partial(_fetch_verified, url, verify, max_bytes))
            break
        except _MirrorError as error:
            failed.append(f"{url}: {error}")
        except OSError as error:  # a full disk, a folder that cannot be written: no mirror's fault
            raise DataNotFoundError(
                f"{target} could not be written ({error}). Make room, or set $AL_TF_CACHE_DIR to a "
                "folder that can be written."
            ) from error
    return failed


def _fetch_verified(url: str, verify: Callable[[Path], object], max_bytes: int, part: Path) -> None:
    import requests

    try:
        _fetch(url, part, max_bytes)
        verify(part)
    except DataCorruptError as error:
        raise _MirrorError(str(error).replace(str(part), "served the wrong bytes")) from error
    except requests.RequestException as error:
        # without the layers that the HTTP library wraps around it
        inner = getattr(error.args[0] if error.args else None, "reason", None)
        raise _MirrorError(str(inner or error)) from error


def _fetch(url: str, part: Path, max_bytes: int) -> None:
    """Write what a mirror sends into a file, within bounds of size and time."""
    import requests

    patience = _GRACE_SECONDS + max_bytes / SLOWEST
    started, received = time.monotonic(), 0
    with (
        requests.get(
            url,
            headers={"Accept-Encoding": "identity"},
            stream=True,
            timeout=(CONNECT_SECONDS, SILENCE_SECONDS),
        ) as response,
        open(part, "wb") as file,
    ):
        response.raise_for_status()
        length = response.headers.get("Content-Length", "")
        declared = int(length) if length.isdecimal() else None  # shown, and not believed
        with progress_bar(desc=part.name, total=declared, unit="B", unit_scale=True) as bar:
            for chunk in response.iter_content(_CHUNK):
                received += len(chunk)
                if received > max_bytes:
                    raise _MirrorError(f"sent more than the {max_bytes:,} bytes allowed")
                if time.monotonic() - started > patience:
                    raise _MirrorError(f"not finished after {patience:.0f} s")
                file.write(chunk)
                bar.update(len(chunk))

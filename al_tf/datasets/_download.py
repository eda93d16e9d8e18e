"""Download one file from the first mirror that serves the right bytes."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DataCorruptError, DataNotFoundError

if TYPE_CHECKING:
    from tqdm import tqdm

CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 30.0  # the longest wait for the next bytes
SLOWEST = 20_000  # bytes a second, on average, below which a mirror is given up
_GRACE_SECONDS = 60.0
_CHUNK = 1 << 13


class _MirrorLimitError(Exception):
    """A mirror sends more than the file can hold, or too slowly."""


def download(
    urls: Sequence[str], target: Path, verify: Callable[[Path], object], max_bytes: int
) -> list[str]:
    """Put the first verified copy of a file under its final name.

    The bytes arrive in a folder of their own beside `target` and are moved only after `verify`
    accepts them: an interrupted download leaves nothing under the final name.

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
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for url in urls:
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=".download-") as folder:
                part = Path(folder, target.name)
                reason = _try_mirror(url, part, verify, max_bytes)
                if reason is None:
                    os.replace(part, target)
                    break
                failed.append(f"{url}: {reason}")
    except OSError as error:  # a full disk, a folder that cannot be written: no mirror's fault
        raise DataNotFoundError(
            f"{target} could not be written ({error}). Make room, or set $AL_TF_CACHE_DIR to a "
            "folder that can be written."
        ) from error
    return failed


def _try_mirror(
    url: str, part: Path, verify: Callable[[Path], object], max_bytes: int
) -> str | None:
    """Return why a mirror cannot serve the file, or None once it has."""
    import requests

    try:
        _fetch(url, part, max_bytes)
        verify(part)
    except (requests.RequestException, _MirrorLimitError, DataCorruptError) as error:
        return _reason(error, part)
    return None


def _reason(error: Exception, part: Path) -> str:
    """Return what went wrong without the layers that the HTTP library wraps around it."""
    inner = getattr(error.args[0] if error.args else None, "reason", None)
    return str(inner or error).replace(str(part), "served the wrong bytes")


class _Guard:
    """What pooch takes for a progress bar: it shows one, and stops a mirror beyond the bounds."""

    def __init__(self, bar: tqdm, part: Path, max_bytes: int) -> None:
        self._bar, self._part, self._max_bytes = bar, part, max_bytes
        self._patience = _GRACE_SECONDS + max_bytes / SLOWEST
        self._started = time.monotonic()

    @property
    def total(self) -> float:
        """The length that the mirror declares (0: none), which is shown and not believed."""
        return self._bar.total or 0

    @total.setter
    def total(self, declared: int) -> None:
        self._bar.total = declared or None

    def update(self, n: int) -> None:
        """Take note of another chunk, which lies in the file already."""
        if self._part.stat().st_size > self._max_bytes:
            raise _MirrorLimitError(f"sent more than the {self._max_bytes:,} bytes allowed")
        if time.monotonic() - self._started > self._patience:
            raise _MirrorLimitError(f"not finished after {self._patience:.0f} s")
        self._bar.update(n)

    def reset(self) -> None:
        """Start again from nothing."""
        self._bar.reset()

    def close(self) -> None:
        """Finish the bar."""
        self._bar.close()


def _fetch(url: str, part: Path, max_bytes: int) -> None:
    from pooch import HTTPDownloader
    from tqdm import tqdm

    with tqdm(desc=part.name, unit="B", unit_scale=True, disable=None) as bar:
        fetch = HTTPDownloader(
            progressbar=_Guard(bar, part, max_bytes),
            chunk_size=_CHUNK,
            timeout=(CONNECT_SECONDS, SILENCE_SECONDS),
            headers={"Accept-Encoding": "identity"},
        )
        fetch(url=url, output_file=str(part), pooch=None)

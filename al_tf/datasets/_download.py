"""Download one file from the first mirror that serves the right bytes."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import DataCorruptError

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
    """
    import requests

    failed = []
    target.parent.mkdir(parents=True, exist_ok=True)
    for url in urls:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".download-") as folder:
            part = Path(folder, target.name)
            try:
                _fetch(url, part, max_bytes)
                verify(part)
            except (requests.RequestException, _MirrorLimitError, DataCorruptError) as error:
                reason = str(error).replace(str(part), "served the wrong bytes")
                failed.append(f"{url}: {reason}")
                continue
            os.replace(part, target)
            return failed
    return failed


def _fetch(url: str, part: Path, max_bytes: int) -> None:
    from pooch import HTTPDownloader
    from tqdm import tqdm

    patience = _GRACE_SECONDS + max_bytes / SLOWEST
    started = time.monotonic()

    class Guard(tqdm):
        """A progress bar that also enforces the bounds; pooch calls it after every chunk."""

        def update(self, n: float | None = 1) -> bool | None:
            if part.stat().st_size > max_bytes:
                raise _MirrorLimitError(f"sent more than the {max_bytes:,} bytes allowed")
            if time.monotonic() - started > patience:
                raise _MirrorLimitError(f"not finished after {patience:.0f} s")
            return super().update(n)

    with Guard(desc=part.name, unit="B", unit_scale=True, disable=None) as bar:
        fetch = HTTPDownloader(
            progressbar=bar,
            chunk_size=_CHUNK,
            timeout=(CONNECT_SECONDS, SILENCE_SECONDS),
            headers={"Accept-Encoding": "identity"},
        )
        fetch(url=url, output_file=str(part), pooch=None)

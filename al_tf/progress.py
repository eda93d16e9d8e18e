"""Progress bars: drawn again and again where somebody watches, a line now and then in a log."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Sized
from time import monotonic
from typing import Any

SECONDS_BETWEEN_LINES = 30.0
"""Least time between two lines of a bar in a log, and before its first."""


def progress_bar(
    iterable: Iterable[Any] | None = None, *, shown: bool = True, **options: Any
) -> Any:
    """Return a progress bar, for a ``with`` block in which ``update(n)`` counts, or to iterate over.

    In a terminal or a notebook it is tqdm's. Elsewhere (CI, ``nohup``, Docker) each drawing would
    be another line of a log, so there it is `LogLines`.

    Parameters
    ----------
    iterable : iterable, optional
        Iterating over the bar yields its items, and counts them.
    shown : bool
        False for a bar that shows nothing.
    **options
        As `tqdm.tqdm` takes them: ``total``, ``desc``, ``unit``, ``unit_scale``, ``initial``; and
        ``delay`` and ``leave``, which matter only where the bar is drawn.
    """
    if not shown or sys.stderr is None:
        return LogLines(iterable, every=math.inf, **options)
    if not _is_watched():
        return LogLines(iterable, every=SECONDS_BETWEEN_LINES, **options)
    from tqdm.auto import tqdm

    return tqdm(iterable, **options)


def _is_watched() -> bool:
    """Whether standard error is a terminal, or this process the kernel of a notebook."""
    return sys.stderr.isatty() or "ipykernel.kernelapp" in sys.modules


class LogLines:
    """A progress bar as lines on standard error, few enough for a log.

    Parameters
    ----------
    iterable, desc, total, unit, unit_scale, initial
        As in tqdm.
    every : float
        At most one line in so many seconds. What ends before the first line prints none; a last
        line says how far it has come.
    delay, leave
        Without effect: they are about drawn bars.
    """

    def __init__(
        self,
        iterable: Iterable[Any] | None = None,
        *,
        every: float,
        desc: str = "",
        total: int | None = None,
        unit: str = "it",
        unit_scale: bool = False,
        initial: int = 0,
        delay: float = 0,
        leave: bool = True,
    ) -> None:
        self._iterable = iterable
        if total is None and isinstance(iterable, Sized):
            total = len(iterable)
        self._format = {
            "total": total, "prefix": desc, "unit": unit, "unit_scale": unit_scale,
            "initial": initial, "ascii": True,
        }  # fmt: skip
        self._every = every
        self._count = initial
        self._printed_count: int | None = None
        self._start = self._printed_at = monotonic()

    def __enter__(self) -> LogLines:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Any]:
        with self:
            for item in () if self._iterable is None else self._iterable:
                yield item
                self.update()

    def update(self, n: int = 1) -> None:
        """Count `n` more."""
        self._count += n
        if monotonic() - self._printed_at >= self._every:
            self._print()

    def close(self) -> None:
        """Print the last line, unless there is none before it, or one with the same count."""
        if self._printed_count not in (None, self._count):
            self._print()

    def _print(self) -> None:
        from tqdm import tqdm

        self._printed_at, self._printed_count = monotonic(), self._count
        line = tqdm.format_meter(
            self._count, elapsed=self._printed_at - self._start, **self._format
        )
        print(line, file=sys.stderr, flush=True)

"""`BackgroundTask`: one piece of work at a time in a thread, and waiting for its end."""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

LESS_URGENT = 5
"""Steps of niceness: of a processor that two threads want, the less urgent one gets a quarter."""
TURN_SECONDS = 0.0005
"""How long a thread that computes in Python keeps the others waiting; usually ten times that."""
COLLECTED_AFTER = 1_000
"""Collections of young garbage after which all objects are looked at, at the earliest; usually ten."""


def give_way() -> None:
    """Let other threads come before this one and all that it starts from now on.

    TensorFlow's threads are started by the one that uses it first. Linux alone knows the niceness of
    a thread; elsewhere nothing changes.
    """
    if sys.platform != "linux":
        return
    usual = os.getpriority(os.PRIO_PROCESS, os.getpid())  # that of the main thread
    with suppress(OSError):  # a sandbox may refuse: then it is as elsewhere
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), min(19, usual + LESS_URGENT))


@contextmanager
def short_waits() -> Iterator[None]:
    """Let no thread of this process hold the others up for long inside the block.

    One that answers a request waits for its turn whenever it has waited for the disk or the network,
    which is dozens of times; meanwhile another one imports a library or prepares a training. And all
    wait while Python looks for garbage among all objects, of which an import of TensorFlow makes a
    million: that is done more rarely.
    """
    usual, (young, middle, old) = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(min(usual, TURN_SECONDS))
    gc.set_threshold(young, middle, max(old, COLLECTED_AFTER))
    try:
        yield
    finally:
        sys.setswitchinterval(usual)
        gc.set_threshold(young, middle, old)


class BackgroundTask:
    """One piece of work at a time in a thread of its own; the error of the last one is kept.

    Parameters
    ----------
    ended : callable
        Called in that thread after each piece of work, when `running` and `error` are up to date.
        It must not raise. It may start further work.
    """

    def __init__(self, ended: Callable[[], None]) -> None:
        self._ended = ended
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None  # as long as it works or calls `ended`
        self._next: Callable[[], None] | None = None
        self._closed = False
        self.running = False
        """Whether work is under way or waiting."""
        self.error: BaseException | None = None
        """What the last piece of work raised, or None."""

    def start(self, work: Callable[[], None]) -> bool:
        """Begin some work; while other work is under way, it follows that.

        Of several pieces that wait, the last one is done and the others are dropped.

        Returns
        -------
        bool
            Whether it will be done: False after `close`.
        """
        with self._changed:
            if self._closed:
                return False
            self._next, self.running = work, True
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()
            return True

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until no work is under way or waiting; return whether that is so.

        Work that is started meanwhile, by whichever thread, is waited for as well. A call from
        `ended` returns at once.

        Parameters
        ----------
        timeout : float, optional
            Seconds.
        """
        with self._changed:
            if threading.current_thread() is self._thread:
                return not self.running
            return self._changed.wait_for(lambda: self._thread is None, timeout)

    def close(self) -> None:
        """Refuse further work; what was started before is still done."""
        with self._changed:
            self._closed = True

    def _run(self) -> None:
        while (work := self._take()) is not None:
            try:
                work()
                error = None
            except BaseException as raised:
                error = raised
            with self._changed:
                self.error, self.running = error, self._next is not None
            self._ended()

    def _take(self) -> Callable[[], None] | None:
        """Return the work that waits; without any, the thread is over."""
        with self._changed:
            work, self._next = self._next, None
            if work is None:
                self._thread, self.running = None, False
                self._changed.notify_all()
            return work

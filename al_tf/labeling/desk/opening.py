"""`Opening`: how far a desk is on its way to the first image, for the pages that wait for it."""

from __future__ import annotations

import threading
import time

HELD_SECONDS = 20.0
"""A request that comes before the desk is open waits so long for its answer, at most."""
LAST_WORDS = 0.5
"""So long a desk that cannot be opened stays, for the pages that are there to hear why."""
BROWSER_SECONDS = 5.0
"""So long it stays for a browser that is being started."""


class Opening:
    """What a desk that is not open yet tells its pages; any number of threads may ask."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._step = "Starting …"
        self._error: str | None = None
        self._is_over = self._somebody_came = self._browser_comes = self._was_told = False

    def tell(self, step: str) -> None:
        """Say what is being done, in a line for people."""
        with self._changed:
            self._step = step

    def succeed(self) -> None:
        """Let the requests go on: the desk is open."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def fail(self, error: str) -> None:
        """Tell the pages why the desk cannot be opened, and give them the time to hear it.

        Nobody is waited for if no page is there, nor a browser on its way.
        """
        with self._changed:
            self._error, self._is_over = error, True
            self._changed.notify_all()
            if not self._somebody_came:
                self._changed.wait_for(
                    lambda: self._was_told or not self._browser_comes, BROWSER_SECONDS
                )
                if not self._was_told:
                    return
        time.sleep(LAST_WORDS)  # the answer is on its way, and there may be several pages

    def expect_browser(self, comes: bool) -> None:
        """Note that a browser is being started, or that there is none."""
        with self._changed:
            self._browser_comes = comes
            self._changed.notify_all()

    def news(self) -> dict[str, str | None]:
        """Return ``opening``, what is being done, None once the desk is open; or ``failed``, why it is not."""
        with self._changed:
            self._somebody_came = True
            if self._error is not None:
                self._was_told = True
                self._changed.notify_all()
                return {"failed": self._error}
            return {"opening": None if self._is_over else self._step}

    def wait(self) -> None:
        """Wait until the desk is open or cannot be opened, but not longer than `HELD_SECONDS`."""
        with self._changed:
            self._somebody_came = True
            self._changed.wait_for(lambda: self._is_over, HELD_SECONDS)

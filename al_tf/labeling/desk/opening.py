"""`Opening`: how far a desk is on its way to the first image, for the pages that wait for it."""

from __future__ import annotations

import threading
import time

HELD_SECONDS = 0.2
"""A page that asks before the desk is open waits so long for its answer, and asks again."""
LAST_WORDS = 3 * HELD_SECONDS
"""So long the pages that are there can still ask why the desk could not be opened."""
BROWSER_SECONDS = 5.0
"""So long a browser that is being started can."""


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
        """Let the pages go on: the desk is open."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def fail(self, error: str) -> None:
        """Tell the pages why the desk cannot be opened, and wait until they have heard it.

        Nobody is waited for if no page is there, nor a browser on its way.
        """
        with self._changed:
            self._error, self._is_over = error, True
            self._changed.notify_all()
            if not self._somebody_came:
                self._changed.wait_for(
                    lambda: self._was_told or not self._browser_comes, BROWSER_SECONDS
                )
                return
        time.sleep(LAST_WORDS)  # there may be several pages

    def expect_browser(self, comes: bool) -> None:
        """Note that a browser is being started, or that there is none."""
        with self._changed:
            self._browser_comes = comes
            self._changed.notify_all()

    def news(self) -> dict[str, str] | None:
        """Wait for a moment, and return what to tell a page; None once the desk is open.

        Returns
        -------
        dict or None
            ``opening``, what is being done; or ``failed``, why the desk cannot be opened.
        """
        with self._changed:
            self._somebody_came = True
            self._changed.wait_for(lambda: self._is_over, HELD_SECONDS)
            if not self._is_over:
                return {"opening": self._step}
            if self._error is None:
                return None
            self._was_told = True
            self._changed.notify_all()
            return {"failed": self._error}

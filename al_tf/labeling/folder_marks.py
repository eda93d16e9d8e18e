"""`FolderMarks`: which folders have changed since they were listed, without listing them again."""

from __future__ import annotations

import os
import time
from pathlib import Path

from . import file_index


class FolderMarks:
    """The time of change of each folder, which moves when a file or folder in it comes or goes.

    It does not move when a file is written to in place.
    """

    def __init__(self) -> None:
        self._marks: dict[str, int | None] = {}

    def __contains__(self, prefix: object) -> bool:
        return prefix in self._marks

    def note(self, prefix: str, path: str) -> None:
        """Note the time of change of a folder that is about to be listed.

        A folder that changed a moment ago counts as changed until it is listed again: it might
        change once more and show the same time.
        """
        mark = _mark(path)
        if mark is None:
            return  # it has vanished
        is_settled = mark < time.time_ns() - file_index.SETTLED_NS
        self._marks[prefix] = mark if is_settled else None

    def changed(self, folder: Path) -> list[tuple[str, str]]:
        """Return the folders beneath `folder` that have changed or vanished: prefix and path."""
        changed = []
        for prefix, before in [*self._marks.items()]:
            path = os.path.join(folder, prefix)
            mark = _mark(path)
            if mark is None:
                del self._marks[prefix]
            if mark is None or mark != before:
                changed.append((prefix, path))
        return changed


def _mark(path: str) -> int | None:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return None

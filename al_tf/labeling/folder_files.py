"""`FolderFiles`: the image files beneath a folder, what each holds, and which are still to be read.

Files are read in random order, the same in every session: so the images known at any time are a
simple random sample of the folder, and so is what is chosen or drawn from them.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from itertools import chain, islice
from pathlib import Path
from typing import Any

from ..folders import list_one, walk_images
from ..progress import progress_bar
from .background import give_way
from .file_index import FileIndex, Seen, file_mark, look_at
from .folder_contents import FolderContents, shuffled
from .folder_marks import FolderMarks

READERS = 2
"""Threads. More would be quicker on a network disk, and hold up the desk's answers."""
PART = 32
"""Files that a thread reads at once."""
LISTED_AT_ONCE, LISTING_PAUSE = 100, 0.0005
"""Files, and seconds that others have before more are looked at."""
TOLD_AFTER = 1_000
"""Files after which whoever waits is told how many there are."""
Files = Sequence[tuple[str, os.DirEntry[str]]]
KEEP_SECONDS = 1.0
"""How long what was seen waits to be kept on disk, at most."""


class FolderFiles(FolderContents):
    """The image files beneath a folder; any number of threads may ask.

    Parameters
    ----------
    folder : Path
    index : FileIndex, optional
        What is known from earlier sessions.

    Attributes
    ----------
    left_out : collections.Counter
        Number of files that are not images, by reason, at the last `scan`.
    scan_seconds : float
        How long the last `scan` took.
    n_by_name : int
        Number of files that the last `scan` took for the same by their names alone.
    problems, arrivals
        As in `FolderContents`.
    """

    def __init__(self, folder: Path, index: FileIndex | None = None) -> None:
        super().__init__(folder)
        self._index = index
        self.left_out: Counter[str] = Counter()
        self.scan_seconds, self.n_by_name = 0.0, 0
        self._scanning = threading.Lock()
        self._unread: set[str] = set()
        self._queue: deque[str] = deque()  # the unread in the order of reading, and some read since
        self._marks = FolderMarks()
        self._thread: threading.Thread | None = None
        self._closed = False

    # What is there ------------------------------------------------------------------------

    @property
    def n_files(self) -> int:
        """Number of image files, read or not."""
        return len(self._seen) + len(self._unread)

    @property
    def n_unread(self) -> int:
        """Number of files that are still to be read."""
        return len(self._unread)

    @property
    def is_reading(self) -> bool:
        """Whether a thread reads what is still to be read."""
        return self._thread is not None

    def refuse(self, path: Path, why: str) -> None:
        """Note that a file cannot be used: it changed, or is damaged."""
        name = path.relative_to(self.folder).as_posix()
        with self._lock:
            seen = self._seen.get(name)
            if seen is None:
                return
            self._remove(name)
            self._enter(name, seen._replace(image=None, problem=why))
        if self._index is not None:
            self._index.forget([name])

    # Scanning ------------------------------------------------------------------------------

    def scan(
        self,
        *,
        by_name: bool = False,
        gently: bool = False,
        listed: Callable[[int], object] | None = None,
    ) -> None:
        """List the folder: new and changed files are to be read, those that vanished are dropped.

        No file is opened.

        Parameters
        ----------
        by_name : bool
            Take a file for the same if its name is known: a later scan notices if it was written to.
        gently : bool
            Pause now and then, so that other threads go on at their pace.
        listed : callable, optional
            Called now and then with the number of image files so far.
        """
        with self._scanning:
            begin = time.perf_counter()
            left_out: Counter[str] = Counter()
            marks = FolderMarks()
            earlier = {} if self.n_files or self._index is None else self._index.known()
            folders: Iterable[Files] = walk_images(self.folder, left_out, marks.note)
            if gently:
                folders = _in_steps(folders, LISTED_AT_ONCE, lambda n: time.sleep(LISTING_PAUSE))
            elif listed is not None:
                folders = _in_steps(folders, TOLD_AFTER, listed)
            fresh, same = self._compare(folders, earlier or self._seen, by_name)
            with self._lock:
                if earlier:
                    self._recall(earlier, same)
                elif len(same) + sum(name in self._seen for name in fresh) < self.n_files:
                    there = {*fresh, *same}
                    self._drop([name for name in self._names_known() if name not in there])
                self._await(fresh)
                self.left_out = +left_out
            self._marks, self.n_by_name = marks, by_name * len(same)
            self.scan_seconds = time.perf_counter() - begin

    def scan_changed(self) -> None:
        """List the folders alone in which files have come or gone; see `scan`.

        Files that were written to in place are left to `scan`.
        """
        with self._scanning:
            waiting = self._marks.changed(self.folder)
            looked_into, entries = set(), list[tuple[str, os.DirEntry[str]]]()
            while waiting:
                prefix, path = waiting.pop()
                self._marks.note(prefix, path)
                looked_into.add(prefix)
                inner, files = list_one(prefix, path, Counter())
                waiting += [folder for folder in inner if folder[0] not in self._marks]
                entries += files
            if not looked_into:
                return
            fresh, _ = self._compare([entries], self._seen)
            there = {name for name, _ in entries}
            with self._lock:
                self._drop(
                    [
                        name
                        for name in self._names_known()
                        if name[: name.rfind("/") + 1] in looked_into and name not in there
                    ]
                )
                self._await(fresh)

    def _compare(
        self, parts: Iterable[Files], before: Mapping[str, Seen], by_name: bool = False
    ) -> tuple[list[str], list[str]]:
        """Return the names of new and changed files, and of all others; see `scan`.

        The disk is asked for the marks of those alone of which something is known `before`.
        """
        fresh, same = [], []
        for files in parts:
            for name, entry in files:
                if name in self._unread:  # asked first: it becomes seen before it stops to wait
                    same.append(name)
                elif (seen := before.get(name)) is None:
                    fresh.append(name)
                elif by_name:
                    same.append(name)
                else:
                    try:
                        changed = file_mark(entry.stat()) != seen[:2]
                    except FileNotFoundError:
                        continue  # vanished while we looked
                    except OSError:
                        changed = False  # for all that can be known
                    (fresh if changed else same).append(name)
        return fresh, same

    def _await(self, fresh: Sequence[str]) -> None:
        """Have new and changed files read."""
        for name in self._seen.keys() & fresh:
            self._remove(name)
        self._unread.update(fresh)
        self._queue.extend(shuffled(sorted(fresh)))

    def _recall(self, earlier: dict[str, Seen], same: Sequence[str]) -> None:
        """Enter what an earlier session has seen of the files that are the same."""
        stale = earlier.keys() - same
        for name in stale:
            del earlier[name]
        self._enter_all(earlier)
        if len(stale) > len(earlier) and self._index is not None:
            self._index.forget(stale)

    def _names_known(self) -> Iterator[str]:
        return chain(self._seen, self._unread - self._seen.keys())

    def _drop(self, names: Sequence[str]) -> None:
        """Forget files that have vanished."""
        images = [self._seen[name].image for name in names if name in self._seen]
        last = {image: self._copies[image] for image in images if image is not None}
        for name in names:
            self._remove(name)
        self._gone.update((image, last[image]) for image in last.keys() - self._copies.keys())
        self._unread.difference_update(names)

    # Reading -------------------------------------------------------------------------------

    def read(self, *, until: float | None = None, at_least: int = 0, bar: Any = None) -> None:
        """Read files in their order, all or as many as there is time for.

        Parameters
        ----------
        until : float, optional
            Stop then (`time.monotonic`), if `at_least` images are known.
        bar : progress bar, optional
            Moved on by each file.
        """
        new: dict[str, Seen] = {}
        kept = time.monotonic()
        with ThreadPoolExecutor(READERS) as readers:
            while (part := self._next_part()) and not self._closed:
                self._read_part(part, readers, new)
                if bar is not None:
                    bar.update(len(part))
                now = time.monotonic()
                if now - kept > KEEP_SECONDS:
                    self._keep(new)
                    kept = now
                if until is not None and now > until and len(self) >= at_least:
                    break
        self._keep(new)

    def read_first(self, names: Iterable[str]) -> None:
        """Read some files now, as far as they are new or were written to."""
        names = [*dict.fromkeys(names)]
        changed = [
            name for name in names if (seen := self._seen.get(name)) and not self._is_as(name, seen)
        ]
        with self._lock:
            self._await(changed)
        wanted = iter([name for name in names if name in self._unread])
        new: dict[str, Seen] = {}
        with ThreadPoolExecutor(READERS) as readers:
            while part := list(islice(wanted, PART)):
                self._read_part(part, readers, new)
        self._keep(new)

    def read_on(self, *, progress: bool = False) -> None:
        """Read what is still to be read in a thread, if there is anything.

        Parameters
        ----------
        progress : bool
            Show a bar.
        """
        with self._lock:
            if self._unread and self._thread is None and not self._closed:
                self._thread = threading.Thread(
                    target=self._read_all, args=(progress,), name="al_tf reading", daemon=True
                )
                self._thread.start()

    def close(self) -> None:
        """Stop reading; what was read is kept on disk."""
        self._closed = True
        thread = self._thread
        if thread is not None:
            thread.join()
        if self._index is not None:
            self._index.close()

    def _read_all(self, progress: bool) -> None:
        give_way()  # to the page, and to whoever holds the interpreter while features are computed
        try:
            with progress_bar(
                total=self.n_unread, desc="Reading image files", unit="file", shown=progress,
                delay=1, leave=False,
            ) as bar:  # fmt: skip
                self.read(bar=bar)
        finally:
            with self._lock:
                self._thread = None
        self.read_on()  # what came in at the last moment

    def _next_part(self) -> list[str]:
        part: list[str] = []
        with self._lock:
            while self._queue and len(part) < PART:
                name = self._queue.popleft()
                if name in self._unread:
                    part.append(name)
        return part

    def _read_part(self, part: list[str], readers: Executor, new: dict[str, Seen]) -> None:
        shares = [part[i::READERS] for i in range(READERS)]
        try:
            looks = list(chain.from_iterable(readers.map(self._look_at, shares)))
        except BaseException:
            self._queue.extendleft(part)
            raise
        with self._lock:
            for name, seen in looks:
                if name not in self._unread:
                    continue  # another thread was first, or it vanished
                if seen is not None:
                    new[name] = seen
                    self._enter(name, seen)
                self._unread.remove(name)

    def _look_at(self, names: list[str]) -> list[tuple[str, Seen | None]]:
        return [(name, look_at(self.folder / name)) for name in names]

    def _keep(self, new: dict[str, Seen]) -> None:
        if self._index is not None:
            self._index.keep(new)
        new.clear()


def _in_steps(folders: Iterable[Files], n: int, do: Callable[[int], object]) -> Iterator[Files]:
    """Yield files in parts, and do something with their number whenever `n` more have come."""
    number = due = 0
    for files in folders:
        for start in range(0, len(files), n):
            if number >= due:
                do(number)
                due = number + n
            part = files[start : start + n]
            number += len(part)
            yield part

"""`FolderContents`: what the image files beneath a folder hold, as far as they were read."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..seeding import stream
from .file_index import Seen, file_mark


class FolderContents:
    """Images by name and names by image; any number of threads may ask.

    Parameters
    ----------
    folder : Path

    Attributes
    ----------
    problems : dict of str to str
        What is wrong with each file that cannot be read, by its name.
    arrivals : list of str
        Images in the order in which they became known, see `ImagePool.arrivals`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: dict[str, str] = {}
        self._lock = threading.RLock()
        self._seen: dict[str, Seen] = {}  # by name
        self._copies: dict[str, tuple[str, ...]] = {}  # names by image, sorted
        self._gone: dict[str, tuple[str, ...]] = {}  # last names of images without a file
        self.arrivals: list[str] = []
        self._order: list[str] = []  # images that were sorted by name last time, some gone
        self._ids: tuple[str, ...] | None = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """Content hashes of the images read so far, by name."""
        ids = self._ids
        if ids is not None:
            return ids
        with self._lock:
            if self._ids is None:
                order = [image for image in self._order if image in self._copies]
                known = set(order)
                order += [image for image in self._copies if image not in known]
                order.sort(key=lambda image: self._copies[image][0])
                self._order, self._ids = order, tuple(order)
            return self._ids

    @property
    def gone(self) -> list[str]:
        """Images without a file, which had one."""
        return [*self._gone]

    def __len__(self) -> int:
        return len(self._copies)

    def __contains__(self, image: object) -> bool:
        return image in self._copies

    def names(self, image: str) -> tuple[str, ...]:
        """Return the names of all copies of an image; of one that has gone, its last."""
        names = self._copies.get(image) or self._gone.get(image) or (image[:12],)
        return tuple(map(shown_name, names))

    def path(self, image: str) -> Path | None:
        """Return the file of an image, the first of its copies; None if there is none."""
        names = self._copies.get(image)
        return None if names is None else self.folder / names[0]

    def image_in(self, name: str) -> str | None:
        """Return the image that a file holds; None if it is not known, or cannot be read."""
        seen = self._seen.get(name)
        return None if seen is None else seen.image

    def is_unchanged(self, image: str) -> bool:
        """Tell whether the file of an image is as it was when it was read."""
        names = self._copies.get(image, ())
        seen = self._seen.get(names[0]) if names else None
        return seen is not None and self._is_as(names[0], seen)

    def all_grey(self) -> bool:
        """Tell whether all images read so far are grey."""
        with self._lock:
            return all(seen.grey for seen in self._seen.values() if seen.image is not None)

    def _is_as(self, name: str, seen: Seen) -> bool:
        """Tell whether a file is there as it was when it was seen."""
        try:
            return file_mark((self.folder / name).stat()) == seen[:2]
        except OSError:
            return False

    # Changes, by who holds the lock ---------------------------------------------------------

    def _enter(self, name: str, seen: Seen) -> None:
        """Note what a file holds."""
        self._seen[name] = seen
        if seen.image is None:
            self.problems[shown_name(name)] = seen.problem or ""
            return
        copies = self._copies.get(seen.image)
        if copies is None:
            self._gone.pop(seen.image, None)
            self._copies[seen.image] = (name,)
            self.arrivals.append(seen.image)
        else:
            self._copies[seen.image] = tuple(sorted((*copies, name)))
        self._ids = None

    def _enter_all(self, files: dict[str, Seen]) -> None:
        """Note what many readable files hold, while nothing is known of any.

        Their images become known in random order.

        Parameters
        ----------
        files : dict of str to Seen
            By name, nearly sorted.
        """
        copies = self._copies
        for name, seen in files.items():
            image = str(seen.image)
            names = copies.get(image)
            copies[image] = (name,) if names is None else tuple(sorted((*names, name)))
        self._seen, self._order, self._ids = files, [*copies], None
        self.arrivals += shuffled(self._order)

    def _remove(self, name: str) -> None:
        """Forget what a file held, if that was known; the image of a file alone is gone."""
        seen = self._seen.pop(name, None)
        if seen is None:
            return
        if seen.image is None:
            self.problems.pop(shown_name(name), None)
            return
        copies = self._copies.pop(seen.image)
        if len(copies) == 1:
            self._gone[seen.image] = copies
        else:
            self._copies[seen.image] = tuple(other for other in copies if other != name)
        self._ids = None


def shuffled(ordered: Sequence[str]) -> list[str]:
    """Return names or images in random order, the same one whenever they are the same."""
    order = stream(0, "reading files").permutation(len(ordered))
    return np.array(ordered, dtype=object)[order].tolist()


def shown_name(name: str) -> str:
    """Return a file name as text; Linux allows names that are not valid text."""
    return os.fsencode(name).decode("utf-8", "replace")

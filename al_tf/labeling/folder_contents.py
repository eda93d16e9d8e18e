"""`FolderContents`: what the image files beneath a folder hold, as far as they were read."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from pathlib import Path

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
        self._order: list[str] = []  # images nearly sorted by name, some twice or gone
        self._ids: tuple[str, ...] | None = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """Content hashes of the images read so far, by name."""
        ids = self._ids
        if ids is not None:
            return ids
        with self._lock:
            if self._ids is None:
                order = [i for i in dict.fromkeys(self._order) if i in self._copies]
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
        for name in self._copies.get(image, ())[:1]:
            seen = self._seen.get(name)
            try:
                return seen is not None and file_mark((self.folder / name).stat()) == seen[:2]
            except OSError:
                return False
        return False

    def all_grey(self) -> bool:
        """Tell whether all images read so far are grey."""
        with self._lock:
            return all(seen.grey for seen in self._seen.values() if seen.image is not None)

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

    def _enter_all(self, files: dict[str, Seen], order: Iterable[str]) -> None:
        """Note what many readable files hold, while nothing is known of any.

        Parameters
        ----------
        files : dict of str to Seen
            By name, nearly sorted.
        order : iterable of str
            The names in the order in which their images become known.
        """
        copies = self._copies
        for name in order:
            image = str(files[name].image)
            names = copies.get(image)
            copies[image] = (name,) if names is None else tuple(sorted((*names, name)))
        self.arrivals += copies
        self._seen = files
        self._order, self._ids = [str(seen.image) for seen in files.values()], None

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


def shown_name(name: str) -> str:
    """Return a file name as text; Linux allows names that are not valid text."""
    return os.fsencode(name).decode("utf-8", "replace")

"""Where a dataset is looked for, how it is brought, and the one message for when it is nowhere."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from ..errors import DataNotFoundError
from ..files import cache_dir

PathLike = str | os.PathLike[str]
Copy = TypeVar("Copy")


class Source(ABC, Generic[Copy]):
    """The files of one dataset: on this machine, or brought into the user cache.

    Attributes
    ----------
    name : str
        The dataset's name, and that of its folder in each place.
    wanted : str
        What makes a folder a copy of the dataset, for messages.
    remedy : str
        How a user supplies it, the last line of the message when it is nowhere.
    system : sequence of Path
        Folders where packages of the operating system put it.
    """

    name: str
    wanted: str
    remedy: str
    system: Sequence[Path] = ()

    @abstractmethod
    def accept(self, folder: Path) -> Copy | None:
        """Return the copy of the dataset in a folder, or None."""

    @abstractmethod
    def download(self) -> list[str]:
        """Bring the dataset into `cached`; return a line on each mirror that failed."""

    def install(self, report: Callable[[str], None]) -> list[str]:
        """Bring it into `cached` in another way, which only `fetch` tries; return what failed."""
        return []

    def place(self, copy: Copy) -> str:
        """Return where a copy is, in words."""
        return str(copy)

    @property
    def cached(self) -> Path:
        """The dataset's folder in the user cache."""
        return cache_dir() / self.name

    def find(self, data_dir: PathLike | None) -> str:
        """Return where the dataset would be read from; nothing is downloaded.

        Raises
        ------
        DataNotFoundError
            It is in none of the places searched.
        """
        return self.place(self._get(data_dir, []))

    def obtain(self, data_dir: PathLike | None) -> Copy:
        """Return the copy on this machine, or download one.

        Raises
        ------
        DataNotFoundError
            No mirror served it; the message lists every place and mirror tried.
        """
        return self._get(data_dir, [self.download])

    def fetch(self, data_dir: PathLike | None, report: Callable[[str], None]) -> None:
        """Bring the dataset into the user cache, unless it is on this machine.

        Parameters
        ----------
        data_dir : path, optional
            A folder to search first.
        report : callable
            Gets a line on each step.

        Raises
        ------
        DataNotFoundError
            No way of getting it worked; the message lists all that were tried.
        """
        copy = self._get(data_dir, [self.download, lambda: self.install(report)])
        report(f"{self.name}: {self.place(copy)}")

    def _get(self, data_dir: PathLike | None, ways: Sequence[Callable[[], list[str]]]) -> Copy:
        copy, tried = self._search(data_dir)
        for way in ways:
            if copy is None:
                tried += way()
                copy = self.accept(self.cached)
        if copy is None:
            listed = "\n".join(f"  - {line}" for line in tried)
            raise DataNotFoundError(
                f"Dataset {self.name!r} was not found. Tried:\n{listed}\n{self.remedy}"
            )
        return copy

    def _search(self, data_dir: PathLike | None) -> tuple[Copy | None, list[str]]:
        """Return the first copy (None: nowhere), and a line on each place without one.

        The places are `data_dir` (or ``$AL_TF_DATA_DIR``), the user cache and `system`; in each,
        the subfolder of the dataset's name comes first.
        """
        tried = []
        places = [("user cache", cache_dir()), *(("system folder", place) for place in self.system)]
        given = data_dir if data_dir is not None else os.environ.get("AL_TF_DATA_DIR") or None
        label = "data_dir" if data_dir is not None else "$AL_TF_DATA_DIR"
        if given is None:
            tried.append("data_dir: not given, and $AL_TF_DATA_DIR is not set")
        else:
            places.insert(0, (label, _existing(given, label)))
        for label, base in places:
            for folder in (base / self.name, base):
                copy = self.accept(folder)
                if copy is not None:
                    return copy, tried
            tried.append(f"{label} {base}: no {self.wanted}")
        return None, tried


def _existing(given: PathLike, label: str) -> Path:
    folder = Path(given).expanduser()
    if not folder.is_dir():
        raise DataNotFoundError(
            f"{label} is {str(folder)!r}, which is not a folder. "
            "Name the folder that holds the datasets, or leave it unset."
        )
    return folder

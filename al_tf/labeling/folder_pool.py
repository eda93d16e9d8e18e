"""`FolderPool`: the image files beneath a folder, which may come and go."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..errors import DataCorruptError, DataNotFoundError, ImageGoneError
from ..images import EXTENSIONS, common_bits, decode_image, decode_pixels, read_image_file
from ..progress import progress_bar
from .file_index import FileIndex
from .folder_files import FolderFiles
from .image_pool import ImagePool

MODEL_SIDE = 64
FIRST_SECONDS = 0.25
"""How long files are read before the others are left to the background."""
FIRST_IMAGES = 64
"""As many are read in any case, however long it takes."""
QUICK_SCAN = 0.05
"""Seconds that listing a folder takes at most to be quick."""
LISTING_PAUSE = 0.5
"""Seconds until the folder is listed in the background: what was asked meanwhile comes first."""
FIRST_IMAGE_SECONDS = 20.0
"""So long, at most, known files wait to be looked at: the first image comes before."""
SAMPLED = 64
"""Files, roughly, of which some are asked for the bits that they use."""
REST = 10
"""Listing in the background takes one part in so many of the time."""
_T = TypeVar("_T")


def check_folder(folder: str | os.PathLike[str]) -> Path:
    """Return a folder's path; raise `DataNotFoundError` if there is no such folder."""
    path = Path(folder)
    if not path.is_dir():
        raise DataNotFoundError(f"{folder}: no such folder.")
    return path


class FolderPool(ImagePool):
    """The image files beneath a folder, which may come and go.

    Parameters
    ----------
    folder : path
        Every image file beneath it, see `list_folder`; copies of one file are one image.
    size : int or (int, int)
        Height and width in which the model sees them: each is scaled to fit, its aspect kept, and
        padded with its mean colour.
    grey : bool, optional
        Whether the model sees them in grey; if not given, when each that is read at the start is
        grey.
    bits : int, optional
        How many bits 16-bit images use; if not given, see `al_tf.images.common_bits`.
    progress : bool
        Show a progress bar when reading the files takes more than a second.
    remember : bool
        Keep size, time of change and content hash of each file in the user's cache, so that the
        next pool of this folder reads only files that are new or changed.
    background : bool
        Read files for a quarter of a second, and the others in a thread, in random order; `ids` grows.
        Files that an earlier pool knew are taken for the same by their names, and looked at in a
        moment: until then `ids` may hold an image whose file was written to since (`pixels`
        notices it).
    listed : callable, optional
        Called now and then while the folder is first listed, with the number of image files so far.

    Attributes
    ----------
    left_out : collections.Counter
        Number of files beneath the folder that are not images, by reason.

    Raises
    ------
    DataNotFoundError
        No such folder, or no readable image in it.

    Examples
    --------
    >>> import tempfile
    >>> from PIL import Image
    >>> from al_tf.labeling import FolderPool
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name, color in [("a.png", "red"), ("b.png", "blue")]:
    ...         Image.new("RGB", (40, 30), color).save(f"{folder}/{name}")
    ...     pool = FolderPool(folder, size=32)
    >>> len(pool), pool.shape
    (2, (32, 32, 3))
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        size: int | tuple[int, int] = MODEL_SIDE,
        grey: bool | None = None,
        bits: int | None = None,
        progress: bool = False,
        remember: bool = False,
        background: bool = False,
        listed: Callable[[int], object] | None = None,
    ) -> None:
        self.folder = check_folder(folder)
        self._files = FolderFiles(self.folder, FileIndex(self.folder) if remember else None)
        super().__init__()
        self.problems = self._files.problems
        self._size = size if isinstance(size, tuple) else (size, size)
        self._background, self._progress = background, progress
        self._refreshing: threading.Thread | None = None
        self._closed, self._shown = threading.Event(), threading.Event()
        self._files.scan(by_name=background, listed=listed)
        self._rest_until = time.monotonic() + REST * self._files.scan_seconds
        if self._files.n_by_name:
            self._rest_until = 0.0
            self._refresh_soon(self._shown)
        self._read()
        if not len(self._files):
            wrong = "".join(f"\n  {text}" for text in list(self.problems.values())[:5])
            raise DataNotFoundError(
                f"{folder}: expected image files ({', '.join(EXTENSIONS)}), found none that can be "
                f"read.{wrong}"
            )
        self._grey = self._files.all_grey() if grey is None else grey
        self.shape = (*self._size, *(() if self._grey else (3,)))
        self.bits = self._common_bits() if bits is None else bits

    def _common_bits(self) -> int:
        some = self.arrivals[:SAMPLED]
        return common_bits([path for image in some if (path := self.path(image)) is not None])

    # What is there ------------------------------------------------------------------------

    @property
    def ids(self) -> tuple[str, ...]:
        """Content hashes of the images read so far, in the order of the file names."""
        return self._files.ids

    @property
    def arrivals(self) -> list[str]:
        """Images in the order in which they were read, which is random; see `ImagePool`."""
        return self._files.arrivals

    @property
    def gone(self) -> Collection[str]:
        """Images whose files have vanished, or cannot be read any more."""
        return self._files.gone

    @property
    def by_name(self) -> tuple[str, ...]:
        """The same: `ids` are in the order of the names."""
        return self._files.ids

    def __len__(self) -> int:
        return len(self._files)

    def __contains__(self, image_id: object) -> bool:
        return image_id in self._files

    @property
    def left_out(self) -> Counter[str]:
        """Number of files beneath the folder that are not images, by reason."""
        return self._files.left_out

    @property
    def n_files(self) -> int:
        """Number of image files, copies and those not read yet included."""
        return self._files.n_files

    @property
    def n_unread(self) -> int:
        """Number of files that are still to be read."""
        return self._files.n_unread

    @property
    def is_reading(self) -> bool:
        """Whether files are being read in the background, so that `ids` may grow."""
        return self._files.is_reading

    def names(self, image_id: str) -> tuple[str, ...]:
        """Return the names below the folder of all copies of a file; of one that has gone, its last."""
        return self._files.names(image_id)

    def path(self, image_id: str) -> Path | None:
        """Return the file of an image, or None if it has gone."""
        return self._files.path(image_id)

    def id_of(self, file: Path) -> str | None:
        """Return the content hash of a file beneath the folder; None if it cannot be read."""
        return self._files.image_in(file.relative_to(self.folder).as_posix())

    def is_unchanged(self, image_id: str) -> bool:
        """Tell whether an image's file is there with the size and time of change it had."""
        return self._files.is_unchanged(image_id)

    # Looking again ------------------------------------------------------------------------

    def refresh(self) -> None:
        """Take in new and changed files, and drop those that vanished; no other file is opened."""
        self._files.scan()
        self._read()

    def refresh_soon(self, *, now_if_quick: bool = False) -> None:
        """Do the same in a thread, in a moment: nobody waits for it.

        New and vanished files are noticed by the folders that they are in, and only those are
        listed; files that were written to, when all are listed, which is done now and then.
        """
        if now_if_quick and self._files.scan_seconds < QUICK_SCAN:
            self.refresh()
        else:
            self._refresh_soon()

    def _refresh_soon(self, after: threading.Event | None = None) -> None:
        with self._lock:
            if self._refreshing is None:
                self._refreshing = threading.Thread(
                    target=self._refresh_later, args=(after,), name="al_tf listing", daemon=True
                )
                self._refreshing.start()

    def _refresh_later(self, after: threading.Event | None) -> None:
        try:
            if after is not None:
                after.wait(FIRST_IMAGE_SECONDS)
            if self._closed.wait(LISTING_PAUSE):
                return
            if time.monotonic() < self._rest_until:
                self._files.scan_changed()
            else:
                self._files.scan(gently=True)
                self._rest_until = time.monotonic() + REST * self._files.scan_seconds
            self._read()
        finally:
            self._refreshing = None

    def read_first(self, names: Iterable[str]) -> None:
        """Read some files, by their names below the folder, before all others."""
        self._files.read_first(names)

    def close(self) -> None:
        """List and read nothing more in the background."""
        self._closed.set()
        self._shown.set()  # nothing waits for an image any more
        self._files.close()

    def _read(self) -> None:
        """Read what there is to read, or as much as nobody has to wait for."""
        if self._files.is_reading:
            return
        if self._background:
            self._files.read(until=time.monotonic() + FIRST_SECONDS, at_least=FIRST_IMAGES)
            self._files.read_on(progress=self._progress)
            return
        with progress_bar(
            total=self.n_unread, desc="Reading image files", unit="file",
            shown=self._progress, delay=1, leave=False,
        ) as bar:  # fmt: skip
            self._files.read(bar=bar)

    # Pixels -------------------------------------------------------------------------------

    def pixels(self, image_id: str, *, at_least: int | None = None) -> np.ndarray:
        """Return an image in full resolution and depth. Raises ImageGoneError."""
        self._shown.set()
        return self._reading(
            image_id, lambda data, path: decode_pixels(data, str(path), at_least=at_least)
        )

    def file_bytes(self, image_id: str) -> tuple[bytes, str]:
        """Return the file of an image, and its suffix. Raises ImageGoneError."""
        return self._reading(image_id, lambda data, path: (data, path.suffix.lower()))

    def _decode(self, image_id: str) -> np.ndarray:
        options: dict[str, Any] = {"size": self._size, "grey": self._grey, "bits": self.bits}
        return self._reading(image_id, lambda data, path: decode_image(data, str(path), **options))

    def _reading(self, image_id: str, use: Callable[[bytes, Path], _T]) -> _T:
        """Use the bytes of an image's file; where they are no longer its, those of its next copy."""
        error: Exception | None = None
        while (path := self._files.path(image_id)) is not None:
            try:
                data = read_image_file(path)
                if hashlib.sha256(data).hexdigest() != image_id:
                    raise DataCorruptError(
                        f"{path}: its content changed while it was being labeled."
                    )
                return use(data, path)
            except (DataCorruptError, OSError) as reason:
                error = reason
                self._files.refuse(path, str(reason))
        if error is not None:
            raise ImageGoneError(str(error)) from error
        raise ImageGoneError(f"{self.name(image_id)}: the file has gone from {self.folder}.")

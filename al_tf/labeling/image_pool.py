"""`ImagePool`: the images to label, each known by the hash of its content, and views of some."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ..errors import ImageGoneError
from ..image_arrays import ImageSource
from .pictures import Pictures

CACHE_BYTES = 512 << 20
CHUNK = 2_048
MAX_COPIES = 3
"""Names of copies that a title lists."""


class ImagePool(ABC):
    """The images of a session.

    Attributes
    ----------
    shape : tuple of int
        Of one image as the model sees it: (H, W), or (H, W, C).
    bits : int
        How many bits 16-bit files use, see `al_tf.images.decode_image`.
    problems : dict of str to str
        What is wrong with each file that is left out, by its name.
    pictures : Pictures
        The images as people look at them.
    """

    shape: tuple[int, ...]
    bits: int = 16

    def __init__(self) -> None:
        self.problems: dict[str, str] = {}
        self.pictures = Pictures(self)
        self._lock = threading.RLock()
        self._cache: dict[str, np.ndarray] = {}
        self._cached_bytes = 0

    @property
    @abstractmethod
    def ids(self) -> tuple[str, ...]:
        """Content hashes of the images that can be shown, in a fixed order."""

    @property
    def by_name(self) -> tuple[str, ...]:
        """The same as `ids`, in the order of the names."""
        return tuple(sorted(self.ids, key=self.name))

    @property
    def arrivals(self) -> Sequence[str]:
        """The same in a random order that only grows, so that nobody need look at all of them again.

        Those that have gone stay in it; one that comes back is in it twice.
        """
        return self.ids

    @property
    def gone(self) -> Collection[str]:
        """Images that were among `ids`, and are no more."""
        return ()

    @abstractmethod
    def refresh(self) -> None:
        """Look again at what there is."""

    def refresh_soon(self, *, now_if_quick: bool = False) -> None:
        """Look again at what there is, without having anybody wait for it.

        Parameters
        ----------
        now_if_quick : bool
            Do it before returning if it is expected to take no longer than a glance.
        """
        self.refresh()

    def read_first(self, names: Iterable[str]) -> None:  # noqa: B027  (most have read all)
        """Read some images, by their names, before the others that are still to be read."""

    def close(self) -> None:  # noqa: B027  (most do nothing in the background)
        """End what is done in the background."""

    @property
    def n_files(self) -> int:
        """Number of files, copies and those not read yet included."""
        return len(self)

    @property
    def n_unread(self) -> int:
        """Number of files that are still to be read: their images are not among `ids` yet."""
        return 0

    @property
    def is_reading(self) -> bool:
        """Whether files are being read in the background, so that `ids` may grow."""
        return False

    def name(self, image_id: str) -> str:
        """Return the name of an image, the first if it has copies; of one that has gone, its last."""
        return self.names(image_id)[0]

    @abstractmethod
    def names(self, image_id: str) -> tuple[str, ...]:
        """Return the names of all copies of an image, that of `name` first."""

    def title(self, image_id: str) -> str:
        """Return what to show above an image: its name, and those of its copies."""
        first, *others = self.names(image_id)
        if not others:
            return first
        more = f" and {len(others) - MAX_COPIES} more" if len(others) > MAX_COPIES else ""
        return f"{first} (also {', '.join(others[:MAX_COPIES])}{more})"

    @abstractmethod
    def path(self, image_id: str) -> Path | None:
        """Return the file of an image, or None."""

    @abstractmethod
    def pixels(self, image_id: str, *, at_least: int | None = None) -> np.ndarray:
        """Return an image in full resolution and depth: uint8 or uint16, (H, W) or (H, W, C).

        Parameters
        ----------
        image_id : str
        at_least : int, optional
            A longer side in pixels that is enough, see `decode_pixels`.

        Raises
        ------
        ImageGoneError
            It vanished, changed or is damaged; it is not among `ids` any more.
        """

    @abstractmethod
    def is_unchanged(self, image_id: str) -> bool:
        """Tell, without reading it, whether an image that was read before would still be the same."""

    def shown(self, image_id: str) -> np.ndarray:
        """Return an image for people: uint8, at most `pictures.MAX_SHOWN_SIDE` a side.

        Raises as `pixels` does.
        """
        return self.pictures.overview(image_id).image

    @abstractmethod
    def file_bytes(self, image_id: str) -> tuple[bytes, str]:
        """Return an image as a file, and its suffix (``.png``). Raises as `pixels` does."""

    @abstractmethod
    def _decode(self, image_id: str) -> np.ndarray:
        """Return an image of `shape`."""

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, image_id: object) -> bool:
        return image_id in self.ids

    def seen_by_model(self, image_id: str) -> np.ndarray:
        """Return an image as the model sees it: uint8 of `shape`. Raises as `pixels` does."""
        image = self._cache.get(image_id)
        if image is None:
            image = self._decode(image_id)
            with self._lock:
                if self._cached_bytes + image.nbytes <= CACHE_BYTES and image_id not in self._cache:
                    self._cache[image_id] = image
                    self._cached_bytes += image.nbytes
        return image

    def chunks(
        self, image_ids: Sequence[str], size: int = CHUNK, *, keep: bool = True
    ) -> Iterator[tuple[list[str], np.ndarray]]:
        """Yield ids, and their images as the model sees them, in parts of at most `size`.

        Images that cannot be read any more are left out; `problems` then lists them. With `keep`,
        images stay in memory for later, as far as `CACHE_BYTES` goes.
        """
        read = self.seen_by_model if keep else self._decode
        for start in range(0, len(image_ids), size):
            ids, images = [], []
            for image_id in image_ids[start : start + size]:
                try:
                    images.append(read(image_id))
                except ImageGoneError:
                    continue
                ids.append(image_id)
            if ids:
                yield ids, np.stack(images)

    def view(self, image_ids: Sequence[str]) -> PoolView:
        """Return some images as an array that is decoded on access."""
        return PoolView(self, tuple(image_ids))


class PoolView(ImageSource):
    """Some images of a pool as an array of uint8 (n, …), decoded on access.

    Attributes
    ----------
    ids : tuple of str
        Their content hashes, in the order of the first axis.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, pool: ImagePool, ids: tuple[str, ...]) -> None:
        self.pool, self.ids = pool, ids

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, H, W) or (n, H, W, C)."""
        return (len(self.ids), *self.pool.shape)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Decode the images at `rows`."""
        images = np.empty((len(rows), *self.pool.shape), dtype=np.uint8)
        for place, row in enumerate(rows):
            images[place] = self.pool.seen_by_model(self.ids[row])
        return images

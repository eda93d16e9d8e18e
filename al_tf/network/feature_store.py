"""The features of one backbone on disk, by the content of each image."""

from __future__ import annotations

import hashlib
import os
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import DataCorruptError, FeaturesNotKeptWarning, StorageError
from ..files import cache_dir as user_cache
from .feature_database import REFRESH_SECONDS, FeatureDatabase

_NOT_KEPT = (
    "They are computed, and will be computed again next time: make room, or name another folder by "
    "cache_dir or $AL_TF_CACHE_DIR."
)


def features_folder(cache_dir: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder where features are kept: `cache_dir`, or one in the user's cache."""
    return user_cache() / "features" if cache_dir is None else Path(cache_dir).expanduser()


def source_name(content: str, seen_as: str) -> bytes:
    """Return 16 bytes that name a file and the way it is brought to the pixels a network sees.

    Parameters
    ----------
    content : str
        Hash of the file.
    seen_as : str
        Whatever the pixels depend on besides, in words.
    """
    return hashlib.blake2b(f"{content} {seen_as}".encode(), digest_size=16).digest()


class FeatureStore:
    """What `Backbone.features` keeps and finds again, and the desk with it.

    The key of an entry is the digest of the pixels that go into the backbone (`pixel_digests`) and the
    backbone's fingerprint, which covers its weights, its size and what it does to the pixels. So
    an image is embedded once, whoever asks: an array, a folder, an experiment or a desk. That a
    file of known content gives these pixels is kept beside it, so that nobody reads the file to
    find them.

    An entry is float32, so that an image has the same features whether they are kept or computed.
    Half the bits would do for accuracy: logistic regression on float16 features differs by 0.0004 at
    most (means of ten draws of 50, 200 and 1,000 labels of the magnetic tiles at 128 pixels, and of
    50 and 200 of Fashion-MNIST at 64). But probabilities move by up to 0.005, and a network exported with a
    linear head on top could no longer give those of the head to 1e-5.

    A disk that is full or cannot be written is no reason to stop: one warning says that features
    are not kept, and nothing is read or written any more. A damaged entry counts as none.

    Parameters
    ----------
    cache_dir : path, None or False
        The folder; None is the user's cache, False keeps nothing.
    fingerprint : str
        Of the backbone.
    label : str
        What the backbone is called where the contents are listed.
    dim : int
        Number of features of an image.
    """

    def __init__(
        self,
        cache_dir: str | os.PathLike[str] | bool | None,
        *,
        fingerprint: str,
        label: str,
        dim: int,
    ) -> None:
        is_folder = isinstance(cache_dir, str | os.PathLike | bool | None)
        if cache_dir is True or cache_dir == "" or not is_folder:
            raise TypeError(
                "cache_dir must be a folder, None (the user's cache) or False (none); got "
                f"{cache_dir!r}."
            )
        self._fingerprint, self._label, self._dim = fingerprint, label, dim
        self._database: FeatureDatabase | None = None
        self._stale: list[int] = []
        self._keeps = True
        self._since = time.time() - REFRESH_SECONDS
        if cache_dir is not False:
            try:
                self._database = FeatureDatabase(features_folder(cache_dir))
                self._backbone = self._database.backbone_id(fingerprint, label, dim)
            except StorageError as error:
                self._give_up(error)
            except DataCorruptError as error:
                self._start_anew(error)

    def __enter__(self) -> FeatureStore:
        return self

    def __exit__(self, *error: object) -> None:
        if self._database is None:
            return
        try:
            if self._stale:
                self._database.touch(self._stale)
        except (StorageError, DataCorruptError):
            pass  # only the time of use is lost
        self._database.close()

    def get(self, digests: Sequence[bytes]) -> dict[bytes, np.ndarray]:
        """Return the features, float32 ``(dim,)``, of the digests that are kept."""
        return self._read(digests, by_source=False)

    def get_sources(self, names: Sequence[bytes]) -> dict[bytes, np.ndarray]:
        """Return the features, float32 ``(dim,)``, of images that `put_sources` named."""
        return self._read(names, by_source=True)

    def _read(self, keys: Sequence[bytes], *, by_source: bool) -> dict[bytes, np.ndarray]:
        if self._database is None:
            return {}
        try:
            kept, stale = self._database.read(self._backbone, keys, self._dim, by_source=by_source)
        except StorageError as error:
            self._give_up(error)
            return {}
        except DataCorruptError as error:
            self._start_anew(error)
            return {}
        self._stale += stale
        return kept

    def put(self, digests: Sequence[bytes], features: np.ndarray) -> None:
        """Keep the features ``(n, dim)`` of images, all or none of them."""
        if self._database is None or not self._keeps:
            return
        try:
            self._keeps = self._database.write(self._backbone, digests, features, self._since)
        except StorageError as error:
            self._keeps = False  # reading may go on
            _warn(f"{error} {_NOT_KEPT}")
        except DataCorruptError as error:
            self._start_anew(error)
        else:
            if not self._keeps:
                _warn(
                    f"{self._database.path}: the limit of {self._database.limit / 1e9:.1f} GB is "
                    "reached by images just used; features of further ones are computed but not "
                    "kept. Raise it with: al-tf cache limit 20GB."
                )

    def put_sources(self, names: Sequence[bytes], digests: Sequence[bytes]) -> None:
        """Keep under which digest the features of some files are, see `source_name`."""
        if self._database is None or not self._keeps or not names:
            return
        try:
            self._database.write_sources(names, digests)
        except StorageError as error:
            self._keeps = False
            _warn(f"{error} {_NOT_KEPT}")
        except DataCorruptError as error:
            self._start_anew(error)

    def _give_up(self, error: Exception) -> None:
        _warn(f"{error} {_NOT_KEPT}")
        if self._database is not None:
            self._database.close()
            self._database = None

    def _start_anew(self, error: DataCorruptError) -> None:
        self._stale = []
        if self._database is None:
            self._give_up(error)
            return
        try:
            self._database.replace(error)
            self._backbone = self._database.backbone_id(self._fingerprint, self._label, self._dim)
        except (StorageError, DataCorruptError) as again:
            self._give_up(again)


def _warn(message: str) -> None:
    warnings.warn(message, FeaturesNotKeptWarning, stacklevel=4)

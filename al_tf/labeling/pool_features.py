"""`PoolFeatures`: what a frozen pretrained network makes of a pool, once for each image."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .image_pool import ImagePool

if TYPE_CHECKING:
    from ..network.backbones import Backbone

CHUNK = 64


class EmbeddingStoppedError(Exception):
    """`PoolFeatures.stop` was called while features were computed."""


class PoolFeatures:
    """The features of a pool's images, each computed once and kept on disk.

    They are kept in the user's cache by the content hash of each image, so that a session that is
    opened again reads no image file to have its model back.

    Parameters
    ----------
    pool : ImagePool
    backbone : Backbone
        Of `load_backbone`.
    cache_dir : path or False, optional
        As in `Backbone.features`.

    Attributes
    ----------
    backbone : Backbone
    shape : tuple of int
        ``(dim,)``, of the features of one image.
    """

    def __init__(self, pool: ImagePool, backbone: Backbone, *, cache_dir: Any = None) -> None:
        self.backbone = backbone
        self.shape = (backbone.dim,)
        self._pool, self._cache_dir = pool, cache_dir
        self._features: dict[str, np.ndarray] = {}
        self._lock = threading.RLock()
        self._stopped = threading.Event()
        self._read_kept(pool.ids)

    def count(self) -> int:
        """Return how many images of the pool have their features."""
        return sum(image in self._features for image in self._pool.ids)

    @property
    def complete(self) -> bool:
        """Whether every image of the pool has its features."""
        return all(image in self._features for image in self._pool.ids)

    def available(self, image_ids: Sequence[str]) -> tuple[list[str], np.ndarray]:
        """Return those of some images that have their features, and the features ``(n, dim)``."""
        ids = [image for image in image_ids if image in self._features]
        rows = [self._features[image] for image in ids]
        return ids, np.stack(rows) if rows else np.empty((0, *self.shape), np.float32)

    def chunks(
        self, image_ids: Sequence[str], size: int = CHUNK
    ) -> Iterator[tuple[list[str], np.ndarray]]:
        """Yield ids and features ``(n, dim)`` in parts, as `ImagePool.chunks` does with images.

        Missing features are computed first, and kept after every `size` images.

        Raises
        ------
        EmbeddingStoppedError
            After `stop`.
        """
        with self._lock:
            missing = [image for image in image_ids if image not in self._features]
            self._read_kept(missing)
            missing = [image for image in missing if image not in self._features]
            for start in range(0, len(missing), size):
                if self._stopped.is_set():
                    raise EmbeddingStoppedError
                self._embed(missing[start : start + size])
        ids, features = self.available(image_ids)
        if ids:
            yield ids, features

    def stop(self) -> None:
        """End the computation that is under way at its next part, and refuse further ones."""
        self._stopped.set()

    def _embed(self, image_ids: Sequence[str]) -> None:
        for ids, images in self._pool.chunks(image_ids, keep=False):
            features = self.backbone.features(images, cache_dir=False)
            self._features.update(zip(ids, features, strict=True))
            with self._store() as store:
                store.put([bytes.fromhex(image) for image in ids], features)

    def _read_kept(self, image_ids: Sequence[str]) -> None:
        if not image_ids:
            return
        with self._store() as store:
            kept = store.get([bytes.fromhex(image) for image in image_ids])
        self._features.update({digest.hex(): row for digest, row in kept.items()})

    def _store(self) -> Any:
        from ..network.feature_store import FeatureStore

        shape = "x".join(map(str, self._pool.shape))
        return FeatureStore(
            self._cache_dir,
            fingerprint=f"{self.backbone.fingerprint} fitted to {shape}",
            label=f"{self.backbone.name} at {self.backbone.size} pixels, desk",
            dim=self.backbone.dim,
        )


def model_inputs(estimator: Any, pool: ImagePool) -> ImagePool | PoolFeatures:
    """Return what an estimator is fitted on: features, if it has a backbone, else images.

    Parameters
    ----------
    estimator : estimator
        With a ``backbone`` (a `Backbone`, or its name) if it takes features in place of images,
        as `LinearProbeClassifier` does.
    pool : ImagePool

    Raises
    ------
    DataNotFoundError
        The weights of the probe's backbone are not on this machine.
    """
    backbone = getattr(estimator, "backbone", None)
    if backbone is None:
        return pool
    if isinstance(backbone, str):
        from ..network.backbones import load_backbone

        backbone = load_backbone(backbone, size=estimator.size)
    return PoolFeatures(pool, backbone, cache_dir=estimator.cache_dir)

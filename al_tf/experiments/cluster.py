"""A Dask cluster: the connection to it, and images turned into features by its workers."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import DataCorruptError, DataNotFoundError, RunFailedError
from ..image_arrays import ImageSource
from .workers import limited_threads

if TYPE_CHECKING:
    from ..network.backbones import Backbone
    from ..network.feature_store import FeatureStore

MAX_CHUNK = 2048
"""Images that a worker is given at once: half a minute of one core at 224 × 224 pixels."""
MAX_SENT_BYTES = 8 << 20
"""Of the pixels of a chunk, where pixels have to be sent; Dask warns of 10 MB."""
CHUNKS_A_THREAD = 4
"""At least so many chunks for each thread of the cluster, so that all end at about the same time."""
WAITING_CHUNKS = 2
"""Chunks that are given out at once for each thread: one to compute and one to begin with next."""


@contextmanager
def dask_client(scheduler: str) -> Iterator[Any]:
    """Connect to a Dask scheduler for the block."""
    try:
        from distributed import Client
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "The Dask backend needs the package distributed: pip install 'al-tf[dask]'"
        ) from None
    with Client(scheduler, timeout="30s", set_as_default=False) as client, client.as_current():
        yield client


def embed_on_cluster(
    X: Any,
    backbone: str | Backbone = "efficientnet_lite0",
    *,
    scheduler: str,
    size: int | None = None,
    cache_dir: str | os.PathLike[str] | bool | None = None,
    threads: int = 1,
    out: np.ndarray | None = None,
    progress: bool = False,
) -> np.ndarray:
    """Turn images into features on the workers of a Dask cluster.

    The same features as `Backbone.features`, in chunks of up to 2,048 images. Each worker keeps
    its features in its cache after every batch, and this process keeps those that come back in its
    own. A chunk whose worker dies is given to another one; after Ctrl-C or an error, the same call
    goes on. Where `cache_dir` is one folder that all machines see, no image is embedded again that
    was kept by any of them; where each has its own, a worker may embed again what only another kept.

    Images are sent only where workers cannot read them by themselves:

    - of a `LazyImageFolder` and of a whole memory-mapped file (``np.load(path, mmap_mode="r")``),
      paths are sent, and every worker must see the files under the same path;
    - of anything else, pixels are sent, except those of images whose features this process has
      kept, at most 8 MB for each chunk.

    Parameters
    ----------
    X : array-like (n, H, W), (n, H, W, 1), (n, H, W, 3) or (n, H, W, 4)
        As in `Backbone.features`.
    backbone : str or Backbone
        As `load_backbone` takes it, or what that returned. Workers load it themselves: the package
        with its weights, or the ``.keras`` file under the same path, must be there.
    scheduler : str
        Address of the Dask scheduler, such as ``"tcp://127.0.0.1:8786"``.
    size : int, optional
        Of `load_backbone`, if `backbone` is a name.
    cache_dir : path or False, optional
        Folder where features are kept, the same path for this process and the workers; by default
        the user's cache of each; ``False`` keeps nothing.
    threads : int
        Of each worker process, which keeps to them: start one process for each core.
    out : ndarray of float32 (n, dim), optional
        Where features are written: a memory-mapped file, if they are more than memory holds.
    progress : bool
        Show a progress bar when it takes more than two seconds.

    Returns
    -------
    ndarray of float32 (n, dim)
        `out`, if it was given.

    Raises
    ------
    ModuleNotFoundError
        The extra ``dask`` is not installed.
    OSError
        There is no scheduler at this address.
    DataNotFoundError
        A worker does not see the images.
    DataCorruptError
        An image cannot be read, or a worker has other weights or other data under the same name.
    RunFailedError
        Workers died one after another over the same images, or the scheduler is gone.
    ValueError
        As `Backbone.features`.

    Examples
    --------
    >>> from al_tf.datasets import LazyImageFolder
    >>> from al_tf.experiments import embed_on_cluster
    >>> images = LazyImageFolder("/shared/images", size=224)  # doctest: +SKIP
    >>> features = embed_on_cluster(images, scheduler="tcp://10.0.0.1:8786")  # doctest: +SKIP
    """
    from ..network.finetuned import resolved_backbone
    from ..network.pixels import check_images

    source, loaded = check_images(X), resolved_backbone(backbone, size)
    if isinstance(cache_dir, str | os.PathLike):
        cache_dir = Path(cache_dir).expanduser().absolute()
    features = np.empty((len(source), loaded.dim), np.float32) if out is None else out
    if features.shape != (len(source), loaded.dim) or features.dtype != np.float32:
        raise ValueError(
            f"out must be float32 of shape {(len(source), loaded.dim)}; got {features.dtype} of "
            f"shape {features.shape}."
        )
    with (
        dask_client(scheduler) as client,
        loaded.store(cache_dir) as store,
        loaded.progress_bar(len(source), shown=progress) as bar,
    ):
        n_threads = sum(client.nthreads().values())
        task = _EmbeddingTask(
            loaded.name, loaded.asked_size, loaded.fingerprint, cache_dir, threads
        )
        chunks = _chunks(source, store, features, _chunk_length(source, n_threads), bar)
        with closing(_embedded(client, task, chunks, WAITING_CHUNKS * n_threads)) as parts:
            for rows, new, digests in parts:
                features[rows] = new
                _keep(store, digests, new)
                bar.update(len(rows))
    return features


def _keep(store: FeatureStore, digests: list[bytes], features: np.ndarray) -> None:
    """Keep what the worker has not, which has done so if it shares this cache."""
    kept = store.get(digests)
    missing = [i for i, digest in enumerate(digests) if digest not in kept]
    if missing:
        store.put([digests[i] for i in missing], features[missing])


class _Chunk(NamedTuple):
    rows: np.ndarray
    source: ImageSource


class _EmbeddingTask(NamedTuple):
    """What a worker does with a chunk."""

    name: str
    size: Any
    fingerprint: str
    cache_dir: Any
    threads: int

    def __call__(self, source: ImageSource) -> tuple[np.ndarray, list[bytes]]:
        try:
            with limited_threads(self.threads):
                return self._embed(source)
        except FileNotFoundError as error:
            raise DataNotFoundError(
                f"{error.filename}: a worker of the cluster does not see this file. Workers on "
                "other machines must see the images under the same path (a shared disk)."
            ) from error

    def _embed(self, source: ImageSource) -> tuple[np.ndarray, list[bytes]]:
        from ..network.backbones import load_backbone

        backbone = load_backbone(self.name, size=self.size)
        if backbone.fingerprint != self.fingerprint:
            raise DataCorruptError(
                f"The backbone {self.name!r} of a worker is another one: fingerprint "
                f"{backbone.fingerprint[:12]}, expected {self.fingerprint[:12]}. Install the same "
                "version, or the same file, on every machine."
            )
        bar = backbone.progress_bar(len(source), shown=False)
        with backbone.store(self.cache_dir) as store:
            return backbone.features_and_digests(source, store, bar)


def _chunk_length(source: ImageSource, n_threads: int) -> int:
    """Return how many images make a chunk, whole or sent as pixels."""
    length = min(MAX_CHUNK, -(-len(source) // (CHUNKS_A_THREAD * max(1, n_threads))))
    if len(source) and source.read_elsewhere(np.arange(1)) is None:
        image_bytes = int(np.prod(source.shape[1:])) * source.dtype.itemsize
        length = min(length, MAX_SENT_BYTES // image_bytes)
    return max(1, length)


def _chunks(
    source: ImageSource, store: FeatureStore, features: np.ndarray, length: int, bar: Any
) -> Iterator[_Chunk]:
    """Yield what is to be embedded; fill in features that this process has kept, if it reads X."""
    from ..network.pixels import check_pixels, pixel_digests
    from ..network.sources import ArraySource

    for start in range(0, len(source), length):
        rows = np.arange(start, min(start + length, len(source)))
        elsewhere = source.read_elsewhere(rows)
        if elsewhere is not None and not source.in_memory:
            yield _Chunk(rows, elsewhere)
            continue
        pixels = check_pixels(source.read_range(start, rows[-1] + 1), start)
        digests = pixel_digests(pixels)
        kept = store.get(digests)
        new = np.array([digest not in kept for digest in digests])
        for row, digest in zip(rows[~new], np.array(digests, object)[~new], strict=True):
            features[row] = kept[digest]
        bar.update(int((~new).sum()))
        if new.any():
            part = source.read_elsewhere(rows[new])
            yield _Chunk(rows[new], ArraySource(pixels[new]) if part is None else part)


def _embedded(
    client: Any, task: _EmbeddingTask, chunks: Iterator[_Chunk], at_once: int
) -> Generator[tuple[np.ndarray, np.ndarray, list[bytes]], None, None]:
    """Yield rows, features and digests of chunks as workers finish them, `at_once` under way."""
    from distributed import CancelledError, KilledWorker, as_completed

    waiting: dict[Any, _Chunk] = {}
    finished = as_completed()

    def give_out() -> None:
        while len(waiting) < max(1, at_once) and (chunk := next(chunks, None)) is not None:
            future = client.submit(task, chunk.source, pure=False)
            waiting[future] = chunk
            finished.add(future)

    try:
        give_out()
        for future in finished:
            chunk = waiting.pop(future)
            yield chunk.rows, *future.result()
            give_out()
    except KilledWorker as error:
        raise RunFailedError(
            f"The same {len(chunk.rows)} images ended one worker after another, for lack of memory "
            f"perhaps ({error}). What was embedded is kept: the same call goes on."
        ) from error
    except CancelledError as error:
        raise RunFailedError(
            "The connection to the Dask scheduler was lost. What was embedded is kept: the same call "
            "goes on."
        ) from error
    finally:  # after Ctrl-C, or a chunk that failed: what has not begun shall not
        client.cancel(list(waiting))

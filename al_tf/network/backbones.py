"""Pretrained networks that turn images into features."""

from __future__ import annotations

import hashlib
import math
import numbers
import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import check_one_of
from ..image_arrays import ImageSource
from ..progress import progress_bar
from . import efficientnet_lite
from .applications import APPLICATIONS, load_application
from .device import without_start_messages
from .embedding import embed
from .feature_store import FeatureStore
from .forward_pass import Forward, compiled_forward
from .hub_presets import PREFIX, load_preset
from .own_network import SUFFIX, load_own_network
from .pixels import check_image_shape, check_images, prepared
from .pretrained import PretrainedNetwork, Size, load_efficientnet_lite, plain_float32

if TYPE_CHECKING:
    import keras

_PREPARATION = "triangle resize 1"
"""Named in fingerprints: another way to prepare images gives other features."""
_LEAST_SIZE = 32
_PASS_PIXELS = 1 << 21
"""Pixels, as the network sees them, that go through it at once."""
_PART_PIXELS = 1 << 23
"""Pixels, before resizing, that are read at once."""
_MAX_PART = 1024
"""Images that are read at once."""
_MAX_KEPT = 8

_kept: OrderedDict[Any, Backbone] = OrderedDict()
_kept_lock = threading.RLock()


def list_backbones() -> list[str]:
    """Return the names of backbones; `load_backbone` also takes presets and files.

    Returns
    -------
    list of str
        ``"efficientnet_lite0"``, whose weights are in the extra ``backbone`` of this package, and
        networks of Keras Applications, whose weights Keras downloads when one is first loaded.

    Examples
    --------
    >>> from al_tf import list_backbones
    >>> list_backbones()[:3]
    ['efficientnet_lite0', 'convnext_small', 'convnext_tiny']
    """
    return [efficientnet_lite.NAME, *APPLICATIONS]


def load_backbone(name: str | os.PathLike[str], *, size: Size | None = None) -> Backbone:
    """Load a pretrained network that turns images into features.

    Parameters
    ----------
    name : str or path
        One of `list_backbones`; ``"keras_hub:PRESET"`` for an image preset of KerasHub, if that is
        installed (``"keras_hub:dinov2_small"``, say); or the path of a ``.keras`` file, whose last
        dense layer is left out (a layer named ``features``, if there is one, gives the features).
    size : int, optional
        Side in pixels, 32 or more, to which images are resized before the network sees them; by
        default the side that it was trained with. Smaller ones are faster. A network of one's own
        may also take ``(height, width)``, and mostly fixes them itself.

    Returns
    -------
    Backbone
        The same object for the same arguments, so that its network is built once.

    Raises
    ------
    UnknownNameError
        No such backbone.
    ValueError
        The network does not take images of this size.
    DataNotFoundError
        Its weights are not on this machine, or cannot be downloaded; the message says what to do.
    DataCorruptError
        Its weights are damaged or were altered.

    Notes
    -----
    Only ``efficientnet_lite0`` was run with its real weights by those who wrote this, against
    photographs with known answers. The others are tested with random weights: that they load, are
    given pixels as their own preprocessing would, and are saved and read again.

    A network of one's own is given pixels in [0, 1], as `KerasImageClassifier` gives them to its
    network, unless its first `Rescaling` or `Normalization` layer shows that it takes 0–255.

    Examples
    --------
    >>> import numpy as np
    >>> from al_tf import load_backbone
    >>> backbone = load_backbone("efficientnet_lite0", size=64)
    >>> backbone.features(np.zeros((2, 28, 28), np.uint8), cache_dir=False).shape
    (2, 1280)
    """
    name = os.fspath(name) if isinstance(name, os.PathLike) else name
    is_own = isinstance(name, str) and name.endswith(SUFFIX)
    if not is_own and not (isinstance(name, str) and name.startswith(PREFIX)):
        known = [*list_backbones(), f"{PREFIX}PRESET", f"PATH{SUFFIX}"]
        check_one_of("backbone", name, known)
    size = _checked_size(size, least=1 if is_own else _LEAST_SIZE)
    key: Any = (name, size)
    if is_own and (path := Path(name).expanduser()).is_file():
        key = (*key, str(path.absolute()), path.stat().st_mtime_ns, path.stat().st_size)
    with _kept_lock:
        if key not in _kept:
            _kept[key] = Backbone(_network(name, size), size)
            if len(_kept) > _MAX_KEPT:
                _kept.popitem(last=False)
        _kept.move_to_end(key)
        return _kept[key]


def _checked_size(size: Size | None, *, least: int) -> Size | None:
    """Return `size` as plain integers: that of numpy is the same size, with the same fingerprint."""
    if size is None:
        return None
    sides = size if isinstance(size, tuple) and len(size) == 2 else (size,)
    for side in sides:
        if not isinstance(side, numbers.Integral) or side < least:
            raise ValueError(
                f"size must be a whole number of {least} pixels or more; got {size!r}."
            )
    return (int(sides[0]), int(sides[1])) if len(sides) == 2 else int(sides[0])


def _network(name: str, size: Size | None) -> PretrainedNetwork:
    if name.endswith(SUFFIX):
        _start_keras()
        return load_own_network(name, size)
    if isinstance(size, tuple):
        raise ValueError(f"{name} takes square images: size must be one number; got {size}.")
    if name == efficientnet_lite.NAME:
        return load_efficientnet_lite(size)
    _start_keras()
    return load_preset(name, size) if name.startswith(PREFIX) else load_application(name, size)


def _start_keras() -> None:
    with nullcontext() if "keras" in sys.modules else without_start_messages():
        import keras  # noqa: F401


class Backbone:
    """A frozen pretrained network. Made by `load_backbone`.

    Attributes
    ----------
    name : str
        As `load_backbone` takes it.
    size : int or (int, int)
        Side in pixels of the network's input, or its height and width.
    asked_size : int, (int, int) or None
        Size that `load_backbone` was given.
    dim : int
        Number of features of an image.
    fingerprint : str
        Names weights, preprocessing and size: the same in every process and on every backend of
        Keras, and another one where features may differ.
    """

    def __init__(self, network: PretrainedNetwork, size: Size | None = None) -> None:
        self._network = network
        self.asked_size = size
        self._body: keras.Model | None = None
        self._forwards: OrderedDict[Any, Callable[[np.ndarray], np.ndarray]] = OrderedDict()
        self._lock = threading.RLock()

    @property
    def name(self) -> str:
        """As `load_backbone` takes it."""
        return self._network.name

    @property
    def size(self) -> Size:
        """Side in pixels of the network's input, or its height and width."""
        return self._network.size

    @property
    def dim(self) -> int:
        """Number of features of an image."""
        return self._network.dim

    @property
    def fingerprint(self) -> str:
        """Text that changes with weights, preprocessing and size, and with nothing else."""
        network = self._network
        facts = repr((network.identity, network.size, network.dim, _PREPARATION))
        return hashlib.sha256(facts.encode()).hexdigest()[:32]

    def __repr__(self) -> str:
        return f"Backbone({self.name!r}, size={self.size}, dim={self.dim})"

    def __reduce__(self) -> Any:
        return _load_again, (self.name, self.asked_size)

    def __deepcopy__(self, memo: Any) -> Backbone:
        return self  # it never changes

    def features(self, X: Any, *, cache_dir: Any = None, progress: bool = False) -> np.ndarray:
        """Turn images into features.

        Parameters
        ----------
        X : array-like (n, H, W), (n, H, W, 1), (n, H, W, 3) or (n, H, W, 4)
            Grey, RGB, or RGB with opacity, which is laid on white; uint8 in 0–255 or floats in
            [0, 1]. Images are stretched to the network's square. Anything with ``shape``,
            ``dtype``, ``len`` and slicing is read in batches, and may be larger than memory.
        cache_dir : path or False, optional
            Folder where features are kept, by the content of each image; by default the user's
            cache, ``False`` for none. An image is embedded once for each backbone and size, in
            whatever array, folder or process it turns up again; after a stop in the middle, all
            but the last few batches are there. `al-tf cache` shows and clears what is kept.
        progress : bool
            Show a progress bar when it takes more than two seconds.

        Returns
        -------
        ndarray of float32 (n, dim)

        Raises
        ------
        ValueError
            For images of another shape or type, NaN, and floats outside [0, 1].

        Warns
        -----
        FeaturesNotKeptWarning
            Features cannot be kept, because the disk is full, say. They are returned all the same.
        """
        X = check_images(X)
        with self.store(cache_dir) as store, self.progress_bar(len(X), shown=progress) as bar:
            return self.features_and_digests(X, store, bar)[0]

    def store(self, cache_dir: Any = None) -> FeatureStore:
        """Open the store of this backbone's features; `cache_dir` as in `features`."""
        return FeatureStore(
            cache_dir,
            fingerprint=self.fingerprint,
            label=f"{self.name} at {self.size} pixels",
            dim=self.dim,
        )

    def progress_bar(self, n_images: int, *, shown: bool) -> Any:
        """Return a progress bar over images, shown when it takes more than two seconds."""
        return progress_bar(
            total=n_images,
            desc=f"Embedding ({self.name})",
            unit="image",
            shown=shown,
            delay=2,
            leave=False,
        )

    def features_and_digests(
        self, X: ImageSource, store: FeatureStore, bar: Any
    ) -> tuple[np.ndarray, list[bytes]]:
        """Read images once, a batch at a time; embed those that neither came before nor are kept.

        Returns
        -------
        features : ndarray of float32 (n, dim)
        digests : list of bytes
            Of each image, as `pixel_digests` makes them: the keys of the store.
        """
        shape = X.shape[1:]
        return embed(
            X,
            lambda: self._forward(shape, X.dtype == np.uint8),
            store,
            bar,
            dim=self.dim,
            batch=self.images_a_pass(shape),
        )

    def keras_model(
        self, input_shape: tuple[int, ...], *, scaled: bool = False, train_batch_norm: bool = False
    ) -> keras.Model:
        """Return a network from raw images to features, to use or to train elsewhere.

        It is made of plain Keras layers: a ``.keras`` file of it needs no code of its own. Every
        call builds a new one, and training it does not change the backbone.

        Parameters
        ----------
        input_shape : tuple of int
            Shape of one image, ``(H, W)`` or ``(H, W, C)`` with 1, 3 or 4 channels.
        scaled : bool
            Images have values in [0, 1] instead of 0–255.
        train_batch_norm : bool
            Let batch normalization be trained. Otherwise it keeps the statistics of its
            pretraining, as it should where the new images are few.

        Returns
        -------
        keras.Model
            ``(n, *input_shape)`` to features ``(n, dim)``. The pretrained part is one layer, named
            as the backbone's network; resizing and preprocessing are not trainable.

        Raises
        ------
        ValueError
            For an `input_shape` that is not that of images.
        """
        import keras

        check_image_shape(input_shape)
        body = self._build(for_inference=False)
        if not train_batch_norm:
            for layer in body._flatten_layers():
                if isinstance(layer, keras.layers.BatchNormalization):
                    layer.trainable = False
        return _with_preparation(body, tuple(input_shape), scaled=scaled)

    def _build(self, *, for_inference: bool) -> keras.Model:
        _start_keras()
        return self._network.build(for_inference)

    def images_a_pass(self, image_shape: tuple[int, ...]) -> int:
        """Return how many images of one shape go through the network at once."""
        height, width = np.broadcast_to(self.size, 2).tolist()
        return max(1, min(_PASS_PIXELS // (height * width), _images_a_part(image_shape)))

    def _forward(self, image_shape: tuple[int, ...], is_uint8: bool) -> Forward:
        """Return the compiled function for images of one shape."""
        key = (tuple(image_shape), is_uint8)
        with self._lock:
            if key not in self._forwards:
                if self._body is None:
                    self._body = self._build(for_inference=True)
                model = _with_preparation(self._body, key[0], scaled=not is_uint8)
                dtype = np.uint8 if is_uint8 else np.float32
                self._forwards[key] = compiled_forward(
                    model, dtype, largest=self.images_a_pass(key[0])
                )
                if len(self._forwards) > _MAX_KEPT:
                    self._forwards.popitem(last=False)
            self._forwards.move_to_end(key)
            return self._forwards[key]


def _images_a_part(image_shape: tuple[int, ...]) -> int:
    """Return how many images are read at once."""
    return max(1, min(_MAX_PART, _PART_PIXELS // math.prod(image_shape[:2])))


def _load_again(name: str, size: Size | None) -> Backbone:
    return load_backbone(name, size=size)


def _with_preparation(
    body: keras.Model, input_shape: tuple[int, ...], *, scaled: bool
) -> keras.Model:
    import keras

    with plain_float32():
        inputs = keras.Input(input_shape)
        features = body(prepared(inputs, body.input_shape[1:], scaled=scaled))
        return keras.Model(inputs, features)

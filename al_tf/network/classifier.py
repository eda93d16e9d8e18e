"""A Keras image classifier that behaves as scikit-learn and modAL expect."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from ..errors import check_one_of
from ..seeding import RandomState, check_random_state, derive_seed, stream
from .engine import Engine, NetworkState, block_steps, get_engine, images_a_pass
from .inputs import (
    class_weights,
    encoded_labels,
    is_streamed,
    network_input,
    one_hot_codes,
    release_pages,
    taken,
)
from .models import build_cnn
from .prediction_cache import PredictionCache, prediction_key

if TYPE_CHECKING:
    import keras

FIT_MODES = ("scratch", "warm", "warm_weights", "shrink_perturb")


class KerasImageClassifier(ClassifierMixin, TransformerMixin, BaseEstimator):
    """A Keras network with scikit-learn's interface, made for repeated fits.

    The compiled network is kept between fits and shared by clones, so only the first fit of an
    architecture traces. Images stay uint8 until they are on the device, and both training and
    prediction read them in batches: the pool may be larger than memory.

    Parameters
    ----------
    model_fn : callable
        ``model_fn(input_shape, n_classes, **model_params) -> keras.Model``, compiled, Sequential
        or functional, ending in a softmax.
    model_params : dict, optional
        Further keyword arguments of `model_fn`.
    classes : sequence, optional
        The label set, in the order of the columns of `predict_proba`. Fix it when the first
        labeled set may lack a class. Without it, the sorted labels of ``y``.
    epochs : int
        Passes over the labeled set in one fit, 1 or more.
    batch_size : int
        Images in one gradient step.
    min_steps : int
        Least number of gradient steps in one fit, so that small labeled sets are not undertrained.
    predict_batch_size : int, optional
        Images in one forward pass. By default 512, or fewer of large images: as many as have 2**20
        pixels together, which suits a CPU; a GPU with memory to spare takes more.
    fit_mode : {"scratch", "warm", "warm_weights", "shrink_perturb"}
        Each fit starts from new weights; from the last fit's weights and optimizer state; from
        its weights with a new optimizer; or from ``shrink · w + N(0, perturb²)`` with a new
        optimizer (Ash & Adams, "On Warm-Starting Neural Network Training", NeurIPS 2020).
    shrink, perturb : float
        Factor in [0, 1] and noise scale of ``"shrink_perturb"``.
    class_weight : dict or "balanced", optional
        Weight of each class in the loss, by label; ``"balanced"`` is scikit-learn's
        ``n / (n_classes_present · count)``.
    random_state : int, Generator, RandomState or None
        Seeds initial weights, dropout and the order of the batches. The same integer and data
        give the same weights, bit for bit, on the same machine on CPU.
    cache_dir : path, optional
        Folder where predictions are kept and used again, in this process or a later one, while
        neither the weights nor the pool has changed. Worth it for pools that take minutes.
    verbose : int
        1 shows a progress bar in `fit` and the predictions.

    Attributes
    ----------
    classes_ : ndarray (n_classes,)
        Labels, in the order of the columns of `predict_proba`.
    history_ : dict
        What the last fit did: ``fit_mode``, ``n_samples``, ``steps``, and ``loss``, the mean
        training loss of each pass over the data.
    input_shape_ : tuple of int
        Shape of one image.
    n_features_in_ : int
        Number of columns, for 2-D `X`.

    Notes
    -----
    Batches are cut from an endless stream of reshuffled epochs, so every batch is full: a fit
    takes ``ceil(n · epochs / batch_size)`` steps, or `min_steps` if that is more.
    """

    def __init__(
        self,
        model_fn: Callable[..., keras.Model] = build_cnn,
        *,
        model_params: dict[str, Any] | None = None,
        classes: Sequence[Any] | np.ndarray | None = None,
        epochs: int = 20,
        batch_size: int = 32,
        min_steps: int = 0,
        predict_batch_size: int | None = None,
        fit_mode: str = "scratch",
        shrink: float = 0.6,
        perturb: float = 0.01,
        class_weight: dict[Any, float] | str | None = None,
        random_state: RandomState = None,
        cache_dir: str | Path | None = None,
        verbose: int = 0,
    ) -> None:
        self.model_fn = model_fn
        self.model_params = model_params
        self.classes = classes
        self.epochs = epochs
        self.batch_size = batch_size
        self.min_steps = min_steps
        self.predict_batch_size = predict_batch_size
        self.fit_mode = fit_mode
        self.shrink = shrink
        self.perturb = perturb
        self.class_weight = class_weight
        self.random_state = random_state
        self.cache_dir = cache_dir
        self.verbose = verbose

    classes_: np.ndarray
    history_: dict[str, Any]
    input_shape_: tuple[int, ...]
    n_features_in_: int
    _state: NetworkState
    _n_fits: int

    # Training ---------------------------------------------------------------------------

    def fit(self, X: Any, y: Any) -> KerasImageClassifier:
        """Train on labeled images.

        Parameters
        ----------
        X : array-like (n, H, W), (n, H, W, C) or any (n, …) that `model_fn` takes
            uint8 in 0–255, scaled to [0, 1] on the device, or finite numbers taken as they are.
            Anything with ``shape``, ``dtype`` and slicing is read in batches.
        y : array-like (n,) or (n, n_classes)
            Labels, or one-hot rows whose columns follow `classes` (else 0, 1, …).

        Returns
        -------
        KerasImageClassifier
            Itself.

        Raises
        ------
        ValueError
            For `X` or `y` of a wrong shape, of different lengths, or not finite; and if the
            training loss becomes infinite or NaN.
        UnknownLabelError
            For a label that is not among `classes`.
        """
        before = self.__dict__.copy()
        try:
            self._fit(X, y)
        except BaseException:  # Ctrl-C too: a fit that did not end leaves the classifier as it was
            self.__dict__ = before
            raise
        return self

    def _fit(self, X: Any, y: Any) -> None:
        self._check_parameters()
        X = self._checked_images(X, fitting=True)
        classes, codes = encoded_labels(y, len(X), self.classes)
        continues = self.fit_mode != "scratch" and hasattr(self, "_state")
        if continues and not np.array_equal(classes, self.classes_):
            raise ValueError(
                f"fit_mode={self.fit_mode!r} goes on from a network for classes "
                f"{list(self.classes_)}, but this fit has {list(classes)}. Fix classes=… up front."
            )
        self.classes_ = classes
        self._n_fits = self._n_fits + 1 if continues else 1
        engine = self._engine()
        seed = int(check_random_state(self.random_state).integers(2**31))
        with engine.lock:
            engine.owner = None  # until training has ended, its state belongs to nobody
            engine.load(self._starting_state(engine, seed, continues))
            self._train(engine, X, codes, seed)
            self._state = engine.state()
            engine.owner = self._state

    def _starting_state(self, engine: Engine, seed: int, continues: bool) -> NetworkState:
        fresh = engine.fresh_state(derive_seed(seed, "weights"))
        if not continues:
            return fresh
        if self.fit_mode == "warm":
            return self._state
        if self.fit_mode == "warm_weights":
            return NetworkState(self._state.variables, fresh.optimizer)
        rng = stream(seed, "perturb", self._n_fits)
        variables = [
            self.shrink * v + rng.normal(0, self.perturb, v.shape).astype(v.dtype) if moves else v
            for v, moves in zip(self._state.variables, engine.trainable_mask(), strict=True)
        ]
        return NetworkState(variables, fresh.optimizer)

    def _train(self, engine: Engine, X: Any, codes: np.ndarray, seed: int) -> None:
        n = len(X)
        steps = max(-(-n * self.epochs // self.batch_size), self.min_steps)
        weights = class_weights(self.class_weight, self.classes_, codes)
        rng = stream(seed, "shuffle", self._n_fits)
        losses: list[np.ndarray] = []
        with self._progress(steps, "fit", "step") as bar:
            block = block_steps((self.batch_size, *X.shape[1:]))
            for rows in _row_blocks(n, self.batch_size, steps, block, rng):
                images = taken(X, rows.ravel()).reshape(*rows.shape, *X.shape[1:])
                losses.append(engine.train(images, codes[rows], weights[rows]))
                if not np.isfinite(losses[-1]).all():
                    raise ValueError(
                        f"Training diverged: the loss became {losses[-1][-1]} within "
                        f"{sum(map(len, losses))} steps. Scale the images to [0, 1] (uint8 are "
                        "scaled for you) or lower the learning rate in model_params."
                    )
                bar.update(len(rows))
        passes = max(1, round(steps * self.batch_size / n))
        per_pass = np.array_split(np.concatenate(losses), min(passes, steps))
        self.history_ = {
            "fit_mode": self.fit_mode,
            "n_samples": n,
            "steps": steps,
            "loss": [float(part.mean()) for part in per_pass],
        }

    # Prediction -------------------------------------------------------------------------

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable label of each image, ``(n,)``, from `classes_`."""
        proba = self.predict_proba(X)
        return self.classes_[proba.argmax(axis=1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return class probabilities, float32 ``(n, n_classes)``, columns as in `classes_`."""
        return self.predict_with_features(X)[0]

    def transform(self, X: Any) -> np.ndarray:
        """Return the features of the images, float32 ``(n, d)``: see `build_cnn`."""
        return self.predict_with_features(X)[1]

    def predict_with_features(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return probabilities and penultimate features from one forward pass.

        Parameters
        ----------
        X : array-like (n, …)
            Images of the shape given to `fit`.

        Returns
        -------
        proba : ndarray of float32 (n, n_classes)
        features : ndarray of float32 (n, d)

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        ValueError
            For images of another shape or with values that are not finite.
        """
        check_is_fitted(self)
        X = self._checked_images(X, fitting=False)
        if self.cache_dir is None:
            return self._predicted(X)
        cache, key = PredictionCache(self.cache_dir), prediction_key(self._state.variables, X)
        prediction = cache.load(key)
        if prediction is None:
            prediction = self._predicted(X)
            cache.save(key, prediction)
        return prediction

    def _predicted(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        with self._loaded_engine() as engine, self._progress(len(X), "predict", "image") as bar:
            proba, features = self._forward(engine, X, bar)
        if abs(proba.sum(axis=1) - 1).max() > 1e-3:
            raise ValueError(
                "The network's outputs do not sum to 1: model_fn must end in a softmax layer."
            )
        return proba, features

    def sample_proba(
        self, X: Any, n_samples: int = 20, random_state: RandomState = None
    ) -> np.ndarray:
        """Sample class probabilities with dropout left on (Gal & Ghahramani, ICML 2016).

        Parameters
        ----------
        X : array-like (n, …)
        n_samples : int
            Number of stochastic forward passes.
        random_state : int, Generator, RandomState or None
            Seeds the dropout masks.

        Returns
        -------
        ndarray of float32 (n_samples, n, n_classes)

        Raises
        ------
        ValueError
            If the network has no dropout layer: all samples would be the same.
        """
        check_is_fitted(self)
        X = self._checked_images(X, fitting=False)
        if not self._engine().has_dropout:
            raise ValueError(
                "sample_proba needs a network with dropout; this one has none. With build_cnn, "
                "pass model_params={'dropout': 0.25} and fit again."
            )
        seed = int(check_random_state(random_state).integers(2**31))
        total = n_samples * len(X)
        with self._loaded_engine() as engine, self._progress(total, "sample", "image") as bar:
            engine.reseed_dropout(seed)
            engine.owner = None  # its dropout state is no longer the one that was loaded
            samples = [self._forward(engine, X, bar, sample=True)[0] for _ in range(n_samples)]
        return np.stack(samples)

    def score(self, X: Any, y: Any, sample_weight: np.ndarray | None = None) -> float:
        """Return the accuracy on images and labels (or one-hot rows), in [0, 1]."""
        check_is_fitted(self)
        if np.ndim(y) == 2 and np.shape(y)[1] > 1:
            y = self.classes_[one_hot_codes(np.asarray(y), len(self.classes_))]
        return super().score(X, y, sample_weight)

    def _forward(
        self, engine: Engine, X: Any, bar: Any, *, sample: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Run all of `X` forward, in batches, into arrays of the final size."""
        self._check_parameters()  # a batch size may have been set since the fit
        size = self.predict_batch_size
        if size is None:
            size = images_a_pass(X.shape[1:])
        outputs: tuple[np.ndarray, ...] = ()
        for start in range(0, len(X), size):
            images = network_input(X[start : start + size], start)
            found = engine.forward(images, sample=sample, largest=size)
            outputs = outputs or tuple(np.empty((len(X), *a.shape[1:]), a.dtype) for a in found)
            for output, part in zip(outputs, found, strict=True):
                output[start : start + size] = part
            release_pages(X)
            bar.update(len(images))
        return outputs[0], outputs[1]

    # State ------------------------------------------------------------------------------

    def save_weights(self, path: str | Path) -> None:
        """Write the fitted state to `path` as an ``.npz`` of plain arrays, atomically.

        Holds weights, optimizer state, classes and image shape: what `load_weights` needs to
        predict or to go on training in a classifier made with the same parameters.
        """
        check_is_fitted(self)
        path = Path(path)
        arrays: dict[str, Any] = {
            "classes": self.classes_,
            "input_shape": np.array(self.input_shape_),
            "n_fits": self._n_fits,
        }
        arrays |= {f"variable_{i}": v for i, v in enumerate(self._state.variables)}
        arrays |= {f"optimizer_{i}": v for i, v in enumerate(self._state.optimizer)}
        partial = path.with_name(path.name + ".partial")
        with partial.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        partial.replace(path)

    def load_weights(self, path: str | Path) -> KerasImageClassifier:
        """Take over the fitted state that `save_weights` wrote.

        Raises
        ------
        ValueError
            If the file holds the weights of another architecture.
        """
        self._check_parameters()
        with np.load(path, allow_pickle=False) as file:
            variables = [file[f"variable_{i}"] for i in range(_count(file, "variable_"))]
            optimizer = [file[f"optimizer_{i}"] for i in range(_count(file, "optimizer_"))]
            classes, n_fits = file["classes"], int(file["n_fits"])
            input_shape = tuple(int(side) for side in file["input_shape"])
        engine = get_engine(self.model_fn, self.model_params, input_shape, len(classes))
        engine.check_state(NetworkState(variables, optimizer), source=str(path))
        self.classes_, self.input_shape_, self._n_fits = classes, input_shape, n_fits
        if len(input_shape) == 1:
            self.n_features_in_ = input_shape[0]
        self._state = NetworkState(variables, optimizer)
        self.history_ = {"loaded_from": str(path)}
        return self

    def to_keras(self, *, rescale: bool = True) -> keras.Model:
        """Return the trained network as a Keras model of its own, to save and use elsewhere.

        Parameters
        ----------
        rescale : bool
            Put the division by 255 into the model, which then takes images of 0–255, as uint8
            images were when it was fitted. Without it, the model takes images scaled already.

        Returns
        -------
        keras.Model
            Images ``(n, …)`` to probabilities ``(n, n_classes)``, columns as in `classes_`. It is
            not compiled, and later fits do not change it.
        """
        check_is_fitted(self)
        import keras

        network = self.model_fn(self.input_shape_, len(self.classes_), **(self.model_params or {}))
        for variable, value in zip(network.variables, self._state.variables, strict=True):
            variable.assign(value)
        inputs = keras.Input(self.input_shape_)
        scaled = keras.layers.Rescaling(1 / 255)(inputs) if rescale else inputs
        uncompiled = keras.Model(network.inputs, network.outputs)
        return keras.Model(inputs, uncompiled(scaled))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        tags.input_tags.three_d_array = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_state")

    def _engine(self) -> Engine:
        n_classes = len(self.classes_)
        return get_engine(self.model_fn, self.model_params, self.input_shape_, n_classes)

    @contextmanager
    def _loaded_engine(self) -> Iterator[Engine]:
        """Hold the engine with this classifier's weights in it."""
        engine = self._engine()
        with engine.lock:
            if engine.owner is not self._state:
                engine.load(self._state)
                engine.owner = self._state
            yield engine

    # Input ------------------------------------------------------------------------------

    def _check_parameters(self) -> None:
        check_one_of("fit_mode", self.fit_mode, FIT_MODES)
        bounds = {"epochs": 1, "batch_size": 1, "min_steps": 0}
        if self.predict_batch_size is not None:
            bounds["predict_batch_size"] = 1
        for name, least in bounds.items():
            value = getattr(self, name)
            if not isinstance(value, numbers.Integral) or value < least:
                raise ValueError(f"{name} must be an integer of {least} or more; got {value!r}.")

    def _checked_images(self, X: Any, *, fitting: bool) -> Any:
        """Return `X` as something with shape, dtype and slicing; streamed sources as they are."""
        given = tuple(X.shape) if hasattr(X, "shape") else np.asarray(X).shape
        if len(given) < 2:
            raise ValueError(
                "X must be images (n, H, W) or (n, H, W, C), or another array of two or more "
                f"dimensions; got shape {given}. Reshape your data: for one image pass "
                "X[np.newaxis]."
            )
        validate_data(self, X, reset=fitting, skip_check_array=True)  # feature names and count
        if not is_streamed(X):
            X = check_array(X, allow_nd=True, ensure_2d=False, dtype="numeric", estimator=self)
        if len(X) == 0:
            raise ValueError(f"X holds no images: its shape is {tuple(X.shape)}.")
        shape = tuple(int(side) for side in X.shape[1:])
        if fitting:
            self.input_shape_ = shape
        elif shape != self.input_shape_:
            raise ValueError(
                f"The network was fitted on images of shape {self.input_shape_}; got {shape}."
            )
        return X

    def _progress(self, total: int, what: str, unit: str) -> Any:
        from tqdm.auto import tqdm

        return tqdm(total=total, desc=what, unit=unit, disable=not self.verbose, leave=False)


def _row_blocks(
    n: int, batch: int, steps: int, block: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yield row numbers ``(at most block, batch)`` from an endless stream of reshuffled epochs."""
    rest = np.empty(0, dtype=np.intp)
    while steps:
        size = min(steps, block)
        epochs = max(0, -(-(size * batch - len(rest)) // n))
        rest = np.concatenate([rest, *(rng.permutation(n) for _ in range(epochs))])
        yield rest[: size * batch].reshape(size, batch)
        rest = rest[size * batch :]
        steps -= size


def _count(file: Any, prefix: str) -> int:
    return sum(name.startswith(prefix) for name in file.files)

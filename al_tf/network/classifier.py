"""A Keras image classifier that behaves as scikit-learn and modAL expect."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..errors import check_one_of
from ..images import ImageSource
from ..seeding import RandomState, check_random_state, derive_seed, stream
from .engine import Engine, NetworkState, block_steps, images_a_pass
from .fitting import FIT_MODES, gradient_steps
from .image_classifier import ImageClassifier
from .inputs import check_scale, class_weights, encoded_labels, prediction_batches, training_blocks
from .kept_engines import get_engine
from .models import build_cnn
from .prediction_cache import PredictionCache, prediction_key
from .weights_file import numbered, read_arrays, write_arrays

if TYPE_CHECKING:
    import keras


class KerasImageClassifier(ImageClassifier):
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

    history_: dict[str, Any]
    _state: NetworkState
    _n_fits: int

    # Training ---------------------------------------------------------------------------

    def _fit(self, X: Any, y: Any) -> None:
        self._check_parameters()
        continues = self.fit_mode != "scratch" and hasattr(self, "_state")
        known_scale = self._scale if continues else None
        source = self._checked_images(X, fitting=True)
        classes, codes = encoded_labels(y, len(source), self.classes)
        if continues and not np.array_equal(classes, self.classes_):
            raise ValueError(
                f"fit_mode={self.fit_mode!r} goes on from a network for classes "
                f"{list(self.classes_)}, but this fit has {list(classes)}. Fix classes=… up front."
            )
        if known_scale is not None:
            check_scale(known_scale, source)
        self.classes_ = classes
        self._n_fits = self._n_fits + 1 if continues else 1
        engine = self._engine()
        seed = int(check_random_state(self.random_state).integers(2**31))
        with engine.lock:
            engine.owner = None  # until training has ended, its state belongs to nobody
            engine.load(self._starting_state(engine, seed, continues))
            self._train(engine, source, codes, seed)
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

    def _train(self, engine: Engine, source: ImageSource, codes: np.ndarray, seed: int) -> None:
        n = len(source)
        steps = gradient_steps(
            n, epochs=self.epochs, batch_size=self.batch_size, min_steps=self.min_steps
        )
        blocks = training_blocks(
            source,
            codes,
            class_weights(self.class_weight, self.classes_, codes),
            batch_size=self.batch_size,
            steps=steps,
            block=block_steps((self.batch_size, *source.shape[1:])),
            rng=stream(seed, "shuffle", self._n_fits),
        )
        losses: list[np.ndarray] = []
        with self._progress(steps, "fit", "step") as bar:
            for block in blocks:
                losses.append(engine.train(*block))
                if not np.isfinite(losses[-1]).all():
                    raise ValueError(
                        f"Training diverged: the loss became {losses[-1][-1]} within "
                        f"{sum(map(len, losses))} steps. Scale the images to [0, 1] (uint8 are "
                        "scaled for you) or lower the learning rate in model_params."
                    )
                bar.update(len(losses[-1]))
        passes = max(1, round(steps * self.batch_size / n))
        per_pass = np.array_split(np.concatenate(losses), min(passes, steps))
        self.history_ = {
            "fit_mode": self.fit_mode,
            "n_samples": n,
            "steps": steps,
            "loss": [float(part.mean()) for part in per_pass],
        }

    # Prediction -------------------------------------------------------------------------

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
        source = self._checked_images(X, fitting=False)
        if self.cache_dir is None:
            return self._predicted(source)
        cache, key = PredictionCache(self.cache_dir), prediction_key(self._state.variables, source)
        prediction = cache.load(key)
        if prediction is None:
            prediction = self._predicted(source)
            cache.save(key, prediction)
        return prediction

    def _predicted(self, source: ImageSource) -> tuple[np.ndarray, np.ndarray]:
        total = len(source)
        with self._loaded_engine() as engine, self._progress(total, "predict", "image") as bar:
            proba, features = self._forward(engine, source, bar)
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
        source = self._checked_images(X, fitting=False)
        if not self._engine().has_dropout:
            raise ValueError(
                "sample_proba needs a network with dropout; this one has none. With build_cnn, "
                "pass model_params={'dropout': 0.25} and fit again."
            )
        seed = int(check_random_state(random_state).integers(2**31))
        total = n_samples * len(source)
        with self._loaded_engine() as engine, self._progress(total, "sample", "image") as bar:
            engine.reseed_dropout(seed)
            engine.owner = None  # its dropout state is no longer the one that was loaded
            samples = [self._forward(engine, source, bar, sample=True)[0] for _ in range(n_samples)]
        return np.stack(samples)

    def _forward(
        self, engine: Engine, source: ImageSource, bar: Any, *, sample: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Run all images forward, in batches, into arrays of the final size."""
        self._check_parameters()  # a batch size may have been set since the fit
        n, size = len(source), self.predict_batch_size
        if size is None:
            size = images_a_pass(source.shape[1:])
        outputs: tuple[np.ndarray, ...] = ()
        for rows, images in prediction_batches(source, size):
            parts = engine.forward(images, sample=sample, largest=size)
            outputs = outputs or tuple(np.empty((n, *a.shape[1:]), a.dtype) for a in parts)
            for output, part in zip(outputs, parts, strict=True):
                output[rows] = part
            bar.update(len(images))
        return outputs[0], outputs[1]

    # State ------------------------------------------------------------------------------

    def save_weights(self, path: str | Path) -> None:
        """Write the fitted state to `path` as an ``.npz`` of plain arrays, atomically.

        Holds weights, optimizer state, classes and image shape: what `load_weights` needs to
        predict or to go on training in a classifier made with the same parameters.
        """
        check_is_fitted(self)
        arrays: dict[str, Any] = {
            "classes": self.classes_,
            "input_shape": np.array(self.input_shape_),
            "scale": self._scale,
            "n_fits": self._n_fits,
        }
        arrays |= {f"variable_{i}": v for i, v in enumerate(self._state.variables)}
        arrays |= {f"optimizer_{i}": v for i, v in enumerate(self._state.optimizer)}
        write_arrays(path, arrays)

    def load_weights(self, path: str | Path) -> KerasImageClassifier:
        """Take over the fitted state that `save_weights` wrote.

        Raises
        ------
        DataCorruptError
            If the file cannot be read.
        ValueError
            If the file holds the weights of another architecture.
        """
        self._check_parameters()
        arrays = read_arrays(path)
        state = NetworkState(numbered(arrays, "variable_"), numbered(arrays, "optimizer_"))
        classes, n_fits = arrays["classes"], int(arrays["n_fits"])
        input_shape = tuple(int(side) for side in arrays["input_shape"])
        engine = get_engine(self.model_fn, self.model_params, input_shape, len(classes))
        engine.check_state(state, source=str(path))
        self.classes_, self.input_shape_, self._n_fits = classes, input_shape, n_fits
        self._scale = str(arrays.get("scale", "unclear"))  # older files do not state it
        self._forget_columns()
        if len(input_shape) == 1:
            self.n_features_in_ = input_shape[0]
        self._state = state
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

    def _check_parameters(self) -> None:
        check_one_of("fit_mode", self.fit_mode, FIT_MODES)
        bounds = {"epochs": 1, "batch_size": 1, "min_steps": 0}
        if self.predict_batch_size is not None:
            bounds["predict_batch_size"] = 1
        for name, least in bounds.items():
            value = getattr(self, name)
            if not isinstance(value, numbers.Integral) or value < least:
                raise ValueError(f"{name} must be an integer of {least} or more; got {value!r}.")

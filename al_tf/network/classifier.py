"""A Keras image classifier that behaves as scikit-learn and modAL expect."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..errors import check_one_of
from ..image_arrays import ImageSource
from ..seeding import RandomState, check_random_state
from .augmentation import without_augmentation
from .building import with_pixels_divided
from .engine import Engine, NetworkState
from .fitting import FIT_MODES, check_same_classes, refuse_arguments
from .image_classifier import ImageClassifier
from .inputs import check_n_samples, check_scale, encoded_labels, loss_weights
from .kept_engines import get_engine
from .models import build_cnn
from .prediction import check_probabilities, forward
from .prediction_cache import PredictionCache, prediction_key
from .training import FitPlan, PreparedFit, starting_state, train_on
from .weights_file import SavedFit

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
        ``model_fn(input_shape, n_classes, **model_params) -> keras.Model``, compiled and ending in
        a softmax: Sequential, functional or subclassed, with other models inside. Layers that it
        returns twice are copied. A compiled model in place of a function serves as well; each fit
        from scratch then starts from its weights.
    model_params : dict, optional
        Further keyword arguments of `model_fn`. Optimizers, schedules, initializers and layers
        among them are copied for each network.
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
    rescale : bool, optional
        Divide uint8 images by 255 before the network. By default, unless the network begins with
        a layer that rescales images itself (``Rescaling``, ``Normalization``, or the arithmetic of
        Keras Applications' ``preprocess_input``); a warning then says so. Floats are never scaled.
    validation_split : float
        Hold out this fraction of each class in `fit`, in [0, 1), and keep the weights of the pass
        with the smallest validation loss. With few labels that is a poor bargain: of 100 labels,
        0.2 takes 20 from training, as much as two rounds of queries, for a loss so noisy that its
        smallest value says little.
    patience : int, optional
        With `validation_split`, stop after so many passes without a smaller validation loss.
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
        training loss of each pass over the data; with `validation_split` also
        ``validation_loss`` and ``best_pass``, from 1.
    input_shape_ : tuple of int
        Shape of one image.
    n_features_in_ : int
        Number of columns, for 2-D `X`.

    Notes
    -----
    Batches are cut from an endless stream of reshuffled epochs, so every batch is full: a fit
    takes ``ceil(n · epochs / batch_size)`` steps, or `min_steps` if that is more.

    Examples
    --------
    >>> from al_tf import KerasImageClassifier, load_dataset
    >>> digits = load_dataset("digits")
    >>> classifier = KerasImageClassifier(
    ...     model_params={"filters": [8], "dense": 32}, classes=range(10), epochs=40, random_state=0)
    >>> classifier.fit(digits.x_train[:200], digits.y_train[:200]).predict_proba(digits.x_test).shape
    (359, 10)
    >>> classifier.score(digits.x_test, digits.y_test) > 0.5
    True
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
        rescale: bool | None = None,
        validation_split: float = 0.0,
        patience: int | None = None,
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
        self.rescale = rescale
        self.validation_split = validation_split
        self.patience = patience
        self.cache_dir = cache_dir
        self.verbose = verbose

    _state: NetworkState
    _n_fits: int

    # Training ---------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        epochs: int | None = None,
        batch_size: int | None = None,
        verbose: int | None = None,
        **others: Any,
    ) -> KerasImageClassifier:
        """Train on labeled images.

        Parameters
        ----------
        X : array-like (n, H, W), (n, H, W, C) or any (n, …) that `model_fn` takes
            uint8 in 0–255, scaled to [0, 1] on the device, or finite numbers taken as they are.
            Anything with ``shape``, ``dtype`` and slicing is read in batches.
        y : array-like (n,) or (n, n_classes)
            Labels, or one-hot rows whose columns follow `classes` (else 0, 1, …).
        sample_weight : array-like (n,), optional
            Factor of each image's loss, 0 or more; it multiplies `class_weight`.
        epochs, batch_size, verbose : int, optional
            In place of the classifier's own, for this fit.
        **others
            Refused; the message says where the setting lives.

        Returns
        -------
        KerasImageClassifier
            Itself.

        Raises
        ------
        TypeError
            For another argument of Keras' ``fit``.
        ValueError
            For `X` or `y` of a wrong shape, of different lengths, or not finite; and if the
            training loss becomes infinite or NaN. The classifier is then as it was before.
        UnknownLabelError
            For a label that is not among `classes`.
        """
        refuse_arguments(others)
        plan = FitPlan.of(self, epochs=epochs, batch_size=batch_size)
        return self._fit_or_restore(X, y, sample_weight, plan, verbose)

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        plan: FitPlan | None = None,
        verbose: int | None = None,
    ) -> None:
        plan = plan or FitPlan.of(self)
        fit = self._prepared(X, y, sample_weight, plan)
        engine = fit.engine
        with engine.lock:
            engine.owner = None  # until training has ended, its state belongs to nobody
            engine.load(fit.start)
            with self._progress(plan.steps(len(fit.source)), "fit", "step", verbose) as bar:
                done = train_on(
                    engine, fit.source, fit.codes, fit.weights, plan, fit.seed, fit.number, bar
                )
            self._finish(engine.state(), done)
            engine.owner = self._state

    def _finish(self, state: NetworkState, history: dict[str, Any]) -> None:
        """Become the classifier that training has led to."""
        self.history_ = {"fit_mode": self.fit_mode, **history}
        self._state = state

    def _prepared(self, X: Any, y: Any, sample_weight: Any, plan: FitPlan) -> PreparedFit:
        """Check what a fit is given, and return what it starts from."""
        check_one_of("fit_mode", self.fit_mode, FIT_MODES)
        plan.check()
        continues = self.fit_mode != "scratch" and hasattr(self, "_state")
        known_scale = self._scale if continues else None
        source = self._checked_images(X, fitting=True)
        classes, codes = encoded_labels(y, len(source), self.classes)
        if continues:
            check_same_classes(self.fit_mode, self.classes_, classes)
        if known_scale is not None:
            check_scale(known_scale, source, divides=self._divides_uint8())
        self.classes_ = classes
        self._n_fits = self._n_fits + 1 if continues else 1
        weights = loss_weights(self.class_weight, sample_weight, classes, codes)
        engine = self._engine()
        engine.check_weights(weights)
        if self.rescale is None and source.dtype == np.uint8:
            engine.warn_of_rescaling()
        seed = int(check_random_state(self.random_state).integers(2**31))
        with engine.lock:
            start = starting_state(
                engine, self._state if continues else None, self.fit_mode,
                seed=seed, fit_number=self._n_fits, shrink=self.shrink, perturb=self.perturb,
            )  # fmt: skip
        return PreparedFit(engine, source, codes, weights, seed, self._n_fits, start)

    # Prediction -------------------------------------------------------------------------

    def _outputs(self, source: ImageSource) -> tuple[np.ndarray, np.ndarray]:
        if self.cache_dir is None:
            return self._predicted(source)
        cache = PredictionCache(self.cache_dir)
        key = prediction_key(self._state.variables, source, self._divides_uint8())
        prediction = cache.load(key)
        if prediction is None:
            prediction = self._predicted(source)
            cache.save(key, prediction)
        return prediction

    def _predicted(self, source: ImageSource) -> tuple[np.ndarray, np.ndarray]:
        FitPlan.of(self).check()  # a batch size may have been set since the fit
        total, size = len(source), self.predict_batch_size
        with self._loaded_engine() as engine, self._progress(total, "predict", "image") as bar:
            proba, features = forward(engine, source, size, bar)
        check_probabilities(proba)
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
        n_samples = check_n_samples(n_samples)
        source = self._checked_images(X, fitting=False)
        if not self._engine().has_dropout:
            raise ValueError(
                "sample_proba needs a network with dropout; this one has none. With build_cnn, "
                "pass model_params={'dropout': 0.25} and fit again."
            )
        seed = int(check_random_state(random_state).integers(2**31))
        FitPlan.of(self).check()
        total, size = n_samples * len(source), self.predict_batch_size
        with self._loaded_engine() as engine, self._progress(total, "sample", "image") as bar:
            engine.reseed_dropout(seed)
            engine.owner = None  # its dropout state is no longer the one that was loaded
            samples = [forward(engine, source, size, bar, sample=True)[0] for _ in range(n_samples)]
        return np.stack(samples)

    # State ------------------------------------------------------------------------------

    def save_weights(self, path: str | Path) -> None:
        """Write the fitted state to `path` as an ``.npz`` of plain arrays, atomically.

        Holds weights, optimizer state, classes and image shape: what `load_weights` needs to
        predict or to go on training in a classifier made with the same parameters.
        """
        check_is_fitted(self)
        SavedFit(self.classes_, self.input_shape_, self._scale, self._n_fits, self._state).write(
            path
        )

    def load_weights(self, path: str | Path) -> KerasImageClassifier:
        """Take over the fitted state that `save_weights` wrote.

        Raises
        ------
        DataCorruptError
            If the file cannot be read.
        ValueError
            If the file holds the weights of another architecture.
        """
        FitPlan.of(self).check()
        saved = SavedFit.read(path)
        engine = get_engine(
            self.model_fn, self.model_params, saved.input_shape, len(saved.classes), self.rescale
        )
        engine.check_state(saved.state, source=str(path))
        self._take_over(saved.classes, saved.input_shape, saved.scale, path)
        self._n_fits, self._state = saved.n_fits, saved.state
        return self

    def to_keras(self, *, rescale: bool = True) -> keras.Model:
        """Return the trained network as a Keras model of its own, to save and use elsewhere.

        Parameters
        ----------
        rescale : bool
            Put the division by 255 into the model, which then takes images of 0–255, as uint8
            images were when it was fitted. Without it, the model takes images scaled already. A
            network that rescales images itself, or was fitted on other floats than those in
            [0, 1], gets no division: it takes what `fit` took.

        Returns
        -------
        keras.Model
            Images ``(n, …)`` to probabilities ``(n, n_classes)``, columns as in `classes_`. It is
            not compiled, and later fits do not change it.
        """
        check_is_fitted(self)
        divided = rescale and self._divides_uint8() and self._scale not in ("0-255", "other")
        network = without_augmentation(self._engine().new_network(self._state))
        return with_pixels_divided(network, self.input_shape_) if divided else network

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_state")

    def _engine(self) -> Engine:
        n_classes = len(self.classes_)
        return get_engine(
            self.model_fn, self.model_params, self.input_shape_, n_classes, self.rescale
        )

    def _divides_uint8(self) -> bool:
        return self._engine().rescale

    @contextmanager
    def _loaded_engine(self) -> Iterator[Engine]:
        """Hold the engine with this classifier's weights in it."""
        engine = self._engine()
        with engine.lock:
            if engine.owner is not self._state:
                engine.load(self._state)
                engine.owner = self._state
            yield engine

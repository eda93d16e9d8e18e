"""Logistic regression on the features of a pretrained network: `LinearProbeClassifier`."""

from __future__ import annotations

import numbers
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted, validate_data

from ..seeding import RandomState, check_random_state
from .finetuned import resolved_backbone
from .image_classifier import ImageClassifier
from .inputs import check_n_samples, encoded_labels, loss_weights, network_input
from .laplace import LaplacePosterior
from .linear_head import LabeledFeatures, LinearHead, fit_head
from .sources import image_source
from .weights_file import SavedProbe

if TYPE_CHECKING:
    import keras

    from .backbones import Backbone


class LinearProbeClassifier(ImageClassifier):
    """Multinomial logistic regression on frozen features of a pretrained network.

    The network is never trained, so its features are computed once per image, and a fit takes
    milliseconds: it has one optimum, which depends on the labeled set alone and not on a seed or on
    earlier fits. With few labels it is far better than a network trained from scratch.

    Parameters
    ----------
    backbone : str, path, Backbone or None
        Name of a pretrained network or ``.keras`` file, as `load_backbone` takes it, or what that
        returned. With None the classifier takes features ``(n, d)`` in place of images.
    size : int, optional
        Side of the square, in pixels, that images are resized to for a backbone given by name. By
        default the backbone's own choice.
    C : float
        Inverse strength of the L2 penalty, as in scikit-learn, more than 0.
    classes : sequence, optional
        The label set, in the order of the columns of `predict_proba`. Fix it when the first
        labeled set may lack a class. Without it, the sorted labels of ``y``.
    class_weight : dict or "balanced", optional
        Weight of each class in the loss, by label; ``"balanced"`` is scikit-learn's
        ``n / (n_classes_present · count)``.
    random_state : int, Generator, RandomState or None
        Has no effect, since the optimum has no chance in it; it is here so that this classifier can
        stand where `KerasImageClassifier` does.
    cache_dir : path or False, optional
        Folder where features are kept by the content of each image, for later fits, predictions and
        processes; by default the user's cache, ``False`` for none.
    verbose : int
        1 shows a progress bar while features are computed.

    Attributes
    ----------
    classes_ : ndarray (n_classes,)
        Labels, in the order of the columns of `predict_proba`.
    coef_ : ndarray of float32 (n_classes, d)
        Weights of the features as `transform` returns them: ``predict_proba`` is the softmax of
        ``transform(X) @ coef_.T + intercept_``.
    intercept_ : ndarray of float32 (n_classes,)
    history_ : dict
        What the last fit did: ``n_samples``, ``steps`` of the solver, and ``loss``, a list of the
        mean log loss on the labeled set at the end.
    input_shape_ : tuple of int
        Shape of one image, or ``(d,)`` after a fit on features.
    n_features_in_ : int
        Number of columns, only after a fit on features.

    Notes
    -----
    Columns are standardised by the labeled set alone, with a floor under their scale while labels
    are few (``Standardization`` in ``al_tf/network/linear_head.py``). A class of `classes` without
    a label has a probability of about 0; with a single class in the labeled set, all images belong
    to it.

    Penalty and floor were chosen by ``benchmarks/probe.py``: EfficientNet-Lite0, random labeled
    sets, means of 10 seeds; macro F1 of the magnetic tiles (good or defective, split by tile, which
    alone moves it by 0.03 to 0.06 SD), accuracy of the others.

    ======================  =======================  =======================  =======================
    pixels, C, floor        tiles, labels            Fashion-MNIST            CIFAR-10, JPEG copy
    ..                      10    50    200   1,000  10    50    200   1,000  10    50    200   1,000
    ======================  =======================  =======================  =======================
    224, 0.3, 5 (default)   .509  .630  .702  .722   .409  .665  .811  .862   .261  .509  .662  .726
    224, 0.3, 0             .512  .635  .688  .723   .306  .614  .803  .862   .201  .492  .660  .726
    224, 0.1, 10            .479  .613  .696  .725   .401  .664  .813  .864   .250  .507  .663  .726
    224, 0.03, 5            .477  .619  .699  .726   .392  .656  .810  .865   .244  .500  .663  .727
    224, 0.1, 5             .500  .627  .703  .724   .402  .662  .811  .864   .255  .507  .663  .727
    224, 1, 5               .511  .635  .700  .720   .412  .668  .811  .861   .265  .514  .661  .726
    160, 0.3, 5             .508  .620  .685  .721   .393  .651  .801  .849   .255  .503  .655  .726
    128, 0.3, 5             .510  .610  .685  .731   .388  .639  .786  .848   .238  .477  .625  .688
    96, 0.3, 5              .502  .592  .647  .661   .395  .635  .771  .822   .233  .446  .598  .663
    ======================  =======================  =======================  =======================

    Without a floor, 10 to 50 labels of Fashion-MNIST and CIFAR-10 are worth 2 to 10 points less,
    since columns that are nearly constant in a few images count as much as any other; the tiles
    show no such difference. C matters little. With 200 labels or more, 224 pixels are 4 to 6 points
    better than 96, for five times the arithmetic; 160 pixels take half of it.

    `sample_proba` draws weights from the Laplace approximation of their posterior (MacKay, "The
    Evidence Framework Applied to Classification Networks", Neural Computation 1992), so that
    ``bald`` and whatever else needs several opinions works; ``al_tf/network/laplace.py`` says how.

    Examples
    --------
    >>> from al_tf import LinearProbeClassifier, load_dataset
    >>> digits = load_dataset("digits")
    >>> probe = LinearProbeClassifier(size=32, classes=range(10), cache_dir=False)
    >>> probe.fit(digits.x_train[:100], digits.y_train[:100]).predict_proba(digits.x_test[:50]).shape
    (50, 10)

    Features of one's own take the place of a backbone:

    >>> pixels = digits.x_train.reshape(-1, 64).astype(float)
    >>> probe = LinearProbeClassifier(None).fit(pixels[:200], digits.y_train[:200])
    >>> probe.score(pixels[200:], digits.y_train[200:]) > 0.8
    True
    """

    def __init__(
        self,
        backbone: str | os.PathLike[str] | Backbone | None = "efficientnet_lite0",
        *,
        size: int | None = None,
        C: float = 0.3,
        classes: Sequence[Any] | np.ndarray | None = None,
        class_weight: dict[Any, float] | str | None = None,
        random_state: RandomState = None,
        cache_dir: str | Path | bool | None = None,
        verbose: int = 0,
    ) -> None:
        self.backbone = backbone
        self.size = size
        self.C = C
        self.classes = classes
        self.class_weight = class_weight
        self.random_state = random_state
        self.cache_dir = cache_dir
        self.verbose = verbose

    _head: LinearHead
    _labeled: LabeledFeatures

    @property
    def coef_(self) -> np.ndarray:
        """Weights ``(n_classes, d)`` of the features."""
        return self._head.coef

    @property
    def intercept_(self) -> np.ndarray:
        """Intercepts ``(n_classes,)``."""
        return self._head.intercept

    # Training ---------------------------------------------------------------------------

    def fit(self, X: Any, y: Any) -> LinearProbeClassifier:
        """Train on labeled images, or on features of them.

        Parameters
        ----------
        X : array-like (n, H, W), (n, H, W, C), or features (n, d)
            Images as the backbone takes them: uint8 in 0–255 or floats in [0, 1]. Two-dimensional
            `X` is taken as features, as `transform` returns them.
        y : array-like (n,) or (n, n_classes)
            Labels, or one-hot rows whose columns follow `classes` (else 0, 1, …).

        Returns
        -------
        LinearProbeClassifier
            This classifier.

        Raises
        ------
        ValueError
            For `X` or `y` of a wrong shape, of different lengths, or not finite. The classifier is
            then as it was before.
        UnknownLabelError
            For a label that is not among `classes`.
        """
        return self._fit_or_restore(X, y)

    def _fit(self, X: Any, y: Any) -> None:
        if not isinstance(self.C, numbers.Real) or not 0 < self.C < np.inf:
            raise ValueError(f"C must be a number of more than 0; got {self.C!r}.")
        X = self._checked(X, fitting=True)
        self.classes_, codes = encoded_labels(y, len(X), self.classes)
        weights = loss_weights(self.class_weight, None, self.classes_, codes)
        features = self._features(X)
        self._head = fit_head(features, codes, weights, len(self.classes_), float(self.C))
        fingerprint = "" if self.backbone is None else self._backbone().fingerprint
        self._labeled = LabeledFeatures(features, codes, weights, float(self.C), fingerprint)
        likelihood = self._head.proba(features)[np.arange(len(codes)), codes]
        losses = -np.log(np.maximum(likelihood, np.finfo(np.float32).tiny))
        self.history_ = {
            "n_samples": len(codes),
            "steps": self._head.steps,
            "loss": [float(np.average(losses, weights=weights))],
        }

    # Prediction -------------------------------------------------------------------------

    def _outputs(self, source: Any) -> tuple[np.ndarray, np.ndarray]:
        features = self._features(source)
        return self._head.proba(features), features

    def sample_proba(
        self, X: Any, n_samples: int = 20, random_state: RandomState = None
    ) -> np.ndarray:
        """Sample class probabilities from the posterior of the weights.

        Parameters
        ----------
        X : array-like (n, …)
            As in `predict_with_features`.
        n_samples : int
            Number of draws of the weights; one draw gives the probabilities of all images.
        random_state : int, Generator, RandomState or None
            Seeds the draws.

        Returns
        -------
        ndarray of float32 (n_samples, n, n_classes)
        """
        check_is_fitted(self)
        n_samples = check_n_samples(n_samples)
        features = self._features(self._checked(X, fitting=False))
        fitted = self._labeled
        posterior = LaplacePosterior(
            self._head, fitted.features, fitted.codes, fitted.weights, fitted.C
        )
        return posterior.sample_proba(features, n_samples, check_random_state(random_state))

    # State ------------------------------------------------------------------------------

    def save_weights(self, path: str | Path) -> None:
        """Write the fitted state to `path` as an ``.npz`` of plain arrays, atomically.

        Holds the head, and the features of the labeled set for `sample_proba`: what `load_weights`
        needs in a classifier made with the same backbone.
        """
        check_is_fitted(self)
        seen = self.classes_, self.input_shape_, self._scale
        SavedProbe(*seen, self._head, self._labeled).write(path)

    def load_weights(self, path: str | Path) -> LinearProbeClassifier:
        """Take over the fitted state that `save_weights` wrote.

        Raises
        ------
        DataCorruptError
            If the file cannot be read.
        ValueError
            If the file is not of a linear probe, or of one on another backbone or input size.
        """
        saved = SavedProbe.read(path)
        expected = "" if self.backbone is None else self._backbone().fingerprint
        if saved.labeled.backbone != expected:
            raise ValueError(
                f"{path} holds the weights of a probe on another backbone or input size: its "
                f"fingerprint is {saved.labeled.backbone!r}, that of this classifier's backbone "
                f"{expected!r}."
            )
        self._take_over(saved.classes, saved.input_shape, saved.scale, path)
        self._head, self._labeled = saved.head, saved.labeled
        return self

    def to_keras(
        self, *, rescale: bool = True, input_shape: tuple[int, ...] | None = None
    ) -> keras.Model:
        """Return backbone and head as one Keras model, to save and use elsewhere.

        Parameters
        ----------
        rescale : bool
            Take images of 0–255, as uint8 images were when it was fitted. Without it, the model
            takes images scaled to [0, 1] already.
        input_shape : tuple of int, optional
            Shape of one image; needed only after a fit on features.

        Returns
        -------
        keras.Model
            Images ``(n, …)`` to probabilities ``(n, n_classes)``, columns as in `classes_`. It is
            not compiled, and later fits do not change it.

        Raises
        ------
        ValueError
            Without a backbone, or without an image shape.
        """
        check_is_fitted(self)
        import keras

        shape = self.input_shape_ if input_shape is None else input_shape
        if shape == self.input_shape_ and len(shape) < 2:
            raise ValueError(
                "to_keras needs the shape of one image, since this classifier was fitted on "
                "features. Pass input_shape=(height, width, channels)."
            )
        body = self._backbone().keras_model(shape, scaled=not rescale)
        head = keras.layers.Dense(len(self.classes_), activation="softmax", name="probabilities")
        model = keras.Model(body.inputs[0], head(body.outputs[0]))
        head.set_weights([self.coef_.T, self.intercept_])
        return model

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_head")

    # Input ------------------------------------------------------------------------------

    def _backbone(self) -> Backbone:
        if self.backbone is None:
            raise ValueError(
                "This classifier has backbone=None: it takes features (n, d) and no images. Name a "
                "backbone, such as 'efficientnet_lite0'."
            )
        return resolved_backbone(self.backbone, self.size)

    def _checked(self, X: Any, *, fitting: bool) -> Any:
        """Return images as `_checked_images` does, and two-dimensional `X` as float32 features."""
        if image_source(X).ndim < 3:
            return self._checked_features(X, fitting=fitting)
        if not fitting and self._labeled.backbone != self._backbone().fingerprint:
            raise ValueError(
                "The classifier was fitted on features of another backbone or input size. Fit it "
                "again, or set backbone and size as they were."
            )
        if not fitting and len(self.input_shape_) == 1:  # fitted on features: any shape will do
            return X
        return self._checked_images(X, fitting=fitting)

    def _checked_features(self, X: Any, *, fitting: bool) -> np.ndarray:
        X = network_input(validate_data(self, X, reset=fitting), None).astype(np.float32)
        dim = X.shape[1] if self.backbone is None else self._backbone().dim
        if X.shape[1] != dim:
            raise ValueError(
                f"X must be images (n, H, W) or (n, H, W, C), or {dim} features an image as "
                f"{self._backbone().name} computes them; got shape {X.shape}. Reshape flattened "
                "images."
            )
        if fitting:
            self.input_shape_, self._scale = (dim,), "unclear"
        elif dim != self.coef_.shape[1]:
            raise ValueError(
                f"The classifier was fitted on {self.coef_.shape[1]} features an image; got {dim}."
            )
        return X

    def _features(self, X: Any) -> np.ndarray:
        """Return the features, float32 ``(n, d)``, of what `_checked` returned."""
        if len(X.shape) == 2:
            return X
        return self._backbone().features(X, cache_dir=self.cache_dir, progress=bool(self.verbose))

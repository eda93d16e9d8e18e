"""What the classifiers of images have in common: scikit-learn's interface and the check of images."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from ..image_arrays import ImageSource, image_scale
from ..progress import progress_bar
from .inputs import check_scale, one_hot_codes
from .sources import ArraySource, image_source

_Self = TypeVar("_Self", bound="ImageClassifier")


class ImageClassifier(ClassifierMixin, TransformerMixin, BaseEstimator):
    """Base of the classifiers.

    A subclass provides ``fit``, which calls `_fit_or_restore`; ``_fit``, which sets `classes_` and,
    through `_checked`, `input_shape_`; and ``_outputs``.
    """

    classes_: np.ndarray
    history_: dict[str, Any]
    input_shape_: tuple[int, ...]
    n_features_in_: int
    verbose: int
    _scale: str

    def _fit_or_restore(self: _Self, *arguments: Any) -> _Self:
        before = self.__dict__.copy()
        try:
            self._fit(*arguments)
        except BaseException:  # Ctrl-C too: a fit that did not end leaves the classifier as it was
            self.__dict__ = before
            raise
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable label of each image, ``(n,)``, from `classes_`."""
        proba = self.predict_proba(X)
        return self.classes_[proba.argmax(axis=1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return class probabilities, float32 ``(n, n_classes)``, columns as in `classes_`."""
        return self.predict_with_features(X)[0]

    def transform(self, X: Any) -> np.ndarray:
        """Return the features of the images, float32 ``(n, d)``."""
        return self.predict_with_features(X)[1]

    def predict_with_features(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return probabilities and features from one forward pass.

        Parameters
        ----------
        X : array-like (n, …)
            Images of the shape given to `fit`; or, to a classifier fitted on them, features
            ``(n, d)``.

        Returns
        -------
        proba : ndarray of float32 (n, n_classes)
        features : ndarray of float32 (n, d)
            What the network's last layer takes, or the backbone's output; not standardised.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        ValueError
            For images of another shape, features of another number, or values that are not finite.
        """
        check_is_fitted(self)
        return self._outputs(self._checked(X, fitting=False))

    def _checked(self, X: Any, *, fitting: bool) -> Any:
        return self._checked_images(X, fitting=fitting)

    def _outputs(self, source: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return probabilities and features of what `_checked` returned."""
        raise NotImplementedError

    def score(self, X: Any, y: Any, sample_weight: np.ndarray | None = None) -> float:
        """Return the accuracy on images and labels (or one-hot rows), in [0, 1]."""
        check_is_fitted(self)
        if np.ndim(y) == 2 and np.shape(y)[1] > 1:
            y = self.classes_[one_hot_codes(np.asarray(y), len(self.classes_))]
        return super().score(X, y, sample_weight)

    def _fit(self, X: Any, y: Any) -> None:
        raise NotImplementedError

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        tags.input_tags.three_d_array = True
        return tags

    def _checked_images(self, X: Any, *, fitting: bool) -> ImageSource:
        """Return `X` as a source; refuse images unlike those of the fit in shape or scale."""
        source = image_source(X)
        if source.ndim < 2:
            raise ValueError(
                "X must be images (n, H, W) or (n, H, W, C), or another array of two or more "
                f"dimensions; got shape {tuple(source.shape)}. Reshape your data: for one image "
                "pass X[np.newaxis]."
            )
        if source.ndim == 2:
            validate_data(self, X, reset=fitting, skip_check_array=True)  # names and number
        elif fitting:
            self._forget_columns()
        if isinstance(source, ArraySource) and source.is_plain:
            checked = check_array(
                source.array, allow_nd=True, ensure_2d=False, dtype="numeric", estimator=self
            )
            source = ArraySource(checked)
        if len(source) == 0:
            raise ValueError(f"X holds no images: its shape is {tuple(source.shape)}.")
        shape = tuple(int(side) for side in source.shape[1:])
        if fitting:
            self.input_shape_, self._scale = shape, image_scale(source)
        elif shape != self.input_shape_:
            raise ValueError(
                f"The network was fitted on images of shape {self.input_shape_}; got {shape}."
            )
        else:
            check_scale(self._scale, source, divides=self._divides_uint8())
        return source

    def _divides_uint8(self) -> bool:
        """Whether uint8 images reach the network as [0, 1]."""
        return True

    def _take_over(
        self, classes: np.ndarray, input_shape: tuple[int, ...], scale: str, path: Any
    ) -> None:
        """Become a classifier of the classes and images of the fit that was read from `path`."""
        self.classes_, self.input_shape_, self._scale = classes, input_shape, scale
        self._forget_columns()
        if len(input_shape) == 1:
            self.n_features_in_ = input_shape[0]
        self.history_ = {"loaded_from": str(path)}

    def _forget_columns(self) -> None:
        """Drop what a fit on 2-D `X` has left: images have no columns."""
        for name in ("n_features_in_", "feature_names_in_"):
            self.__dict__.pop(name, None)

    def _progress(self, total: int, what: str, unit: str, verbose: int | None = None) -> Any:
        shown = self.verbose if verbose is None else verbose
        return progress_bar(total=total, desc=what, unit=unit, leave=False, shown=bool(shown))

"""Temperatures that make a model's confidence fit its accuracy on held-out labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..seeding import RandomState, check_random_state
from ._select import estimator_of, predict_proba

HELD_OUT = 0.2  # part of the labeled set that the temperature is calibrated on
N_BINS = 15  # of the calibration error
TEMPERATURES = 10.0 ** np.array(sorted(np.linspace(-1, 1, 41), key=abs))  # 1 comes first


def tempered(proba: np.ndarray, temperature: float) -> np.ndarray:
    """Return ``softmax(log p / temperature)`` of probabilities ``(n, K)``."""
    log_proba = np.log(np.maximum(proba, np.finfo(np.float64).tiny)) / temperature
    unnormalised = np.exp(log_proba - log_proba.max(axis=1, keepdims=True))
    return unnormalised / unnormalised.sum(axis=1, keepdims=True)


def calibration_error(proba: np.ndarray, correct: np.ndarray) -> float:
    """Return the expected calibration error, in [0, 1], over 15 bins of equal width.

    The mean of ``|accuracy - confidence|`` of the bins, weighted by their numbers of images (Guo
    et al., "On Calibration of Modern Neural Networks", ICML 2017).

    Parameters
    ----------
    proba : ndarray, shape (n, K)
    correct : ndarray of bool, shape (n,)
        Whether the most probable class is the true one.
    """
    confidence = proba.max(axis=1)
    bins = np.minimum((confidence * N_BINS).astype(np.intp), N_BINS - 1)
    excess = np.bincount(bins, weights=correct - confidence, minlength=N_BINS)
    return float(np.abs(excess).sum() / len(proba))


def calibrated_temperature(classifier: Any, random_state: RandomState = None) -> float:
    """Return the temperature with the least calibration error on held-out labels.

    A clone of the estimator is fitted to a random 80 % of the labeled set, and its error measured
    on the other 20 %, for 41 temperatures from 0.1 to 10 (the grid is not the paper's); of equally
    good ones the nearest to 1 is returned. It is 1 where there is no labeled set, or where it is
    too small to leave two classes to fit and one image to measure.
    """
    from sklearn.base import clone

    images, y = (getattr(classifier, name, None) for name in ("X_training", "y_training"))
    if images is None or y is None:
        return 1.0
    images, y = np.asarray(images), np.asarray(y)
    codes = y.argmax(axis=1) if y.ndim == 2 else y
    shuffled = check_random_state(random_state).permutation(len(y))
    n_held_out = round(HELD_OUT * len(y))
    held_out, fitted = np.sort(shuffled[:n_held_out]), np.sort(shuffled[n_held_out:])
    if not n_held_out or len(np.unique(codes[fitted])) < 2:
        return 1.0
    model = clone(estimator_of(classifier))
    model.fit(images[fitted], y[fitted], **getattr(classifier, "fit_kwargs", {}))
    proba = predict_proba(model, images[held_out])
    predicted = proba.argmax(axis=1)
    correct = (predicted if y.ndim == 2 else model.classes_[predicted]) == codes[held_out]
    errors = [calibration_error(tempered(proba, t), correct) for t in TEMPERATURES]
    return float(TEMPERATURES[np.argmin(errors)])

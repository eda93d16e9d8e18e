"""Uncertainty herding: coverage of the pool, weighted by the model's calibrated uncertainty."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..geometry import RowsInOrder, mean_neighbour_distance
from ..seeding import RandomState, check_random_state
from ._calibration import calibrated_temperature, tempered
from ._order import canonical_order
from ._select import check_pool, labeled_features, proba_and_features
from .max_herding import herd, max_herding
from .uncertainty import margin_score

EQUAL = 1e-6  # features of unit length nearer than this are equal


def labeled_distance(labeled: np.ndarray | None) -> float:
    """Return the smallest distance between two different labeled images, of unit length.

    1, as in `max_herding`, where there are not two.
    """
    if labeled is None or len(labeled) < 2:
        return 1.0
    apart = mean_neighbour_distance(np.unique(labeled, axis=0), 1)
    return float(min(apart[apart > EQUAL], default=1.0))


def uherding(
    classifier: Any,
    X: Any,
    n_instances: int = 1,
    *,
    random_state: RandomState = None,
    temperature: float | None = None,
    sigma: float | None = None,
    max_targets: int = 10_000,
) -> tuple[np.ndarray, np.ndarray]:
    """Query the image that raises the uncertainty coverage of the pool most, one after another.

    The coverage is ``mean_y u(y) max_{x in L} k(f(x), f(y))``, as in `max_herding`, with each image
    y weighted by its uncertainty u, one minus the margin of ``softmax(log p / temperature)``. With
    few labels the calibrated temperature is high, u is nearly constant, and images are chosen for
    coverage; with many labels the bandwidth is small, and they are chosen for uncertainty. Before
    there is a model, it is `max_herding`.

    Parameters
    ----------
    classifier : learner or estimator
        With ``predict_proba`` and ``transform``; the labeled set is its ``X_training`` and
        ``y_training``.
    X : array-like, shape (n, ...)
        The pool.
    n_instances : int
        Batch size.
    random_state : RandomState
        Splits the labeled set, draws the targets, and breaks ties.
    temperature : float, optional
        More than 0; by default `calibrated_temperature`, which costs one fit.
    sigma : float, optional
        Bandwidth for features of unit length; by default the smallest distance between two
        labeled images.
    max_targets : int
        As in `max_herding`.

    Returns
    -------
    indices : ndarray, shape (n_instances,)
        Into `X`, in the order of choice.
    scores : ndarray, shape (n_instances,)
        What each adds to the coverage, in [0, 1]; never rising, up to rounding.

    References
    ----------
    Bae, Oliveira and Sutherland, "Uncertainty Herding: One Active Learning Method for All Label
    Budgets", ICLR 2025.
    """
    check_pool(X, n_instances)
    if temperature is not None and not (np.isfinite(temperature) and temperature > 0):
        raise ValueError(f"temperature must be a positive number; got {temperature!r}.")
    rng = check_random_state(random_state)
    if not hasattr(classifier, "predict_proba") and labeled_features(classifier) is None:
        sigma = 1.0 if sigma is None else sigma
        return max_herding(
            classifier, X, n_instances, random_state=rng, sigma=sigma, max_targets=max_targets
        )
    proba, pool_features = proba_and_features(classifier, X)
    order = canonical_order(pool_features, rng)
    labeled = labeled_features(classifier, unit_length=True)
    if temperature is None:
        temperature = calibrated_temperature(classifier, rng)
    uncertainty = margin_score(tempered(proba[order], temperature))
    sigma = labeled_distance(labeled) if sigma is None else sigma
    rows = RowsInOrder(pool_features, order, unit=True)
    return herd(rows, order, labeled, uncertainty, n_instances, sigma, max_targets, rng)

"""Many fits as one: classifiers of one architecture trained by vectorised steps, on JAX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..image_arrays import ImageSource
from ..seeding import stream
from .engine import NetworkState, filled_up
from .inputs import network_input, row_blocks
from .jax_engine import JaxEngine
from .sources import SomeImages, image_source
from .training import FitPlan, PreparedFit, check_losses, history_of

if TYPE_CHECKING:
    from .classifier import KerasImageClassifier


def check_backend() -> None:
    """Raise ValueError unless Keras is on JAX."""
    import keras

    backend = keras.backend.backend()
    if backend != "jax":
        raise ValueError(
            f"Many fits as one need Keras on JAX; it is on {backend} here. Install jax and set "
            "KERAS_BACKEND=jax before Python starts, or leave vectorized out."
        )


def fit_together(
    classifiers: Sequence[KerasImageClassifier],
    X: Any,
    rows: Sequence[np.ndarray],
    y: Sequence[Any],
) -> list[Exception | None]:
    """Fit each classifier to some images of `X`, as its own ``fit(X[rows], y)`` would.

    Initial weights, order of the batches and dropout are those of the single fits, so the results
    differ by rounding alone. Fits of different numbers of images go on side by side: one whose
    steps are done stays as it is until the longest has ended.

    Parameters
    ----------
    classifiers : sequence of KerasImageClassifier (R,)
        Different ones, with the same parameters but for `random_state`, and without
        `validation_split`.
    X : array-like (n, …)
        As in `KerasImageClassifier.fit`. The images used are all in the device's memory at once.
    rows : sequence of ndarray of int (R,), each (k,)
        Rows of `X` to fit each classifier to.
    y : sequence of array-like (R,), each (k,)
        Their labels.

    Returns
    -------
    list of Exception or None (R,)
        What kept a classifier from being fitted, which is then as it was before: what its `fit` would
        have raised.

    Raises
    ------
    ValueError
        Keras is not on JAX, or the classifiers cannot be trained together.
    """
    check_backend()
    source, plan = image_source(X), _common_plan(classifiers)
    before = [classifier.__dict__.copy() for classifier in classifiers]
    failures: list[Exception | None] = [None] * len(classifiers)
    try:
        fits = {}
        for run, classifier in enumerate(classifiers):
            try:
                images = SomeImages(source, np.asarray(rows[run]))
                fits[run] = classifier._prepared(images, y[run], None, plan)
            except ValueError as error:
                failures[run] = error
        for run, (state, losses) in zip(fits, _trained(source, rows, fits, plan), strict=True):
            try:
                check_losses(losses, len(losses))
                history = history_of(losses, len(rows[run]), plan.batch_size)
                classifiers[run]._finish(state, history)
            except ValueError as error:
                failures[run] = error
    except BaseException as error:  # Ctrl-C too
        failures = [RuntimeError(str(error))] * len(classifiers)
        raise
    finally:
        for classifier, was, failure in zip(classifiers, before, failures, strict=True):
            if failure is not None:
                classifier.__dict__ = was
    return failures


def _common_plan(classifiers: Sequence[KerasImageClassifier]) -> FitPlan:
    plans = {FitPlan.of(classifier) for classifier in classifiers}
    if len(plans) != 1:
        raise ValueError(
            f"Fits as one need one plan for all; got {len(plans)}: give all classifiers the same "
            "epochs, batch_size and min_steps."
        )
    (plan,) = plans
    plan.check()
    if plan.validation_split:
        raise ValueError(
            "Fits as one stop together: set validation_split=0, or fit the classifiers one by one."
        )
    if len({id(classifier) for classifier in classifiers}) < len(classifiers):
        raise ValueError("The same classifier is there twice; give each fit a clone of its own.")
    return plan


def _trained(
    source: ImageSource, rows: Sequence[np.ndarray], fits: dict[int, PreparedFit], plan: FitPlan
) -> list[tuple[NetworkState, np.ndarray]]:
    """Return the state and the losses, one for each step, that each fit ends with."""
    if not fits:
        return []
    engine, *others = {id(fit.engine): fit.engine for fit in fits.values()}.values()
    if others or not isinstance(engine, JaxEngine):
        raise ValueError(
            "Fits as one need one architecture: give all classifiers the same model_fn, "
            "model_params, rescale and number of classes."
        )
    used, places = np.unique(np.concatenate([rows[run] for run in fits]), return_inverse=True)
    images = network_input(source.read(used), None)
    pool = filled_up(images, 1 << (len(images) - 1).bit_length())  # few shapes, few compilations
    batches, codes, weights, start = [], [], [], 0
    for run, fit in fits.items():
        n = len(rows[run])
        steps, rng = plan.steps(n), stream(fit.seed, "shuffle", fit.number)
        (order,) = row_blocks(n, plan.batch_size, steps, steps, rng)  # (steps, batch)
        batches.append(places[start : start + n].astype(np.int32)[order])
        codes.append(fit.codes.astype(np.int32)[order])
        weights.append(fit.weights[order])
        start += n
    with engine.lock:
        states, losses = engine.train_together(
            [fit.start for fit in fits.values()], pool, batches, codes, weights
        )
    return list(zip(states, losses, strict=True))

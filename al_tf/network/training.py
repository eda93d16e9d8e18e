"""One fit of an engine: what it starts from, what it holds out, when it stops."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ..image_arrays import ImageSource
from ..seeding import derive_seed, stream
from .engine import Engine, NetworkState, block_steps
from .fitting import gradient_steps
from .inputs import training_blocks
from .prediction import forward
from .sources import SomeImages


@dataclass(frozen=True)
class FitPlan:
    """The parameters of `KerasImageClassifier` that say how long a fit takes."""

    epochs: int
    batch_size: int
    min_steps: int
    validation_split: float
    patience: int | None
    predict_batch_size: int | None

    @classmethod
    def of(cls, classifier: Any, **changes: Any) -> FitPlan:
        """Return the plan of a classifier's parameters, with the `changes` that are not None."""
        own = {field.name: getattr(classifier, field.name) for field in fields(cls)}
        return cls(**own | {name: value for name, value in changes.items() if value is not None})

    def check(self) -> None:
        """Raise ValueError for values that cannot be."""
        least = {"epochs": 1, "batch_size": 1, "min_steps": 0, "patience": 1}
        least["predict_batch_size"] = 1
        for name, bound in least.items():
            value = getattr(self, name)
            if value is None and name in ("patience", "predict_batch_size"):
                continue
            if not isinstance(value, numbers.Integral) or value < bound:
                raise ValueError(f"{name} must be an integer of {bound} or more; got {value!r}.")
        if not 0 <= self.validation_split < 1:
            raise ValueError(
                f"validation_split must be 0 or more and less than 1; got {self.validation_split!r}."
            )
        if self.patience is not None and not self.validation_split:
            raise ValueError("patience needs a validation loss: set validation_split too.")

    def steps(self, n_images: int) -> int:
        """Return the number of gradient steps on `n_images`, if nothing stops it early."""
        return gradient_steps(
            n_images, epochs=self.epochs, batch_size=self.batch_size, min_steps=self.min_steps
        )


@dataclass(frozen=True)
class PreparedFit:
    """What a fit is about to train: an engine, on what, and from which state."""

    engine: Engine
    source: ImageSource
    codes: np.ndarray
    weights: np.ndarray
    seed: int
    number: int
    """Which fit of its classifier this is; with the seed it gives the order of the images."""
    start: NetworkState


def starting_state(
    engine: Engine,
    last: NetworkState | None,
    mode: str,
    *,
    seed: int,
    fit_number: int,
    shrink: float,
    perturb: float,
) -> NetworkState:
    """Return what a fit starts from: new weights, or what `mode` makes of those of the last fit.

    Parameters
    ----------
    engine : Engine
    last : NetworkState or None
        At the end of the last fit, if this one goes on from it.
    mode : {"warm", "warm_weights", "shrink_perturb"}
        How; of no account without `last`.
    seed, fit_number : int
        Give the new weights and the noise.
    shrink, perturb : float
        Of ``"shrink_perturb"``: ``shrink · w + N(0, perturb²)``.
    """
    fresh = engine.fresh_state(derive_seed(seed, "weights"))
    if last is None:
        return fresh
    if mode == "warm":
        return last
    if mode == "warm_weights":
        return NetworkState(last.variables, fresh.optimizer)
    rng = stream(seed, "perturb", fit_number)
    variables = [
        shrink * v + rng.normal(0, perturb, v.shape).astype(v.dtype) if moved else v
        for v, moved in zip(last.variables, engine.trainable_mask(), strict=True)
    ]
    return NetworkState(variables, fresh.optimizer)


def train_on(
    engine: Engine,
    source: ImageSource,
    codes: np.ndarray,
    weights: np.ndarray,
    plan: FitPlan,
    seed: int,
    fit_number: int,
    bar: Any,
) -> dict[str, Any]:
    """Train the engine from the state that is in it, and leave the result there.

    Parameters
    ----------
    engine : Engine
    source : ImageSource (n, …)
    codes : ndarray of int (n,)
        Class indices.
    weights : ndarray of float32 (n,)
    plan : FitPlan
    seed, fit_number : int
        Give the order of the images, and which are held out.
    bar : progress bar
        Progress bar over gradient steps.

    Returns
    -------
    dict
        For ``history_``: ``n_samples``, ``steps``, ``loss`` of each pass; with a validation split
        ``validation_loss`` of each pass and ``best_pass``.
    """
    stopping = None
    if plan.validation_split:
        held = held_out(codes, plan.validation_split, stream(seed, "validation", fit_number))
        validation, answers = SomeImages(source, np.flatnonzero(held)), codes[held]
        source = SomeImages(source, np.flatnonzero(~held))
        codes, weights = codes[~held], weights[~held]
        stopping = EarlyStopping(
            lambda: _log_loss(engine, validation, answers, plan.predict_batch_size),
            every=max(1, len(source) // plan.batch_size),
            patience=plan.patience,
            min_steps=plan.min_steps,
        )
    n, block = len(source), block_steps((plan.batch_size, *source.shape[1:]))
    blocks = training_blocks(
        source,
        codes,
        weights,
        batch_size=plan.batch_size,
        steps=plan.steps(n),
        block=min(block, max(1, n // plan.batch_size)) if stopping else block,
        rng=stream(seed, "shuffle", fit_number),
    )
    history = history_of(_train(engine, blocks, bar, stopping), n, plan.batch_size)
    if stopping:
        history |= {"validation_loss": stopping.losses, "best_pass": stopping.best_pass}
    return history


def history_of(losses: np.ndarray, n_images: int, batch_size: int) -> dict[str, Any]:
    """Return what ``history_`` says of a fit on `n_images` with these losses, one for each step."""
    passes = max(1, round(len(losses) * batch_size / n_images))
    per_pass = np.array_split(losses, min(passes, len(losses)))
    loss = [float(part.mean()) for part in per_pass]
    return {"n_samples": n_images, "steps": len(losses), "loss": loss}


def _log_loss(
    engine: Engine, source: ImageSource, codes: np.ndarray, batch_size: int | None
) -> float:
    proba = forward(engine, source, batch_size)[0][np.arange(len(codes)), codes]
    return float(-np.log(np.maximum(proba, np.finfo(np.float32).tiny)).mean())


def held_out(codes: np.ndarray, fraction: float, rng: np.random.Generator) -> np.ndarray:
    """Return which images are held out: `fraction` of each class, rounded, never all of it.

    Parameters
    ----------
    codes : ndarray of int (n,)
        Class indices.
    fraction : float
        In (0, 1).
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of bool (n,)

    Raises
    ------
    ValueError
        If that is no image at all.
    """
    mask = np.zeros(len(codes), bool)
    for code in np.unique(codes):
        rows = rng.permutation(np.flatnonzero(codes == code))
        mask[rows[: min(round(fraction * len(rows)), len(rows) - 1)]] = True
    if not mask.any():
        raise ValueError(
            f"validation_split={fraction} holds out none of {len(codes)} images, because each "
            "class keeps at least one. Label more images, or set validation_split=0."
        )
    return mask


class EarlyStopping:
    """Decides after each pass whether to stop, and remembers the best state.

    Parameters
    ----------
    validate : callable
        Returns the validation loss.
    every : int
        Gradient steps in a pass.
    patience : int or None
        Stop after so many passes without a better loss; None goes on to the end.
    min_steps : int
        Never stop before that.
    """

    def __init__(
        self, validate: Callable[[], float], *, every: int, patience: int | None, min_steps: int
    ) -> None:
        self._validate, self._every, self._min_steps = validate, every, min_steps
        self._patience = patience
        self._next = every
        self._best: Any = None
        self.losses: list[float] = []

    @property
    def best_pass(self) -> int:
        """Number of the pass with the smallest loss, from 1."""
        return int(np.argmin(self.losses)) + 1

    def is_over(self, engine: Engine, steps: int) -> bool:
        """Look at the engine after `steps` gradient steps in all."""
        if steps < self._next:
            return False
        self._next += self._every
        self.losses.append(self._validate())
        if self.best_pass == len(self.losses):
            self._best = engine.state()
        waited = len(self.losses) - self.best_pass
        patient = self._patience is None or waited < self._patience
        return not patient and steps >= self._min_steps

    def restore(self, engine: Engine) -> None:
        """Put the best state into the engine, if there was a pass at all."""
        if self._best is not None:
            engine.load(self._best)


def _train(
    engine: Engine, blocks: Iterable[Any], bar: Any, stopping: EarlyStopping | None = None
) -> np.ndarray:
    """Train on `blocks` and return the loss of each gradient step, ``(steps,)``.

    Raises
    ------
    ValueError
        If the loss becomes infinite or NaN.
    """
    losses: list[np.ndarray] = []
    steps = 0
    for block in blocks:
        losses.append(engine.train(*block))
        steps += len(losses[-1])
        check_losses(losses[-1], steps)
        bar.update(len(losses[-1]))
        if stopping is not None and stopping.is_over(engine, steps):
            break
    if stopping is not None:
        stopping.restore(engine)
    return np.concatenate(losses)


def check_losses(losses: np.ndarray, steps: int) -> None:
    """Raise ValueError if one of the latest losses, within `steps` steps in all, is not finite."""
    if not np.isfinite(losses).all():
        raise ValueError(
            f"Training diverged: the loss became {losses[-1]} within {steps} steps. Scale the images "
            "to [0, 1] (uint8 are scaled for you) or lower the learning rate in model_params."
        )

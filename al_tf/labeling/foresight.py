"""`Foresight`: models for the likeliest next answers, trained while somebody looks at the image."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from .background import BackgroundTask
from .ledger import Slot
from .scored_model import ScoredModel

FORESEEN = 2
"""Classes of an image for which a model is trained while it is looked at."""
PAUSE = 0.1
"""Seconds until the first of them is trained: nobody who looks has answered by then."""


def likeliest_labels(
    labels: dict[str, str], slot: Slot, model: ScoredModel
) -> list[dict[str, str]]:
    """Return the labels that there may be after an answer to a slot, the likeliest first.

    Those for each of the `FORESEEN` most probable classes; of an image that no model learns from,
    the labels as they are.
    """
    if slot.purpose != "query" or not model.knows(slot.image):
        return [labels]
    return [{**labels, slot.image: name} for name in model.likeliest(slot.image, FORESEEN)]


class FittedModel(NamedTuple):
    """A model that was trained, and is not in use yet."""

    model: ScoredModel
    kappa: float | None
    """Agreement of its predictions with those of the model in use."""
    seconds: float
    """How long its training took."""


class Foresight:
    """Trains on labels that are likely to be there in a moment, and forgets what was not needed."""

    def __init__(self) -> None:
        self._task = BackgroundTask(lambda: None)
        self._lock = threading.Lock()
        self._over = threading.Event()  # of the guesses that are being trained for
        self._models: dict[str, FittedModel] = {}

    def begin(
        self,
        guesses: Sequence[Mapping[str, str]],
        fit: Callable[[Mapping[str, str]], tuple[str, FittedModel]],
        prepare: Callable[[Mapping[str, str], ScoredModel], None],
    ) -> None:
        """Train a model on each of some guesses in the background, in place of those before.

        Parameters
        ----------
        guesses : sequence of dict of str to str
            The label of each image to train on, the likeliest guess first.
        fit : callable
            Returns the digest of a guess, by which `take` knows it, and the model.
        prepare : callable
            Given each guess and its model, makes ready what follows.
        """
        over = self._end()

        def work() -> None:
            if over.wait(PAUSE):
                return
            for guess in guesses:
                digest, fitted = fit(guess)
                with self._lock:
                    if over.is_set():
                        return
                    self._models[digest] = fitted
                prepare(guess, fitted.model)

        self._task.start(work)

    def take(self, digest: str) -> FittedModel | None:
        """Return the model of some labels, if there is one; all others are forgotten."""
        with self._lock:
            foreseen = self._models.get(digest)
        self._end()
        return foreseen

    def close(self) -> None:
        """Train no further model."""
        self._task.close()
        self._end()

    def _end(self) -> threading.Event:
        """Forget all models, and have what is being trained forgotten; return the next guesses' event."""
        with self._lock:
            self._over.set()
            self._over = threading.Event()
            self._models = {}
            return self._over

"""`Foresight`: what follows the likeliest next answers, made ready while somebody looks at the image."""

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
"""Seconds until the first of them is made ready: nobody who looks has answered by then."""
Fit = Callable[[Mapping[str, str]], tuple[str, "FittedModel"]]
Prepare = Callable[[Mapping[str, str], ScoredModel | None], None]


def likeliest_labels(
    labels: dict[str, str], slot: Slot, model: ScoredModel | None
) -> list[dict[str, str]]:
    """Return the labels that there may be after an answer to a slot, the likeliest first.

    Those for each of the `FORESEEN` most probable classes; of an image that no model learns from,
    or without a model, the labels as they are.
    """
    if model is None or slot.purpose != "query" or not model.knows(slot.image):
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
    """Makes ready what will probably be asked for in a moment, and forgets what was not needed."""

    def __init__(self) -> None:
        self._task = BackgroundTask(lambda: None)
        self._lock = threading.Lock()
        self._over = threading.Event()  # of the guesses that are being worked on
        self._models: dict[str, FittedModel] = {}

    def begin(
        self, guesses: Sequence[Mapping[str, str]], prepare: Prepare, fit: Fit | None = None
    ) -> None:
        """Make ready what follows each of some guesses, in the background, in place of those before.

        Parameters
        ----------
        guesses : sequence of dict of str to str
            The label of each image to train on, the likeliest guess first.
        prepare : callable
            Given each guess and the model trained on it, or None, makes ready what follows.
        fit : callable, optional
            Returns the digest of a guess, by which `take` knows it, and a model trained on it.
        """
        over = self._end()

        def work() -> None:
            if over.wait(PAUSE):
                return
            for guess in guesses:
                model = None
                if fit is not None:
                    digest, fitted = fit(guess)
                    with self._lock:
                        if over.is_set():
                            return
                        self._models[digest] = fitted
                    model = fitted.model
                prepare(guess, model)

        self._task.start(work)

    def take(self, digest: str) -> FittedModel | None:
        """Return the model of some labels, if there is one; all others are forgotten."""
        with self._lock:
            foreseen = self._models.get(digest)
        self._end()
        return foreseen

    def close(self) -> None:
        """Make nothing ready any more."""
        self._task.close()
        self._end()

    def _end(self) -> threading.Event:
        """Forget all models, and have what is being trained forgotten; return the next guesses' event."""
        with self._lock:
            self._over.set()
            self._over = threading.Event()
            self._models = {}
            return self._over

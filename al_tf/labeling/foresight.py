"""`Foresight`: what follows the likeliest next answers, made ready while somebody looks at the image."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from .background import BackgroundTask
from .ledger import Slot
from .scored_model import ScoredModel

FORESEEN = 2
"""Classes of an image for which a model is trained while it is looked at."""
PAUSE = 0.1
"""Seconds until the first of them is made ready: nobody who looks has answered by then."""
Guesses = Callable[[], Sequence[Mapping[str, str]]]
Fit = Callable[[Mapping[str, str]], tuple[str, "FittedModel"] | None]
Prepare = Callable[[Mapping[str, str], ScoredModel | None], None]


def likeliest_labels(
    labels: Mapping[str, str], slot: Slot, model: ScoredModel | None, classes: Sequence[str]
) -> list[dict[str, str]]:
    """Return the labels that there may be after an answer to a slot, the likeliest first.

    Those for each of the `FORESEEN` most probable classes; without a model, for those of `classes` that
    were the commonest so far. Of an image that no model learns from, the labels as they are.
    """
    if slot.purpose != "query" or (model is not None and not model.knows(slot.image)):
        return [dict(labels)]
    if model is None:
        counts = Counter(labels.values())
        names = sorted(classes, key=lambda name: -counts[name])[:FORESEEN]
    else:
        names = model.likeliest(slot.image, FORESEEN)
    return [{**labels, slot.image: name} for name in names]


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

    def begin(self, guesses: Guesses, prepare: Prepare, fit: Fit | None = None) -> None:
        """Make ready what follows each of some guesses, in the background, in place of those before.

        Parameters
        ----------
        guesses : callable
            Called in the background. Returns the label of each image to train on, the likeliest
            guess first.
        prepare : callable
            Given each guess and the model trained on it, or None, makes ready what follows.
        fit : callable, optional
            Returns the digest of a guess, by which `take` knows it, and a model trained on it; None
            for labels that none can be trained on.
        """
        over = self._end()

        def work() -> None:
            if over.wait(PAUSE):
                return
            for guess in guesses():
                if over.is_set():
                    return
                made = None if fit is None else fit(guess)
                if made is not None:
                    digest, fitted = made
                    with self._lock:
                        if over.is_set():
                            return
                        self._models[digest] = fitted
                prepare(guess, None if made is None else made[1].model)

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

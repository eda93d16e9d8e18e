"""`Foresight`: what follows the likeliest next answers, made ready while somebody looks at the image."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from .background import BackgroundTask
from .ledger import Slot
from .scored_model import ScoredModel

FORESEEN = 2
"""Classes of an image for which a model is trained while it is looked at."""
PAUSE = 0.1
"""Seconds until the first of them is made ready: nobody who looks has answered by then."""
Foreseen = tuple[str, "FittedModel"]
"""The digest of some labels, by which `Foresight.take` knows them, and the model trained on them."""
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

    def begin(self, steps: Callable[[], Iterator[Foreseen | None]]) -> None:
        """Do some work in the background, in place of what was begun before.

        Parameters
        ----------
        steps : callable
            Called in the background. Returns an iterator that makes ready what follows, and gives
            each model that it trains, else None: there it is ended if nobody needs it any more.
        """
        over = self._end()

        def work() -> None:
            if over.wait(PAUSE):
                return
            for made in steps():
                with self._lock:
                    if over.is_set():
                        return
                    if made is not None:
                        digest, fitted = made
                        self._models[digest] = fitted

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

    def wait(self) -> None:
        """Wait until nothing is being made ready."""
        self._task.wait()

    def _end(self) -> threading.Event:
        """Forget all models, and have what is being trained forgotten; return the next guesses' event."""
        with self._lock:
            self._over.set()
            self._over = threading.Event()
            self._models = {}
            return self._over

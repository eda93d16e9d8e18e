"""The order in which images are to be labeled, and the predictions that tell Label Studio of it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ...audit import AuditReserve, settled_group
from ...choosing import Chooser
from ...desk_settings import DeskSettings
from ...ledger import LabelLedger
from ...pool import FolderPool
from ...pool_features import PoolFeatures
from ...scored_model import ScoredModel
from ...trainer import Trainer
from .interface import Control

OUR_VERSIONS = "al_tf "
"""How the model versions of our predictions begin; a number follows."""
_LAST_NUMBER = "label studio: last version"


@dataclass(frozen=True)
class Ranking:
    """What is known of the pool with one model: the scores that Label Studio sorts by."""

    version: str
    model: ScoredModel | None
    scores: Mapping[str, float]
    """Score of each image that may be labeled next; the highest comes first."""
    hidden: frozenset[str]
    """Images whose class is not predicted: the audit reserve."""

    def prediction(self, image: str | None, control: Control) -> dict[str, Any]:
        """Return a prediction as Label Studio takes it; without result and score if none is known."""
        result: list[dict[str, Any]] = []
        model = self.model
        if model is not None and image and image not in self.hidden and model.knows(image):
            proba = model.proba_of([image])[0]  # (K,)
            best = int(proba.argmax())
            result = control.result(model.classes[best], float(proba[best]))
        score = None if image is None else self.scores.get(image)
        return {"result": result, "score": score, "model_version": self.version}

    def predictions(self, images: Mapping[int, str], control: Control) -> list[dict[str, Any]]:
        """Return the predictions of tasks of which something is known, the highest score first.

        Parameters
        ----------
        images : dict of int to str
            The image of each task.
        control : Control
        """
        rows = [{"task": task, **self.prediction(i, control)} for task, i in images.items()]
        known = [row for row in rows if row["result"] or row["score"] is not None]
        return sorted(known, key=lambda row: (row["score"] is None, -(row["score"] or 0.0)))


class Ranker:
    """Ranks the pool anew when there is another model, or another answer while there is none.

    Parameters
    ----------
    ledger : LabelLedger
    pool : FolderPool
    trainer : Trainer
        In its annotator's name it is asked what is available.
    settings : DeskSettings
        Which strategy, and how many images one ranks that composes batches.
    """

    def __init__(
        self, ledger: LabelLedger, pool: FolderPool, trainer: Trainer, settings: DeskSettings
    ) -> None:
        self._ledger, self._pool, self._trainer = ledger, pool, trainer
        self._batch_size = settings.batch_size
        share, seed = ledger.setting("audit_share"), ledger.settle("seed", 0)
        group = settled_group(ledger, pool, None)
        self._chooser = Chooser(
            strategy=settings.strategy,
            cold_start=settings.cold_start,
            reserve=AuditReserve(pool, float(share or 0.0), seed, group),
            repeat_share=0.0,
            seed=seed,
        )
        self._ranks = threading.Lock()
        self._versions = threading.Lock()  # apart: ranking may take longer than `version` has
        self._state: Any = None
        self._version = ""
        self.last: Ranking | None = None
        """The newest ranking that was computed."""

    @property
    def version(self) -> str:
        """Name of the ranking that holds now: no other one of this ledger has or had it."""
        with self._versions:
            state = self._present_state()
            if state != self._state:
                self._state = state
                self._version = f"{OUR_VERSIONS}{_next_number(self._ledger)}"
            return self._version

    def ranking(self) -> Ranking:
        """Return the ranking that holds now."""
        with self._ranks:
            version = self.version  # before its model: one that ends now gets a ranking of its own
            if self.last is not None and self.last.version == version:
                return self.last
            answers, trainer = self._ledger.answers(), self._trainer
            model = trainer.model
            candidates = self._chooser.rank(
                pool=self._pool,
                inputs=trainer.inputs,
                unavailable=self._ledger.queue.unavailable(trainer.annotator),
                classifier=trainer.classifier(answers),
                size=self._batch_size,
                place=len(answers) if model is None else trainer.round,
            )
            self.last = Ranking(version, model, _scores(candidates), self._reserve())
            return self.last

    def _present_state(self) -> Any:
        """Return what a ranking depends on; a model that was trained keeps to its answers."""
        trainer = self._trainer
        if trainer.model is not None:
            return trainer.round
        inputs = trainer.inputs
        complete = not isinstance(inputs, PoolFeatures) or inputs.complete
        answers = tuple(event.id for event in self._ledger.answers().values())
        return answers, tuple(self._pool.ids), complete

    def _reserve(self) -> frozenset[str]:
        """Return the audit reserve, whose labels must not lean on a prediction."""
        return frozenset(image for image in self._pool.ids if image in self._chooser.reserve)


def age(version: str) -> int:
    """Return the number in one of our versions; later ones have higher numbers."""
    digits = version.removeprefix(OUR_VERSIONS).partition(".")[0]
    return int(digits) if digits.isascii() and digits.isdecimal() else 0


def ours(versions: Iterable[str]) -> list[str]:
    """Return those versions that are ours, the oldest first."""
    return sorted((v for v in versions if str(v).startswith(OUR_VERSIONS)), key=age)


def _next_number(ledger: LabelLedger) -> int:
    """Return the next number of a version; the ledger holds the last one."""
    last = ledger.setting(_LAST_NUMBER)
    number = int(last or 0) + 1
    ledger.store(_LAST_NUMBER, number)
    return number


def _scores(candidates: Sequence[Any]) -> dict[str, float]:
    """Return the score of each candidate; a place in the order where the scores do not descend."""
    scores = [candidate.score for candidate in candidates]
    if None in scores or any(a < b for a, b in pairwise(scores)):
        n = len(candidates)
        scores = [(n - place) / n for place in range(n)]
    return {c.image: float(score) for c, score in zip(candidates, scores, strict=True)}

"""Several annotators who err, each in their own way, and when a second one is asked.

The budget of such an experiment is in answers: each of them costs one label, whether it is the first
about an image or the third. The label of an image is the class that most of its answers name; of
classes with equally many, the one that was named first.

A strategy's entry says how it spends the answers of a round (`StrategySpec.relabel`):

never
    All on new images, one each.
always
    Each image is asked about until two answers agree. Images that still lack that come first,
    those of round 0 among them; new ones get the rest.
when_doubtful
    Labels of one answer that a model disputes (`doubts` above `StrategySpec.doubt`), the most
    doubtful first, for at most half of the answers; each is asked about until one class leads.
    New images get the rest, one answer each.

Nobody is asked twice about the same image: with A annotators, an image whose answers still disagree
after A of them stays as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..seeding import derive_seed, stream
from ..suspects import PENALTY, out_of_fold_proba, suspect_labels
from .config import StrategySpec
from .estimators import build_estimator
from .oracles import oracle_answers
from .records import Record

if TYPE_CHECKING:
    from .setting import Setting

N_FOLDS = 5


@dataclass(frozen=True)
class Panel:
    """What each annotator answers about each image, whenever asked, and who is asked first."""

    answers: np.ndarray
    """Class indices, int ``(A, n)``."""
    first: np.ndarray
    """The annotator who is asked first, int ``(n,)``; the next in number is the next asked."""

    def __len__(self) -> int:
        return len(self.answers)

    @property
    def first_answers(self) -> np.ndarray:
        """The first answer about each image ``(n,)``."""
        return self.answers[self.first, np.arange(len(self.first))]

    def answer(self, image: int, number: int) -> int:
        """Return the answer of the annotator who is asked as number 0, 1, … about an image."""
        return int(self.answers[(self.first[image] + number) % len(self), image])


def make_panel(y: np.ndarray, annotators: Sequence[Any], n_classes: int, seed: int) -> Panel:
    """Draw what a seed's annotators answer.

    Parameters
    ----------
    y : ndarray of int, shape (n,)
        True classes.
    annotators : sequence
        Of each its error rate, or its matrix of P(answer | true class); see `oracle_answers`.
    n_classes : int
    seed : int
        Master seed of the run.

    Returns
    -------
    Panel
    """
    answers = [
        oracle_answers(y, noise, n_classes, seed, annotator=number)
        for number, noise in enumerate(annotators)
    ]
    first = stream(seed, "first annotator").integers(len(answers), size=len(y))
    return Panel(np.stack(answers), first)


class AnswerSheet:
    """The answers that a run has paid for.

    Parameters
    ----------
    panel : Panel
    records : sequence of dict
        Of the run, from round 0 on.
    """

    def __init__(self, panel: Panel, records: Iterable[Record] = ()) -> None:
        self._panel = panel
        self._of: dict[int, list[int]] = {}
        self._log: list[tuple[int, int]] = []
        for record in records:
            for image, answer in zip(record["asked"], record["answered"], strict=True):
                self._note(image, answer)

    def __len__(self) -> int:
        return len(self._log)

    def ask(self, image: int) -> None:
        """Buy one more answer about an image."""
        self._note(image, self._panel.answer(image, len(self._of.get(image, ()))))

    def is_settled(self, image: int, relabel: str) -> bool:
        """Return whether an image needs no further answer, or nobody is left to be asked."""
        counts = sorted(Counter(self._of[image]).values(), reverse=True)
        if relabel == "never" or not self.can_ask(image):
            return True
        if relabel == "always":
            return counts[0] > 1
        return len(counts) == 1 or counts[0] > counts[1]

    def can_ask(self, image: int) -> bool:
        """Whether an annotator is left who has not been asked about the image."""
        return len(self._of.get(image, ())) < len(self._panel)

    def images(self, n_answers: int | None = None) -> list[int]:
        """Return the images with answers, or with that many, in the order they were first asked."""
        return [i for i, given in self._of.items() if n_answers in (None, len(given))]

    def labels(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the images with answers, in the order they were first asked, and their labels."""
        named = [Counter(given).most_common(1)[0][0] for given in self._of.values()]
        return np.array(list(self._of), np.intp), np.array(named, np.int64)

    def fields(self, since: int) -> Record:
        """Return what a round's record holds of the answers from number `since` on."""
        return {
            "n_labeled": len(self._log),
            "n_images": len(self._of),
            "asked": [image for image, _ in self._log[since:]],
            "answered": [answer for _, answer in self._log[since:]],
        }

    def _note(self, image: int, answer: int) -> None:
        self._of.setdefault(image, []).append(answer)
        self._log.append((image, answer))


def spend(
    sheet: AnswerSheet,
    spec: StrategySpec,
    size: int,
    doubtful: Callable[[], Iterable[int]],
    choose: Callable[[int], Iterable[int]],
) -> None:
    """Spend a round's answers as a strategy's entry says; see the module.

    Parameters
    ----------
    sheet : AnswerSheet
        Gets the answers.
    spec : StrategySpec
    size : int
        How many answers to buy; fewer are bought only where no image is left.
    doubtful : callable
        Returns the images of one answer whose label is in doubt, the most doubtful first.
    choose : callable
        Takes a number, 1 or more, and returns as many new images, best first.
    """
    end = len(sheet) + size

    def settle(images: Iterable[int], until: int) -> None:
        for image in images:
            while len(sheet) < until and not sheet.is_settled(image, spec.relabel):
                sheet.ask(image)

    settle(sheet.images(), end)
    if spec.relabel == "when_doubtful":
        half = min(len(sheet) + size // 2, end)
        for image in doubtful():
            if len(sheet) < half and sheet.can_ask(image):
                sheet.ask(image)
                settle([image], half)
    left = end - len(sheet)
    if left == 0:
        return
    for image in choose(-(-left // 2) if spec.relabel == "always" else left):
        if len(sheet) < end:
            sheet.ask(image)
            settle([image], end)


def doubts(setting: Setting, images: np.ndarray, labels: np.ndarray, number: int) -> np.ndarray:
    """Return for each label 1 - p, p its probability by models that have not seen it.

    Parameters
    ----------
    setting : Setting
    images : ndarray of int, shape (m,)
        Ids labeled so far.
    labels : ndarray of int, shape (m,)
    number : int
        The round; the folds' seed follows from it.

    Returns
    -------
    ndarray of float64, shape (m,)
        0 where a label is the only one of its class, and everywhere while there is one class.
    """
    if len(np.unique(labels)) < 2:
        return np.zeros(len(labels))
    judge = build_estimator(setting.config, setting.n_classes)
    if setting.config.model == "probe":
        judge.set_params(C=PENALTY)
    proba = out_of_fold_proba(
        judge,
        setting.x_train[images],
        labels,
        classes=range(setting.n_classes),
        n_folds=N_FOLDS,
        random_state=derive_seed(setting.seed, "doubt", number),
    )
    suspects = suspect_labels(labels, proba, classes=range(setting.n_classes))
    return 1.0 - np.nan_to_num(suspects.score, nan=1.0)


def in_doubt(
    setting: Setting, sheet: AnswerSheet, threshold: float, number: int
) -> list[int]:
    """Return the images of one answer whose label is in doubt, the most doubtful first."""
    images, labels = sheet.labels()
    doubt = doubts(setting, images, labels, number)
    once = set(sheet.images(n_answers=1))
    order = np.argsort(-doubt, kind="stable")
    return [int(images[i]) for i in order if doubt[i] > threshold and int(images[i]) in once]

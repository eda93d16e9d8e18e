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

import numpy as np

from ..seeding import derive_seed
from ..suspects import PENALTY, out_of_fold_proba, suspect_labels
from .estimators import Estimator, build_estimator
from .oracles import Panel
from .querying import query
from .records import Record
from .setting import Setting
from .strategy_spec import StrategySpec

N_FOLDS = 5


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


def ask_annotators(
    setting: Setting,
    spec: StrategySpec,
    estimator: Estimator,
    records: Sequence[Record],
    size: int,
) -> AnswerSheet:
    """Buy the answers of the round that follows `records`.

    Parameters
    ----------
    setting : Setting
        With a panel of annotators.
    spec : StrategySpec
        Chooses new images, and says how many answers they get.
    estimator : Estimator
        The fitted model of the round before; not used while nothing is labeled.
    records : sequence of dict
        Of the run, from round 0 on.
    size : int
        How many answers to buy.

    Returns
    -------
    AnswerSheet
        With all answers of the run.
    """
    assert setting.panel is not None
    sheet, number = AnswerSheet(setting.panel, records), len(records)

    def choose(n: int) -> Iterable[int]:
        images, labels = sheet.labels()
        n = min(n, len(setting.pool) - len(images))
        return map(int, query(setting, spec, estimator, images, labels, number, n)) if n else ()

    spend(sheet, spec, size, lambda: in_doubt(setting, sheet, spec.doubt, number), choose)
    return sheet


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


def in_doubt(setting: Setting, sheet: AnswerSheet, threshold: float, number: int) -> list[int]:
    """Return the images of one answer whose label is in doubt, the most doubtful first."""
    images, labels = sheet.labels()
    doubt = doubts(setting, images, labels, number)
    once = set(sheet.images(n_answers=1))
    order = np.argsort(-doubt, kind="stable")
    return [int(images[i]) for i in order if doubt[i] > threshold and int(images[i]) in once]

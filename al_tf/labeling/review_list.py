"""The list of a review: which images are wanted, and what is listed of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import overload

from ..errors import check_one_of

SHOWN = ("answers", "suspects", "disagreements", "audit", "skipped", "unlabeled", "all")
AGREEMENTS = ("same", "other")


@dataclass(frozen=True)
class ReviewFilter:
    """Which images are listed; every condition that is given must hold.

    Raises
    ------
    ValueError
        A value that `show` or `agreement` does not know.
    """

    show: str = "answers"
    """``"answers"`` (labels), ``"suspects"`` (labels that a model disputes which has not seen
    them), ``"disagreements"`` (images with two labels that differ), ``"audit"`` (labels of images drawn at random, to measure), ``"skipped"``,
    ``"unlabeled"`` or ``"all"``."""
    label: str | None = None
    annotator: str | None = None
    round: int | None = None
    """Number of models that had been trained when the image was chosen."""
    agreement: str | None = None
    """``"same"`` or ``"other"``: whether the newest model predicts the label."""
    name: str = ""
    """Part of the name, in any case."""

    def __post_init__(self) -> None:
        check_one_of("show", self.show, SHOWN)
        if self.agreement is not None:
            check_one_of("agreement", self.agreement, AGREEMENTS)

    @property
    def takes_unlabeled(self) -> bool:
        """Whether images without an answer fit, as far as their name does."""
        conditions = (self.label, self.annotator, self.round, self.agreement)
        return self.show in ("unlabeled", "all") and all(value is None for value in conditions)


@dataclass(frozen=True)
class ReviewRow:
    """One image of the pool with its answer."""

    image: str
    name: str
    state: str
    """``"labeled"``, ``"disputed"`` (two labels that differ), ``"skipped"`` or ``"unlabeled"``."""
    label: str | None
    event: int | None
    """Of the answer; give it back to `Reviewer.answer`, so that a late click changes nothing."""
    annotator: str | None
    round: int | None
    purpose: str
    """As in the ledger; ``"audit"`` also of an image that will be drawn for it, ``""`` of any other
    without an answer."""
    predicted: str | None
    """By the newest model; by one that has not seen the label, of a suspect; None of audit
    images, which are judged by people alone."""
    opinions: tuple[tuple[str, str], ...] = ()
    """Of an image in dispute: each annotator and their label, the first one first."""


class ReviewList(Sequence[ReviewRow]):
    """Images that fit, each described when it is looked at.

    Parameters
    ----------
    images : list of str
    describe : callable
        Returns the row of an image, with the answers and the model of when the list was made.
    """

    def __init__(self, images: list[str], describe: Callable[[str], ReviewRow]) -> None:
        self._images, self._describe = images, describe

    def __len__(self) -> int:
        return len(self._images)

    @overload
    def __getitem__(self, place: int) -> ReviewRow: ...
    @overload
    def __getitem__(self, place: slice) -> list[ReviewRow]: ...
    def __getitem__(self, place: int | slice) -> ReviewRow | list[ReviewRow]:
        if isinstance(place, slice):
            return [self._describe(image) for image in self._images[place]]
        return self._describe(self._images[place])


def fits(row: ReviewRow, wanted: ReviewFilter) -> bool:
    """Return whether an image fits all conditions."""
    shown = {
        "answers": row.state == "labeled",
        "suspects": True,
        "disagreements": row.state == "disputed",
        "audit": row.state == "labeled" and row.purpose == "audit",
        "skipped": row.state == "skipped",
        "unlabeled": row.state == "unlabeled",
        "all": True,
    }[wanted.show]
    conditions = (
        (wanted.label, (row.label, *(label for _, label in row.opinions))),
        (wanted.annotator, (row.annotator, *(name for name, _ in row.opinions))),
        (wanted.round, (row.round,)),
        (wanted.agreement, (_agreement(row),)),
    )
    return shown and all(value is None or value in has for value, has in conditions)


def _agreement(row: ReviewRow) -> str | None:
    if row.predicted is None or row.label is None:
        return None
    return "same" if row.predicted == row.label else "other"

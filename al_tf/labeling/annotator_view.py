"""`AnnotatorView`: what one annotator may know of the labels that others gave."""

from __future__ import annotations

from collections.abc import Mapping

from .choosing import overlap_rank
from .ledger import Event, LabelLedger, Snapshot


class AnnotatorView:
    """What one annotator may know of the labels that others gave.

    A second opinion measures something only where it is given without the first one in sight. So
    whoever is no referee learns nothing of images on which they may still be asked for one. Of an
    image in dispute, and of one on which they gave the second opinion, they see their own alone,
    so that nobody learns whether the other one differs, and changes theirs.

    Parameters
    ----------
    ledger : LabelLedger
    annotator : str
    is_referee : bool
        Whether they see the labels of all, and settle disagreements; what waits for their own
        second opinion is kept from them, too.
    overlap : float
        Share of the images that a second annotator is asked for.
    seed : int
        Of the ledger.
    """

    def __init__(
        self, ledger: LabelLedger, annotator: str, *, is_referee: bool, overlap: float, seed: int
    ) -> None:
        self.annotator, self.is_referee = annotator, is_referee
        self._ledger, self._overlap, self._seed = ledger, overlap, seed
        self._seen: tuple[Snapshot | None, Mapping[str, Event]] = (None, {})

    def answers(self) -> Mapping[str, Event]:
        """Return the answers that they may know: `LabelLedger.answers` of a referee."""
        snapshot = self._ledger.snapshot()
        if self.is_referee:
            return snapshot.answers
        before, answers = self._seen
        if before is not snapshot:
            answers = self._known(snapshot)
            self._seen = (snapshot, answers)
        return answers

    def hidden(self) -> set[str]:
        """Return the images with an answer that they are not to know."""
        waiting = self._ledger.queue.waiting(self.annotator)
        hidden = {slot.image for slot in waiting if slot.purpose == "second"}
        if not self.is_referee:
            hidden |= self._ledger.answers().keys() - self.answers().keys()
        return hidden

    def _known(self, snapshot: Snapshot) -> dict[str, Event]:
        own: dict[str, Event] = {}
        has_second: set[str] = set()
        for event in snapshot.standing:
            if event.purpose == "second":
                has_second.add(event.image)
            if event.annotator == self.annotator and event.purpose != "repeat":
                own[event.image] = event
        known = {}
        for image, answer in snapshot.answers.items():
            opinion = own.get(image)
            if answer.in_dispute or _is_second_after(opinion, answer):
                if opinion is not None and opinion.label is not None:
                    known[image] = opinion
            elif opinion is not None or image in has_second or not self._is_drawn(answer):
                known[image] = answer
        return known

    def _is_drawn(self, answer: Event) -> bool:
        """Return whether somebody may be asked for a second opinion on an image."""
        one_by_one = answer.label is not None and answer.purpose in ("query", "audit")
        return one_by_one and overlap_rank(answer.image, self._seed) < self._overlap


def _is_second_after(opinion: Event | None, answer: Event) -> bool:
    """Return whether an opinion is a second one, and the answer is older: nobody has settled since."""
    return (
        opinion is not None
        and opinion.purpose == "second"
        and opinion.label is not None
        and opinion.id > answer.id
    )

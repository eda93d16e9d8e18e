"""`ReviewDesk`: the requests of the review grid, of images alike, and of one's past answers.

By their ``do``; none of them waits for a training, nor does labeling wait for them:

- ``review`` with the fields of `ReviewFilter`: a list of images; ``offset`` and ``limit`` say
  which part, ``listing`` names a list that was made before, so that its parts fit together.
- ``thumbnails`` with ``images``: their pictures.
- ``alike`` with ``image`` and ``limit``: the images without an answer that are most like it.
- ``change`` with ``label`` (None clears) and ``images``, each with the event that its answer was
  seen in: one change of all of them, undone as one.
- ``takeback`` with ``last``, the event that the screen believes to be the last one.
- ``past`` with ``image`` (None: the present) and ``step``: one's answer before or after it.
- ``image`` with ``image``: that one, with its answer.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from ..image_pool import ImagePool
from ..review_list import ReviewFilter, ReviewList
from . import looking
from .data_urls import PictureUrls
from .wording import changed, taken_back

if TYPE_CHECKING:
    from ..session import LabelingSession

MAX_ROWS = 1_000
MAX_THUMBNAILS = 64
MAX_CHANGED = 2_000
MAX_TEXT = 1_000
ALIKE = 24
LISTS_KEPT = 4


class ReviewDesk:
    """The review requests to one session; several threads may ask at once.

    Parameters
    ----------
    session : LabelingSession
    pictures : PictureUrls
    """

    def __init__(self, session: LabelingSession, pictures: PictureUrls) -> None:
        self.session = session
        self._urls = pictures
        self._lock = threading.Lock()
        self._lists: OrderedDict[int, ReviewList] = OrderedDict()
        self._made = 0
        self._does = {
            "review": self._review,
            "thumbnails": self._pictures,
            "alike": self._alike,
            "change": self._change,
            "takeback": self._take_back,
            "past": self._past,
            "image": self._image,
        }

    def answers(self, do: Any) -> bool:
        """Return whether a request of this kind is for this desk."""
        return isinstance(do, str) and do in self._does

    def reply(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Do what is asked, and return what the reply to it has beside ``error`` and ``status``.

        Raises
        ------
        AlTfError, ValueError
            The request makes no sense, or came too late; nothing was changed.
        """
        return self._does[request["do"]](request)

    def _review(self, request: Mapping[str, Any]) -> dict[str, Any]:
        offset = _integer(request, "offset", 0, 10**9) or 0
        limit = _integer(request, "limit", 1, MAX_ROWS) or MAX_ROWS
        listing = _integer(request, "listing", 1, 10**9)
        with self._lock:
            rows = None if listing is None else self._lists.get(listing)
        if listing is None:
            rows = self.session.reviewer.rows(_filter(request))
            with self._lock:
                self._made += 1
                listing = self._made
                self._lists[listing] = rows
                while len(self._lists) > LISTS_KEPT:
                    self._lists.popitem(last=False)
        if rows is None:
            raise ValueError("This list is no longer kept: look again.")
        part = [asdict(row) for row in rows[offset : offset + limit]]
        review = {"listing": listing, "total": len(rows), "offset": offset, "rows": part}
        return {"review": review | self._choices()}

    def _choices(self) -> dict[str, Any]:
        """Return what there is to filter by, and what an undo would take back."""
        answers = self.session.ledger.answers().values()
        last = self.session.ledger.last_event(self.session.annotator)
        return {
            "annotators": sorted({event.annotator for event in self.session.ledger.standing()}),
            "rounds": sorted({answer.round for answer in answers}),
            "last": last and last.id,
        }

    def _pictures(self, request: Mapping[str, Any]) -> dict[str, Any]:
        images = request.get("images")
        if not isinstance(images, list) or not 1 <= len(images) <= MAX_THUMBNAILS:
            raise ValueError(f"images must be a list of 1 to {MAX_THUMBNAILS} images.")
        known = [_known(self.session.pool, image) for image in images]
        return {"thumbnails": {image: self._urls.thumbnail(image) for image in known}}

    def _alike(self, request: Mapping[str, Any]) -> dict[str, Any]:
        image = _known(self.session.pool, request.get("image"))
        limit = _integer(request, "limit", 1, MAX_THUMBNAILS) or ALIKE
        reviewer = self.session.reviewer
        rows = reviewer.alike(image, limit)
        row = reviewer.row(image)
        waiting = self.session.ledger.queue.waiting(self.session.annotator)
        if any(slot.image == image and slot.purpose == "repeat" for slot in waiting):
            row = replace(row, state="unlabeled", label=None, event=None, purpose="repeat")  # blind
        alike = {"image": asdict(row), "rows": [asdict(row) for row in rows]}
        return {"alike": alike | {"last": self._choices()["last"]}}

    def _change(self, request: Mapping[str, Any]) -> dict[str, Any]:
        label = _text(request, "label")
        images = request.get("images")
        if not isinstance(images, dict) or not 1 <= len(images) <= MAX_CHANGED:
            raise ValueError(f"images must name 1 to {MAX_CHANGED} images and their answers.")
        for event in images.values():
            if isinstance(event, bool) or not isinstance(event, int | None):
                raise ValueError("An answer must be named by the number of its event, or null.")
        strategy = "alike" if request.get("alike") is True else "review"
        changes = self.session.reviewer.answer(label, images, strategy=strategy)
        return {"did": changed(changes, label), "changed": len(changes.events)}

    def _take_back(self, request: Mapping[str, Any]) -> dict[str, Any]:
        last = _integer(request, "last", 1, 2**62)
        if last is None:
            raise ValueError("Say which change to take back: the number of its last event.")
        return {"did": taken_back(self.session.reviewer.undo(last))}

    def _past(self, request: Mapping[str, Any]) -> dict[str, Any]:
        step = request.get("step")
        if step not in (-1, 1) or isinstance(step, bool):
            raise ValueError("step must be -1 or 1.")
        image = request.get("image")
        if image is not None:
            image = _known(self.session.pool, image)
        there, place, n = self.session.reviewer.past(image, step)
        if there is None:
            return {"past": None}
        return {"past": self._with_picture(there) | {"place": place, "of": n}}

    def _image(self, request: Mapping[str, Any]) -> dict[str, Any]:
        return {"image": self._with_picture(_known(self.session.pool, request.get("image")))}

    def _with_picture(self, image: str) -> dict[str, Any]:
        row = asdict(self.session.reviewer.row(image))
        return row | looking.whole(self.session.pool, image)


def _filter(request: Mapping[str, Any]) -> ReviewFilter:
    return ReviewFilter(
        show=_text(request, "show") or "answers",
        label=_text(request, "label"),
        annotator=_text(request, "annotator"),
        round=_integer(request, "round", 0, 10**9),
        agreement=_text(request, "agreement"),
        name=_text(request, "name") or "",
    )


def _text(request: Mapping[str, Any], key: str) -> str | None:
    value = request.get(key)
    if value is not None and not (isinstance(value, str) and len(value) <= MAX_TEXT):
        raise ValueError(f"{key} must be text of at most {MAX_TEXT} characters, or null.")
    return value


def _integer(request: Mapping[str, Any], key: str, low: int, high: int) -> int | None:
    value = request.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{key} must be an integer from {low} to {high}.")
    return value


def _known(pool: ImagePool, image: Any) -> str:
    """Return the id of an image; pools are only ever asked for what looks like one."""
    hexadecimal = (
        isinstance(image, str) and len(image) == 64 and set(image) <= set("0123456789abcdef")
    )
    if not hexadecimal:
        raise ValueError("An image must be named by the 64 hexadecimal digits of its content hash.")
    return str(image)

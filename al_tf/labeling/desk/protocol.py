"""`Desk`: a session behind requests and replies of plain values, for any screen.

A screen sends a request, a small dict, and gets a reply, a dict of JSON values. The same front
end (``front/desk.js``) sends them through a notebook's kernel (`widget.py`) and to a local server
(`server.py`). Requests, by their ``do``:

- ``look``: which image is to be labeled, and how does the work stand?
- ``status``: the same without the image; asked while a model is being trained.
- ``label`` with ``slot`` and ``label``; ``skip`` with ``slot``: an answer to the image shown. With
  ``seconds``, the time spent on it; else that since it was first sent counts.
- ``undo`` with ``slot``: take back the last answer, as seen while that image was shown.
- ``retrain``: train on all labels so far.
- ``ahead``: the images that follow in this batch, for a screen that fetches them early.
- ``view``: a part of an image in full resolution, see `al_tf.labeling.desk.looking`.
- those of `al_tf.labeling.desk.review`: the grid of all images, images alike, one's past answers.
- those of `al_tf.labeling.desk.class_desk`: to add, rename, merge and describe classes.

Every request that changes something names the slot, or the events, it was made at, so one that is
sent twice or late changes nothing.
"""

from __future__ import annotations

import logging
import math
import threading
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import AlTfError, StaleItemError
from ..items import Item
from ..quality import accuracy_points
from . import looking
from .class_desk import ClassDesk, class_details
from .data_urls import PictureUrls
from .review import ReviewDesk
from .wording import error_line, isolated, taken_back

if TYPE_CHECKING:
    from ..session import LabelingSession

_log = logging.getLogger("al_tf.labeling")

MAX_LISTED = 20
CURVE_FIELDS = ("labels", "minutes", "accuracy", "low", "high")
LONGEST_SECONDS = 86_400.0


class Desk:
    """One session behind a screen; several threads may ask at once.

    Parameters
    ----------
    session : LabelingSession
    pictures : PictureUrls, optional
        To share with other desks on the same pool.
    """

    def __init__(self, session: LabelingSession, pictures: PictureUrls | None = None) -> None:
        self.session = session
        self._classes = ClassDesk(session)
        self._urls = pictures or PictureUrls(session.pool)
        self._review = ReviewDesk(session, self._urls)
        self._lock = threading.Lock()
        self._shown: int | None = None
        session.subscribe_ahead(self._item)  # encodes the images

    def handle(self, request: Any) -> dict[str, Any]:
        """Do what is asked and return how things stand then; nothing is raised.

        Parameters
        ----------
        request : dict
            See the module; whatever else comes is answered with an error.

        Returns
        -------
        dict
            ``error`` (a line for people, or None), ``did`` (what was done, in words, or None),
            ``status`` (see `status`) and, unless the status alone was asked for, ``item``
            (see `_item`; None when nothing is left to label). After an error, parts may be
            missing. To ``ahead`` and ``view``, which wait for nothing else that is asked:
            ``error`` and ``ahead`` (items) or ``view``.
        """
        if isinstance(request, dict) and request.get("do") in ("ahead", "view"):
            return self._picture_reply(request)
        for part in (self._review, self._classes):
            if isinstance(request, dict) and part.answers(request.get("do")):
                return self._handle_part(part, request)
        reply: dict[str, Any] = {"error": None, "did": None}
        with self._lock:
            do = request.get("do") if isinstance(request, dict) else None
            try:
                reply["did"] = self._do(do, request)
            except Exception as error:
                reply["error"] = _one_line(error)
            try:
                if do != "status":
                    reply["item"] = self._look()
                reply["status"] = self.status()
            except Exception as error:
                reply["error"] = reply["error"] or _one_line(error)
        return reply

    def _picture_reply(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return images; nothing changes, so other requests go on meanwhile."""
        try:
            if request["do"] == "ahead":
                return {"error": None, "ahead": list(map(self._item, looking.ahead(self.session)))}
            return {"error": None, "view": looking.view(self.session.pool, request)}
        except Exception as error:
            return {"error": _one_line(error)}

    def _handle_part(self, part: ReviewDesk | ClassDesk, request: dict[str, Any]) -> dict[str, Any]:
        """Answer a request of another view, without holding up those of the main view."""
        reply: dict[str, Any] = {"error": None, "did": None}
        try:
            reply |= _plain(part.reply(request))
            if request["do"] != "thumbnails":
                reply["status"] = self.status()
        except Exception as error:
            reply["error"] = _one_line(error)
        return reply

    def status(self) -> dict[str, Any]:
        """Return where the work stands: counts, minutes, training, advice, the curve so far."""
        session = self.session
        progress = session.progress()
        classes = class_details(session.ledger.class_list)
        points = accuracy_points(session.ledger.trainings())
        problems = sorted(dict(session.pool.problems).items())
        status = {
            "classes": [each["name"] for each in classes],
            "classDetails": classes,
            "annotator": session.annotator,
            "overlap": session.overlap,
            "referee": session.is_referee,
            "ledger": session.ledger.path.name,
            "labels": progress.labels,
            "skipped": progress.skipped,
            "disputed": progress.disputed,
            "perClass": [progress.per_class.get(each["name"], 0) for each in classes],
            "images": progress.images,
            "remaining": progress.remaining,
            "problems": [f"{name}: {text}" for name, text in problems[:MAX_LISTED]],
            "unreadable": progress.unreadable,
            "files": progress.files,
            "unread": progress.unread,
            "minutes": progress.minutes,
            "myLabels": progress.my_labels,
            "myMinutes": progress.my_minutes,
            "accuracy": progress.accuracy and asdict(progress.accuracy),
            "quality": [asdict(quality) for quality in progress.per_class_quality],
            "commonest": progress.commonest and asdict(progress.commonest),
            "selfAgreement": progress.self_agreement and asdict(progress.self_agreement),
            "agreement": progress.agreement and asdict(progress.agreement),
            "training": asdict(progress.training),
            "advice": asdict(progress.advice),
            "curve": [{name: getattr(point, name) for name in CURVE_FIELDS} for point in points],
        }
        return _plain(status)

    def _do(self, do: Any, request: Any) -> str | None:
        session = self.session
        if do in ("look", "status"):
            return None
        if do == "label":
            label = _label(request)
            event = session.label(label, slot=_slot(request), seconds=_seconds(request))
            return f"Labeled {isolated(event.name)} as {isolated(str(event.label))}."
        if do == "skip":
            event = session.skip(slot=_slot(request), seconds=_seconds(request))
            return f"Skipped {isolated(event.name)}."
        if do == "undo":
            return self._undo(request.get("slot"))
        if do == "retrain":
            if session.retrain():
                return "Training on all labels so far."
            return "Nothing to train on yet: label some images of two classes or more."
        raise ValueError(f"Unknown request {str(do)[:40]!r}.")

    def _undo(self, slot: Any) -> str:
        if slot != self._shown:
            raise StaleItemError("Another image is shown by now. Nothing was taken back.")
        return taken_back(self.session.reviewer.undo())

    def _look(self) -> dict[str, Any] | None:
        item = self.session.next()
        self._shown = None if item is None else item.slot
        return None if item is None else self._item(item)

    def _item(self, item: Item) -> dict[str, Any]:
        """Return an item for the screen; images are PNG as data URLs."""
        return _plain(
            {
                "slot": item.slot,
                "id": item.image_id,
                "name": item.name,
                "image": self._urls.of(item.image_id, item.image),
                "width": item.picture.width,
                "height": item.picture.height,
                "highest": item.picture.highest,
                "predictions": [asdict(prediction) for prediction in item.predictions],
                "score": item.score,
                "strategy": item.strategy,
                "why": item.why,
                "neighbours": [
                    {
                        "name": other.name,
                        "label": other.label,
                        "distance": other.distance,
                        "image": self._urls.of(other.image_id, other.image),
                    }
                    for other in item.neighbours
                ],
                "position": item.position,
                "batch": item.batch,
            }
        )


def _seconds(request: dict[str, Any]) -> float | None:
    """Return the time spent on an image, if the screen measured it."""
    seconds = looking.optional_number(request, "seconds")
    return None if seconds is None else min(max(0.0, seconds), LONGEST_SECONDS)


def _label(request: dict[str, Any]) -> str:
    label = request.get("label")
    if not isinstance(label, str):
        raise ValueError("A label must be the name of a class.")
    return label


def _slot(request: dict[str, Any]) -> int:
    slot = request.get("slot")
    if isinstance(slot, bool) or not isinstance(slot, int):
        raise ValueError("An answer must name the slot of the image that it answers.")
    return slot


def _one_line(error: Exception) -> str:
    """Return an error as one line for people; an unexpected one is logged with its traceback."""
    if not isinstance(error, AlTfError | ValueError | OSError):
        _log.error("The desk met an error", exc_info=error)
    return error_line(error)


def _plain(value: Any) -> Any:
    """Return a value as JSON knows it: no numpy scalars, no NaN."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value

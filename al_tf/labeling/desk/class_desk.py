"""`ClassDesk`: the requests that show and change the classes.

- ``classes``: the colors that there are, and what an undo would take back.
- ``class`` with ``change`` and ``name``: ``add`` and ``edit`` with ``description``, ``color`` and
  ``key`` (``edit`` with ``to``, the new name, too); ``merge`` with ``into``; ``separate``;
  ``remove``. One that is sent twice changes nothing the second time: names are never given twice.

The classes themselves are in every status. No request waits for a training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..ledger import COLORS, ClassList
from .wording import isolated

if TYPE_CHECKING:
    from ..session import LabelingSession

MAX_TEXT = 2_000


class ClassDesk:
    """The requests about classes to one session; several threads may ask at once.

    Parameters
    ----------
    session : LabelingSession
    """

    def __init__(self, session: LabelingSession) -> None:
        self.session = session
        self._changes: dict[str, Callable[[Mapping[str, Any]], str]] = {
            "add": self._add,
            "edit": self._edit,
            "merge": self._merge,
            "separate": self._separate,
            "remove": self._remove,
        }

    def answers(self, do: Any) -> bool:
        """Return whether a request of this kind is for this desk."""
        return do in ("class", "classes")

    def reply(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Do what is asked, and return what the reply to it has beside ``error`` and ``status``.

        Raises
        ------
        AlTfError, ValueError
            The request makes no sense; nothing was changed.
        """
        reply: dict[str, Any] = {}
        if request["do"] == "class":
            change = request.get("change")
            if not isinstance(change, str) or change not in self._changes:
                raise ValueError(f"change must be one of {', '.join(self._changes)}.")
            reply["did"] = self._changes[change](request)
        last = self.session.ledger.last_event(self.session.annotator)
        return reply | {"colors": list(COLORS), "last": last and last.id}

    def _add(self, request: Mapping[str, Any]) -> str:
        added = self.session.add_class(_needed(request, "name"), **_settings(request))
        return f"Added the class {isolated(added.name)}."

    def _edit(self, request: Mapping[str, Any]) -> str:
        name, to = _needed(request, "name"), _text(request, "to")
        changed = self.session.change_class(name, to=to, **_settings(request))
        if to is not None and changed.name != name:
            return f"Class {isolated(name)} is now {isolated(changed.name)}."
        return f"Changed the class {isolated(changed.name)}."

    def _merge(self, request: Mapping[str, Any]) -> str:
        name = _needed(request, "name")
        target = self.session.merge_classes(name, _needed(request, "into"))
        return f"Merged {isolated(name)} into {isolated(target.name)}: its answers count there."

    def _separate(self, request: Mapping[str, Any]) -> str:
        separated = self.session.separate_class(_needed(request, "name"))
        return f"The class {isolated(separated.name)} is back, with its answers."

    def _remove(self, request: Mapping[str, Any]) -> str:
        name = _needed(request, "name")
        self.session.remove_class(name)
        return f"Removed the class {isolated(name)}."


def class_details(classes: ClassList) -> list[dict[str, Any]]:
    """Return what a screen shows of each class: name, description, color, key, those merged."""
    return [asdict(each) | {"merged": list(each.merged)} for each in classes.classes]


def _settings(request: Mapping[str, Any]) -> dict[str, Any]:
    given = {key: _text(request, key) for key in ("description", "color", "key")}
    return {key: value for key, value in given.items() if value is not None}


def _text(request: Mapping[str, Any], key: str) -> str | None:
    value = request.get(key)
    if value is not None and not (isinstance(value, str) and len(value) <= MAX_TEXT):
        raise ValueError(f"{key} must be text of at most {MAX_TEXT} characters.")
    return value


def _needed(request: Mapping[str, Any], key: str) -> str:
    value = _text(request, key)
    if value is None:
        raise ValueError(f"A change of a class must say its {key}.")
    return value

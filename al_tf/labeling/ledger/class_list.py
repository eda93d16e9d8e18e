"""`ClassList`: which classes there are now, computed from those a ledger began with and the changes.

A class is known by the name under which it was first added; answers in the file refer to that name
for ever. So a rename touches no answer, and a merge is a mapping that can be taken back exactly. No
name ever means two classes: one that a class had before, or that was merged away, is taken.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...errors import ClassChangeError, UnknownLabelError
from .event import Event

COLORS = ("blue", "orange", "green", "red", "purple", "brown", "pink", "grey")
"""What a class may be marked with, beside its name."""
COMMAND_KEYS = "abcgrsuwz"
"""Letters that are commands somewhere on the desk, so no keys of classes."""
KEYS = "1234567890" + "".join(k for k in "abcdefghijklmnopqrstuvwxyz" if k not in COMMAND_KEYS)
"""Keys that classes get by themselves, in the order in which they were added."""
MAX_NAME, MAX_DESCRIPTION = 200, 1_000


@dataclass(frozen=True)
class LabelClass:
    """One class as it is now."""

    name: str
    description: str = ""
    color: str | None = None
    """One of `COLORS`."""
    key: str | None = None
    """The key that answers with it on the desk; None where no key is left."""
    has_own_key: bool = False
    """Whether the key was chosen by somebody."""
    merged: tuple[str, ...] = ()
    """Names of the classes that were merged into it."""


@dataclass
class _Entry:
    """One class, present or not, while the changes are gone through."""

    name: str
    former: list[str] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    into: str | None = None
    removed: bool = False

    @property
    def present(self) -> bool:
        return self.into is None and not self.removed


class ClassList:
    """The classes of a ledger at one moment.

    Parameters
    ----------
    first : sequence of str
        Names that the ledger began with.
    changes : iterable of Event
        The class events that stand, in order.

    Attributes
    ----------
    first : tuple of str
    classes : tuple of LabelClass
        Those that are there now, in the order in which they were added.

    Examples
    --------
    >>> import tempfile
    >>> from al_tf import LabelLedger
    >>> with tempfile.TemporaryDirectory() as folder, LabelLedger(f"{folder}/labels.db") as ledger:
    ...     classes = ledger.fix_classes(["good", "scratch", "dent"])
    ...     renamed = ledger.rename_class("scratch", "scrape", annotator="ana")
    ...     dent = ledger.merge_classes("scrape", "dent", annotator="ana")
    ...     now = ledger.class_list
    >>> now.names, now.present_name("scratch"), dent.key, dent.merged
    (('good', 'dent'), 'dent', '3', ('scrape',))
    """

    def __init__(self, first: Sequence[str], changes: Iterable[Event] = ()) -> None:
        self.first = tuple(first)
        self._entries = {name: _Entry(name) for name in self.first}
        for change in changes:
            self._apply(change)
        self._ids: dict[str, str] = {}
        for (
            identity,
            entry,
        ) in self._entries.items():  # what is called so now comes last, and counts
            if not entry.removed:
                self._ids |= dict.fromkeys(entry.former, identity)
        for wanted in (False, True):
            named = {e.name: i for i, e in self._entries.items() if e.present is wanted}
            self._ids |= {n: i for n, i in named.items() if not self._entries[i].removed}
        self.classes = self._present()
        self._names = {identity: self._name_now(identity) for identity in self._entries}

    def _apply(self, change: Event) -> None:
        identity = str(change.label)
        if change.kind == "class_added":
            self._entries.pop(identity, None)  # one that was removed: it comes last again
            self._entries[identity] = _Entry(change.name)
        entry = self._entries.get(identity)
        if entry is None:
            return  # its addition was taken back
        if change.kind == "class_renamed":
            entry.former.append(entry.name)
            entry.name = change.name
        elif change.kind == "class_merged":
            entry.into = change.name
        elif change.kind == "class_separated":
            entry.into = None
        elif change.kind == "class_removed":
            entry.removed = True
        elif change.kind == "class_described":
            entry.settings |= json.loads(change.details or "{}")

    def _present(self) -> tuple[LabelClass, ...]:
        keys = self._keys()
        merged: dict[str, list[str]] = {}
        for identity, entry in self._entries.items():
            if entry.into is not None:
                merged.setdefault(self.root(identity), []).append(entry.name)
        return tuple(
            LabelClass(
                entry.name,
                entry.settings.get("description", ""),
                entry.settings.get("color") or None,
                keys.get(identity),
                bool(entry.settings.get("key")),
                tuple(merged.get(identity, ())),
            )
            for identity, entry in self._entries.items()
            if entry.present
        )

    def _keys(self) -> dict[str, str]:
        """Return the key of each class: its own, else by its place among all that ever were.

        So no class gets another key because one before it was merged or removed.
        """
        present = [identity for identity, entry in self._entries.items() if entry.present]
        keys = {i: k for i in present if (k := self._entries[i].settings.get("key"))}
        for identity, key in zip(self._entries, KEYS, strict=False):
            if identity in present and identity not in keys and key not in keys.values():
                keys[identity] = key
        for identity in present:
            if identity not in keys and (left := [k for k in KEYS if k not in keys.values()]):
                keys[identity] = left[0]
        return keys

    # Names and identities ---------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes, in order."""
        return tuple(each.name for each in self.classes)

    @property
    def known_names(self) -> tuple[str, ...]:
        """The same, and after them all names that a class had before or that were merged away."""
        return tuple(dict.fromkeys([*self.names, *self._ids]))

    @property
    def identities(self) -> tuple[str, ...]:
        """The first name of each class that ever was, in the order in which they were added."""
        return tuple(self._entries)

    def identity(self, name: str) -> str:
        """Return what the file calls a class.

        Parameters
        ----------
        name : str
            What it is called now, or was called before; of a class that was merged away, too.

        Raises
        ------
        UnknownLabelError
            There is no such class. (Before classes are fixed, every name is one.)
        """
        if not self._entries:
            return name
        if name not in self._ids:
            raise UnknownLabelError(
                f"Label {name[:80]!r} is not one of the classes {list(self.names)}."
            )
        return self._ids[name]

    def root(self, identity: str) -> str:
        """Return the identity of the class that another one counts as now."""
        while (entry := self._entries.get(identity)) is not None and entry.into is not None:
            identity = entry.into
        return identity

    def name_of(self, identity: str) -> str:
        """Return the present name of the class that an identity counts as now."""
        return self._names.get(identity, identity)

    def _name_now(self, identity: str) -> str:
        root = self.root(identity)
        return self._entries[root].name if root in self._entries else root

    def own_name(self, identity: str) -> str:
        """Return the name of the class itself, whatever it was merged into."""
        entry = self._entries.get(identity)
        return identity if entry is None else entry.name

    def present_name(self, name: str) -> str:
        """Return what a class is called now that was called so, or merged away; see `identity`."""
        return self.name_of(self.identity(name))

    def find(self, name: str) -> tuple[str, LabelClass]:
        """Return the identity of a class that is there now, and the class.

        Raises
        ------
        ClassChangeError
            It was merged away.
        UnknownLabelError
            There is no such class.
        """
        identity = self.identity(name)
        if not self._entries[identity].present:
            raise ClassChangeError(
                f"Class {name!r} was merged into {self.name_of(identity)!r}. Separate it first."
            )
        return identity, self.classes[self.names.index(self._entries[identity].name)]

    def is_merged(self, identity: str) -> bool:
        """Return whether a class was merged into another one."""
        return self._entries[identity].into is not None

    def shown(self, event: Event) -> Event:
        """Return an event with the present name of its class in place of the identity."""
        if event.label is None:
            return event
        if event.purpose != "class":
            name = self.name_of(event.label)
            return event if name == event.label else event._replace(label=name)
        name = self.own_name(event.name) if event.kind == "class_merged" else event.name
        return event._replace(label=self.own_name(event.label), name=name)

    # What is allowed --------------------------------------------------------------------

    def checked_name(self, name: Any, *, of: str | None = None) -> str:
        """Return a new name for a class, or raise `ClassChangeError`.

        Parameters
        ----------
        name : str
        of : str, optional
            Identity of the class that is to be called so; None of a new one.
        """
        if not isinstance(name, str) or not name.strip():
            raise ClassChangeError("A class needs a name that is not blank.")
        name = name.strip()
        if len(name) > MAX_NAME or not name.isprintable():
            raise ClassChangeError(
                f"The name of a class is one line of at most {MAX_NAME} characters; got {name[:40]!r}."
            )
        for known, identity in self._ids.items():
            if identity == of or known.casefold() != name.casefold():
                continue
            entry = self._entries[identity]
            if entry.present and known == entry.name:
                raise ClassChangeError(f"There is a class {known!r} already. Choose another name.")
            how = "merged into" if not entry.present else "renamed to"
            raise ClassChangeError(
                f"{known!r} was {how} {self.name_of(identity)!r}, and answers may still come under "
                "that name. Choose another one."
            )
        return name

    def checked_settings(
        self, identity: str | None, description: Any, color: Any, key: Any
    ) -> dict[str, str]:
        """Return what is to be changed about a class, or raise `ClassChangeError`; None is nothing."""
        entry = self._entries.get(identity or "") or _Entry("")
        given = {"description": description, "color": color, "key": key}
        for what, value in given.items():
            if value is not None and not isinstance(value, str):
                raise ClassChangeError(f"The {what} of a class is text; got {value!r}.")
        given = {what: value.strip() for what, value in given.items() if value is not None}
        if len(given.get("description", "")) > MAX_DESCRIPTION:
            raise ClassChangeError(f"A description has at most {MAX_DESCRIPTION} characters.")
        if given.get("color") and given["color"] not in COLORS:
            raise ClassChangeError(
                f"{given['color'][:40]!r} is no color for a class. Choose one of {', '.join(COLORS)}."
            )
        if given.get("key"):
            given["key"] = self._checked_key(identity, given["key"].lower())
        return {w: v for w, v in given.items() if v != entry.settings.get(w, "")}

    def _checked_key(self, identity: str | None, key: str) -> str:
        if len(key) != 1 or not key.isalnum():
            raise ClassChangeError(f"A key is one letter or digit; got {key[:40]!r}.")
        if key in COMMAND_KEYS:
            raise ClassChangeError(f"The key {key!r} is a command of the desk. Choose another one.")
        for other, has in self._keys().items():
            if has == key and other != identity:
                raise ClassChangeError(
                    f"The key {key!r} answers {self.own_name(other)!r}. Give that another key first."
                )
        return key

    def check(self) -> None:
        """Raise `ClassChangeError` if these classes cannot be: after a change is taken back."""
        names = Counter(entry.name for entry in self._entries.values() if not entry.removed)
        former = Counter(
            name
            for entry in self._entries.values()
            if not entry.removed
            for name in {*entry.former} - {entry.name}
        )
        if twice := [name for name, n in (names + former).items() if n > 1]:
            raise ClassChangeError(f"Two classes would be called {twice[0]!r}.")
        own = Counter(each.key for each in self.classes if each.has_own_key)
        if twice := [key for key, n in own.items() if key and n > 1]:
            raise ClassChangeError(f"Two classes would have the key {twice[0]!r}.")
        for entry in self._entries.values():
            if entry.into is not None and self._is_gone(entry.into):
                raise ClassChangeError(f"{entry.name!r} was merged into it.")
        if len(self.classes) < 2:
            raise ClassChangeError("Two classes or more must stay.")

    def _is_gone(self, identity: str) -> bool:
        entry = self._entries.get(self.root(identity))
        return entry is None or entry.removed

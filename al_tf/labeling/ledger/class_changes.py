"""`ClassChanges`: the half of `LabelLedger` that adds, renames, merges, describes and removes classes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from ...errors import ClassChangeError
from .class_list import ClassList, LabelClass
from .event import Event
from .recording import LedgerRecorder, next_id
from .tables import read_class_list


class ClassChanges(LedgerRecorder):
    """Changes of the classes: events like the answers, undone by whoever made them.

    They hold for all annotators. All methods raise `ClassChangeError` for a change that cannot be
    made, and `UnknownLabelError` for a class that is not there; nothing is recorded then.

    Parameters
    ----------
    path, synchronous, read_only
        As in `LabelLedger`.
    """

    def add_class(
        self,
        name: str,
        *,
        annotator: str,
        description: str = "",
        color: str | None = None,
        key: str | None = None,
    ) -> LabelClass:
        """Add a class after the others, and return it.

        Parameters
        ----------
        name : str
            One line. No class may have it, or have had it.
        annotator : str
            Who adds it.
        description : str
            For people: what belongs to it.
        color : str, optional
            One of `al_tf.labeling.ledger.COLORS`.
        key : str, optional
            One letter or digit that answers with it on the desk. By itself it gets the first that
            is left.

        Returns
        -------
        LabelClass
        """
        with self._file.writing() as connection:
            classes = _begun(connection)
            name = classes.checked_name(name)
            settings = classes.checked_settings(None, description, color, key)
            action = next_id(connection) if settings else None
            self._change_class(connection, "class_added", name, annotator, name, action=action)
            self._describe_class(connection, name, annotator, settings, action)
            return read_class_list(connection).find(name)[1]

    def change_class(
        self,
        name: str,
        *,
        annotator: str,
        to: str | None = None,
        description: str | None = None,
        color: str | None = None,
        key: str | None = None,
    ) -> LabelClass:
        """Rename a class, describe it, or both in one step, and return it.

        Answers are not touched: they are those of the class, whatever it is called.

        Parameters
        ----------
        name : str
            What it is called now, or was called before.
        annotator : str
            Who changes it.
        to : str, optional
            Its new name.
        description, color, key : str, optional
            As in `add_class`; None leaves them as they are, ``""`` takes them away.

        Returns
        -------
        LabelClass
        """
        with self._file.writing() as connection:
            classes = _begun(connection)
            identity, before = classes.find(name)
            to = before.name if to is None else classes.checked_name(to, of=identity)
            settings = classes.checked_settings(identity, description, color, key)
            both = to != before.name and bool(settings)
            action = next_id(connection) if both else None
            if to != before.name:
                self._change_class(
                    connection, "class_renamed", identity, annotator, to, action=action
                )
            self._describe_class(connection, identity, annotator, settings, action)
            return _checked(connection).find(to)[1]

    def rename_class(self, name: str, to: str, *, annotator: str) -> LabelClass:
        """Give a class another name; see `change_class`."""
        return self.change_class(name, to=to, annotator=annotator)

    def describe_class(
        self,
        name: str,
        *,
        annotator: str,
        description: str | None = None,
        color: str | None = None,
        key: str | None = None,
    ) -> LabelClass:
        """Give a class a description, a color or a key of its own; see `change_class`."""
        return self.change_class(
            name, annotator=annotator, description=description, color=color, key=key
        )

    def merge_classes(self, name: str, into: str, *, annotator: str) -> LabelClass:
        """Let all answers of a class count as those of another one, and return that one.

        The answers themselves stay as they are: `separate_class` and an undo bring the class back
        with all of them.

        Parameters
        ----------
        name, into : str
            Two classes.
        annotator : str
            Who merges them.
        """
        with self._file.writing() as connection:
            classes = _begun(connection)
            identity, _ = classes.find(name)
            target, there = classes.find(into)
            if identity == target:
                raise ClassChangeError(f"Class {there.name!r} cannot be merged into itself.")
            self._change_class(connection, "class_merged", identity, annotator, target)
            return _checked(connection).find(there.name)[1]

    def separate_class(self, name: str, *, annotator: str) -> LabelClass:
        """Take back a merge, however long ago: the class is there again, with its answers.

        Parameters
        ----------
        name : str
            A class that was merged into another one.
        annotator : str
            Who separates them.
        """
        with self._file.writing() as connection:
            classes = _begun(connection)
            identity = classes.identity(name)
            if not classes.is_merged(identity):
                raise ClassChangeError(f"Class {name!r} is not merged into another one.")
            self._change_class(connection, "class_separated", identity, annotator)
            after = _checked(connection)
            return after.find(after.own_name(identity))[1]

    def remove_class(self, name: str, *, annotator: str) -> None:
        """Remove a class without answers.

        Parameters
        ----------
        name : str
            One with answers, corrected ones included, is refused: merge it into another one.
        annotator : str
            Who removes it.
        """
        with self._file.writing() as connection:
            classes = _begun(connection)
            identity, there = classes.find(name)
            if there.merged:
                raise ClassChangeError(
                    f"Class {there.name!r} cannot be removed: {there.merged[0]!r} was merged into "
                    "it. Merge it into another class."
                )
            if n := _n_answers(connection, identity):
                raise ClassChangeError(
                    f"Class {there.name!r} cannot be removed: it has {_answers(n)} (corrected ones "
                    "included). Merge it into another class."
                )
            self._change_class(connection, "class_removed", identity, annotator)
            _checked(connection)

    # Inside -----------------------------------------------------------------------------

    def _change_class(
        self,
        connection: sqlite3.Connection,
        kind: str,
        identity: str,
        annotator: str,
        name: str = "",
        **more: Any,
    ) -> None:
        self._append(connection, kind, "", identity, annotator, name=name, purpose="class", **more)

    def _describe_class(
        self,
        connection: sqlite3.Connection,
        identity: str,
        annotator: str,
        settings: dict[str, str],
        action: int | None,
    ) -> None:
        if settings:
            details = json.dumps(settings, ensure_ascii=False)
            self._change_class(
                connection, "class_described", identity, annotator, details=details, action=action
            )

    def _check_undone(self, connection: sqlite3.Connection, undone: Sequence[Event]) -> None:
        """Raise `ClassChangeError` where class changes that were taken back were relied upon."""
        changes = [event for event in undone if event.purpose == "class"]
        try:
            for event in changes:
                if event.kind == "class_added":
                    n = _n_answers(connection, str(event.label))
                    if n:
                        raise ClassChangeError(f"Class {event.label!r} has {_answers(n)}.")
            if changes:
                _checked(connection)
        except ClassChangeError as error:
            raise ClassChangeError(
                f"The change of a class cannot be taken back any more. {error}"
            ) from error


def _begun(connection: sqlite3.Connection) -> ClassList:
    """Return the classes of a ledger that has some."""
    classes = read_class_list(connection)
    if not classes.classes:
        raise ClassChangeError(
            "The ledger has no classes yet. Begin with two or more: fix_classes."
        )
    return classes


def _checked(connection: sqlite3.Connection) -> ClassList:
    """Return the classes as they are now, after a change; raise `ClassChangeError` if they cannot be."""
    classes = read_class_list(connection)
    classes.check()
    return classes


def _n_answers(connection: sqlite3.Connection, identity: str) -> int:
    row = connection.execute("SELECT COUNT(*) FROM standing WHERE label = ?", (identity,))
    return int(row.fetchone()[0])


def _answers(n: int) -> str:
    return f"{n} answer{'' if n == 1 else 's'}"

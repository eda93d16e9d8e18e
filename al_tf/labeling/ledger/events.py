"""`LabelLedger`: who gave which label to which image, and when; an SQLite file that only grows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import LedgerError, StaleItemError
from .class_changes import ClassChanges
from .class_list import ClassList
from .event import Event
from .queue import is_held_for_others
from .recording import next_id, now
from .tables import current_answer, last_event, read_class_list, select_events


class LabelLedger(ClassChanges):
    """An append-only record of labels in one SQLite file.

    Every label, skip, relabel, settlement, clear and undo is an event. Events are never changed or deleted (the
    database itself refuses): an undo is a further event that names the one it takes back. Images
    are known by the hash of their content, so files may be renamed or moved.

    Any number of threads and processes may write at once. When a method that writes has returned,
    the event survives the death of the process (``kill -9``); with ``synchronous="FULL"``, the
    default, it also survives a power cut, as far as the disk keeps what it confirms. With
    ``"NORMAL"`` a power cut may take the last events, never the ledger's consistency, and writing
    is several times faster. The file must be on a local disk: SQLite's write-ahead log does not
    work over network file systems.

    Parameters
    ----------
    path : path
        The file; it is created if it is not there.
    synchronous : {"FULL", "NORMAL"}
        What a power cut may take, see above.
    read_only : bool
        Open for reading alone, also from a medium that cannot be written. Of a ledger of an
        older version this is a copy in memory, taken when it is opened.

    Attributes
    ----------
    queue : Queue
        Which images are set aside for whom.

    Raises
    ------
    LedgerError
        The file cannot be opened or written, is no ledger, or comes from a newer version.

    Examples
    --------
    >>> import tempfile
    >>> from al_tf import LabelLedger
    >>> with tempfile.TemporaryDirectory() as folder, LabelLedger(f"{folder}/labels.db") as ledger:
    ...     classes = ledger.fix_classes(["good", "defective"])
    ...     event = ledger.label("3f" * 32, "good", annotator="ana")
    ...     ledger.history()[["kind", "label", "annotator"]]
        kind label annotator
    0  label  good       ana
    """

    # Settings ---------------------------------------------------------------------------

    def fix_classes(self, classes: Sequence[str]) -> tuple[str, ...]:
        """Store the class names; later, further ones may be added at the end.

        Parameters
        ----------
        classes : sequence of str
            At least two, different, not blank. Any characters. Of a ledger that has classes:
            those that it has, or those that it was begun with, whatever they are called by now.

        Returns
        -------
        tuple of str
            The classes of the ledger, as they are called now.

        Raises
        ------
        ValueError
            For unusable names, or a list that does not begin with the classes already stored.
        """
        with self._file.writing() as connection:
            names = self.check_classes(classes)
            known = read_class_list(connection).names
            if not known:
                connection.execute("INSERT INTO meta VALUES ('classes', ?)", (json.dumps(names),))
            for name in names[len(known) :] if known else ():
                self._change_class(connection, "class_added", name, "", name)
        return names

    def settle(self, key: str, value: Any) -> Any:
        """Store a setting unless it is there already, and return the one that is there.

        Parameters
        ----------
        key : str
            Its name.
        value : JSON-serialisable
            Stored by the first session that asks.
        """
        with self._file.writing() as connection:
            connection.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (key, json.dumps(value)))
            return json.loads(self._meta(key) or "null")

    def store(self, key: str, value: Any) -> None:
        """Store a setting in place of the one before.

        Parameters
        ----------
        key : str
            Its name.
        value : JSON-serialisable
        """
        with self._file.writing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, json.dumps(value))
            )

    # Writing ----------------------------------------------------------------------------

    def label(self, image: str, label: str, *, annotator: str, **details: Any) -> Event:
        """Record a label and return its event once it is on the disk.

        Parameters
        ----------
        image : str
            Content hash of the image.
        label : str
            One of `classes`, once these are fixed.
        annotator : str
            Who gives the label.
        **details
            ``name`` (of the file), ``seconds`` (spent on it), ``round``, ``strategy``, ``score``,
            ``purpose``, and ``slot``, the place in the queue that this answers.

        Returns
        -------
        Event

        Raises
        ------
        UnknownLabelError
            A label that is not one of the classes.
        StaleItemError
            The slot has been answered already or given to somebody else; or the image has a label
            already and this is no repeat. Nothing is recorded.
        """
        return self._answer("label", image, label, annotator, **details)

    def skip(self, image: str, *, annotator: str, **details: Any) -> Event:
        """Record that an annotator sets an image aside; arguments and errors as in `label`."""
        return self._answer("skip", image, None, annotator, **details)

    def relabel(
        self,
        image: str,
        label: str,
        *,
        annotator: str,
        name: str = "",
        seconds: float = 0.0,
        strategy: str = "",
    ) -> Event:
        """Record another label for an image that has one, or was set aside.

        It keeps the purpose of the answer before: an audit image stays one. Of an image in dispute
        (`Event.in_dispute`) it is a settlement, kind ``"settle"``, also where one of the opinions
        was the same.

        Raises
        ------
        UnknownLabelError
            A label that is not one of the classes.
        LedgerError
            The image has neither a label nor a skip.
        """
        with self._file.writing() as connection:
            classes = read_class_list(connection)
            identity = classes.identity(label)
            before = current_answer(connection, image)
            if before is None:
                raise LedgerError(f"Image {image} has no label yet: use label.")
            event = self._append(
                connection, _kind_of_change(before), image, identity, annotator,
                name=name or before.name,
                seconds=seconds, purpose=before.purpose, round=before.round,
                strategy=strategy or before.strategy, score=before.score,
            )  # fmt: skip
            return classes.shown(event)

    def answer_together(
        self,
        label: str | None,
        answers_seen: Mapping[str, int | None],
        *,
        annotator: str,
        names: Mapping[str, str] | None = None,
        seconds: float = 0.0,
        round: int = 0,
        strategy: str = "",
        settle: bool = True,
    ) -> list[Event]:
        """Give one label to many images, or clear their answers: all in one step, undone as one.

        An image without an answer is labeled with the purpose ``"bulk"``. One that has an answer
        gets a relabel, which keeps its purpose (a settlement, if it is in dispute), or a clear: it
        has no answer then, and may be set aside for somebody again.

        Parameters
        ----------
        label : str or None
            One of `classes`, once these are fixed; None clears.
        answers_seen : mapping of str to (int or None)
            Content hash of each image, and the id of the event that counted for it when the
            annotator looked (None: it had no answer). Passed over are images whose answer has
            changed since, that are set aside for somebody else, or for which nothing would change.
        annotator : str
            Who.
        names : mapping of str to str, optional
            Name of each image's file.
        seconds : float
            Spent on all of them together.
        round, strategy
            Number of models trained so far, and what chose them; for images without an answer.
        settle : bool
            Without it, images in dispute are passed over, too.

        Returns
        -------
        list of Event
            One for each image that was not passed over; with the same `Event.action`.

        Raises
        ------
        UnknownLabelError
            A label that is not one of the classes; nothing is recorded.
        """
        names = names or {}
        with self._file.writing() as connection:
            classes = read_class_list(connection)
            identity = None if label is None else classes.identity(label)
            answers = {image: current_answer(connection, image) for image in answers_seen}
            changed = [
                image
                for image, answer in answers.items()
                if answers_seen[image] == (answer and answer.id)
                and _would_change(answer, identity, classes)
                and (answer or not is_held_for_others(connection, image, annotator))
                and (settle or answer is None or not answer.in_dispute)
            ]
            together: dict[str, Any] = {
                "seconds": seconds / max(1, len(changed)),
                "action": next_id(connection),
            }
            events = []
            for image in changed:
                answer = answers[image]
                if answer is None:
                    kind = "label"
                    origin: dict[str, Any] = {
                        "name": "", "purpose": "bulk", "round": round, "strategy": strategy,
                    }  # fmt: skip
                else:
                    kind = "clear" if label is None else _kind_of_change(answer)
                    copied = ("name", "purpose", "round", "strategy", "score")
                    origin = {field: getattr(answer, field) for field in copied}
                origin["name"] = names.get(image) or origin["name"]
                event = self._append(
                    connection, kind, image, identity, annotator, **origin, **together
                )
                events.append(classes.shown(event))
            return events

    def undo(self, annotator: str) -> Event | None:
        """Take back an annotator's last standing event, and return that event.

        Where several events were recorded together, all of them are taken back, and the last is
        returned; `undo_together` returns them all. An answer's slot is open again afterwards,
        ahead of all later ones. Imported labels are not taken back; changes of classes are.

        Returns
        -------
        Event or None
            The event undone; None where there is nothing to undo.
        """
        undone = self.undo_together(annotator)
        return undone[-1] if undone else None

    def undo_together(self, annotator: str, *, last: int | None = None) -> list[Event]:
        """Do as `undo`, and return all that was taken back, in the order of recording.

        Parameters
        ----------
        annotator : str
        last : int, optional
            The id of the event that the annotator believes to be their last standing one.

        Raises
        ------
        StaleItemError
            It is another event by now; nothing is taken back.
        ClassChangeError
            It is a change of a class on which others rely by now; nothing is taken back.
        """
        with self._file.writing() as connection:
            newest = last_event(connection, annotator)
            if last is not None and (newest is None or newest.id != last):
                raise StaleItemError("Something else was done since. Nothing was taken back.")
            if newest is None:
                return []
            together = [newest]
            if newest.action is not None:
                together = select_events(
                    connection,
                    "SELECT * FROM undoable WHERE action = ? AND annotator = ? ORDER BY id",
                    (newest.action, annotator),
                )
            action = next_id(connection) if len(together) > 1 else None
            shown = list(map(read_class_list(connection).shown, together))
            for event in reversed(together):
                self._undo(connection, event, annotator, action)
            self._check_undone(connection, together)
            return shown

    def take_back(self, event: Event) -> None:
        """Take back one event that stands, in the name of who made it; imported ones too.

        Raises
        ------
        LedgerError
            It was taken back before.
        """
        with self._file.writing() as connection:
            if not select_events(connection, "SELECT * FROM standing WHERE id = ?", (event.id,)):
                raise LedgerError(f"Event {event.id} was taken back before.")
            self._undo(connection, event, event.annotator)

    # Trained models ---------------------------------------------------------------------

    def add_round(
        self,
        *,
        annotator: str,
        labels: int,
        seconds: float,
        audited: int,
        correct: int,
        kappa: float | None,
        uncertainty: float,
    ) -> int:
        """Record that a model was trained, and return its number, from 1; see `rounds`."""
        with self._file.writing() as connection:
            minutes = sum(self.seconds().values()) / 60
            cursor = connection.execute(
                "INSERT INTO rounds (annotator, labels, minutes, seconds, audited, correct, kappa,"
                " uncertainty, time) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (annotator, labels, minutes, seconds, audited, correct, kappa, uncertainty, now()),
            )
            return int(cursor.lastrowid or 0)

    def __enter__(self) -> LabelLedger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _would_change(answer: Event | None, identity: str | None, classes: ClassList) -> bool:
    """Return whether a label, or a clear (None), would change anything about an image."""
    if answer is None or identity is None:
        return (answer is None) == (identity is not None)
    return answer.label is None or classes.root(answer.label) != classes.root(identity)


def _kind_of_change(answer: Event) -> str:
    """Return what another label for an image that has an answer is recorded as."""
    return "settle" if answer.in_dispute else "relabel"

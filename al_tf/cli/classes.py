"""The command that lists the classes of a ledger, and changes them."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Annotated

import typer

from ._ledgers import Ledger
from ._printing import print_table

if TYPE_CHECKING:
    from ..labeling import LabelLedger

_Add = Annotated[str | None, typer.Option(help="Add this class.")]
_Change = Annotated[str | None, typer.Option(help="Rename or describe this class.")]
_Merge = Annotated[
    str | None, typer.Option(help="Count the answers of this class as answers of --into.")
]
_Into = Annotated[str | None, typer.Option(help="With --merge: the class that they count as.")]
_Separate = Annotated[
    str | None, typer.Option(help="Bring back this merged class, with its answers.")
]
_Remove = Annotated[str | None, typer.Option(help="Remove this class, if it has no answers.")]
_Undo = Annotated[bool, typer.Option("--undo", help="Undo your last step, if it changed a class.")]
_To = Annotated[str | None, typer.Option(help="With --change: the new name.")]
_Description = Annotated[
    str | None, typer.Option(help="With --add, --change: what belongs to the class.")
]
_Color = Annotated[str | None, typer.Option(help="With --add, --change: its color on the desk.")]
_Key = Annotated[
    str | None,
    typer.Option(help="With --add, --change: the letter or digit that answers with it."),
]
_Annotator = Annotated[
    str | None, typer.Option(help="Who changes the classes; your login if not given.")
]


def classes(
    ledger: Ledger,
    add: _Add = None,
    change: _Change = None,
    merge: _Merge = None,
    into: _Into = None,
    separate: _Separate = None,
    remove: _Remove = None,
    undo: _Undo = False,
    to: _To = None,
    description: _Description = None,
    color: _Color = None,
    key: _Key = None,
    annotator: _Annotator = None,
) -> None:
    """List the classes of a ledger, with their answers; or add, rename, merge or describe one."""
    from ..labeling import LabelLedger

    actions = [add, change, merge, separate, remove, undo or None]
    if sum(action is not None for action in actions) > 1:
        raise typer.BadParameter(
            "Give one of --add, --change, --merge, --separate, --remove, --undo."
        )
    if (merge is None) != (into is None):
        raise typer.BadParameter("--merge and --into go together.")
    settings = {"description": description, "color": color, "key": key}
    given = {name: value for name, value in settings.items() if value is not None}
    if (given and add is None and change is None) or (to is not None and change is None):
        raise typer.BadParameter(
            "--to belongs to --change; --description, --color and --key to --add, too."
        )
    who = annotator or getpass.getuser()
    if not ledger.exists() or not any(action is not None for action in actions):
        _print(LabelLedger(ledger, read_only=True))
        return
    with LabelLedger(ledger) as book:
        if add is not None:
            book.add_class(add, annotator=who, **given)
        elif change is not None:
            book.change_class(change, annotator=who, to=to, **given)
        elif merge is not None and into is not None:
            book.merge_classes(merge, into, annotator=who)
        elif separate is not None:
            book.separate_class(separate, annotator=who)
        elif remove is not None:
            book.remove_class(remove, annotator=who)
        else:
            _undo(book, who)
        _print(book)


def _undo(book: LabelLedger, annotator: str) -> None:
    last = book.last_event(annotator)
    if last is None or last.purpose != "class":
        raise ValueError(
            f"The last step of {annotator} is no change of a class. The desk undoes answers."
        )
    book.undo_together(annotator, last=last.id)


def _print(book: LabelLedger) -> None:
    _, answers, known = book.snapshot()
    given = [event.label for event in answers.values()]
    rows = [
        (
            each.key or "", each.name, str(given.count(each.name)), each.color or "",
            ", ".join(each.merged), each.description,
        )
        for each in known.classes
    ]  # fmt: skip
    print_table(("key", "class", "answers", "color", "with", "description"), rows)


def add_commands(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(classes)

"""What the commands on ledgers share: options, how a ledger is opened, how classes are listed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..labeling import LabelLedger

CLASS_LIST = "Comma-separated; repeat the option for each name if one has a comma in it."

Ledger = Annotated[
    Path, typer.Argument(help="The ledger: the file where `al-tf label` keeps the labels.")
]
Model = Annotated[
    str | None,
    typer.Option(
        help="probe (on a pretrained network), cnn, auto (probe where its weights are there), "
        "or a .keras network of your own for the probe. Default: the ledger's, else auto."
    ),
]
Backbone = Annotated[str | None, typer.Option(help="Name of the pretrained network of the probe.")]
Strategy = Annotated[
    str | None,
    typer.Option(help="See `al-tf strategies`. Default: the ledger's, else margin."),
]
Batch = Annotated[
    int | None, typer.Option(help="Images chosen at once. Default: the ledger's, else 10.")
]
Size = Annotated[
    int | None,
    typer.Option(
        help="Side in pixels at which the model sees the images. "
        "Default: the ledger's, else the network's, or 64 for a cnn."
    ),
]


@contextmanager
def new_or_kept(path: Path) -> Iterator[LabelLedger]:
    """Open a ledger; what fails in between leaves no file where there was none."""
    from ..labeling import LabelLedger

    is_new = not path.exists()
    book = LabelLedger(path)
    try:
        yield book
    except BaseException:
        if is_new and not len(book.history()):
            book.close()
            path.unlink(missing_ok=True)
        raise


def class_names(classes: list[str] | None) -> list[str] | None:
    """Return the names in --classes; one value is split at its commas."""
    if not classes:
        return None
    return classes if len(classes) > 1 else [name.strip() for name in classes[0].split(",")]

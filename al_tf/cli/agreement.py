"""The command ``agreement``: how far annotators agree, and how much each has done."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from ..files import check_replaceable
from ._ledgers import Ledger
from ._printing import print_table


def agreement(
    ledger: Ledger,
    out: Annotated[
        Path | None, typer.Option(help="CSV file for the images labeled by two, with both labels.")
    ] = None,
) -> None:
    """Print how far annotators agree, which classes they confuse, and how much each has done."""
    from ..labeling import LabelLedger
    from ..labeling.exchange.export import write_csv
    from ..labeling.second_opinions import annotator_table, measure_agreement, opinion_table

    if out is not None:
        check_replaceable(out, "text")
    book = LabelLedger(ledger, read_only=True)
    measured = measure_agreement(book.standing())
    if measured is None:
        typer.echo("No image has a second opinion yet: label with --annotators and --overlap.")
    else:
        typer.echo(f"Same label by both: {measured.same}.")
        if measured.kappa is not None:
            low, high = measured.kappa_low, measured.kappa_high
            interval = "" if low is None or high is None else f" ({low:.2f} to {high:.2f})"
            typer.echo(f"Fleiss' kappa: {measured.kappa:.2f}{interval}; 1 is perfect, 0 is chance.")
        disputed = sum(event.in_dispute for event in book.answers().values())
        typer.echo(f"To be settled, in the grid of the desk: {disputed}.")
        if measured.confused:
            typer.echo()
            print_table(("one label", "other label", "images"), _texts(measured.confused))
    typer.echo()
    table = annotator_table(book)
    rows = [
        (
            row.annotator, row.answers, f"{row.seconds:.1f}", f"{row.same} of {row.compared}",
            f"{row.right} of {row.decided}",
        )
        for row in table.itertuples()
    ]  # fmt: skip
    print_table(
        ("annotator", "answers", "seconds each", "same as the other", "the label that counts"),
        _texts(rows),
    )
    if out is not None:
        opinions = opinion_table(book)
        write_csv(opinions, out)
        typer.echo(f"{len(opinions)} images: {out}")


def _texts(rows: Iterable[Iterable[object]]) -> list[tuple[str, ...]]:
    return [tuple(map(str, row)) for row in rows]


def add_commands(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(agreement)

"""The commands of committed studies: check them, list them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ._printing import print_table

FORMATS = ("text", "md", "csv", "json")
WRONG = 1

_Folders = Annotated[list[Path], typer.Argument(help="Folders of studies, such as figures/*/.")]

app = typer.Typer(
    help="Check studies against their own records, or list them.", no_args_is_help=True
)


@app.command("check")
def study_check(folders: _Folders) -> None:
    """Say what is wrong with studies, without training; exit with 1 if anything is.

    Records must be complete and paired; tables and figures those of the records.
    """
    from ..studies import check_study

    wrong = 0
    for folder in folders:
        check = check_study(folder)
        verdict = f"{len(check.faults)} fault(s)" if check.faults else "sound"
        typer.echo(f"{folder}: {verdict}" + (f" ({check.summary})" if check.summary else ""))
        for fault in check.faults:
            typer.secho(f"  {fault}", fg=typer.colors.RED)
        for note in check.notes:
            typer.echo(f"  note: {note}")
        wrong += bool(check.faults)
    if wrong:
        typer.echo(
            f"{wrong} of {len(folders)} studies do not fit their records. `al-tf report` writes "
            "tables and figures anew; records must be as they were recorded."
        )
        raise typer.Exit(WRONG)


@app.command("list")
def study_list(
    folders: _Folders,
    table_format: Annotated[str, typer.Option("--format", help=", ".join(FORMATS) + ".")] = "text",
) -> None:
    """List studies: what each asks, its data and model, labels, seeds and verdict."""
    from ..analysis import format_table
    from ..errors import check_one_of
    from ..studies import study_table

    check_one_of("format", table_format, FORMATS)
    table = study_table(folders)
    if table_format == "text":
        rows = [tuple(map(str, row)) for row in table.itertuples(index=False)]
        print_table(tuple(table.columns), rows)
    else:
        typer.echo(format_table(table, table_format), nl=False)

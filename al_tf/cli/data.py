"""The commands of datasets: list them, and fetch one."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ._tables import print_table

app = typer.Typer(help="List the datasets, or fetch one.", no_args_is_help=True)


@app.command("list")
def data_list() -> None:
    """List the datasets and where each is on this machine."""
    from ..datasets import dataset_status

    rows = [(s.name, "yes" if s.found else "no", s.summary, s.where) for s in dataset_status()]
    print_table(("name", "here", "images", "where"), rows)


@app.command("fetch")
def data_fetch(
    name: Annotated[str, typer.Argument(help="See `al-tf data list`; or folder:PATH.")],
    size: Annotated[
        int | None, typer.Option(help="Scale images to this side (folder:PATH, magnetic_tile).")
    ] = None,
) -> None:
    """Bring a dataset into the user cache, verify it and describe it."""
    from ..datasets import describe, fetch_dataset

    options: dict[str, Any] = {} if size is None else {"size": size}
    typer.echo(describe(fetch_dataset(name, report=typer.echo, **options)))

"""The commands of datasets and backbones: list the former, and fetch one of either."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ._printing import print_table
from .experiments import DatasetSize

BACKBONE = "backbone:"
app = typer.Typer(help="List the datasets; fetch a dataset or a backbone.", no_args_is_help=True)


@app.command("list")
def data_list() -> None:
    """List the datasets and where each is on this machine."""
    from ..datasets import dataset_status

    rows = [(s.name, "yes" if s.found else "no", s.summary, s.where) for s in dataset_status()]
    print_table(("name", "here", "images", "where"), rows)


@app.command("fetch")
def data_fetch(
    name: Annotated[
        str, typer.Argument(help="See `al-tf data list`; or folder:PATH, backbone:NAME.")
    ],
    size: DatasetSize = None,
) -> None:
    """Bring a dataset, or the weights of a backbone, to this machine; verify and describe it."""
    if name.startswith(BACKBONE):
        typer.echo(_fetch_backbone(name.removeprefix(BACKBONE), size))
        return
    from ..datasets import describe, fetch_dataset

    options: dict[str, Any] = {} if size is None else {"size": size}
    typer.echo(describe(fetch_dataset(name, report=typer.echo, **options)))


def _fetch_backbone(name: str, size: int | None) -> str:
    from ..network.backbones import load_backbone

    backbone = load_backbone(name, size=size)
    return (
        f"{backbone.name}: images of {backbone.size} × {backbone.size} pixels, {backbone.dim:,} "
        f"features, fingerprint {backbone.fingerprint}"
    )

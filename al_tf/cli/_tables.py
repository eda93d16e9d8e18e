"""What several commands print: tables, and that it takes a moment."""

from __future__ import annotations

from collections.abc import Sequence

import typer


def print_table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows of text in aligned columns."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, *rows]:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())


def say_loading() -> None:
    """Say on standard error what keeps people waiting before there is any progress to show."""
    typer.echo("Loading Keras …", err=True)

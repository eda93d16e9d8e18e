"""What several commands print: tables, warnings, and that it takes a moment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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


def warn(texts: Iterable[str | None]) -> None:
    """Print each text as a warning on standard error; None is left out."""
    for text in filter(None, texts):
        typer.secho(f"Warning: {text}", fg=typer.colors.YELLOW, err=True)


def number_of(n: int, noun: str) -> str:
    """Return ``1 image`` or ``2,000 images``."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"

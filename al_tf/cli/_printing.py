"""What several commands print: tables, warnings, and that it takes a moment."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import typer

INTERRUPTED = 130
"""Exit code of what Ctrl-C has stopped."""


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


def command_given() -> str:
    """Return the command that was given, as it may be given again."""
    return shlex.join(["al-tf", *sys.argv[1:]])


@contextmanager
def continued_by_the_same_command(kept: str = "what was computed is kept") -> Iterator[None]:
    """On Ctrl-C, say that `kept` and how to go on, and end with exit code 130."""
    try:
        yield
    except KeyboardInterrupt:
        typer.secho(f"\nStopped; {kept}. Continue with:\n  {command_given()}", err=True)
        raise typer.Exit(INTERRUPTED) from None

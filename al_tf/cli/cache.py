"""The commands of the cache of features: show it, clear it, limit its size."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from ._printing import print_table

if TYPE_CHECKING:
    from ..network.feature_database import FeatureDatabase

app = typer.Typer(
    help="Features of images that backbones keep on disk: show, clear or limit them.",
    no_args_is_help=True,
)
UNITS = {"": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}


@app.command("show")
def cache_show() -> None:
    """List the features kept for each backbone, and the disk space they use."""
    with _database() as database:
        if database is None:
            return
        rows = [
            (
                entry.label,
                f"{entry.n_images:,}",
                in_words(entry.n_bytes),
                datetime.fromtimestamp(entry.last_used).strftime("%Y-%m-%d %H:%M"),
            )
            for entry in database.contents()
        ]
        print_table(("backbone", "images", "size", "last used"), rows)
        in_use, limit = in_words(database.n_bytes), in_words(database.limit)
        typer.echo(f"{database.path}: {in_use} of at most {limit}")


@app.command("clear")
def cache_clear() -> None:
    """Drop all features; they are computed again when they are needed."""
    with _database() as database:
        if database is None:
            return
        n_images = sum(entry.n_images for entry in database.contents())
        database.clear()
        typer.echo(f"{database.path}: dropped the features of {n_images:,} images.")


@app.command("limit")
def cache_limit(
    size: Annotated[str, typer.Argument(help="The most that features may use, for example 20GB.")],
) -> None:
    """Set the disk space for features; those unused for longest are dropped beyond it."""
    n_bytes = parse_size(size)
    with _database(make=True) as database:
        assert database is not None
        database.set_limit(n_bytes)
        limit, in_use = in_words(n_bytes), in_words(database.n_bytes)
        typer.echo(f"{database.path}: at most {limit} from now on, {in_use} in use.")


@contextmanager
def _database(*, make: bool = False) -> Iterator[FeatureDatabase | None]:
    """Yield the database of the user's cache; where there is none, make one, or say so."""
    from ..network.feature_database import FeatureDatabase
    from ..network.feature_store import features_folder

    folder = features_folder()
    if make or any(folder.glob("features-*.db")):
        with FeatureDatabase(folder) as database:
            yield database
    else:
        typer.echo(f"No features are kept in {folder}.")
        yield None


def parse_size(text: str) -> int:
    """Return the bytes that a text such as ``500MB`` or ``20GB`` means."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().lower())
    if match is None or match.group(2) not in UNITS or float(match.group(1)) == 0:
        raise ValueError(f"Expected a size above 0, such as 500MB or 20GB; got {text!r}.")
    return int(float(match.group(1)) * UNITS[match.group(2)])


def in_words(n_bytes: float) -> str:
    """Return a number of bytes with a unit that suits it."""
    unit = next(u for u in ("TB", "GB", "MB", "kB", "") if n_bytes >= UNITS[u.lower()] or not u)
    return f"{n_bytes / UNITS[unit.lower()]:.{1 if unit else 0}f} {unit or 'bytes'}"

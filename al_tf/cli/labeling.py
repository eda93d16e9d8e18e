"""The commands that label: the desk, and the labels that a model disputes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..files import check_replaceable
from ._ledgers import (
    CLASS_LIST,
    Backbone,
    Batch,
    Ledger,
    Model,
    Size,
    Strategy,
    class_names,
    new_or_kept,
)
from ._printing import print_table, warn

if TYPE_CHECKING:
    from ..labeling import LabelingSession
    from ..labeling.desk_settings import DeskSettings

_Folder = Annotated[Path, typer.Argument(help="Where the images are; subfolders included.")]
_NewLedger = Annotated[
    Path,
    typer.Option(
        help="The ledger: the file where labels and settings are kept. The same file continues."
    ),
]
_ClassNames = Annotated[
    list[str] | None, typer.Option(help=f"{CLASS_LIST} Needed for a new ledger.")
]
_Annotator = Annotated[str | None, typer.Option(help="Who labels; your login if not given.")]
_Annotators = Annotated[
    str | None,
    typer.Option(help="Several names, comma-separated: a link is printed for each."),
]
_Referees = Annotated[
    str | None,
    typer.Option(
        help="Of --annotators, those who see the labels of all and settle disagreements, "
        "comma-separated. Default: the first."
    ),
]
_Overlap = Annotated[
    float | None,
    typer.Option(
        help="Part of the images, from 0 to 1, that a second annotator labels as well. "
        "Default: the ledger's, else 0."
    ),
]
_Host = Annotated[
    str, typer.Option(help="Address to listen on; any but 127.0.0.1 lets other machines in.")
]
_Group = Annotated[
    str | None,
    typer.Option(
        help=r"Regular expression for file names, such as '(.*)_\d+': images with the same text in "
        "its parentheses show one part. Parts are audited whole. Default: the ledger's."
    ),
]
_Port = Annotated[int, typer.Option(help="Port to listen at; 0 picks a free one.")]
_Url = Annotated[
    str | None, typer.Option(help="Address in the links, where a proxy stands in front.")
]
_Browser = Annotated[bool, typer.Option(help="Open a browser, if there is one annotator.")]


def label(
    folder: _Folder,
    ledger: _NewLedger,
    classes: _ClassNames = None,
    model: Model = None,
    backbone: Backbone = None,
    strategy: Strategy = None,
    batch: Batch = None,
    annotator: _Annotator = None,
    annotators: _Annotators = None,
    referees: _Referees = None,
    overlap: _Overlap = None,
    size: Size = None,
    host: _Host = "127.0.0.1",
    group: _Group = None,
    port: _Port = 0,
    url: _Url = None,
    browser: _Browser = True,
) -> None:
    """Label the images of a folder in a browser, those that help the model most first."""
    import webbrowser

    from ..labeling.desk.server import DeskServer
    from ..labeling.desk_settings import resolve_settings
    from ..labeling.folder_pool import check_folder

    people, judges = _people(annotator, annotators, referees)
    opened: list[LabelingSession] = []

    def open_sessions(tell: Callable[[str], None]) -> list[LabelingSession]:
        settings, advice = resolve_settings(
            stored, model=model, backbone=backbone, size=size, strategy=strategy,
            batch_size=batch, overlap=overlap,
        )  # fmt: skip
        warn([advice])
        session = _open_session(
            folder, ledger, class_names(classes), settings, people[0], group, tell
        )
        opened.append(session)
        return [session.colleague(name, is_referee=name in judges) for name in people]

    with DeskServer(port=port, host=host, url=url) as server:
        folder, stored = check_folder(folder), _stored_settings(ledger)  # before there is a page
        warn([server.address.warning])
        server.expect(people, judges)
        open_browser = webbrowser.open if browser else None
        try:
            server.run(open_sessions, open_browser=open_browser, announce=typer.echo)
        finally:
            for session in opened:
                session.close(wait=False)
                session.pool.close()
    if opened[0].training.state in ("loading", "embedding", "running"):
        _leave()


def _people(
    annotator: str | None, annotators: str | None, referees: str | None
) -> tuple[list[str], list[str]]:
    """Return who labels, and those among them who settle disagreements."""
    import getpass

    from ..labeling.desk.access import check_annotators

    if annotators is not None and annotator is not None:
        raise typer.BadParameter("Give --annotator or --annotators, not both.")
    alone = annotator or getpass.getuser()
    people = check_annotators([alone] if annotators is None else annotators.split(","))
    judges = people[:1] if referees is None else check_annotators(referees.split(","))
    if not set(judges) <= set(people):
        raise typer.BadParameter("--referees names somebody who is not among --annotators.")
    return people, judges


def _stored_settings(ledger: Path) -> DeskSettings | None:
    """Return the settings in a ledger; None if there is no ledger yet, or none in it."""
    from ..labeling import LabelLedger
    from ..labeling.desk_settings import read_settings

    if not ledger.exists():
        return None
    with LabelLedger(ledger, read_only=True) as book:
        return read_settings(book)


def _open_session(
    folder: Path,
    ledger: Path,
    names: list[str] | None,
    settings: DeskSettings,
    annotator: str,
    group: str | None,
    tell: Callable[[str], None],
) -> LabelingSession:
    """Open a session as the settings say, and store them once it is open.

    `tell` is given lines for people on what is being done.
    """
    from ..folders import left_out_line
    from ..labeling import LabelingSession
    from ..labeling.desk_settings import store_settings

    tell("Making the model ready …")  # before files are read beside its imports
    estimator = settings.build_for_session(names or ())  # which gives it the ledger's classes
    tell("Looking for images in the folder …")
    pool, settings = settings.open_pool(
        folder, background=True,
        listed=lambda n: tell(f"Looking for images in the folder: {n:,} files so far …"),
    )  # fmt: skip
    warn([left_out_line(pool.left_out)])
    with new_or_kept(ledger) as book:
        if names is None and not book.classes:
            raise ValueError(
                f"{ledger} has no classes yet. Add --classes, such as --classes good,defective."
            )
        classes = book.check_classes(book.classes if names is None else names)
        tell(f"{pool.n_files:,} image files. Reading those that have a label …")
        pool.read_first(event.name for event in book.standing())
        tell(f"{pool.n_files:,} image files. Choosing the first image …")
        session = LabelingSession(
            estimator,
            pool,
            book,
            classes=classes,
            batch_size=settings.batch_size,
            strategy=settings.strategy,
            cold_start=settings.cold_start,
            overlap=settings.overlap,
            annotator=annotator,
            group=group,
        )
        store_settings(book, settings)
    return session


def suspects(
    ledger: Ledger,
    images: Annotated[Path, typer.Option(help="The folder of images that was labeled.")],
    top: Annotated[int, typer.Option(min=1, help="Rows to print.")] = 20,
    out: Annotated[Path | None, typer.Option(help="CSV file for the whole ranking.")] = None,
) -> None:
    """List labels that a model trained without them disputes, the most suspect first."""
    from ..labeling import LabelLedger
    from ..labeling.audit import part_function, settled_group
    from ..labeling.desk_settings import read_settings, resolve_settings
    from ..labeling.exchange.export import write_csv
    from ..labeling.pool_features import PoolFeatures, model_inputs
    from ..labeling.suspects import suspect_answers

    if out is not None:
        check_replaceable(out, "text")
    book = LabelLedger(ledger, read_only=True)
    settings, advice = resolve_settings(read_settings(book))
    pool, settings = settings.open_pool(images)
    estimator = settings.build_estimator(book.classes)
    inputs = model_inputs(estimator, pool, progress=True)
    judge = None if isinstance(inputs, PoolFeatures) else estimator
    part_of = part_function(pool, settled_group(book, pool, None))
    table = suspect_answers(book.answers(), inputs, book.classes, estimator=judge, part_of=part_of)
    columns = ("name", "label", "predicted", "score", "annotator")
    shown = table.head(top)
    texts = shown.assign(score=shown["score"].map("{:.3f}".format))[list(columns)].astype(str)
    rows = [tuple(row) for row in texts.to_numpy().tolist()]
    print_table(columns, rows)
    typer.echo(f"{int(table['disputed'].sum())} of {len(table)} labels are disputed.")
    if out is not None:
        write_csv(table, out)
        typer.echo(f"{len(table)} labels: {out}")
    warn([advice, *pool.problems.values()])


def add_commands(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(label)
    app.command()(suspects)


def _leave() -> None:
    """End the process without waiting for a training that is under way, as Python would."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)

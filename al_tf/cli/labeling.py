"""The commands of the labeling desk: label, suspects, export, import, predict."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ._printing import print_table, say_loading, warn

if TYPE_CHECKING:
    from ..labeling import FolderPool, LabelingSession, LabelLedger
    from ..labeling.desk_settings import DeskSettings

FORMATS = ("csv", "history", "folders", "label-studio", "model")

_Ledger = Annotated[Path, typer.Argument(help="The ledger's file.")]
_Images = Annotated[
    Path | None, typer.Option("--images", help="The folder of images that was labeled.")
]
_CLASSES = "Comma-separated; repeat the option for each name if one has a comma in it."

_Folder = Annotated[Path, typer.Argument(help="Where the images are; subfolders included.")]
_NewLedger = Annotated[
    Path,
    typer.Option(help="Where answers and settings are kept; the same file continues."),
]
_ClassNames = Annotated[list[str] | None, typer.Option(help=f"{_CLASSES} Needed for a new ledger.")]
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
        help="Share of the images that a second annotator is asked for. "
        "Default: the ledger's, else 0."
    ),
]
Size = Annotated[
    int | None,
    typer.Option(
        help="Side in pixels at which the model sees the images. "
        "Default: the ledger's, else the network's, or 64 for a cnn."
    ),
]
_Host = Annotated[
    str, typer.Option(help="Address to listen at; any but 127.0.0.1 lets other machines in.")
]
_Group = Annotated[
    str | None,
    typer.Option(
        help="Regular expression for file names: images with the same text in its parentheses "
        r"show one part, such as '(.*)_\d+'; parts are audited whole. Default: the ledger's."
    ),
]
_Port = Annotated[int, typer.Option(help="Port to listen at; 0 takes a free one.")]
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
    import getpass
    import webbrowser

    from ..labeling.desk.access import check_annotators
    from ..labeling.desk.server import DeskServer
    from ..labeling.desk_settings import resolve_settings
    from ..labeling.folder_pool import check_folder

    if annotators is not None and annotator is not None:
        raise typer.BadParameter("Give --annotator or --annotators, not both.")
    alone = annotator or getpass.getuser()
    people = check_annotators([alone] if annotators is None else annotators.split(","))
    judges = people[:1] if referees is None else check_annotators(referees.split(","))
    if not set(judges) <= set(people):
        raise typer.BadParameter("--referees names somebody who is not among --annotators.")
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


def export(
    ledger: _Ledger,
    out: Annotated[Path, typer.Argument(help="A file; for folders, a new folder.")],
    form: Annotated[str, typer.Option("--format", help=", ".join(FORMATS) + ".")] = "csv",
    images: _Images = None,
    excel: Annotated[
        bool,
        typer.Option("--excel", help="With csv or history: UTF-8 as Excel knows it, short hashes."),
    ] = False,
    link: Annotated[bool, typer.Option("--link", help="With folders: links, not copies.")] = False,
    model: Annotated[
        Path | None, typer.Option(help="With label-studio: predictions of this .keras file.")
    ] = None,
    url_prefix: Annotated[
        str | None,
        typer.Option(
            help="With label-studio: put before each file name, such as https://HOST/ or s3://BUCKET/. "
            "Default: files that Label Studio reads from this disk."
        ),
    ] = None,
) -> None:
    """Write the labels as a table, folders or Label Studio tasks; or the desk's model."""
    from ..errors import check_one_of
    from ..labeling import FolderPool, LabelLedger
    from ..labeling.desk_settings import read_settings, resolve_settings
    from ..labeling.exchange.export import export_csv, export_folders
    from ..labeling.exchange.label_studio import export_tasks, local_files_setup
    from ..labeling.exchange.predict import predict_folder

    check_one_of("format", form, FORMATS)
    book = LabelLedger(ledger, read_only=True)
    if form in ("csv", "history"):
        whole = None if images is None else FolderPool(images, remember=True)
        rows = export_csv(book, out, history=form == "history", excel=excel, pool=whole)
        typer.echo(f"{rows} {'events' if form == 'history' else 'images'}: {out}")
        return
    if images is None:
        raise typer.BadParameter(f"--format {form} needs --images FOLDER.")
    settings, advice = resolve_settings(read_settings(book))
    pool, settings = settings.open_pool(images)
    if form == "folders":
        done = export_folders(book, pool, out, how="link" if link else "copy")
        typer.echo(f"{done.written} images: {out}")
        warn(f"{name}: not in {images} any more" for name in done.missing)
    elif form == "label-studio":
        predictions = None
        if model is not None:
            say_loading()
            predictions, _ = predict_folder(model, images, progress=True)
        n = export_tasks(book, pool, out, predictions=predictions, url_prefix=url_prefix)
        typer.echo(f"{n} tasks: {out}; interface: {out.with_suffix('.xml')}")
        if url_prefix is None:
            typer.echo(local_files_setup(pool))
    else:
        warn([advice])
        _export_model(book, pool, out, settings)
    warn(pool.problems.values())


def _export_model(book: LabelLedger, pool: FolderPool, out: Path, settings: DeskSettings) -> None:
    from ..labeling.exchange.export import train_and_export
    from ..network.device import describe_device

    say_loading()
    kind = f"{settings.model}, {settings.size} pixels; {describe_device()}"
    typer.echo(f"Training the desk's model ({kind}) …")
    n = train_and_export(book, pool, out, settings=settings, progress=True)
    typer.echo(f"Model trained on {n} labels: {out}")


def suspects(
    ledger: _Ledger,
    images: Annotated[Path, typer.Option(help="The folder of images that was labeled.")],
    top: Annotated[int, typer.Option(min=1, help="Rows to print.")] = 20,
    out: Annotated[Path | None, typer.Option(help="CSV file for the whole ranking.")] = None,
) -> None:
    """List the labels that a model disputes which has not seen them, the most suspect first."""
    from ..labeling import LabelLedger
    from ..labeling.audit import part_function, settled_group
    from ..labeling.desk_settings import read_settings, resolve_settings
    from ..labeling.exchange.export import write_csv
    from ..labeling.pool_features import PoolFeatures, model_inputs
    from ..labeling.suspects import suspect_answers

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


def import_labels(
    ledger: _Ledger,
    tasks: Annotated[Path, typer.Argument(help="Label Studio's export: JSON, JSON-MIN or CSV.")],
    images: _Images = None,
    classes: Annotated[
        list[str] | None, typer.Option(help=f"Begin a new ledger with these. {_CLASSES}")
    ] = None,
    control: Annotated[
        str | None,
        typer.Option(help="Name of the Choices that holds the class, if several might."),
    ] = None,
) -> None:
    """Record the annotations of a Label Studio export in a ledger."""
    from ..errors import LedgerError
    from ..labeling import FolderPool
    from ..labeling.exchange.label_studio import import_annotations

    names = class_names(classes)
    if names is None and not ledger.exists():  # a mistyped name is no new ledger
        raise LedgerError(f"{ledger}: there is no such ledger. --classes begins a new one.")
    pool = None if images is None else FolderPool(images, progress=True, remember=True)
    with new_or_kept(ledger) as book:
        if names is not None:
            book.fix_classes(names)
        done = import_annotations(book, tasks, pool=pool, control=control)
    gone = f" {done.taken_back} taken back: deleted there." if done.taken_back else ""
    typer.echo(f"{done.recorded} recorded, {done.known} in the ledger already.{gone}")
    warn(f"no image: {line}" for line in done.unmatched)
    warn(f"left out: {line}" for line in done.dropped)
    warn(f"annotators disagree: {line}" for line in done.disagreements)


def predict(
    model: Annotated[Path, typer.Argument(help="A .keras file of `al-tf export`.")],
    folder: Annotated[Path, typer.Argument(help="The folder of images.")],
    out: Annotated[Path, typer.Option(help="CSV file.")] = Path("predictions.csv"),
) -> None:
    """Write a model's predictions for each file, with probabilities, the most uncertain first."""
    from ..folders import list_folder
    from ..labeling.exchange.export import write_csv
    from ..labeling.exchange.predict import predict_folder

    say_loading()
    table, problems = predict_folder(model, folder, progress=True)
    write_csv(table, out)
    typer.echo(f"{len(table)} files: {out}")
    warn([str(list_folder(folder)), *problems.values()])


def add_commands(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(label)
    app.command()(suspects)
    app.command()(export)
    app.command("import")(import_labels)
    app.command()(predict)


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


def _leave() -> None:
    """End the process without waiting for a training that is under way, as Python would."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)

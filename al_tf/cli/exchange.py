"""The commands that bring labels and models in and out: export, import, predict."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..files import check_replaceable
from ._ledgers import CLASS_LIST, Ledger, class_names, new_or_kept
from ._printing import number_of, say_loading, warn

if TYPE_CHECKING:
    from ..labeling import FolderPool, LabelLedger
    from ..labeling.desk_settings import DeskSettings

FORMATS = ("csv", "history", "folders", "label-studio", "model")

_Images = Annotated[
    Path | None, typer.Option("--images", help="The folder of images that was labeled.")
]


def export(
    ledger: Ledger,
    out: Annotated[Path, typer.Argument(help="A file; for folders, a new folder.")],
    form: Annotated[str, typer.Option("--format", help=", ".join(FORMATS) + ".")] = "csv",
    images: _Images = None,
    excel: Annotated[
        bool,
        typer.Option(
            "--excel",
            help="With csv or history: in UTF-8 that Excel recognizes, with short hashes.",
        ),
    ] = False,
    link: Annotated[bool, typer.Option("--link", help="With folders: links, not copies.")] = False,
    model: Annotated[
        Path | None,
        typer.Option(help="With label-studio: add the predictions of this .keras file."),
    ] = None,
    url_prefix: Annotated[
        str | None,
        typer.Option(
            help="With label-studio: text before each file name, such as https://HOST/ or s3://BUCKET/. "
            "Default: files that Label Studio reads from this disk."
        ),
    ] = None,
) -> None:
    """Write the labels as a table, folders or Label Studio tasks; or the desk's model."""
    from ..errors import check_one_of
    from ..labeling import LabelLedger
    from ..labeling.desk_settings import read_settings, resolve_settings
    from ..labeling.exchange.export import check_model_path, export_folders
    from ..labeling.exchange.label_studio.files import check_tasks_path

    check_one_of("format", form, FORMATS)
    if form == "model":
        check_model_path(out)
    elif form == "label-studio":
        check_tasks_path(out)
    elif form != "folders":
        check_replaceable(out, "text")
    book = LabelLedger(ledger, read_only=True)
    if form in ("csv", "history"):
        _export_table(book, out, form, images, excel)
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
        _export_tasks(book, pool, out, model, url_prefix)
    else:
        warn([advice])
        _export_model(book, pool, out, settings)
    warn(pool.problems.values())


def _export_table(
    book: LabelLedger, out: Path, form: str, images: Path | None, excel: bool
) -> None:
    from ..labeling import FolderPool
    from ..labeling.exchange.export import export_csv

    pool = None if images is None else FolderPool(images, remember=True)
    rows = export_csv(book, out, history=form == "history", excel=excel, pool=pool)
    typer.echo(f"{rows} {'events' if form == 'history' else 'images'}: {out}")


def _export_tasks(
    book: LabelLedger, pool: FolderPool, out: Path, model: Path | None, url_prefix: str | None
) -> None:
    from ..labeling.exchange.label_studio import export_tasks, local_files_setup
    from ..labeling.exchange.predict import predict_folder

    predictions = None
    if model is not None:
        say_loading()
        predictions, _ = predict_folder(model, pool.folder, progress=True)
    n = export_tasks(book, pool, out, predictions=predictions, url_prefix=url_prefix)
    typer.echo(f"{n} tasks: {out}; interface: {out.with_suffix('.xml')}")
    if url_prefix is None:
        typer.echo(local_files_setup(pool))


def _export_model(book: LabelLedger, pool: FolderPool, out: Path, settings: DeskSettings) -> None:
    from ..labeling.exchange.export import train_and_export
    from ..network.device import describe_device

    say_loading()
    kind = f"{settings.model}, {settings.size} pixels; {describe_device()}"
    typer.echo(f"Training the desk's model ({kind}) …")
    n = train_and_export(book, pool, out, settings=settings, progress=True)
    typer.echo(f"Model trained on {n} labels: {out}")


def import_labels(
    ledger: Ledger,
    tasks: Annotated[Path, typer.Argument(help="Label Studio's export: JSON, JSON-MIN or CSV.")],
    images: _Images = None,
    classes: Annotated[
        list[str] | None, typer.Option(help=f"Begin a new ledger with these. {CLASS_LIST}")
    ] = None,
    control: Annotated[
        str | None,
        typer.Option(help="Name of the Choices tag that holds the class, where there are several."),
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

    check_replaceable(out, "text")
    say_loading()
    table, problems = predict_folder(model, folder, progress=True)
    write_csv(table, out)
    typer.echo(f"{number_of(len(table), 'file')}: {out}")
    warn([str(list_folder(folder)), *problems.values()])


def add_commands(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(export)
    app.command("import")(import_labels)
    app.command()(predict)

"""The commands of the labeling desk: label, export, import, predict."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

FORMATS = ("csv", "history", "folders", "label-studio", "model")

_Ledger = Annotated[Path, typer.Argument(help="The ledger's file.")]
_Images = Annotated[
    Path | None, typer.Option("--images", help="The folder of images that was labeled.")
]


def label(
    folder: Annotated[Path, typer.Argument(help="Where the images are; subfolders included.")],
    classes: Annotated[
        list[str],
        typer.Option(help="Comma-separated; repeat it for each name that has a comma in it."),
    ],
    ledger: Annotated[Path, typer.Option(help="Where the answers go; the same file continues.")],
    strategy: Annotated[str, typer.Option(help="See `al-tf strategies`.")] = "margin",
    batch: Annotated[int, typer.Option(help="Labels between two trainings.")] = 10,
    annotator: Annotated[
        str | None, typer.Option(help="Who labels; your login if not given.")
    ] = None,
    size: Annotated[int, typer.Option(help="Side in pixels at which the model sees them.")] = 64,
    port: Annotated[int, typer.Option(help="Of this machine; 0 takes a free one.")] = 0,
    browser: Annotated[bool, typer.Option(help="Open a browser.")] = True,
) -> None:
    """Label the images of a folder in a browser, the ones the model learns most from first."""
    import getpass
    import webbrowser

    from ..labeling import FolderPool, LabelingSession
    from ..labeling.desk.server import serve
    from ..network.classifier import KerasImageClassifier

    names = classes if len(classes) > 1 else [name.strip() for name in classes[0].split(",")]
    network = KerasImageClassifier(min_steps=200, class_weight="balanced", random_state=0)
    session = LabelingSession(
        network,
        FolderPool(folder, size=size),
        ledger,
        classes=names,
        batch_size=batch,
        strategy=strategy,
        annotator=annotator or getpass.getuser(),
    )
    opener = webbrowser.open if browser else None
    with session:
        serve(session, port=port, open_browser=opener, announce=typer.echo)


def export(
    ledger: _Ledger,
    out: Annotated[Path, typer.Argument(help="A file; for folders, a new folder.")],
    form: Annotated[str, typer.Option("--format", help=", ".join(FORMATS) + ".")] = "csv",
    images: _Images = None,
    link: Annotated[bool, typer.Option("--link", help="folders: links, not copies.")] = False,
    model: Annotated[
        Path | None, typer.Option(help="label-studio: predictions of this .keras file.")
    ] = None,
    size: Annotated[int, typer.Option(help="model: side of its images in pixels.")] = 64,
    epochs: Annotated[int, typer.Option(help="model: passes over the labels.")] = 20,
    seed: Annotated[int, typer.Option(help="model: of its training.")] = 0,
) -> None:
    """Write the labels as a table, folders or Label Studio tasks; or train and write a model."""
    from ..errors import check_one_of
    from ..labeling import FolderPool, LabelLedger
    from ..labeling.exchange.export import export_csv, export_folders, train_and_export
    from ..labeling.exchange.label_studio import export_tasks
    from ..labeling.exchange.predict import predict_folder

    check_one_of("format", form, FORMATS)
    book = LabelLedger(ledger, read_only=True)
    if form in ("csv", "history"):
        rows = export_csv(book, out, history=form == "history")
        typer.echo(f"{rows} {'events' if form == 'history' else 'images'}: {out}")
        return
    if images is None:
        raise typer.BadParameter(f"--format {form} needs --images FOLDER.")
    pool = FolderPool(images, size=size)
    if form == "folders":
        done = export_folders(book, pool, out, how="link" if link else "copy")
        typer.echo(f"{done.written} images: {out}")
        _warn(f"{name}: not in {images} any more" for name in done.missing)
    elif form == "label-studio":
        predictions = None if model is None else predict_folder(model, images)[0]
        n = export_tasks(book, pool, out, predictions=predictions)
        typer.echo(f"{n} tasks: {out}; interface: {out.with_suffix('.xml')}")
    else:
        n = train_and_export(book, pool, out, epochs=epochs, seed=seed)
        typer.echo(f"Model trained on {n} labels: {out}")
    _warn(pool.problems.values())


def import_labels(
    ledger: _Ledger,
    tasks: Annotated[Path, typer.Argument(help="Label Studio's export, JSON.")],
    images: _Images = None,
) -> None:
    """Take the annotations of a Label Studio export into a ledger."""
    from ..labeling import FolderPool, LabelLedger
    from ..labeling.exchange.label_studio import import_annotations

    LabelLedger(ledger, read_only=True).close()  # a mistyped name is no new ledger
    pool = None if images is None else FolderPool(images)
    done = import_annotations(LabelLedger(ledger), tasks, pool=pool)
    typer.echo(f"{done.recorded} recorded, {done.known} known already.")
    _warn(f"{name}: not an image that is known here" for name in done.unmatched)


def predict(
    model: Annotated[Path, typer.Argument(help="A .keras file of `al-tf export`.")],
    folder: Annotated[Path, typer.Argument(help="The folder of images.")],
    out: Annotated[Path, typer.Option(help="CSV file.")] = Path("predictions.csv"),
) -> None:
    """Write what a model says about each image, with probabilities, the most uncertain first."""
    from ..labeling.exchange.predict import predict_folder

    table, problems = predict_folder(model, folder)
    table.to_csv(out, index=False)
    typer.echo(f"{len(table)} images: {out}")
    _warn(problems.values())


def add_commands(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(label)
    app.command()(export)
    app.command("import")(import_labels)
    app.command()(predict)


def _warn(texts: Iterable[str]) -> None:
    for text in texts:
        typer.secho(f"Warning: {text}", fg=typer.colors.YELLOW, err=True)

"""The commands for Label Studio: its backend."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ._ledgers import Backbone, Batch, Model, Size, Strategy, class_names, new_or_kept
from ._printing import warn

if TYPE_CHECKING:
    from ..labeling import LabelLedger
    from ..labeling.desk_settings import DeskSettings
    from ..labeling.exchange.label_studio.live import LiveLabeling

_Ledger = Annotated[
    Path, typer.Option(help="The ledger: the file where labels and settings are kept.")
]
_Images = Annotated[
    Path,
    typer.Option(
        help="The folder of images. Those of Label Studio's tasks that are not in it are "
        "fetched into its subfolder from_label_studio."
    ),
]
_Port = Annotated[int, typer.Option(help="Port to listen at; 0 picks a free one.")]
_Host = Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.")]
_Classes = Annotated[
    list[str] | None,
    typer.Option(
        help="Comma-separated; for a new ledger. Default: the choices of the first project."
    ),
]
_Url = Annotated[
    str | None,
    typer.Option(help="Address of Label Studio. Default: the one that it sends when it connects."),
]
_Token = Annotated[
    str | None,
    typer.Option(
        envvar="LABEL_STUDIO_API_KEY",
        help="Access token of a user of Label Studio, with --url. Default: the one that it sends.",
    ),
]
_BasicAuth = Annotated[
    str | None,
    typer.Option(
        envvar="AL_TF_BASIC_AUTH", help="USER:PASSWORD that Label Studio has to send here."
    ),
]

app = typer.Typer(
    help="Predictions and scores for Label Studio while people label there.", no_args_is_help=True
)


@app.callback()
def _group() -> None:
    """Predictions and scores for Label Studio while people label there."""


@app.command()
def serve(
    ledger: _Ledger,
    images: _Images,
    port: _Port = 9090,
    host: _Host = "127.0.0.1",
    classes: _Classes = None,
    url: _Url = None,
    token: _Token = None,
    basic_auth: _BasicAuth = None,
    model: Model = None,
    backbone: Backbone = None,
    strategy: Strategy = None,
    batch: Batch = None,
    size: Size = None,
) -> None:
    """Serve Label Studio as its machine-learning backend: predict, sort, record what is labeled."""
    from ..labeling.desk_settings import read_settings, resolve_settings
    from ..labeling.exchange.label_studio.server import LOOPBACK, BackendServer

    if url is not None and token is None:
        raise ValueError("--url needs --token: an access token of a user of Label Studio.")
    if basic_auth is not None and ":" not in basic_auth:
        raise ValueError("--basic-auth must have the form USER:PASSWORD.")
    if host not in LOOPBACK and basic_auth is None:
        warn(["anybody who reaches this port can add labels. --basic-auth asks for a password."])
    with new_or_kept(ledger) as book:
        settings, advice = resolve_settings(
            read_settings(book), model=model, backbone=backbone, size=size, strategy=strategy,
            batch_size=batch,
        )  # fmt: skip
        warn([advice])
        live = _open_live(book, images, settings, class_names(classes), url, token)
        try:
            BackendServer(live, host=host, port=port, password=basic_auth).run(
                lambda address: typer.echo(
                    f"The backend of Label Studio: {address}\n"
                    "Add it there under Settings, Model. Ctrl-C stops it; every answer is kept."
                )
            )
        finally:
            live.close()
        typer.echo(f"Stopped with {len(book.answers())} answers in {ledger}.")
        book.close()


def _open_live(
    book: LabelLedger,
    images: Path,
    settings: DeskSettings,
    names: list[str] | None,
    url: str | None,
    token: str | None,
) -> LiveLabeling:
    """Open the labeling as the settings say, and store them once it is open."""
    from ..labeling.desk_settings import store_settings
    from ..labeling.exchange.label_studio.client import StudioClient
    from ..labeling.exchange.label_studio.live import LiveLabeling

    pool, settings = settings.open_pool(images)
    if names is not None:
        book.fix_classes(names)
    client = None if url is None or token is None else StudioClient(url, token)
    live = LiveLabeling(book, pool, settings, client=client)
    store_settings(book, settings)
    return live

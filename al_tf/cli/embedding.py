"""The command that computes features ahead of the desk and of experiments."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import FeaturesNotKeptWarning, StorageError, UnknownNameError
from ._printing import continued_by_the_same_command, number_of


def embed(
    source: Annotated[
        str, typer.Argument(help="A folder of images, or a dataset (see `al-tf data list`).")
    ],
    backbone: Annotated[
        str | None, typer.Option(help="Name of the pretrained network. Default: that of the desk.")
    ] = None,
    size: Annotated[
        int | None, typer.Option(help="Side in pixels that the network sees, as for `al-tf label`.")
    ] = None,
    image_size: Annotated[
        int | None,
        typer.Option(help="Scale images to this side first, as `al-tf run --size` (datasets)."),
    ] = None,
) -> None:
    """Compute the features of all images now, and keep them for the desk and for experiments.

    After Ctrl-C, the same command continues.
    """
    with _noted(FeaturesNotKeptWarning) as not_kept, continued_by_the_same_command():
        if Path(source).is_dir():
            if image_size is not None:
                raise typer.BadParameter("--image-size is for datasets; of a folder, give --size.")
            typer.echo(_embed_folder(Path(source), backbone, size))
        else:
            typer.echo(_embed_dataset(source, backbone, size, image_size))
    if not_kept:
        raise StorageError(
            "Not all features are kept, as the warning says. Do the same again afterwards."
        )
    typer.echo("They are kept; see `al-tf cache show`.")


@contextmanager
def _noted(category: type[Warning]) -> Iterator[list[Warning | str]]:
    """Yield a list that fills with the warnings of a category, which are shown as before."""
    noted: list[Warning | str] = []
    show = warnings.showwarning

    def note(message: Warning | str, kind: type[Warning], *rest: Any) -> None:
        if issubclass(kind, category):
            noted.append(message)
        show(message, kind, *rest)

    with warnings.catch_warnings():
        warnings.simplefilter("default", category)  # whatever filters the user has set
        warnings.showwarning = note  # type: ignore[assignment]
        yield noted


def _embed_folder(folder: Path, backbone: str | None, size: int | None) -> str:
    """Embed a folder as the desk does, with the same settings."""
    from ..folders import left_out_line
    from ..labeling.desk_settings import resolve_settings
    from ..labeling.pool_features import PoolFeatures, model_inputs

    settings, _ = resolve_settings(None, model="probe", backbone=backbone, size=size)
    pool, settings = settings.open_pool(folder)
    inputs = model_inputs(settings.build_estimator(()), pool, progress=True)
    assert isinstance(inputs, PoolFeatures)
    inputs.embed_pool()
    lines = [
        f"{folder}: features of {number_of(inputs.count(), 'image')}, {_described(inputs.backbone)}."
    ]
    lines += [line for line in [left_out_line(pool.left_out)] if line]
    if pool.problems:
        why = next(iter(pool.problems.values()))
        lines.append(f"{number_of(len(pool.problems), 'file')} cannot be read, such as {why}")
    return "\n".join(lines)


def _embed_dataset(
    name: str, backbone: str | None, size: int | None, image_size: int | None
) -> str:
    """Embed a dataset as experiments do."""
    from ..datasets import default_options, list_datasets, load_dataset
    from ..labeling.desk_settings import DEFAULT_BACKBONE
    from ..network.backbones import load_backbone

    if name not in list_datasets() and ":" not in name:
        raise UnknownNameError(
            f"{name} is a file. Give the folder that it is in."
            if Path(name).exists()
            else f"{name}: no such folder, and no dataset of this name. Expected a folder of "
            f"images, or one of: {', '.join(list_datasets())}, folder:PATH."
        )
    if image_size is not None and "size" not in default_options(name):
        raise typer.BadParameter(f"--image-size: the images of {name} have one size. Leave it out.")
    options: dict[str, Any] = {} if image_size is None else {"size": image_size}
    data = load_dataset(name, **options)
    loaded = load_backbone(backbone or DEFAULT_BACKBONE, size=size)
    for images in (data.x_train, data.x_test):
        loaded.features(images, progress=True)
    n = len(data.x_train) + len(data.x_test)
    return f"{data.name}: features of {number_of(n, 'image')}, {_described(loaded)}."


def _described(backbone: Any) -> str:
    return f"{backbone.name} at {backbone.size} pixels"


def add_commands(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(embed)

"""The command line: parse, call, print. Heavy imports wait until a command needs them."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Annotated, Any

import typer

from ..errors import AlTfError, RunFailedError
from ..files import storage_explained
from . import data, experiments, labeling

app = typer.Typer(
    name="al-tf",
    help="Active learning for image classification: strategies, paired experiments, a verdict.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

USAGE, FAILED = 2, 1


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
) -> None:
    if debug:
        os.environ["AL_TF_DEBUG"] = "1"


def main() -> None:
    """Run the command line; an error becomes one clear line and an exit code."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # semaphores of workers that had to be killed are cleaned up without a word
    os.environ.setdefault("PYTHONWARNINGS", "ignore:resource_tracker")
    warnings.showwarning = _show_warning
    try:
        with storage_explained("al-tf"):
            app()
    except RunFailedError as error:
        _fail(error, FAILED)
    except (AlTfError, ValueError, TypeError, OSError, ImportError) as error:
        _fail(error, USAGE)


def _fail(error: Exception, code: int) -> None:
    if os.environ.get("AL_TF_DEBUG"):
        raise error
    typer.secho(f"Error: {error}", fg=typer.colors.RED, err=True)
    sys.exit(code)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    typer.secho(f"Warning: {message}", fg=typer.colors.YELLOW, err=True)


experiments.add_commands(app)
labeling.add_commands(app)
app.add_typer(data.app, name="data")

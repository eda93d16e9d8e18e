"""The command line: parse, call, print. Heavy imports wait until a command needs them."""

from __future__ import annotations

import dis
import os
import re
import sys
import traceback
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import AlTfError, RunFailedError
from ..files import storage_explained
from . import (
    agreement,
    cache,
    classes,
    data,
    embedding,
    evaluation,
    exchange,
    experiments,
    label_studio,
    labeling,
    studies,
)

app = typer.Typer(
    name="al-tf",
    help="Active learning for image classification: label images, compare strategies, read a verdict.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

USAGE, FAILED = 2, 1
PACKAGE = Path(__file__).parents[1]


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
) -> None:
    if debug:
        os.environ["AL_TF_DEBUG"] = "1"


def main() -> None:
    """Run the command line.

    What a user can put right becomes one clear line; a fault in the code, a traceback and a line
    on what to do about it. Exit codes: 2 for the former, 1 for the latter and for failed runs.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # semaphores of workers that had to be killed are cleaned up without a word
    os.environ.setdefault("PYTHONWARNINGS", "ignore:resource_tracker")
    warnings.showwarning = _show_warning
    try:
        with storage_explained("al-tf"):
            app(prog_name="al-tf")
    except Exception as error:
        if os.environ.get("AL_TF_DEBUG"):
            raise
        if _is_for_the_user(error):
            _say("Error", error)
            sys.exit(FAILED if isinstance(error, RunFailedError) else USAGE)
        traceback.print_exc()
        _say("Error", "this is a fault in the code. Please report it with the lines above.")
        sys.exit(FAILED)


def _is_for_the_user(error: Exception) -> bool:
    """Whether the message of an error was written for users, by the words of this package.

    Errors of ours and those about files are. A ValueError, TypeError or ImportError is if a
    ``raise`` of this package made it; if numpy or the interpreter did, it shows a fault.
    """
    if isinstance(error, AlTfError | OSError):
        return True
    if not isinstance(error, ValueError | TypeError | ImportError):
        return False
    if type(error.__cause__).__name__ == "_RemoteTraceback":  # of another process: as text
        return _raised_by_us(str(error.__cause__))
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    if step is None:
        return False
    code = step.tb_frame.f_code
    raised = code.co_code[step.tb_lasti] == dis.opmap["RAISE_VARARGS"]
    return raised and Path(code.co_filename).is_relative_to(PACKAGE)


def _raised_by_us(traceback_text: str) -> bool:
    """Whether the last step of a traceback is a ``raise`` in this package."""
    steps = re.findall(r'^  File "(.+)", line \d+, in .*\n    (.*)$', traceback_text, re.MULTILINE)
    if not steps:
        return False
    file, line = steps[-1]
    return line.startswith("raise ") and Path(file).is_relative_to(PACKAGE)


def _say(kind: str, message: object, color: str = typer.colors.RED) -> None:
    typer.secho(f"{kind}: {message}", fg=color, err=True)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    _say("Warning", message, typer.colors.YELLOW)


experiments.add_commands(app)
labeling.add_commands(app)
exchange.add_commands(app)
evaluation.add_commands(app)
agreement.add_commands(app)
embedding.add_commands(app)
classes.add_commands(app)
app.add_typer(data.app, name="data")
app.add_typer(cache.app, name="cache")
app.add_typer(studies.app, name="study")
app.add_typer(label_studio.app, name="label-studio")

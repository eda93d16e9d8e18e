"""The command line: parse, call, print. Heavy imports wait until a command needs them."""

from __future__ import annotations

import os
import shlex
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from .errors import AlTfError, RunFailedError, storage_explained
from .labeling_cli import add_commands

app = typer.Typer(
    name="al-tf",
    help="Active learning for image classification: strategies, paired experiments, a verdict.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Datasets: which there are, and getting one.", no_args_is_help=True)
app.add_typer(data_app, name="data")

USAGE, FAILED, INTERRUPTED = 2, 1, 130


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


@app.command()
def run(
    out: Annotated[Path, typer.Option(help="Results folder; the same command continues there.")],
    profile: Annotated[
        str | None, typer.Option(help="smoke, quick, report, or a TOML file of settings.")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="See `al-tf data list`; or folder:PATH.")
    ] = None,
    strategies: Annotated[
        str | None, typer.Option(help="Comma-separated; random always runs.")
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="How many, or a comma-separated list.")] = None,
    initial: Annotated[int | None, typer.Option(help="Labels at the start.")] = None,
    batch: Annotated[int | None, typer.Option(help="Labels asked for in each round.")] = None,
    rounds: Annotated[int | None, typer.Option(help="Rounds after the first fit.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the labels in each fit.")] = None,
    pool: Annotated[int | None, typer.Option(help="At most this many images in the pool.")] = None,
    imbalance: Annotated[
        str | None, typer.Option(help="Long tail of the pool: smallest / largest class.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="key=value for any setting; repeatable.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(help="Worker processes; all cores if not given, 0: in this one.")
    ] = None,
    backend: Annotated[str, typer.Option(help="processes or dask.")] = "processes",
    scheduler: Annotated[str | None, typer.Option(help="Address of the Dask scheduler.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")] = False,
    progress: Annotated[bool, typer.Option(help="Show the progress bar.")] = True,
) -> None:
    """Run strategies over paired seeds, or continue where the last attempt stopped."""
    from .experiments import (
        ExperimentConfig,
        load_profile,
        make_plan,
        run_experiment,
        with_overrides,
    )
    from .experiments.experiment import default_jobs

    table = load_profile(profile, dataset) if profile else {}
    flags = {
        "dataset": dataset, "strategies": strategies, "initial": initial, "batch": batch,
        "rounds": rounds, "epochs": epochs, "pool": pool,
    }  # fmt: skip
    table |= {name: value for name, value in flags.items() if value is not None}
    texts = [f"{k}={v}" for k, v in (("seeds", seeds), ("imbalance", imbalance)) if v is not None]
    config = ExperimentConfig.from_dict(with_overrides(table, [*texts, *(settings or [])]))
    if dry_run:
        typer.echo(make_plan(config, jobs or default_jobs(config)))
        return
    try:
        results = run_experiment(
            config, out, jobs=jobs, backend=backend, scheduler=scheduler, progress=progress
        )
    except KeyboardInterrupt:
        command = shlex.join(["al-tf", *sys.argv[1:]])
        typer.secho(
            f"\nStopped; every finished round is kept. Continue with:\n  {command}", err=True
        )
        raise typer.Exit(INTERRUPTED) from None
    last = results.groupby(["strategy", "seed"], sort=False).tail(1)
    means = last.groupby("strategy", sort=False)[["n_labeled", "accuracy", "f1_macro"]].mean()
    typer.echo(f"Means over {len(config.seeds)} seeds at the end of the runs:")
    typer.echo(means.round(4).to_string())
    typer.echo(f"Records: {out}. Verdict and figures: al-tf report {shlex.quote(str(out))}")


@app.command()
def report(
    folders: Annotated[list[Path], typer.Argument(help="Results folders of `al-tf run`.")],
    metric: Annotated[str, typer.Option(help="accuracy or f1_macro.")] = "accuracy",
    table_format: Annotated[str, typer.Option("--format", help="md, csv or json.")] = "md",
    out: Annotated[
        Path | None,
        typer.Option(help="One report over all folders goes here; else one beside each's records."),
    ] = None,
) -> None:
    """Print the verdict of one or several experiments, and write it with the figures."""
    import matplotlib as mpl

    from .analysis import format_table
    from .errors import check_one_of
    from .reporting import METRICS, read_experiments, report_table, write_report

    check_one_of("metric", metric, METRICS)
    mpl.use("agg")
    command = shlex.join(["al-tf", *sys.argv[1:]])
    experiments = read_experiments(folders)
    typer.echo(format_table(report_table(experiments, metric), table_format), nl=False)
    targets = (
        [(experiments, out)]
        if out
        else [([e], f) for e, f in zip(experiments, folders, strict=True)]
    )
    for part, folder in targets:
        write_report(part, folder, metric=metric, command=command)
        typer.echo(f"Figures and tables: {folder / 'figures'}", err=True)


@app.command()
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

    from .classifier import KerasImageClassifier
    from .labeling import FolderPool, LabelingSession
    from .labeling.app import serve

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


@app.command()
def strategies() -> None:
    """List the strategies: what each needs, what it costs, where it comes from."""
    from .strategies import list_strategies, strategy_info

    infos = [strategy_info(name) for name in list_strategies()]
    rows = [(i.name, i.family, ", ".join(i.needs) or "-", i.cost, i.paper or "-") for i in infos]
    _print_table(("name", "family", "needs", "cost", "paper"), rows)


@data_app.command("list")
def data_list() -> None:
    """List the datasets and where each is on this machine."""
    from .datasets import dataset_status

    rows = [(s.name, "yes" if s.found else "no", s.summary, s.where) for s in dataset_status()]
    _print_table(("name", "here", "images", "where"), rows)


@data_app.command("fetch")
def data_fetch(name: Annotated[str, typer.Argument(help="See `al-tf data list`.")]) -> None:
    """Bring a dataset into the user cache, check it and describe it."""
    from .datasets import describe, fetch_dataset

    typer.echo(describe(fetch_dataset(name, report=typer.echo)))


add_commands(app)


def _print_table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, *rows]:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())

"""The commands of experiments: run them, report on them, list the strategies."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._printing import command_given, continued_by_the_same_command, print_table

if TYPE_CHECKING:
    import pandas as pd

    from ..experiments import ExperimentConfig


_Out = Annotated[Path, typer.Option(help="Folder of the study; the same command continues there.")]
_Profile = Annotated[
    str | None,
    typer.Option(help="smoke, quick, report, probe, or a TOML file (also a study.toml)."),
]
_Dataset = Annotated[str | None, typer.Option(help="See `al-tf data list`; or folder:PATH.")]
DatasetSize = Annotated[
    int | None,
    typer.Option(help="Scale images to this side (folder:PATH, magnetic_tile, solar_cells)."),
]
_TestFraction = Annotated[
    float | None, typer.Option(help="Part of each class to test on (folder:PATH).")
]
_Model = Annotated[
    str | None, typer.Option(help="What is trained: cnn, probe, finetuned, logistic.")
]
_Backbone = Annotated[
    str | None,
    typer.Option(help="Pretrained network of probe and finetuned, e.g. efficientnet_lite0."),
]
_Strategies = Annotated[str | None, typer.Option(help="Comma-separated; random always runs.")]
_Seeds = Annotated[
    str | None,
    typer.Option(help="How many (5), or which (5,7). One seed alone ends with a comma (5,)."),
]
_Initial = Annotated[int | None, typer.Option(help="Labels at the start.")]
_Batch = Annotated[int | None, typer.Option(help="Labels asked for in each round.")]
_Rounds = Annotated[int | None, typer.Option(help="Rounds after the first fit.")]
_Epochs = Annotated[int | None, typer.Option(help="Passes over the labels in each fit.")]
_Pool = Annotated[int | None, typer.Option(help="At most this many images in the pool.")]
_Imbalance = Annotated[
    str | None, typer.Option(help="Long tail of the pool: smallest / largest class.")
]
_Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="key=value for any setting of a study.toml; repeatable."),
]
_Jobs = Annotated[
    int | None, typer.Option(help="Worker processes, by default one per core; 0: this process.")
]
_Backend = Annotated[str, typer.Option(help="processes or dask.")]
_Scheduler = Annotated[str | None, typer.Option(help="Address of the Dask scheduler.")]
_Vectorized = Annotated[
    bool, typer.Option("--vectorized", help="Train all runs as one (cnn, Keras on JAX).")
]
_Track = Annotated[str | None, typer.Option(help="Log every round: mlflow or tensorboard.")]
_TrackDir = Annotated[
    Path | None,
    typer.Option(help="Folder for what is logged. Default: MLflow's own, or tensorboard/."),
]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")]
_Progress = Annotated[bool, typer.Option(help="Show the progress bar.")]


def run(
    out: _Out,
    profile: _Profile = None,
    dataset: _Dataset = None,
    size: DatasetSize = None,
    test_fraction: _TestFraction = None,
    model: _Model = None,
    backbone: _Backbone = None,
    strategies: _Strategies = None,
    seeds: _Seeds = None,
    initial: _Initial = None,
    batch: _Batch = None,
    rounds: _Rounds = None,
    epochs: _Epochs = None,
    pool: _Pool = None,
    imbalance: _Imbalance = None,
    settings: _Settings = None,
    jobs: _Jobs = None,
    backend: _Backend = "processes",
    scheduler: _Scheduler = None,
    vectorized: _Vectorized = False,
    track: _Track = None,
    track_dir: _TrackDir = None,
    dry_run: _DryRun = False,
    progress: _Progress = True,
) -> None:
    """Run strategies over paired seeds, or continue where the last attempt stopped."""
    from ..experiments import make_plan, run_experiment
    from ..experiments.experiment import default_jobs
    from ..experiments.trackers import make_tracker

    flags = {
        "dataset": dataset, "strategies": strategies, "initial": initial, "batch": batch,
        "rounds": rounds, "epochs": epochs, "pool": pool, "model": model, "backbone": backbone,
    }  # fmt: skip
    options = {"dataset_options.size": size, "dataset_options.test_size": test_fraction}
    texts = _assignments({"seeds": seeds, "imbalance": imbalance})
    texts += [*(settings or []), *_assignments(options)]  # the last wins
    config = _config(profile, flags, texts)
    if dry_run:
        typer.echo(make_plan(config, jobs or default_jobs(config)))
        return
    if track is None and track_dir is not None:
        raise typer.BadParameter("--track-dir needs --track mlflow or --track tensorboard.")
    trackers = [] if track is None else [make_tracker(track, track_dir)]
    with continued_by_the_same_command("every finished round is kept"):
        results = run_experiment(
            config, out, jobs=jobs, backend=backend, scheduler=scheduler, vectorized=vectorized,
            progress=progress, on_round=trackers,
        )  # fmt: skip
    _print_means(results, len(config.seeds))
    for tracker in trackers:
        typer.echo(f"Logged to {track}. See it: {tracker.view_command}")
    typer.echo(f"Records: {out}. Verdict and figures: al-tf report {shlex.quote(str(out))}")


def _print_means(results: pd.DataFrame, n_seeds: int) -> None:
    last = results.groupby(["strategy", "seed"], sort=False).tail(1)
    means = last.groupby("strategy", sort=False)[["n_labeled", "accuracy", "f1_macro"]].mean()
    typer.echo(f"Means over {n_seeds} seeds at the end of the runs:")
    typer.echo(means.round(4).to_string())


def _assignments(values: dict[str, Any]) -> list[str]:
    return [f"{name}={value}" for name, value in values.items() if value is not None]


def _config(profile: str | None, flags: dict[str, Any], texts: list[str]) -> ExperimentConfig:
    """Return the settings of a profile, with options that are not None and ``key=value`` texts."""
    from ..experiments import ExperimentConfig, load_profile, with_overrides

    table = load_profile(profile, flags["dataset"]) if profile else {}
    table |= {name: value for name, value in flags.items() if value is not None}
    return ExperimentConfig.from_dict(with_overrides(table, texts))


def report(
    folders: Annotated[
        list[Path], typer.Argument(help="Folders of studies, as `al-tf run` leaves them.")
    ],
    metric: Annotated[
        str, typer.Option(help="accuracy, f1_macro or average_precision.")
    ] = "accuracy",
    table_format: Annotated[str, typer.Option("--format", help="md, csv or json.")] = "md",
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for one report over all; by default one in each study's folder."),
    ] = None,
) -> None:
    """Print the verdict of one or several experiments, and write it with the figures."""
    import matplotlib as mpl

    from ..analysis import format_table, report_table
    from ..errors import check_one_of
    from ..report import METRICS, all_results, read_experiments, write_report

    check_one_of("metric", metric, METRICS)
    mpl.use("agg")
    studies = read_experiments(folders)
    typer.echo(format_table(report_table(all_results(studies), metric), table_format), nl=False)
    reports = {out: studies} if out else {f: read_experiments([f]) for f in folders}
    for folder, part in reports.items():
        write_report(part, folder, metric=metric, command=command_given())
        typer.echo(f"Verdict and figures: {folder}", err=True)


def strategies(
    data: Annotated[
        str | None,
        typer.Option(
            "--for",
            help="Print what the committed studies found on data like this: a "
            "dataset, or a folder with a subfolder for each class.",
        ),
    ] = None,
    labels: Annotated[
        int | None, typer.Option(min=1, help="With --for: how many labels there will be.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="With --for: cnn or probe; any if not given.")
    ] = None,
) -> None:
    """List the strategies with needs, cost and paper; or, with --for, what studies found about them."""
    from ..strategies import list_strategies, strategy_info

    if data is not None:
        from ..guide import guide, regime_of

        if labels is None:
            raise typer.BadParameter("--for needs --labels, how many labels there will be.")
        typer.echo(guide(regime_of(data, labels, model)))
        return
    if labels is not None or model is not None:
        raise typer.BadParameter("--labels and --model go with --for.")
    infos = [strategy_info(name) for name in list_strategies()]
    rows = [(i.name, i.family, ", ".join(i.needs) or "-", i.cost, i.paper or "-") for i in infos]
    print_table(("name", "family", "needs", "cost", "paper"), rows)


def add_commands(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    for command in (run, report, strategies):
        app.command()(command)

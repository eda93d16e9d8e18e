"""From results folders to a report: one table, and the figures with the tables behind them."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from . import analysis
from .experiments import load_records, load_results, read_meta

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METRICS = ("accuracy", "f1_macro")


class Experiment(NamedTuple):
    """One results folder, read; datasets of the same name in two folders are told apart."""

    results: pd.DataFrame
    records: pd.DataFrame
    meta: dict[str, Any]


class _Drawing(NamedTuple):
    name: str
    table: pd.DataFrame
    draw: Callable[[], Figure]


def read_experiments(folders: Sequence[str | Path]) -> list[Experiment]:
    """Read results folders for one report.

    Parameters
    ----------
    folders : sequence of path
        Each as `al_tf.run_experiment` leaves it, finished or not.

    Returns
    -------
    list of Experiment
        Where two folders hold the same dataset, the dataset column names the folder too.

    Raises
    ------
    FileNotFoundError
        A folder without an experiment.
    ValueError
        A folder without a finished round.
    """
    metas = [read_meta(folder) for folder in folders]
    datasets = [meta["config"]["dataset"] for meta in metas]
    found = []
    for folder, meta, dataset in zip(folders, metas, datasets, strict=True):
        results, records = load_results(folder), load_records(folder)
        if results.empty:
            raise ValueError(f"{folder} has no finished round yet; run the experiment first.")
        if datasets.count(dataset) > 1:
            name = f"{dataset} ({Path(folder).name})"
            results, records = results.assign(dataset=name), records.assign(dataset=name)
        found.append(Experiment(results, records, meta))
    return found


def report_table(experiments: Sequence[Experiment], metric: str = "accuracy") -> pd.DataFrame:
    """Return `al_tf.analysis.report_table` of all experiments together."""
    return analysis.report_table(_results(experiments), metric)


def write_report(
    experiments: Sequence[Experiment],
    out_dir: str | Path,
    *,
    metric: str = "accuracy",
    command: str = "",
) -> list[Path]:
    """Write ``verdict.csv`` and the figures, each with its table and its provenance.

    Parameters
    ----------
    experiments : sequence of Experiment
        Of `read_experiments`.
    out_dir : path
        ``verdict.csv`` goes here, the rest into its folder ``figures``.
    metric : str
        What the verdict is about: ``accuracy`` or ``f1_macro``.
    command : str
        The command line that makes this report again, for the provenance.

    Returns
    -------
    list of Path
        The files written.
    """
    from .plots import save_figure

    out = Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)
    verdict = out / "verdict.csv"
    report_table(experiments, metric).to_csv(verdict, index=False)
    written = [verdict]
    images = _what_images(experiments)
    for name, table, draw in _drawings(experiments, metric):
        path, figure = out / "figures" / name, draw()
        _add_to_caption(figure, images)
        written += save_figure(figure, path, _provenance(experiments, command, metric, table))
        table.to_csv(path.with_suffix(".csv"), index=False)
        written.append(path.with_suffix(".csv"))
    return written


def _results(experiments: Sequence[Experiment]) -> pd.DataFrame:
    return pd.concat([e.results for e in experiments], ignore_index=True)


def _drawings(experiments: Sequence[Experiment], metric: str) -> Iterator[_Drawing]:
    from . import plots

    results = _results(experiments)
    curves = analysis.learning_curve_table(results, METRICS)
    yield _Drawing("learning_curves", curves, lambda: plots.learning_curves(curves))
    seconds = analysis.seconds_table(results)
    yield _Drawing("seconds", seconds, lambda: plots.seconds_by_phase(seconds))
    if results["round"].max() > 0:
        balance = pd.concat(
            analysis.queried_class_table(e.records.query("round > 0"), e.meta["class_names"])
            for e in experiments
        )
        yield _Drawing("class_balance", balance, lambda: plots.class_balance(balance))
    if results["strategy"].nunique() == 1 or results["round"].max() == 0:
        return  # nothing to compare
    differences = analysis.difference_curve_table(results, metric)
    yield _Drawing("differences", differences, lambda: plots.difference_curves(differences))
    verdict = analysis.verdict_table(results, metric)
    yield _Drawing("forest", verdict, lambda: plots.forest_plot(verdict))
    savings = analysis.label_savings(results, metric)
    yield _Drawing("label_savings", savings, lambda: plots.savings_plot(savings))
    penalty = analysis.penalty_matrix(results, metric)
    table = penalty.table.rename_axis("strategy").reset_index()
    yield _Drawing("penalty", table, lambda: plots.penalty_heatmap(penalty))


def _what_images(experiments: Sequence[Experiment]) -> str:
    """Return which datasets are lossy copies, as their sources say, for the captions."""
    sources = {(e.meta["config"]["dataset"], e.meta["data_source"]) for e in experiments}
    lossy = [(name, text) for name, text in sorted(sources) if "lossy" in text]
    return "; ".join(f"{name}: {text.partition(' (')[0]}" for name, text in lossy)


def _add_to_caption(figure: Figure, text: str) -> None:
    if text:
        from .plots.style import caption

        caption(figure, "\n".join(filter(None, [figure.get_suptitle(), text])))


def _provenance(
    experiments: Sequence[Experiment], command: str, metric: str, table: pd.DataFrame
) -> dict[str, Any]:
    from .plots import build_provenance

    metas = [e.meta for e in experiments]
    ran = [shlex.join(meta["command"]) for meta in metas]
    return {"metric": metric} | build_provenance(
        command=" && ".join(dict.fromkeys([*ran, *filter(None, [command])])),
        config_hash=" ".join(meta["config_hash"] for meta in metas),
        seeds=sorted({seed for meta in metas for seed in meta["config"]["seeds"]}),
        data_fingerprint={m["config"]["dataset"]: m["data_fingerprint"] for m in metas},
        versions=metas[-1]["versions"],
        commit=metas[-1]["git_commit"],
        table=table,
    )

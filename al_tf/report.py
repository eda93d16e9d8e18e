"""From studies to a report: the verdict as a table, and figures that carry their provenance."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from . import analysis
from .experiments import UPPER_LINE, Study, read_study
from .files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METRICS = ("accuracy", "f1_macro", "average_precision")
CHART_COLORS = 256


class Drawing(NamedTuple):
    """One figure of a report: its name, the table it shows, and what draws it."""

    name: str
    table: pd.DataFrame
    draw: Callable[[], Figure]


def read_experiments(folders: Sequence[str | Path]) -> list[Study]:
    """Read the folders of several studies for one report.

    Parameters
    ----------
    folders : sequence of path
        Each as `al_tf.run_experiment` leaves it, finished or not.

    Returns
    -------
    list of Study
        Their names differ: folders of one name are told apart by the folders above them. Where two
        studies are of the same dataset, the dataset column of their tables names the study too.

    Raises
    ------
    FileNotFoundError
        A folder without an experiment.
    ValueError
        A folder without a finished round, or one given twice.
    """
    studies = []
    names = _distinct_names([Path(folder).resolve() for folder in folders])
    for folder, name in zip(folders, names, strict=True):
        study = read_study(folder)._replace(name=name)
        if study.results.empty:
            raise ValueError(f"{folder} has no finished round yet; run the experiment first.")
        studies.append(study)
    datasets = [study.meta["config"]["dataset"] for study in studies]
    return [
        _with_dataset(study, f"{dataset} ({study.name})") if datasets.count(dataset) > 1 else study
        for study, dataset in zip(studies, datasets, strict=True)
    ]


def all_results(studies: Sequence[Study]) -> pd.DataFrame:
    """Return the results of several studies, one below the other."""
    return pd.concat([study.results for study in studies], ignore_index=True)


def write_report(
    studies: Sequence[Study],
    out_dir: str | Path,
    *,
    metric: str = "accuracy",
    command: str = "",
) -> list[Path]:
    """Write ``verdict.csv`` and the figures, each with its table and its provenance inside.

    Parameters
    ----------
    studies : sequence of Study
        Of `read_experiments`.
    out_dir : path
        Where the files go: a study's own folder, or another one for a report on several.
    metric : str
        What the verdict is about, one of `METRICS`. Studies of earlier versions have no
        ``average_precision``.
    command : str
        The command line that makes this report again, for the provenance.

    Returns
    -------
    list of Path
        The files written.
    """
    from .plots import build_provenance, save_figure

    out = Path(out_dir)
    verdict = out / "verdict.csv"
    table = analysis.report_table(all_results(studies), metric)
    write_atomically(verdict, lambda temporary: table.to_csv(temporary, index=False))
    written = [verdict]
    metas = {study.name: study.meta | {"records_sha256": study.records_sha256} for study in studies}
    provenance = build_provenance(metas, command=command or _run_commands(studies), metric=metric)
    for name, table, draw in report_drawings(studies, metric):
        path = out / f"{name}.png"
        written.append(save_figure(draw(), path, provenance, table=table, n_colors=CHART_COLORS))
    return written


def report_drawings(studies: Sequence[Study], metric: str) -> Iterator[Drawing]:
    """Yield the figures of a report on these studies, none drawn yet.

    The captions of those made from a lossy copy of a dataset say so.

    Parameters
    ----------
    studies : sequence of Study
        Of `read_experiments`.
    metric : str
        What differences, verdict and labels saved are about.

    Yields
    ------
    Drawing
    """
    note = lossy_data_note(studies)
    for drawing in _drawings(studies, metric):
        yield drawing._replace(draw=partial(_with_note, drawing.draw, note)) if note else drawing


def _with_note(draw: Callable[[], Figure], note: str) -> Figure:
    from .plots.style import caption

    figure = draw()
    caption(figure, "\n".join(filter(None, [figure.get_suptitle(), note])))
    return figure


def _drawings(studies: Sequence[Study], metric: str) -> Iterator[Drawing]:
    from . import plots

    results = all_results(studies)
    shown = dict.fromkeys(("accuracy", "f1_macro", metric))
    curves = analysis.learning_curve_table(results, shown)
    yield Drawing("learning_curves", curves, lambda: plots.learning_curves(curves))
    seconds = analysis.seconds_table(results)
    yield Drawing("seconds", seconds, lambda: plots.seconds_by_phase(seconds))
    if results["round"].max() > 0:
        balance = pd.concat(
            analysis.queried_class_table(s.records.query("round > 0"), s.meta["class_names"])
            for s in studies
        )
        yield Drawing("class_balance", balance, lambda: plots.class_balance(balance))
    if results["strategy"].nunique() == 1 or results["round"].max() == 0:
        return  # nothing to compare
    differences = analysis.difference_curve_table(results, metric)
    yield Drawing("differences", differences, lambda: plots.difference_curves(differences))
    verdict = analysis.verdict_table(results, metric)
    yield Drawing("forest", verdict, lambda: plots.forest_plot(verdict))
    savings = analysis.label_savings(results, metric)
    yield Drawing("label_savings", savings, lambda: plots.savings_plot(savings))
    strategies = results[results["strategy"] != UPPER_LINE]
    penalty = analysis.penalty_matrix(strategies, metric)
    table = penalty.table.rename_axis("strategy").reset_index()
    yield Drawing("penalty", table, lambda: plots.penalty_heatmap(penalty))


def lossy_data_note(studies: Sequence[Study]) -> str:
    """Return for captions which datasets are lossy copies, going by the source of each; or ""."""
    sources = {(s.meta["config"]["dataset"], s.meta["data_source"]) for s in studies}
    lossy = [(name, text) for name, text in sorted(sources) if "lossy" in text]
    return "; ".join(f"{name}: {text.partition(' (')[0]}" for name, text in lossy)


def _distinct_names(folders: Sequence[Path]) -> list[str]:
    """Return the shortest ends of these paths that differ from each other."""
    twice = [folder for folder in folders if folders.count(folder) > 1]
    if twice:
        raise ValueError(f"{twice[0]} is given twice; name each folder once.")
    names = []
    for folder in folders:
        others = [other for other in folders if other != folder]
        depth = 1
        while any(other.parts[-depth:] == folder.parts[-depth:] for other in others):
            depth += 1
        names.append("/".join(folder.parts[-depth:]))
    return names


def _with_dataset(study: Study, dataset: str) -> Study:
    return study._replace(
        results=study.results.assign(dataset=dataset), records=study.records.assign(dataset=dataset)
    )


def _run_commands(studies: Sequence[Study]) -> str:
    return " && ".join(dict.fromkeys(shlex.join(study.meta["command"]) for study in studies))

"""Committed studies: whether one is what its records say, and a table of several.

`check_study` holds a study against its own records, without training anything, so that results
that somebody else sends can be judged. It is what ``al-tf study check`` prints; `study_table` is
what ``al-tf study list`` prints.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from functools import partial
from hashlib import sha256
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from .analysis import report_table
from .errors import AlTfError, DataCorruptError
from .experiments import ExperimentConfig, Study, read_meta
from .experiments.options import contradictions, options_text
from .experiments.record_faults import record_faults
from .experiments.records import PACKED
from .report import METRICS, read_experiments, report_drawings

CURVES = "learning_curves.png"
"""The figure that every study shows; the others can be drawn from the records."""
FILES = ("study.toml", PACKED, "results.csv", "verdict.csv", CURVES)
"""What a published study consists of."""
FEWEST_SEEDS = 10

_TRACES = {
    "runs": "holds runs that are not finished: give the command of the study once more",
    "failures": "holds runs that failed: give the command of the study once more",
}
_KEPT_TO_GROW = {"round0", "checkpoints", "features", ".locks"}
_SECONDS = ["seconds_query", "seconds_fit", "seconds_eval"]
_VERSIONS = ("python", "al-tf", "numpy", "scikit-learn")
_PATH = re.compile(r"(?:[^=]*=)?(?:/|~|[A-Za-z]:[\\/])")


class StudyCheck(NamedTuple):
    """What `check_study` saw."""

    name: str
    """The folder's name."""
    summary: str
    """How much there is: runs, rounds, seeds; empty if the records could not be read."""
    faults: list[str]
    """Sentences, each beginning with the file it is about; empty if the study is sound."""
    notes: list[str]
    """What a reader of the study should know, and is not wrong."""


def check_study(folder: str | Path) -> StudyCheck:
    """Hold a study against its own records, without training.

    Checked are the configuration, its hash and the options beside it; where the numbers come from
    (versions, command, fingerprint of the data); that every strategy has every round for every seed,
    each with what a record holds; that the strategies of a seed start from one initial set and one
    model; and that tables and figures are those that the records give.

    Parameters
    ----------
    folder : str or Path
        The study's folder, as ``al-tf run`` and ``al-tf report`` leave it.

    Returns
    -------
    StudyCheck
        Without faults if all of it agrees.

    Raises
    ------
    FileNotFoundError
        No experiment has been begun there.

    Examples
    --------
    >>> import tempfile
    >>> from al_tf import ExperimentConfig, run_experiment
    >>> config = ExperimentConfig(model="logistic", seeds=2, initial=30, batch=10, rounds=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = run_experiment(config, folder, jobs=0, progress=False)
    ...     check = check_study(folder)
    >>> check.summary
    '4 runs of 2 rounds, 2 paired seeds'
    >>> check.faults
    ['verdict.csv: missing; al-tf report writes it', 'learning_curves.png: missing; al-tf report writes it']
    """
    folder = Path(folder)
    name = folder.resolve().name
    try:
        (study,) = read_experiments([folder])
    except FileNotFoundError:
        raise
    except (AlTfError, ValueError) as error:
        return StudyCheck(name, "", [_message_inside(error, folder)], [])
    config, unknown, faults = _read_config(study)
    faults += _provenance_faults(study.meta)
    wrong = [] if config is None else list(record_faults(study, config, folder))
    faults += [*wrong, *_file_faults(folder)]
    if not wrong:
        faults += _derived_faults(folder, study)
    sizes = study.records.groupby(["strategy", "seed"]).size()
    rounds = f"{sizes.min()} to {sizes.max()}" if sizes.min() < sizes.max() else str(sizes.max())
    seeds = len(study.meta["config"]["seeds"])
    summary = f"{len(sizes)} runs of {rounds} rounds, {seeds} paired seeds"
    return StudyCheck(name, summary, faults, [*_notes(study, folder, unknown)])


def study_table(folders: Sequence[str | Path]) -> pd.DataFrame:
    """Describe several studies by what is in their folders, one row per study.

    Parameters
    ----------
    folders : sequence of str or Path
        Each with ``study.toml``, ``results.csv`` and ``verdict.csv``.

    Returns
    -------
    pandas.DataFrame
        ``study`` (the folder's name), ``about`` (the sentence of that name in ``study.toml``, or
        empty), ``dataset, model``, ``labels`` (of a run at its start and its end), ``seeds`` (how
        many), ``hours`` (of all runs, one after the other), ``metric`` and ``verdict``: which
        strategies are better than random, worse, or neither.

    Raises
    ------
    FileNotFoundError
        A folder without an experiment, or without one of the two tables.
    """
    rows = []
    for folder in map(Path, folders):
        meta = read_meta(folder)
        config = meta["config"]
        verdict = _read_table(folder / "verdict.csv", ["strategy", "verdict"])
        results = _read_table(folder / "results.csv", ["n_labeled", *_SECONDS])
        labels = results["n_labeled"]
        seconds = results[_SECONDS].sum().sum()
        rows.append(
            {
                "study": folder.resolve().name,
                "about": str(meta.get("about", "")),
                "dataset": config["dataset"],
                "model": config["model"],
                "labels": f"{labels.min():,} to {labels.max():,}",
                "seeds": len(config["seeds"]),
                "hours": f"{seconds / 3600:.1f}",
                "metric": metric_of(folder),
                "verdict": _in_words(verdict, meta),
            }
        )
    return pd.DataFrame(rows)


def _in_words(verdict: pd.DataFrame, meta: dict[str, Any]) -> str:
    """Return which strategies are better than random, which worse, and which neither.

    Where one goes by its registered name, options that are not today's defaults are named.
    """
    compared = verdict[~verdict["verdict"].isin(["baseline", "upper line"])]
    words = compared["verdict"].map(lambda word: word.partition(" (")[0])
    called = compared["strategy"].map(partial(_called, meta))
    names = called.groupby(words).agg(", ".join)  # better, no difference, worse
    return "; ".join(f"{word}: {listed}" for word, listed in names.items())


def _called(meta: dict[str, Any], label: str) -> str:
    renamed = meta["config"].get("strategy", {}).get(label, {}).get("name", label) != label
    options = "" if renamed else options_text(meta, label)
    return f"{label} ({options})" if options else label


def metric_of(folder: str | Path) -> str:
    """Return what a study's verdict is about, for example ``accuracy``; see `al_tf.report.METRICS`.

    Parameters
    ----------
    folder : str or Path
        The study's folder; the provenance inside its learning curves says it.

    Raises
    ------
    FileNotFoundError
        The folder has no learning curves.
    ValueError
        They carry no provenance, or another metric.
    """
    from .plots import read_provenance

    metric = str(read_provenance(Path(folder) / CURVES).get("metric"))
    if metric not in METRICS:
        known = ", ".join(METRICS)
        raise ValueError(f"{folder}: its figures are about {metric!r}; expected one of: {known}.")
    return metric


def _message_inside(error: Exception, folder: Path) -> str:
    """Return an error's message, with files named as they are inside the study."""
    return str(error).replace(f"{folder}/", "").replace(f"{folder}: ", "study.toml: ")


def _read_table(path: Path, columns: Sequence[str] = ()) -> pd.DataFrame:
    if not path.exists():
        raise FileNotFoundError(f"{path}: missing; al-tf report writes it.")
    try:
        table = pd.read_csv(path)
    except ValueError as error:  # empty, no text, or no table
        raise DataCorruptError(f"{path}: not a CSV table; al-tf report writes it anew.") from error
    lacking = [name for name in columns if name not in table]
    if lacking:
        raise DataCorruptError(f"{path}: no column {lacking[0]}; al-tf report writes it anew.")
    return table


def _read_config(study: Study) -> tuple[ExperimentConfig | None, list[str], list[str]]:
    """Return the configuration, the labels of strategies not known here, and what is wrong."""
    from .strategies import list_strategies

    table = study.meta["config"]
    faults = []
    settings = json.dumps(table, sort_keys=True).encode()
    if sha256(settings).hexdigest()[:12] != study.meta.get("config_hash"):
        faults.append("study.toml: its config_hash is not that of the configuration in it")
    if "options" in study.meta:
        wrong = contradictions(study.meta)
        faults += [f"study.toml: [options] and [config] differ in {place}" for place in wrong]
    named = {label: table.get("strategy", {}).get(label, {}) for label in table["strategies"]}
    unknown = [k for k, v in named.items() if v.get("name", k) not in list_strategies()]
    known = {k: v for k, v in named.items() if k not in unknown}
    own = {"strategies": list(known), "strategy": {k: v for k, v in known.items() if v}}
    if "upper_line" in table:
        own["upper_line"] = [label for label in table["upper_line"] if label in known]
    try:
        config = ExperimentConfig.from_dict({**table, **own})
    except (ValueError, TypeError) as error:
        return None, unknown, [*faults, f"study.toml: not the settings of an experiment. {error}"]
    return config, unknown, faults


def _provenance_faults(meta: dict[str, Any]) -> Iterator[str]:
    """Yield what study.toml lacks to say what the numbers were made with."""
    if not re.fullmatch(r"[0-9a-f]{64}", str(meta.get("data_fingerprint"))):
        yield "study.toml: data_fingerprint is not a SHA-256"
    for name in ("data_source", "class_names", "platform", "began"):
        if not meta.get(name):
            yield f"study.toml: {name} is missing"
    for part in (meta, *meta.get("continued", [])):
        versions = part.get("versions", {})
        lacking = [name for name in _VERSIONS if name not in versions]
        if meta["config"].get("model") != "logistic" and "keras" not in versions:
            lacking.append("keras")
        if lacking:
            yield f"study.toml: versions lack {', '.join(lacking)}"
        command = part.get("command")
        if not isinstance(command, list) or not command:
            yield "study.toml: the command is missing"
        elif places := [word for word in command if _PATH.match(str(word))]:
            yield f"study.toml: its command names a place on one machine, {places[0]}"


def _file_faults(folder: Path) -> Iterator[str]:
    """Yield which files are missing, and which say that the study is not finished."""
    for name, fault in _TRACES.items():
        if (folder / name).exists():
            yield f"{name}/: {fault}"
    if not (folder / PACKED).exists():
        yield f"{PACKED}: missing; it is written when all runs are complete"
    for name in ("results.csv", "verdict.csv", CURVES):
        if not (folder / name).exists():
            yield f"{name}: missing; al-tf report writes it"


def _derived_faults(folder: Path, study: Study) -> Iterator[str]:
    """Yield which tables and figures are not those that the records give."""
    from .plots import read_provenance

    yield from _table_faults(folder / "results.csv", study.results, "the records")
    if not (folder / CURVES).exists():
        return
    try:
        metric = metric_of(folder)
        provenances = {p: read_provenance(p) for p in sorted(folder.glob("*.png"))}
    except (ValueError, OSError) as error:
        yield _message_inside(error, folder)
        return
    verdict = report_table(study.results, metric)
    yield from _table_faults(folder / "verdict.csv", verdict, "the verdict on the records")
    tables = {drawing.name: drawing.table for drawing in report_drawings([study], metric)}
    for path, provenance in provenances.items():
        if path.stem in tables:
            yield from _figure_faults(path, provenance, tables[path.stem], study, metric)
        else:
            yield f"{path.name}: not a figure of a report on this study"


def _figure_faults(
    path: Path, provenance: dict[str, Any], table: pd.DataFrame, study: Study, metric: str
) -> Iterator[str]:
    """Yield how the table and the provenance inside a figure differ from the study."""
    from .plots import build_provenance, read_figure_table

    try:
        drawn = read_figure_table(path)
    except ValueError as error:
        yield _message_inside(error, path.parent)
        return
    if not _same(drawn, table):
        yield f"{path.name}: drawn from another table than the records give"
    meta = study.meta | {"records_sha256": study.records_sha256}
    expected = build_provenance({study.name: meta}, command="", metric=metric)["studies"]
    studies = provenance.get("studies", {})
    if studies and study.name not in studies:
        yield (
            f"{path.name}: drawn of {', '.join(studies)}, and this folder is {study.name}; al-tf "
            "report draws it anew"
        )
    else:
        inside = studies.get(study.name, {})
        for name, value in expected[study.name].items():
            if inside.get(name) != value:
                yield f"{path.name}: its {name} is {inside.get(name)}, the study's is {value}"
    if provenance.get("metric") != metric:
        yield f"{path.name}: about {provenance.get('metric')}, other figures about {metric}"


def _table_faults(path: Path, table: pd.DataFrame, source: str) -> Iterator[str]:
    if not path.exists():
        return
    try:
        there = _read_table(path)
    except DataCorruptError as error:
        yield _message_inside(error, path.parent)
        return
    if not _same(there, table):
        yield f"{path.name}: differs from {source}"


def _same(there: pd.DataFrame, table: pd.DataFrame) -> bool:
    """Compare two tables, but for last digits that differ between machines."""
    now = pd.read_csv(StringIO(table.to_csv(index=False)))
    try:
        pd.testing.assert_frame_equal(there, now, rtol=1e-6, atol=1e-9)
    except AssertionError:
        return False
    return True


def _notes(study: Study, folder: Path, unknown: Sequence[str]) -> Iterator[str]:
    """Yield what a reader should know of a sound study."""
    meta = study.meta
    seeds = len(meta["config"]["seeds"])
    if seeds < FEWEST_SEEDS:
        yield f"{seeds} seeds; {FEWEST_SEEDS} are the least for a statement"
    if unknown:
        yield f"not registered here, so the parameters are unchecked: {', '.join(unknown)}"
    commits = [part.get("git_commit") for part in (meta, *meta.get("continued", []))]
    if any(commit is None for commit in commits):
        yield f"no commit is named: made with an installed al_tf {meta['versions'].get('al-tf')}"
    if any(str(commit).endswith("-dirty") for commit in commits):
        yield "made with changes that were not committed"
    if str(meta["config"]["dataset"]).startswith("folder:"):
        yield "its images are a folder of its author: nobody else can run it"
    if not meta.get("about"):
        yield 'study.toml does not say what the study asks: add about = "…" at its top'
    others = {p.name for p in folder.iterdir() if p.suffix != ".png"} - {*FILES, *_TRACES}
    if others & _KEPT_TO_GROW:
        yield f"only needed to let it grow: {', '.join(sorted(others & _KEPT_TO_GROW))}"
    if others - _KEPT_TO_GROW:
        yield f"not part of a study: {', '.join(sorted(others - _KEPT_TO_GROW))}"

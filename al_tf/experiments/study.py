"""A study is one folder: its configuration, its records, its results, and the figures of them.

Layout::

    study.toml         the whole configuration, every option with the defaults that it leaves out,
                       and what the numbers were made with
    records.jsonl.gz   every record: one JSON line per round of each run
    results.csv        the evaluated rounds as one tidy table
    verdict.csv, *.png written by `al_tf.report.write_report`

While the experiment runs, and so that it can grow, the folder also holds what need not be kept
with the study::

    runs/<run>.jsonl                 records of a run <strategy>-seed<k> that is not finished
    round0/seed<k>.*                 the model every run of that seed starts from, and its record
    checkpoints/<run>-round<r>.npz   the model of the last recorded round
    failures/<run>.txt               traceback of a run that failed
    features/*.npy                   what a probe sees in place of images

A folder of the form used before, ``config.json`` and ``runs/``, is read as well and takes the new
form when its experiment goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import RecordError
from ..files import write_atomically
from ..parsing import parse_json, parse_toml, read_text
from .options import is_table_of_options
from .records import Record, RunKey, read_runs, records_sha256
from .strategy_spec import UPPER_LINE
from .values import none_for_text, text_for_none

if TYPE_CHECKING:
    import pandas as pd

RESULT_COLUMNS = (
    "dataset", "strategy", "seed", "round", "n_labeled", "accuracy", "f1_macro",
    "seconds_query", "seconds_fit", "seconds_eval", "stopped",
)  # fmt: skip

LATER_MEASURES = ("average_precision",)
"""Measures that records of earlier versions lack."""

_HEADER = """\
# A study of al_tf. Its verdict and figures: al-tf report FOLDER
# The same experiment anew: al-tf run --profile FOLDER/study.toml --out ANOTHER_FOLDER
"""


def read_meta(out_dir: str | Path) -> dict[str, Any]:
    """Return what ``study.toml`` says.

    Parameters
    ----------
    out_dir : str or Path
        The study's folder.

    Returns
    -------
    dict
        ``config``; ``options``, those of dataset, model and strategies with the defaults that
        ``config`` leaves out, which studies of earlier versions lack; ``config_hash``,
        ``class_names``, ``data_source``, ``data_fingerprint``, ``versions``, ``command``,
        ``platform``, ``began``; ``git_commit`` where the code was in a checkout, ``continued`` where
        the experiment went on with other versions or commands, and ``about`` where the author added
        a sentence on what the study asks.

    Raises
    ------
    FileNotFoundError
        No experiment has been begun there.
    RecordError
        The file is damaged.

    Examples
    --------
    >>> import tempfile
    >>> from al_tf.experiments import ExperimentConfig, read_meta, run_experiment
    >>> config = ExperimentConfig(
    ...     dataset="digits", strategies=["random"], seeds=[0], model="logistic",
    ...     initial=50, batch=25, rounds=1, pool=200)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = run_experiment(config, folder, jobs=0, progress=False)
    ...     read_meta(folder)["config"]["dataset"]
    'digits'
    """
    out_dir = Path(out_dir)
    path, before = out_dir / "study.toml", out_dir / "config.json"
    if not path.exists() and before.exists():
        path = before
    if not path.exists():
        raise FileNotFoundError(f"No experiment in {out_dir}: there is no study.toml.")
    try:
        text = read_text(path)
        meta = parse_json(text) if path == before else parse_toml(text)
    except ValueError as error:
        kind = "JSON" if path == before else "TOML"
        raise RecordError(f"{path}: not {kind} ({error}).") from None
    config = meta.get("config") if isinstance(meta, dict) else None
    if not isinstance(config, dict) or not (
        _is_list_of(str, config.get("strategies")) and _is_list_of(int, config.get("seeds"))
    ):
        raise RecordError(
            f"{path}: no experiment's settings, with a list of strategies and one of seeds. "
            "Use another folder."
        )
    if "options" not in meta:
        return {**meta, "config": none_for_text(config)}
    if not is_table_of_options(meta["options"]):
        raise RecordError(
            f"{path}: its options are not those of an experiment. Use another folder."
        )
    return {**meta, **{key: none_for_text(meta[key]) for key in ("config", "options")}}


def _is_list_of(kind: type, value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, kind) for item in value)


def has_study(out_dir: Path) -> bool:
    """Tell whether an experiment has been begun in a folder."""
    return (out_dir / "study.toml").exists() or (out_dir / "config.json").exists()


def write_meta(out_dir: Path, meta: Mapping[str, Any]) -> None:
    """Write ``study.toml``, and remove the ``config.json`` of a folder of the form before."""
    import tomli_w

    tables = {k: v for k, v in meta.items() if v is not None}
    tables |= {key: text_for_none(tables[key]) for key in ("config", "options") if key in tables}
    text = _HEADER + tomli_w.dumps(tables)
    path = out_dir / "study.toml"
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    (out_dir / "config.json").unlink(missing_ok=True)


def run_keys(config: Mapping[str, Any]) -> list[RunKey]:
    """Return label and seed of every run of an experiment, strategy by strategy.

    Parameters
    ----------
    config : mapping
        As `ExperimentConfig.to_dict` makes it.
    """
    labels = [*config["strategies"], *([UPPER_LINE] if config.get("upper_line") else [])]
    return [(label, seed) for label in labels for seed in sorted(config["seeds"])]


class Study(NamedTuple):
    """A study as it was read from its folder."""

    name: str
    """The folder's name."""
    meta: dict[str, Any]
    """As `read_meta` returns it."""
    records: pd.DataFrame
    """As `load_records` returns them."""
    results: pd.DataFrame
    """As `load_results` returns them."""
    records_sha256: str
    """Digest of the records; the same whatever files they are in."""


def read_study(out_dir: str | Path) -> Study:
    """Read all of a study, finished or not.

    Parameters
    ----------
    out_dir : str or Path
        The study's folder.

    Returns
    -------
    Study

    Raises
    ------
    FileNotFoundError
        No experiment has been begun there.
    RecordError
        A damaged file, or runs of one seed that start from different models.

    Examples
    --------
    >>> import tempfile
    >>> from al_tf.experiments import ExperimentConfig, read_study, run_experiment
    >>> config = ExperimentConfig(
    ...     dataset="digits", strategies=["random"], seeds=[0], model="logistic",
    ...     initial=50, batch=25, rounds=1, pool=200)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = run_experiment(config, f"{folder}/mine", jobs=0, progress=False)
    ...     study = read_study(f"{folder}/mine")
    >>> study.name, len(study.results)
    ('mine', 2)
    """
    import pandas as pd

    out_dir = Path(out_dir)
    meta = read_meta(out_dir)
    runs = read_runs(out_dir, run_keys(meta["config"]))
    starting_records(runs, out_dir)
    rows = [record for records in runs.values() for record in records]
    records = pd.DataFrame(rows, columns=None if rows else list(RESULT_COLUMNS))
    missing = [column for column in RESULT_COLUMNS if column not in records]
    if missing:
        raise RecordError(f"{out_dir}: its records have no {', '.join(missing)}.")
    return Study(out_dir.resolve().name, meta, records, _results(records), records_sha256(runs))


def _results(records: pd.DataFrame) -> pd.DataFrame:
    """Return the evaluated rounds, without the measures that some of them lack."""
    evaluated = records[records["accuracy"].notna()].reset_index(drop=True)
    stopped = evaluated["stopped"].astype(object).fillna("")  # of a damaged file, maybe numbers
    results = evaluated[list(RESULT_COLUMNS)].assign(stopped=stopped)
    for name in LATER_MEASURES:
        if name in evaluated and evaluated[name].notna().all():
            macro = evaluated[name].map(np.mean).astype(float)
            results.insert(list(results.columns).index("f1_macro") + 1, name, macro)
    return results


def load_records(out_dir: str | Path) -> pd.DataFrame:
    """Return every record of an experiment.

    Parameters
    ----------
    out_dir : str or Path
        The study's folder, finished or not.

    Returns
    -------
    DataFrame
        One row per round, in the order of strategies, seeds and rounds; ``recall`` and
        ``average_precision`` (K floats, in [0, 1]), ``queried`` (ids of the images labeled for this
        round; they index ``x_train``) and ``queried_labels`` (the oracle's answers) hold lists.
        ``average_precision`` is that of each class's probability against the rest; studies of
        earlier versions lack it.

    Examples
    --------
    >>> import tempfile
    >>> from al_tf.experiments import ExperimentConfig, load_records, run_experiment
    >>> config = ExperimentConfig(
    ...     dataset="digits", strategies=["random"], seeds=[0], model="logistic",
    ...     initial=50, batch=25, rounds=1, pool=200)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = run_experiment(config, folder, jobs=0, progress=False)
    ...     records = load_records(folder)
    >>> records["queried"].map(len).tolist()
    [50, 25]
    """
    return read_study(out_dir).records


def load_results(out_dir: str | Path) -> pd.DataFrame:
    """Return the evaluated rounds of an experiment as a tidy table.

    Parameters
    ----------
    out_dir : str or Path
        The study's folder, finished or not.

    Returns
    -------
    DataFrame
        Columns `RESULT_COLUMNS`: accuracy and macro F1 in [0, 1], seconds by phase, and in
        ``stopped`` why a run ended early (empty if it did not). Where every round has it,
        ``average_precision``, the mean over the classes, too.

    Examples
    --------
    >>> import tempfile
    >>> from al_tf.experiments import ExperimentConfig, load_results, run_experiment
    >>> config = ExperimentConfig(
    ...     dataset="digits", strategies=["random"], seeds=[0], model="logistic",
    ...     initial=50, batch=25, rounds=1, pool=200)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = run_experiment(config, folder, jobs=0, progress=False)
    ...     load_results(folder)["n_labeled"].tolist()
    [50, 75]
    """
    return read_study(out_dir).results


def write_results(out_dir: Path) -> pd.DataFrame:
    """Write ``results.csv`` anew from the records and return the table."""
    table = load_results(out_dir)
    write_atomically(out_dir / "results.csv", lambda p: table.to_csv(p, index=False))
    return table


def starting_records(runs: Mapping[RunKey, list[Record]], out_dir: Path) -> dict[int, Record]:
    """Return the record of round 0 of each seed that has one: all strategies must share it.

    Raises
    ------
    RecordError
        Runs of one seed that start from different models: they are not paired.
    """
    starts: dict[int, tuple[str, Record]] = {}
    for (label, seed), records in runs.items():
        if not records:
            continue
        other, start = starts.setdefault(seed, (label, records[0]))
        if difference := first_difference(start, records[0]):
            raise RecordError(
                f"{out_dir}: with seed {seed}, {other} and {label} start from different models "
                f"({difference}), so their difference is not that of the strategies. Remove the "
                f"records of one of them and run it anew."
            )
    return {seed: record for seed, (_, record) in starts.items()}


def first_difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """Return in words where two records of a round differ, timings and strategy aside; or "".

    Nor does it count if one of them is of a version that did not have a measure yet.
    """
    for name in one:
        measured = name != "strategy" and not name.startswith("seconds_")
        if name in LATER_MEASURES and None in (one[name], other.get(name)):
            continue
        if measured and one[name] != other.get(name) and not _both_nan(one[name], other.get(name)):
            return f"{name} {_brief(one[name])} and {_brief(other.get(name))}"
    return ""


def _both_nan(one: Any, other: Any) -> bool:
    return isinstance(one, float) and isinstance(other, float) and one != one and other != other


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."

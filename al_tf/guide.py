"""What the committed studies say about strategies, for a number of labels and a kind of data.

Every statement is the verdict of a study in ``figures/``: of `committed_studies`, a table that is part
of the package and is written from the studies by ``make guide``. Where no study is near, nothing is
said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .datasets import load_dataset
from .errors import DataNotFoundError, check_one_of
from .experiments import UPPER_LINE, load_records, read_meta
from .experiments.options import options_text
from .files import write_atomically
from .studies import metric_of

TABLE = Path(__file__).parent / "committed_studies.csv"
COLUMNS = (
    "study", "dataset", "n_classes", "balance", "model", "wrong_answers", "labels_from",
    "labels_to", "n_seeds", "metric", "strategy", "name", "options", "difference", "low", "high", "verdict",
)  # fmt: skip
NEAR_LABELS = 2.0
"""A study is near up to this factor outside its range of labels."""
NEAR_CLASSES = 2.5
"""… and up to this factor between the numbers of classes, above two."""
BALANCED = 0.5
"""… and where smallest and largest class are on the same side of this ratio."""


@dataclass(frozen=True)
class Regime:
    """What a strategy is wanted for."""

    labels: int
    """How many there will be."""
    n_classes: int
    balance: float
    """Size of the smallest class over that of the largest, 0 to 1."""
    model: str | None = None
    """``cnn``, ``probe``, …; None for any."""
    dataset: str = ""
    """Its name, for the message."""

    def __str__(self) -> str:
        kind = "balanced" if self.balance >= BALANCED else "imbalanced"
        model = self.model or "any model"
        return (
            f"{self.dataset or 'data'}: {self.n_classes} classes, {kind} (smallest / largest "
            f"{self.balance:.2f}); {self.labels:,} labels; {model}"
        )


@cache
def committed_studies() -> pd.DataFrame:
    """Return the verdicts of the committed studies, one row per study and strategy.

    Returns
    -------
    DataFrame
        ``study`` (its folder in ``figures/``), ``dataset``, ``n_classes``, ``balance`` (smallest /
        largest class among the images that ``random`` drew), ``model``, ``wrong_answers`` (the
        oracle's error rate; NaN if it differs by class), ``labels_from``, ``labels_to``,
        ``n_seeds``, ``metric``, ``strategy`` (its label there), ``name`` (of the registered
        strategy), ``options`` (those that were not today's defaults, as ``unit_length=False``),
        ``difference`` to random in the mean over the budget with its 95 % interval ``low``,
        ``high``, and ``verdict``.
    """
    return pd.read_csv(TABLE, dtype={"options": str}).fillna({"options": ""})


def regime_of(dataset: str, labels: int, model: str | None = None) -> Regime:
    """Return the regime of a dataset on this machine.

    Parameters
    ----------
    dataset : str
        As `load_dataset` takes it, or the path of a folder with a subfolder for each class.
    labels : int
    model : str, optional

    Raises
    ------
    UnknownNameError, DataNotFoundError
        There is no such dataset, or it is not on this machine.
    """
    options: dict[str, Any] = {}
    if Path(dataset).expanduser().is_dir():
        dataset = f"folder:{dataset}"
    if dataset.startswith("folder:"):
        options = {"size": 8}  # only the labels matter
    data = load_dataset(dataset, **options)
    counts = np.bincount(data.y_train, minlength=len(data.class_names))
    return Regime(labels, len(counts), float(counts.min() / counts.max()), model, data.name)


def studies_near(regime: Regime) -> pd.DataFrame:
    """Return the rows of `committed_studies` whose study is near a regime.

    Near means: the same model, if one is named; as many labels, up to a factor of 2 outside the
    study's range; two classes where there are two, else as many up to a factor of 2.5; and balanced
    (smallest class at least half of the largest) where the data are.
    """
    table = committed_studies()
    near = table["labels_from"] / NEAR_LABELS <= regime.labels
    near &= regime.labels <= table["labels_to"] * NEAR_LABELS
    if regime.model is not None:
        check_one_of("model", regime.model, sorted({*table["model"], "probe", "cnn"}))
        near &= table["model"] == regime.model
    factor = np.maximum(
        table["n_classes"] / regime.n_classes, regime.n_classes / table["n_classes"]
    )
    near &= (table["n_classes"] > 2) == (regime.n_classes > 2)
    near &= factor <= NEAR_CLASSES
    near &= (table["balance"] >= BALANCED) == (regime.balance >= BALANCED)
    return table[near].reset_index(drop=True)


def guide(regime: Regime) -> str:
    """Return in words what the near studies say, or that none is near.

    Examples
    --------
    >>> from al_tf.guide import Regime, guide
    >>> print(guide(Regime(labels=5, n_classes=1000, balance=1.0)))
    data: 1000 classes, balanced (smallest / largest 1.00); 5 labels; any model
    <BLANKLINE>
    No committed study is near this, so nothing can be said here. Run one: al-tf run --help.
    """
    near = studies_near(regime)
    if near.empty:
        return (
            f"{regime}\n\nNo committed study is near this, so nothing can be said here. Run one: "
            "al-tf run --help."
        )
    parts = [str(regime), *(_study_text(rows) for _, rows in near.groupby("study", sort=False))]
    return "\n\n".join([*parts, _summary(near)])


def _study_text(rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    errors = f", {first.wrong_answers:.0%} wrong answers" if first.wrong_answers > 0 else ""
    lines = [
        f"{first.study}: {first.dataset}, {first.n_classes} classes, {first.model}, "
        f"{first.labels_from:,} to {first.labels_to:,} labels, {first.n_seeds} seeds{errors}"
    ]
    compared = rows[rows["verdict"] != "baseline"]
    if compared.empty:
        return "\n".join([*lines, "  random alone"])
    for word, group in compared.groupby(compared["verdict"].map(_word)):
        shown = [
            f"{_with_options(row.strategy, row.options)} {row.difference:+.3f} "
            f"[{row.low:+.3f}, {row.high:+.3f}]"
            for row in group.sort_values("difference", ascending=False).itertuples()
        ]
        lines.append(f"  {word} ({first.metric}): {'; '.join(shown)}")
    return "\n".join(lines)


def _summary(near: pd.DataFrame) -> str:
    """Return for each strategy in how many studies it is better than random."""
    compared = near[near["verdict"] != "baseline"]
    lines = []
    for (name, options), rows in compared.groupby(["name", "options"], sort=False):
        words = rows.assign(word=rows["verdict"].map(_word)).groupby("word")["study"]
        said = [f"{word} in {', '.join(dict.fromkeys(studies))}" for word, studies in words]
        lines.append(f"  {_with_options(name, options)}: {'; '.join(said)}")
    if not lines:
        return "No strategy was compared with random there."
    return "\n".join(["Strategy by strategy:", *lines])


def _with_options(name: Any, options: Any) -> str:
    """Return what to call a strategy whose options were not today's defaults."""
    return f"{name} ({options})" if options else name


def _word(verdict: str) -> str:
    return verdict.partition(" (")[0]


def table_of_studies(folders: Sequence[str | Path]) -> pd.DataFrame:
    """Return the table of `committed_studies` for studies in folders.

    Parameters
    ----------
    folders : sequence of path
        Each as ``al-tf report`` leaves it.

    Raises
    ------
    FileNotFoundError
        A folder without an experiment, a verdict or figures.
    """
    tables = []
    for folder in map(Path, folders):
        meta, verdict = read_meta(folder), pd.read_csv(folder / "verdict.csv")
        config, results = meta["config"], pd.read_csv(folder / "results.csv")
        verdict = verdict[verdict["strategy"] != UPPER_LINE]  # which sees labels
        rate = config["noise"] if isinstance(config["noise"], float | int) else np.nan
        tables.append(
            verdict.assign(
                study=folder.resolve().name,
                n_classes=len(meta["class_names"]),
                balance=_balance(folder, len(meta["class_names"]), rate),
                model=config["model"],
                wrong_answers=float(rate),
                labels_from=results["n_labeled"].min(),
                labels_to=results["n_labeled"].max(),
                metric=metric_of(folder),
                name=[config["strategy"].get(s, {}).get("name", s) for s in verdict["strategy"]],
                options=[options_text(meta, label) for label in verdict["strategy"]],
            )
        )
    return pd.concat(tables, ignore_index=True)[list(COLUMNS)].round(4)


def _balance(folder: Path, n_classes: int, rate: float) -> float:
    """Return smallest / largest class among the images that random drew in a study.

    Wrong answers at a uniform rate make classes more alike than they are, which is undone.
    """
    records = load_records(folder)
    drawn = records.loc[records["strategy"] == "random", "queried_labels"]
    counts = np.bincount(np.concatenate(drawn.tolist()).astype(int), minlength=n_classes)
    part = counts / counts.sum()
    if 0 < rate < 1 - 1 / n_classes:
        other = rate / (n_classes - 1)
        part = np.maximum((part - other) / (1 - rate - other), 0)
    return float(part.min() / part.max())


def write_table(figures: str | Path) -> None:
    """Write the table of `committed_studies` from the studies in a folder; ``make guide``.

    Raises
    ------
    DataNotFoundError
        There is no study in it.
    """
    folders = sorted(path.parent for path in Path(figures).glob("*/study.toml"))
    if not folders:
        raise DataNotFoundError(f"{figures} holds no study.")
    table = table_of_studies(folders)
    write_atomically(TABLE, lambda temporary: table.to_csv(temporary, index=False))

"""Tables about the course of the runs, and tables as text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..errors import check_one_of
from .curves import mean_interval

FORMATS = ("md", "csv", "json")
PHASES = ("query", "fit", "eval")
_INTERVALS = (
    ("difference", "low", "high"),
    ("mean", "low", "high"),
    ("savings", "low", "high"),
    ("label_savings", "savings_low", "savings_high"),
    ("attainable", "attainable_low", "attainable_high"),
)
_TWO_PLACES = ("attainable", "savings")
_P_VALUES = {"p", "p_holm", "p_wilcoxon", "p_wilcoxon_holm"}


def recall_table(records: pd.DataFrame, class_names: Sequence[str]) -> pd.DataFrame:
    """Recall of each class along the curve, mean over seeds with a 95 % t-interval.

    Parameters
    ----------
    records : pandas.DataFrame
        One row per round with ``dataset, strategy, seed, n_labeled`` and ``recall``, a list of
        one value per class.
    class_names : sequence of str

    Returns
    -------
    pandas.DataFrame
        ``dataset, strategy, n_labeled, class_name, n_seeds, mean, low, high``.

    Examples
    --------
    >>> import pandas as pd
    >>> from al_tf.analysis import recall_table
    >>> records = pd.DataFrame({
    ...     "dataset": "tiles", "strategy": "margin", "seed": [0, 1], "n_labeled": 100,
    ...     "recall": [[0.9, 0.4], [1.0, 0.6]]})
    >>> recall_table(records, ["good", "defective"])[["class_name", "n_seeds", "mean"]]
      class_name  n_seeds  mean
    0       good        2  0.95
    1  defective        2  0.50
    """
    _require(records, ["dataset", "strategy", "n_labeled", "recall"])
    rows = []
    keys = ["dataset", "strategy", "n_labeled"]
    for key, group in records.groupby(keys, sort=False):
        recall = np.array(group["recall"].tolist(), dtype=float)  # (S, K)
        if recall.shape != (len(group), len(class_names)):
            raise ValueError(
                f"The records have {recall.shape[-1]} recalls per round, but there are "
                f"{len(class_names)} class names."
            )
        of_class = zip(class_names, *mean_interval(recall.T), strict=True)
        rows += [(*key, name, len(group), *map(float, values)) for name, *values in of_class]
    columns = [*keys, "class_name", "n_seeds", "mean", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def queried_class_table(records: pd.DataFrame, class_names: Sequence[str]) -> pd.DataFrame:
    """Count the classes of the images that each strategy queried, round by round.

    Parameters
    ----------
    records : pandas.DataFrame
        One row per round with ``dataset, strategy, seed, round`` and ``queried_labels``, the
        class indices that the oracle answered (empty where nothing was queried).
    class_names : sequence of str

    Returns
    -------
    pandas.DataFrame
        ``dataset, strategy, round, class_name, count, share``: images of the class queried in
        this round, mean over the seeds that queried, and their share of the round's queries.
        Rounds without a query are left out.

    Examples
    --------
    >>> import pandas as pd
    >>> from al_tf.analysis import queried_class_table
    >>> records = pd.DataFrame({
    ...     "dataset": "tiles", "strategy": "margin", "seed": 0, "round": [0, 1, 2],
    ...     "queried_labels": [[], [0, 1, 1, 1], [0, 0, 1, 1]]})
    >>> queried_class_table(records, ["good", "defective"])[["round", "class_name", "count", "share"]]
       round class_name  count  share
    0      1       good    1.0   0.25
    1      1  defective    3.0   0.75
    2      2       good    2.0   0.50
    3      2  defective    2.0   0.50
    """
    _require(records, ["dataset", "strategy", "round", "queried_labels"])
    rows = []
    keys = ["dataset", "strategy", "round"]
    for key, group in records.groupby(keys, sort=False):
        labels = [np.asarray(of_seed, dtype=np.int64) for of_seed in group["queried_labels"]]
        labels = [of_seed for of_seed in labels if len(of_seed)]
        if not labels:
            continue
        highest = max(of_seed.max() for of_seed in labels)
        if highest >= len(class_names):
            raise ValueError(
                f"The records name class {highest}, but there are {len(class_names)} class names."
            )
        counts = np.mean(
            [np.bincount(of_seed, minlength=len(class_names)) for of_seed in labels], axis=0
        )
        shares = counts / counts.sum()
        rows += [(*key, *line) for line in zip(class_names, counts, shares, strict=True)]
    return pd.DataFrame(rows, columns=[*keys, "class_name", "count", "share"])


def seconds_table(results: pd.DataFrame) -> pd.DataFrame:
    """Return the mean seconds per round, phase by phase.

    Parameters
    ----------
    results : pandas.DataFrame
        Tidy results with ``seconds_query, seconds_fit, seconds_eval``; NaN where a round had no
        such phase, and then not counted.

    Returns
    -------
    pandas.DataFrame
        ``dataset, strategy, phase, seconds``, phases in the order `PHASES`.

    Examples
    --------
    >>> import pandas as pd
    >>> from al_tf.analysis import seconds_table
    >>> results = pd.DataFrame({
    ...     "dataset": "digits", "strategy": "margin", "seed": 0, "n_labeled": [50, 100],
    ...     "seconds_query": [float("nan"), 0.5], "seconds_fit": [2.0, 3.0], "seconds_eval": 0.25})
    >>> seconds_table(results)[["phase", "seconds"]]
       phase  seconds
    0  query     0.50
    1    fit     2.50
    2   eval     0.25
    """
    columns = [f"seconds_{phase}" for phase in PHASES]
    _require(results, ["dataset", "strategy", *columns])
    means = results.groupby(["dataset", "strategy"], sort=False)[columns].mean().fillna(0.0)
    means.columns = pd.Index(PHASES, name="phase")
    return pd.DataFrame({"seconds": means.stack()}).reset_index()


def format_table(table: pd.DataFrame, fmt: str = "md") -> str:
    """Write a table as text that ends in a newline.

    Parameters
    ----------
    table : pandas.DataFrame
    fmt : {"md", "csv", "json"}, default "md"
        ``md`` rounds for reading (differences signed, p-values to three places), puts an
        interval into the cell of its estimate and leaves a missing value empty; ``csv`` and
        ``json`` keep every digit. JSON is a list of objects; a value that is missing or not
        finite is null.

    Returns
    -------
    str

    Raises
    ------
    UnknownNameError
        A format that is not among these.

    Examples
    --------
    >>> import pandas as pd
    >>> from al_tf.analysis import format_table
    >>> print(format_table(pd.DataFrame({"strategy": ["margin"], "difference": [0.0123]})), end="")
    | strategy | difference |
    | -------- | ---------: |
    | margin   |    +0.0123 |
    """
    check_one_of("table format", fmt, FORMATS)
    if fmt == "csv":
        return table.to_csv(index=False, lineterminator="\n")
    if fmt == "json":
        return table.to_json(orient="records", indent=2, double_precision=15) + "\n"
    padded = []
    for name, cells in _fold_intervals(table).items():
        right = pd.api.types.is_numeric_dtype(table[name])
        width = max(map(len, [name, *cells]))
        rule = "-" * (width - 1) + ":" if right else "-" * width
        padded.append([c.rjust(width) if right else c.ljust(width) for c in [name, rule, *cells]])
    return "".join(f"| {' | '.join(line)} |\n" for line in zip(*padded, strict=True))


def _fold_intervals(table: pd.DataFrame) -> dict[str, list[str]]:
    """Return every column as cells of text, each interval in the cell of its estimate."""
    columns = {str(n): [_cell(v, str(n)) for v in table[n]] for n in table.columns}
    for centre, low, high in _INTERVALS:
        if {centre, low, high} <= columns.keys():
            ends = [[_cell(v, f"{centre}_{end}") for v in table[end]] for end in (low, high)]
            lines = zip(columns[centre], *ends, strict=True)
            columns[centre] = [f"{c} [{a}, {b}]" if a and b else c for c, a, b in lines]
            del columns[low], columns[high]
    return columns


def _cell(value: object, column: str) -> str:
    if value is None or value is pd.NA:
        return ""
    if not isinstance(value, (float, np.floating)):
        return str(value).replace("|", "\\|").replace("\n", " ")
    number = float(value)
    if np.isnan(number):
        return ""
    if np.isinf(number):
        return "∞" if number > 0 else "-∞"
    if column in _P_VALUES:
        return "<0.001" if number < 0.001 else f"{number:.3f}"
    if abs(number) >= 100 or column.startswith("labels_"):
        return f"{number:.0f}"
    sign = "+" if column == "difference" else ""
    return f"{number:{sign}.{2 if column.startswith(_TWO_PLACES) or 'savings' in column else 4}f}"


def _require(table: pd.DataFrame, columns: Sequence[str]) -> None:
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise ValueError(
            f"The table lacks the column(s) {', '.join(missing)}; "
            f"it has: {', '.join(map(str, table.columns))}."
        )
    if table.empty:
        raise ValueError("The table has no rows; run the experiment first.")

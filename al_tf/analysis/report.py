"""One table over several experiments: the verdict, the end of the curve, the labels saved."""

from __future__ import annotations

import pandas as pd

from .attainable import attainable_gain
from .curves import summary_table
from .savings import label_savings
from .verdict import verdict_table


def report_table(
    results: pd.DataFrame, metric: str = "accuracy", baseline: str = "random"
) -> pd.DataFrame:
    """Summarise one or several experiments, one row per dataset and strategy.

    Parameters
    ----------
    results : pandas.DataFrame
        Tidy results of all experiments, one below the other.
    metric : str, default "accuracy"
        The metric the verdict is about.
    baseline : str, default "random"

    Returns
    -------
    pandas.DataFrame
        ``dataset, strategy, n_seeds, aubc, difference, low, high, p_holm``: the area under
        the budget curve and its paired difference to the baseline (see `verdict_table`);
        ``final_…``: the mean last value of `metric` and of ``f1_macro`` where it was
        recorded; ``label_savings, savings_low, savings_high``: at the baseline's final value
        (see `label_savings`); ``attainable, attainable_low, attainable_high`` where an
        experiment has an upper line (see `attainable_gain`); ``verdict`` and ``note``.

    Raises
    ------
    ValueError
        See `check_results`.
    UnknownNameError
        A dataset without a run of the baseline.

    Examples
    --------
    >>> import pandas as pd
    >>> from al_tf.analysis import report_table
    >>> gains = {"random": [0.0] * 6, "margin": [0.05, 0.04, 0.05, 0.06, 0.05, 0.05]}
    >>> results = pd.DataFrame(
    ...     [("digits", strategy, seed, n, 0.5 + gain + n / 1000)
    ...      for strategy, of_seeds in gains.items()
    ...      for seed, gain in enumerate(of_seeds) for n in (100, 200)],
    ...     columns=["dataset", "strategy", "seed", "n_labeled", "accuracy"])
    >>> report_table(results)[["strategy", "final_accuracy", "verdict"]].round(3)
      strategy  final_accuracy             verdict
    0   random            0.70            baseline
    1   margin            0.75  better than random
    """
    keys = ["dataset", "strategy"]
    verdict = verdict_table(results, metric, baseline).rename(columns={"value": "aubc"})
    savings = label_savings(results, metric, baseline).rename(
        columns={"savings": "label_savings", "low": "savings_low", "high": "savings_high"}
    )
    table = verdict.merge(
        savings[[*keys, "label_savings", "savings_low", "savings_high", "note"]],
        on=keys,
        how="left",
        suffixes=("", "_savings"),
    )
    finals = [metric, *(m for m in ["f1_macro"] if m in results.columns and m != metric)]
    for name in finals:
        summary = summary_table(results, name).query("measure == 'final'")
        final = summary[[*keys, "mean"]].rename(columns={"mean": f"final_{name}"})
        table = table.merge(final, on=keys, how="left")
    shares = ["attainable", "attainable_low", "attainable_high"]
    attainable = attainable_gain(results, metric, baseline)
    table = table.merge(
        attainable[[*keys, *shares, "note"]], on=keys, how="left", suffixes=("", "_attainable")
    )
    kinds = ("note", "note_savings", "note_attainable")
    notes = zip(*(table[kind].fillna("") for kind in kinds), strict=True)
    table["note"] = ["; ".join(dict.fromkeys(filter(None, several))) for several in notes]
    columns = [
        *keys,
        "n_seeds",
        "aubc",
        "difference",
        "low",
        "high",
        "p_holm",
        *(f"final_{name}" for name in finals),
        "label_savings",
        "savings_low",
        "savings_high",
        *(shares if len(attainable) else []),
        "verdict",
        "note",
    ]
    return table[columns]

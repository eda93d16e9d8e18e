"""Is a strategy better than random here? Paired tests over seeds, and a verdict in words.

The rule, stated once:

- a run is reduced to one number (its AUBC by default), and seed by seed the baseline's number
  is subtracted from the strategy's;
- the two-sided paired t-test decides, its p-values corrected by Holm over the strategies of
  one dataset; a strategy is "better" or "worse" where the corrected p is below 0.05;
- fewer than `MIN_SEEDS` paired seeds never decide: the interval and the p are shown, the
  words stay "no difference shown";
- the upper line of an experiment (``oracle``) is no strategy: its difference and p are shown, it
  counts in no correction and gets no verdict;
- Wilcoxon's signed-rank p is shown beside it from `WILCOXON_SEEDS` seeds (with fewer it
  cannot fall below 0.05) and decides nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from .curves import aubc, mean_interval, value_at
from .pairing import (
    FloatArray,
    PairedCurves,
    by_dataset,
    check_baseline,
    check_results,
    paired_curves,
)

MIN_SEEDS = 5
"""Fewest paired seeds from which a difference is put into words."""

WILCOXON_SEEDS = 6
"""Fewest paired seeds at which a two-sided signed-rank test can reach p < 0.05."""

ALPHA = 0.05

VERDICT_COLUMNS = [
    "dataset",
    "metric",
    "measure",
    "strategy",
    "n_seeds",
    "labels_from",
    "labels_to",
    "value",
    "baseline_value",
    "difference",
    "low",
    "high",
    "p",
    "p_holm",
    "p_wilcoxon",
    "p_wilcoxon_holm",
    "verdict",
    "note",
]


class PairedTest(NamedTuple):
    """Result of `paired_test`; every field has the shape of the input less its last axis."""

    mean: FloatArray
    low: FloatArray
    high: FloatArray
    p: FloatArray


def paired_test(differences: ArrayLike, confidence: float = 0.95) -> PairedTest:
    """Two-sided paired t-test of "the mean difference is zero", over the last axis.

    Parameters
    ----------
    differences : array_like of shape (..., n)
        One paired difference per seed.
    confidence : float, default 0.95
        Of the t-interval ``low``–``high``; it is not corrected for several comparisons.

    Returns
    -------
    PairedTest
        p and the interval are NaN for a single seed, and where all seeds differ by exactly
        the same non-zero amount: no spread means that nothing was repeated. Where every
        difference is zero, p is 1.

    Raises
    ------
    ValueError
        No difference, or one that is not finite.

    Examples
    --------
    >>> from al_tf.analysis import paired_test
    >>> test = paired_test([0.01, 0.02, 0.03, 0.02, 0.02])
    >>> print(f"{test.mean:.3f} [{test.low:.3f}, {test.high:.3f}], p = {test.p:.4f}")
    0.020 [0.011, 0.029], p = 0.0032
    """
    d = np.asarray(differences, dtype=float)
    if d.shape[-1:] == (0,) or not d.ndim:
        raise ValueError("paired_test needs at least one paired difference.")
    if not np.isfinite(d).all():
        raise ValueError(f"{int((~np.isfinite(d)).sum())} of the differences are not finite.")
    mean, low, high = mean_interval(d, confidence)
    n = d.shape[-1]
    no_spread = np.ptp(d, axis=-1) <= 1e-12
    equal = (np.abs(d) <= 1e-12).all(axis=-1) & (n > 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = mean / (d.std(axis=-1, ddof=1) / np.sqrt(n)) if n > 1 else np.full_like(mean, np.nan)
    p = np.where(no_spread, np.nan, 2 * stats.t.sf(np.abs(t), n - 1))
    unknown = no_spread & ~equal
    return PairedTest(
        mean,
        np.where(unknown, np.nan, low),
        np.where(unknown, np.nan, high),
        np.where(equal, 1.0, p),
    )


def wilcoxon_p(differences: ArrayLike) -> float:
    """Two-sided Wilcoxon signed-rank p of one set of paired differences.

    Parameters
    ----------
    differences : array_like of shape (n,)

    Returns
    -------
    float
        NaN with fewer than `WILCOXON_SEEDS` differences, 1 where all are zero.
    """
    d = np.asarray(differences, dtype=float)
    if len(d) < WILCOXON_SEEDS:
        return float("nan")
    if not d.any():
        return 1.0
    return float(stats.wilcoxon(d).pvalue)


def holm(p_values: ArrayLike) -> FloatArray:
    """Holm's step-down correction over the last axis (Holm 1979).

    The i-th smallest of m p-values is multiplied by m − i + 1; a corrected value is never
    below that of a smaller p, nor above 1.

    Parameters
    ----------
    p_values : array_like of shape (..., m)
        NaN marks a comparison that was not tested: it stays NaN and does not count in m.

    Returns
    -------
    ndarray of shape (..., m)

    Examples
    --------
    >>> from al_tf.analysis import holm
    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, axis=-1)  # NaN comes last
    tested = np.isfinite(p).sum(axis=-1, keepdims=True)
    factors = np.maximum(tested - np.arange(p.shape[-1]), 1)
    ordered = np.take_along_axis(p, order, axis=-1) * factors
    corrected = np.minimum(np.maximum.accumulate(ordered, axis=-1), 1.0)
    result = np.empty_like(p)
    np.put_along_axis(result, order, corrected, axis=-1)
    return result


def decide(mean: ArrayLike, p_holm: ArrayLike, n_seeds: ArrayLike) -> NDArray[np.int64]:
    """Apply the rule of this module: +1 better, −1 worse, 0 no difference shown.

    Parameters
    ----------
    mean : array_like
        Mean paired difference, strategy minus baseline; higher is better.
    p_holm : array_like
        Corrected p-value of the paired t-test; NaN decides nothing.
    n_seeds : array_like
        Paired seeds; fewer than `MIN_SEEDS` decide nothing.

    Returns
    -------
    ndarray of int

    Examples
    --------
    >>> from al_tf.analysis import decide
    >>> decide(mean=[0.05, 0.05, -0.02], p_holm=[0.01, 0.2, 0.03], n_seeds=[10, 10, 10])
    array([ 1,  0, -1])
    """
    shown = (np.asarray(p_holm) < ALPHA) & (np.asarray(n_seeds) >= MIN_SEEDS)
    return np.where(shown, np.sign(mean), 0).astype(np.int64)


def verdict_words(decision: int, n_seeds: int, baseline: str = "random") -> str:
    """Put a decision of `decide` into words."""
    if decision:
        return f"{'better' if decision > 0 else 'worse'} than {baseline}"
    return f"no difference shown ({n_seeds} seed{'' if n_seeds == 1 else 's'})"


def verdict_table(
    results: pd.DataFrame,
    metric: str = "accuracy",
    baseline: str = "random",
    measure: str | float = "aubc",
    *,
    upper_line: str = "oracle",
) -> pd.DataFrame:
    """Compare every strategy with the baseline, dataset by dataset, and give a verdict.

    Parameters
    ----------
    results : pandas.DataFrame
        Tidy results of one or several experiments: ``dataset, strategy, seed, n_labeled``
        and `metric`.
    metric : str, default "accuracy"
        Higher is better.
    baseline : str, default "random"
    measure : "aubc", "final" or a number of labels, default "aubc"
        The number that a run is reduced to: the area under the budget curve, the last value,
        or the value at a number of labels.
    upper_line : str, default "oracle"
        What an experiment's upper line is called, where it has one.

    Returns
    -------
    pandas.DataFrame
        Columns `VERDICT_COLUMNS`, the baseline first in each dataset. ``value`` and
        ``baseline_value`` are means over the paired seeds on the labels from ``labels_from``
        to ``labels_to``; ``difference`` is their mean paired difference with its 95 %
        t-interval ``low``–``high`` (uncorrected); ``p`` is the paired t-test's, ``p_holm``
        corrected over the strategies of the dataset; see the module for the rule behind
        ``verdict``. ``note`` reports what was left out or could not be tested.

    Raises
    ------
    ValueError
        Values that are not finite, a missing column, or a label count outside the common range.
    UnknownNameError
        A dataset without a run of the baseline.

    Examples
    --------
    >>> import pandas as pd
    >>> from al_tf.analysis import verdict_table
    >>> gains = {"random": [0.0] * 6, "margin": [0.05, 0.04, 0.05, 0.06, 0.05, 0.05]}
    >>> results = pd.DataFrame(
    ...     [("digits", strategy, seed, n, 0.5 + gain + n / 1000)
    ...      for strategy, of_seeds in gains.items()
    ...      for seed, gain in enumerate(of_seeds) for n in (100, 200)],
    ...     columns=["dataset", "strategy", "seed", "n_labeled", "accuracy"])
    >>> verdict_table(results)[["strategy", "n_seeds", "difference", "verdict"]].round(3)
      strategy  n_seeds  difference             verdict
    0   random        6         NaN            baseline
    1   margin        6        0.05  better than random
    """
    tables = []
    for dataset, rows in by_dataset(check_results(results, metric)):
        check_baseline(dataset, rows, baseline)
        table = _one_dataset(rows, baseline, measure, upper_line)
        tables.append(table.assign(dataset=dataset, metric=metric))
    return pd.concat(tables, ignore_index=True)[VERDICT_COLUMNS]


def _one_dataset(
    rows: pd.DataFrame, baseline: str, measure: str | float, upper_line: str
) -> pd.DataFrame:
    names = [name for name in dict.fromkeys(rows["strategy"]) if name != baseline]
    pairs = {name: paired_curves(rows, name, baseline) for name in names}
    lines = [_compare(name, pair, measure) for name, pair in pairs.items()]
    table = pd.DataFrame([_baseline_line(rows, baseline, measure), *lines])
    is_upper = table["strategy"] == upper_line
    for column in ("p", "p_wilcoxon"):
        table[f"{column}_holm"] = holm(table[column].mask(is_upper).to_numpy(dtype=float))
    decisions = decide(table["difference"], table["p_holm"], table["n_seeds"])
    words = map(verdict_words, decisions, table["n_seeds"], [baseline] * len(table))
    table["verdict"] = ["baseline", *list(words)[1:]]
    table.loc[is_upper, "verdict"] = "upper line"
    return table


def _reduce(n_labeled: FloatArray, values: FloatArray, measure: str | float) -> FloatArray:
    if measure == "aubc":
        return aubc(n_labeled, values)
    if measure == "final":
        return values[..., -1]
    if isinstance(measure, str):
        raise ValueError(f"measure is 'aubc', 'final' or a number of labels; got {measure!r}.")
    return value_at(n_labeled, values, measure)


def _compare(name: str, pair: PairedCurves, measure: str | float) -> dict[str, object]:
    n = len(pair.seeds)
    line: dict[str, object] = {"strategy": name, "measure": _measure_name(measure), "n_seeds": n}
    if not n:
        return {**line, "note": _join("no seed in common with the baseline", pair.note)}
    ours = _reduce(pair.n_labeled, pair.first, measure)
    theirs = _reduce(pair.n_labeled, pair.second, measure)
    test = paired_test(ours - theirs)
    return {
        **line,
        "labels_from": pair.n_labeled[0],
        "labels_to": pair.n_labeled[-1],
        "value": ours.mean(),
        "baseline_value": theirs.mean(),
        "difference": float(test.mean),
        "low": float(test.low),
        "high": float(test.high),
        "p": float(test.p),
        "p_wilcoxon": wilcoxon_p(ours - theirs),
        "note": _join(_test_note(n, float(test.p)), pair.note),
    }


def _baseline_line(rows: pd.DataFrame, baseline: str, measure: str | float) -> dict[str, object]:
    own = paired_curves(rows, baseline, baseline)
    value = _reduce(own.n_labeled, own.first, measure).mean()
    return {
        "strategy": baseline,
        "measure": _measure_name(measure),
        "n_seeds": len(own.seeds),
        "labels_from": own.n_labeled[0],
        "labels_to": own.n_labeled[-1],
        "value": value,
        "baseline_value": value,
        "difference": np.nan,
        "low": np.nan,
        "high": np.nan,
        "p": np.nan,
        "p_wilcoxon": np.nan,
        "note": own.note,
    }


def _test_note(n: int, p: float) -> str:
    if n == 1:
        return "one seed: no test is possible"
    if np.isnan(p):
        return "the same difference in every seed: no spread to test against"
    if n < MIN_SEEDS:
        return f"fewer than {MIN_SEEDS} paired seeds: no verdict"
    return ""


def _measure_name(measure: str | float) -> str:
    return measure if isinstance(measure, str) else f"at {measure:g}"


def _join(*notes: str) -> str:
    return "; ".join(note for note in notes if note)

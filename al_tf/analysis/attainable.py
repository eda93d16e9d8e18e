"""Of what could be gained over random, the share that a strategy gains.

The upper line of an experiment (``ExperimentConfig.upper_line``) chooses with labels that nobody
has. Seed by seed, the area under the budget curve of a strategy and of the upper line are compared
with that of random; the share is the ratio of the two mean differences.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from .curves import aubc
from .pairing import by_dataset, check_baseline, check_results, paired_curves

ATTAINABLE_COLUMNS = [
    "dataset",
    "metric",
    "strategy",
    "n_seeds",
    "gain",
    "upper_gain",
    "attainable",
    "attainable_low",
    "attainable_high",
    "note",
]


class Ratio(NamedTuple):
    """A ratio of two means and its interval."""

    value: float
    low: float
    high: float


def ratio_of_means(first: ArrayLike, second: ArrayLike, confidence: float = 0.95) -> Ratio:
    """Ratio of the means of paired numbers, with the interval of Fieller's theorem.

    The interval holds every ratio r for which a paired t-test does not reject that the mean of
    ``first - r * second`` is 0. For normal pairs it covers the true ratio as often as stated,
    however many pairs there are.

    Parameters
    ----------
    first, second : array_like of shape (n,)
        Numerators and denominators, pair by pair.
    confidence : float, default 0.95

    Returns
    -------
    Ratio
        ``low`` and ``high`` are NaN for a single pair, and where the mean of `second` cannot
        be distinguished from 0: then no finite interval covers so often.

    References
    ----------
    Fieller, "Some problems in interval estimation", JRSS B 1954.

    Examples
    --------
    >>> from al_tf.analysis import ratio_of_means
    >>> ratio = ratio_of_means([0.02, 0.03, 0.04, 0.03], [0.05, 0.06, 0.07, 0.06])
    >>> print(f"{ratio.value:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]")
    0.50 [0.36, 0.59]
    """
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if a.ndim != 1 or a.shape != b.shape or not len(a):
        raise ValueError(
            f"ratio_of_means needs pairs of numbers; got the shapes {a.shape} and {b.shape}."
        )
    if not 0 < confidence < 1:
        raise ValueError(f"confidence lies between 0 and 1; got {confidence!r}.")
    mean_a, mean_b, n = float(a.mean()), float(b.mean()), len(a)
    value = mean_a / mean_b if mean_b else np.nan
    if n < 2:
        return Ratio(value, np.nan, np.nan)
    (s_aa, s_ab), (_, s_bb) = np.cov(a, b)
    t_squared = stats.t.ppf((1 + confidence) / 2, n - 1) ** 2 / n
    square = mean_b**2 - t_squared * s_bb
    half = mean_a * mean_b - t_squared * s_ab
    constant = mean_a**2 - t_squared * s_aa
    if square <= 0:
        return Ratio(value, np.nan, np.nan)
    root = np.sqrt(max(half**2 - square * constant, 0.0))
    return Ratio(value, float((half - root) / square), float((half + root) / square))


def attainable_gain(
    results: pd.DataFrame,
    metric: str = "accuracy",
    baseline: str = "random",
    upper_line: str = "oracle",
    *,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Share of the attainable gain: (strategy - baseline) / (upper line - baseline), in AUBC.

    Parameters
    ----------
    results : pandas.DataFrame
        Tidy results (see `check_results`) of experiments with an upper line.
    metric : str, default "accuracy"
    baseline : str, default "random"
    upper_line : str, default "oracle"
    confidence : float, default 0.95
        Of the interval (see `ratio_of_means`), not corrected for several strategies.

    Returns
    -------
    pandas.DataFrame
        Columns `ATTAINABLE_COLUMNS`, one row per strategy of each dataset that has an upper line.
        ``gain`` and ``upper_gain`` are the mean differences in area under the budget curve over
        the seeds that all three have; ``attainable`` is 1 for a strategy as good as the upper
        line, 0 for one as good as the baseline, negative for a worse one. Where the upper line is
        not above the baseline, ``attainable`` and its interval are NaN, and ``note`` says so.

    Examples
    --------
    Margin has half of the gain that was there to be had:

    >>> import pandas as pd
    >>> from al_tf.analysis import attainable_gain
    >>> gains = {"random": 0.0, "margin": 0.05, "oracle": 0.1}
    >>> results = pd.DataFrame(
    ...     [("digits", strategy, seed, n, 0.5 + gain + n / 1000)
    ...      for strategy, gain in gains.items() for seed in range(5) for n in (100, 200)],
    ...     columns=["dataset", "strategy", "seed", "n_labeled", "accuracy"])
    >>> attainable_gain(results)[["strategy", "gain", "upper_gain", "attainable"]].round(3)
      strategy  gain  upper_gain  attainable
    0   margin  0.05         0.1         0.5
    """
    lines = []
    for dataset, rows in by_dataset(check_results(results, metric)):
        names = list(dict.fromkeys(rows["strategy"]))
        if upper_line not in names:
            continue
        check_baseline(dataset, rows, baseline)
        for name in names:
            if name in (baseline, upper_line):
                continue
            head = {"dataset": dataset, "metric": metric, "strategy": name}
            lines.append(head | _one_strategy(rows, name, baseline, upper_line, confidence))
    return pd.DataFrame(lines, columns=ATTAINABLE_COLUMNS)


def _one_strategy(
    rows: pd.DataFrame, name: str, baseline: str, upper_line: str, confidence: float
) -> dict[str, object]:
    three = rows[rows["strategy"].isin([name, baseline, upper_line])]
    seeds = three.groupby("seed")["strategy"].nunique()
    three = three[three["seed"].isin(seeds[seeds == 3].index)]
    if three.empty:
        return {"n_seeds": 0, "note": "no seed in common with the upper line"}
    ours, upper = (_gains(three, other, baseline) for other in (name, upper_line))
    ratio = ratio_of_means(ours, upper, confidence)
    note = ""
    if upper.mean() <= 0 or (len(upper) > 1 and np.isnan(ratio.low)):
        ratio, note = Ratio(*[np.nan] * 3), f"the upper line is not above {baseline} here"
    return {
        "n_seeds": len(ours),
        "gain": ours.mean(),
        "upper_gain": upper.mean(),
        **dict(zip(ATTAINABLE_COLUMNS[6:9], ratio, strict=True)),
        "note": note,
    }


def _gains(rows: pd.DataFrame, name: str, baseline: str) -> np.ndarray:
    """Return the differences in area under the budget curve, seed by seed."""
    pair = paired_curves(rows, name, baseline)
    return aubc(pair.n_labeled, pair.first) - aubc(pair.n_labeled, pair.second)

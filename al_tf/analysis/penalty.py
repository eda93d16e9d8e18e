"""The pairwise penalty matrix of the BADGE paper: which strategy beats which, over all settings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from .curves import value_at
from .pairing import FloatArray, PairedCurves, by_dataset, check_results, paired_curves
from .verdict import MIN_SEEDS


@dataclass(frozen=True)
class PenaltyMatrix:
    """Result of `penalty_matrix`.

    Attributes
    ----------
    table : pandas.DataFrame of shape (n_strategies, n_strategies)
        Entry (i, j): how often row i beats column j, between 0 and the number of settings.
    column_mean : pandas.Series
        Mean of each column, its zero diagonal entry included, as in the paper's last row: how
        often the strategy is beaten. Lower is better.
    settings : tuple of str
        The datasets that were compared.
    """

    table: pd.DataFrame
    column_mean: pd.Series
    settings: tuple[str, ...]


def penalty_matrix(
    results: pd.DataFrame, metric: str = "accuracy", confidence: float = 0.95
) -> PenaltyMatrix:
    """Count, over settings and label counts, which strategy significantly beats which.

    After Ash et al., "Deep Batch Active Learning by Diverse, Uncertain Gradient Lower Bounds"
    (ICLR 2020), section 5. In one setting (here: one dataset) a pair (i, j) is compared at the
    label counts ``L0 + 2**(m-1) * B``, m = 1, 2, …, as far as both curves go; L0 is the number
    of initial labels, B the batch. At each of these,

        t = sqrt(n) * mean(d) / sd(d),   d = metric_i − metric_j over n paired seeds,

    and i *beats* j where t is above the two-sided t quantile (2.776 at n = 5, confidence
    0.95). Each win adds 1 / (number of label counts compared) to entry (i, j), so that a
    setting adds at most 1.

    **Direction:** the row beats the column. Large entries in a row are good, in a column bad.

    Parameters
    ----------
    results : pandas.DataFrame
        Tidy results (see `check_results`).
    metric : str, default "accuracy"
        Higher is better.
    confidence : float, default 0.95
        Two-sided, and not corrected for the number of pairs: the matrix is a summary, the
        verdict is `verdict_table`.

    Returns
    -------
    PenaltyMatrix

    Raises
    ------
    ValueError
        See `check_results`.

    Notes
    -----
    A pair with fewer than `MIN_SEEDS` paired seeds, or with differences without any spread, adds
    nothing.

    Examples
    --------
    Margin is better than random at both label counts compared, 200 and 300:

    >>> import pandas as pd
    >>> from al_tf.analysis import penalty_matrix
    >>> gains = {"random": [0.0] * 6, "margin": [0.05, 0.04, 0.05, 0.06, 0.05, 0.05]}
    >>> results = pd.DataFrame(
    ...     [("digits", strategy, seed, n, 0.5 + gain + n / 1000)
    ...      for strategy, of_seeds in gains.items()
    ...      for seed, gain in enumerate(of_seeds) for n in (100, 200, 300)],
    ...     columns=["dataset", "strategy", "seed", "n_labeled", "accuracy"])
    >>> matrix = penalty_matrix(results)
    >>> matrix.table
            random  margin
    random     0.0     0.0
    margin     1.0     0.0
    >>> matrix.column_mean.to_dict()
    {'random': 0.5, 'margin': 0.0}
    """
    table = check_results(results, metric)
    names = list(dict.fromkeys(table["strategy"]))
    wins = np.zeros((len(names), len(names)))
    settings = []
    for dataset, rows in by_dataset(table):
        settings.append(dataset)
        present = set(rows["strategy"])
        for i, first in enumerate(names):
            for j, second in enumerate(names[:i]):
                if {first, second} <= present:
                    pair = paired_curves(rows, first, second)
                    won, lost = _win_rates(pair, rows, confidence)
                    wins[i, j] += won
                    wins[j, i] += lost
    matrix = pd.DataFrame(wins, index=names, columns=names)
    return PenaltyMatrix(matrix, matrix.mean(axis=0), tuple(settings))


def penalty_label_counts(start: float, batch: float, end: float) -> FloatArray:
    """Return the label counts ``start + 2**(m-1) * batch``, m = 1, 2, …, up to `end`."""
    if batch <= 0:
        raise ValueError(f"The batch must be larger than 0; got {batch!r}.")
    longest = int(np.floor(np.log2(max((end - start) / batch, 0.5)))) + 1
    return np.asarray(start + batch * 2.0 ** np.arange(longest), dtype=np.float64)


def _win_rates(pair: PairedCurves, rows: pd.DataFrame, confidence: float) -> tuple[float, float]:
    """Return at which share of the label counts the first beats the second, and vice versa."""
    n = len(pair.seeds)
    counts = np.unique(rows["n_labeled"].to_numpy(dtype=float))
    if n < MIN_SEEDS or len(counts) < 2:
        return 0.0, 0.0
    grid = penalty_label_counts(counts[0], counts[1] - counts[0], pair.n_labeled[-1])
    grid = grid[grid >= pair.n_labeled[0]]
    if not len(grid):
        return 0.0, 0.0
    difference = pair.first - pair.second
    d = np.array([value_at(pair.n_labeled, difference, at) for at in grid])  # (M, n)
    spread = d.std(axis=-1, ddof=1)
    t = np.sqrt(n) * d.mean(axis=-1) / np.where(np.ptp(d, axis=-1) > 1e-12, spread, np.inf)
    threshold = stats.t.ppf((1 + confidence) / 2, n - 1)
    return float((t > threshold).mean()), float((t < -threshold).mean())

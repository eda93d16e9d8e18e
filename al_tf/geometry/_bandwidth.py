"""Bandwidths chosen from the data, and a check whether a density estimate is of any use."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..errors import check_one_of
from ..seeding import RandomState, check_random_state
from ._columns import column_variances
from ._density import kde_log_density
from ._points import check_rows, make_points, precise_squared_distances

BANDWIDTHS = ("scott", "silverman", "median", "cv")
SAMPLE = 2000  # rows that the rules "median" and "cv" look at
FLAT = 0.9  # effective sample size over n; above, the density hardly tells rows apart
ALONE = 0.01  # kernel mass of all other rows over a row's own; below, at the median, it is alone


def select_bandwidth(
    X: np.ndarray, rule: str | float = "scott", *, random_state: RandomState = None
) -> float:
    """Return a bandwidth for `kde_log_density` from a rule, or the number given.

    Parameters
    ----------
    X : ndarray, shape (n, d)
        The rows the density is estimated from; s below is the root mean square of their
        columns' standard deviations (1 for standardised columns).
    rule : {"scott", "silverman", "median", "cv"} or float
        - ``"scott"``: ``s n^(-1 / (d + 4))``.
        - ``"silverman"``: ``s (n (d + 2) / 4)^(-1 / (d + 4))``. Both as in scikit-learn and scipy.
        - ``"median"``: ``median(|x - y|) / sqrt(2 ln n)`` (Liu and Wang 2016), on 2,000 rows.
        - ``"cv"``: the highest leave-one-out likelihood of at most 2,000 rows, from 1/100 to 4
          times Scott's rule, times ``(m / n)^(1 / (d + 4))`` for a sample of m.
    random_state : RandomState
        Draws the sample.

    Returns
    -------
    float
        Positive; 1 where all rows are equal, since all bandwidths then give the same ranking.

    Raises
    ------
    UnknownNameError
        A rule that is not among these.

    Examples
    --------
    >>> import numpy as np
    >>> from al_tf.geometry import select_bandwidth
    >>> X = np.random.default_rng(0).standard_normal((500, 2))
    >>> 0.3 < select_bandwidth(X, "scott") < 0.4
    True
    """
    if not isinstance(rule, str):
        return float(rule)
    check_one_of("bandwidth", rule, BANDWIDTHS)
    X = check_rows(X)
    n, d = X.shape
    (points,) = make_points(X)
    spread = math.sqrt(column_variances(points.rows).mean())
    if spread == 0:
        return 1.0
    scott = spread * n ** (-1 / (d + 4))
    if rule == "scott":
        bandwidth = scott
    elif rule == "silverman":
        bandwidth = spread * (n * (d + 2) / 4) ** (-1 / (d + 4))
    else:
        rng = check_random_state(random_state)
        sample = points.rows[rng.choice(n, min(n, SAMPLE), replace=False)]
        if rule == "median":
            apart = precise_squared_distances(sample, sample)[np.triu_indices(len(sample), 1)]
            bandwidth = float(np.sqrt(np.median(apart))) / math.sqrt(2 * math.log(n)) or scott
        else:
            bandwidth = _most_likely(sample, scott) * (len(sample) / n) ** (1 / (d + 4))
    return float(bandwidth * points.scale)


def _most_likely(sample: np.ndarray, start: float) -> float:
    """Return the bandwidth of the highest leave-one-out likelihood, `start` / 100 to 4 `start`."""
    from scipy.optimize import minimize_scalar

    def loss(log_bandwidth: float) -> float:
        density = kde_log_density(sample, bandwidth=math.exp(log_bandwidth), leave_one_out=True)
        return -float(density.mean())

    if len(sample) == 1:
        return start
    grid = math.log(start) + np.linspace(math.log(1 / 100), math.log(4), 13)  # may have two peaks
    best = int(np.argmin([loss(x) for x in grid]))
    bounds = (grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)])
    return math.exp(minimize_scalar(loss, bounds=bounds, options={"xatol": 0.02}).x)


@dataclass(frozen=True)
class DensityDiagnostic:
    """Whether a density at this bandwidth tells the rows apart.

    Attributes
    ----------
    n : int
        Number of rows.
    bandwidth : float
    effective_sample_size : float
        ``(sum w)² / sum w²`` of the densities w: n where all are equal, 1 where one outweighs all.
    neighbour_mass : float
        Kernel mass of all other rows at a row, over its own: the median over the rows.
    """

    n: int
    bandwidth: float
    effective_sample_size: float
    neighbour_mass: float

    @property
    def problem(self) -> str | None:
        """A sentence on what is wrong, with a remedy; None where nothing is."""
        if self.effective_sample_size > FLAT * self.n:
            return (
                f"The density is flat: its effective sample size is "
                f"{self.effective_sample_size:.1f} of n={self.n}, so weighting by it is close to "
                f"not weighting. The bandwidth {self.bandwidth:.3g} is too wide; try a smaller "
                'one or bandwidth="cv".'
            )
        if self.neighbour_mass < ALONE:
            return (
                f"Every point is alone: all other rows together weigh {self.neighbour_mass:.2g} "
                f"of a row's own kernel (median), so the density ranks rows by their nearest "
                f"neighbour alone. The bandwidth {self.bandwidth:.3g} is too narrow for "
                "this many dimensions; try a wider one or fewer PCA components."
            )
        return None


def diagnose_density(log_density: np.ndarray, bandwidth: float, d: int) -> DensityDiagnostic:
    """Return how flat a leave-one-out density estimate is, and how isolated its rows are.

    Parameters
    ----------
    log_density : ndarray, shape (n,)
        From `kde_log_density` with ``leave_one_out=True``.
    bandwidth : float
        The bandwidth of that estimate.
    d : int
        Number of columns of the rows.

    Returns
    -------
    DensityDiagnostic

    Examples
    --------
    At a bandwidth far beyond the distances of the rows all densities are equal; at one far below them
    the few pairs that are closest outweigh all others:

    >>> import numpy as np
    >>> from al_tf.geometry import diagnose_density, kde_log_density
    >>> X = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    >>> for bandwidth in (100.0, 0.01):
    ...     log_density = kde_log_density(X, bandwidth=bandwidth, leave_one_out=True)
    ...     diagnostic = diagnose_density(log_density, bandwidth, d=2)
    ...     print(round(diagnostic.effective_sample_size), round(diagnostic.neighbour_mass))
    50 49
    2 0
    """
    n = len(log_density)
    weights = np.exp(log_density - log_density.max())
    log_own = -d * (0.5 * math.log(2 * math.pi) + math.log(bandwidth))
    log_mass = float(np.median(log_density)) + math.log(max(n - 1, 1)) - log_own
    return DensityDiagnostic(
        n=n,
        bandwidth=bandwidth,
        effective_sample_size=float(weights.sum() ** 2 / (weights**2).sum()),
        neighbour_mass=math.exp(min(log_mass, 700.0)),
    )

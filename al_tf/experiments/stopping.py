"""When a run may end before its last round: rules known in the field, off by default."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..agreement import KAPPA_WINDOW
from ..strategies.uncertainty import entropy_score
from .config import ExperimentConfig


def mean_uncertainty(proba: np.ndarray) -> float:
    """Return the mean entropy of `proba` ``(n, K)`` as a fraction of its maximum, log K."""
    return float(entropy_score(proba).mean() / np.log(proba.shape[1]))


def needs_stop_set(config: ExperimentConfig) -> bool:
    """Tell whether a rule is on that looks at predictions."""
    return config.stop_kappa is not None or config.stop_uncertainty is not None


def stop_reason(
    config: ExperimentConfig,
    n_labeled: int,
    kappas: Sequence[float | None],
    uncertainty: float | None,
) -> str | None:
    """Return why a run ends here, or None.

    Parameters
    ----------
    config : ExperimentConfig
        Holds the rules.
    n_labeled : int
        Labels spent.
    kappas : sequence of float or None
        Agreement of each round's predictions with the round before, so far; None at round 0.
        The rule is the stabilising-predictions method: their mean over the last three reaches
        the threshold (Bloodgood and Vijay-Shanker 2009, "A Method for Stopping Active Learning
        Based on Stabilizing Predictions and the Need for User-Adjustable Stopping", CoNLL).
    uncertainty : float or None
        `mean_uncertainty` of the stop set; the rule is the "overall uncertainty" of Zhu, Wang
        and Hovy (2008), "Multi-Criteria-Based Strategy to Stop Active Learning for Data
        Annotation", COLING.

    Returns
    -------
    str or None
    """
    if config.stop_budget is not None and n_labeled >= config.stop_budget:
        return f"budget of {config.stop_budget} labels spent"
    recent = [k for k in kappas if k is not None][-KAPPA_WINDOW:]
    if config.stop_kappa is not None and len(recent) == KAPPA_WINDOW:
        mean = sum(recent) / KAPPA_WINDOW
        if mean >= config.stop_kappa:
            return f"stable predictions: mean kappa {mean:.4f} over {KAPPA_WINDOW} rounds"
    if (
        config.stop_uncertainty is not None
        and uncertainty is not None
        and uncertainty < config.stop_uncertainty
    ):
        return f"low uncertainty: mean normalised entropy {uncertainty:.4f}"
    return None

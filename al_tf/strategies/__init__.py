"""Query strategies: which images of the pool to have labelled next.

Every strategy has the form
``strategy(classifier, X, n_instances=1, *, random_state=None, **params) -> (indices, scores)``
and lives in the module of its name or family (``al_tf.strategies.uncertainty.entropy``).
A new one is a function there and a line in `BUILT_IN`.
"""

from __future__ import annotations

from . import random, uncertainty
from ._registry import (
    REGISTRY,
    StrategyInfo,
    get_strategy,
    list_strategies,
    register_strategy,
    strategy_info,
)

__all__ = [
    "StrategyInfo",
    "get_strategy",
    "list_strategies",
    "register_strategy",
    "strategy_info",
]

# Costs beyond the forward pass: n pool, k batch, d features, K classes, m labelled set.
BUILT_IN: dict[str, StrategyInfo] = {
    "random": StrategyInfo("random", random.random, "baseline", (), "n log n", "", stochastic=True),
    "uncertainty": StrategyInfo(
        "uncertainty", uncertainty.uncertainty, "uncertainty", ("probabilities",),
        "n·K + n log n", "Lewis and Gale 1994",
    ),
    "margin": StrategyInfo(
        "margin", uncertainty.margin, "uncertainty", ("probabilities",),
        "n·K + n log n", "Scheffer et al. 2001",
    ),
    "entropy": StrategyInfo(
        "entropy", uncertainty.entropy, "uncertainty", ("probabilities",),
        "n·K + n log n", "Settles 2009",
    ),
}  # fmt: skip

REGISTRY.update(BUILT_IN)

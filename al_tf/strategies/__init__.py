"""Query strategies: which images of the pool to have labeled next.

Every strategy has the form
``strategy(classifier, X, n_instances=1, *, random_state=None, **params) -> (indices, scores)``
and is in the module of its name or family (``al_tf.strategies.uncertainty.entropy``). A new one is
a function there and a line in `BUILT_IN`. Most end in a call of `query_by_proba` or `top_k`.
"""

from __future__ import annotations

from . import (
    badge,
    bait,
    bald,
    batch_bald,
    cbal,
    cluster_margin,
    committee,
    density,
    drop_query,
    entropy_cluster,
    epig,
    expected_error,
    information_density,
    kcenter,
    kmeans,
    max_herding,
    power,
    probcover,
    random,
    ranked_batch,
    softmax,
    tcm,
    typiclust,
    uherding,
    uncertainty,
)
from ._registry import (
    REGISTRY,
    StrategyInfo,
    get_strategy,
    list_strategies,
    register_strategy,
    strategy_info,
)
from ._select import query_by_proba, top_k

__all__ = [
    "StrategyInfo",
    "get_strategy",
    "list_strategies",
    "query_by_proba",
    "register_strategy",
    "strategy_info",
    "top_k",
]

# Costs after the forward pass: n pool, k batch, d features, K classes, m labeled set, S samples of
# the weights, L learners.
BUILT_IN: dict[str, StrategyInfo] = {
    "random": StrategyInfo(
        "random", random.random, "baseline", (), "n log n", "", stochastic=True, large_pools=True,
    ),
    "uncertainty": StrategyInfo(
        "uncertainty", uncertainty.uncertainty, "uncertainty", ("probabilities",),
        "n·K + n log n", "Lewis and Gale 1994", large_pools=True,
    ),
    "margin": StrategyInfo(
        "margin", uncertainty.margin, "uncertainty", ("probabilities",),
        "n·K + n log n", "Scheffer et al. 2001", large_pools=True,
    ),
    "entropy": StrategyInfo(
        "entropy", uncertainty.entropy, "uncertainty", ("probabilities",),
        "n·K + n log n", "Settles 2009", large_pools=True,
    ),
    "bald": StrategyInfo(
        "bald", bald.bald, "uncertainty", ("dropout",),
        "S passes, S·n·K", "Gal et al. 2017", stochastic=True, large_pools=True,
    ),
    "kcenter": StrategyInfo(
        "kcenter", kcenter.kcenter, "diversity", ("features", "labeled set"),
        "n·(m + k)·d at most", "Sener and Savarese 2018",
    ),
    "kmeans": StrategyInfo(
        "kmeans", kmeans.kmeans, "diversity", ("features",),
        "n·k·d and 7 k-means steps on min(n, 256·k)", "Xu et al. 2003", large_pools=True,
    ),
    "typiclust": StrategyInfo(
        "typiclust", typiclust.typiclust, "diversity", ("features", "labeled set"),
        "n·(m + k)·d a k-means step", "Hacohen et al. 2022", sequential=True,
    ),
    "probcover": StrategyInfo(
        "probcover", probcover.probcover, "diversity",
        ("features", "classes", "labeled set"), "n·min(n, 10⁴)·d", "Yehuda et al. 2022",
    ),
    "badge": StrategyInfo(
        "badge", badge.badge, "uncertainty and diversity", ("probabilities", "features"),
        "n·k·(K + d)", "Ash et al. 2020", sequential=True,
    ),
    "cluster_margin": StrategyInfo(
        "cluster_margin", cluster_margin.cluster_margin, "uncertainty and diversity",
        ("probabilities", "features"), "n·K and (10·k)²·d", "Citovsky et al. 2021",
        sequential=True, large_pools=True,
    ),
    "density": StrategyInfo(
        "density", density.density, "density", ("features",),
        "n·min(n, 10⁵)·d", "Settles and Craven 2008",
    ),
    "entropy_density": StrategyInfo(
        "entropy_density", density.entropy_density, "uncertainty and density",
        ("probabilities", "features"), "n·min(n, 10⁵)·d", "Settles and Craven 2008",
    ),
    "information_density": StrategyInfo(
        "information_density", information_density.information_density, "density",
        ("features",), "n·min(n, 2·10⁴)·d, then n·10⁴·256 and 10³·n·d", "Settles 2009, modAL",
        large_pools=True,
    ),
    "entropy_cluster": StrategyInfo(
        "entropy_cluster", entropy_cluster.entropy_cluster, "uncertainty and diversity",
        ("probabilities", "features"), "n·K·d", "Ilizirov et al. 2024", sequential=True,
        large_pools=True,
    ),
    "softmax_outlier": StrategyInfo(
        "softmax_outlier", softmax.softmax_outlier, "diversity", ("probabilities",),
        "n²·K/10 a k-means step", "published as diversity sampling",
    ),
    "softmax_kde": StrategyInfo(
        "softmax_kde", softmax.softmax_kde, "density", ("probabilities",),
        "n²·K", "published as density-weighted sampling", sequential=True,
    ),
    "ranked_batch": StrategyInfo(
        "ranked_batch", ranked_batch.ranked_batch, "uncertainty and diversity",
        ("probabilities", "features", "labeled set"), "(m + k)·n·d", "Cardoso et al. 2017",
        sequential=True, large_pools=True,
    ),
    "vote_entropy": StrategyInfo(
        "vote_entropy", committee.vote_entropy, "committee", ("committee",),
        "n·L·K", "Engelson and Dagan 1996", large_pools=True,
    ),
    "consensus_entropy": StrategyInfo(
        "consensus_entropy", committee.consensus_entropy, "committee", ("committee",),
        "n·L·K", "Settles 2009", large_pools=True,
    ),
    "max_disagreement": StrategyInfo(
        "max_disagreement", committee.max_disagreement, "committee", ("committee",),
        "n·L·K", "McCallum and Nigam 1998", large_pools=True,
    ),
    "expected_error": StrategyInfo(
        "expected_error", expected_error.expected_error, "expected error",
        ("probabilities", "labeled set", "refits"), "n·K fits and n²·K²",
        "Roy and McCallum 2001",
    ),
    "max_herding": StrategyInfo(
        "max_herding", max_herding.max_herding, "diversity", ("features", "labeled set"),
        "n·min(n, 10⁴)·d", "Bae et al. 2024", sequential=True, large_pools=True,
    ),
    "uherding": StrategyInfo(
        "uherding", uherding.uherding, "uncertainty and diversity",
        ("probabilities", "features", "labeled set"), "a fit and n·min(n, 10⁴)·d",
        "Bae et al. 2025", sequential=True, cold_start=True, large_pools=True,
    ),
    "drop_query": StrategyInfo(
        "drop_query", drop_query.drop_query, "uncertainty and diversity",
        ("probabilities", "features", "dropout"), "3·n·K·d, and k-means of the candidates",
        "Gupte et al. 2024", stochastic=True, large_pools=True,
    ),
    "bait": StrategyInfo(
        "bait", bait.bait, "uncertainty and diversity",
        ("probabilities", "features", "labeled set"), "n·d² and 4·n·k·d", "Ash et al. 2021",
        sequential=True, large_pools=True,
    ),
    "batch_bald": StrategyInfo(
        "batch_bald", batch_bald.batch_bald, "uncertainty and diversity", ("joint samples",),
        "S samples, S·n·K, 10²·S·K per image bounded, 10³·S·K per image evaluated", "Kirsch et al. 2019",
        sequential=True,
    ),
    "epig": StrategyInfo(
        "epig", epig.epig, "uncertainty", ("joint samples",),
        "S samples, 100·S·n·K²", "Bickford Smith et al. 2023",
    ),
    "power_margin": StrategyInfo(
        "power_margin", power.power_margin, "uncertainty and diversity", ("probabilities",),
        "n·K + n log n", "Kirsch et al. 2023", large_pools=True,
    ),
    "power_bald": StrategyInfo(
        "power_bald", power.power_bald, "uncertainty and diversity", ("dropout",),
        "S samples, S·n·K", "Kirsch et al. 2023", stochastic=True, large_pools=True,
    ),
    "cbal": StrategyInfo(
        "cbal", cbal.cbal, "uncertainty and balance", ("probabilities", "labeled set"),
        "n·k·K", "Bengar et al. 2022", sequential=True, large_pools=True,
    ),
    "tcm": StrategyInfo(
        "tcm", tcm.tcm, "uncertainty and diversity",
        ("probabilities", "features", "labeled set"), "that of typiclust, then of margin",
        "Doucet et al. 2024", sequential=True, cold_start=True,
    ),
}  # fmt: skip

REGISTRY.update(BUILT_IN)

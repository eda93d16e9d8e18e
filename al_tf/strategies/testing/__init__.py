"""The conformance kit: it tells whether a function is a correct query strategy.

A test of your own strategy is one line::

    from al_tf.strategies.testing import check_strategy

    def test_my_strategy():
        check_strategy(my_strategy, needs=("probabilities",))

`check_strategy` runs every function of `CHECKS` on generated pools and raises
`StrategyCheckError` with the name of the first check that fails and the case it failed on. It
needs hypothesis (``pip install "al-tf[testing]"``), but no TensorFlow: strategies are asked through
`FakeClassifier`.

Two properties are stated, not found out, and replace one check each by another:

- ``stochastic``: under one seed, a reordered pool may give other images (``random``, and ``bald``,
  whose dropout masks go by place). What must hold instead: over many seeds, every image is chosen
  as often, wherever it stands in the pool. A strategy that sees the images need not be stochastic
  to draw at random: it can draw in an order that follows from the images, as ``badge`` does.
- ``sequential``: a score is the value at the moment of choice, so scores need not descend.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .._registry import REGISTRY, Strategy, StrategyInfo, get_strategy, strategy_info
from .cases import Case, StrategyCheckError, Subject
from .checks import CHECKS, MANY_QUERIES, Check
from .fakes import FakeClassifier, FakeCommittee, FakeLearner

__all__ = [
    "CHECKS",
    "FakeClassifier",
    "FakeCommittee",
    "FakeLearner",
    "StrategyCheckError",
    "check_strategy",
]


def check_strategy(
    strategy: Strategy | str,
    *,
    params: Mapping[str, Any] | None = None,
    needs: Iterable[str] | None = None,
    stochastic: bool | None = None,
    sequential: bool | None = None,
    max_examples: int = 8,
) -> None:
    """Raise `StrategyCheckError` unless `strategy` keeps the contract of a query strategy.

    Parameters
    ----------
    strategy : callable or str
        The function, or the name it is registered under.
    params : mapping, optional
        Parameters to pass to it in every query.
    needs, stochastic, sequential : optional
        What is stated about it, as in `StrategyInfo`. Taken from the registry where it is
        registered. With `needs`, a strategy that asks for more than it states fails.
    max_examples : int
        Generated cases per check.

    Raises
    ------
    StrategyCheckError
        With the name of the check in the message and in ``error.check``.
    ImportError
        hypothesis is not installed.
    """
    if isinstance(strategy, str):
        info: StrategyInfo | None = strategy_info(strategy)
        strategy = get_strategy(strategy)
    else:
        info = next((i for i in REGISTRY.values() if i.function is strategy), None)
    if info is not None:
        needs = info.needs if needs is None else needs
        stochastic = info.stochastic if stochastic is None else stochastic
        sequential = info.sequential if sequential is None else sequential
    subject = Subject(
        strategy,
        dict(params or {}),
        None if needs is None else tuple(needs),
        bool(stochastic),
        bool(sequential),
    )
    for name, check in CHECKS.items():
        cheap = name not in MANY_QUERIES
        _run_on_cases(check, subject, max_examples if cheap else -(-max_examples // 4))


def _run_on_cases(check: Check, subject: Subject, max_examples: int) -> None:
    """Run one check on generated cases; raise its failure."""
    try:
        from hypothesis import HealthCheck, Phase, given, settings
        from hypothesis import strategies as st
    except ImportError as error:
        raise ImportError(
            'check_strategy generates its cases with hypothesis. Install: pip install "al-tf[testing]"'
        ) from error
    shapes = st.sampled_from([(4, 4), (3, 4, 3), (9,), (5, 5, 1)])
    sizes = st.integers(2, 14).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n - 1)))
    cases = st.builds(
        lambda size, **rest: Case(n=size[0], k=size[1], **rest),
        size=sizes,
        shape=shapes,
        dtype=st.sampled_from(["float32", "uint8", "float64"]),
        n_classes=st.integers(2, 4),
        n_labeled=st.integers(4, 9),
        classes_fixed=st.booleans(),
        seed=st.integers(0, 99),
    )
    failures: list[StrategyCheckError] = []

    @settings(
        max_examples=max_examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],  # cases are small as they come: shrinking would only take time
        suppress_health_check=list(HealthCheck),
    )
    @given(cases)
    def run(case: Case) -> None:
        try:
            check(subject, case)
        except StrategyCheckError as failure:
            failures.append(StrategyCheckError(failure.check, f"{failure.problem}\n{case}"))
            failures[-1].__cause__ = failure.__cause__
            raise

    try:
        run()
    except Exception:  # hypothesis may wrap the failure, for instance when it does not repeat
        if not failures:
            raise
    if failures:
        raise failures[-1]

"""Run every check of the conformance kit on generated cases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .._registry import REGISTRY, Strategy, StrategyInfo, get_strategy, strategy_info
from .answers import StrategyCheckError
from .cases import Case, case_strategy
from .checks import CHECKS, MANY_QUERIES, Check
from .subject import Subject


def check_strategy(
    strategy: Strategy | str,
    *,
    params: Mapping[str, Any] | None = None,
    needs: Iterable[str] | None = None,
    stochastic: bool | None = None,
    sequential: bool | None = None,
    max_examples: int = 8,
) -> None:
    """Check that a function keeps the contract of a query strategy.

    Parameters
    ----------
    strategy : callable or str
        The function, or the name it is registered under.
    params : mapping, optional
        Parameters to pass to it in every query.
    needs, stochastic, sequential : optional
        Facts about it, as in `StrategyInfo`; by default those of the registry. With `needs`, a
        strategy that uses more of the classifier than that fails.
    max_examples : int
        Generated cases per check.

    Raises
    ------
    StrategyCheckError
        The strategy fails a check, whose name is in the message and in ``error.check``.
    ImportError
        hypothesis is not installed.

    Examples
    --------
    >>> from al_tf.strategies.testing import check_strategy
    >>> check_strategy("margin", max_examples=1)
    >>> def first(classifier, X, n_instances=1, *, random_state=None):
    ...     return list(range(n_instances)), [0.0] * n_instances
    >>> check_strategy(first, max_examples=1)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    al_tf.strategies.testing.answers.StrategyCheckError: check 'impossible requests': ...
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
    """Run one check on generated cases; raise its last failure."""
    try:
        from hypothesis import HealthCheck, Phase, given, settings
    except ImportError as error:
        raise ImportError(
            'check_strategy generates its cases with hypothesis. Install: pip install "al-tf[testing]"'
        ) from error
    failures: list[StrategyCheckError] = []

    @settings(
        max_examples=max_examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],  # generated cases are small: shrinking would only take time
        suppress_health_check=list(HealthCheck),
    )
    @given(case_strategy())
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

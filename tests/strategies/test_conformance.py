"""Every registered strategy keeps the contract, and every check of the kit can fail."""

from __future__ import annotations

import pytest

from al_tf.strategies import BUILT_IN
from al_tf.strategies.testing import CHECKS, StrategyCheckError, check_strategy

from .broken import BROKEN


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_a_built_in_strategy_keeps_the_contract(name):
    check_strategy(name)


@pytest.mark.parametrize("name", ["entropy", "bald", "max_disagreement"])
def test_a_balanced_strategy_keeps_the_contract(name):
    check_strategy(name, params={"balance": True})


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_strategy_fails_the_check_meant_for_it(name):
    strategy, check, stated = BROKEN[name]
    with pytest.raises(StrategyCheckError) as caught:
        check_strategy(strategy, **stated)
    assert caught.value.check == check, str(caught.value)
    assert str(caught.value).startswith(f"check {check!r}: ")
    assert "Case(n=" in str(caught.value)


def test_every_check_is_failed_by_some_broken_strategy():
    form = {"unique", "in range", "exactly n_instances", "descending scores"}
    assert {check for _, check, _ in BROKEN.values()} == form | set(CHECKS)

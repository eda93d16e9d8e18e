"""Every registered strategy keeps the contract, and every check of the kit can fail."""

from __future__ import annotations

import numpy as np
import pytest

from al_tf.strategies import BUILT_IN, get_strategy
from al_tf.strategies.testing import (
    CHECKS,
    FakeClassifier,
    FakeLearner,
    StrategyCheckError,
    check_strategy,
)

from . import broken
from .broken import BROKEN


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_a_built_in_strategy_keeps_the_contract(name):
    check_strategy(name)


@pytest.mark.parametrize("name", ["entropy", "bald", "max_disagreement"])
def test_a_balanced_strategy_keeps_the_contract(name):
    check_strategy(name, params={"balance": True})


@pytest.mark.parametrize("name", ["typiclust", "probcover"])
def test_a_strategy_on_features_as_they_come_keeps_the_contract(name):
    check_strategy(name, params={"unit_length": False})


@pytest.mark.parametrize(
    ("name", "stated", "others"),
    [
        ("bait", {"regularization": 1.0}, {}),
        ("bait", {"over_sample": 2.0}, {"regularization": 1e-5}),
        ("batch_bald", {"n_samples": 100, "max_configurations": 1_000}, {}),
        ("cbal", {"weight": 1.0}, {}),
        ("drop_query", {"n_samples": 3}, {}),
        ("epig", {"n_samples": 100, "n_targets": 100}, {}),
        ("max_herding", {"sigma": 1.0}, {}),
        ("power_bald", {"beta": 1.0, "n_samples": 20}, {}),
        ("power_margin", {"beta": 1.0}, {}),
        ("tcm", {"labels_per_class": 5.0}, {}),
    ],
)
def test_a_parameter_left_out_is_that_of_the_docstring(name, stated, others):
    X = np.random.default_rng(0).random((150, 4, 4)).astype(np.float32)
    model = FakeClassifier(joint_samples=True)
    learner = FakeLearner(model, X[:15], np.resize(["bolt", "cog", "nail"], 15))

    def query(**params):
        return get_strategy(name)(learner, X, 10, random_state=0, **others, **params)

    answer = query()
    np.testing.assert_array_equal(answer, query(**stated))
    for parameter, value in stated.items():  # each makes a difference here
        assert not np.array_equal(answer, query(**{**stated, parameter: value + 1})), parameter


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_strategy_fails_the_check_meant_for_it(name):
    strategy, check, stated = BROKEN[name]
    with pytest.raises(StrategyCheckError) as caught:
        check_strategy(strategy, **stated)
    assert caught.value.check == check, str(caught.value)
    assert str(caught.value).startswith(f"check {check!r}: ")
    assert "Case(n=" in str(caught.value)


@pytest.mark.parametrize(
    ("strategy", "needs", "message"),
    [
        (broken.truncates_in_silence, None,
         r"expected ValueError for n_instances=\d+ of a pool of \d+; got an answer\."),
        (broken.lets_an_index_error_escape, None,
         r"expected ValueError for n_instances=1 of a pool of 0; got IndexError: index 0 is out"),
        (broken.draws_ties_afresh, None,
         r"gave \[[\d, ]+\], then \[[\d, ]+\]\. Draw from check_random_state"),
        (broken.does_not_say_what_it_lacks, ("probabilities", "labeled set"),
         r"the error's message must contain 'labeled'; it is: unsupported argument"),
    ],
)  # fmt: skip
def test_the_kit_says_what_it_expected(strategy, needs, message):
    with pytest.raises(StrategyCheckError, match=message):
        check_strategy(strategy, needs=needs)


@pytest.mark.parametrize(
    ("name", "stated", "check"),
    [
        ("random", {"stochastic": False}, "pool order"),
        ("badge", {"sequential": False}, "descending scores"),
        ("entropy", {"needs": ("features",)}, "stated needs"),
    ],
)
def test_what_a_call_states_goes_before_the_registry(name, stated, check):
    with pytest.raises(StrategyCheckError) as caught:
        check_strategy(name, **stated)
    assert caught.value.check == check


@pytest.mark.parametrize("name", ["random", "badge"])
def test_what_is_known_of_a_registered_function_is_used(name):
    check_strategy(get_strategy(name), max_examples=4)


def test_every_check_is_failed_by_some_broken_strategy():
    form = {"unique", "in range", "exactly n_instances", "descending scores"}
    assert {check for _, check, _ in BROKEN.values()} == form | set(CHECKS)

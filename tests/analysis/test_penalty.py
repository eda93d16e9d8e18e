from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from al_tf.analysis import penalty_matrix
from al_tf.analysis.penalty import penalty_label_counts
from tests.analysis._curves import experiment, results, simulate

SMALL = np.array([0.01, 0.02, 0.00, 0.01, 0.02])
"""Differences with mean 0.012, sd 0.0083666: t = sqrt(5) · 0.012 / 0.0083666 = 3.207 > 2.776."""

UNSURE = np.array([0.01, 0.03, -0.01, 0.01, 0.02])
"""Mean 0.012, sd 0.014832: t = 1.809 < 2.776."""


def curves(*differences_by_label: np.ndarray) -> np.ndarray:
    """Five seeds' curves that differ from 0.5 by the stated amounts at each label count."""
    return 0.5 + np.stack(differences_by_label, axis=1)


LEVEL = curves(*[np.zeros(5)] * 5)
LABELS = (200, 300, 400, 600, 1000)  # L0 = 200, B = 100: compared at 300, 400, 600 and 1000


def test_hand_computed():
    # At 300 and 1000 labels margin beats random, at 400 it loses, at 600 nothing is shown.
    margin = curves(np.zeros(5), SMALL, -SMALL, UNSURE, SMALL)
    table = results({"random": LEVEL, "margin": margin}, labels=LABELS)
    matrix = penalty_matrix(table)
    assert matrix.table.loc["margin", "random"] == 2 / 4
    assert matrix.table.loc["random", "margin"] == 1 / 4
    assert matrix.table.loc["margin", "margin"] == 0
    assert matrix.column_mean.to_dict() == {"random": 0.25, "margin": 0.125}


def test_the_threshold_follows_the_number_of_seeds():
    # At n = 5 the two-sided quantile is 2.776 for 0.95 and 4.604 for 0.99.
    margin = curves(np.zeros(5), *[SMALL] * 4)
    table = results({"random": LEVEL, "margin": margin}, labels=LABELS)
    assert penalty_matrix(table).table.loc["margin", "random"] == 1
    assert penalty_matrix(table, confidence=0.99).table.loc["margin", "random"] == 0
    # Four times the seeds with the same spread: t is about twice as large, 3.6 > 2.093.
    margin, level = curves(*[np.tile(UNSURE, 4)] * 5), np.full((20, 5), 0.5)
    more = results({"random": level, "margin": margin}, labels=LABELS)
    assert penalty_matrix(more).table.loc["margin", "random"] == 1


@pytest.mark.parametrize("n_seeds", [5, 6, 9])
def test_a_win_is_what_scipys_paired_t_test_shows(n_seeds):
    generator = np.random.default_rng(n_seeds)
    for accuracy in simulate(generator, 40, 2, n_seeds, gain=0.01):
        baseline, ours = accuracy
        matrix = penalty_matrix(experiment(accuracy)).table
        test = stats.ttest_rel(ours[:, 1:], baseline[:, 1:], axis=0)  # 300, 400, 600, 1000
        shown = test.pvalue < 0.05
        assert matrix.loc["s1", "random"] == (shown & (test.statistic > 0)).mean()
        assert matrix.loc["random", "s1"] == (shown & (test.statistic < 0)).mean()


def test_no_spread_at_one_label_count_hides_no_other():
    margin = curves(np.zeros(5), np.full(5, 0.1), SMALL, SMALL, SMALL)
    table = results({"random": LEVEL, "margin": margin}, labels=LABELS)
    assert penalty_matrix(table).table.loc["margin", "random"] == 3 / 4


def test_settings_add_up():
    margin = curves(np.zeros(5), *[SMALL] * 4)
    one = results({"random": LEVEL, "margin": margin}, labels=LABELS)
    two = results({"random": LEVEL, "margin": margin}, labels=LABELS, dataset="cifar10")
    matrix = penalty_matrix(pd.concat([one, two]))
    assert matrix.settings == ("digits", "cifar10")
    assert matrix.table.loc["margin", "random"] == 2
    turned = pd.concat([one, two]).iloc[::-1]  # margin comes first
    assert penalty_matrix(turned).table.loc["margin", "random"] == 2


def test_a_strategy_missing_from_a_setting_is_not_compared_there():
    margin = curves(np.zeros(5), *[SMALL] * 4)
    one = results({"random": LEVEL, "margin": margin}, labels=LABELS)
    two = results({"random": LEVEL}, labels=LABELS, dataset="cifar10")
    assert penalty_matrix(pd.concat([one, two])).table.loc["margin", "random"] == 1


def test_a_pair_is_compared_as_far_as_both_curves_go():
    margin = curves(np.zeros(5), SMALL, np.zeros(5))
    table = results({"random": LEVEL, "margin": margin}, labels=LABELS)
    assert penalty_matrix(table).table.loc["margin", "random"] == 1 / 2


def test_a_pair_is_compared_from_where_both_curves_are():
    margin = curves(SMALL, SMALL, np.zeros(5))  # at 300, 400 and 600 labels
    table = pd.concat(
        [
            results({"random": LEVEL}, labels=LABELS),
            results({"margin": margin}, labels=(300, 400, 600)),
        ]
    )
    assert penalty_matrix(table).table.loc["margin", "random"] == 2 / 3


def test_a_pair_without_a_label_count_of_the_schedule_is_not_compared():
    margin = curves(SMALL)  # at 700 labels alone
    table = pd.concat(
        [results({"random": LEVEL}, labels=LABELS), results({"margin": margin}, labels=(700,))]
    )
    assert not penalty_matrix(table).table.to_numpy().any()


def test_runs_of_two_rounds_are_compared_once():
    table = results({"random": LEVEL[:, :2], "margin": LEVEL[:, :2] + SMALL[:, None]})
    assert penalty_matrix(table).table.loc["margin", "random"] == 1


@pytest.mark.parametrize("n", [1, 4])
def test_few_seeds_beat_nobody(n):
    margin = curves(*[SMALL] * 5)[:n]
    table = results({"random": LEVEL[:n], "margin": margin + 1}, labels=LABELS)
    assert not penalty_matrix(table).table.to_numpy().any()


def test_copied_seeds_beat_nobody():
    table = results({"random": LEVEL, "margin": LEVEL + 0.1}, labels=LABELS)
    assert not penalty_matrix(table).table.to_numpy().any()


def test_runs_of_a_single_round_are_not_compared():
    table = results({"random": LEVEL[:, :1], "margin": LEVEL[:, :1] + SMALL[:, None]})
    assert not penalty_matrix(table).table.to_numpy().any()


@pytest.mark.parametrize(
    ("end", "expected"),
    [(299, []), (300, [300]), (999, [300, 400, 600]), (1000, [300, 400, 600, 1000])],
)
def test_label_counts_double(end, expected):
    assert penalty_label_counts(200, 100, end).tolist() == expected


def test_a_batch_may_be_one_label():
    assert penalty_label_counts(10, 1, 15).tolist() == [11, 12, 14]


def test_a_batch_of_nothing_is_refused():
    with pytest.raises(ValueError, match="larger than 0"):
        penalty_label_counts(200, 0, 1000)

"""The share of the attainable gain, and the interval of a ratio of means."""

import numpy as np
import pandas as pd
import pytest

from al_tf.analysis import (
    attainable_gain,
    format_table,
    ratio_of_means,
    report_table,
    verdict_table,
)
from al_tf.analysis.attainable import ATTAINABLE_COLUMNS
from al_tf.errors import UnknownNameError


def results(gains, n_seeds=6, spread=0.01, rng=0):
    """Return curves that lie these gains above a common curve, with noise for each run."""
    noise = np.random.default_rng(rng)
    return pd.DataFrame(
        [
            ("digits", strategy, seed, n, 0.5 + n / 1000 + gain + offset)
            for strategy, gain in gains.items()
            for seed, offset in enumerate(spread * noise.standard_normal(n_seeds))
            for n in (10, 20, 50)
        ],
        columns=["dataset", "strategy", "seed", "n_labeled", "accuracy"],
    )


GAINS = {"random": 0.0, "margin": 0.05, "kcenter": -0.02, "oracle": 0.1}


def test_fieller_s_interval_of_a_worked_example():
    a, b = np.array([0.02, 0.03, 0.04, 0.03]), np.array([0.05, 0.06, 0.07, 0.06])
    ratio = ratio_of_means(a, b)
    assert ratio.value == pytest.approx(0.5)
    for end in (ratio.low, ratio.high):  # where the paired t-test is just about to reject
        d = a - end * b
        t = d.mean() / (d.std(ddof=1) / 2)
        assert abs(t) == pytest.approx(3.182446, rel=1e-5)  # of 3 degrees of freedom


def test_a_denominator_that_may_be_zero_has_no_interval():
    ratio = ratio_of_means([0.1, 0.2, 0.1], [0.3, -0.4, 0.2])
    assert np.isnan([ratio.low, ratio.high]).all()
    one = ratio_of_means([0.1], [0.2])
    assert one.value == pytest.approx(0.5)
    assert np.isnan([one.low, one.high]).all()


def test_a_denominator_of_zero_has_no_ratio():
    with np.errstate(all="raise"):
        assert np.isnan(ratio_of_means([0.1, 0.2], [0.0, 0.0])).all()
        assert np.isnan(ratio_of_means([0.1], [0.0])).all()


def test_two_pairs_have_an_interval():
    ratio = ratio_of_means([0.50, 0.52], [1.00, 1.03])
    assert ratio.low < ratio.value < ratio.high


@pytest.mark.parametrize(
    ("first", "second"),
    [([1.0, 2.0], [1.0]), ([], []), (1.0, 2.0), (np.ones((2, 2)), np.ones((2, 2)))],
)
def test_numbers_that_are_no_pairs_are_refused(first, second):
    with pytest.raises(ValueError, match="needs pairs of numbers; got the shapes"):
        ratio_of_means(first, second)


@pytest.mark.parametrize("confidence", [0, 1.0, 95])
def test_a_confidence_is_a_probability(confidence):
    with pytest.raises(ValueError, match="confidence lies between 0 and 1"):
        ratio_of_means([1.0, 2.0], [1.0, 2.0], confidence=confidence)


def test_the_share_is_the_gain_over_that_of_the_upper_line():
    table = attainable_gain(results(GAINS, spread=1e-6)).set_index("strategy")
    assert table["attainable"].round(3).to_dict() == {"margin": 0.5, "kcenter": -0.2}
    assert (table["attainable_low"] < table["attainable"]).all()
    assert (table["attainable"] < table["attainable_high"]).all()


def test_a_row_says_what_it_compares_and_how_much_was_gained():
    areas = results(GAINS, n_seeds=3)
    areas.loc[areas["dataset"] == "digits", "f1"] = areas["accuracy"]
    no_line = areas[areas["strategy"] != "oracle"].assign(dataset="a dataset without the line")
    table = attainable_gain(pd.concat([no_line, areas]), "f1", confidence=0.8)
    assert table.columns.tolist() == ATTAINABLE_COLUMNS
    row = table.set_index("strategy").loc["margin"]
    curves = areas.pivot_table("accuracy", "seed", "strategy")
    ours, upper = (curves[name] - curves["random"] for name in ("margin", "oracle"))
    assert (row["dataset"], row["metric"], row["n_seeds"]) == ("digits", "f1", 3)
    assert row["note"] == ""
    assert row["gain"] == pytest.approx(ours.mean())
    assert row["upper_gain"] == pytest.approx(upper.mean())
    interval = row[["attainable", "attainable_low", "attainable_high"]].astype(float)
    assert interval.tolist() == pytest.approx(ratio_of_means(ours, upper, 0.8))


def test_of_one_seed_there_is_a_share_without_an_interval():
    row = attainable_gain(results(GAINS, n_seeds=1, spread=0)).set_index("strategy").loc["margin"]
    assert row["attainable"] == pytest.approx(0.5)
    assert np.isnan([row["attainable_low"], row["attainable_high"]]).all()
    assert row["note"] == ""
    level = attainable_gain(results(GAINS | {"oracle": 0.0}, n_seeds=1, spread=0))
    assert level["attainable"].isna().all()
    assert (level["note"] == "the upper line is not above random here").all()


def test_only_seeds_that_all_three_have_count():
    table = results(GAINS)
    table = table[(table["strategy"] != "oracle") | (table["seed"] < 4)]
    table = table[(table["strategy"] != "margin") | (table["seed"] > 0)]
    counts = attainable_gain(table).set_index("strategy")["n_seeds"]
    assert counts.to_dict() == {"margin": 3, "kcenter": 4}
    apart = table[(table["strategy"] != "oracle") | (table["seed"] == 0)]
    lone = attainable_gain(apart).set_index("strategy").loc["margin"]
    assert lone["n_seeds"] == 0
    assert lone["note"] == "no seed in common with the upper line"


def test_an_upper_line_below_random_gives_no_share():
    table = attainable_gain(results(GAINS | {"oracle": -0.1}))
    assert table["attainable"].isna().all()
    assert table["note"].str.contains("not above random").all()


def test_an_upper_line_that_may_be_at_random_gives_no_share():
    """Of two seeds, one in which it is far above random and one in which it is as random."""
    table = results({"random": 0.0, "margin": 0.05, "oracle": 0.0}, n_seeds=2, spread=0)
    table.loc[(table["strategy"] == "oracle") & (table["seed"] == 1), "accuracy"] += 0.2
    (row,) = attainable_gain(table).to_dict("records")
    assert row["upper_gain"] == pytest.approx(0.1)
    assert np.isnan([row["attainable"], row["attainable_low"], row["attainable_high"]]).all()
    assert row["note"] == "the upper line is not above random here"


def test_a_baseline_that_was_not_run_is_named_with_its_dataset():
    with pytest.raises(UnknownNameError, match="No run of the baseline 'entropy' in 'digits'"):
        attainable_gain(results(GAINS), baseline="entropy")


def test_experiments_without_an_upper_line_have_no_rows():
    gains = {name: gain for name, gain in GAINS.items() if name != "oracle"}
    assert attainable_gain(results(gains)).empty
    assert "attainable" not in report_table(results(gains))


def test_the_upper_line_counts_in_no_correction_and_gets_no_verdict():
    with_line, without = results(GAINS), results(GAINS).query("strategy != 'oracle'")
    table = verdict_table(with_line).set_index("strategy")
    alone = verdict_table(without).set_index("strategy")
    assert table.loc["oracle", "verdict"] == "upper line"
    assert np.isnan(table.loc["oracle", "p_holm"])
    assert table.loc["margin", "p_holm"] == alone.loc["margin", "p_holm"]
    assert table.loc["oracle", "difference"] > 0


def test_the_report_shows_the_share_with_its_interval():
    table = report_table(results(GAINS))
    assert table.set_index("strategy")["attainable"].notna().to_dict() == {
        "random": False, "margin": True, "kcenter": True, "oracle": False,
    }  # fmt: skip
    line = next(
        x for x in format_table(table).splitlines() if x.startswith("| margin") or "| margin " in x
    )
    assert "[" in line.split("|")[-4]


# Simulations ----------------------------------------------------------------------------

N_SIMULATIONS = 2_000
N_SEEDS = 20


def simulated(rng, gains, n):
    """Return areas ``(n, strategies, seeds)``: a level common to a seed, and noise of each run."""
    level = 0.02 * rng.standard_normal((n, 1, N_SEEDS))
    return gains[:, None] + level + 0.01 * rng.standard_t(8, (n, len(gains), N_SEEDS))


@pytest.mark.slow
@pytest.mark.parametrize("n_seeds", [5, 20])
def test_the_interval_of_the_share_covers(n_seeds):
    rng = np.random.default_rng(1)
    covered = 0
    for random, margin, oracle in simulated(rng, np.array([0, 0.01, 0.03]), N_SIMULATIONS):
        a, b = (margin - random)[:n_seeds], (oracle - random)[:n_seeds]
        ratio = ratio_of_means(a, b)
        # without a finite interval, every ratio is covered
        covered += bool(np.isnan(ratio.low) or ratio.low <= 1 / 3 <= ratio.high)
    error = np.sqrt(0.95 * 0.05 / N_SIMULATIONS)
    assert abs(covered / N_SIMULATIONS - 0.95) < 3.5 * error


@pytest.mark.slow
@pytest.mark.parametrize("n_better", [0, 6])
def test_the_verdict_on_many_strategies_keeps_its_family_wise_error(n_better):
    from al_tf.analysis import decide, holm, paired_test

    gains = np.zeros(15)  # random and 14 strategies
    gains[1 : 1 + n_better] = 0.02
    areas = simulated(np.random.default_rng(2), gains, N_SIMULATIONS)
    test = paired_test(areas[:, 1:] - areas[:, :1])
    decisions = decide(test.mean, holm(test.p), N_SEEDS)
    wrong = (decisions[:, n_better:] != 0).any(axis=1).mean()
    error = np.sqrt(0.05 * 0.95 / N_SIMULATIONS)
    assert wrong <= 0.05 + 3 * error
    if n_better:
        assert (decisions[:, :n_better] == 1).mean() > 0.8

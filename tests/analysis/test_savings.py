from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import optimize

from al_tf.analysis import label_savings, labels_to_reach
from al_tf.analysis.savings import SAVINGS_COLUMNS, _interval, monotone
from al_tf.errors import UnknownNameError
from tests.analysis._curves import LABELS, experiment, results, simulate

LINE = np.array([0.2, 0.3, 0.4, 0.6, 1.0])  # accuracy = labels / 1000
TWICE = np.minimum(2 * LINE, 1.0)


class TestLabelsToReach:
    def test_is_interpolated_between_measurements(self):
        assert labels_to_reach([200, 300, 600], [0.5, 0.6, 0.9], 0.7) == pytest.approx(400)

    def test_a_target_below_the_start_is_reached_at_the_start(self):
        assert labels_to_reach([200, 300], [0.5, 0.6], 0.1) == 200

    def test_a_measured_value_is_reached_where_it_was_measured(self):
        assert labels_to_reach([200, 300, 600], [0.5, 0.6, 0.9], 0.6) == pytest.approx(300)

    def test_one_lucky_round_does_not_count_as_reaching(self):
        # Least squares joins the middle two at 0.4; 0.45 lies a quarter of the way to 0.6.
        labels = labels_to_reach([100, 200, 300, 400], [0.1, 0.5, 0.3, 0.6], 0.45)
        assert labels == pytest.approx(325)

    def test_never_reached_is_infinite(self):
        labels = labels_to_reach([200, 300], [[0.5, 0.6], [0.6, 0.8]], 0.7)
        assert labels.tolist() == [np.inf, pytest.approx(250)]

    def test_flat_curves_do_not_divide_by_zero(self):
        with np.errstate(all="raise"):
            assert labels_to_reach([100, 200], [[0.5, 0.5]] * 2, [0.5, 0.6]).tolist() == [
                100,
                np.inf,
            ]


@given(arrays(float, st.tuples(st.integers(1, 4), st.integers(1, 9)), elements=st.floats(0, 1)))
def test_the_monotone_fit_is_scipys_isotonic_regression(curves):
    expected = [optimize.isotonic_regression(curve).x for curve in curves]
    assert monotone(curves) == pytest.approx(np.array(expected), abs=1e-12)


class TestLabelSavings:
    def test_a_strategy_that_needs_half_the_labels_saves_a_factor_of_two(self):
        table = results({"random": [LINE] * 5, "margin": [TWICE] * 5})
        saved = label_savings(table, targets=[0.6, 0.8])
        assert list(saved.columns) == SAVINGS_COLUMNS
        assert saved["metric"].tolist() == ["accuracy", "accuracy"]
        assert saved["n_seeds"].tolist() == [5, 5]
        assert saved["note"].tolist() == ["", ""]
        assert saved["labels_baseline"].tolist() == pytest.approx([600, 800])
        assert saved["labels_strategy"].tolist() == pytest.approx([300, 400])
        assert saved["savings"].tolist() == pytest.approx([2, 2])
        assert saved["low"].tolist() == pytest.approx([2, 2])
        assert saved["high"].tolist() == pytest.approx([2, 2])

    def test_the_default_target_is_where_the_baseline_ends(self):
        table = results({"random": [LINE - 0.5, LINE - 0.1], "margin": [TWICE, TWICE]})
        line = label_savings(table).iloc[0]
        assert line["target"] == "final"
        assert line["target_value"] == pytest.approx(0.7)
        assert (line["labels_baseline"], line["labels_strategy"]) == pytest.approx((1000, 350))

    @pytest.mark.parametrize(
        ("ours", "target", "who"),
        [(LINE / 2, 0.9, "margin"), (TWICE + 1, 1.5, "random"), (LINE, 1.5, "margin or random")],
    )
    def test_what_was_not_reached_is_said_and_not_numbered(self, ours, target, who):
        table = results({"random": [LINE] * 5, "margin": [ours] * 5})
        line = label_savings(table, targets=[target]).iloc[0]
        assert line[["savings", "low", "high"]].isna().all()
        assert line["note"] == f"{target:g} not reached by {who}"
        reached = {"margin": "labels_baseline", "random": "labels_strategy"}.get(who)
        for column in ("labels_baseline", "labels_strategy"):
            assert np.isnan(line[column]) == (column != reached)

    def test_every_note_is_kept(self):
        table = results({"random": [LINE] * 3, "margin": [LINE / 2] * 2})
        line = label_savings(table, targets=[0.9]).iloc[0]
        assert line["note"] == "0.9 not reached by margin; seeds without a partner left out: 2"

    def test_an_end_that_draws_do_not_reach_is_zero(self):
        # One seed of five misses the target far enough to pull the mean of many draws below it.
        runs = [TWICE] * 4 + [TWICE - 1.5]
        table = results({"random": [LINE] * 5, "margin": runs})
        line = label_savings(table, targets=[0.7]).iloc[0]
        assert line["savings"] == pytest.approx(700 / 600)
        assert line["low"] == 0
        assert np.isfinite(line["high"])

    def test_an_end_where_the_baseline_falls_short_is_infinite(self):
        runs = [LINE] * 4 + [LINE - 1.0]
        table = results({"random": runs, "margin": [TWICE] * 5})
        line = label_savings(table, targets=[0.7]).iloc[0]
        assert np.isfinite(line["savings"])
        assert line["low"] > 1
        assert line["high"] == np.inf

    def test_one_seed_has_no_interval(self):
        line = label_savings(results({"random": [LINE], "margin": [TWICE]})).iloc[0]
        assert line["savings"] == pytest.approx(1000 / 600)
        assert line[["low", "high"]].isna().all()

    def test_same_seed_same_interval(self):
        table = experiment(simulate(np.random.default_rng(1), 1, 3, 6, gain=0.02)[0])
        first, second = label_savings(table), label_savings(table)
        pd.testing.assert_frame_equal(first, second)
        other = label_savings(table, random_state=1)
        assert not other["low"].equals(first["low"])

    @pytest.mark.parametrize("random_state", [0, 7])
    def test_an_interval_does_not_depend_on_what_else_is_compared(self, random_state):
        """Strategies, datasets, targets and their names come and go; the interval stays."""
        generator = np.random.default_rng(1)
        here, there = simulate(generator, 2, 4, 6, gain=0.02)
        table = pd.concat([experiment(here), experiment(there, dataset="tiles")])
        ends = ["savings", "low", "high"]
        whole = label_savings(table, random_state=random_state)
        expected = whole.query("dataset == 'tiles' and strategy == 's2'")[ends].to_numpy()
        alone = table[table["strategy"].isin(["random", "s2"]) & (table["dataset"] == "tiles")]
        renamed = alone.replace({"s2": "another", "tiles": "tiles (folder)"})
        for fewer in (alone, renamed, alone.iloc[::-1]):
            computed = label_savings(fewer, random_state=random_state)[ends].to_numpy()
            np.testing.assert_array_equal(computed, expected)
        both = label_savings(alone, targets=[0.75, "final"], random_state=random_state)
        np.testing.assert_array_equal(both[ends].to_numpy()[1:], expected)

    def test_a_generator_gives_one_seed_for_all_comparisons(self):
        table = experiment(simulate(np.random.default_rng(1), 1, 3, 6, gain=0.02)[0])
        alone = table[table["strategy"] != "s1"]
        whole = label_savings(table, random_state=np.random.default_rng(3))
        few = label_savings(alone, random_state=np.random.default_rng(3))
        pd.testing.assert_frame_equal(few, whole.iloc[1:].reset_index(drop=True))

    def test_the_ends_are_percentiles_of_a_bootstrap_over_seeds(self):
        ours, theirs = simulate(np.random.default_rng(4), 1, 2, 8, gain=0.03)[0][::-1]
        table = results({"random": theirs, "margin": ours})
        line = label_savings(table, targets=[0.75], n_resamples=20_000).iloc[0]
        drawn = np.random.default_rng(5).integers(8, size=(20_000, 8))
        need = [labels_to_reach(LABELS, runs[drawn].mean(axis=1), 0.75) for runs in (theirs, ours)]
        low, high = np.quantile(need[0] / need[1], [0.025, 0.975])
        assert (line["low"], line["high"]) == pytest.approx((low, high), abs=0.03 * (high - low))

    def test_a_draw_in_which_neither_arrives_widens_both_ends(self):
        ours, theirs = np.ones(100), np.full(100, 2.0)
        assert _interval(ours, theirs, 0.95) == (2, 2)
        ours[:5] = theirs[:5] = np.inf
        assert _interval(ours, theirs, 0.95) == (0, np.inf)

    def test_an_end_is_a_draw_never_between_two(self):
        assert _interval(np.ones(4), np.arange(1.0, 5.0), 0.5) == (1, 4)

    def test_the_interval_covers_the_truth_about_as_often_as_it_says(self):
        # Straight curves, margin needs 0.8 of the labels; 20 seeds.
        labels = np.arange(0, 1001, 100)
        generator = np.random.default_rng(2)
        covered = 0
        for _ in range(150):
            noise = generator.normal(0, 0.03, (2, 20, 1))
            curves = np.stack([labels / 1000 + noise[0], labels / 800 + noise[1]])
            pair = {"random": curves[0], "margin": curves[1]}
            table = results(pair, labels=labels)
            line = label_savings(table, targets=[0.5], n_resamples=400).iloc[0]
            covered += line["low"] <= 1.25 <= line["high"]
        assert 0.88 <= covered / 150 <= 0.98

    def test_without_a_baseline_or_with_an_unknown_target(self):
        table = results({"margin": [LINE] * 5, "entropy": [LINE] * 5})
        with pytest.raises(UnknownNameError, match="No run of the baseline 'random' in 'digits'"):
            label_savings(table)
        with pytest.raises(ValueError, match="value of the metric or 'final'"):
            label_savings(table, baseline="margin", targets=["best"])

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from al_tf.analysis import aubc, decide, holm, paired_test, verdict_table
from al_tf.analysis.verdict import VERDICT_COLUMNS, verdict_words, wilcoxon_p
from al_tf.errors import UnknownNameError
from tests.analysis._curves import LABELS, experiment, results, simulate

SHAPE = np.array([0.50, 0.60, 0.66, 0.72, 0.78])


def five_seeds(*gains: float) -> list[np.ndarray]:
    return [SHAPE + gain for gain in gains]


RANDOM = five_seeds(0.00, 0.02, -0.01, 0.03, 0.01)
BETTER = five_seeds(0.05, 0.06, 0.04, 0.08, 0.07)


class TestPairedTest:
    def test_is_scipys_paired_t_test(self):
        ours, theirs = [0.71, 0.74, 0.70, 0.76, 0.75], [0.70, 0.71, 0.71, 0.72, 0.73]
        expected = stats.ttest_rel(ours, theirs)
        test = paired_test(np.subtract(ours, theirs))
        interval = expected.confidence_interval(0.95)
        assert test.p == pytest.approx(expected.pvalue)
        assert (test.low, test.high) == pytest.approx((interval.low, interval.high))

    @given(st.integers(2, 12), st.integers(0, 2**32 - 1), st.floats(-2, 2), st.floats(-4, 4))
    def test_is_scipys_on_generated_tables(self, n_seeds, seed, shift, log_scale):
        rng = np.random.default_rng(seed)
        ours, theirs = rng.normal(size=(2, 3, n_seeds)) * 10**log_scale
        ours = ours + shift
        expected = stats.ttest_rel(ours, theirs, axis=1)
        interval = expected.confidence_interval(0.95)
        test = paired_test(ours - theirs)
        np.testing.assert_allclose(test.p, expected.pvalue, rtol=1e-6, atol=1e-12)
        np.testing.assert_allclose(test.low, interval.low, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(test.high, interval.high, rtol=1e-6, atol=1e-9)

    def test_rows_are_tested_one_by_one(self):
        rows = np.random.default_rng(0).normal(size=(4, 3, 6))
        together = paired_test(rows)
        assert together.p[2, 1] == pytest.approx(float(paired_test(rows[2, 1]).p))
        assert together.mean.shape == (4, 3)

    def test_rows_without_spread_leave_the_others_alone(self):
        values = np.random.default_rng(1).normal(size=6)
        test = paired_test([np.zeros(6), np.full(6, 0.1), values])
        assert test.p[0] == 1
        assert np.isnan(test.p[1])
        assert test.p[2] == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
        assert (paired_test([[0.0, 0.0]]).p == 1).all()

    def test_another_confidence_is_another_interval(self):
        values = np.random.default_rng(1).normal(size=6)
        expected = stats.ttest_1samp(values, 0).confidence_interval(0.8)
        test = paired_test(values, 0.8)
        assert (test.low, test.high) == pytest.approx((expected.low, expected.high))

    @pytest.mark.filterwarnings("error")
    def test_one_seed_has_neither_p_nor_interval(self):
        test = paired_test([0.02])
        assert float(test.mean) == 0.02
        assert np.isnan([test.p, test.low, test.high]).all()

    @pytest.mark.filterwarnings("error")
    def test_no_difference_at_all_is_certainly_no_difference(self):
        test = paired_test([0.0] * 5)
        assert tuple(map(float, test)) == (0.0, 0.0, 0.0, 1.0)

    @pytest.mark.filterwarnings("error")
    def test_the_same_gain_in_every_seed_is_not_tested(self):
        test = paired_test(np.full(8, 0.1) + 0.2 - 0.2)
        assert float(test.mean) == pytest.approx(0.1)
        assert np.isnan([test.p, test.low, test.high]).all()

    def test_refuses_what_is_not_finite_and_what_is_not_there(self):
        with pytest.raises(ValueError, match="1 of the differences are not finite"):
            paired_test([0.1, 0.2, float("nan")])
        with pytest.raises(ValueError, match=r"^paired_test needs at least one paired difference"):
            paired_test([])


class TestHolm:
    def test_hand_computed(self):
        # Sorted .005 .01 .03 .04, times 4 3 2 1: .02 .03 .06 .04, made monotone: .02 .03 .06 .06.
        assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])

    def test_untested_comparisons_do_not_count(self):
        corrected = holm([0.01, np.nan, 0.04])
        assert corrected[[0, 2]] == pytest.approx([0.02, 0.04])
        assert np.isnan(corrected[1])

    def test_one_comparison_is_left_alone(self):
        assert holm([0.03]).tolist() == [0.03]

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
    def test_lies_between_the_raw_p_and_bonferroni_and_keeps_the_order(self, values):
        p = np.array(values)
        corrected = holm(p)
        assert (corrected >= p).all()
        assert (corrected <= np.minimum(p * len(p), 1) + 1e-15).all()
        assert (np.diff(corrected[np.argsort(p)]) >= 0).all()

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
    def test_rejects_exactly_what_the_step_down_procedure_rejects(self, values):
        p = np.array(values)
        rejected = set()
        for i, index in enumerate(np.argsort(p, kind="stable")):
            if p[index] * (len(p) - i) >= 0.05:
                break
            rejected.add(int(index))
        assert set(np.flatnonzero(holm(p) < 0.05)) == rejected


class TestWilcoxon:
    def test_needs_six_seeds_to_be_able_to_show_anything(self):
        assert np.isnan(wilcoxon_p([0.1, 0.2, 0.3, 0.4, 0.5]))
        assert wilcoxon_p([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]) == pytest.approx(2 / 64)

    def test_no_difference_at_all(self):
        assert wilcoxon_p([0.0] * 6) == 1.0


class TestWords:
    def test_the_three_answers(self):
        assert verdict_words(1, 5) == "better than random"
        assert verdict_words(-1, 5) == "worse than random"
        assert verdict_words(0, 5) == "no difference shown (5 seeds)"
        assert verdict_words(0, 1) == "no difference shown (1 seed)"

    def test_an_untested_comparison_decides_nothing(self):
        assert decide([0.3], [np.nan], [10]).tolist() == [0]

    @pytest.mark.parametrize("n", [1, 2, 3, 4])
    def test_few_seeds_are_never_a_win_however_clear_they_look(self, n):
        table = verdict_table(results({"random": RANDOM[:n], "margin": BETTER[:n]}))
        line = table.set_index("strategy").loc["margin"]
        assert line["difference"] > 0.03
        assert line["verdict"].startswith("no difference shown")
        assert "seed" in line["note"]


class TestVerdictTable:
    def test_better_worse_and_not_shown(self):
        unclear = five_seeds(0.01, 0.01, 0.01, 0.02, 0.0)
        worse = five_seeds(-0.04, -0.03, -0.05, -0.02, -0.02)
        table = verdict_table(
            results({"margin": BETTER, "random": RANDOM, "badge": unclear, "density": worse})
        )
        assert list(table.columns) == VERDICT_COLUMNS
        assert dict(zip(table["strategy"], table["verdict"], strict=True)) == {
            "random": "baseline",
            "margin": "better than random",
            "badge": "no difference shown (5 seeds)",
            "density": "worse than random",
        }

    def test_every_line_has_every_column(self):
        table = verdict_table(results({"random": RANDOM, "margin": BETTER}), "f1_macro")
        assert list(table.columns) == VERDICT_COLUMNS
        assert set(table["metric"]) == {"f1_macro"}
        assert table["labels_from"].tolist() == [200, 200]
        assert table["labels_to"].tolist() == [1000, 1000]

    def test_wilcoxons_test_stands_beside(self):
        baseline, ours = simulate(np.random.default_rng(0), 1, 2, 8, gain=0.005)[0]
        table = verdict_table(experiment(np.stack([baseline, ours])))
        gains = aubc(LABELS, ours) - aubc(LABELS, baseline)
        assert table.loc[1, "p_wilcoxon"] == pytest.approx(stats.wilcoxon(gains).pvalue)

    def test_numbers_of_one_line(self):
        line = verdict_table(results({"random": RANDOM, "margin": BETTER})).iloc[1]
        gains = np.array([0.05, 0.04, 0.05, 0.05, 0.06])
        assert line["difference"] == pytest.approx(0.05)
        test = stats.ttest_1samp(gains, 0)
        assert line["p"] == pytest.approx(test.pvalue)
        interval = test.confidence_interval(0.95)
        assert (line["low"], line["high"]) == pytest.approx((interval.low, interval.high))
        assert line["p_holm"] == line["p"]
        assert line["value"] - line["baseline_value"] == pytest.approx(0.05)
        assert (line["labels_from"], line["labels_to"], line["n_seeds"]) == (200, 1000, 5)
        assert line["note"] == ""  # five seeds are enough

    def test_holm_counts_the_strategies_of_one_dataset_only(self):
        mixed = five_seeds(0.05, 0.03, 0.04, 0.03, 0.05)
        one = results({"random": RANDOM, "margin": BETTER, "badge": mixed})
        other = results({"random": RANDOM, "margin": BETTER}, dataset="cifar10")
        table = verdict_table(pd.concat([one, other])).set_index(["dataset", "strategy"])
        smallest = table.loc[("digits", "margin")]
        assert smallest["p_holm"] == pytest.approx(2 * smallest["p"])
        assert table.loc[("cifar10", "margin"), "p_holm"] == smallest["p"]

    def test_final_and_chosen_label_counts_can_be_compared(self):
        late = [
            run + np.array([0, 0, 0, 0, g]) for run, g in zip(RANDOM, [1, 2, 3, 2, 1], strict=True)
        ]
        table = results({"random": RANDOM, "margin": late})
        final = verdict_table(table, measure="final").iloc[1]
        halfway = verdict_table(table, measure=800).iloc[1]
        before = verdict_table(table, measure=600).iloc[1]
        assert final["difference"] == pytest.approx(1.8)
        assert halfway["difference"] == pytest.approx(0.9)
        assert before["difference"] == 0
        assert (final["measure"], halfway["measure"]) == ("final", "at 800")

    def test_an_unknown_measure_is_refused(self):
        with pytest.raises(ValueError, match="'aubc', 'final' or a number of labels"):
            verdict_table(results({"random": RANDOM}), measure="best")

    def test_seeds_are_paired_whatever_the_order_of_the_rows(self):
        table = results({"random": RANDOM, "margin": BETTER})
        shuffled = table.sample(frac=1, random_state=3).sort_values("strategy", ascending=False)
        expected, got = verdict_table(table), verdict_table(shuffled)
        pd.testing.assert_frame_equal(expected, got)

    def test_a_missing_seed_and_a_short_run_are_said(self):
        table = results({"random": RANDOM, "margin": BETTER})
        table = table[~((table["strategy"] == "margin") & (table["seed"] == 4))]
        table = table[~((table["seed"] == 2) & (table["n_labeled"] > 600))]
        line = verdict_table(table).iloc[1]
        assert line["n_seeds"] == 4
        assert line["labels_to"] == 600
        assert line["note"] == (
            "fewer than 5 paired seeds: no verdict; seeds without a partner left out: 4; "
            "compared over the common range of 200 to 600 labels"
        )

    def test_no_seed_in_common(self):
        table = results({"random": RANDOM, "margin": BETTER})
        table.loc[table["strategy"] == "margin", "seed"] += 100
        line = verdict_table(table).iloc[1]
        assert line["verdict"] == "no difference shown (0 seeds)"
        assert line["note"] == (
            "no seed in common with the baseline; seeds without a partner left out: "
            "0, 1, 2, 3, 4, 100, 101, 102, 103, 104"
        )
        assert line[["value", "difference", "low", "high", "p"]].isna().all()

    def test_copied_seeds_are_not_evidence(self):
        table = results({"random": [SHAPE] * 8, "margin": [SHAPE + 0.1] * 8})
        line = verdict_table(table).iloc[1]
        assert line["verdict"] == "no difference shown (8 seeds)"
        assert line["note"] == "the same difference in every seed: no spread to test against"

    def test_one_seed_is_not_tested(self):
        line = verdict_table(results({"random": RANDOM[:1], "margin": BETTER[:1]})).iloc[1]
        assert line["note"] == "one seed: no test is possible"

    def test_only_the_baseline(self):
        table = verdict_table(results({"random": RANDOM}))
        assert table["verdict"].tolist() == ["baseline"]

    def test_no_baseline_lists_what_there_is(self):
        with pytest.raises(UnknownNameError, match=r"'random' in 'digits'.*margin, entropy"):
            verdict_table(results({"margin": RANDOM, "entropy": BETTER}))

    def test_another_baseline_can_be_chosen(self):
        table = verdict_table(results({"margin": RANDOM, "entropy": BETTER}), baseline="margin")
        assert table["verdict"].tolist() == ["baseline", "better than margin"]


class TestTheRuleOnSimulatedCurves:
    """2,000 simulated experiments each; the generator is seeded, so these are not flaky."""

    N = 2000
    LABELS = np.array([200, 300, 400, 600, 1000])
    # "About 5 %": three binomial standard errors above it.
    ALLOWED = 0.05 + 3 * np.sqrt(0.05 * 0.95 / N)

    def test_both_ways_of_computing_it_agree(self):
        accuracy = simulate(np.random.default_rng(7), 25, 4, 6, gain=0.005)
        decisions, p_holm = self.decisions(accuracy)
        assert set(decisions.ravel()) == {0, 1}
        for one, expected, p in zip(accuracy, decisions, p_holm, strict=True):
            table = verdict_table(experiment(one)).iloc[1:]
            assert table["p_holm"].to_numpy() == pytest.approx(p)
            words = [verdict_words(d, 6) for d in expected]
            assert table["verdict"].tolist() == words

    @pytest.mark.parametrize("noise", ["normal", "heavy", "skewed"])
    @pytest.mark.parametrize("n_seeds", [5, 10])
    @pytest.mark.parametrize("n_strategies", [1, 6])
    def test_no_true_difference_is_rarely_called_one(self, noise, n_seeds, n_strategies):
        generator = np.random.default_rng(20)
        accuracy = simulate(generator, self.N, n_strategies + 1, n_seeds, noise=noise)
        decisions, _ = self.decisions(accuracy)
        assert (decisions == 1).any(axis=1).mean() <= self.ALLOWED
        assert (decisions != 0).any(axis=1).mean() <= self.ALLOWED

    def test_without_holm_it_would_be_called_one_too_often(self):
        accuracy = simulate(np.random.default_rng(20), self.N, 7, 5)
        uncorrected = paired_test(self.differences(accuracy)).p < 0.05
        assert uncorrected.any(axis=1).mean() > 2 * self.ALLOWED

    @pytest.mark.parametrize("n_seeds", [5, 10, 20])
    @pytest.mark.parametrize("power", [0.3, 0.8])
    def test_a_true_difference_is_found_as_often_as_theory_says(self, n_seeds, power):
        gain = self.gain_for(power, n_seeds)
        accuracy = simulate(np.random.default_rng(21), self.N, 2, n_seeds, gain=gain)
        rate = (self.decisions(accuracy)[0] == 1).mean()
        error = np.sqrt(power * (1 - power) / self.N)
        assert rate == pytest.approx(power, abs=3.5 * error)

    def test_with_several_strategies_power_lies_between_bonferronis_and_a_single_tests(self):
        gain = self.gain_for(0.8, 10)
        accuracy = simulate(np.random.default_rng(22), self.N, 5, 10, gain=gain)
        rate = (self.decisions(accuracy)[0] == 1).mean()
        assert self.power(gain, 10, alpha=0.05 / 4) < rate < 0.8

    def differences(self, accuracy: np.ndarray) -> np.ndarray:
        areas = aubc(self.LABELS, accuracy)  # (experiments, strategies, seeds)
        return areas[:, 1:] - areas[:, :1]

    def decisions(self, accuracy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        test = paired_test(self.differences(accuracy))
        p_holm = holm(test.p)
        return decide(test.mean, p_holm, accuracy.shape[2]), p_holm

    def power(self, gain: float, n_seeds: int, alpha: float = 0.05) -> float:
        """Chance of "better", from the noncentral t distribution."""
        steps = np.diff(self.LABELS) / np.ptp(self.LABELS)
        weights = (np.append(steps, 0) + np.insert(steps, 0, 0)) / 2  # of the trapezoid rule
        spread = 0.01 * np.sqrt(2) * np.linalg.norm(weights)
        threshold = stats.t.ppf(1 - alpha / 2, n_seeds - 1)
        return float(stats.nct.sf(threshold, n_seeds - 1, gain * np.sqrt(n_seeds) / spread))

    def gain_for(self, power: float, n_seeds: int) -> float:
        gains = np.linspace(0, 0.05, 5001)
        return float(np.interp(power, [self.power(g, n_seeds) for g in gains[::10]], gains[::10]))

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from al_tf.analysis import (
    aubc,
    difference_curve_table,
    label_savings,
    learning_curve_table,
    summary_table,
    value_at,
)
from al_tf.analysis.curves import mean_interval
from al_tf.analysis.pairing import paired_curves
from al_tf.errors import UnknownNameError
from tests.analysis._curves import results

SHAPE = [0.50, 0.60, 0.66, 0.72, 0.78]


def test_aubc_of_a_hand_computed_curve():
    # Trapezoids: 100 × 0.55 + 300 × 0.7 = 265 over 400 labels.
    assert aubc([200, 300, 600], [0.5, 0.6, 0.8]) == pytest.approx(265 / 400)


@given(st.lists(st.integers(1, 500), min_size=2, max_size=8), st.floats(-1, 1))
def test_aubc_of_a_constant_curve_is_the_constant(steps, height):
    labels = np.cumsum(steps)
    assert aubc(labels, np.full(len(labels), height)) == pytest.approx(height)


def test_aubc_does_not_depend_on_how_finely_a_straight_line_is_measured():
    coarse, fine = [0, 100], [*range(0, 100, 7), 100]
    assert aubc(coarse, [0.2, 0.8]) == pytest.approx(
        aubc(fine, np.interp(fine, coarse, [0.2, 0.8]))
    )


def test_aubc_of_a_single_measurement_is_that_measurement():
    assert aubc([200], [[0.4], [0.6]]).tolist() == [0.4, 0.6]


@pytest.mark.parametrize(
    ("labels", "values", "message"),
    [
        ([1, 2], [0.1, 0.2, 0.3], "one value for each label count"),
        ([], [], "one value for each label count"),
        ([2, 1], [0.1, 0.2], "increase"),
        ([1, 1], [0.1, 0.2], "increase"),
    ],
)
def test_aubc_refuses_curves_that_are_none(labels, values, message):
    with pytest.raises(ValueError, match=message):
        aubc(labels, values)


def test_value_at_measures_and_interpolates_and_does_not_extrapolate():
    curve = ([200, 300, 600], [[0.5, 0.6, 0.9]])
    assert value_at(*curve, 300).tolist() == [0.6]
    assert value_at(*curve, 400) == pytest.approx([0.7])
    assert value_at(*curve, 600).tolist() == [0.9]
    for outside in (199, 601):
        with pytest.raises(ValueError, match="not extrapolated"):
            value_at(*curve, outside)


def test_mean_interval_is_scipys_t_interval():
    values = [0.70, 0.74, 0.71, 0.69]
    mean, low, high = mean_interval(values)
    expected = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert (low, high) == pytest.approx(expected)
    assert mean == pytest.approx(0.71)


def test_one_seed_has_no_interval():
    mean, low, high = mean_interval([[0.5]])
    assert mean.tolist() == [0.5]
    assert np.isnan(low).all()
    assert np.isnan(high).all()


def test_summary_holds_area_final_value_and_chosen_label_counts():
    table = results({"random": [[0.5, 0.6, 0.8], [0.7, 0.8, 1.0]]}, labels=(200, 300, 600))
    summary = summary_table(table, at=[450]).set_index("measure")["mean"]
    assert summary.to_dict() == pytest.approx(
        {"aubc": 265 / 400 + 0.1, "final": 0.9, "at 450": 0.8}
    )


def test_learning_curves_keep_the_order_of_strategies_and_cover_both_metrics():
    table = results({"zeta": [[0.1] * 5, [0.3] * 5], "alpha": [[0.5] * 5] * 2})
    curves = learning_curve_table(table, ["accuracy", "f1_macro"])
    assert list(dict.fromkeys(curves["strategy"])) == ["zeta", "alpha"]
    assert curves.groupby("metric")["mean"].max().to_dict() == pytest.approx(
        {"accuracy": 0.5, "f1_macro": 0.48}
    )
    assert (
        curves.query("strategy == 'zeta' and metric == 'accuracy'")["mean"].tolist()
        == [pytest.approx(0.2)] * 5
    )


def test_difference_curves_are_paired():
    # Seeds differ by 0.2, the strategy always gains 0.01: the interval has no width.
    base = np.array([[0.5, 0.6, 0.6, 0.7, 0.8], [0.7, 0.8, 0.8, 0.9, 1.0]])
    curves = difference_curve_table(results({"random": base, "margin": base + 0.01}))
    assert set(curves["strategy"]) == {"margin"}
    assert curves["mean"].tolist() == pytest.approx([0.01] * 5)
    assert (curves["high"] - curves["low"]).max() < 1e-12


def test_difference_needs_something_besides_the_baseline():
    with pytest.raises(ValueError, match="No strategy shares a seed with the baseline 'random'"):
        difference_curve_table(results({"random": [[0.5] * 5] * 2}))


def test_pairs_share_seeds_and_range_and_say_what_was_left_out():
    table = results({"random": [[0.1, 0.2, 0.3, 0.4, 0.5]] * 3, "margin": [[0.2, 0.4, 0.6]] * 2})
    pair = paired_curves(
        table[["dataset", "strategy", "seed", "n_labeled", "accuracy"]], "margin", "random"
    )
    assert pair.seeds == (0, 1)
    assert pair.n_labeled.tolist() == [200, 300, 400]
    assert pair.first.tolist() == [[0.2, 0.4, 0.6]] * 2
    assert pair.second.tolist() == [[0.1, 0.2, 0.3]] * 2
    assert pair.note == (
        "seeds without a partner left out: 2; compared over the common range of 200 to 400 labels"
    )


def test_no_seed_in_common_leaves_nothing_but_a_note():
    table = results({"random": [[0.1] * 5], "margin": [[0.2] * 5]})
    table.loc[table["strategy"] == "margin", "seed"] = 3
    rows = table[["dataset", "strategy", "seed", "n_labeled", "accuracy"]]
    pair = paired_curves(rows, "margin", "random")
    assert pair.seeds == ()
    assert (pair.n_labeled.shape, pair.first.shape, pair.second.shape) == ((0,), (0, 0), (0, 0))
    assert pair.note == "seeds without a partner left out: 0, 3"


def test_a_difference_without_the_baseline_names_the_dataset():
    with pytest.raises(UnknownNameError, match="No run of the baseline 'random' in 'digits'"):
        difference_curve_table(results({"margin": [[0.5] * 5]}))


def test_runs_measured_at_other_labels_are_interpolated():
    coarse = results({"random": [[0.2, 0.6]]}, labels=(200, 600))
    fine = results({"margin": [[0.2, 0.3, 0.6]]}, labels=(200, 400, 600))
    rows = pd.concat([coarse, fine])
    pair = paired_curves(
        rows[["dataset", "strategy", "seed", "n_labeled", "accuracy"]], "margin", "random"
    )
    assert pair.n_labeled.tolist() == [200, 400, 600]
    assert pair.second[0] == pytest.approx([0.2, 0.4, 0.6])


def test_runs_without_a_common_label_count_are_an_error():
    table = results({"random": [[0.1, 0.2]]}, labels=(100, 200))
    later = results({"margin": [[0.1, 0.2]]}, labels=(300, 400))
    both = pd.concat([table, later])
    with pytest.raises(ValueError, match="share no label count"):
        difference_curve_table(both)


class TestWhatResultsAreRefused:
    def test_a_missing_column_is_named(self):
        with pytest.raises(ValueError, match=r"lack the column\(s\) kappa"):
            summary_table(results({"random": [[0.5] * 5]}), "kappa")

    def test_no_rows(self):
        with pytest.raises(ValueError, match="no rows"):
            summary_table(results({}))

    def test_values_that_are_not_finite_name_the_run(self):
        table = results({"random": [[0.5, 0.6, float("nan"), 0.7, 0.8]]})
        with pytest.raises(ValueError, match=r"1 row\(s\).*random, seed 0, 400 labels, in digits"):
            summary_table(table)

    @pytest.mark.parametrize("value", [0.5, 0.6])
    def test_the_same_label_count_twice(self, value):
        table, again = results({"random": [[0.5] * 5]}), results({"random": [[value] * 5]})
        with pytest.raises(ValueError, match="more than one row at 200 labels"):
            summary_table(pd.concat([table, again]))


def test_tables_keep_the_order_of_strategies_and_count_their_rows():
    table = results({"random": [SHAPE, SHAPE], "margin": [SHAPE, SHAPE], "entropy": [SHAPE, SHAPE]})
    summary = summary_table(table)
    assert list(dict.fromkeys(summary["strategy"])) == ["random", "margin", "entropy"]
    assert list(summary.columns[2:]) == ["metric", "measure", "n_seeds", "mean", "low", "high"]
    curves = learning_curve_table(table, ["accuracy", "f1_macro"])
    differences = difference_curve_table(table)
    columns = ["dataset", "strategy", "metric", "n_labeled", "n_seeds", "mean", "low", "high"]
    for table_of_curves in (curves, differences):
        assert set(table_of_curves.columns) == set(columns)
        assert table_of_curves.index.equals(pd.RangeIndex(len(table_of_curves)))


def test_a_strategy_without_a_partner_leaves_the_others_in():
    table = results({"random": [SHAPE] * 2, "alone": [SHAPE] * 2, "margin": [SHAPE] * 2})
    table.loc[table["strategy"] == "alone", "seed"] += 10
    assert set(difference_curve_table(table)["strategy"]) == {"margin"}
    assert set(label_savings(table)["strategy"]) == {"margin"}


def test_the_confidence_reaches_every_interval():
    values = np.random.default_rng(0).normal(0.7, 0.01, (4, 5))
    table = results({"random": values, "margin": values[::-1] + 0.01})
    for make in (learning_curve_table, difference_curve_table):
        wide, narrow = make(table, confidence=0.99), make(table, confidence=0.5)
        assert ((wide["high"] - wide["low"]) > (narrow["high"] - narrow["low"])).all()


@pytest.mark.parametrize("confidence", [0.0, 1.0, 1.5])
def test_a_confidence_that_is_none_is_refused(confidence):
    with pytest.raises(ValueError, match="confidence lies between 0 and 1"):
        mean_interval([0.1, 0.2], confidence)


def test_value_at_reaches_to_the_ends_and_says_where_they_are():
    assert value_at([100, 200, 400], [0.1, 0.2, 0.4], 100) == pytest.approx(0.1)
    assert value_at([100, 200, 400], [0.1, 0.2, 0.4], 400) == pytest.approx(0.4)
    with pytest.raises(ValueError, match="range of 100 to 400; curves are not extrapolated"):
        value_at([100, 200, 400], [0.1, 0.2, 0.4], 401)

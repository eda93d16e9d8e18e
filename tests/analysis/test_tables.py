from __future__ import annotations

import io
import json

import numpy as np
import pandas as pd
import pytest

from al_tf.analysis import (
    format_table,
    queried_class_table,
    recall_table,
    report_table,
    seconds_table,
    verdict_table,
)
from al_tf.errors import UnknownNameError
from tests.analysis._curves import experiment, results, simulate

CURVE = [0.2, 0.3, 0.4, 0.6, 1.0]


def records(queried: list[list[int]], recall: list[list[float]] | None = None) -> pd.DataFrame:
    """Round 1 of one strategy, a row a seed."""
    n = len(queried)
    return pd.DataFrame(
        {
            "dataset": "digits",
            "strategy": "margin",
            "seed": range(n),
            "round": 1,
            "n_labeled": 200,
            "queried_labels": queried,
            "recall": recall or [[1.0, 0.5]] * n,
        }
    )


class TestCoursesOfTheRuns:
    def test_recall_is_averaged_class_by_class(self):
        table = recall_table(records([[0], [0]], [[1.0, 0.2], [0.5, 0.4]]), ["good", "bad"])
        assert table.set_index("class_name")["mean"].to_dict() == pytest.approx(
            {"good": 0.75, "bad": 0.3}
        )
        assert table["n_seeds"].tolist() == [2, 2]

    def test_rounds_and_strategies_keep_their_order(self):
        both = pd.concat([records([[0]]).assign(strategy=name) for name in ("b", "a")])
        for table in (recall_table(both, ["x", "y"]), queried_class_table(both, ["x", "y"])):
            assert table["strategy"].tolist() == ["b", "b", "a", "a"]
            assert table["class_name"].tolist() == ["x", "y", "x", "y"]
        assert list(recall_table(both, ["x", "y"]).columns[-3:]) == ["mean", "low", "high"]

    def test_recall_needs_as_many_names_as_classes(self):
        with pytest.raises(ValueError, match="2 recalls per round, but there are 3 class names"):
            recall_table(records([[0]]), ["a", "b", "c"])

    def test_queried_classes_are_counted_over_seeds(self):
        table = queried_class_table(records([[0, 0, 1, 1], [0, 0, 0, 0]]), ["good", "bad", "odd"])
        assert table["count"].tolist() == [3, 1, 0]
        assert table["share"].tolist() == [0.75, 0.25, 0]

    def test_a_round_without_a_query_is_left_out(self):
        table = queried_class_table(
            pd.concat([records([[], []]).assign(round=0), records([[1], []])]), ["good", "bad"]
        )
        assert table["round"].unique().tolist() == [1]
        assert table["count"].tolist() == [0, 1]

    def test_an_unknown_class_index_is_named(self):
        with pytest.raises(ValueError, match="name class 2, but there are 2 class names"):
            queried_class_table(records([[0, 2]]), ["good", "bad"])

    def test_seconds_are_means_over_the_rounds_that_had_the_phase(self):
        table = results({"random": [CURVE]})
        table.loc[table["round"] > 0, "seconds_query"] = [1.0, 2.0, 3.0, 4.0]
        seconds = seconds_table(table).set_index("phase")["seconds"]
        assert seconds.to_dict() == {"query": 2.5, "fit": 2.0, "eval": 0.5}

    def test_seconds_keep_the_order_of_the_strategies(self):
        table = seconds_table(results({"random": [CURVE], "badge": [CURVE]}))
        assert list(dict.fromkeys(table["strategy"])) == ["random", "badge"]

    def test_a_phase_that_never_was_takes_no_time(self):
        seconds = seconds_table(results({"random": [CURVE]})).set_index("phase")["seconds"]
        assert seconds["query"] == 0

    def test_missing_columns_and_rows_are_named(self):
        with pytest.raises(ValueError, match=r"lacks the column\(s\) queried_labels"):
            queried_class_table(records([[0]]).drop(columns="queried_labels"), ["a"])
        with pytest.raises(ValueError, match=r"^The table has no rows; run the experiment first\."):
            recall_table(records([[0]]).iloc[:0], ["a"])


class TestText:
    TABLE = pd.DataFrame(
        {
            "strategy": ["random", "a|b"],
            "n_seeds": [5, 5],
            "difference": [np.nan, 0.01234],
            "low": [np.nan, -0.002],
            "high": [np.nan, 0.02],
            "p": [np.nan, 0.0001],
            "savings": [np.inf, 1.256],
        }
    )

    def test_markdown_is_a_table_of_equally_wide_rows(self):
        lines = format_table(self.TABLE).splitlines()
        assert len({len(line) for line in lines}) == 1
        assert [cell.strip() for cell in lines[0].strip("|").split("|")] == [
            "strategy",
            "n_seeds",
            "difference",
            "p",
            "savings",
        ]
        assert set(lines[1]) <= set("|-: ")

    def test_markdown_puts_numbers_to_the_right_and_words_to_the_left(self):
        table = pd.DataFrame({"name": ["a", "bcdef"], "aubc": [0.5, 123.4], "n": [5, 10]})
        assert format_table(table) == (
            "| name  |   aubc |  n |\n"
            "| ----- | -----: | -: |\n"
            "| a     | 0.5000 |  5 |\n"
            "| bcdef |    123 | 10 |\n"
        )

    @pytest.mark.parametrize(
        ("column", "value", "text"),
        [
            ("aubc", 100.0, "100"),
            ("aubc", -100.0, "-100"),
            ("aubc", 99.99, "99.9900"),
            ("aubc", np.nan, ""),
            ("aubc", -np.inf, "-∞"),
            ("savings", np.inf, "∞"),
            ("savings", 1.256, "1.26"),
            ("labels_baseline", 59.6, "60"),
            ("p_holm", 0.001, "0.001"),
            ("p_holm", 0.25, "0.250"),
            ("p_holm", 0.00099, "<0.001"),
            ("difference", -0.5, "-0.5000"),
            ("note", None, ""),
            ("note", pd.NA, ""),
            ("note", "two\nlines", "two lines"),
        ],
    )
    def test_a_cell_reads(self, column, value, text):
        table = pd.DataFrame({column: pd.Series([value], dtype=object)})
        assert format_table(table).splitlines()[2].strip("| ") == text

    def test_an_interval_without_one_end_is_left_out(self):
        table = pd.DataFrame({"difference": [0.5, 0.5], "low": [np.nan, 0.1], "high": [1.0, 1.0]})
        lines = format_table(table).splitlines()
        assert lines[0].strip("| ") == "difference"
        assert lines[2].strip("| ") == "+0.5000"
        assert lines[3].strip("| ") == "+0.5000 [0.1000, 1.0000]"

    def test_markdown_rounds_for_reading(self):
        _, _, first, second = format_table(self.TABLE).splitlines()
        assert "+0.0123 [-0.0020, 0.0200]" in second
        assert "<0.001" in second
        assert "1.26" in second
        assert "a\\|b" in second
        assert "∞" in first
        assert "nan" not in first

    def test_csv_keeps_every_digit(self):
        back = pd.read_csv(io.StringIO(format_table(self.TABLE, "csv")))
        pd.testing.assert_frame_equal(back, self.TABLE)

    def test_json_is_strict_and_has_null_for_what_is_missing(self):
        def refuse(constant: str) -> None:
            raise AssertionError(constant)

        back = json.loads(format_table(self.TABLE, "json"), parse_constant=refuse)
        assert back[0]["difference"] is None
        assert back[1]["difference"] == 0.01234
        assert back[1]["strategy"] == "a|b"
        table = self.TABLE.assign(difference=[np.pi / 4, -1 / 3])
        digits = [line["difference"] for line in json.loads(format_table(table, "json"))]
        assert digits == pytest.approx([np.pi / 4, -1 / 3], abs=1e-15)
        assert format_table(self.TABLE, "json").startswith('[\n  {\n    "strategy"')

    def test_an_unknown_format_lists_the_known(self):
        with pytest.raises(UnknownNameError, match="'md', 'csv', 'json'"):
            format_table(self.TABLE, "html")

    def test_a_table_without_rows_is_still_one(self):
        assert format_table(self.TABLE.iloc[:0]).count("\n") == 2


class TestReport:
    def test_another_baseline_than_random(self):
        accuracy = simulate(np.random.default_rng(0), 1, 3, 6, gain=0.05)[0]
        table = report_table(experiment(accuracy), baseline="s1").set_index("strategy")
        assert table.loc["s1", "verdict"] == "baseline"
        assert table.loc["random", "verdict"] == "worse than s1"
        assert np.isnan(table.loc["s1", "label_savings"])

    def test_one_line_a_strategy_with_the_verdict_of_the_verdict_table(self):
        generator = np.random.default_rng(0)
        both = pd.concat(
            [
                experiment(simulate(generator, 1, 3, 5, gain=0.03)[0], dataset=name)
                for name in ("digits", "cifar10")
            ]
        )
        report, verdict = report_table(both), verdict_table(both)
        assert report[["dataset", "strategy", "verdict"]].equals(
            verdict[["dataset", "strategy", "verdict"]]
        )
        assert (report["final_accuracy"] - report["final_f1_macro"]).tolist() == pytest.approx(
            [0.02] * 6
        )
        assert report["label_savings"].notna().tolist() == [False, True, True] * 2

    def test_the_notes_of_both_parts_are_kept(self):
        low = [[v / 2 for v in CURVE], [v / 3 for v in CURVE]]
        line = report_table(results({"random": [CURVE] * 2, "margin": low})).iloc[1]
        assert line["note"] == ("fewer than 5 paired seeds: no verdict; 1 not reached by margin")

    def test_another_metric_can_be_asked_for(self):
        report = report_table(results({"random": [CURVE]}), "f1_macro")
        assert "final_accuracy" not in report.columns
        assert report["aubc"].tolist() == pytest.approx([0.6 - 0.02])

"""Forest plot, label savings and penalty matrix."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from al_tf import analysis, plots
from al_tf.analysis import PenaltyMatrix
from tests.analysis._curves import results

from .figures import tick_names, words


class TestVerdicts:
    def test_forest_runs_from_best_to_worst_with_the_verdict_beside_it(self):
        level = [[0.5 + s / 100] * 5 for s in range(5)]
        wobble = [0.0, 0.01, 0.0, -0.01, 0.01]
        shifted = {
            name: [[v + gain + w for v in run] for run, w in zip(level, wobble, strict=True)]
            for name, gain in {"entropy": -0.1, "margin": 0.1, "badge": 0.0}.items()
        }
        table = analysis.verdict_table(results({"random": level, **shifted}))
        (ax,) = plots.forest_plot(table).axes
        assert tick_names(ax) == ["entropy", "badge", "margin"]  # bottom to top
        assert words(ax) == [
            "worse than random",
            "no difference shown (5 seeds)",
            "better than random",
        ]
        points = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "s"]
        margin = table.set_index("strategy").loc["margin"]
        assert points == [margin["difference"]]
        assert any(list(line.get_xdata()) == [margin["low"], margin["high"]] for line in ax.lines)

    def test_forest_without_a_comparison_is_refused(self):
        with pytest.raises(ValueError, match="compares no strategy with 'random'"):
            plots.forest_plot(analysis.verdict_table(results({"random": [[0.5] * 5] * 2})))

    def test_penalty_matrix_shows_every_entry_and_the_column_means(self):
        names = ["random", "margin"]
        table = pd.DataFrame([[0, 0.25], [1.5, 0]], index=names, columns=names)
        fig = plots.penalty_heatmap(PenaltyMatrix(table, table.mean(axis=0), ("a", "b")))
        above, below = fig.axes
        assert words(above) == ["0.25", "1.5"]  # the diagonal is left out
        assert words(below) == ["0.75", "0.12"]
        assert tick_names(above) == names
        assert [t.get_text() for t in below.get_xticklabels()] == names
        assert "2 settings" in fig.get_suptitle()

    def test_savings_say_what_was_not_reached(self):
        line = [0.2, 0.3, 0.4, 0.6, 1.0]
        runs = {
            "random": [line] * 3,
            "margin": [[min(2 * v, 1) for v in line]] * 3,
            "entropy": [[v / 2 for v in line]] * 3,
        }
        table = analysis.label_savings(results(runs), targets=[0.8])
        (ax,) = plots.savings_plot(table).axes
        assert tick_names(ax) == ["entropy", "margin"]
        assert words(ax) == ["not reached", "2.00 ×"]

    def test_an_interval_without_an_end_runs_to_the_edge_with_an_arrow(self):
        table = pd.DataFrame(
            {
                "dataset": "digits",
                "metric": "accuracy",
                "strategy": ["margin", "entropy"],
                "target": "0.8",
                "target_value": 0.8,
                "savings": [2.0, 1.0],
                "low": [1.5, 0.5],
                "high": [np.inf, 1.2],
                "note": "",
            }
        )
        (ax,) = plots.savings_plot(table).axes
        edge = ax.get_xlim()[1]
        arrows = [line for line in ax.lines if line.get_marker() == ">"]
        assert [(a.get_xdata()[0], a.get_ydata()[0]) for a in arrows] == [(edge, 1)]

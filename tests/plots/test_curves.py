"""Learning curves and differences."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from al_tf import analysis, plots
from al_tf.plots.curves import MOST_TOGETHER

from .figures import curve_names, legend_names, simulated


class TestCurves:
    def test_accuracy_and_f1_stand_side_by_side_with_a_line_and_a_band_a_strategy(self):
        table = analysis.learning_curve_table(simulated(3), ["accuracy", "f1_macro"])
        fig = plots.learning_curves(table)
        assert [ax.get_title() for ax in fig.axes] == ["digits: accuracy", "digits: macro F1"]
        for ax in fig.axes:
            assert curve_names(ax) == ["random", "s1", "s2"]
            assert len(ax.collections) == 3
        assert legend_names(fig) == ["random", "s1", "s2"]

    def test_the_lines_are_the_tables_numbers(self):
        table = analysis.learning_curve_table(simulated(2))
        (ax,) = plots.learning_curves(table).axes
        line = next(line for line in ax.lines if line.get_label() == "s1")
        rows = table[table["strategy"] == "s1"]
        assert line.get_xdata().tolist() == rows["n_labeled"].tolist()
        assert line.get_ydata().tolist() == rows["mean"].tolist()
        band = ax.collections[1].get_paths()[0].get_extents()
        assert (band.y0, band.y1) == pytest.approx((rows["low"].min(), rows["high"].max()))

    def test_one_seed_has_no_band_and_says_so(self):
        fig = plots.learning_curves(analysis.learning_curve_table(simulated(2, n_seeds=1)))
        assert "one seed" in fig.get_suptitle()
        paths = [p for c in fig.axes[0].collections for p in c.get_paths()]
        assert sum(len(path.vertices) for path in paths if np.ptp(path.vertices) > 0) == 0

    def test_every_dataset_has_a_panel(self):
        both = pd.concat([simulated(2), simulated(2, "cifar10")])
        fig = plots.learning_curves(analysis.learning_curve_table(both))
        assert [ax.get_title() for ax in fig.axes] == ["digits", "cifar10"]

    def test_differences_are_drawn_against_a_dashed_zero_line_of_the_baseline(self):
        table = analysis.difference_curve_table(simulated(3))
        (ax,) = plots.difference_curves(table).axes
        assert curve_names(ax) == ["random", "s1", "s2"]
        zero = ax.lines[0]
        assert list(zero.get_ydata()) == [0, 0]
        assert zero.get_linestyle() == "--"

    def test_many_strategies_get_a_panel_each_beside_the_baseline(self):
        many = simulated(MOST_TOGETHER + 1)
        fig = plots.learning_curves(analysis.learning_curve_table(many))
        assert [ax.get_title() for ax in fig.axes] == [f"s{i}" for i in range(1, 9)]
        assert all(curve_names(ax) == ["random", ax.get_title()] for ax in fig.axes)
        assert legend_names(fig) == ["random"]
        together = plots.learning_curves(analysis.learning_curve_table(simulated(MOST_TOGETHER)))
        assert len(together.axes) == 1

    @pytest.mark.parametrize(("n", "n_columns"), [(8, 4), (9, 3), (10, 4)])
    def test_panels_of_the_second_metric_start_a_row(self, n, n_columns):
        table = analysis.learning_curve_table(simulated(n + 1), ["accuracy", "f1_macro"])
        places = [ax.get_subplotspec() for ax in plots.learning_curves(table).axes]
        assert len(places) == 2 * n
        assert {place.get_gridspec().ncols for place in places} == {n_columns}
        assert places[0].colspan.start == places[n].colspan.start == 0
        assert places[n].rowspan.start == -(-n // n_columns)

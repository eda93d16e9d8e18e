"""One look per strategy, for every reader."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import colors

from al_tf import analysis, plots
from al_tf.plots.looks import (
    _OTHER_COLORS,
    _OTHER_MARKERS,
    FALSE_ALARMS,
    MISSED_DEFECTS,
    PHASES,
    SLATE,
    STRATEGY_LOOKS,
    Look,
    strategy_look,
)
from al_tf.plots.style import WIDTH, caption
from al_tf.strategies import BUILT_IN

from .figures import simulated


class TestOneLook:
    def test_a_strategy_has_its_colour_in_every_figure(self):
        table = simulated(2).replace({"s1": "margin"})
        expected = STRATEGY_LOOKS["margin"].color
        figures = [
            plots.learning_curves(analysis.learning_curve_table(table)),
            plots.difference_curves(analysis.difference_curve_table(table)),
            plots.forest_plot(analysis.verdict_table(table)),
            plots.savings_plot(analysis.label_savings(table, targets=[0.7])),
        ]
        for fig in figures:
            drawn = {colors.to_hex(line.get_color()).upper() for line in fig.axes[0].lines}
            assert expected in drawn

    def test_captions_fit_on_their_figures(self):
        table = simulated(2)
        figures = [
            plots.learning_curves(analysis.learning_curve_table(table)),
            plots.forest_plot(analysis.verdict_table(table)),
            plots.savings_plot(analysis.label_savings(table, targets=[0.7])),
            plots.penalty_heatmap(analysis.penalty_matrix(table)),
        ]
        caption(figures[0], " ".join(["a long caption"] * 30))
        for fig in figures:
            fig.draw_without_rendering()
            written = fig._suptitle.get_window_extent()
            assert written.x0 >= 0
            assert written.x1 <= fig.bbox.x1

    def test_built_in_strategies_have_colours_of_their_own(self):
        looks = {name: strategy_look(name) for name in BUILT_IN}
        apart = distances("none", [look.color for look in looks.values()])
        closest = np.unravel_index(apart.argmin(), apart.shape)
        assert apart.min() > 12, [list(looks)[i] for i in closest]

    @pytest.mark.parametrize("blindness", ["none", "deuteranopia", "protanopia"])
    def test_strategies_that_share_a_marker_have_colours_far_apart_for_everyone(self, blindness):
        looks = {name: strategy_look(name) for name in BUILT_IN}
        markers = np.array([look.marker for look in looks.values()])
        apart = distances(blindness, [look.color for look in looks.values()])
        apart[markers[:, None] != markers] = np.inf
        closest = np.unravel_index(apart.argmin(), apart.shape)
        assert apart.min() > 30, [list(looks)[i] for i in closest]

    def test_what_is_no_strategy_has_no_strategys_colour(self):
        others = {SLATE, MISSED_DEFECTS, FALSE_ALARMS, *PHASES.values()}
        assert not others & {look.color for look in STRATEGY_LOOKS.values()}
        costs = pd.DataFrame(
            {
                "threshold": [0.1, 0.5],
                "missed": [0, 2],
                "false_alarms": [3, 1],
                "cost_per_image": [0.2, 0.1],
            }
        )
        right = plots.cost_curve(costs).axes[1]
        drawn = {line.get_label(): line.get_color() for line in right.lines}
        assert drawn == {"missed defects": MISSED_DEFECTS, "false alarms": FALSE_ALARMS}

    @pytest.mark.parametrize("blindness", ["none", "deuteranopia", "protanopia"])
    def test_strategies_usually_compared_stay_apart_for_colour_blind_readers(self, blindness):
        usual = ["random", "margin", "entropy", "uncertainty", "badge", "kcenter"]
        assert distances(blindness, [STRATEGY_LOOKS[name].color for name in usual]).min() > 15

    def test_an_unknown_name_keeps_the_look_it_first_got(self):
        # Stated here, so that every process and every later version must agree.
        assert plots.strategy_look("my_strategy") == ("#999933", ">")
        assert plots.strategy_look("my_strategy") != plots.strategy_look("your_strategy")

    def test_an_unknown_name_looks_like_no_built_in_strategy_and_has_no_usual_colour(self):
        usual = ("random", "margin", "entropy", "uncertainty", "badge", "kcenter")
        looks = {plots.strategy_look(f"my {i}") for i in range(2000)}
        assert not looks & set(STRATEGY_LOOKS.values())
        assert not {STRATEGY_LOOKS[name].color for name in usual} & {look.color for look in looks}
        every = {Look(color, marker) for color in _OTHER_COLORS for marker in _OTHER_MARKERS}
        assert looks == every - set(STRATEGY_LOOKS.values())

    def test_figures_have_readme_width_and_leave_global_state_alone(self):
        before = dict(mpl.rcParams)
        fig = plots.learning_curves(analysis.learning_curve_table(simulated(2)))
        assert fig.get_figwidth() == WIDTH
        assert dict(mpl.rcParams) == before
        from matplotlib import pyplot

        assert pyplot.get_fignums() == []

    def test_a_notebook_can_show_a_figure(self):
        fig = plots.learning_curves(analysis.learning_curve_table(simulated(2)))
        assert fig._repr_png_().startswith(b"\x89PNG")

    def test_importing_plots_loads_no_matplotlib(self):
        code = "import sys, al_tf.plots; print({'matplotlib', 'seaborn'} & set(sys.modules))"
        out = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert out.stdout.strip() == "set()"

    def test_every_public_name_is_there(self):
        assert all(callable(getattr(plots, name)) for name in plots.__all__)
        with pytest.raises(AttributeError, match="no attribute 'pie_chart'"):
            plots.pie_chart  # noqa: B018

    @pytest.mark.parametrize(
        "draw",
        [
            plots.learning_curves,
            plots.difference_curves,
            plots.forest_plot,
            plots.savings_plot,
            plots.class_balance,
            plots.seconds_by_phase,
        ],
    )
    def test_a_table_of_another_kind_is_refused_with_the_function_that_makes_the_right_one(
        self, draw
    ):
        with pytest.raises(ValueError, match=r"lacks the column.*al_tf\.analysis\.\w+"):
            draw(pd.DataFrame({"dataset": ["digits"]}))


def distances(blindness: str, hexes: Sequence[str]) -> np.ndarray:
    """Distances in CIELAB between colours as somebody sees them, infinite on the diagonal.

    Dichromats: Machado, Oliveira & Fernandes 2009.
    """
    matrix = {
        "none": np.eye(3),
        "protanopia": [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
        "deuteranopia": [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ],
    }[blindness]
    to_xyz = [  # linear sRGB to CIE XYZ, relative to the white point D65
        [0.433953, 0.376220, 0.189828],
        [0.212673, 0.715152, 0.072175],
        [0.017758, 0.109477, 0.872766],
    ]
    srgb = np.array([colors.to_rgb(h) for h in hexes])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    xyz = (linear @ np.transpose(matrix)).clip(0, 1) @ np.transpose(to_xyz)
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = f.T
    lab = np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)
    apart = np.linalg.norm(lab[:, None] - lab, axis=2)
    np.fill_diagonal(apart, np.inf)
    return apart

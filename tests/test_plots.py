from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import colors
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from al_tf import analysis, plots
from al_tf.analysis import PenaltyMatrix
from al_tf.plots.curves import MOST_TOGETHER
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
from al_tf.plots.style import WIDTH
from al_tf.strategies import BUILT_IN
from tests.analysis._curves import experiment, results, simulate

PROVENANCE = {"command": "al-tf report demo", "config_hash": "ab12", "seeds": [0, 1], "Größe": "×"}


def simulated(n_strategies: int, dataset: str = "digits", n_seeds: int = 5) -> pd.DataFrame:
    accuracy = simulate(np.random.default_rng(3), 1, n_strategies, n_seeds, gain=0.02)[0]
    return experiment(accuracy, dataset=dataset)


def curve_names(ax: Axes) -> list[str]:
    return [str(line.get_label()) for line in ax.lines if not line.get_label().startswith("_")]


def legend_names(fig: Figure) -> list[str]:
    return [text.get_text() for legend in fig.legends for text in legend.get_texts()]


def tick_names(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.get_yticklabels()]


def words(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


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


class TestWhatWasAskedFor:
    RECORDS = pd.DataFrame(
        {
            "dataset": "digits",
            "strategy": ["random", "margin"],
            "seed": 0,
            "round": 1,
            "queried_labels": [[0, 1], [1, 1]],
        }
    )

    def test_class_balance_has_a_panel_a_strategy_on_one_scale(self):
        fig = plots.class_balance(analysis.queried_class_table(self.RECORDS, ["good", "bad"]))
        random, margin, _scale = fig.axes
        assert (random.get_title(), margin.get_title()) == ("random", "margin")
        assert random.collections[0].get_array().ravel().tolist() == [0.5, 0.5]
        assert margin.collections[0].get_array().ravel().tolist() == [0, 1]
        assert random.collections[0].get_clim() == margin.collections[0].get_clim() == (0, 1)
        assert tick_names(random) == ["good", "bad"]

    def test_seconds_are_stacked_by_phase(self):
        table = pd.DataFrame(
            {
                "dataset": "digits",
                "strategy": ["margin"] * 3 + ["random"] * 3,
                "phase": ["query", "fit", "eval"] * 2,
                "seconds": [3.0, 2.0, 1.0, 0.0, 2.0, 1.0],
            }
        )
        fig = plots.seconds_by_phase(table)
        (ax,) = fig.axes
        assert tick_names(ax) == ["random", "margin"]
        ends = [bar.get_x() + bar.get_width() for bar in ax.containers[-1]]
        assert ends == [3.0, 6.0]
        assert legend_names(fig) == ["query", "fit", "test"]

    def test_a_query_map_shows_rest_labeled_and_queried_for_each_strategy(self):
        points = np.random.default_rng(0).normal(size=(30, 2))
        asked = {"random": [3, 4], "margin": [5, 6, 7]}
        fig = plots.query_map(points, [0, 1, 2], asked, explained=(0.5, 0.25))
        assert [ax.get_title() for ax in fig.axes] == ["random", "margin"]
        rest, labeled, queried = fig.axes[1].collections
        assert len(rest.get_offsets()) == 30 - 3 - 3
        assert labeled.get_offsets().tolist() == points[:3].tolist()
        assert queried.get_offsets().tolist() == points[5:8].tolist()
        assert fig.axes[0].get_ylabel() == "PC 2 (25% of variance)"

    def test_a_query_map_refuses_features_and_indices_outside_the_pool(self):
        with pytest.raises(ValueError, match="project_2d first"):
            plots.query_map(np.zeros((5, 3)), [0], {"random": [1]})
        with pytest.raises(ValueError, match=r"'margin' run from 5 to 5, outside the 5 points"):
            plots.query_map(np.zeros((5, 2)), [0], {"margin": [5]})
        with pytest.raises(ValueError, match="at least one strategy"):
            plots.query_map(np.zeros((5, 2)), [0], {})

    def test_projection_keeps_the_directions_that_vary_most(self):
        generator = np.random.default_rng(0)
        features = generator.normal(size=(200, 5)) * [1, 10, 0.1, 0.1, 3]
        coordinates, explained = plots.project_2d(features)
        assert abs(np.corrcoef(coordinates[:, 0], features[:, 1])[0, 1]) > 0.99
        assert abs(np.corrcoef(coordinates[:, 1], features[:, 4])[0, 1]) > 0.99
        assert explained[0] > 0.85
        again, _ = plots.project_2d(features)
        assert (again == coordinates).all()

    def test_projection_refuses_what_has_no_two_dimensions(self):
        with pytest.raises(ValueError, match=r"got \(10, 1\)"):
            plots.project_2d(np.zeros((10, 1)))

    def gallery(self, k: int = 10, **options: object) -> Figure:
        generator = np.random.default_rng(0)
        images = generator.integers(0, 256, (k, 6, 6, 1), dtype=np.uint8)
        probabilities = np.tile([0.2, 0.7, 0.1], (k, 1))
        return plots.query_gallery(
            images, probabilities, np.linspace(1, 0, k), ["a", "b", "c"], **options
        )

    def test_a_gallery_shows_prediction_score_and_the_nearest_labeled_image(self):
        nearest = np.zeros((10, 6, 6))
        fig = self.gallery(nearest_images=nearest, nearest_classes=[2] * 10, title="margin")
        assert len(fig.axes) == 16
        assert fig.axes[0].get_title() == "b\np = 0.70\nscore 1"
        assert fig.axes[8].get_title() == "c"
        assert fig.axes[8].images[0].get_array().tolist() == nearest[0].tolist()
        assert fig.get_suptitle() == "margin: 8 of 10 queried images"

    def test_a_gallery_of_colour_images_alone(self):
        colour = np.random.default_rng(0).random((2, 4, 4, 3))
        fig = plots.query_gallery(colour, np.eye(2), [2.0, 1.0], ["a", "b"])
        assert [ax.images[0].get_array().shape for ax in fig.axes] == [(4, 4, 3)] * 2

    def test_a_gallery_refuses_parts_that_do_not_fit(self):
        with pytest.raises(ValueError, match=r"2 images, probabilities \(3, 2\)"):
            plots.query_gallery(np.zeros((2, 4, 4)), np.ones((3, 2)), [1, 2], ["a", "b"])
        with pytest.raises(ValueError, match="3 images were queried, but 2"):
            self.gallery(3, nearest_images=np.zeros((2, 6, 6)))


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


class TestProvenance:
    @pytest.fixture
    def fig(self) -> Figure:
        return plots.learning_curves(analysis.learning_curve_table(simulated(2)))

    def test_is_read_back_and_the_table_with_it(self, fig, tmp_path):
        table = analysis.learning_curve_table(simulated(2)).assign(dataset="Stückgut, 数字")
        path = plots.save_figure(fig, tmp_path / "new" / "curves", PROVENANCE, table=table)
        assert path == tmp_path / "new" / "curves.png"
        assert list(path.parent.iterdir()) == [path]
        assert plots.read_provenance(path) == PROVENANCE
        pd.testing.assert_frame_equal(plots.read_figure_table(path), table, check_dtype=False)

    def test_a_suffix_is_understood_and_a_dot_in_the_name_kept(self, fig, tmp_path):
        names = [plots.save_figure(fig, tmp_path / n, PROVENANCE).name for n in ("a.png", "v0.1")]
        assert names == ["a.png", "v0.1.png"]

    def test_the_same_figure_has_the_same_bytes(self, tmp_path):
        table = analysis.learning_curve_table(simulated(2))
        contents = [
            plots.save_figure(
                plots.learning_curves(table), tmp_path / name, PROVENANCE, table=table, n_colors=256
            ).read_bytes()
            for name in ("one", "two")
        ]
        assert contents[0] == contents[1]

    def test_a_chart_of_few_colors_looks_the_same_and_is_smaller(self, fig, tmp_path):
        whole = plots.save_figure(fig, tmp_path / "whole", PROVENANCE)
        few = plots.save_figure(fig, tmp_path / "few", PROVENANCE, n_colors=256)
        assert few.stat().st_size < 0.6 * whole.stat().st_size
        images = [np.asarray(Image.open(path).convert("RGB"), float) for path in (whole, few)]
        difference = np.abs(images[0] - images[1]).max(axis=2)
        assert difference.mean() < 1
        assert difference.max() < 32

    def test_a_failed_write_leaves_the_old_file_and_no_other(self, fig, tmp_path, monkeypatch):
        old = plots.save_figure(fig, tmp_path / "curves", PROVENANCE)
        before = old.read_bytes()

        def full_disk(*_: object) -> None:
            raise OSError("No space left on device")

        monkeypatch.setattr("os.replace", full_disk)
        with pytest.raises(OSError, match="No space"):
            plots.save_figure(fig, tmp_path / "curves", {"command": "another"})
        assert old.read_bytes() == before
        assert list(tmp_path.iterdir()) == [old]

    def test_is_required_and_strict_json(self, fig, tmp_path):
        with pytest.raises(ValueError, match="saved with its provenance"):
            plots.save_figure(fig, tmp_path / "curves", {})
        with pytest.raises(ValueError, match="JSON"):
            plots.save_figure(fig, tmp_path / "curves", {"score": float("nan")})
        assert not list(tmp_path.iterdir())

    def test_reading_says_what_is_wrong_with_a_file(self, fig, tmp_path):
        fig.savefig(tmp_path / "bare.png")
        with pytest.raises(ValueError, match="carries no provenance"):
            plots.read_provenance(tmp_path / "bare.png")
        plots.save_figure(fig, tmp_path / "alone", PROVENANCE)
        with pytest.raises(ValueError, match="carries no table"):
            plots.read_figure_table(tmp_path / "alone.png")
        with pytest.raises(ValueError, match=r"Expected a \.png file; got 'figure\.pdf'"):
            plots.read_provenance(tmp_path / "figure.pdf")

    def test_keeps_apart_what_each_study_was_made_with(self):
        studies = {
            name: {
                "config": {"dataset": "digits", "seeds": [1, 0]},
                "command": ["al-tf", "run"],
                "config_hash": name,
                "data_fingerprint": f"data of {name}",
                "versions": {"numpy": name},
                "records_sha256": f"records of {name}",
                "platform": "not kept",
            }
            for name in ("old", "new")
        }
        provenance = plots.build_provenance(studies, command="al-tf report", metric="f1_macro")
        assert json.loads(json.dumps(provenance)) == provenance
        assert provenance["metric"] == "f1_macro"
        for name, facts in provenance["studies"].items():
            assert facts == {
                "dataset": "digits",
                "seeds": [0, 1],
                "command": ["al-tf", "run"],
                "config_hash": name,
                "data_fingerprint": f"data of {name}",
                "versions": {"numpy": name},
                "records_sha256": f"records of {name}",
            }


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

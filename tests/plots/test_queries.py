"""Classes, seconds and images of the queries."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from al_tf import analysis, plots

from .figures import legend_names, tick_names


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

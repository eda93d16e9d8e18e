"""Figures carry their provenance."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from al_tf import analysis, plots

from .figures import simulated

PROVENANCE = {"command": "al-tf report demo", "config_hash": "ab12", "seeds": [0, 1], "Größe": "×"}


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

"""Answers of a ledger that a model disputes, and the command that lists them."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from typer.testing import CliRunner

from al_tf.cli.main import app
from al_tf.labeling import FolderPool, LabelingSession, LabelLedger, suspects
from al_tf.labeling.desk_settings import DeskSettings, store_settings
from al_tf.labeling.pool_features import PoolFeatures
from al_tf.labeling.review_list import ReviewFilter
from al_tf.labeling.suspects import suspect_answers
from al_tf.network.probe import LinearProbeClassifier
from al_tf.suspects import out_of_fold_proba

from .makers import write_image
from .work import CLASSES, FakeBackbone, NearestMean


class TestSuspectAnswers:
    @pytest.fixture(autouse=True)
    def _cache(self, tmp_path, monkeypatch):
        monkeypatch.setenv("AL_TF_CACHE_DIR", str(tmp_path / "cache"))

    @pytest.fixture
    def mistaken(self, desk):
        """A ledger of 60 answers, three of them wrong; and which."""
        ledger = LabelLedger(desk.path, synchronous="NORMAL")
        ledger.fix_classes(CLASSES)
        wrong = set(desk.pool.ids[:3])
        for image in desk.pool.ids[:60]:
            truth = desk.truth(image)
            label = CLASSES[truth == CLASSES[0]] if image in wrong else truth
            ledger.label(image, label, annotator="ann", name=desk.pool.name(image))
        return ledger, wrong

    def test_wrong_answers_come_first(self, desk, mistaken):
        ledger, wrong = mistaken
        inputs = PoolFeatures(desk.pool, FakeBackbone())
        table = suspect_answers(ledger.answers(), inputs, ledger.classes)
        assert list(table.columns) == [
            "image", "name", "label", "annotator", "predicted", "score", "disputed",
        ]  # fmt: skip
        assert len(table) == 60
        assert table["score"].is_monotonic_increasing
        assert wrong <= set(table["image"][:8])
        assert table["disputed"].iloc[0]
        again = suspect_answers(ledger.answers(), inputs, ledger.classes)
        pd.testing.assert_frame_equal(table, again)

    def test_audit_answers_are_left_out(self, desk, mistaken):
        ledger, _ = mistaken
        audited = desk.pool.ids[70]
        ledger.label(audited, CLASSES[0], annotator="ann", purpose="audit")
        ledger.skip(desk.pool.ids[71], annotator="ann")
        inputs = PoolFeatures(desk.pool, FakeBackbone())
        table = suspect_answers(ledger.answers(), inputs, ledger.classes)
        assert not {audited, desk.pool.ids[71]} & set(table["image"])

    def test_images_need_an_estimator_that_takes_them(self, desk, mistaken):
        ledger, _ = mistaken
        with pytest.raises(ValueError, match=r"these are images\. Pass PoolFeatures"):
            suspect_answers(ledger.answers(), desk.pool, CLASSES)
        with pytest.raises(ValueError, match=r"got 0 label\(s\) of 0 class"):
            suspect_answers({}, desk.pool, CLASSES)

    @pytest.mark.parametrize("group", [r"(tile \d+)_\d+", None])
    @pytest.mark.parametrize("where", ["grid", "command"])
    def test_no_other_image_of_a_part_has_taught_the_judge(
        self, tmp_path, monkeypatch, where, group
    ):
        for i in range(24):
            value = 2 * i + 150 * (i // 3 % 2)
            write_image(tmp_path / "in" / f"tile {i // 3}_{i % 3}.png", value, side=6)
        pool = FolderPool(tmp_path / "in", size=6)
        judged_by = {}

        def recorded(*arguments, groups, **options):
            judged_by["groups"] = groups
            return out_of_fold_proba(*arguments, groups=groups, **options)

        monkeypatch.setattr(suspects, "out_of_fold_proba", recorded)
        options = {"classes": CLASSES, "audit_share": 0.0, "group": group, "random_state": 0}
        probe = LinearProbeClassifier(FakeBackbone())
        with LabelingSession(probe, pool, tmp_path / "labels.db", **options) as session:
            while (item := session.next()) is not None:
                tile = int(item.name.split()[1].split("_")[0])
                session.label(CLASSES[tile % 2], slot=item.slot)
            store_settings(session.ledger, DeskSettings("cnn", None, 6, grey=True))
            if where == "grid":
                session.reviewer.rows(ReviewFilter("suspects"))
        if where == "command":
            monkeypatch.setattr(DeskSettings, "build_estimator", lambda *_: MeanOfImages())
            arguments = ["suspects", str(tmp_path / "labels.db"), "--images", str(tmp_path / "in")]
            done = CliRunner().invoke(app, arguments)
            assert done.exit_code == 0, done.output
        n_groups, counts = np.unique(judged_by["groups"], return_counts=True)
        if group is None:
            assert set(n_groups) == set(pool.ids)
        else:
            assert (len(n_groups), set(counts)) == (8, {3})

    def test_command(self, tmp_path, monkeypatch):
        rng = np.random.default_rng(0)
        for i in range(24):
            write_image(tmp_path / "in" / f"{i}.png", value=int(rng.integers(60)) + 150 * (i % 2))
        pool = FolderPool(tmp_path / "in")
        with LabelLedger(tmp_path / "labels.db") as ledger:
            ledger.fix_classes(CLASSES)
            for image in pool.ids:
                bright = pool.seen_by_model(image).mean() > 128
                is_wrong = pool.name(image) == "4.png"
                label = CLASSES[bool(bright) != is_wrong]
                ledger.label(image, label, annotator="ann", name=pool.name(image))
            store_settings(ledger, DeskSettings("cnn", None, 16, grey=True))
        monkeypatch.setattr(DeskSettings, "build_estimator", lambda *_: MeanOfImages())
        out = tmp_path / "suspects.csv"
        arguments = ["suspects", str(tmp_path / "labels.db"), "--images", str(tmp_path / "in")]
        done = CliRunner().invoke(app, [*arguments, "--top", "2", "--out", str(out)])
        assert done.exit_code == 0, done.output
        lines = done.output.splitlines()
        assert lines[0].split() == ["name", "label", "predicted", "score", "annotator"]
        assert lines[1].split()[:3] == ["4.png", "bright", "dark"]
        assert lines[3] == f"1 of {len(pool.ids)} labels are disputed."
        assert len(pd.read_csv(out)) == len(pool.ids)


class MeanOfImages(BaseEstimator, NearestMean):
    """Can be cloned."""

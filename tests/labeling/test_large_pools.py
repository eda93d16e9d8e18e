"""Features of a large pool: in a file, once for everybody, a part of them scored before each batch."""

import os
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest

from al_tf.datasets import LazyImageFolder
from al_tf.labeling import (
    ArrayPool,
    FolderPool,
    choosing,
    feature_table,
    pool_features,
    scored_model,
)
from al_tf.labeling.audit import audit_rank
from al_tf.labeling.feature_table import FeatureTable, as_float32
from al_tf.labeling.pool_features import EmbeddingStoppedError, PoolFeatures
from al_tf.network.probe import LinearProbeClassifier
from tests.network.test_feature_store import CountingBackbone

from .makers import make_folder, write_image
from .work import CLASSES, PATIENCE, Desk, FakeBackbone, wait_for

BLOCK = 8


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AL_TF_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def small_blocks(monkeypatch):
    """Pools of more than 24 images are large."""
    for module in (feature_table, scored_model):
        monkeypatch.setattr(module, "BLOCK", BLOCK)
    monkeypatch.setattr(scored_model, "SCORED_AT_ONCE", 3 * BLOCK)
    monkeypatch.setattr(choosing, "MAX_CANDIDATES", 3 * BLOCK)


@pytest.fixture
def features():
    return np.random.default_rng(0).normal(size=(30, 5)).astype(np.float32)


NAMES = [f"{i:02d}" for i in range(30)]


def filled(features, **options):
    table = FeatureTable(features.shape[1], **options)
    for start in range(0, len(features), 7):
        table.add(NAMES[start : start + 7], features[start : start + 7])
    return table


class TestTable:
    def test_rows_are_those_that_were_added_to_half_precision(self, small_blocks, features):
        table = filled(features)
        wanted = ["29", "03", "16", "03"]
        rows = table.rows(wanted)
        assert (rows.dtype, table.dtype, len(table)) == (np.float32, np.float16, 30)
        np.testing.assert_array_equal(rows, features[[29, 3, 16, 3]].astype(np.float16))
        table.add(["03", "new"], [features[0], features[1]])  # the first is there already
        np.testing.assert_array_equal(table.rows(["03"]), features[[3]].astype(np.float16))
        assert "new" in table

    def test_blocks_hold_all_in_the_order_of_adding(self, small_blocks, features):
        blocks = list(filled(features).blocks())
        assert [len(names) for names, _ in blocks] == [8, 8, 8, 6]
        assert [name for names, _ in blocks for name in names] == NAMES
        rows = np.concatenate([rows for _, rows in blocks])
        np.testing.assert_array_equal(rows, features.astype(np.float16))

    def test_a_block_is_handed_out_in_parts(self, small_blocks, features, monkeypatch):
        monkeypatch.setattr(feature_table, "ROWS_AT_ONCE", 3)
        parts = list(filled(features).blocks([1, 3]))
        assert [names for names, _ in parts] == [
            NAMES[8:11], NAMES[11:14], NAMES[14:16], NAMES[24:27], NAMES[27:30],
        ]  # fmt: skip
        rows = np.concatenate([rows for _, rows in parts])
        np.testing.assert_array_equal(rows, features[[*range(8, 16), *range(24, 30)]].astype("f2"))

    def test_every_half_comes_back_exactly(self):
        halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
        halves = halves[np.isfinite(halves)][:, np.newaxis]
        rows = as_float32(halves)
        assert rows.dtype == np.float32
        np.testing.assert_array_equal(rows, halves.astype(np.float32))
        np.testing.assert_array_equal(np.signbit(rows), np.signbit(halves))
        table = FeatureTable(1)
        table.add([str(i) for i in range(len(halves))], halves)
        np.testing.assert_array_equal(np.concatenate([r for _, r in table.blocks()]), halves)

    def test_values_that_are_no_numbers_are_kept_as_they_are(self, small_blocks, features):
        table = filled(features)
        table.add(["odd"], [np.array([np.nan, np.inf, 1, 2, 3])])
        np.testing.assert_array_equal(table.rows(["odd"])[0], [np.nan, np.inf, 1, 2, 3])

    def test_the_places_of_the_first_images_stay_when_others_come(self, small_blocks, features):
        table = filled(features)
        first = table.first(20)
        assert list(first) == NAMES[:20]
        assert (first["07"], "19" in first, "20" in first, len(first)) == (7, True, False, 20)

    def test_values_beyond_half_precision_make_all_rows_wider(self, small_blocks, features):
        table = filled(features)
        before = list(table.blocks())
        features[12] = 1e5
        table.add(["large"], features[12:13])
        np.testing.assert_array_equal(table.rows(["large"])[0], features[12])
        np.testing.assert_allclose(table.rows(["29"]), features[29:], rtol=1e-3)
        np.testing.assert_allclose(before[1][1][0], features[8], rtol=1e-3)  # who still reads it

    @pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="no Linux")
    def test_rows_take_no_memory_of_the_process(self, tmp_path):
        table = FeatureTable(512, tmp_path)
        for i in range(20):
            names = [f"{i}-{k}" for k in range(1_000)]
            table.add(names, np.ones((1_000, 512), np.float32))
        assert sum(len(rows) for _, rows in table.blocks()) == 20_000
        table.rows(names)
        smaps = Path("/proc/self/smaps").read_text().split("\n")
        places = [i for i, line in enumerate(smaps) if str(tmp_path) in line]
        resident = [int(smaps[i + 2 + k].split()[1]) for i in places for k in range(3)
                    if smaps[i + 2 + k].startswith("Rss")]  # fmt: skip
        assert len(resident) == len(places) == 5
        assert sum(resident) < 1_000  # kB, of 20,480

    def test_the_file_goes_with_the_table(self, tmp_path, features):
        table = filled(features, folder=tmp_path / "new")
        assert len(table) == 30
        del table
        assert os.listdir(tmp_path / "new") == []

    def test_a_disk_without_room_is_said_once_and_rows_are_in_memory(
        self, small_blocks, features, monkeypatch
    ):
        def refuse(**options):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
        with pytest.warns(RuntimeWarning, match="held in memory.*No space left") as said:
            table = filled(features)
        assert len(said) == 1
        np.testing.assert_array_equal(table.rows(NAMES), features.astype(np.float16))


class TestOneStore:
    """What was embedded once is found by whoever asks for the same pixels."""

    @pytest.fixture
    def folder(self, tmp_path):
        return make_folder(tmp_path / "images", 9)

    def test_the_desk_finds_what_an_experiment_has_embedded(self, folder):
        backbone = CountingBackbone()
        computed = backbone.features(LazyImageFolder(folder, size=12))
        pool = FolderPool(folder, size=12)
        ((ids, features),) = PoolFeatures(pool, backbone).chunks(pool.ids)
        assert (backbone.embedded, len(ids)) == (9, 9)
        np.testing.assert_array_equal(features, computed.astype(np.float16))

    def test_an_experiment_finds_what_the_desk_has_embedded(self, folder):
        backbone = CountingBackbone()
        PoolFeatures(FolderPool(folder, size=12), backbone).embed_pool()
        assert backbone.embedded == 9
        backbone.features(LazyImageFolder(folder, size=12))
        assert backbone.embedded == 9
        backbone.features(LazyImageFolder(folder, size=16))  # other pixels
        assert backbone.embedded == 18

    def test_files_whose_features_are_kept_are_not_read_again(self, folder, monkeypatch):
        backbone = CountingBackbone()
        PoolFeatures(FolderPool(folder, size=12), backbone).embed_pool()
        pool = FolderPool(folder, size=12)
        monkeypatch.setattr(pool, "_decode", lambda image: pytest.fail("a file was read"))
        features = PoolFeatures(pool, backbone)
        features.embed_pool()
        assert (features.count(), features.complete, backbone.embedded) == (9, True, 9)

    def test_files_with_the_same_pixels_are_embedded_once(self, folder):
        (folder / "copy.png").write_bytes((folder / "0.png").read_bytes() + b"\0")
        backbone = CountingBackbone()
        features = PoolFeatures(FolderPool(folder, size=12), backbone)
        features.embed_pool()
        assert (features.count(), backbone.embedded) == (10, 9)

    def test_an_image_that_was_away_is_embedded_when_it_is_back(self, folder):
        backbone = CountingBackbone()
        pool = FolderPool(folder, size=12)
        features = PoolFeatures(pool, backbone)
        away = folder / "3.png"
        data = away.read_bytes()
        away.unlink()
        pool.refresh()
        features.embed_pool()
        assert (features.count(), features.complete, backbone.embedded) == (8, True, 8)
        away.write_bytes(data)
        write_image(folder / "new.png", seed=77)
        pool.refresh()
        assert not features.complete
        assert len(features.missing()) == 2
        features.embed_pool()
        assert (features.count(), features.complete, features.missing()) == (10, True, [])
        (folder / "4.png").unlink()
        pool.refresh()
        assert (features.count(), features.complete) == (9, True)


class TestScoring:
    @pytest.fixture
    def desk(self, tmp_path):
        return Desk(tmp_path / "labels.db", n=120)

    @pytest.fixture
    def session(self, desk, small_blocks):
        options = {"audit_share": 0.1, "repeat_share": 0.0, "auto_retrain": True, "batch_size": 5}
        desk.session(
            LinearProbeClassifier(FakeBackbone()), **options
        ).close()  # leaves the features
        session = desk.session(LinearProbeClassifier(FakeBackbone()), **options)
        assert session.wait(PATIENCE)
        yield session
        session.close()

    def test_a_batch_is_chosen_with_all_labels_among_a_part_of_the_pool(
        self, session, desk, monkeypatch
    ):
        scored = []
        monkeypatch.setattr(session._trainer._scoring, "start", lambda work: scored.append(work))
        for batch in range(3, 8):
            desk.answer(session, 5)
            item = session.next()
            model = session._trainer.model
            audited = sum(e.purpose == "audit" for e in session.ledger.answers().values())
            labels = len(session.ledger.answers()) - audited
            assert (model.labels, session.training.labels) == (labels, labels)
            assert 3 * BLOCK <= len(model.ids) < 3 * BLOCK + 5 * batch
            assert set(session.ledger.answers()) <= set(model.ids)
            assert item.round == session.training.round
        assert len(scored) == 5

    def test_all_others_are_scored_after_it(self, session, desk):
        desk.answer(session, 10)
        assert session.wait(PATIENCE)
        model = session._trainer.model
        assert set(model.ids) == set(desk.pool.ids)
        part = model.sampled([])
        assert len(part.ids) == 3 * BLOCK
        np.testing.assert_array_equal(part.proba, model.proba_of(part.ids))
        others = [image for image in desk.pool.ids if image not in part.row_of]
        np.testing.assert_array_equal(part.proba_of(others), model.proba_of(others))
        assert {i: part.predicted()[i] for i in desk.pool.ids} == dict(model.predicted())

    def test_what_is_shown_has_predictions_whether_it_was_scored_or_not(self, session, desk):
        desk.answer(session, 10)
        session.wait(PATIENCE)
        newest = session._trainer._newest
        model, number, seconds = newest.trained
        newest.replace(model.sampled([]), number, seconds)
        slots = session.ledger.queue.waiting("annotator") or [session.next()]
        assert slots
        for item in (session.next(), *session.ahead(4)):
            blind = item.strategy != "margin"
            assert len(item.predictions) == (0 if blind else len(CLASSES))

    def test_everything_is_labeled_in_the_end_and_the_audit_is_not_learned(self, session, desk):
        seed = session.ledger.setting("seed")
        shown = desk.answer(session, 200)
        images = [item.image_id for item in shown]
        assert sorted(images) == sorted(desk.pool.ids)
        events = session.ledger.answers()
        for image, event in events.items():
            assert (event.purpose == "audit") == (audit_rank(image, seed) < 0.1)

    def test_the_same_labels_give_the_same_batch(self, desk, small_blocks, tmp_path):
        def shown(ledger):
            session = desk.session(
                LinearProbeClassifier(FakeBackbone(), cache_dir=tmp_path / f"{ledger}-features"),
                ledger=tmp_path / ledger, audit_share=0.1, auto_retrain=True, batch_size=5,
            )  # fmt: skip
            assert session.wait(PATIENCE)
            images = [item.image_id for item in desk.answer(session, 30)]
            session.close()
            return images

        assert shown("one.db") == shown("two.db")


class TestColdStart:
    def test_typical_images_are_chosen_among_the_few_that_have_features(
        self, small_blocks, tmp_path, monkeypatch
    ):
        monkeypatch.setattr(pool_features, "READ_AT_ONCE", 12)
        desk = Desk(tmp_path / "labels.db", n=120)
        backbone = FakeBackbone()
        PoolFeatures(desk.pool, backbone).embed_pool()
        monkeypatch.setattr(PoolFeatures, "embed_pool", lambda self: None)
        first = []
        for name in ("one.db", "two.db"):
            with desk.session(
                LinearProbeClassifier(backbone), ledger=tmp_path / name, batch_size=5,
                cold_start="typiclust", audit_share=0.1, repeat_share=0.0,
            ) as session:  # fmt: skip
                session.next()
                first.append(session.ledger.queue.waiting("annotator"))
        chosen = [slot.image for slot in first[0] if slot.purpose == "query"]
        assert {slot.strategy for slot in first[0] if slot.purpose == "query"} == {"typiclust"}
        assert set(chosen) <= set(desk.pool.arrivals[:12])
        assert [slot.image for slot in first[1]] == [slot.image for slot in first[0]]


class TestPause:
    @pytest.fixture
    def inputs(self):
        rng = np.random.default_rng(0)
        pool = ArrayPool(rng.integers(0, 256, (200, 4, 4), dtype=np.uint8))
        return PoolFeatures(pool, FakeBackbone(side=4))

    def test_features_that_nobody_waits_for_are_computed_after_it(self, inputs):
        inputs.pause(60)
        behind = threading.Thread(target=inputs.embed_pool)
        behind.start()
        wanted = inputs.table
        inputs.compute(inputs.missing()[:5])  # what somebody waits for
        assert len(wanted) == 5
        inputs.go_on()
        behind.join(PATIENCE)
        assert inputs.complete

    def test_it_ends_with_its_time(self, inputs):
        inputs.pause(0.01)
        inputs.embed_pool()
        assert inputs.complete

    def test_it_ends_with_the_session(self, inputs):
        inputs.pause(60)
        inputs.stop()
        with pytest.raises(EmbeddingStoppedError):
            inputs.embed_pool()

    def test_one_pause_does_not_follow_at_once_upon_another(self, inputs):
        inputs.pause(60)
        inputs.go_on()
        inputs.pause(60)
        inputs.embed_pool()
        assert inputs.complete


def test_a_few_images_need_not_wait_for_all_others():
    backbone, parts, let_on = FakeBackbone(side=4), [], threading.Semaphore(0)
    compute = backbone.features

    def held(X, **options):
        parts.append(len(X))
        if len(X) == 4:  # of those in the background
            assert let_on.acquire(timeout=PATIENCE)
        return compute(X, **options)

    backbone.features = held
    pool = ArrayPool(np.random.default_rng(0).integers(0, 256, (203, 4, 4), dtype=np.uint8))
    inputs = PoolFeatures(pool, backbone)
    behind = threading.Thread(target=inputs.compute, args=(pool.ids[:-3], 4))
    behind.start()
    for n_begun, image in zip((1, 3, 5), pool.ids[-3:], strict=True):
        wait_for(lambda n=n_begun: len(parts) == n)
        asks = threading.Thread(target=inputs.compute, args=([image],))
        asks.start()
        wait_for(inputs._turn.locked)  # it waits for the part that is under way
        let_on.release()
        asks.join(PATIENCE)
    let_on.release(len(pool.ids))
    behind.join(PATIENCE)
    assert parts[:7] == [4, 1, 4, 1, 4, 1, 4]
    assert inputs.complete

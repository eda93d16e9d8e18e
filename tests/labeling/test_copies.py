"""One image under several names: asked about once, and known by all of its names."""

import json
import os
import shutil

import numpy as np
import pandas as pd
import pytest

from al_tf.labeling import FolderPool, LabelLedger
from al_tf.labeling.exchange import label_studio, predict
from al_tf.labeling.exchange.export import export_csv, export_folders
from al_tf.labeling.pool import ArrayPool
from al_tf.labeling.showing import build_item
from tests.labeling.makers import make_folder


@pytest.fixture
def pool(tmp_path):
    """Three images; the first is there under three names."""
    folder = make_folder(tmp_path / "images", 3)
    (folder / "again").mkdir()
    shutil.copy(folder / "0.png", folder / "again" / "0.png")
    shutil.copy(folder / "0.png", folder / "z.png")
    return FolderPool(folder)


NAMES = ("0.png", "again/0.png", "z.png")


@pytest.fixture
def ledger(tmp_path, pool):
    with LabelLedger(tmp_path / "labels.db") as book:
        book.fix_classes(["cat", "dog"])
        book.label(pool.ids[0], "cat", annotator="ann", name=pool.name(pool.ids[0]))
        book.label(pool.ids[1], "dog", annotator="ann", name=pool.name(pool.ids[1]))
        yield book


def test_a_pool_has_the_image_once_and_all_of_its_names(pool):
    assert len(pool) == 3
    assert pool.names(pool.ids[0]) == NAMES
    assert pool.name(pool.ids[0]) == "0.png"
    assert pool.title(pool.ids[0]) == "0.png (also again/0.png, z.png)"
    assert pool.title(pool.ids[1]) == "1.png"


def test_a_title_does_not_grow_without_end():
    pool = ArrayPool(np.zeros((9, 4, 4), np.uint8))
    assert pool.title(pool.ids[0]) == "image 0 (also image 1, image 2, image 3 and 5 more)"
    assert len(pool.names(pool.ids[0])) == 9


def test_names_of_an_image_that_has_gone_are_its_last(pool):
    image = pool.ids[0]
    for name in NAMES:
        (pool.folder / name).unlink()
    pool.refresh()
    assert image not in pool.ids
    assert pool.names(image) == NAMES


def test_the_desk_shows_all_names(pool, ledger):
    class Slot:
        id, image, score, strategy, purpose = 1, pool.ids[0], None, "random", "query"
        round, position, batch = 0, 1, 1

    assert build_item(Slot, pool, None, None).name == "0.png (also again/0.png, z.png)"


def test_the_table_of_labels_has_a_row_for_each_name(pool, ledger, tmp_path):
    assert export_csv(ledger, tmp_path / "short.csv") == 2
    assert export_csv(ledger, tmp_path / "labels.csv", pool=pool) == 4
    table = pd.read_csv(tmp_path / "labels.csv")
    assert dict(zip(table["name"], table["label"], strict=True)) == {
        **dict.fromkeys(NAMES, "cat"),
        "1.png": "dog",
    }
    assert export_csv(ledger, tmp_path / "history.csv", history=True, pool=pool) == 2


def test_a_labeled_image_that_has_gone_keeps_its_row(pool, ledger, tmp_path):
    (pool.folder / "1.png").unlink()
    pool.refresh()
    export_csv(ledger, tmp_path / "labels.csv", pool=pool)
    assert "1.png" in set(pd.read_csv(tmp_path / "labels.csv")["name"])


@pytest.mark.parametrize("how", ["copy", "link"])
def test_folders_have_a_file_for_each_name(pool, ledger, tmp_path, how):
    assert export_folders(ledger, pool, tmp_path / "out", how=how).written == 2
    assert sorted(os.listdir(tmp_path / "out" / "cat")) == ["0.png", "again%2F0.png", "z.png"]
    assert os.listdir(tmp_path / "out" / "dog") == ["1.png"]


def test_label_studio_may_name_any_of_them(pool, ledger, tmp_path):
    choice = {"type": "choices", "value": {"choices": ["dog"]}}
    ledger.undo("ann")
    ledger.undo("ann")
    tasks = [{"data": {"name": "z.png"}, "annotations": [{"id": 1, "result": [choice]}]}]
    (tmp_path / "tasks.json").write_text(json.dumps(tasks))
    done = label_studio.import_annotations(ledger, tmp_path / "tasks.json", pool=pool)
    assert (done.recorded, done.unmatched) == (1, ())
    assert ledger.answer(pool.ids[0]).label == "dog"


def test_predictions_have_a_row_for_each_name(pool, monkeypatch, tmp_path):
    class Network:
        def predict(self, images, **_):
            shade = images.reshape(len(images), -1).mean(axis=1) / 255
            return np.stack([shade, 1 - shade], axis=1)

    monkeypatch.setattr("al_tf.network.model_files.load_network", lambda model: Network())
    notes = {"classes": ["light", "dark"], "image_shape": [12, 12]}
    monkeypatch.setattr(predict, "_notes", lambda path: notes)
    table, problems = predict.predict_folder(tmp_path / "model.keras", pool.folder)
    assert problems == {}
    assert sorted(table["name"]) == sorted([*NAMES, "1.png", "2.png"])
    assert table.groupby("image")["margin"].nunique().eq(1).all()
    assert table["margin"].is_monotonic_increasing

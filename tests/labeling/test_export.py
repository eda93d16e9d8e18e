"""What comes out of a ledger: tables, folders, Label Studio tasks, a model and its predictions."""

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from al_tf.cli.main import app
from al_tf.errors import DataWarning
from al_tf.labeling import ArrayPool, FolderPool, LabelLedger
from al_tf.labeling.desk_settings import DeskSettings, store_settings
from al_tf.labeling.exchange.evaluate import evaluate_model
from al_tf.labeling.exchange.export import (
    export_csv,
    export_folders,
    export_model,
    safe_folders,
    safe_name,
)
from al_tf.labeling.exchange.label_studio import export_tasks
from al_tf.labeling.exchange.predict import ExportedModel

from .makers import make_folder, write_image
from .work import CLASSES, NearestMean, make_images

ODD_CLASSES = ['a,"b"', "../../up", "<b>bold</b>", "con", "Good", "good", ". ", "ä 漢/\\"]


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "images", len(ODD_CLASSES))


@pytest.fixture
def pool(folder):
    return FolderPool(folder, size=12)


@pytest.fixture
def labeled(tmp_path, pool):
    """A ledger with one image of each odd class."""
    ledger = LabelLedger(tmp_path / "labels.db")
    ledger.fix_classes(ODD_CLASSES)
    for image, label in zip(pool.ids, ODD_CLASSES, strict=True):
        ledger.label(image, label, annotator="ann", name=pool.name(image), seconds=2.0)
    return ledger


class TestCsv:
    def test_reads_back_as_it_was(self, labeled, tmp_path):
        assert export_csv(labeled, tmp_path / "out.csv") == len(ODD_CLASSES)
        table = pd.read_csv(tmp_path / "out.csv")
        assert table["label"].tolist() == ODD_CLASSES
        assert table["image"].tolist() == labeled.current()["image"].tolist()

    def test_history_has_what_was_taken_back_too(self, labeled, tmp_path):
        labeled.undo("ann")
        assert export_csv(labeled, tmp_path / "out.csv") == len(ODD_CLASSES) - 1
        rows = export_csv(labeled, tmp_path / "history.csv", history=True)
        assert rows == len(ODD_CLASSES) + 1


class TestFolders:
    def test_one_for_each_class_none_outside(self, labeled, pool, tmp_path):
        out = tmp_path / "deep" / "out"
        assert export_folders(labeled, pool, out).written == len(ODD_CLASSES)
        index = json.loads((out / "classes.json").read_text(encoding="utf-8"))
        assert sorted(index.values()) == sorted(ODD_CLASSES)
        assert {path.name for path in out.iterdir()} == {*index, "classes.json"}
        written = {
            hashlib.sha256(path.read_bytes()).hexdigest(): index[path.parent.name]
            for path in out.glob("*/*.png")
        }
        assert written == dict(labeled.current()[["image", "label"]].itertuples(index=False))
        assert {path.name for path in tmp_path.iterdir()} <= {
            "images", "deep", "labels.db", "labels.db-wal", "labels.db-shm",
        }  # fmt: skip

    def test_links(self, labeled, pool, tmp_path):
        export_folders(labeled, pool, tmp_path / "out", how="link")
        links = list((tmp_path / "out").glob("*/*.png"))
        assert len(links) == len(ODD_CLASSES)
        assert all(link.is_symlink() and link.read_bytes() for link in links)

    def test_what_is_gone_is_named(self, labeled, pool, tmp_path):
        pool.path(pool.ids[0]).unlink()
        done = export_folders(labeled, pool, tmp_path / "out")
        assert done.missing == ("0.png",)
        assert done.written == len(ODD_CLASSES) - 1

    def test_files_of_one_name_in_two_folders(self, tmp_path):
        write_image(tmp_path / "in" / "x" / "a.png", seed=1)
        write_image(tmp_path / "in" / "y" / "a.png", seed=2)
        pool = FolderPool(tmp_path / "in")
        ledger = LabelLedger(tmp_path / "labels.db")
        ledger.fix_classes(["a", "b"])
        for image in pool.ids:
            ledger.label(image, "a", annotator="ann")
        export_folders(ledger, pool, tmp_path / "out")
        names = sorted(path.name for path in (tmp_path / "out" / "a").iterdir())
        assert names == ["x%2Fa.png", "y%2Fa.png"]

    def test_images_of_an_array_become_png(self, tmp_path):
        images, labels = make_images(4)
        pool, ledger = ArrayPool(images), LabelLedger(tmp_path / "labels.db")
        ledger.fix_classes(["dark", "bright"])
        for image in pool.ids:
            ledger.label(image, str(labels[pool.row(image)]), annotator="ann")
        export_folders(ledger, pool, tmp_path / "out")
        again = FolderPool(tmp_path / "out", size=6)
        decoded = {again.name(i): again.seen_by_model(i) for i in again.ids}
        for row, label in enumerate(labels):
            assert np.array_equal(decoded[f"{label}/image {row}.png"], images[row])
        with pytest.raises(ValueError, match="images of this pool are an array"):
            export_folders(ledger, pool, tmp_path / "links", how="link")

    def test_never_into_a_folder_with_something_in_it(self, labeled, pool, tmp_path):
        with pytest.raises(ValueError, match="is not empty"):
            export_folders(labeled, pool, tmp_path)

    @pytest.mark.parametrize("text", [*ODD_CLASSES, "", "a" * 50, "50 %", "..", "NUL"])
    def test_names_are_safe_and_read_back(self, text):
        name = safe_name(text)
        assert not set(name) & set('/\\:*?"<>|.\0\n')
        assert name == name.strip()
        assert name
        if text:
            assert unquote(name) == text

    def test_long_names_fit(self):
        assert len(safe_name("漢" * 500).encode()) <= 200

    def test_folders_differ_where_case_does_not_count(self):
        folders = safe_folders(["Good", "good", "GOOD"])
        assert len({name.lower() for name in folders.values()}) == 3


class TestModel:
    @pytest.mark.keras
    def test_train_export_and_predict_on_the_command_line(self, tmp_path):
        rng = np.random.default_rng(0)
        ledger = LabelLedger(tmp_path / "labels.db")
        ledger.fix_classes(["good, really", "<bad>"])
        store_settings(ledger, DeskSettings("cnn", None, 16, bits=12))
        for i in range(40):
            write_image(tmp_path / "in" / f"{i}.png", value=int(rng.integers(60)) + 150 * (i % 2))
        pool = FolderPool(tmp_path / "in")
        for image in pool.ids:
            bright = pool.seen_by_model(image).mean() > 128
            ledger.label(image, ledger.classes[int(bright)], annotator="ann")
        ledger.close()
        (tmp_path / "in" / "broken.png").write_bytes(b"no")
        run = CliRunner()
        model, out = tmp_path / "model.keras", tmp_path / "predictions.csv"
        book = str(tmp_path / "labels.db")
        done = run.invoke(
            app,
            ["export", book, str(model), "--format", "model", "--images", str(tmp_path / "in"),
             ],
            catch_exceptions=False,
        )  # fmt: skip
        assert done.exit_code == 0, done.output
        with zipfile.ZipFile(model) as archive:
            notes = json.loads(archive.read("al_tf.json"))
        assert notes["classes"] == ["good, really", "<bad>"]
        assert notes["image_shape"] == [16, 16]
        assert notes["bits"] == ExportedModel(model).open_folder(tmp_path / "in").bits == 12
        done = run.invoke(
            app, ["predict", str(model), str(tmp_path / "in"), "--out", str(out)],
            catch_exceptions=False,
        )  # fmt: skip
        assert done.exit_code == 0, done.output
        assert "broken.png" in done.output
        table = pd.read_csv(out)
        assert list(table.columns) == [
            "name", "image", "predicted", "margin", "p(good, really)", "p(<bad>)",
        ]  # fmt: skip
        assert set(table["image"]) == set(pool.ids)
        assert sorted(table["name"]) == sorted(n for image in pool.ids for n in pool.names(image))
        assert table["margin"].is_monotonic_increasing
        labels = dict(ledger.current()[["image", "label"]].itertuples(index=False))
        assert (table["predicted"] == table["image"].map(labels)).mean() > 0.9
        export_csv(ledger, tmp_path / "labels.csv", pool=pool)
        with pytest.warns(DataWarning, match="1 without a label"):  # broken.png
            result = evaluate_model(model, tmp_path / "labels.csv", tmp_path / "in")
        by_image = table.drop_duplicates("image").set_index("image")["predicted"]
        assert list(result.predictions) == [by_image[image] for image in result.ids]
        assert list(result.labels) == [labels[image] for image in result.ids]

    @pytest.mark.keras
    def test_export_and_predict_show_what_takes_long_and_nothing_of_tensorflow(self, tmp_path):
        """With the log level that TensorFlow has by itself."""
        images, book, model = tmp_path / "in", tmp_path / "labels.db", tmp_path / "model.keras"
        with LabelLedger(book) as ledger:
            ledger.fix_classes(CLASSES)
            store_settings(ledger, DeskSettings("cnn", None, 16))
            pool = FolderPool(make_folder(images, 6))
            for i, image in enumerate(pool.ids):
                ledger.label(image, CLASSES[i % 2], annotator="ann")
        environment = {k: v for k, v in os.environ.items() if not k.startswith("TF_")}
        shown = []
        for arguments in (
            ["export", book, model, "--format", "model", "--images", images],
            ["predict", model, images, "--out", tmp_path / "predictions.csv"],
        ):
            code = "from al_tf import progress; progress.SECONDS_BETWEEN_LINES = 0.0\n"
            code += "from al_tf.cli.main import main; main()"
            command = [sys.executable, "-c", code, *map(str, arguments)]
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            shown.append({line.partition(":")[0].strip() for line in done.stderr.splitlines()})
        both = {"Loading Keras …", "Reading image files"}
        assert shown == [both | {"fit"}, both | {"Predicting"}]

    def test_only_keras_networks_become_keras_files(self, tmp_path):
        with pytest.raises(TypeError, match="NearestMean has no Keras network"):
            export_model(
                NearestMean(), tmp_path / "m.keras", classes=["a"], image_shape=(6, 6), labels=1
            )
        with pytest.raises(ValueError, match=r"ends in \.keras"):
            export_model(
                NearestMean(), tmp_path / "m.h5", classes=["a"], image_shape=(6, 6), labels=1
            )


class TestCommands:
    @pytest.mark.parametrize(
        ("form", "says"),
        [("csv", "8 images"), ("history", "8 events"), ("folders", "8 images"), ("label-studio", "8 tasks")],
    )  # fmt: skip
    def test_export(self, labeled, folder, tmp_path, form, says):
        arguments = ["export", str(labeled.path), str(tmp_path / "out"), "--format", form]
        done = CliRunner().invoke(app, [*arguments, "--images", str(folder)])
        assert done.exit_code == 0, done.output
        assert says in done.output

    def test_import(self, labeled, pool, tmp_path):
        export_tasks(labeled, pool, tmp_path / "tasks.json")
        arguments = ["import", str(labeled.path), str(tmp_path / "tasks.json")]
        done = CliRunner().invoke(app, arguments)
        assert done.output == "0 recorded, 8 in the ledger already.\n"

    def test_a_mistyped_ledger_is_not_created(self, tmp_path):
        done = CliRunner().invoke(app, ["import", str(tmp_path / "typo.db"), "tasks.json"])
        assert "there is no such ledger" in str(done.exception)
        assert not (tmp_path / "typo.db").exists()

    def test_import_begins_a_ledger_with_given_classes(self, labeled, pool, tmp_path):
        export_tasks(labeled, pool, tmp_path / "tasks.json")
        names = [part for label in ODD_CLASSES for part in ("--classes", label)]
        arguments = ["import", str(tmp_path / "new.db"), str(tmp_path / "tasks.json"), *names]
        done = CliRunner().invoke(app, arguments)
        assert done.output == "8 recorded, 0 in the ledger already.\n"
        assert LabelLedger(tmp_path / "new.db").current()["label"].tolist() == ODD_CLASSES

    @pytest.mark.parametrize("content", ["not JSON", "[]", '[{"data": {"image": "odd.png"}}]'])
    def test_a_failed_import_leaves_no_new_ledger(self, tmp_path, content):
        (tmp_path / "tasks.json").write_text(content)
        arguments = ["import", str(tmp_path / "new.db"), str(tmp_path / "tasks.json")]
        done = CliRunner().invoke(app, [*arguments, "--classes", "good,bad"])
        assert done.exit_code
        assert [path.name for path in tmp_path.iterdir()] == ["tasks.json"]

    @pytest.mark.parametrize("command", [["label"], ["label-studio", "serve", "--images"]])
    def test_a_failed_start_leaves_no_new_ledger(self, folder, tmp_path, command):
        ledger = tmp_path / "new.db"
        options = ["--ledger", str(ledger), "--model", "cnn", "--classes", "one"]
        done = CliRunner().invoke(app, [*command, str(folder), *options])
        assert "two" in str(done.exception)
        assert not list(tmp_path.glob("new.db*"))

    def test_a_failed_import_keeps_a_ledger_that_was_there(self, labeled, tmp_path):
        before = labeled.history()
        (tmp_path / "tasks.json").write_text("[]")
        arguments = ["import", str(labeled.path), str(tmp_path / "tasks.json")]
        assert CliRunner().invoke(app, arguments).exit_code
        assert labeled.history().equals(before)

    def test_csv_for_excel(self, labeled, tmp_path):
        out = tmp_path / "out.csv"
        done = CliRunner().invoke(app, ["export", str(labeled.path), str(out), "--excel"])
        assert done.exit_code == 0
        assert out.read_bytes().startswith(b"\xef\xbb\xbf")
        table = pd.read_csv(out, encoding="utf-8-sig")
        assert table["label"].tolist() == ODD_CLASSES
        assert set(table["image"].str.len()) == {12}

"""`al-tf evaluate`: a model beside labels, as people write them, and pictures of its mistakes."""

import re

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from al_tf.cli.main import app
from al_tf.errors import DataCorruptError, DataNotFoundError, UnknownLabelError
from al_tf.labeling import LabelLedger
from al_tf.labeling.exchange import predict
from al_tf.labeling.exchange.evaluate import evaluate_model
from al_tf.labeling.exchange.evaluation_report import mistakes_page, write_report

from .makers import write_image

VALUES = {"a.png": 250, "b.png": 200, "c <b>.png": 40, "d.png": 30, "sub/e.png": 220}
TRUTH = "name,label\na.png,light\nb.png,light\nc <b>.png,light\nd.png,dark\nsub/e.png,dark\n"


class Network:
    """Calls an image light by its mean."""

    def predict(self, images, **_):
        light = images.reshape(len(images), -1).mean(axis=1) / 255
        return np.stack([light, 1 - light], axis=1)


@pytest.fixture(autouse=True)
def model(monkeypatch, tmp_path):
    monkeypatch.setattr("al_tf.network.model_files.load_network", lambda path: Network())
    notes = {"classes": ["light", "dark"], "image_shape": [12, 12]}
    monkeypatch.setattr(predict, "_notes", lambda path: notes)
    return tmp_path / "model.keras"


@pytest.fixture
def folder(tmp_path):
    for name, value in VALUES.items():
        write_image(tmp_path / "images" / name, value=value)
    return tmp_path / "images"


def table(tmp_path, text, encoding="utf-8"):
    (tmp_path / "truth.csv").write_bytes(text.encode(encoding))
    return tmp_path / "truth.csv"


@pytest.fixture
def result(model, folder, tmp_path):
    return evaluate_model(model, table(tmp_path, TRUTH), folder)


class TestNumbers:
    def test_by_hand(self, result):
        light, dark = result.per_class()
        assert (light.images, light.missed, light.false_alarms) == (3, 1, 1)
        assert (dark.images, dark.missed, dark.false_alarms) == (2, 1, 1)
        assert result.accuracy.value == 0.6
        assert (result.commonest.label, result.commonest.accuracy.value) == ("light", 0.6)
        assert result.confusion().to_numpy().tolist() == [[2, 1], [1, 1]]

    def test_mistakes_come_first_the_surest_at_the_top(self, result):
        rows = result.table()
        assert rows["correct"].tolist() == [False, False, True, True, True]
        assert rows["name"].tolist() == ["sub/e.png", "c <b>.png", "a.png", "d.png", "b.png"]

    def test_thresholds(self, result):
        everything = result.by_recall("dark", 1.0)
        assert (everything.missed, everything.false_alarms) == (0, 2)
        assert everything.threshold == pytest.approx(1 - 220 / 255)
        cheapest, fair = result.by_costs("dark", 1, 10)
        assert (cheapest.missed, cheapest.false_alarms) == (1, 0)
        assert fair.threshold == pytest.approx(10 / 11)
        with pytest.raises(UnknownLabelError, match="'crack' is not one of the model's classes"):
            result.by_recall("crack", 0.9)

    @pytest.mark.parametrize("wish", [("--wanted-recall", "crack=0.9"), ("--costs", "crack=5:1")])
    def test_an_unknown_class_is_refused_before_anything_is_predicted(
        self, model, folder, tmp_path, monkeypatch, wish
    ):
        monkeypatch.setattr(Network, "predict", lambda *_, **__: pytest.fail("It predicted first."))
        truth = str(table(tmp_path, TRUTH))
        command = ["evaluate", str(model), truth, "--images", str(folder), *wish]
        done = CliRunner().invoke(app, command)
        assert isinstance(done.exception, UnknownLabelError)
        assert "'crack' is not one of the model's classes" in str(done.exception)
        assert "Accuracy" not in done.output

    def test_copies_count_once(self, model, folder, tmp_path):
        write_image(folder / "copy of a.png", value=250)
        truth = table(tmp_path, TRUTH + "copy of a.png,light\n")
        assert len(evaluate_model(model, truth, folder).ids) == 5

    def test_a_ledger_gives_its_audit_images(self, model, folder, tmp_path):
        pool = predict.ExportedModel(model).open_folder(folder)
        by_name = {pool.name(image): image for image in pool.ids}
        with LabelLedger(tmp_path / "l.db") as ledger:
            ledger.fix_classes(["light", "dark"])
            with pytest.raises(DataNotFoundError, match="audit images, found none yet"):
                evaluate_model(model, ledger.path, folder)
            for name, purpose in (("a.png", "query"), ("b.png", "audit"), ("d.png", "audit")):
                label = "light" if VALUES[name] > 99 else "dark"
                ledger.label(by_name[name], label, annotator="ann", name=name, purpose=purpose)
            ledger.label("0" * 64, "dark", annotator="ann", name="gone.png", purpose="audit")
        result = evaluate_model(model, ledger.path, folder)
        assert sorted(result.names) == ["b.png", "d.png"]
        assert result.problems == (f"gone.png: not in {folder} any more",)


class TestTables:
    @pytest.mark.parametrize("separator", [",", ";", "\t"])
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
    def test_separators_and_marks(self, model, folder, tmp_path, separator, encoding):
        truth = table(tmp_path, TRUTH.replace(",", separator), encoding)
        assert len(evaluate_model(model, truth, folder).ids) == 5

    def test_one_that_the_ledger_wrote(self, model, folder, tmp_path):
        text = (
            "id,kind,image,name,label,annotator\n1,label,abc,a.png,light,ann\n2,skip,d,b.png,,ann\n"
        )
        with pytest.warns(UserWarning, match="without a label in truth.csv"):
            result = evaluate_model(model, table(tmp_path, text), folder)
        assert (result.names, result.labels) == (("a.png",), ("light",))

    @pytest.mark.filterwarnings("ignore:.*without a label")
    @pytest.mark.parametrize(
        ("text", "error", "says"),
        [
            ("name,label\na.png,crack\n", UnknownLabelError, r"has the labels \['crack'\]"),
            ("name,label\nz.png,dark\n", DataNotFoundError, "1 of 1 files that are not beneath"),
            ("", DataCorruptError, "expected two columns"),
            ("name,label\n", DataNotFoundError, "found none of an image that can be read"),
            ("a.png\nb.png\n", DataCorruptError, "expected two columns"),
            ("a.png,dark\na.png,light\n", DataCorruptError, "labels dark and light"),
            ("a.png,dark\ncopy.png,light\n", DataCorruptError, "one image with the labels"),
        ],
    )
    def test_bad_ones(self, model, folder, tmp_path, text, error, says):
        write_image(folder / "copy.png", value=250)
        with pytest.raises(error, match=says):
            evaluate_model(model, table(tmp_path, text), folder)

    def test_in_another_encoding_or_missing(self, model, folder, tmp_path):
        with pytest.raises(DataCorruptError, match="CSV UTF-8"):
            evaluate_model(model, table(tmp_path, "a.png,größer\n", "latin-1"), folder)
        with pytest.raises(DataNotFoundError, match="there is no such table"):
            evaluate_model(model, tmp_path / "none.csv", folder)

    def test_a_damaged_image_is_named_and_left_out(self, model, folder, tmp_path):
        (folder / "d.png").write_bytes(b"no image")
        result = evaluate_model(model, table(tmp_path, TRUTH), folder)
        assert len(result.ids) == 4
        assert result.problems == ("d.png: cannot be read",)


class TestReport:
    def test_the_page_shows_each_mistake_and_no_markup_of_names(self, result):
        page = mistakes_page(result)
        assert page.count('src="data:image/png;base64,') == 2
        assert "c &lt;b&gt;.png" in page
        assert "c <b>.png" not in page
        assert not re.search(r"https?://|<script", page)
        assert page.count("1 of ") == 2  # missed, of each class

    def test_the_tables_say_the_same(self, result, tmp_path):
        write_report(result, tmp_path / "report")
        classes = pd.read_csv(tmp_path / "report" / "classes.csv", index_col="class")
        assert classes.loc["light", ["images", "missed", "false_alarms"]].tolist() == [3, 1, 1]
        assert classes.loc["dark", "recall_low"] == pytest.approx(result.per_class()[1].recall.low)
        assert len(pd.read_csv(tmp_path / "report" / "images.csv")) == 5
        confusion = pd.read_csv(tmp_path / "report" / "confusion.csv", index_col="label")
        assert confusion.loc["light", "dark"] == 1
        with pytest.raises(FileExistsError, match="Name a new folder"):
            write_report(result, tmp_path / "report")


class TestCommand:
    def run(self, *arguments):
        return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])

    def test_prints_and_writes(self, model, folder, tmp_path):
        truth = table(tmp_path, TRUTH)
        done = self.run(
            model, truth, "--images", folder, "--wanted-recall", "dark=0.9", "--costs",
            "dark=50:1", "--out", tmp_path / "out",
        )  # fmt: skip
        assert done.exit_code == 0, done.output
        assert "Always 'light': 60% (15% to 95%)" in done.output
        assert "takes at least 29 labeled defects; there are 2" in done.output
        assert "recall 100% (16% to 100%), precision 50% (7% to 93%)" in done.output
        assert "cost 2" in done.output
        assert (tmp_path / "out" / "index.html").is_file()
        again = self.run(model, truth, "--images", folder, "--out", tmp_path / "out")
        assert "exists already" in str(again.exception)

    @pytest.mark.parametrize(
        ("option", "value", "says"),
        [
            ("--wanted-recall", "0.9", "expected CLASS=RECALL"),
            ("--wanted-recall", "dark=much", "'much' is not a number"),
            ("--wanted-recall", "dark=95", "above 0 and at most 1"),
            ("--costs", "dark=50", "expected CLASS=MISSED:FALSE_ALARM"),
            ("--costs", "dark=0:1", "positive numbers"),
            ("--costs", "=5:1", "expected CLASS=MISSED:FALSE_ALARM"),
        ],
    )
    def test_bad_options_are_refused_before_anything_is_read(self, tmp_path, option, value, says):
        done = self.run("none.keras", "none.csv", "--images", "nowhere", option, value)
        assert done.exit_code == 2
        assert says in " ".join(done.output.replace("│", " ").split())

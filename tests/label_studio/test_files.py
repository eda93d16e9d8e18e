"""Files to and from a real Label Studio: what it takes from us, what we take from it."""

import json
import shutil
from urllib.parse import quote

import pandas as pd
import pytest

from al_tf.errors import AlTfError
from al_tf.labeling import FolderPool, LabelLedger
from al_tf.labeling.exchange.label_studio import (
    export_tasks,
    import_annotations,
    labeling_interface,
)
from tests.labeling.makers import write_image

from .studio import choice

CLASSES = ["good", "bad one", 'a,"b" & <ä 漢>']
NAMES = [
    "plain.png",
    "a b.png",
    "sub/ä%20&b.png",
    "sub/deep/漢 #1+(2).png",
    "x;y=z?.png",
    "skip.png",
]
TWO_CONTROLS = """
<View>
  <Image name="image" value="$image"/>
  <Choices name="light" toName="image" choice="multiple"><Choice value="dark"/><Choice value="bright"/></Choices>
  <Choices name="choice" toName="image"><Choice value="good"/><Choice value="bad one"/></Choices>
  <RectangleLabels name="box" toName="image"><Label value="spot"/></RectangleLabels>
  <TextArea name="note" toName="image"/>
</View>
"""


def make_ledger(path, classes=CLASSES):
    ledger = LabelLedger(path)
    ledger.fix_classes(classes)
    return ledger


@pytest.fixture
def folder(documents, request):
    """A flat folder and subfolders beneath Label Studio's document root."""
    folder = documents / f"tiles of {request.node.name}"[:60]
    for i, name in enumerate(NAMES):
        write_image(folder / name, seed=i, side=16)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def pool(folder):
    return FolderPool(folder)


@pytest.fixture
def by_name(pool):
    return {pool.name(image): image for image in pool.ids}


def labels_of(ledger):
    return dict(ledger.current()[["name", "label"]].itertuples(index=False))


def current(ledger):
    table = ledger.current()[["image", "kind", "label", "annotator", "name", "seconds"]]
    return table.sort_values("image", ignore_index=True)


class TestOut:
    @pytest.fixture
    def labeled(self, tmp_path, by_name):
        ledger = make_ledger(tmp_path / "labels.db")
        for i, name in enumerate(NAMES[:4]):
            ledger.label(
                by_name[name], CLASSES[i % 3], annotator=f"person {i}", name=name, seconds=i
            )
        ledger.skip(by_name["skip.png"], annotator="ann", name="skip.png", seconds=1.5)
        return ledger

    @pytest.fixture
    def exported(self, studio, labeled, pool, folder, tmp_path):
        """A project with the tasks that we wrote."""
        export_tasks(labeled, pool, tmp_path / "tasks.json")
        project = studio.project((tmp_path / "tasks.xml").read_text(encoding="utf-8"))
        studio.local_storage(project, folder, sync=False)
        with open(tmp_path / "tasks.json", "rb") as file:
            studio.ask(
                "POST", f"/api/projects/{project}/import",
                files={"file": ("tasks.json", file, "application/json")},
            )  # fmt: skip
        return project

    def test_every_image_is_shown(self, studio, exported, folder):
        tasks = studio.tasks(exported)
        assert len(tasks) == len(NAMES)
        for task in tasks:
            content = studio.ask("GET", task["data"]["image"])
            assert content == (folder / task["data"]["al_tf_name"]).read_bytes()

    @pytest.mark.parametrize("form", ["JSON", "JSON_MIN", "CSV"])
    def test_comes_back_as_it_was(self, studio, labeled, exported, pool, tmp_path, form):
        path = studio.export(exported, form, tmp_path / "out")
        before = len(labeled.history())
        done = import_annotations(labeled, path, pool=pool)
        kept = 5 if form == "JSON" else 4  # tables have no skips
        assert (done.recorded, done.known, done.unmatched, done.dropped) == (0, kept, (), ())
        assert len(labeled.history()) == before
        other = make_ledger(tmp_path / "other.db")
        assert import_annotations(other, path, pool=pool).recorded == kept
        rows = current(labeled)
        if form != "JSON":
            rows = rows[rows["kind"] == "label"].reset_index(drop=True)
        assert current(other).equals(rows)

    def test_predictions_keep_score_and_probability(self, studio, labeled, pool, tmp_path):
        table = pd.DataFrame(
            {"image": pool.ids, "predicted": "good", "p(good)": 0.7, "p(bad one)": 0.2, 'p(c)': 0.1}
        )  # fmt: skip
        export_tasks(labeled, pool, tmp_path / "tasks.json", predictions=table)
        project = studio.project(labeling_interface(CLASSES))
        studio.import_tasks(project, json.loads((tmp_path / "tasks.json").read_text("utf-8")))
        for task in studio.tasks(project):
            (prediction,) = task["predictions"]
            assert prediction["score"] == pytest.approx(0.5)  # margin: 1 - (0.7 - 0.2)
            assert prediction["result"][0]["value"] == {"choices": ["good"]}
            assert prediction["result"][0]["score"] == pytest.approx(0.7)

    def test_an_edit_there_corrects_here_and_a_later_one_here_stays(
        self, studio, labeled, exported, pool, tmp_path
    ):
        task = next(t for t in studio.tasks(exported) if t["data"]["al_tf_name"] == "a b.png")
        annotation = task["annotations"][0]["id"]
        studio.ask("PATCH", f"/api/annotations/{annotation}/", json={"result": [choice("good")]})
        path = studio.export(exported, "JSON", tmp_path / "out.json")
        assert import_annotations(labeled, path, pool=pool).recorded == 1
        event = labeled.answer(task["data"]["al_tf_image"])
        assert (event.kind, event.label, event.purpose) == ("relabel", "good", "query")
        labeled.relabel(event.image, "bad one", annotator="ann")
        assert import_annotations(labeled, path, pool=pool).recorded == 0
        assert labeled.answer(event.image).label == "bad one"


class TestIn:
    @pytest.fixture
    def ledger(self, tmp_path):
        return make_ledger(tmp_path / "labels.db", ["good", "bad one"])

    def test_uploaded_files(self, studio, ledger, folder, pool, tmp_path):
        project = studio.project(labeling_interface(ledger.classes))
        for name in NAMES:
            studio.upload(project, folder / name)
        for task in studio.tasks(project):
            studio.annotate(task["id"], choice("bad one"))
        for form in ("JSON_MIN", "JSON", "CSV"):
            done = import_annotations(
                ledger, studio.export(project, form, tmp_path / "out"), pool=pool
            )
            assert done.unmatched == ()
            assert (done.recorded, done.known) == ((6, 0) if form == "JSON_MIN" else (0, 6))
        assert labels_of(ledger) == dict.fromkeys(NAMES, "bad one")

    @pytest.mark.parametrize("form", ["JSON", "JSON_MIN", "CSV"])
    def test_local_files(self, studio, ledger, folder, pool, tmp_path, form):
        project = studio.project(labeling_interface(ledger.classes))
        studio.local_storage(project, folder, sync=True)
        tasks = studio.tasks(project)
        assert len(tasks) == len(NAMES)
        for i, task in enumerate(tasks):
            studio.annotate(task["id"], choice(ledger.classes[i % 2]), lead_time=i + 0.5)
        done = import_annotations(ledger, studio.export(project, form, tmp_path / "out"), pool=pool)
        assert (done.recorded, done.unmatched) == (len(NAMES), ())
        assert set(labels_of(ledger)) == set(NAMES)
        assert sorted(ledger.current()["seconds"]) == [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]
        assert set(ledger.current()["annotator"]) == {"label-studio user 1"}

    @pytest.mark.parametrize(
        "prefix", ["https://example.org/a%20b/", "s3://bucket/a b/", "gs://bucket/", "/mnt/tiles/"]
    )
    def test_addresses(self, studio, ledger, pool, tmp_path, prefix):
        end = "?X-Amz-Signature=1&x=2.png" if prefix.startswith("http") else ""
        project = studio.project(labeling_interface(ledger.classes))
        names = [*NAMES[:5], "of another folder.png"]
        encode = quote if end else str
        annotation = {"result": [choice("good")]}
        data = [{"image": prefix + encode(n) + end, "label": "bad one", "id": 7} for n in names]
        studio.import_tasks(project, [{"data": d, "annotations": [annotation]} for d in data])
        done = import_annotations(
            ledger, studio.export(project, "JSON", tmp_path / "out"), pool=pool
        )
        assert done.recorded == 5
        (line,) = done.unmatched
        assert line.endswith(": no image of the folder has this name")
        assert labels_of(ledger) == dict.fromkeys(NAMES[:5], "good")

    def test_skips_edits_deletions_and_several_annotators(
        self, studio, ledger, folder, pool, by_name, tmp_path
    ):
        project = studio.project(labeling_interface(ledger.classes))
        studio.local_storage(project, folder, sync=True)
        task = {t["data"]["image"]: t["id"] for t in studio.tasks(project)}
        ids = [task[address] for address in sorted(task)]
        bob, eve = (studio.another_user(f"{n}-{project}@example.org") for n in ("bob", "eve"))
        edited = studio.annotate(ids[0], choice("good"))
        studio.annotate(ids[1], was_cancelled=True)
        deleted = studio.annotate(ids[2], choice("good"))
        for person, label in ((studio, "good"), (bob, "good"), (eve, "bad one")):
            person.annotate(ids[3], choice(label))
        path = studio.export(project, "JSON", tmp_path / "first.json")
        done = import_annotations(ledger, path, pool=pool)
        assert (done.recorded, done.taken_back) == (6, 0)
        (line,) = done.disagreements
        assert line.endswith(": good (2), bad one (1)")
        studio.ask("PATCH", f"/api/annotations/{edited}/", json={"result": [choice("bad one")]})
        studio.ask("DELETE", f"/api/annotations/{deleted}/")
        second = studio.export(project, "JSON", tmp_path / "second.json")
        done = import_annotations(ledger, second, pool=pool)
        assert (done.recorded, done.known, done.taken_back) == (1, 4, 1)
        again = [import_annotations(ledger, p, pool=pool) for p in (path, second)]
        assert [(d.recorded, d.taken_back) for d in again] == [(0, 0), (0, 0)]
        rows = ledger.current()
        assert sorted(rows["label"].fillna("skip")) == ["bad one", "good", "skip"]

    def test_several_controls(self, studio, ledger, folder, pool, tmp_path):
        project = studio.project(TWO_CONTROLS)
        studio.local_storage(project, folder, sync=True)
        ids = [t["id"] for t in studio.tasks(project)]
        box = {"from_name": "box", "to_name": "image", "type": "rectanglelabels", "original_width": 16,
               "original_height": 16, "image_rotation": 0,
               "value": {"x": 1, "y": 1, "width": 9, "height": 9, "rotation": 0,
                         "rectanglelabels": ["spot"]}}  # fmt: skip
        note = {
            "from_name": "note",
            "to_name": "image",
            "type": "textarea",
            "value": {"text": ["good"]},
        }
        studio.annotate(
            ids[0], choice("dark", "bright", control="light"), choice("good"), box, note
        )
        studio.annotate(ids[1], choice("bright", control="light"))
        path = studio.export(project, "JSON", tmp_path / "out.json")
        done = import_annotations(ledger, path, pool=pool)
        assert done.recorded == 1
        assert done.dropped == (
            "1 × annotation without a class",
            "2 × choices of the control 'light'",
            "1 × rectanglelabels of the control 'box'",
            "1 × textarea of the control 'note'",
        )
        for form in ("JSON_MIN", "CSV"):  # tables do not say that the note is free text
            path = studio.export(project, form, tmp_path / form)
            done = import_annotations(ledger, path, pool=pool)
            assert (done.recorded, done.known) == (0, 1)
            assert "1 × choices of the control 'note'" in done.dropped

    @pytest.mark.parametrize("form", ["COCO", "YOLO", "TSV"])
    def test_other_formats_are_refused_in_a_sentence(self, studio, ledger, pool, tmp_path, form):
        project = studio.project(TWO_CONTROLS)
        studio.import_tasks(
            project, [{"data": {"image": "a.png"}, "annotations": [{"result": [choice("good")]}]}]
        )
        path = studio.export(project, form, tmp_path / "out")
        with pytest.raises(AlTfError, match=r"expected Label Studio's export|not UTF-8|neither"):
            import_annotations(ledger, path, pool=pool)

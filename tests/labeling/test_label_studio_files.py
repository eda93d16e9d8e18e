"""Label Studio's files without Label Studio: addresses, controls, versions, several annotators.

What a real one writes and reads is tested in ``tests/label_studio``.
"""

import json
from urllib.parse import quote
from xml.etree import ElementTree

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from al_tf.errors import DataCorruptError, LabelStudioError, UnknownLabelError
from al_tf.labeling import FolderPool, LabelLedger
from al_tf.labeling.exchange.label_studio import export_tasks, import_annotations
from al_tf.labeling.exchange.label_studio.addresses import ImageIndex, paths_of
from al_tf.labeling.exchange.label_studio.annotations import Answer
from al_tf.labeling.exchange.label_studio.interface import labeling_interface, read_interface
from al_tf.labeling.exchange.label_studio.recording import Recorder

from .makers import make_folder, write_image

CLASSES = ["good", "bad"]


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "images", 6)


@pytest.fixture
def pool(folder):
    return FolderPool(folder, size=12)


@pytest.fixture
def ledger(tmp_path):
    ledger = LabelLedger(tmp_path / "labels.db")
    ledger.fix_classes(CLASSES)
    return ledger


def annotation(*choices, number=5, at=1, by=1, **more):
    """Return an annotation as in an export; `at` is the minute of its last change."""
    result = [{"from_name": "choice", "type": "choices", "value": {"choices": list(choices)}}]
    time = f"2030-01-01T00:{at:02}:00.123456Z"
    return {"id": number, "result": result, "created_at": time, "updated_at": time,
            "completed_by": by, "import_id": None} | more  # fmt: skip


def task(image, *annotations, number=1, at=59, **data):
    return {"id": number, "data": {"image": image} | data, "annotations": list(annotations),
            "updated_at": f"2030-01-01T00:{at:02}:00.000000Z"}  # fmt: skip


@pytest.fixture
def bring(tmp_path, ledger, pool):
    """Import some tasks."""

    def bring(*tasks):
        path = tmp_path / "in.json"
        path.write_text(json.dumps(tasks))
        return import_annotations(ledger, path, pool=pool)

    return bring


class TestOut:
    @pytest.fixture
    def labeled(self, ledger, pool):
        for image in pool.ids[:4]:
            ledger.label(image, "good", annotator="ann", name=pool.name(image), seconds=2.0)
        ledger.skip(pool.ids[4], annotator="bob", name=pool.name(pool.ids[4]))
        return ledger

    def test_out_and_in_again(self, labeled, pool, tmp_path):
        """As Label Studio keeps it: the number of an annotation becomes its ``import_id``."""
        path = tmp_path / "tasks.json"
        assert export_tasks(labeled, pool, path) == len(pool)
        tasks = json.loads(path.read_text())
        for n, one in enumerate(tasks):
            for made in one["annotations"]:
                made |= {"import_id": made.pop("id"), "id": 100 + n, "updated_by": None}
        path.write_text(json.dumps(tasks))
        other = LabelLedger(tmp_path / "other.db")
        other.fix_classes(CLASSES)
        assert import_annotations(other, path).recorded == 5
        columns = ["image", "kind", "label", "annotator", "name", "seconds"]
        assert other.current()[columns].equals(labeled.current()[columns])
        assert set(other.current()["purpose"]) == {"import"}
        for book in (other, labeled):
            again = import_annotations(book, path)
            assert (again.recorded, again.known) == (0, 5)

    def test_predictions_have_margin_and_probability(self, labeled, folder, tmp_path):
        write_image(folder / "a b&c.png", seed=77)
        pool = FolderPool(folder)
        image = next(i for i in pool.ids if pool.name(i) == "a b&c.png")
        table = pd.DataFrame(
            {"image": [image], "predicted": ["good"], "p(good)": [0.7], "p(bad)": [0.3]}
        )
        export_tasks(labeled, pool, tmp_path / "tasks.json", predictions=table)
        tasks = json.loads((tmp_path / "tasks.json").read_text(encoding="utf-8"))
        one = next(t for t in tasks if t["data"]["al_tf_image"] == image)
        assert one["data"]["image"] == "/data/local-files/?d=images/a%20b%26c.png"
        assert one["annotations"] == []
        (prediction,) = one["predictions"]
        assert prediction["score"] == pytest.approx(0.6)
        assert prediction["result"][0]["value"] == {"choices": ["good"]}
        assert prediction["result"][0]["score"] == pytest.approx(0.7)

    def test_addresses_of_ones_own(self, labeled, pool, tmp_path):
        export_tasks(labeled, pool, tmp_path / "tasks.json", url_prefix="s3://bucket/")
        first = json.loads((tmp_path / "tasks.json").read_text())[0]
        assert first["data"]["image"] == "s3://bucket/0.png"

    def test_the_interface_names_the_classes_and_nothing_else(self, tmp_path):
        odd = ['a,"b"', "<b>bold</b>", "ä 漢/\\", "&amp;"]
        root = ElementTree.fromstring(labeling_interface(odd))
        assert [choice.get("value") for choice in root.iter("Choice")] == odd
        assert read_interface(labeling_interface(odd), odd).classes == tuple(odd)


class TestAddresses:
    @pytest.mark.parametrize(
        "address",
        ["2.png", "/2.png", "some/where/2.png", "C:\\data\\2.png", "http://x.org/a/2.png?b=1.png#c",
         "s3://bucket/2.png", "gs://bucket/deep/2.png", "azure-blob://c/2.png",
         "/data/local-files/?d=tiles/2.png", "http://h:80/data/local-files/?d=tiles%2F2.png",
         "/data/upload/7/0123abcd-2.png", "http://h/data/upload/7/0123abcd-2.png"],
    )  # fmt: skip
    def test_every_kind(self, pool, address):
        (match,) = ImageIndex(pool).match([address])
        assert pool.name(match.image) == "2.png"

    def test_subfolders_go_by_path(self, tmp_path):
        for i, name in enumerate(("1.png", "x/1.png", "y/1.png", "y/2.png")):
            write_image(tmp_path / "in" / name, seed=i)
        pool = FolderPool(tmp_path / "in")
        index = ImageIndex(pool)
        paths = [f"s3://b/root/{name}" for name in ("x/1.png", "1.png", "y/1.png", "z/2.png")]
        matches = index.match(paths)
        assert [m.image and pool.name(m.image) for m in matches] == [
            "x/1.png", "1.png", "y/1.png", "y/2.png",
        ]  # fmt: skip
        (wrong,) = index.match(["s3://b/root/z/1.png"])
        assert wrong.image is None
        assert wrong.reason == "ambiguous: it may be 1.png or x/1.png or y/1.png"

    def test_two_addresses_of_one_name_are_ambiguous(self, pool):
        matches = ImageIndex(pool).match(["a/1.png", "a/2.png", "b/2.png"])
        assert [m.image is not None for m in matches] == [True, True, False]
        assert matches[2].reason == "ambiguous: a/2.png names 2.png as well"

    def test_uploads_whose_names_became_one(self, tmp_path):
        write_image(tmp_path / "in" / "a b.png", seed=1)
        write_image(tmp_path / "in" / "a_b!.png", seed=2)
        pool = FolderPool(tmp_path / "in")
        (match,) = ImageIndex(pool).match(["/data/upload/1/0123abcd-a_b.png"])
        assert match.reason == "ambiguous: it may be a b.png or a_b!.png"

    def test_accents_written_in_two_ways(self, tmp_path):
        write_image(tmp_path / "in" / "a\u0308.png", seed=1)
        pool = FolderPool(tmp_path / "in")
        (match,) = ImageIndex(pool).match(["s3://b/\u00e4.png"])
        assert match.image == pool.ids[0]

    @given(
        st.text(
            st.characters(blacklist_characters="/\\\0", blacklist_categories=("Cs",)), min_size=1
        )
    )
    def test_percent_signs_are_decoded_once(self, name):
        from unicodedata import normalize

        wanted = normalize("NFC", name)
        assert paths_of("/data/local-files/?d=" + quote("dir/" + name))[0] == f"dir/{wanted}"
        assert paths_of("https://h/" + quote("dir/" + name))[0] == f"dir/{wanted}"
        assert paths_of("s3://b/dir/" + name)[0] == f"b/dir/{wanted}"


class TestIn:
    def test_an_annotation_corrects_by_version_however_late_it_comes(self, bring, ledger, pool):
        new = task("0.png", annotation("bad", at=7))
        assert bring(new).recorded == 1
        assert bring(task("0.png", annotation("good", at=3))).recorded == 0
        assert bring(task("0.png", annotation("good", at=9))).recorded == 1
        assert ledger.answer(pool.ids[0]).label == "good"
        assert ledger.standing()[-1].kind == "relabel"

    @pytest.mark.parametrize(
        ("labels", "counts"),
        [
            ("a", "a"),
            ("ab", "a"),
            ("aab", "a"),
            ("abb", "b"),
            ("aabb", "a"),
            ("ba-", "b"),
            ("-b", "b"),
        ],
    )
    def test_several_annotators(self, bring, ledger, pool, labels, counts):
        names = {"a": ["good"], "b": ["bad"], "-": []}
        made = [
            annotation(*names[label], number=n, at=n, by=n, was_cancelled=label == "-")
            for n, label in enumerate(labels)
        ]
        for upto in range(1, len(made) + 1):  # whether they come one by one or at once
            done = bring(task("0.png", *made[:upto]))
            assert done.recorded == 1
        assert ledger.answer(pool.ids[0]).label == names[counts][0]
        assert len(ledger.standing()) - sum(e.kind == "relabel" for e in ledger.standing()) == len(
            labels
        )
        assert len(done.disagreements) == (len(set(labels) - {"-"}) > 1)
        other = LabelLedger(ledger.path.with_name("other.db"))
        other.fix_classes(CLASSES)
        path = ledger.path.with_name("in.json")
        import_annotations(other, path, pool=pool)
        assert other.answer(pool.ids[0]).label == names[counts][0]

    def test_deleted_ones_are_taken_back_if_the_file_is_newer(self, bring, ledger, pool):
        first, second = annotation("good", number=1, at=1), annotation("bad", number=2, at=2, by=2)
        bring(task("0.png", first, second))
        assert bring(task("0.png", second, at=0)).taken_back == 0
        assert bring(task("0.png", second)).taken_back == 1
        assert ledger.answer(pool.ids[0]).label == "bad"
        assert bring(task("0.png", first, second, at=3)).recorded == 0  # an older file again
        assert bring(task("0.png")).taken_back == 1
        assert ledger.answer(pool.ids[0]) is None

    def test_another_task_of_the_image_deletes_nothing(self, bring, ledger, pool):
        bring(task("0.png", annotation("good", number=1)))
        done = bring(task("0.png", annotation("good", number=2, by=2), number=9))
        assert (done.recorded, done.taken_back) == (1, 0)

    def test_a_label_of_the_desk_is_an_answer_as_well(self, bring, ledger, pool):
        ledger.label(pool.ids[0], "good", annotator="ann")
        done = bring(task("0.png", annotation("bad", by=7)))
        assert done.recorded == 1
        assert done.disagreements == ("0.png: good (1), bad (1)",)
        assert ledger.answer(pool.ids[0]).label == "good"
        bring(task("0.png", annotation("bad", by=7), annotation("bad", number=6, by=8)))
        assert ledger.answer(pool.ids[0]).label == "bad"

    def test_undo_of_the_desk_takes_back_no_annotation(self, bring, ledger, pool):
        bring(task("0.png", annotation("good", by={"email": "ann"}),
                   annotation("bad", number=6, at=2, by={"email": "bob"})))  # fmt: skip
        assert ledger.undo("ann") is None
        assert ledger.undo("bob") is None

    def test_foreign_columns_are_no_image(self, bring, pool):
        hash_like = pool.ids[3]
        done = bring(
            task("1.png", annotation("good"), image_id=hash_like, name="2.png", label="bad"),
            task("unknown.png", annotation("good", number=6), caption="2.png"),
        )
        assert done.unmatched == ("unknown.png: no image of the folder has this name",)
        assert done.recorded == 1

    def test_any_column_may_hold_the_image(self, bring, ledger, pool):
        data = {"photo": "s3://b/2.png", "text": "about 1.png", "n": 7}
        bring({"id": 1, "data": data, "annotations": [annotation("good")]})
        assert pool.name(ledger.standing()[0].image) == "2.png"

    def test_columns_that_name_two_images_are_ambiguous(self, bring):
        data = {"left": "1.png", "right": "2.png"}
        with pytest.raises(LabelStudioError, match="ambiguous: its columns name several images"):
            bring({"id": 1, "data": data, "annotations": [annotation("good")]})

    def test_matching_nothing_is_an_error_that_names_them(self, bring, ledger):
        with pytest.raises(LabelStudioError, match=r"none of its 1 tasks(.|\n)*x/y\.jpg: no image"):
            bring(task("x/y.jpg", annotation("good")))
        assert ledger.events() == []

    def test_without_the_folder_only_our_own_tasks_are_known(self, ledger, tmp_path):
        path = tmp_path / "in.json"
        path.write_text(json.dumps([task("0.png", annotation("good"))]))
        with pytest.raises(LabelStudioError, match="add --images FOLDER"):
            import_annotations(ledger, path)

    def test_no_annotation_with_a_class_is_an_error(self, bring):
        with pytest.raises(LabelStudioError, match="Left out: 1 × annotation without a class"):
            bring(task("0.png", annotation()))

    def test_two_choices_are_no_class_unless_one_is_foreign(self, bring, ledger):
        done = bring(
            task("0.png", annotation("good", "bad")),
            task("1.png", annotation("good", "dusty", number=6), number=2),
        )
        assert done.recorded == 1
        assert done.dropped == (
            "1 × annotation with 2 classes",
            "1 × choice 'dusty' beside the class",
        )

    def test_an_unknown_choice_stops_the_whole_import(self, bring, ledger):
        with pytest.raises(UnknownLabelError, match="'nonsense', chosen in 'choice'"):
            bring(
                task("0.png", annotation("good")), task("1.png", annotation("nonsense", number=6))
            )
        with pytest.raises(UnknownLabelError, match="no choice is among the classes"):
            bring(task("1.png", annotation("nonsense")))
        assert ledger.events() == []

    @pytest.mark.parametrize(
        "content",
        ["no json", "{}", "[1]", "", "id,annotation_id\n1,2", '"id","annotation_id\n',
         '[{"data": {"image": "0.png"}, "annotations": [{"result": [{"type": "choices"}]}]}]',
         '[{"data": {"image": "0.png"}, "annotations": 7}]',
         '[{"data": {"image": "0.png"}, "annotations": ["x"]}]',
         '[{"id": 1, "annotation_id": 2}]'],
    )  # fmt: skip
    def test_other_files_are_refused(self, ledger, pool, tmp_path, content):
        (tmp_path / "in.json").write_text(content)
        with pytest.raises((DataCorruptError, UnknownLabelError), match=r"in\.json"):
            import_annotations(ledger, tmp_path / "in.json", pool=pool)

    @pytest.mark.parametrize("form", ["csv", "json"])
    @pytest.mark.parametrize(
        ("name", "control"), [("choice", None), ("quality", "quality"), ("quality", None)]
    )
    def test_free_text_in_a_table_that_happens_to_hold_a_class(
        self, ledger, pool, tmp_path, form, name, control
    ):
        rows = [
            {"image": "0.png", "id": 1, name: "good", "note": "bad", "annotator": 1, "annotation_id": 4},
            {"image": "1.png", "id": 2, name: "bad", "note": "good", "annotator": 1, "annotation_id": 5},
        ]  # fmt: skip
        path = tmp_path / f"in.{form}"
        if form == "csv":
            pd.DataFrame(rows).to_csv(path, index=False)
        else:
            path.write_text(json.dumps(rows))
        if name == "quality" and control is None:
            with pytest.raises(LabelStudioError, match=r"\['note', 'quality'\] all .* --control"):
                import_annotations(ledger, path, pool=pool)
            return
        done = import_annotations(ledger, path, pool=pool, control=control)
        assert done.dropped == ("2 × choices of the control 'note'",)
        labels = dict(zip(ledger.current()["name"], ledger.current()["label"], strict=True))
        assert labels == {"0.png": "good", "1.png": "bad"}

    def test_a_control_that_is_not_there(self, bring, ledger, pool, tmp_path):
        path = tmp_path / "in.json"
        path.write_text(json.dumps([task("0.png", annotation("good"))]))
        with pytest.raises(
            LabelStudioError, match=r"named 'other'. There are choices in \['choice'"
        ):
            import_annotations(ledger, path, pool=pool, control="other")

    def test_a_table_of_a_spreadsheet(self, ledger, pool, tmp_path):
        text = "\ufeffid,image,choice,annotator,annotation_id,lead_time\r\n1,0.png,good,3,9,\r\n"
        (tmp_path / "in.csv").write_text(text, newline="")
        assert import_annotations(ledger, tmp_path / "in.csv", pool=pool).recorded == 1
        assert ledger.standing()[0].annotator == "label-studio user 3"


class TestInterface:
    def test_the_choices_are_the_classes(self):
        control = read_interface(labeling_interface(["x", "y"]))
        assert (control.classes, control.name, control.image_key) == (("x", "y"), "choice", "image")

    @pytest.mark.parametrize(
        ("xml", "says"),
        [
            ("<View>", "not XML"),
            ("<!DOCTYPE x [<!ENTITY a 'b'>]><View/>", "document type"),
            ("<View><Image name='i' value='$i'/></View>", "it has no Choices"),
            (labeling_interface(["good", "worse"]), r"has the choices \['good', 'worse'\]"),
            (labeling_interface(CLASSES).replace("single", "multiple"), "takes several choices"),
            (labeling_interface(CLASSES).replace("Image ", "Text "), "which is no Image"),
            (labeling_interface(CLASSES).replace("choice=", "perRegion='true' choice="), "about regions"),
            (labeling_interface(CLASSES).replace("choice=", "value='$o' choice="), "from each task"),
            (
                labeling_interface(CLASSES).replace(
                    "</View>", "<Choices name='b' toName='image'><Choice value='bad'/>"
                    "<Choice value='good'/></Choices></View>"
                ),
                "several controls",
            ),
        ],
    )  # fmt: skip
    def test_one_that_does_not_fit_is_refused_in_words(self, xml, says):
        with pytest.raises(LabelStudioError, match=says):
            read_interface(xml, CLASSES)


class TestRecorder:
    def test_an_annotation_deleted_before_it_comes_never_counts(self, ledger, pool):
        assert not Recorder(ledger).take_back("5")
        late = Answer("5", "2030-01-01T00:00:00.000000Z", "good", "ann", 1.0)
        assert not Recorder(ledger).record(pool.ids[0], "0.png", late)
        assert ledger.answer(pool.ids[0]) is None

    def test_a_label_becomes_a_skip_and_again_a_label(self, ledger, pool):
        for minute, label in enumerate(("good", None, "bad")):
            answer = Answer("5", f"2030-01-01T00:0{minute}:00.000000Z", label, "ann", 1.0, "1")
            assert Recorder(ledger).record(pool.ids[0], "0.png", answer)
            assert ledger.answer(pool.ids[0]).label == label

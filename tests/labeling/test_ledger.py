"""`LabelLedger`: nothing lost, nothing changed, nothing doubled."""

import os
import pickle
import shutil
import sqlite3
import stat
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from al_tf.errors import LedgerError, StaleItemError, UnknownLabelError
from al_tf.labeling import LabelLedger
from al_tf.labeling.ledger import recording, schema
from al_tf.labeling.ledger.file import explained
from al_tf.labeling.ledger.queue import Candidate

from .work import CLASSES, as_nobody, label_many, processes

HERE = Path(__file__).parent


def labels_of(ledger):
    return dict(zip(ledger.current()["image"], ledger.current()["label"], strict=True))


class TestEvents:
    def test_current_state_follows_label_relabel_skip_and_undo(self, ledger):
        ledger.label("a", "dark", annotator="ann")
        ledger.label("b", "bright", annotator="ann")
        ledger.skip("c", annotator="ann")
        ledger.relabel("a", "bright", annotator="bob")
        assert ledger.undo("ann").image == "c"
        assert ledger.undo("ann").image == "b"
        assert labels_of(ledger) == {"a": "bright"}
        assert ledger.undo("bob").kind == "relabel"
        assert labels_of(ledger) == {"a": "dark"}
        kinds = ["label", "label", "skip", "relabel", "undo", "undo", "undo"]
        assert ledger.history()["kind"].tolist() == kinds
        assert ledger.history()["undone"].tolist() == [False, True, True, True] + 3 * [False]

    def test_nothing_to_undo(self, ledger):
        ledger.label("a", "dark", annotator="ann")
        assert ledger.undo("bob") is None
        assert ledger.undo("ann") is not None
        assert ledger.undo("ann") is None

    def test_details_are_kept(self, ledger):
        ledger.label(
            "a", "dark", annotator="ann", name="x/y.png", seconds=2.5, round=3, strategy="margin",
            score=0.75,
        )  # fmt: skip
        row = ledger.history().iloc[0]
        assert (row["name"], row["seconds"], row["round"]) == ("x/y.png", 2.5, 3)
        assert (row["strategy"], row["score"], row["annotator"]) == ("margin", 0.75, "ann")
        assert str(row["time"].tz) == "UTC"

    def test_a_second_label_of_an_image_is_refused(self, ledger):
        ledger.label("a", "dark", annotator="ann")
        with pytest.raises(StaleItemError, match="has an answer already"):
            ledger.label("a", "bright", annotator="bob")
        assert len(ledger.history()) == 1

    def test_relabel_needs_an_answer(self, ledger):
        with pytest.raises(LedgerError, match="no label yet"):
            ledger.relabel("a", "dark", annotator="ann")

    def test_a_correction_of_an_imported_label_is_taken_back_but_not_the_import(self, ledger):
        ledger.label("a", "dark", annotator="ann", purpose="import")
        ledger.relabel("a", "bright", annotator="ann")
        assert ledger.undo("ann").kind == "relabel"
        assert ledger.undo("ann") is None
        assert labels_of(ledger) == {"a": "dark"}

    def test_unknown_label(self, ledger):
        with pytest.raises(UnknownLabelError, match=r"'grey' is not one of .*'dark', 'bright'"):
            ledger.label("a", "grey", annotator="ann")

    @pytest.mark.parametrize(
        "statement", ["UPDATE events SET label = 'bright'", "DELETE FROM events"]
    )
    def test_events_cannot_be_changed_even_with_sql(self, ledger, statement):
        ledger.label("a", "dark", annotator="ann")
        connection = sqlite3.connect(ledger.path)
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(statement)
        connection.close()

    def test_a_clock_that_goes_backwards_changes_nothing(self, ledger, monkeypatch):
        ledger.label("a", "dark", annotator="ann")
        monkeypatch.setattr(recording, "now", lambda: "1999-01-01T00:00:00.000+00:00")
        ledger.relabel("a", "bright", annotator="ann")
        assert labels_of(ledger) == {"a": "bright"}
        assert ledger.undo("ann").label == "bright"
        assert ledger.history()["kind"].tolist() == ["label", "relabel", "undo"]

    def test_seconds_of_a_break_are_bounded(self, ledger):
        ledger.label("a", "dark", annotator="ann", seconds=3.0)
        ledger.label("b", "dark", annotator="ann", seconds=5_000.0)
        assert ledger.seconds() == {"ann": 123.0}
        assert ledger.seconds(idle_after=10.0) == {"ann": 13.0}

    def test_tables_of_an_empty_ledger_have_their_columns(self, ledger):
        assert len(ledger.history()) == len(ledger.current()) == len(ledger.rounds()) == 0
        assert {"image", "label", "annotator"} <= set(ledger.current().columns)

    @pytest.mark.parametrize(
        "name", ['a,"b"', "x/../y", "<b onclick='x'>", "ä 漢", "'; DROP TABLE events"]
    )
    def test_names_are_text_and_nothing_else(self, tmp_path, name):
        ledger = LabelLedger(tmp_path / "l.db")
        ledger.fix_classes([name, "other"])
        ledger.label("a", name, annotator=name, name=name)
        assert ledger.classes == (name, "other")
        assert ledger.history().loc[0, ["label", "annotator", "name"]].tolist() == [name] * 3


class TestAnswers:
    """The event that counts for each image, decided in one place."""

    def everywhere(self, ledger):
        """Return the answers as each way of asking gives them; they must agree."""
        answers = ledger.answers()
        table = ledger.current()
        assert list(answers) == table["image"].tolist()
        assert [event.id for event in answers.values()] == table["id"].tolist()
        for image in {event.image for event in ledger.events()}:
            assert ledger.answer(image) == answers.get(image)
            slots = ledger.queue.claim(
                [Candidate(image, "query", "random")], 1, annotator="free?", round=0,
                lease_seconds=-1.0,
            )  # fmt: skip
            assert (image in [slot.image for slot in slots]) == (image not in answers)
        return {image: (event.kind, event.label) for image, event in answers.items()}

    def test_of_labels_skips_corrections_repeats_and_undos(self, ledger):
        ledger.label("a", "dark", annotator="ann")
        ledger.skip("b", annotator="ann")
        ledger.label("c", "dark", annotator="bob")
        ledger.label("a", "bright", annotator="ann", purpose="repeat")
        ledger.relabel("b", "bright", annotator="bob")
        ledger.relabel("b", "dark", annotator="ann")
        assert self.everywhere(ledger) == {
            "a": ("label", "dark"), "c": ("label", "dark"), "b": ("relabel", "dark"),
        }  # fmt: skip
        ledger.undo("ann")
        ledger.undo("bob")
        assert self.everywhere(ledger) == {
            "a": ("label", "dark"), "b": ("skip", None), "c": ("label", "dark"),
        }  # fmt: skip
        ledger.undo("bob")
        for _ in range(3):
            ledger.undo("ann")
        assert self.everywhere(ledger) == {}

    def test_an_image_whose_label_was_undone_is_free_although_a_repeat_of_it_stands(self, ledger):
        ledger.label("a", "dark", annotator="ann")
        ledger.label("a", "bright", annotator="bob", purpose="repeat")
        ledger.undo("ann")
        assert ledger.queue.unavailable("ann") == set()


class TestTogether:
    """Many images changed in one step."""

    def seen(self, ledger, *images):
        answers = ledger.answers()
        return {image: answers[image].id if image in answers else None for image in images}

    def test_labels_relabels_and_clears_are_one_action_each_and_undone_as_one(self, ledger):
        ledger.label("a", "dark", annotator="ann")
        ledger.skip("b", annotator="bob")
        ledger.label("c", "bright", annotator="ann")
        events = ledger.answer_together(
            "bright", self.seen(ledger, "a", "b", "c", "d", "e"), annotator="ann",
            names={"d": "d.png"}, seconds=8.0, round=2, strategy="alike",
        )  # fmt: skip
        assert [(e.kind, e.image, e.purpose, e.seconds, e.name) for e in events] == [
            ("relabel", "a", "query", 2.0, ""), ("relabel", "b", "query", 2.0, ""),
            ("label", "d", "bulk", 2.0, "d.png"), ("label", "e", "bulk", 2.0, ""),
        ]  # fmt: skip
        assert {e.action for e in events} == {events[0].id}
        assert labels_of(ledger) == dict.fromkeys("cabde", "bright")

        cleared = ledger.answer_together(None, self.seen(ledger, "a", "d", "z"), annotator="ann")
        assert [(e.kind, e.image, e.purpose) for e in cleared] == [
            ("clear", "a", "query"), ("clear", "d", "bulk"),
        ]  # fmt: skip
        assert labels_of(ledger) == dict.fromkeys("cbe", "bright")
        assert ledger.undo_together("ann") == cleared
        assert labels_of(ledger) == dict.fromkeys("cabde", "bright")
        assert ledger.undo("ann") == events[-1]
        assert {image: event.label for image, event in ledger.answers().items()} == {
            "a": "dark", "b": None, "c": "bright",
        }  # fmt: skip
        assert ledger.undo("ann").image == "c"  # one that was recorded alone

    def test_what_was_answered_since_is_passed_over(self, ledger):
        ledger.label("a", "dark", annotator="ann")
        seen = self.seen(ledger, "a", "b")
        ledger.relabel("a", "bright", annotator="bob")
        ledger.label("b", "bright", annotator="bob")
        assert ledger.answer_together("dark", seen, annotator="ann") == []
        assert labels_of(ledger) == {"a": "bright", "b": "bright"}

    def test_the_same_request_twice_changes_once(self, ledger):
        seen = self.seen(ledger, "a", "b")
        assert len(ledger.answer_together("dark", seen, annotator="ann")) == 2
        assert ledger.answer_together("dark", seen, annotator="ann") == []

    def test_an_image_set_aside_for_somebody_else_is_theirs(self, ledger):
        claim = {"round": 0, "lease_seconds": 60}
        ledger.queue.claim([Candidate("a", "query", "")], 1, annotator="bob", **claim)
        ledger.queue.claim([Candidate("b", "query", "")], 1, annotator="ann", **claim)
        events = ledger.answer_together("dark", self.seen(ledger, "a", "b"), annotator="ann")
        assert [event.image for event in events] == ["b"]
        assert ledger.queue.waiting("ann") == []  # answered, so it waits no longer
        ledger.undo("ann")
        assert [slot.image for slot in ledger.queue.waiting("ann")] == ["b"]

    def test_a_cleared_image_may_be_set_aside_again(self, ledger):
        candidate = Candidate("a", "query", "")
        (slot,) = ledger.queue.claim([candidate], 1, annotator="ann", round=0, lease_seconds=60)
        ledger.label("a", "dark", annotator="ann", slot=slot.id)
        ledger.answer_together(None, self.seen(ledger, "a"), annotator="ann")
        assert ledger.answer("a") is None
        assert ledger.queue.unavailable("bob") == set()
        (again,) = ledger.queue.claim([candidate], 1, annotator="bob", round=0, lease_seconds=60)
        ledger.label("a", "bright", annotator="bob", slot=again.id)
        assert labels_of(ledger) == {"a": "bright"}

    def test_an_undo_takes_no_image_from_whom_it_was_set_aside_for_meanwhile(self, ledger):
        candidate = Candidate("a", "query", "")
        (slot,) = ledger.queue.claim([candidate], 1, annotator="ann", round=0, lease_seconds=60)
        ledger.label("a", "dark", annotator="ann", slot=slot.id)
        ledger.answer_together(None, self.seen(ledger, "a"), annotator="bob")
        (again,) = ledger.queue.claim([candidate], 1, annotator="bob", round=0, lease_seconds=60)
        assert ledger.undo("ann").image == "a"
        assert ledger.queue.waiting("ann") == []
        assert ledger.queue.waiting("bob") == [again]

    def test_an_undo_that_names_another_event_takes_nothing_back(self, ledger):
        first = ledger.label("a", "dark", annotator="ann")
        second = ledger.label("b", "dark", annotator="ann")
        with pytest.raises(StaleItemError, match="Nothing was taken back"):
            ledger.undo_together("ann", last=first.id)
        assert ledger.undo_together("ann", last=second.id) == [second]
        with pytest.raises(StaleItemError, match="Nothing was taken back"):
            ledger.undo_together("ann", last=second.id)

    def test_an_unknown_label_changes_nothing(self, ledger):
        with pytest.raises(UnknownLabelError, match="neither"):
            ledger.answer_together("neither", {"a": None}, annotator="ann")
        assert ledger.events() == []


class TestClasses:
    def test_may_grow_at_the_end_only(self, ledger):
        assert ledger.fix_classes([*CLASSES, "grey"]) == (*CLASSES, "grey")
        with pytest.raises(ValueError, match=r"has the classes .*; got .* Leave them out, or"):
            ledger.fix_classes(["bright", "dark", "grey"])
        assert ledger.fix_classes(CLASSES) == (*CLASSES, "grey")  # those it was begun with

    @pytest.mark.parametrize("classes", [["a"], ["a", "a"], ["a", " "], "ab", [1, 2]])
    def test_must_be_different_names(self, tmp_path, classes):
        with pytest.raises(ValueError, match="classes must be"):
            LabelLedger(tmp_path / "l.db").fix_classes(classes)

    def test_the_first_value_of_a_setting_holds(self, ledger):
        assert ledger.settle("seed", 3) == 3
        assert LabelLedger(ledger.path).settle("seed", 4) == 3


class TestQueue:
    def claim(self, ledger, images, annotator, purpose="query", lease=60.0):
        candidates = [Candidate(image, purpose, "random") for image in images]
        slots = ledger.queue.claim(
            candidates, len(images), annotator=annotator, round=0, lease_seconds=lease
        )
        return [slot.image for slot in slots]

    def test_nobody_else_gets_what_is_set_aside(self, ledger):
        assert self.claim(ledger, "abc", "ann") == ["a", "b", "c"]
        assert self.claim(ledger, "bcd", "bob") == ["d"]

    def test_an_answered_image_is_not_set_aside_but_for_a_repeat(self, ledger):
        ledger.label("a", "dark", annotator="ann")
        assert self.claim(ledger, "ab", "bob") == ["b"]
        assert self.claim(ledger, "a", "ann", "repeat") == ["a"]

    def test_a_lease_runs_out_and_the_late_answer_is_refused(self, ledger):
        self.claim(ledger, "a", "ann", lease=-1.0)
        (slot,) = ledger.queue.waiting("ann")
        assert self.claim(ledger, "a", "bob") == ["a"]
        assert ledger.queue.waiting("ann") == []
        with pytest.raises(StaleItemError, match="given to somebody else"):
            ledger.label("a", "dark", annotator="ann", slot=slot.id)

    def test_a_late_answer_counts_while_nobody_else_has_the_image(self, ledger):
        self.claim(ledger, "a", "ann", lease=-1.0)
        (slot,) = ledger.queue.waiting("ann")
        ledger.label("a", "dark", annotator="ann", slot=slot.id)
        assert labels_of(ledger) == {"a": "dark"}

    def test_an_answer_sent_twice_is_recorded_once(self, ledger):
        self.claim(ledger, "a", "ann")
        (slot,) = ledger.queue.waiting("ann")
        ledger.label("a", "dark", annotator="ann", slot=slot.id)
        with pytest.raises(StaleItemError, match="answered already"):
            ledger.label("a", "dark", annotator="ann", slot=slot.id)
        assert len(ledger.history()) == 1

    def test_undo_opens_the_slot_again_ahead_of_the_others(self, ledger):
        self.claim(ledger, "abc", "ann")
        for slot in ledger.queue.waiting("ann")[:2]:
            ledger.label(slot.image, "dark", annotator="ann", slot=slot.id)
        ledger.undo("ann")
        assert [slot.image for slot in ledger.queue.waiting("ann")] == ["b", "c"]

    def test_an_image_answered_elsewhere_waits_no_longer(self, ledger):
        self.claim(ledger, "ab", "ann")
        ledger.label("a", "dark", annotator="bob", purpose="import")
        assert [slot.image for slot in ledger.queue.waiting("ann")] == ["b"]


class TestTrainings:
    def test_those_of_other_processes_are_seen_and_none_is_read_twice(self, ledger):
        details = {"seconds": 1.0, "audited": 4, "correct": 3, "uncertainty": 0.5}
        with LabelLedger(ledger.path) as other:
            ledger.add_round(annotator="ann", labels=5, kappa=None, **details)
            first = ledger.trainings()
            other.add_round(annotator="bob", labels=9, kappa=0.75, **details)
            both = ledger.trainings()
            assert both is ledger.trainings()
            assert both[:1] == first
            assert both == other.trainings()
        shown = [(each.round, each.annotator, each.labels, each.kappa) for each in both]
        assert shown == [(1, "ann", 5, None), (2, "bob", 9, 0.75)]
        assert ledger.rounds()["correct"].tolist() == [3, 3]


class TestFiles:
    def test_survives_closing_pickling_and_forking(self, ledger):
        ledger.label("a", "dark", annotator="ann")
        ledger.close()
        ledger.label("b", "dark", annotator="ann")
        copy = pickle.loads(pickle.dumps(ledger))
        copy.label("c", "dark", annotator="ann")
        assert list(labels_of(ledger)) == ["a", "b", "c"]

    def test_no_folder(self, tmp_path):
        with pytest.raises(LedgerError, match="there is no folder"):
            LabelLedger(tmp_path / "none" / "l.db")

    @pytest.mark.parametrize("read_only", [False, True])
    def test_a_folder(self, tmp_path, read_only):
        with pytest.raises(LedgerError, match=r"is a folder\. A ledger is a file"):
            LabelLedger(tmp_path, read_only=read_only)

    def test_a_file_that_is_no_database(self, tmp_path):
        path = tmp_path / "l.db"
        path.write_bytes(b"hello " * 500)
        with pytest.raises(LedgerError, match="not a label ledger"):
            LabelLedger(path)
        assert path.read_bytes() == b"hello " * 500

    def test_a_database_that_is_no_ledger(self, tmp_path):
        connection = sqlite3.connect(tmp_path / "l.db")
        connection.execute("CREATE TABLE events (x)")
        connection.close()
        with pytest.raises(LedgerError, match="not a label ledger"):
            LabelLedger(tmp_path / "l.db")

    def test_a_newer_schema(self, ledger):
        ledger.close()
        connection = sqlite3.connect(ledger.path)
        connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
        connection.close()
        with pytest.raises(LedgerError, match="written by a newer al_tf"):
            LabelLedger(ledger.path)

    @pytest.fixture
    def read_only_folder(self):
        folder = Path(tempfile.mkdtemp())
        with LabelLedger(folder / "l.db") as ledger:
            ledger.label("a", "dark", annotator="ann")
        os.chmod(folder / "l.db", 0o444)
        os.chmod(folder, 0o555)
        yield folder
        os.chmod(folder, stat.S_IRWXU)
        shutil.rmtree(folder)

    def test_a_read_only_ledger_says_so(self, read_only_folder):
        with pytest.raises(
            LedgerError, match=r"Make the file and its folder writable|may be written"
        ):
            as_nobody(LabelLedger, read_only_folder / "l.db")

    def test_a_read_only_ledger_can_be_read(self, read_only_folder):
        assert as_nobody(_images_in, read_only_folder / "l.db") == ["a"]

    def test_opened_for_reading_it_refuses_to_write(self, ledger):
        ledger.label("a", "dark", annotator="ann")
        reader = LabelLedger(ledger.path, read_only=True)
        assert list(labels_of(reader)) == ["a"]
        with pytest.raises(LedgerError, match="cannot be written"):
            reader.label("b", "dark", annotator="ann")
        with pytest.raises(LedgerError, match="no such ledger"):
            LabelLedger(ledger.path.with_name("other.db"), read_only=True)

    @pytest.fixture
    def older(self, tmp_path):
        """Return a function that makes a ledger as an earlier version of this package left it."""

        def make(version):
            path = tmp_path / f"{version}.db"
            with closing(sqlite3.connect(path)) as connection:
                connection.executescript((HERE / f"ledger_version_{version}.sql").read_text())
            return path

        return make

    def test_version_1_is_migrated_with_all_it_holds(self, older):
        ledger = LabelLedger(older(1))
        assert ledger.classes == ("good", "defective")
        assert ledger.history()["kind"].tolist() == ["label", "label", "skip", "undo", "relabel"]
        assert labels_of(ledger) == {"aa": "defective", "bb": "good"}
        assert [slot.image for slot in ledger.queue.waiting("ann")] == ["cc", "dd"]
        number = ledger.add_round(
            annotator="ann", labels=2, seconds=1.0, audited=0, correct=0, kappa=None,
            uncertainty=0.5,
        )  # fmt: skip
        assert ledger.rounds()["round"].tolist() == [number] == [1]

    @pytest.mark.parametrize("read_only", [False, True])
    def test_version_2_is_read_and_migrated(self, older, read_only):
        path = older(2)
        before = path.read_bytes()
        ledger = LabelLedger(path, read_only=read_only)
        assert (path.read_bytes() == before) == read_only
        assert ledger.classes == ("good", "defective")
        assert labels_of(ledger) == {"bb": "good", "aa": "defective", "ee": "good"}
        assert {image: event.kind for image, event in ledger.answers().items()} == {
            "bb": "label", "aa": "relabel", "ee": "label",
        }  # fmt: skip
        assert [slot.image for slot in ledger.queue.waiting("ann")] == ["cc", "dd"]
        assert ledger.queue.unavailable("ann") == {"aa", "bb", "cc", "dd", "ee"}
        assert ledger.rounds()["labels"].tolist() == [2]

    def test_version_3_is_migrated_and_takes_what_is_new(self, older):
        path = older(3)
        before = LabelLedger(path, read_only=True).events()
        ledger = LabelLedger(path)
        assert ledger.events() == before
        assert {event.action for event in before} == {None}
        assert labels_of(ledger) == {"bb": "good", "aa": "defective", "ee": "good"}
        assert [slot.image for slot in ledger.queue.waiting("ann")] == ["cc", "dd"]
        seen = {"aa": ledger.answer("aa").id, "zz": None}
        events = ledger.answer_together("good", seen, annotator="bob")
        assert [(e.kind, e.image, e.purpose) for e in events] == [
            ("relabel", "aa", "query"), ("label", "zz", "bulk"),
        ]  # fmt: skip
        assert events[0].id == before[-1].id + 1  # numbers go on
        assert len(ledger.undo_together("bob")) == 2
        with (
            closing(sqlite3.connect(ledger.path)) as connection,
            pytest.raises(sqlite3.IntegrityError, match="append-only"),
        ):
            connection.execute("DELETE FROM events")

    def test_version_4_is_migrated_and_takes_second_opinions(self, older):
        path = older(4)
        before = LabelLedger(path, read_only=True).events()
        ledger = LabelLedger(path)
        assert ledger.events() == before
        waiting = ledger.queue.waiting("ann")
        assert [slot.image for slot in waiting] == ["cc", "dd"]
        ledger.label("cc", "good", annotator="ann", slot=waiting[0].id)
        second = ledger.label("cc", "defective", annotator="bob", purpose="second")
        assert second.id == before[-1].id + 2  # numbers go on
        assert ledger.answer("cc").in_dispute

    def test_version_4_is_migrated_and_its_classes_may_change(self, older):
        ledger = LabelLedger(older(4))
        ledger.rename_class("good", "fine", annotator="ann")
        assert ledger.events()[-1].id == 11
        assert labels_of(ledger)["bb"] == "fine"
        assert ledger.undo("ann").kind == "class_renamed"
        assert ledger.last_event("bob").kind == "clear"

    @pytest.mark.parametrize("version", [1, 2, 3, 4])
    def test_a_migrated_ledger_has_the_schema_of_a_new_one(self, older, ledger, version):
        def objects(path):
            with closing(sqlite3.connect(path)) as connection:
                rows = connection.execute("SELECT name, sql FROM sqlite_master")
                return {name: sql and " ".join(sql.split()) for name, sql in rows}

        path = older(version)
        LabelLedger(path).close()
        assert objects(path) == objects(ledger.path)

    def test_an_older_ledger_opened_for_reading_alone_cannot_be_written(self, older):
        with pytest.raises(LedgerError, match="cannot be written"):
            LabelLedger(older(2), read_only=True).label("zz", "good", annotator="ann")


class TestDurability:
    def test_default_waits_for_the_disk(self, ledger, tmp_path):
        def setting(of):
            with of._file.reading() as connection:
                return connection.execute("PRAGMA synchronous").fetchone()[0]

        assert setting(ledger) == 2  # FULL
        assert setting(LabelLedger(tmp_path / "n.db", synchronous="NORMAL")) == 1

    def test_a_log_cut_anywhere_leaves_a_prefix_of_the_events(self, ledger, tmp_path):
        """What a power cut may leave: the file as it was, and any part of the write-ahead log."""
        for i in range(40):
            ledger.label(f"image {i}", "dark", annotator="ann")
        whole = ledger.path.read_bytes(), ledger.path.with_name("labels.db-wal").read_bytes()
        rng = np.random.default_rng(0)
        lengths = set()
        for cut in rng.integers(0, len(whole[1]), size=30):
            path = tmp_path / "cut" / "labels.db"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(whole[0])
            torn = whole[1][:cut] + rng.bytes(int(rng.integers(3_000)))
            path.with_name("labels.db-wal").write_bytes(torn)
            with LabelLedger(path) as after:
                images = after.history()["image"].tolist()
                assert images == [f"image {i}" for i in range(len(images))]
                with after._file.reading() as connection:
                    assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
            lengths.add(len(images))
            shutil.rmtree(path.parent)
        assert len(lengths) > 10  # the cuts fell in different places

    def test_a_new_ledger_may_be_opened_by_all_at_once(self, tmp_path):
        for attempt in range(10):
            path, start = tmp_path / f"{attempt}.db", threading.Barrier(6)

            def open_it(path=path, start=start):
                start.wait()
                return LabelLedger(path).fix_classes(CLASSES)

            with ThreadPoolExecutor(6) as pool:
                futures = [pool.submit(open_it) for _ in range(6)]
            assert [future.result() for future in futures] == [CLASSES] * 6

    @pytest.mark.slow
    def test_four_processes_write_a_thousand_labels_each(self, tmp_path):
        path = tmp_path / "labels.db"
        names = ["ann", "bob", "cid", "dee"]
        workers = [processes.Process(target=label_many, args=(path, n, 1_000)) for n in names]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert [worker.exitcode for worker in workers] == [0] * 4
        history = LabelLedger(path).history()
        assert len(history) == 4_000
        assert history["id"].tolist() == list(range(1, 4_001))
        for name, rows in history.groupby("annotator"):
            assert rows["image"].tolist() == [f"{name}-{i}" for i in range(1_000)]


def _images_in(path):
    return [event.image for event in LabelLedger(path, read_only=True).standing()]


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        ("attempt to write a readonly database", "Make the file and its folder writable"),
        ("unable to open database file", "Check that the file and its folder exist"),
        ("file is not a database", "Name another file"),
        ("database is locked", "Close that process and try again"),
        ("database disk image is malformed", "Restore a copy"),
        ("database or disk is full", "make room and label again"),
        ("something new", "the database refused"),
    ],
)
def test_errors_of_sqlite_come_with_advice(error, advice):
    shown = explained(sqlite3.OperationalError(error), Path("labels.db"))
    assert isinstance(shown, LedgerError)
    assert str(shown).startswith("labels.db: ")
    assert advice in str(shown)
    assert str(shown).endswith(f"(SQLite: {error}).")

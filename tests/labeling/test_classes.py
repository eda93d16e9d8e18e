"""Classes that are added, renamed, merged, described and removed while labeling goes on."""

import json
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from typer.testing import CliRunner

from al_tf.cli.main import app
from al_tf.errors import ClassChangeError, LedgerError, StaleItemError, UnknownLabelError
from al_tf.experiments.logistic import PixelLogistic
from al_tf.labeling import LabelLedger
from al_tf.labeling.desk.front_end import FOLDER
from al_tf.labeling.desk.protocol import Desk
from al_tf.labeling.exchange.export import export_csv, export_folders
from al_tf.labeling.exchange.label_studio import export_tasks, import_annotations
from al_tf.labeling.ledger.class_list import COMMAND_KEYS, KEYS
from al_tf.labeling.ledger.queue import Candidate
from al_tf.labeling.reviewing import ReviewFilter
from al_tf.labeling.suspects import suspect_answers

from .work import CLASSES, NearestMean, make_images

ANN, BOB = {"annotator": "ann"}, {"annotator": "bob"}


def labels_of(ledger):
    """Return the label of each image as every way of asking gives it; they must agree."""
    answers = {image: event.label for image, event in ledger.answers().items()}
    table = ledger.current()
    assert table["image"].tolist() == list(answers)
    assert table["label"].fillna("").tolist() == [label or "" for label in answers.values()]
    assert {image: ledger.answer(image).label for image in answers} == answers
    with LabelLedger(ledger.path, read_only=True) as other:
        assert {image: event.label for image, event in other.answers().items()} == answers
    return answers


def stored_labels(ledger):
    with ledger._file.reading() as connection:
        return [r[0] for r in connection.execute("SELECT label FROM answers ORDER BY id")]


def keys_of(ledger):
    return {each.name: each.key for each in ledger.class_list.classes}


@pytest.fixture
def labeled(ledger):
    """A ledger with the classes dark, bright, spot and an answer of each."""
    ledger.add_class("spot", **ANN)
    for image, label in zip("abc", ("dark", "bright", "spot"), strict=True):
        ledger.label(image, label, **ANN)
    return ledger


class TestChanges:
    def test_a_class_is_added_with_all_that_describes_it(self, ledger):
        added = ledger.add_class(
            "  spot ", description=" A round mark. ", color="red", key="K", **ANN
        )
        assert (added.name, added.description) == ("spot", "A round mark.")
        assert (added.color, added.key, added.has_own_key) == ("red", "k", True)
        assert ledger.classes == ("dark", "bright", "spot")
        ledger.label("a", "spot", **BOB)
        assert labels_of(ledger) == {"a": "spot"}

    def test_a_rename_touches_no_answer_and_reads_everywhere(self, labeled):
        before = stored_labels(labeled)
        labeled.rename_class("spot", "blot", **BOB)
        assert labeled.classes == ("dark", "bright", "blot")
        assert labels_of(labeled) == {"a": "dark", "b": "bright", "c": "blot"}
        assert stored_labels(labeled) == before
        assert [e.label for e in labeled.standing()] == ["dark", "bright", "blot"]
        assert labeled.history()["label"].tolist()[-1] == "blot"
        assert labeled.events()[-1].kind == "class_renamed"
        assert labeled.label("d", "blot", **ANN).label == "blot"
        assert labeled.undo("ann").label == "blot"

    def test_a_former_name_is_still_understood(self, labeled):
        labeled.rename_class("spot", "blot", **ANN)
        assert labeled.label("d", "spot", **BOB).label == "blot"
        assert labeled.relabel("a", "spot", **BOB).label == "blot"
        (event,) = labeled.answer_together("spot", {"e": None}, **BOB)
        assert event.label == "blot"
        assert labeled.rename_class("spot", "stain", **BOB).name == "stain"
        assert labels_of(labeled) == dict.fromkeys("cade", "stain") | {"b": "bright"}

    def test_a_merge_counts_everywhere_and_is_taken_back_exactly(self, labeled):
        labeled.label("x", "spot", purpose="audit", **BOB)
        before = labels_of(labeled)
        merged = labeled.merge_classes("spot", "dark", **ANN)
        assert (merged.name, merged.merged) == ("dark", ("spot",))
        assert labeled.classes == ("dark", "bright")
        assert labels_of(labeled) == {"a": "dark", "b": "bright", "c": "dark", "x": "dark"}
        assert labeled.answer("x").purpose == "audit"
        labeled.label("d", "spot", **BOB)  # from a page that has not heard of it
        labeled.label("e", "dark", **BOB)
        assert labels_of(labeled)["d"] == "dark"
        assert labeled.undo("ann").kind == "class_merged"
        assert labels_of(labeled) == before | {"d": "spot", "e": "dark"}

    def test_merges_may_follow_each_other(self, labeled):
        labeled.merge_classes("dark", "spot", **ANN)
        labeled.add_class("fourth", **ANN)
        labeled.merge_classes("spot", "bright", **ANN)
        assert labels_of(labeled) == dict.fromkeys("abc", "bright")
        (bright, _) = labeled.class_list.classes
        assert bright.merged == ("dark", "spot")
        assert labeled.separate_class("dark", **BOB).name == "dark"
        assert labels_of(labeled) == {"a": "dark", "b": "bright", "c": "bright"}
        assert labeled.undo("bob").kind == "class_separated"
        assert labels_of(labeled) == dict.fromkeys("abc", "bright")

    def test_an_answer_of_a_merged_class_is_not_relabeled_to_what_it_counts_as(self, labeled):
        labeled.merge_classes("spot", "dark", **ANN)
        assert labeled.answer_together("dark", {"c": labeled.answer("c").id}, **ANN) == []
        (event,) = labeled.answer_together("bright", {"c": labeled.answer("c").id}, **ANN)
        assert event.kind == "relabel"

    def test_a_rename_and_a_description_together_are_undone_as_one(self, labeled):
        changed = labeled.change_class("spot", to="blot", color="blue", key="5", **ANN)
        assert (changed.name, changed.color, changed.key) == ("blot", "blue", "5")
        assert len(labeled.undo_together("ann")) == 2
        (spot,) = [each for each in labeled.class_list.classes if each.name == "spot"]
        assert (spot.color, spot.key, spot.has_own_key) == (None, "3", False)

    def test_what_changes_nothing_is_no_event(self, labeled):
        n = len(labeled.events())
        labeled.change_class("spot", to="spot", description="", color="", key="", **ANN)
        assert len(labeled.events()) == n

    def test_a_description_may_be_taken_away(self, ledger):
        ledger.describe_class("dark", description="No light.", color="grey", key="k", **ANN)
        dark = ledger.describe_class("dark", description="", color="", key="", **ANN)
        assert (dark.description, dark.color, dark.key, dark.has_own_key) == ("", None, "1", False)

    def test_a_class_without_answers_is_removed_and_may_come_back(self, ledger):
        ledger.add_class("spot", description="old", **ANN)
        ledger.label("a", "spot", **ANN)
        ledger.undo("ann")
        ledger.remove_class("spot", **ANN)
        with pytest.raises(UnknownLabelError, match=r"'spot' is not one of"):
            ledger.label("a", "spot", **ANN)
        assert ledger.add_class("spot", **BOB).description == ""
        assert ledger.label("a", "spot", **ANN).label == "spot"

    def test_the_first_session_s_classes_open_the_ledger_whatever_they_are_called_now(
        self, labeled
    ):
        labeled.rename_class("dark", "black", **ANN)
        labeled.merge_classes("spot", "bright", **ANN)
        assert labeled.fix_classes(["dark", "bright"]) == ("black", "bright")
        assert labeled.fix_classes(["black", "bright", "new"]) == ("black", "bright", "new")
        with pytest.raises(
            ValueError, match=r"has the classes .*'black', 'bright'.*, and was begun with"
        ):
            labeled.fix_classes(["bright", "dark"])
        with pytest.raises(ClassChangeError, match="'spot' was merged into 'bright'"):
            labeled.fix_classes(["black", "bright", "new", "spot"])

    def test_history_says_what_was_changed(self, labeled):
        labeled.merge_classes("spot", "dark", **BOB)
        row = labeled.history().iloc[-1]
        assert row[["kind", "label", "name", "annotator", "purpose"]].tolist() == [
            "class_merged", "spot", "dark", "bob", "class",
        ]  # fmt: skip
        labeled.describe_class("dark", key="k", **BOB)
        assert json.loads(labeled.history()["details"].iloc[-1]) == {"key": "k"}
        assert "details" not in labeled.current()

    def test_opinions_that_differ_in_merged_classes_alone_are_no_dispute(self, labeled):
        labeled.label("c", "dark", purpose="second", **BOB)
        labeled.label("b", "dark", purpose="second", **BOB)
        assert [i for i, e in labeled.answers().items() if e.in_dispute] == ["b", "c"]
        labeled.merge_classes("spot", "dark", **ANN)
        assert labels_of(labeled) == {"a": "dark", "b": None, "c": "dark"}
        labeled.undo("ann")
        labeled.add_class("new", **ANN)
        labeled.merge_classes("spot", "new", **ANN)
        assert labeled.answer("c").in_dispute
        labeled.merge_classes("dark", "new", **ANN)
        assert labels_of(labeled) == {"a": "new", "b": None, "c": "new"}
        labeled.separate_class("dark", **ANN)
        assert labeled.answer("c").in_dispute


class TestRefusals:
    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("", "not blank"), ("  ", "not blank"), (None, "not blank"), (7, "not blank"),
            ("x" * 201, "at most 200"), ("a\nb", "one line"), ("a\u202eb", "one line"),
            ("dark", "a class 'dark' already"), (" DARK ", "a class 'dark' already"),
        ],
    )  # fmt: skip
    def test_names(self, ledger, name, message):
        with pytest.raises(ClassChangeError, match=message):
            ledger.add_class(name, **ANN)
        if name is not None:
            with pytest.raises(ClassChangeError, match=message):
                ledger.rename_class("bright", name, **ANN)
        assert ledger.events() == []

    def test_the_name_of_a_class_may_change_its_case(self, ledger):
        assert ledger.rename_class("dark", "Dark", **ANN).name == "Dark"
        assert ledger.rename_class("Dark", "dark", **ANN).name == "dark"

    def test_a_former_name_of_another_class(self, labeled):
        labeled.rename_class("spot", "blot", **ANN)
        with pytest.raises(ClassChangeError, match="'spot' was renamed to 'blot'"):
            labeled.add_class("Spot", **ANN)
        labeled.merge_classes("blot", "dark", **ANN)
        with pytest.raises(ClassChangeError, match="'blot' was merged into 'dark'"):
            labeled.rename_class("bright", "blot", **ANN)

    def test_merges(self, labeled):
        with pytest.raises(ClassChangeError, match="'dark' cannot be merged into itself"):
            labeled.merge_classes("dark", "dark", **ANN)
        with pytest.raises(UnknownLabelError, match="'none' is not one of"):
            labeled.merge_classes("dark", "none", **ANN)
        labeled.merge_classes("spot", "dark", **ANN)
        with pytest.raises(ClassChangeError, match="'spot' was merged into 'dark'"):
            labeled.merge_classes("bright", "spot", **ANN)
        with pytest.raises(ClassChangeError, match="Two classes or more must stay"):
            labeled.merge_classes("bright", "dark", **ANN)
        with pytest.raises(ClassChangeError, match="'dark' is not merged"):
            labeled.separate_class("dark", **ANN)

    def test_removals(self, labeled):
        with pytest.raises(ClassChangeError, match=r"has 1 answer .*Merge it into another"):
            labeled.remove_class("spot", **ANN)
        labeled.relabel("c", "dark", **ANN)
        with pytest.raises(ClassChangeError, match="corrected ones included"):
            labeled.remove_class("spot", **ANN)  # an undo would bring it back
        labeled.add_class("new", **ANN)
        labeled.merge_classes("spot", "new", **ANN)
        with pytest.raises(ClassChangeError, match="'spot' was merged into it"):
            labeled.remove_class("new", **ANN)
        with pytest.raises(UnknownLabelError, match="'none'"):
            labeled.remove_class("none", **ANN)

    def test_two_classes_stay(self, ledger):
        with pytest.raises(ClassChangeError, match="Two classes or more"):
            ledger.remove_class("dark", **ANN)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"color": "mauve"}, "'mauve' is no color .* blue, orange"),
            ({"key": "ab"}, "one letter or digit"), ({"key": "+"}, "one letter or digit"),
            ({"key": "u"}, "command of the desk"), ({"key": "2"}, "answers 'bright'. Give that"),
            ({"description": "x" * 1_001}, "at most 1000"), ({"color": 3}, "is text; got 3"),
        ],
    )  # fmt: skip
    def test_descriptions(self, ledger, settings, message):
        with pytest.raises(ClassChangeError, match=message):
            ledger.describe_class("dark", **settings, **ANN)
        assert ledger.events() == []

    def test_a_ledger_without_classes(self, tmp_path):
        ledger = LabelLedger(tmp_path / "l.db")
        with pytest.raises(ClassChangeError, match="no classes yet"):
            ledger.add_class("a", **ANN)
        assert ledger.label("x", "anything", **ANN).label == "anything"

    def test_a_late_answer_to_a_class_that_is_gone_is_refused_in_words(self, ledger):
        ledger.add_class("spot", **ANN)
        ledger.remove_class("spot", **ANN)
        (slot,) = ledger.queue.claim(
            [Candidate("a", "query", "")], 1, annotator="bob", round=0, lease_seconds=60
        )
        with pytest.raises(UnknownLabelError, match=r"'spot' is not one of the classes \['dark'"):
            ledger.label("a", "spot", slot=slot.id, **BOB)
        assert ledger.queue.waiting("bob") == [slot]


class TestUndo:
    def test_goes_back_through_answers_and_changes_in_turn(self, ledger):
        ledger.label("a", "dark", **ANN)
        ledger.add_class("spot", **ANN)
        ledger.label("b", "spot", **ANN)
        ledger.rename_class("spot", "blot", **ANN)
        kinds = [ledger.undo("ann").kind for _ in range(4)]
        assert kinds == ["class_renamed", "label", "class_added", "label"]
        assert ledger.undo("ann") is None
        assert ledger.classes == ("dark", "bright")

    def test_everybody_takes_back_their_own(self, ledger):
        ledger.add_class("spot", **ANN)
        ledger.rename_class("spot", "blot", **BOB)
        assert ledger.undo("ann").kind == "class_added"
        assert ledger.classes == ("dark", "bright")
        assert ledger.undo("bob").kind == "class_renamed"
        ledger.add_class("spot", **BOB)
        assert ledger.classes == ("dark", "bright", "spot")

    def test_a_class_that_others_have_answered_with_stays(self, ledger):
        ledger.add_class("spot", **ANN)
        ledger.label("a", "spot", **BOB)
        with pytest.raises(ClassChangeError, match=r"cannot be taken back any more.*1 answer"):
            ledger.undo("ann")
        assert ledger.classes == ("dark", "bright", "spot")
        ledger.undo("bob")
        assert ledger.undo("ann").kind == "class_added"

    def test_a_name_or_key_that_another_class_has_by_now(self, ledger):
        ledger.add_class("spot", **ANN)
        ledger.remove_class("spot", **ANN)
        ledger.rename_class("dark", "spot", **BOB)
        with pytest.raises(ClassChangeError, match="Two classes would be called 'spot'"):
            ledger.undo("ann")
        ledger.undo("bob")
        assert ledger.undo("ann").kind == "class_removed"
        ledger.describe_class("dark", key="k", **ANN)
        ledger.describe_class("dark", key="l", **ANN)
        ledger.describe_class("spot", key="k", **BOB)
        with pytest.raises(ClassChangeError, match="Two classes would have the key 'k'"):
            ledger.undo("ann")

    def test_a_class_that_others_were_merged_into_stays(self, labeled):
        labeled.add_class("new", **BOB)
        labeled.merge_classes("spot", "new", **ANN)
        with pytest.raises(ClassChangeError, match="'spot' was merged into it"):
            labeled.undo("bob")

    def test_an_undo_that_names_another_event_changes_no_class(self, ledger):
        event = ledger.label("a", "dark", **ANN)
        ledger.add_class("spot", **ANN)
        with pytest.raises(StaleItemError, match="Nothing was taken back"):
            ledger.undo_together("ann", last=event.id)
        assert ledger.classes == ("dark", "bright", "spot")


class TestKeys:
    def test_digits_then_letters_that_are_no_commands_then_none(self, tmp_path):
        ledger = LabelLedger(tmp_path / "l.db")
        ledger.fix_classes([f"class {i}" for i in range(30)])
        keys = [each.key for each in ledger.class_list.classes]
        assert keys[:10] == list("1234567890")
        assert keys[: len(KEYS)] == list(KEYS)
        assert not set(KEYS) & set(COMMAND_KEYS)
        assert keys[len(KEYS) :] == [None] * (30 - len(KEYS))

    def test_a_class_keeps_its_key_when_another_one_goes(self, labeled):
        labeled.add_class("last", **ANN)
        labeled.merge_classes("bright", "dark", **ANN)
        assert keys_of(labeled) == {"dark": "1", "spot": "3", "last": "4"}
        labeled.describe_class("last", key="2", **ANN)  # it is free by now
        assert keys_of(labeled)["last"] == "2"
        labeled.separate_class("bright", **ANN)
        assert keys_of(labeled) == {"dark": "1", "bright": "4", "spot": "3", "last": "2"}


class TestFiles:
    def test_readers_of_other_processes_see_changes_at_once(self, ledger):
        other = LabelLedger(ledger.path)
        other.label("a", "dark", **BOB)
        ledger.rename_class("dark", "black", **ANN)
        assert other.classes == ("black", "bright")
        assert other.answers()["a"].label == "black"
        assert other.snapshot() is other.snapshot()

    def test_a_ledger_opened_for_reading_refuses_changes(self, ledger):
        with pytest.raises(LedgerError, match="cannot be written"):
            LabelLedger(ledger.path, read_only=True).add_class("x", **ANN)

    def test_a_snapshot_fits_together(self, labeled):
        labeled.merge_classes("spot", "dark", **ANN)
        standing, answers, classes = labeled.snapshot()
        assert {event.label for event in answers.values()} <= set(classes.names)
        assert {event.label for event in standing} <= set(classes.names)


class TestSession:
    """A session goes on while its classes change; its model counts them at once."""

    @pytest.fixture
    def session(self, desk):
        with desk.session(auto_retrain=True, batch_size=10, repeat_share=0.0) as session:
            desk.answer(session, 40)
            session.wait()
            yield session

    def test_the_model_at_hand_counts_merged_and_renamed_classes_at_once(self, session):
        session._trainer.close(wait=True)  # none is trained any more
        before = session._trainer.model
        session.rename_class("dark", "black")
        session.add_class("spot")
        model = session._trainer.model
        assert model.classes == ("black", "bright", "spot")
        np.testing.assert_array_equal(model.proba[:, :2], before.proba)
        assert not model.proba[:, 2].any()
        assert session._trainer.model is model
        session.merge_classes("black", "spot")
        np.testing.assert_allclose(session._trainer.model.proba, before.proba[:, [1, 0]])
        assert {p.label for p in session.next().predictions} <= {"bright", "spot"}
        progress = session.progress()
        assert list(progress.per_class) == ["bright", "spot"]
        assert sum(progress.per_class.values()) == progress.labels == 40
        session.undo()
        session.undo()
        session.undo()
        assert session._trainer.model is before

    def test_a_class_that_the_model_knows_is_removed(self, session, desk):
        session._trainer.close(wait=True)
        model = session._trainer.model.with_classes(("bright",), {"dark": None, "bright": "bright"})
        np.testing.assert_array_equal(model.proba, np.ones_like(model.proba))

    def test_a_changed_class_list_retrains_and_labels_of_new_classes_count(self, session, desk):
        number = session.training.round
        session.add_class("spot")
        session.wait()
        assert session.training.round == number + 1
        assert session.estimator.classes_.tolist() == ["bright", "dark"]
        for _ in range(10):
            session.label("spot", slot=session.next().slot)
        session.wait()
        assert session.estimator.classes_.tolist() == ["bright", "dark", "spot"]
        session.rename_class("spot", "blot")
        session.wait()
        assert session.estimator.classes_.tolist() == ["blot", "bright", "dark"]
        session.merge_classes("blot", "bright")
        session.wait()
        assert session.estimator.classes_.tolist() == ["bright", "dark"]
        assert {row.label for row in session.reviewer.rows(ReviewFilter("answers"))} == {*CLASSES}

    def test_an_audit_answer_from_before_a_merge_counts_as_the_merged_class(self, desk):
        with desk.session(audit_share=0.5, auto_retrain=True) as session:
            session.add_class("very dark")
            for _ in range(40):
                item = session.next()
                label = desk.truth(item.image_id)
                session.label("very dark" if label == "dark" else label, slot=item.slot)
            session.merge_classes("very dark", "dark")
            session.wait()
            quality = {each.label: each for each in session.progress().per_class_quality}
        assert list(quality) == ["dark", "bright"]
        assert quality["dark"].images > 5
        assert quality["dark"].recall.value > 0.5

    def test_two_sessions_see_each_other_s_changes(self, session, desk):
        other = desk.session(annotator="bob")
        item = other.next()
        session.rename_class("dark", "black")
        assert other.classes == ("black", "bright")
        assert other.label("dark", slot=item.slot).label == "black"
        item = other.next()
        session.merge_classes(session.add_class("spot").name, "black")
        assert other.label("spot", slot=item.slot).label == "black"
        other.close()

    def test_a_session_is_opened_again_as_it_was_begun(self, session, desk):
        session.rename_class("dark", "black")
        session.add_class("spot")
        again = desk.session()  # with the classes of the beginning
        assert again.classes == ("black", "bright", "spot")
        again.close()

    def test_a_learner_s_own_labels_are_renamed_and_merged_too(self, desk):
        images, labels = make_images(30, seed=5)
        learner = SimpleNamespace(
            estimator=NearestMean(), query_strategy=None, X_training=images, y_training=labels
        )
        with desk.session(learner) as session:
            desk.answer(session, 10)
            session.rename_class("dark", "black")
            session.retrain(wait=True)
            assert session.estimator.classes_.tolist() == ["black", "bright"]
            assert set(learner.y_training) == {"black", "bright"}

    def test_a_network_trained_on_begins_anew_with_other_classes(self, desk):
        class Warm(BaseEstimator, NearestMean):
            def __init__(self, classes=None):
                self.classes = classes

            def fit(self, X, y):
                assert not hasattr(self, "classes_") or set(self.known_) == set(self.classes)
                self.known_ = list(self.classes)
                return super().fit(X, y)

        with desk.session(Warm()) as session:
            desk.answer(session, 10)
            session.retrain(wait=True)
            session.add_class("spot")
            session.retrain(wait=True)
            assert session.estimator.known_ == ["dark", "bright", "spot"]

    def test_exports_have_the_present_names(self, session, desk, tmp_path):
        session.rename_class("dark", "black")
        session.merge_classes(session.add_class("spot").name, "black")
        assert export_csv(session.ledger, tmp_path / "labels.csv") == 40
        assert set(pd.read_csv(tmp_path / "labels.csv")["label"]) == {"black", "bright"}
        assert export_csv(session.ledger, tmp_path / "history.csv", history=True) == 43
        export_folders(session.ledger, desk.pool, tmp_path / "folders")
        folders = {path.name for path in (tmp_path / "folders").iterdir() if path.is_dir()}
        assert folders == {"black", "bright"}
        table = suspect_answers(
            session.ledger.answers(), desk.pool, session.classes, estimator=PixelLogistic()
        )
        assert set(table["label"]) == {"black", "bright"}

    def test_label_studio_s_former_choices_are_understood(self, session, desk, tmp_path):
        export_tasks(
            session.ledger, desk.pool, tmp_path / "tasks.json", url_prefix="https://x.org/"
        )
        session.rename_class("dark", "black")
        other = LabelLedger(tmp_path / "other.db")
        other.fix_classes(CLASSES)
        other.rename_class("dark", "black", **BOB)
        done = import_annotations(other, tmp_path / "tasks.json")
        assert done.recorded == 40
        assert set(labels_of(other).values()) == {"black", "bright"}
        assert import_annotations(other, tmp_path / "tasks.json").known == 40


class TestDesk:
    """What a page may ask."""

    @pytest.fixture
    def session(self, desk):
        with desk.session(repeat_share=0.0) as session:
            yield session

    @pytest.fixture
    def screen(self, session):
        return Desk(session)

    def ask(self, screen, change, name, **more):
        reply = screen.handle({"do": "class", "change": change, "name": name, **more})
        assert reply["error"] is None
        return reply

    def test_each_change_is_told_in_words_and_seen_in_the_status(self, screen, session):
        slot = screen.handle({"do": "look"})["item"]["slot"]
        reply = self.ask(screen, "add", "spot", description="Round.", color="red", key="k")
        assert reply["did"] == "Added the class \u2068spot\u2069."
        assert reply["status"]["classes"] == ["dark", "bright", "spot"]
        assert reply["status"]["classDetails"][2] == {
            "name": "spot", "description": "Round.", "color": "red", "key": "k",
            "has_own_key": True, "merged": [],
        }  # fmt: skip
        assert "is now" in self.ask(screen, "edit", "spot", to="blot")["did"]
        assert "Changed" in self.ask(screen, "edit", "blot", color="")["did"]
        answered = screen.handle({"do": "label", "slot": slot, "label": "spot"})
        assert "as \u2068blot\u2069" in answered["did"]  # from a page that has not heard of it
        merged = self.ask(screen, "merge", "blot", into="dark")
        assert "Merged" in merged["did"]
        assert merged["status"]["perClass"] == [1, 0]
        assert merged["status"]["classDetails"][0]["merged"] == ["blot"]
        assert "is back" in self.ask(screen, "separate", "blot")["did"]
        self.ask(screen, "add", "new")
        assert "Removed" in self.ask(screen, "remove", "new")["did"]
        last = screen.handle({"do": "classes"})["last"]
        assert last == session.ledger.events()[-1].id
        undone = []
        while (last := screen.handle({"do": "classes"})["last"]) is not None:
            undone.append(screen.handle({"do": "takeback", "last": last})["did"])
        words = [
            "removal", "the class", "separation", "merging", "label", "description", "the name",
            "the class",
        ]  # fmt: skip
        assert len(undone) == len(words)
        for word, sentence in zip(words, undone, strict=True):
            assert word in sentence
        assert session.classes == CLASSES

    def test_the_same_request_twice_changes_once(self, screen, session):
        for change, more in (
            ("add", {}), ("edit", {"to": "blot"}), ("merge", {"into": "dark"}), ("separate", {}),
            ("remove", {}),
        ):  # fmt: skip
            self.ask(screen, change, "spot", **more)
            n = len(session.ledger.events())
            screen.handle({"do": "class", "change": change, "name": "spot", **more})
            assert len(session.ledger.events()) == n

    @pytest.mark.parametrize(
        "request_",
        [
            {}, {"change": None}, {"change": []}, {"change": "drop", "name": "dark"},
            {"change": "add"}, {"change": "add", "name": 7}, {"change": "add", "name": ["x"]},
            {"change": "add", "name": ""}, {"change": "add", "name": "dark"},
            {"change": "add", "name": "x" * 500}, {"change": "add", "name": "x" * 5_000},
            {"change": "add", "name": "a\u0000b"}, {"change": "add", "name": "\ud800"},
            {"change": "add", "name": "x", "color": "url(x)"}, {"change": "add", "name": "x", "key": "<"},
            {"change": "add", "name": "x", "key": {}}, {"change": "add", "name": "x", "description": 1},
            {"change": "edit", "name": "x" * 2_000, "to": "y"}, {"change": "edit", "to": "y"},
            {"change": "edit", "name": "dark", "to": "bright"}, {"change": "edit", "name": "dark", "key": "2"},
            {"change": "merge", "name": "dark"}, {"change": "merge", "name": "dark", "into": "dark"},
            {"change": "merge", "name": "dark", "into": "bright"},
            {"change": "merge", "name": "dark", "into": None}, {"change": "separate", "name": "dark"},
            {"change": "remove", "name": "dark"}, {"change": "remove", "name": "'; DROP TABLE events"},
        ],
        ids=lambda request_: str(request_)[:60],
    )  # fmt: skip
    def test_nonsense_is_answered_in_one_line_and_changes_nothing(self, screen, session, request_):
        reply = screen.handle({"do": "class"} | request_)
        assert reply["error"]
        assert "\n" not in reply["error"]
        assert len(reply["error"]) < 300
        assert "Error:" not in reply["error"]  # foreseen, not an accident
        assert session.ledger.events() == []
        json.dumps(reply).encode()

    def test_keys_of_commands_are_no_keys_of_classes(self):
        scripts = "".join(path.read_text() for path in FOLDER.glob("*.js"))
        commands = set(re.findall(r'commandButton\("([a-z])"', scripts))
        assert commands == set(COMMAND_KEYS)


class TestCommand:
    def run(self, ledger, *args):
        ledger.close()
        return CliRunner().invoke(app, ["classes", str(ledger.path), "--annotator", "ann", *args])

    def test_lists_and_changes(self, labeled):
        for args in (
            ("--change", "spot", "--to", "blot", "--color", "red"), ("--add", "new", "--key", "x"),
            ("--merge", "dark", "--into", "bright"),
        ):  # fmt: skip
            assert self.run(labeled, *args).exit_code == 0
        lines = self.run(labeled).output.splitlines()
        assert [line.split() for line in lines if line[:1] in "123456789x"] == [
            ["2", "bright", "2", "dark"], ["3", "blot", "1", "red"], ["x", "new", "0"],
        ]  # fmt: skip
        assert self.run(labeled, "--separate", "dark").exit_code == 0
        assert self.run(labeled, "--undo").exit_code == 0
        assert self.run(labeled, "--remove", "new").exit_code == 0
        assert labeled.classes == ("bright", "blot")
        labeled.label("z", "bright", **ANN)
        assert "no change of a class" in str(self.run(labeled, "--undo").exception)

    @pytest.mark.parametrize(
        "args",
        [
            ("--add", "x", "--remove", "dark"), ("--merge", "dark"), ("--key", "x"),
            ("--add", "x", "--to", "y"), ("--into", "dark"),
        ],
    )  # fmt: skip
    def test_options_that_do_not_fit_together(self, labeled, args):
        n = len(labeled.events())
        assert self.run(labeled, *args).exit_code == 2
        assert len(labeled.events()) == n

    def test_a_ledger_that_is_not_there_is_not_made(self, tmp_path):
        path = tmp_path / "none.db"
        result = CliRunner().invoke(app, ["classes", str(path), "--add", "x"])
        assert "there is no such ledger" in str(result.exception)
        assert not path.exists()

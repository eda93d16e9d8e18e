"""Annotators who err, each in their own way: who is asked, what a round buys, what is recorded."""

import numpy as np
import pytest

from al_tf.errors import UnknownNameError
from al_tf.experiments import ExperimentConfig, StrategySpec, load_records, run_experiment
from al_tf.experiments import annotators as annotators_module
from al_tf.experiments.annotators import AnswerSheet, doubts, spend
from al_tf.experiments.oracles import Panel, make_panel
from al_tf.experiments.setting import make_setting

from .helpers import fast_config, numbers

Y = np.random.default_rng(0).integers(0, 5, 20_000)
NEVER, ALWAYS = (StrategySpec("m", "margin", relabel=r) for r in ("never", "always"))
DOUBTFUL = StrategySpec("m", "margin", relabel="when_doubtful")


class TestPanel:
    def test_annotators_err_at_their_own_rates_and_independently(self):
        matrix = np.eye(5)
        matrix[2] = [0, 0, 0.5, 0.5, 0]
        panel = make_panel(Y, [0.1, 0.3, matrix], 5, seed=3)
        wrong = panel.answers != Y
        assert wrong.mean(axis=1)[:2] == pytest.approx([0.1, 0.3], abs=0.01)
        assert (wrong[0] & wrong[1]).mean() == pytest.approx(0.03, abs=0.005)
        assert (panel.answers[2][wrong[2]] == 3).all()
        assert (Y[wrong[2]] == 2).all()

    def test_each_is_asked_first_about_a_part_and_then_the_next_one(self):
        panel = make_panel(Y, [0.1, 0.3, 0.5], 5, seed=3)
        assert np.bincount(panel.first) / len(Y) == pytest.approx(np.full(3, 1 / 3), abs=0.02)
        image = int(np.flatnonzero(panel.first == 1)[0])
        asked = [panel.answer(image, number) for number in range(3)]
        assert asked == panel.answers[[1, 2, 0], image].tolist()
        assert (panel.first_answers == [panel.answer(i, 0) for i in range(len(Y))]).all()

    def test_belongs_to_the_seed(self):
        one, same, other = (make_panel(Y, [0.3, 0.3], 5, seed) for seed in (3, 3, 4))
        assert (one.answers == same.answers).all()
        assert (one.first == same.first).all()
        assert (one.answers != other.answers).any()


def sheet_of(*answers):
    """Return a sheet whose annotators answer image i with the i-th text, in order."""
    table = np.array([[ord(a) for a in text] for text in answers]).T
    return AnswerSheet(Panel(table, np.zeros(len(answers), int)))


def spent(sheet, spec, size, doubtful=(), new=range(100)):
    """Spend answers; return which images were asked about, in order, and how many new ones asked for."""
    wanted = []

    def choose(n):
        wanted.append(n)
        return list(new)[:n]

    before = len(sheet)
    spend(sheet, spec, size, lambda: doubtful, choose)
    return sheet.fields(since=before)["asked"], wanted


class TestLabels:
    @pytest.mark.parametrize(
        ("answers", "label"), [("aba", "a"), ("abb", "b"), ("abc", "a"), ("bab", "b")]
    )
    def test_the_majority_counts_and_then_the_first(self, answers, label):
        sheet = sheet_of(answers)
        for _ in answers:
            sheet.ask(0)
        images, labels = sheet.labels()
        assert (images.tolist(), [chr(x) for x in labels]) == ([0], [label])


class TestSpending:
    def test_never_asks_each_image_once(self):
        asked, wanted = spent(sheet_of(*["aaa"] * 9), NEVER, 5)
        assert (asked, wanted) == ([0, 1, 2, 3, 4], [5])

    def test_always_asks_until_two_agree_and_finishes_what_was_begun_first(self):
        sheet = sheet_of("aaa", "abb", "abc", "aaa", "aaa")
        asked, wanted = spent(sheet, ALWAYS, 6)
        assert (asked, wanted) == ([0, 0, 1, 1, 1, 2], [3])
        asked, wanted = spent(sheet, ALWAYS, 5, new=[3, 4])
        assert (asked, wanted) == ([2, 2, 3, 3, 4], [2])

    def test_images_with_one_answer_come_before_new_ones(self):
        sheet = sheet_of("aaa", "aaa", "aaa")
        sheet.ask(0)
        assert spent(sheet, ALWAYS, 2, new=[1, 2]) == ([0, 1], [1])
        sheet = sheet_of("aaa", "aaa", "aaa")
        sheet.ask(0)
        assert spent(sheet, NEVER, 2, new=[1, 2]) == ([1, 2], [2])

    def test_when_doubtful_half_goes_to_the_most_doubtful_until_one_class_leads(self):
        sheet = sheet_of("aaa", "abb", "aaa", "aaa", "aaa", "aaa", "aaa", "aaa")
        for image in range(4):
            sheet.ask(image)
        asked, wanted = spent(sheet, DOUBTFUL, 6, doubtful=[1, 0, 2], new=[4, 5, 6, 7])
        assert (asked, wanted) == ([1, 1, 0, 4, 5, 6], [3])

    def test_an_image_left_in_a_tie_is_the_first_of_the_next_round(self):
        sheet = sheet_of("abb", "aaa", "aaa")
        sheet.ask(0)
        assert spent(sheet, DOUBTFUL, 2, doubtful=[0], new=[1]) == ([0, 1], [1])
        assert spent(sheet, DOUBTFUL, 2, new=[2])[0] == [0, 2]

    def test_nobody_is_asked_twice_about_an_image(self):
        sheet = sheet_of("abc", "aaa")
        asked, _ = spent(sheet, ALWAYS, 4, new=[0, 1])
        assert asked == [0, 0, 0, 1]
        assert not sheet.can_ask(0)

    def test_fewer_are_bought_where_no_image_is_left(self):
        asked, _ = spent(sheet_of("aaa", "aaa"), NEVER, 5, new=[0, 1])
        assert asked == [0, 1]


def several(**changes):
    ways = (
        NEVER,
        StrategySpec("always", "margin", relabel="always"),
        StrategySpec("doubtful", "margin", relabel="when_doubtful", doubt=0.3),
    )
    settings = {"annotators": [0.2, 0.2, 0.4], "strategies": ways, "rounds": 3, "seeds": 1}
    return fast_config(**settings | changes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("several")
    run_experiment(several(), folder, jobs=0, progress=False)
    return folder


class TestExperiments:
    def test_budgets_count_answers_whoever_is_asked(self, folder):
        records = load_records(folder)
        for _, rounds in records.groupby("strategy"):
            assert rounds["n_labeled"].tolist() == [30, 40, 50, 60]
            assert rounds["asked"].map(len).tolist() == [30, 10, 10, 10]
        images = records.groupby("strategy")["n_images"].last()
        assert images["random"] == images["m"] == 60
        assert images["always"] < images["doubtful"] < 60

    def test_recorded_answers_are_the_panels(self, folder):
        panel = make_setting(several(), 0).panel
        for _, rounds in load_records(folder).groupby("strategy"):
            asked_before = {}
            for record in rounds.itertuples():
                for image, answer in zip(record.asked, record.answered, strict=True):
                    number = asked_before.get(image, 0)
                    assert answer == panel.answer(image, number)
                    asked_before[image] = number + 1

    def test_goes_on_where_it_was_stopped_and_without_checkpoints(self, folder, tmp_path):
        run_experiment(several(rounds=2), tmp_path, jobs=0, progress=False)
        for path in tmp_path.glob("checkpoints/*"):
            path.unlink()
        run_experiment(several(), tmp_path, jobs=0, progress=False)
        assert numbers(tmp_path).equals(numbers(folder))

    def test_starts_from_no_labels(self, tmp_path):
        run_experiment(several(initial=0, rounds=2), tmp_path, jobs=0, progress=False)
        for _, rounds in load_records(tmp_path).groupby("strategy"):
            assert rounds["n_labeled"].tolist() == [0, 10, 20]

    def test_doubt_is_high_where_a_label_is_wrong(self):
        setting = make_setting(several(initial=200, annotators=[0.2, 0.2]), 0)
        labels = setting.answers[setting.initial]
        wrong = labels != setting.data.y_train[setting.initial]
        doubt = doubts(setting, setting.initial, labels, number=1)
        assert np.median(doubt[wrong]) > 0.8 > 0.4 > np.median(doubt[~wrong])
        assert (doubts(setting, setting.initial, np.zeros_like(labels), 1) == 0).all()

    def test_only_labels_of_one_answer_above_the_threshold_are_in_doubt(self, monkeypatch):
        sheet = sheet_of("aaa", "aaa", "aaa", "aaa")
        for image in (0, 1, 1, 2, 3):
            sheet.ask(image)
        doubt = np.array([0.4, 0.9, 0.6, 0.7])
        monkeypatch.setattr(annotators_module, "doubts", lambda *_: doubt)
        assert annotators_module.in_doubt(None, sheet, 0.5, 1) == [3, 2]


class TestSettings:
    def test_survive_the_way_through_a_file(self):
        config = several(annotators=[0.1, np.eye(10)])
        assert ExperimentConfig.from_dict(config.to_dict()) == config
        table = config.to_dict()["strategy"]
        assert table["always"] == {"name": "margin", "relabel": "always"}
        assert table["doubtful"]["doubt"] == 0.3
        assert "annotators" not in fast_config().to_dict()

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"annotators": []}, "asks a second annotator; annotators has 0"),
            ({"annotators": [0.1]}, "asks a second annotator; annotators has 1"),
            ({"noise": 0.1}, "noise and annotators both"),
            ({"annotators": 0.1}, "a list with an error rate or a matrix for each; got 0.1"),
            ({"annotators": ["bob"]}, "a list with an error rate or a matrix for each"),
            ({"upper_line": True}, "leave annotators out"),
        ],
    )
    def test_that_make_no_sense(self, changes, message):
        with pytest.raises(ValueError, match=message):
            several(**changes)

    def test_of_an_entry(self):
        with pytest.raises(UnknownNameError, match="Unknown relabel 'often'"):
            StrategySpec("m", "margin", relabel="often")
        with pytest.raises(ValueError, match="doubt"):
            StrategySpec("m", "margin", relabel="when_doubtful", doubt=1.0)

"""Estimates, advice and costs, against values known by hand or from scikit-learn and scipy."""

import math
import re

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from al_tf import plots
from al_tf.labeling import ClassQuality, Commonest, Estimate
from al_tf.labeling.costs import (
    cheapest_threshold,
    cost_table,
    fair_threshold,
    labeling_curve,
    recall_threshold,
    rejection,
)
from al_tf.labeling.quality import advise, class_quality, commonest_class, proportion


class TestProportion:
    @pytest.mark.parametrize(("k", "n"), [(0, 5), (5, 5), (7, 10), (81, 100)])
    def test_is_the_exact_interval(self, k, n):
        estimate = proportion(k, n)
        low = stats.beta.ppf(0.025, k, n - k + 1) if k else 0.0
        high = stats.beta.ppf(0.975, k + 1, n - k) if k < n else 1.0
        assert (estimate.value, estimate.n) == (k / n, n)
        assert (estimate.low, estimate.high) == pytest.approx((low, high))

    def test_of_nothing(self):
        assert proportion(0, 0) is None

    def test_reads_well(self):
        assert str(Estimate(0.9, 0.8, 0.951, 40)) == "90% (80% to 95%, n = 40)"


class TestClassQuality:
    def test_against_scikit_learn(self):
        rng = np.random.default_rng(0)
        classes = ["a", "b", "c"]
        labels, guesses = rng.choice(classes, 300), rng.choice(classes, 300)
        matrix = metrics.confusion_matrix(labels, guesses, labels=classes)
        for k, quality in enumerate(class_quality(labels, guesses, classes)):
            assert quality.label == classes[k]
            assert quality.images == matrix[k].sum()
            assert quality.recall == proportion(matrix[k, k], matrix[k].sum())
            assert quality.precision == proportion(matrix[k, k], matrix[:, k].sum())
            assert quality.missed == matrix[k].sum() - matrix[k, k]
            assert quality.false_alarms == matrix[:, k].sum() - matrix[k, k]

    def test_without_images_or_predictions_of_a_class(self):
        good, bad, odd = class_quality(["good", "bad"], ["good", "good"], ["good", "bad", "odd"])
        assert (bad.recall.value, bad.precision, bad.missed, bad.false_alarms) == (0, None, 1, 0)
        assert (odd.recall, odd.precision, odd.images) == (None, None, 0)
        assert good.precision.value == 0.5

    def test_always_the_commonest_class(self):
        commonest = commonest_class(["good", "bad", "good"])
        assert commonest.label == "good"
        assert commonest.accuracy == proportion(2, 3)
        assert commonest_class([]) is None

    def test_the_session_measures_it_on_the_audit_images_alone(self, desk):
        session = desk.session(batch_size=20, audit_share=0.3)
        desk.answer(session, 100)
        session.retrain(wait=True)
        audited = [e for e in session.ledger.answers().values() if e.purpose == "audit"]
        progress = session.progress()
        dark, bright = progress.per_class_quality
        assert dark.images + bright.images == len(audited) == progress.accuracy.n
        right = (1 - dark.missed / dark.images) * dark.images + bright.images - bright.missed
        assert right / len(audited) == pytest.approx(progress.accuracy.value)
        assert progress.commonest.accuracy.value == max(dark.images, bright.images) / len(audited)


def qualities(*recalls):
    return [ClassQuality(name, recall, None) for name, recall in zip("ab", recalls, strict=True)]


class TestAdvice:
    settled = (0.5, 0.991, 0.995, 0.99)

    def advice(self, **changes):
        usual = {
            "remaining": 10, "accuracy": proportion(95, 100), "target_accuracy": None,
            "target_recall": None, "kappas": [], "predicted_classes": ["a", "b"],
            "per_class": qualities(proportion(50, 52), proportion(45, 48)),
            "commonest": Commonest("a", proportion(52, 100)),
        }  # fmt: skip
        return advise(**usual | changes)

    def test_goes_on_until_it_is_known_better(self):
        assert not self.advice().stop
        assert not self.advice(kappas=[0.999, 0.999]).stop
        assert not self.advice(kappas=[0.9, 0.99, 0.99]).stop

    def test_stops_when_predictions_have_settled(self):
        assert self.advice(kappas=self.settled).stop
        assert self.advice(kappas=[0.991, math.nan, 0.991, 0.99]).stop

    def test_a_model_that_sees_one_class_everywhere_has_not_settled(self):
        advice = self.advice(kappas=[1.0] * 5, predicted_classes=["good"])
        assert not advice.stop
        assert "'good' everywhere" in advice.reason

    @pytest.mark.parametrize(
        ("changes", "says"),
        [
            (
                {"per_class": qualities(proportion(70, 70), proportion(10, 31))},
                r"recall of 'b' is 32% \(17% to 51%, n = 31\): too few random images",
            ),
            (
                {"per_class": qualities(proportion(70, 70), proportion(6, 31))},
                r"recall of 'b' is 19% \(7% to 37%, n = 31\), below 50%",
            ),
            ({"per_class": qualities(proportion(70, 70), None)}, "its recall is unknown"),
            (
                {"commonest": Commonest("a", proportion(96, 100))},
                "right on 95% of the random images; 'a' for all would be right on 96%",
            ),
            ({"accuracy": None, "commonest": None}, "nothing measures the model"),
        ],
    )
    @pytest.mark.parametrize("target", [{}, {"target_accuracy": 0.6}])
    def test_agreement_alone_is_no_reason_to_stop(self, changes, says, target):
        advice = self.advice(kappas=self.settled, **changes, **target)
        assert not advice.stop
        assert "settled" in advice.reason
        assert re.search(says, advice.reason)

    def test_targets_are_reached_by_the_lower_end(self):
        assert not self.advice(target_accuracy=0.9).stop
        assert self.advice(target_accuracy=0.9, accuracy=proportion(98, 100)).stop
        assert not self.advice(target_recall=0.9).stop
        reached = self.advice(
            target_recall=0.9, per_class=qualities(proportion(60, 60), proportion(60, 60))
        )
        assert reached.stop
        assert reached.reason == "The recall of each class is at least 90%."


class TestLabelingCurve:
    def test_follows_every_event(self, ledger):
        ledger.label("a", "bright", annotator="ann", seconds=30)
        ledger.label("b", "dark", annotator="bob", seconds=30)
        ledger.skip("c", annotator="ann", seconds=60)
        ledger.label("a", "bright", annotator="ann", seconds=6, purpose="repeat")
        ledger.relabel("b", "bright", annotator="ann", seconds=6_000)
        ledger.undo("ann")
        ledger.undo("bob")
        curve = labeling_curve(ledger.history())
        assert curve["minutes"].tolist() == pytest.approx([0.5, 1, 2, 2.1, 4.1, 4.1, 4.1])
        assert curve["answers"].tolist() == [1, 2, 3, 3, 3, 3, 2]
        assert curve["labels"].tolist() == [1, 2, 2, 2, 2, 2, 1]
        bright = labeling_curve(ledger.history(), label="bright")
        assert bright["labels"].tolist() == [1, 1, 1, 1, 2, 1, 1]
        assert len(ledger.current()) == curve["answers"].iloc[-1]

    def test_of_an_empty_ledger(self, ledger):
        assert labeling_curve(ledger.history()).empty


class TestCosts:
    def test_by_hand(self):
        truth = [1, 1, 0, 0, 0]
        p = [0.9, 0.4, 0.4, 0.2, 0.1]
        table = cost_table(truth, p, missed=10, false_alarm=1)
        assert table["threshold"].tolist() == [0.1, 0.2, 0.4, 0.9, math.inf]
        assert table["missed"].tolist() == [0, 0, 0, 1, 2]
        assert table["false_alarms"].tolist() == [3, 2, 1, 0, 0]
        assert table["cost"].tolist() == [3, 2, 1, 10, 20]
        assert table["cost_per_image"].tolist() == [0.6, 0.4, 0.2, 2.0, 4.0]

    def test_each_row_is_what_rejecting_at_its_threshold_does(self):
        rng = np.random.default_rng(0)
        truth, p = rng.random(200) < 0.3, rng.random(200).round(2)
        for row in cost_table(truth, p, missed=5, false_alarm=2).itertuples():
            rejected = p >= row.threshold
            assert row.missed == (truth & ~rejected).sum()
            assert row.false_alarms == (~truth & rejected).sum()
            assert row.cost == 5 * row.missed + 2 * row.false_alarms

    def test_the_fair_threshold_is_the_cheapest_for_calibrated_probabilities(self):
        rng = np.random.default_rng(0)
        p = rng.random(200_000)
        table = cost_table(rng.random(len(p)) < p, p, missed=9, false_alarm=1)
        fair = fair_threshold(missed=9, false_alarm=1)
        assert fair == 0.1
        best = table["cost"].min()
        at_fair = table.loc[(table["threshold"] - fair).abs().idxmin(), "cost"]
        assert at_fair == pytest.approx(best, rel=0.01)

    def test_input_without_sense(self):
        with pytest.raises(ValueError, match="one length"):
            cost_table([1, 0], [0.5], missed=1, false_alarm=1)
        with pytest.raises(ValueError, match="must lie in"):
            cost_table([1], [1.5], missed=1, false_alarm=1)
        with pytest.raises(ValueError, match="Costs must be positive"):
            fair_threshold(missed=0, false_alarm=1)


class TestThresholds:
    truth = (1, 1, 1, 1, 0, 0, 0)
    p = (0.9, 0.8, 0.5, 0.5, 0.6, 0.5, 0.1)

    @pytest.mark.parametrize(
        ("wanted", "threshold", "missed", "false_alarms"),
        [(0.25, 0.9, 3, 0), (0.5, 0.8, 2, 0), (0.51, 0.5, 0, 2), (1, 0.5, 0, 2)],
    )
    def test_the_highest_of_a_wanted_recall(self, wanted, threshold, missed, false_alarms):
        choice = recall_threshold(self.truth, self.p, wanted=wanted)
        assert (choice.threshold, choice.missed, choice.false_alarms) == (
            threshold, missed, false_alarms,
        )  # fmt: skip
        assert choice == rejection(self.truth, self.p, threshold)
        assert choice.recall == proportion(4 - missed, 4)
        assert choice.precision == proportion(4 - missed, 4 - missed + false_alarms)

    def test_one_with_confidence_holds_on_others_as_often_as_promised(self):
        rng = np.random.default_rng(0)
        held = 0
        for _ in range(1_000):  # probabilities uniform: the recall at t is 1 - t
            choice = recall_threshold([1] * 80, rng.random(80), wanted=0.9, confidence=0.95)
            held += 1 - choice.threshold >= 0.9
        assert 0.95 <= held / 1_000 <= 0.99

    def test_too_few_defects_for_the_confidence(self):
        exactly_enough = recall_threshold([1] * 59, [0.5] * 59, wanted=0.95, confidence=0.95)
        assert exactly_enough.missed == 0
        with pytest.raises(ValueError, match="takes at least 59 labeled defects; there are 58"):
            recall_threshold([1] * 58, [0.5] * 58, wanted=0.95, confidence=0.95)

    def test_the_cheapest_is_a_row_of_the_cost_table(self):
        rng = np.random.default_rng(0)
        truth, p = rng.random(200) < 0.3, rng.random(200).round(2)
        choice = cheapest_threshold(truth, p, missed=5, false_alarm=2)
        cost = 5 * choice.missed + 2 * choice.false_alarms
        assert cost == cost_table(truth, p, missed=5, false_alarm=2)["cost"].min()
        never = cheapest_threshold([1, 0, 0], [0.1, 0.9, 0.9], missed=1, false_alarm=9)
        assert (never.threshold, never.missed, never.precision) == (math.inf, 1, None)

    def test_input_without_sense(self):
        with pytest.raises(ValueError, match="no defect among"):
            recall_threshold([0, 0], [0.1, 0.2], wanted=0.9)
        with pytest.raises(ValueError, match=r"must be in \(0, 1\]; got 0"):
            recall_threshold([1], [0.1], wanted=0)
        with pytest.raises(ValueError, match=r"confidence must be in \(0, 1\)"):
            recall_threshold([1], [0.1], wanted=0.5, confidence=1)


class TestFigures:
    def test_accuracy_over_labels_and_minutes(self, desk):
        session = desk.session(batch_size=20, audit_share=0.3)
        for _ in range(3):
            desk.answer(session, 20)
            session.retrain(wait=True)
        curve = session.curve()
        fig = plots.labeling_curves(curve)
        for ax, column in zip(fig.axes, ["labels", "minutes"], strict=True):
            assert ax.lines[0].get_xdata().tolist() == curve[column].tolist()
            assert ax.lines[0].get_ydata().tolist() == curve["accuracy"].tolist()
        with pytest.raises(ValueError, match=r"no rows to draw; see LabelingSession\.curve"):
            plots.labeling_curves(curve.iloc[:0])

    def test_cost_of_each_threshold(self):
        table = cost_table([1, 1, 0, 0], [0.9, 0.4, 0.6, 0.1], missed=10, false_alarm=1)
        fig = plots.cost_curve(table, fair_threshold=0.25)
        cost, mark = fig.axes[0].lines
        assert cost.get_ydata().tolist() == table["cost_per_image"].tolist()[:-1]
        assert mark.get_xdata()[0] == 0.25
        assert [line.get_label() for line in fig.axes[1].lines] == [
            "missed defects", "false alarms",
        ]  # fmt: skip
        with pytest.raises(ValueError, match="lacks the column"):
            plots.cost_curve(table.drop(columns="missed"))

"""Estimates, advice and costs, against values known by hand or from scikit-learn and scipy."""

import math

import numpy as np
import pytest
from scipy import stats

from al_tf import plots
from al_tf.labeling import Estimate
from al_tf.labeling.costs import cost_table, fair_threshold, labeling_curve
from al_tf.labeling.quality import advise, proportion


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


class TestAdvice:
    def advice(self, **changes):
        usual = {
            "remaining": 10, "accuracy": proportion(9, 10), "target": None, "kappas": [],
            "predicted_classes": ["a", "b"],
        }  # fmt: skip
        return advise(**usual | changes)

    def test_goes_on_until_it_is_known_better(self):
        assert not self.advice().stop
        assert not self.advice(kappas=[0.999, 0.999]).stop
        assert not self.advice(kappas=[0.9, 0.99, 0.99]).stop

    def test_stops_when_predictions_have_settled(self):
        assert self.advice(kappas=[0.5, 0.991, 0.995, 0.99]).stop
        assert self.advice(kappas=[0.991, math.nan, 0.991, 0.99]).stop

    def test_a_model_that_sees_one_class_everywhere_has_not_settled(self):
        advice = self.advice(kappas=[1.0] * 5, predicted_classes=["good"])
        assert not advice.stop
        assert "'good' everywhere" in advice.reason

    def test_a_target_is_reached_by_the_lower_end(self):
        assert not self.advice(target=0.9, accuracy=proportion(95, 100)).stop
        assert self.advice(target=0.9, accuracy=proportion(98, 100)).stop


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

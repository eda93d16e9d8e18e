"""Experiments that begin with nothing labeled, batches of several sizes, and the upper line."""

import numpy as np
import pytest

from al_tf.errors import ConfigMismatchError, UnknownNameError
from al_tf.experiments import (
    ExperimentConfig,
    StrategySpec,
    load_records,
    make_plan,
    run_experiment,
)
from al_tf.experiments.setting import make_setting
from al_tf.experiments.upper_line import RANDOM_BATCHES, _loss_with, best_batch
from al_tf.seeding import derive_seed

from .helpers import fast_config, numbers, results_text


def from_nothing(**changes):
    settings = {"initial": 0, "batch": 10, "rounds": 2, "seeds": 1}
    return fast_config(**{**settings, **changes})


def run(config, out):
    return run_experiment(config, out, jobs=0, progress=False)


def first_batches(out):
    records = load_records(out)
    return dict(records[records["round"] == 1].set_index("strategy")["queried"])


def test_round_0_without_labels_is_recorded_and_not_evaluated(tmp_path):
    results = run(from_nothing(), tmp_path)
    records = load_records(tmp_path)
    start = records[records["round"] == 0]
    assert (start["n_labeled"] == 0).all()
    assert start["accuracy"].isna().all()
    assert [len(ids) for ids in start["queried"]] == [0, 0]
    assert results["n_labeled"].unique().tolist() == [10, 20]


def test_strategies_that_need_a_model_begin_with_the_random_batch(tmp_path):
    run(from_nothing(strategies="margin,badge,typiclust,uherding,tcm,probcover"), tmp_path)
    batches = first_batches(tmp_path)
    assert batches["margin"] == batches["badge"] == batches["random"]
    for name in ("typiclust", "uherding", "tcm", "probcover"):
        assert set(batches[name]) != set(batches["random"]), name
    assert batches["tcm"] == batches["typiclust"]


def test_a_model_that_learns_its_features_begins_at_random_with_every_strategy(tmp_path):
    pytest.importorskip("tensorflow")
    config = from_nothing(
        strategies="typiclust", model="cnn", model_params={}, rounds=1, epochs=1, min_steps=0
    )
    run(config, tmp_path)
    batches = first_batches(tmp_path)
    assert batches["typiclust"] == batches["random"]


def test_the_first_batch_does_not_depend_on_labels(tmp_path):
    run(from_nothing(strategies="typiclust"), tmp_path / "right")
    run(from_nothing(strategies="typiclust", noise=1.0), tmp_path / "wrong")
    assert first_batches(tmp_path / "right") == first_batches(tmp_path / "wrong")


def test_an_experiment_from_nothing_goes_on_with_the_same_numbers(tmp_path):
    whole = from_nothing(strategies="typiclust,margin", rounds=3, stop_kappa=0.999)
    run(whole, tmp_path / "whole")
    run(from_nothing(strategies="typiclust", rounds=1, stop_kappa=0.999), tmp_path / "grown")
    run(whole, tmp_path / "grown")
    assert numbers(tmp_path / "whole").equals(numbers(tmp_path / "grown"))
    assert results_text(tmp_path / "whole") == results_text(tmp_path / "grown")


def test_a_list_gives_the_batches_and_its_last_number_the_later_ones(tmp_path):
    config = from_nothing(batch=[5, 10, 20], rounds=4)
    assert config.labels_per_run == 55
    assert ExperimentConfig.from_dict(config.to_dict()) == config
    assert run(config, tmp_path)["n_labeled"].unique().tolist() == [5, 15, 35, 55]


def test_a_budget_cuts_a_batch_of_a_list(tmp_path):
    results = run(from_nothing(batch=[5, 10, 20], rounds=4, stop_budget=30), tmp_path)
    assert results["n_labeled"].unique().tolist() == [5, 15, 30]


@pytest.mark.parametrize("batch", [0, [], [5, 0], [5, 2.5], "many", True])
def test_batches_that_are_no_numbers_of_images_are_refused(batch):
    with pytest.raises(ValueError, match="batch should be an integer of 1 or more, or a list"):
        fast_config(batch=batch)


def test_nothing_to_label_is_refused():
    with pytest.raises(ValueError, match="initial=0 and rounds=0 label nothing"):
        fast_config(initial=0, rounds=0)


def test_settings_that_are_not_used_leave_the_digest_as_it_was():
    assert not {"upper_line", "validation"} & set(fast_config().to_dict())


# The upper line -------------------------------------------------------------------------


def with_upper_line(**changes):
    settings = {"upper_line": True, "validation": 200, "strategies": "margin,typiclust"}
    return from_nothing(**{**settings, **changes})


@pytest.fixture
def setting():
    return make_setting(with_upper_line(), seed=0)


def proposals(setting, monkeypatch, losses):
    """Return what `best_batch` chose when the candidates had these losses, and how many it tried."""
    tried = []

    def loss(setting, labeled, number):
        tried.append(labeled)
        return losses[len(tried) - 1]

    monkeypatch.setattr("al_tf.experiments.upper_line._loss_with", loss)
    nothing = np.empty(0, np.intp)
    return best_batch(setting, None, nothing, nothing, 1), tried


def test_the_batch_with_the_lowest_loss_is_labeled(setting, monkeypatch):
    losses = np.ones(3 + RANDOM_BATCHES)
    losses[1] = 0.5  # margin begins as random does, and is tried once with it
    (ids, proposed_by), tried = proposals(setting, monkeypatch, losses)
    assert proposed_by == "typiclust"
    assert ids.tolist() == tried[1].tolist()
    assert len(tried) == 2 + RANDOM_BATCHES
    losses[1], losses[4] = 1.0, 0.5
    (ids, proposed_by), tried = proposals(setting, monkeypatch, losses)
    assert proposed_by == "draw 3"
    assert ids.tolist() == tried[4].tolist()


def test_of_equal_batches_the_first_proposed_is_labeled(setting, monkeypatch):
    (_, proposed_by), _ = proposals(setting, monkeypatch, np.ones(3 + RANDOM_BATCHES))
    assert proposed_by == "random"


def test_random_batches_are_distinct_unlabeled_images_and_others_in_each_round(monkeypatch):
    """The batch would be 200, and the budget leaves 150."""
    config = with_upper_line(upper_line="random", batch=200, rounds=2, stop_budget=200)
    labeled = make_setting(config, seed=0).pool[:50]
    tried, asked = [], []

    def loss(setting, ids, number):
        assert number == asked[-1][5]  # the round's, as for the query
        tried.append(ids[len(labeled) :].tolist())
        return 1.0

    def query(setting, spec, estimator, labeled, answers, number, size):
        asked.append((setting, spec.name, estimator, labeled, answers, number, size))
        return setting.pool[-size:]

    monkeypatch.setattr("al_tf.experiments.upper_line.query", query)
    monkeypatch.setattr("al_tf.experiments.upper_line._loss_with", loss)
    for seed, number in ((0, 1), (0, 2), (1, 1), (0, 1)):
        setting = make_setting(config, seed)
        given = (labeled, setting.answers[labeled], number)
        best_batch(setting, "the model", *given)
        for got, expected in zip(
            asked[-1], (setting, "random", "the model", *given, 150), strict=True
        ):
            assert got is expected or got == expected
        for ids in tried[-RANDOM_BATCHES:]:
            assert len(set(ids)) == 150
            assert set(ids) <= set(setting.pool) - set(labeled)
    runs = np.sort(np.array(tried).reshape(4, 1 + RANDOM_BATCHES, 150)[:, 1:], axis=2)
    assert len(np.unique(runs.reshape(-1, 150), axis=0)) == 3 * RANDOM_BATCHES
    np.testing.assert_array_equal(runs[3], runs[0])


def test_the_loss_is_that_of_the_round_s_model_on_true_labels(monkeypatch):
    """Brier loss; the model has the seed with which the round fits its own."""

    class Model:
        def set_params(self, random_state):
            self.random_state = random_state

        def fit(self, X, y):
            self.X, self.y = X, y

        def predict_proba(self, X):
            asked.append(X)
            return proba

    setting = make_setting(with_upper_line(noise=0.5), seed=0)
    model, asked = Model(), []
    proba = np.random.default_rng(0).dirichlet(np.ones(10), 200).astype(np.float32)
    monkeypatch.setattr(
        "al_tf.experiments.upper_line.build_estimator",
        lambda config, n_classes: model if (config, n_classes) == (setting.config, 10) else None,
    )
    labeled = setting.pool[:20]
    loss = _loss_with(setting, labeled, 3)
    assert model.random_state == derive_seed(0, "model", 3)
    np.testing.assert_array_equal(model.X, setting.x_train[labeled])
    np.testing.assert_array_equal(model.y, setting.answers[labeled])
    np.testing.assert_array_equal(asked, [setting.x_train[setting.validation]])
    true = np.eye(10)[setting.data.y_train[setting.validation]]
    brier = ((proba.astype(np.float64) - true) ** 2).sum(axis=1).mean()
    assert loss == pytest.approx(brier, rel=1e-12)


def test_validation_images_are_outside_the_pool_and_follow_from_the_seed(setting):
    assert len(set(setting.validation)) == 200
    assert not set(setting.validation) & set(setting.pool)
    other = make_setting(with_upper_line(), seed=1)
    assert set(other.validation) != set(setting.validation)


def test_the_upper_line_is_above_the_strategies_that_it_chooses_among(tmp_path):
    config = with_upper_line(strategies="margin,kcenter", rounds=3, seeds=3)
    means = run(config, tmp_path).groupby("strategy")["accuracy"].mean()
    assert means["oracle"] > means.drop("oracle").max()
    records = load_records(tmp_path)
    later = records[(records["strategy"] == "oracle") & (records["round"] > 0)]
    assert set(later["proposed_by"]) <= {"random", "margin", "kcenter"} | {
        f"draw {i}" for i in range(1, RANDOM_BATCHES + 1)
    }


def test_adding_an_upper_line_moves_no_number(tmp_path):
    alone = with_upper_line(upper_line=())
    run(alone, tmp_path / "grown")
    run(with_upper_line(), tmp_path / "grown")
    run(with_upper_line(), tmp_path / "whole")
    assert numbers(tmp_path / "grown").equals(numbers(tmp_path / "whole"))
    before = run(alone, tmp_path / "alone")
    after = run(with_upper_line(), tmp_path / "whole").query("strategy != 'oracle'")
    assert before["accuracy"].tolist() == after["accuracy"].tolist()


def test_an_upper_line_over_other_strategies_is_another_experiment(tmp_path):
    run(with_upper_line(upper_line="margin", rounds=1), tmp_path)
    with pytest.raises(ConfigMismatchError, match="upper_line"):
        run(with_upper_line(upper_line="margin,typiclust", rounds=1), tmp_path)
    with pytest.raises(ConfigMismatchError, match="upper_line"):
        run(with_upper_line(upper_line=(), rounds=1), tmp_path)


def test_an_upper_line_over_an_unknown_strategy_is_refused():
    with pytest.raises(UnknownNameError, match="strategy of the upper line"):
        with_upper_line(upper_line="margin,badge")


def test_no_strategy_can_have_the_name_of_the_upper_line():
    with pytest.raises(ValueError, match="reserved for the upper line"):
        StrategySpec("oracle", "margin")


def test_too_few_images_outside_the_pool_are_refused(tmp_path):
    with pytest.raises(ValueError, match="upper line needs validation=200 training images outside"):
        run(with_upper_line(pool=None), tmp_path)


def test_the_plan_counts_the_fits_of_the_upper_line():
    plan = make_plan(with_upper_line(), jobs=1)
    a_round = 4 + 3 + RANDOM_BATCHES  # four runs; a fit per candidate
    assert (plan.runs, plan.fits) == (4, 2 * a_round)
    assert plan.labels_per_run == 20

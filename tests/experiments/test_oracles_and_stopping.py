import numpy as np
import pytest

from al_tf.experiments import load_records, run_experiment
from al_tf.experiments.oracles import oracle_answers
from al_tf.experiments.stopping import mean_uncertainty, stop_reason

from .helpers import fast_config

Y = np.random.default_rng(0).integers(0, 5, 20_000)


def test_the_true_oracle_is_right():
    assert (oracle_answers(Y, 0.0, 5, seed=3) == Y).all()


def test_a_noisy_oracle_errs_at_its_rate_over_all_other_classes():
    answers = oracle_answers(Y, 0.3, 5, seed=3)
    assert np.mean(answers != Y) == pytest.approx(0.3, abs=0.015)
    wrong = (answers - Y)[answers != Y] % 5
    assert np.bincount(wrong)[1:] / len(wrong) == pytest.approx(np.full(4, 0.25), abs=0.03)


def test_an_oracle_follows_its_confusion_matrix():
    matrix = np.eye(5)
    matrix[2] = [0, 0.1, 0.6, 0.3, 0]
    answers = oracle_answers(Y, matrix, 5, seed=3)
    assert (answers[Y != 2] == Y[Y != 2]).all()
    shares = np.bincount(answers[Y == 2], minlength=5) / np.sum(Y == 2)
    assert shares == pytest.approx(matrix[2], abs=0.03)


def test_answers_belong_to_seed_and_image_not_to_the_asking():
    assert (oracle_answers(Y, 0.3, 5, seed=3) == oracle_answers(Y, 0.3, 5, seed=3)).all()
    assert (oracle_answers(Y, 0.3, 5, seed=3) != oracle_answers(Y, 0.3, 5, seed=4)).any()


@pytest.mark.parametrize(
    ("noise", "message"),
    [
        (np.eye(4), r"must be 5 x 5 for these classes; got the shape \(4, 4\)"),
        (np.full((5, 5), 0.3), "summing to 1. The sums are"),
        (np.eye(5) * 2 - 0.2, "0 or more"),
    ],
)
def test_a_matrix_that_is_no_confusion_matrix(noise, message):
    with pytest.raises(ValueError, match=message):
        oracle_answers(Y, noise, 5, seed=0)


def test_strategies_hear_the_same_answer_for_the_same_image(tmp_path):
    run_experiment(fast_config(noise=0.4, seeds=1), tmp_path, jobs=0, progress=False)
    heard = {}
    for record in load_records(tmp_path).itertuples():
        for image, answer in zip(record.queried, record.queried_labels, strict=True):
            assert heard.setdefault(image, answer) == answer


def test_uncertainty_runs_from_zero_to_one():
    assert mean_uncertainty(np.full((4, 10), 0.1)) == pytest.approx(1)
    assert mean_uncertainty(np.eye(4)) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("rules", "n_labeled", "kappas", "uncertainty", "expected"),
    [
        ({}, 10**9, [None, 1.0, 1.0, 1.0], 0.0, None),
        ({"stop_budget": 50}, 49, [None], None, None),
        ({"stop_budget": 50}, 50, [None], None, "budget of 50 labels spent"),
        ({"stop_kappa": 0.9}, 10, [None, 1.0, 1.0], None, None),
        ({"stop_kappa": 0.9}, 10, [None, 0.2, 0.95, 0.9, 0.86], None, "mean kappa 0.9033"),
        ({"stop_kappa": 0.9}, 10, [None, 0.95, 0.9, 0.84], None, None),
        ({"stop_uncertainty": 0.1}, 10, [None], 0.1, None),
        ({"stop_uncertainty": 0.1}, 10, [None], 0.0999, "mean normalised entropy 0.0999"),
    ],
)
def test_when_a_rule_stops_a_run(rules, n_labeled, kappas, uncertainty, expected):
    reason = stop_reason(fast_config(**rules), n_labeled, kappas, uncertainty)
    assert reason is None if expected is None else expected in reason


def test_a_budget_cuts_the_last_batch_and_is_recorded(tmp_path):
    config = fast_config(stop_budget=55, eval_every=2)
    results = run_experiment(config, tmp_path, jobs=0, progress=False)
    for _, run in results.groupby(["strategy", "seed"]):
        assert list(run["n_labeled"]) == [30, 50, 55]  # the stop is evaluated, due or not
        assert list(run["stopped"]) == ["", "", "budget of 55 labels spent"]


def test_stable_predictions_stop_a_run_early(tmp_path):
    config = fast_config(stop_kappa=0.6, rounds=12, seeds=1)
    results = run_experiment(config, tmp_path, jobs=0, progress=False)
    last = results.groupby("strategy").tail(1)
    assert (last["round"] < 12).all()
    assert last["stopped"].str.contains("stable predictions: mean kappa").all()
    records = load_records(tmp_path).query("strategy == 'margin'")
    kappas = records["kappa"].dropna()
    means = kappas.rolling(3).mean().dropna()
    assert means.iloc[-1] >= 0.6
    assert (means.iloc[:-1] < 0.6).all()


def test_rules_off_change_no_number(tmp_path):
    plain = run_experiment(fast_config(), tmp_path / "a", jobs=0, progress=False)
    ruled = fast_config(stop_kappa=1.0, stop_uncertainty=1e-6)
    watched = run_experiment(ruled, tmp_path / "b", jobs=0, progress=False)
    assert (plain["accuracy"] == watched["accuracy"]).all()

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from al_tf.errors import ConfigMismatchError, UnknownNameError
from al_tf.experiments import (
    ExperimentConfig,
    StrategySpec,
    list_profiles,
    load_profile,
    with_overrides,
)
from al_tf.experiments.config import check_same
from al_tf.experiments.estimators import build_estimator
from al_tf.experiments.study import write_meta


def test_random_always_takes_part_and_comes_first():
    labels = [s.label for s in ExperimentConfig(strategies="margin,entropy").strategies]
    assert labels == ["random", "margin", "entropy"]
    labels = [s.label for s in ExperimentConfig(strategies=["margin", "random"]).strategies]
    assert labels == ["margin", "random"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (3, (0, 1, 2)),
        ("3", (0, 1, 2)),  # a text means what it says without quotation marks
        ([2], (2,)),
        ("2,", (2,)),
        ("4,7", (4, 7)),
        ((0, 5), (0, 5)),
        (range(1, 3), (1, 2)),
        (np.arange(2), (0, 1)),
    ],
)
def test_seeds_are_how_many_or_a_list(given, expected):
    assert ExperimentConfig(seeds=given).seeds == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": "five"}, "epochs should be a valid integer; got 'five'"),
        ({"epochs": True}, "epochs should be a valid integer; got True"),
        ({"epochs": 0}, "epochs should be greater than or equal to 1; got 0"),
        ({"pool": 2.5}, "pool should be a valid integer or none; got 2.5"),
        ({"stratified": 1}, "stratified should be a valid boolean; got 1"),
        ({"model_params": 3}, "model_params should be a valid table; got 3"),
        ({"seeds": "0,x"}, "seeds should be how many"),
        ({"seeds": [1, 1]}, "seeds should be how many"),
        ({"seeds": 0}, "seeds should be how many"),
        ({"seeds": True}, "seeds should be how many"),
        ({"seeds": "10001"}, "at most 10,000 of them; got 10001"),
        ({"noise": 1.5}, "noise should be a rate from 0 to 1"),
        ({"noise": "much"}, "noise should be a rate from 0 to 1"),
        ({"stop_kappa": 99.0}, "stop_kappa should be less than or equal to 1 or none; got 99"),
        ({"rounds": 5, "eval_every": 2}, "rounds=5 is not a multiple of eval_every=2"),
        ({"strategies": [3]}, "strategies should be names or StrategySpecs; got 3"),
        ({"strategies": "margin,margin"}, "'margin' appears twice"),
        ({"strategies": [StrategySpec("random", "margin")]}, "reserved for the baseline"),
        ({"model": "logistic", "fit_mode": "warm"}, "is fitted anew; set fit_mode"),
        ({"strategies": "bald"}, "'bald' samples a network with dropout"),
        ({"dataset": 3}, "dataset should be a valid string; got 3"),
        ({"stop_uncertainty": float("nan")}, "stop_uncertainty should be a finite number or none"),
        (
            {"model_params": {"class_weight": "even"}},
            "class_weight should be 'balanced' or a table",
        ),
        ({"model_params": {"class_weight": {"a": 2}}}, "by the number of the class"),
        ({"model_params": {"class_weight": {"0": -1.0}}}, "finite numbers of 0 or more"),
        (
            {"model": "probe", "model_params": {"size": 64}},
            "the setting is backbone_size, beside it",
        ),
        (
            {"model": "finetuned", "model_params": {"backbone": "x"}},
            "the setting is backbone, besi",
        ),
        ({"model": "probe", "model_params": {"C": -1}}, "C should be a number above 0; got -1"),
        (
            {"model": "logistic", "model_params": {"C": "x"}},
            "C should be a number above 0; got 'x'",
        ),
        ({"model_params": {"clas_weight": "balanced"}}, "It has: .*dropout.*, class_weight"),
        ({"epochs": 0, "pool": 0}, "pool should be .* got 0.\nepochs should be .* got 0."),
        ({"model_params": {"filterz": 3}}, "model 'cnn' has no parameter 'filterz'.*: filters,"),
        ({"model": "logistic", "model_params": {"classes": 3}}, "It has: max_iter, C"),
    ],
)
def test_a_value_that_cannot_be_is_refused_in_words(change, message):
    with pytest.raises(ValueError, match=message):
        ExperimentConfig(**change)


def test_numbers_of_numpy_become_python_s():
    config = ExperimentConfig(initial=np.int64(7), noise=np.eye(2), imbalance={3: np.float32(0.5)})
    assert json.loads(json.dumps(config.to_dict())) == config.to_dict()
    assert (config.initial, config.noise) == (7, ((1.0, 0.0), (0.0, 1.0)))
    assert config.imbalance == {"3": 0.5}


def test_the_text_none_is_none():
    spec = StrategySpec("margin", "entropy_density", {"bandwidth": "none"})
    config = ExperimentConfig(pool="none", model_params={"dtype": "None"}, strategies=[spec])
    assert config.pool is config.model_params["dtype"] is None
    assert config.spec("margin").params == {"bandwidth": None}
    with pytest.raises(ValueError, match="epochs should be a valid integer; got None"):
        ExperimentConfig(epochs="none")


def test_settings_are_checked_by_pydantic_when_the_first_are_made():
    code = "import sys, al_tf.experiments; print('pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strategies": "marginn"}, "Unknown strategy 'marginn'.*margin"),
        ({"model": "resnet"}, "Unknown model 'resnet'.*'cnn', 'probe', 'finetuned', 'logistic'"),
        ({"fit_mode": "hot"}, "Unknown fit_mode 'hot'.*'scratch'"),
    ],
)
def test_an_unknown_name_lists_the_known_ones(change, message):
    with pytest.raises(UnknownNameError, match=message):
        ExperimentConfig(**change)


@pytest.mark.parametrize("model", ["cnn", "probe"])
@pytest.mark.parametrize("weight", ["balanced", {0: 1.0, 1: 5.0}])
def test_a_class_weight_reaches_the_classifier(model, weight):
    config = ExperimentConfig(model=model, model_params={"class_weight": weight})
    read = ExperimentConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    assert read == config  # though a table's keys are texts there
    assert build_estimator(read, 2).class_weight == weight


def test_a_strategy_that_needs_dropout_runs_with_dropout():
    config = ExperimentConfig(strategies="bald", model_params={"dropout": 0.25})
    assert config.spec("bald").name == "bald"


def test_strategy_parameters_are_checked_before_anything_runs():
    with pytest.raises(ValueError, match=r"'entropy_cluster' has no parameter 'alfa'.*alpha"):
        StrategySpec("x", "entropy_cluster", {"alfa": 0.2})
    with pytest.raises(ValueError, match="label names files"):
        StrategySpec("../x", "margin")
    with pytest.raises(ValueError, match="label should be a valid string; got 3"):
        StrategySpec(3, "margin")
    with pytest.raises(ValueError, match="params should be a valid table; got 'x'"):
        StrategySpec("x", "margin", "x")


def test_a_strategy_that_needs_a_committee_is_refused():
    with pytest.raises(ValueError, match="needs a committee of models"):
        StrategySpec("vote_entropy", "vote_entropy")


def test_one_strategy_under_two_labels():
    table = {
        "strategies": ["near", "far"],
        "strategy": {
            "near": {"name": "entropy_cluster"},
            "far": {"name": "entropy_cluster", "select": "farthest"},
        },
    }
    config = ExperimentConfig.from_dict(table)
    assert config.spec("far") == StrategySpec("far", "entropy_cluster", {"select": "farthest"})
    assert config.spec("near").params == {}


@pytest.mark.parametrize("tables", [5, {"margin": 5}, ["margin"]])
def test_settings_of_strategies_are_tables(tables):
    with pytest.raises(ValueError, match="strategy should hold a table of parameters for each"):
        ExperimentConfig.from_dict({"strategies": "margin", "strategy": tables})


def test_settings_of_a_strategy_not_listed_are_an_error():
    with pytest.raises(ValueError, match="'far' is not among the strategies: margin"):
        ExperimentConfig.from_dict({"strategies": "margin", "strategy": {"far": {}}})


@pytest.mark.parametrize("imbalance", [None, 0.02, (0.5,) * 10, {"3": 0.1}])
def test_a_config_survives_json_and_keeps_its_digest(imbalance):
    config = ExperimentConfig(
        strategies=[StrategySpec("far", "entropy_cluster", {"select": "farthest"}), "margin"],
        imbalance=imbalance,
        noise=((0.9, 0.1), (0.2, 0.8)),
        seeds="3,4",
    )
    again = ExperimentConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    assert again == config
    assert again.digest == config.digest
    assert re.fullmatch("[0-9a-f]{12}", config.digest)


def test_the_digest_moves_with_every_setting():
    base = ExperimentConfig()
    changed = [
        ExperimentConfig(epochs=21),
        ExperimentConfig(threads=2),
        ExperimentConfig(strategies="entropy"),
        ExperimentConfig(seeds=6),
        ExperimentConfig(dataset_options={"size": 32}),
    ]
    assert len({c.digest for c in [base, *changed]}) == 6


@pytest.mark.parametrize("name", ["smoke", "quick", "report", "probe"])
@pytest.mark.parametrize("dataset", [None, "digits", "cifar10", "magnetic_tile", "folder:tiles"])
def test_every_profile_makes_a_config(name, dataset):
    assert name in list_profiles()
    config = ExperimentConfig.from_dict(load_profile(name, dataset))
    assert dataset in (None, config.dataset)


def test_the_profile_of_a_probe_has_twenty_seeds_and_two_classes_of_tiles():
    config = ExperimentConfig.from_dict(load_profile("probe", "magnetic_tile"))
    assert (config.model, len(config.seeds), config.pool) == ("probe", 20, None)
    assert config.dataset_options["labels"] == "binary"
    other = ExperimentConfig.from_dict(load_profile("probe", "folder:tiles"))
    assert (other.model, len(other.seeds), other.dataset_options) == ("probe", 20, {})


def test_a_study_is_a_profile_of_its_own_settings(tmp_path):
    config = ExperimentConfig(
        strategies=[StrategySpec("far", "entropy_cluster", {"select": "farthest"}), "margin"],
        pool=None,
        noise=((0.9, 0.1), (0.2, 0.8)),
    )
    write_meta(tmp_path, {"config": config.to_dict(), "config_hash": config.digest})
    table = load_profile(tmp_path / "study.toml")
    assert ExperimentConfig.from_dict(table) == config
    assert load_profile(tmp_path / "study.toml", "cifar10")["dataset"] == "cifar10"


def test_a_profile_has_tables_by_dataset(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('dataset = "digits"\nbatch = 5\n[datasets.cifar10]\nbatch = 7\n')
    assert load_profile(path) == {"dataset": "digits", "batch": 5}
    assert load_profile(path, "cifar10") == {"dataset": "cifar10", "batch": 7}


def test_a_profile_that_is_none_is_an_error(tmp_path):
    with pytest.raises(UnknownNameError, match=r"Unknown profile 'fast'.*'quick'"):
        load_profile("fast")
    with pytest.raises(FileNotFoundError):
        load_profile(tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("batch = = 5")
    with pytest.raises(ValueError, match="not TOML"):
        load_profile(broken)


def test_an_unknown_setting_lists_the_known_ones():
    with pytest.raises(UnknownNameError, match=r"Unknown setting 'epoch'.*'epochs'"):
        ExperimentConfig.from_dict({"epoch": 5})


def test_overrides_are_parsed_and_reach_into_tables():
    table = {"epochs": 3, "strategies": ["far"], "strategy": {"far": {"name": "entropy_cluster"}}}
    texts = ["epochs=5", "pool=none", "dataset=folder:a b", "strategy.far.select=farthest"]
    texts += ["noise=[[1, 0], [0.5, 0.5]]", "stratified=true", "seeds=1,2"]
    config = ExperimentConfig.from_dict(with_overrides(table, texts))
    assert (config.epochs, config.pool, config.dataset) == (5, None, "folder:a b")
    assert config.spec("far").params == {"select": "farthest"}
    assert config.noise == ((1, 0), (0.5, 0.5))
    assert config.stratified is True
    assert config.seeds == (1, 2)
    assert table["strategy"] == {"far": {"name": "entropy_cluster"}}  # the caller's is left alone


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs", "expects key=value; got 'epochs'"),
        ("epochs.x=3", "'epochs' is a value, not a table"),
    ],
)
def test_overrides_that_make_no_sense(text, message):
    with pytest.raises(ValueError, match=message):
        with_overrides({"epochs": 3}, [text])


def test_a_folder_may_grow_in_strategies_seeds_and_rounds(tmp_path):
    old = {"config": ExperimentConfig(strategies="margin", seeds=2, rounds=4).to_dict()}
    grown = ExperimentConfig(strategies="entropy,margin", seeds="1,0,5", rounds=6)
    check_same(old, grown, tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 3}, "epochs: 20 there, 3 asked for"),
        ({"threads": 2}, "threads: 1 there, 2 asked for"),
        ({"strategies": "random"}, "strategies: margin there and not asked for"),
        ({"seeds": "1,2"}, r"seeds: \[0, 1\] there, \[1, 2\] asked for"),
        ({"rounds": 3}, "rounds: 4 there, 3 asked for"),
        (
            {"strategies": [StrategySpec("margin", "entropy")]},
            "strategy.margin.name: 'margin' there, 'entropy' asked for",
        ),
    ],
)
def test_any_other_difference_is_listed(change, message, tmp_path):
    settings = {"strategies": "margin", "seeds": 2, "rounds": 4}
    old = {"config": ExperimentConfig(**settings).to_dict()}
    with pytest.raises(ConfigMismatchError, match=message):
        check_same(old, ExperimentConfig(**{**settings, **change}), tmp_path)

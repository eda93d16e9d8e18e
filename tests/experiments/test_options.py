"""A study states every option as it was used, so that a default may change and no record lies."""

import re
import shutil

import pytest
from pandas.testing import assert_frame_equal

from al_tf import datasets, list_strategies, register_strategy
from al_tf.datasets import DatasetInfo, load_dataset
from al_tf.errors import ConfigMismatchError, RecordError
from al_tf.experiments import (
    ExperimentConfig,
    StrategySpec,
    load_profile,
    read_meta,
    run_experiment,
)
from al_tf.experiments.estimators import build_estimator
from al_tf.experiments.logistic import PixelLogistic
from al_tf.experiments.model_settings import CLASSIFIER_OPTIONS, MODELS
from al_tf.experiments.options import options_in_use, options_text
from al_tf.experiments.study import write_meta
from al_tf.strategies import _registry, get_strategy, strategy_info
from al_tf.studies import check_study
from tests.experiments.helpers import fast_config, numbers

FIRST, OTHER = 0.25, 0.5


def quiet_load(data_dir, seed, *, strength=FIRST, kept=None):
    """Load the digits and do nothing with the options."""
    return load_dataset("digits")


def skips(classifier, X, n_instances=1, *, random_state=None, strength=FIRST, kept=None):
    """Choose as margin or as random does."""
    name = "margin" if strength == FIRST else "random"
    return get_strategy(name)(classifier, X, n_instances, random_state=random_state)


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """Register a dataset and a strategy with two options for one test."""
    info = DatasetInfo("digits", quiet_load, lambda _: "here")
    monkeypatch.setitem(datasets.DATASETS, "quiet", info)
    monkeypatch.setattr(_registry, "REGISTRY", dict(_registry.REGISTRY))
    register_strategy("skips", skips, overwrite=True)


def run(folder, **changes):
    config = fast_config(**{"strategies": "skips", "dataset": "quiet", "rounds": 2, **changes})
    run_experiment(config, folder, jobs=0, progress=False)
    return config


PLACES = {
    "strategy.skips.strength": (skips, "strength"),
    "dataset_options.strength": (quiet_load, "strength"),
    "model_params.C": (PixelLogistic.__init__, "C"),
}
"""Where settings state an option, and whose default it is."""


def stating(place, value):
    """Return the settings that state an option."""
    part, name = place.rsplit(".", 1)
    if part == "strategy.skips":
        return {"strategies": [StrategySpec("skips", "skips", {name: value})]}
    return {part: {name: value} | ({"max_iter": 15} if part == "model_params" else {})}


def test_a_study_states_every_option_as_it_was_used(tmp_path):
    config = run(tmp_path)
    meta = read_meta(tmp_path)
    assert meta["config"] == config.to_dict()  # what the user stated, and nothing else
    assert meta["config"]["strategy"] == meta["config"]["dataset_options"] == {}
    assert meta["options"] == {
        "dataset_options": {"strength": FIRST, "kept": None},
        "model_params": {"max_iter": 15, "C": 1.0},
        "strategy": {"skips": {"strength": FIRST, "kept": None}},
    }


@pytest.mark.parametrize("place", PLACES)
def test_a_run_does_not_go_on_with_another_default(tmp_path, monkeypatch, place):
    function, name = PLACES[place]
    before = function.__kwdefaults__[name]
    run(tmp_path)
    monkeypatch.setitem(function.__kwdefaults__, name, OTHER)
    message = rf"(?s){place}: {before} there, 0.5 by default now\n.*--set {place}={before}"
    with pytest.raises(ConfigMismatchError, match=message):
        run(tmp_path, rounds=3)
    whole = stating(place, before)
    run(tmp_path, rounds=3, **whole)  # what the message says
    run(tmp_path / "at once", rounds=3, **whole)
    assert_frame_equal(numbers(tmp_path), numbers(tmp_path / "at once"))
    with pytest.raises(ConfigMismatchError, match=f"{place}: {before} there, 0.5 asked for\n"):
        run(tmp_path, rounds=3, **stating(place, OTHER))


@pytest.mark.parametrize("place", PLACES)
def test_a_study_as_a_profile_is_repeated_with_the_defaults_of_then(tmp_path, monkeypatch, place):
    function, name = PLACES[place]
    before = function.__kwdefaults__[name]
    config = run(tmp_path / "then")
    study = tmp_path / "then" / "study.toml"
    assert ExperimentConfig.from_dict(load_profile(study)) == config
    monkeypatch.setitem(function.__kwdefaults__, name, OTHER)
    again = ExperimentConfig.from_dict(load_profile(study))
    assert options_in_use(again.to_dict()) == read_meta(tmp_path / "then")["options"]
    run_experiment(again, tmp_path / "now", jobs=0, progress=False)
    assert_frame_equal(numbers(tmp_path / "now"), numbers(tmp_path / "then"))
    assert f"{name} = {before}" in (tmp_path / "now" / "study.toml").read_text()
    run_experiment(again, tmp_path / "then", jobs=0, progress=False)  # the same experiment


def test_a_new_option_has_to_be_stated(tmp_path):
    def later(classifier, X, n_instances=1, *, random_state=None, strength=FIRST, kept=None, far=1):
        return skips(classifier, X, n_instances, random_state=random_state)

    run(tmp_path)
    register_strategy("skips", later, overwrite=True)
    message = r"skips.far: no such option there, 1 by default now\n.*--set strategy.skips.far=VALUE"
    with pytest.raises(ConfigMismatchError, match=message):
        run(tmp_path, rounds=3)
    run(tmp_path, rounds=3, strategies=[StrategySpec("skips", "skips", {"far": 0})])
    assert read_meta(tmp_path)["options"]["strategy"]["skips"]["far"] == 0


def test_an_option_that_is_gone_needs_another_folder(tmp_path):
    def without(classifier, X, n_instances=1, *, random_state=None, strength=FIRST):
        return skips(classifier, X, n_instances, random_state=random_state)

    run(tmp_path, strategies=[StrategySpec("skips", "skips", {"kept": 3})])
    register_strategy("skips", without, overwrite=True)
    with pytest.raises(ConfigMismatchError, match="kept: 3 there, no such option now"):
        run(tmp_path)
    with pytest.raises(ValueError, match=r"'skips' has no parameter 'kept'\. It has: strength"):
        ExperimentConfig.from_dict(load_profile(tmp_path / "study.toml"))


def test_a_study_of_an_earlier_version_is_read_and_says_so_when_it_goes_on(tmp_path):
    run(tmp_path)
    meta = read_meta(tmp_path)
    del meta["options"]
    write_meta(tmp_path, meta)
    run(tmp_path)  # nothing is left to do, so nothing is claimed
    assert "options" not in read_meta(tmp_path)
    assert load_profile(tmp_path / "study.toml") == meta["config"]
    with pytest.raises(ConfigMismatchError, match=r"strength: 0\.25 there, 0\.5 asked for"):
        run(tmp_path, **stating("strategy.skips.strength", OTHER))
    with pytest.warns(UserWarning, match="did not write down options left at their default"):
        run(tmp_path, rounds=3)
    assert read_meta(tmp_path)["options"]["strategy"] == {
        "skips": {"strength": FIRST, "kept": None}
    }


def test_a_strategy_is_called_by_the_options_that_are_not_today_s_defaults(tmp_path, monkeypatch):
    config = run(tmp_path)
    meta = read_meta(tmp_path)
    assert options_text(meta, "skips") == options_text(meta, "random") == ""
    monkeypatch.setitem(skips.__kwdefaults__, "strength", OTHER)
    assert options_text(meta, "skips") == "strength=0.25"
    assert options_text({"config": config.to_dict()}, "skips") == ""  # it did not say
    stated = fast_config(**stating("strategy.skips.strength", 0.75)).to_dict()
    assert options_text({"config": stated}, "skips") == "strength=0.75"


def test_options_of_every_strategy_and_model_can_be_written_and_read(tmp_path):
    names = [n for n in list_strategies() if "committee" not in strategy_info(n).needs]
    for model in MODELS:
        config = fast_config(model="probe", model_params={}, strategies=names).to_dict()
        config |= {"model": model, "dataset": "magnetic_tile"}
        options = options_in_use(config)
        write_meta(tmp_path, {"config": config, "options": options})
        assert read_meta(tmp_path)["options"] == options
        assert options["dataset_options"] == {"size": 64, "labels": "defect"}
    assert options_in_use(config)["strategy"]["typiclust"]["unit_length"] is True


def test_options_of_a_network_s_classifier_reach_it():
    params = {"dropout": 0.3, "shrink": 0.5, "perturb": 0.1, "patience": 2, "validation_split": 0.2}
    config = fast_config(model="cnn", model_params=params)
    classifier = build_estimator(config, 10)
    assert (classifier.shrink, classifier.perturb, classifier.patience) == (0.5, 0.1, 2)
    assert classifier.model_params == {"dropout": 0.3}
    used = options_in_use(config.to_dict())["model_params"]
    assert used == used | params
    assert {*CLASSIFIER_OPTIONS, "filters", "learning_rate"} <= used.keys()


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda o: o["strategy"].pop("skips"), "differ in strategy.skips.kept"),
        (lambda o: o["model_params"].update(max_iter=3), "differ in model_params.max_iter"),
        (lambda o: o["strategy"].update(margin={"a": 1}), "differ in strategy.margin"),
    ],
)
def test_options_that_are_not_those_of_the_settings_are_a_fault(tmp_path, change, fault):
    run(tmp_path, strategies=[StrategySpec("skips", "skips", {"kept": 3})])
    meta = read_meta(tmp_path)
    sound = check_study(tmp_path).faults
    assert not [f for f in sound if "study.toml" in f]
    change(meta["options"])
    write_meta(tmp_path, meta)
    (found,) = [f for f in check_study(tmp_path).faults if f not in sound]
    assert re.fullmatch(rf"study.toml: \[options\] and \[config\] {fault}", found)


@pytest.mark.parametrize("options", ["5", "{ strategy = {} }", "{ strategy = { a = 3 } }"])
def test_options_of_another_form_are_an_error(tmp_path, options):
    run(tmp_path)
    path = tmp_path / "study.toml"
    text = re.sub(r"(?ms)^\[options\..*?(?=^\[versions)", "", path.read_text())
    path.write_text(text.replace("config_hash", f"options = {options}\nconfig_hash", 1))
    with pytest.raises(
        RecordError, match=r"study.toml: its options are not those of an experiment"
    ):
        read_meta(tmp_path)
    with pytest.raises(ValueError, match=r"\[options\] should hold tables of options"):
        load_profile(path)
    shutil.rmtree(tmp_path)

"""Experiments with a pretrained network: a probe on its features, and the network finetuned."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from al_tf import build_finetuned
from al_tf.errors import ConfigMismatchError
from al_tf.experiments import (
    ExperimentConfig,
    load_profile,
    load_records,
    make_plan,
    read_meta,
    run_experiment,
)
from al_tf.experiments import features as features_module
from al_tf.experiments.estimators import build_estimator
from al_tf.experiments.plan import MEASURED_IMAGES, _sample
from al_tf.experiments.setting import make_setting
from al_tf.network.backbones import Backbone, load_backbone

from .helpers import fast_config, numbers

pytestmark = pytest.mark.keras


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AL_TF_CACHE_DIR", str(tmp_path / "cache"))


def probe_config(backbone, **changes):
    settings = {"model": "probe", "model_params": {}, "backbone": backbone, "rounds": 2}
    return fast_config(**{**settings, **changes})


@pytest.fixture
def embedded(monkeypatch):
    """Count the images that pass through a network in this process."""
    counts = []
    original = Backbone.features

    def counting(self, X, **options):
        counts.append(len(X))
        return original(self, X, **options)

    monkeypatch.setattr(Backbone, "features", counting)
    return counts


def test_workers_and_this_process_give_the_same_numbers(backbone, tmp_path, embedded):
    config = probe_config(backbone, strategies="margin,badge,bald")
    run_experiment(config, tmp_path / "two", jobs=2, progress=False)
    assert len(embedded) == 2  # the pools of both seeds together, and the test set
    run_experiment(config, tmp_path / "none", jobs=0, progress=False)
    pd.testing.assert_frame_equal(numbers(tmp_path / "two"), numbers(tmp_path / "none"))
    assert not (tmp_path / "two" / "features").exists()  # the cache has them


def test_images_outside_every_pool_are_not_embedded(backbone, tmp_path, embedded):
    config = probe_config(backbone, seeds=2, pool=100, strategies="random")
    run_experiment(config, tmp_path / "out", jobs=0, progress=False)
    train, test = embedded
    assert 100 < train <= 200
    assert test == 359


def test_a_finished_experiment_embeds_nothing_and_more_seeds_embed_theirs(
    backbone, tmp_path, embedded
):
    run_experiment(probe_config(backbone), tmp_path / "out", jobs=0, progress=False)
    embedded.clear()
    run_experiment(probe_config(backbone), tmp_path / "out", jobs=0, progress=False)
    assert embedded == []
    run_experiment(probe_config(backbone, seeds=3), tmp_path / "out", jobs=0, progress=False)
    assert len(embedded) == 2
    run_experiment(probe_config(backbone, seeds=3), tmp_path / "once", jobs=0, progress=False)
    pd.testing.assert_frame_equal(numbers(tmp_path / "out"), numbers(tmp_path / "once"))


def test_seeds_with_datasets_of_their_own_each_have_their_features(backbone, tmp_path):
    config = probe_config(backbone, imbalance=0.2, pool=None)
    kept = {}
    original = features_module.remove_features

    def looking(out_dir):
        kept.update({p.name: np.load(p).shape for p in (out_dir / "features").iterdir()})
        original(out_dir)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("al_tf.experiments.experiment.remove_features", looking)
        run_experiment(config, tmp_path / "out", jobs=0, progress=False)
    assert len(kept) == 4  # two pools, thinned out by their seeds, and the test set for each
    assert {shape[1] for shape in kept.values()} == {6}


@pytest.mark.parametrize("model", ["probe", "finetuned"])
def test_another_network_under_the_same_name_is_an_error(model, backbone, tmp_path, monkeypatch):
    change = {"model": model, "epochs": 1, "min_steps": 0, "seeds": 1}
    config = probe_config(backbone, rounds=0, **change)
    run_experiment(config, tmp_path / "out", jobs=0, progress=False)
    assert len(read_meta(tmp_path / "out")["backbone_fingerprint"]) == 32
    monkeypatch.setattr(Backbone, "fingerprint", "0" * 32)
    grown = probe_config(backbone, rounds=1, **change)
    with pytest.raises(ConfigMismatchError, match=r"not the one that .* was begun with"):
        run_experiment(grown, tmp_path / "out", jobs=0, progress=False)


def test_the_plan_says_what_embedding_costs(backbone):
    config = probe_config(backbone, seeds=2, pool=100)
    plan = make_plan(config, jobs=1)
    assert 100 + 359 < plan.images_embedded <= 200 + 359
    assert 0 < plan.embedding_seconds < plan.seconds
    assert plan.gradient_steps == 0
    assert f"embedding       {plan.images_embedded:,} images once, about 0:00:0" in str(plan)
    assert make_plan(fast_config(), jobs=1).images_embedded == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "cnn", "backbone": "x"}, "models 'probe' and 'finetuned'; got the model 'cnn'"),
        ({"model": "logistic", "backbone_size": 96}, "got the model 'logistic'"),
        ({"model": "probe", "fit_mode": "warm"}, "'probe' is fitted anew"),
        (
            {"model": "finetuned", "model_params": {"side": 9}},
            "'side'.*: trainable, .*class_weight",
        ),
        ({"model": "finetuned", "backbone_size": 0}, "backbone_size should be greater than or"),
        ({"model": "probe", "model_params": {"side": 9}}, "no parameter 'side'.*: C, class_weight"),
        ({"model": "finetuned", "model_params": {"size": 9}}, "the setting is backbone_size"),
        ({"model": "probe", "model_params": {"size": 9}}, "the setting is backbone_size"),
        ({"model": "probe", "backbone_size": 0}, "backbone_size should be greater than or equal"),
    ],
)
def test_settings_that_do_not_go_together(change, message):
    with pytest.raises(ValueError, match=message):
        ExperimentConfig(**change)


@pytest.mark.parametrize("model", ["probe", "finetuned"])
def test_the_backbone_is_written_down_and_experiments_without_one_keep_their_digest(model):
    assert ExperimentConfig(model=model).to_dict()["backbone"] == "efficientnet_lite0"
    committed = read_meta(Path(__file__).parents[2] / "figures" / "fashion_mnist")
    assert ExperimentConfig.from_dict(committed["config"]).digest == committed["config_hash"]


def test_the_size_that_a_backbone_chose_is_written_down_and_read(backbone, tmp_path, monkeypatch):
    config = probe_config(backbone, rounds=1)
    run_experiment(config, tmp_path / "out", jobs=0, progress=False)
    meta = read_meta(tmp_path / "out")
    size = load_backbone(backbone).size
    assert "backbone_size" not in meta["config"]
    assert meta["options"]["backbone_size"] == size
    study = tmp_path / "out" / "study.toml"
    assert ExperimentConfig.from_dict(load_profile(study)) == config
    monkeypatch.setattr("al_tf.experiments.options.default_size", lambda _: size + 1)
    again = ExperimentConfig.from_dict(load_profile(study))
    assert again.backbone_size == size
    run_experiment(again, tmp_path / "out", jobs=0, progress=False)  # the same experiment


def test_a_probe_samples_without_dropout():
    assert ExperimentConfig(model="probe", strategies="bald").spec("bald").name == "bald"


def finetuned_config(backbone, **changes):
    settings = {
        "model": "finetuned",
        "model_params": {"trainable": "all", "class_weight": "balanced"},
        "epochs": 1,
        "min_steps": 12,
        "seeds": 1,
        "rounds": 2,
    }
    return probe_config(backbone, **{**settings, **changes})


def test_a_pretrained_network_is_trained_and_nothing_is_embedded(backbone, tmp_path, embedded):
    params = {"trainable": "all", "learning_rate": 0.03, "dropout": 0}
    changes = {"model_params": params, "initial": 200, "min_steps": 300, "rounds": 1}
    config = finetuned_config(backbone, **changes)
    results = run_experiment(config, tmp_path / "out", jobs=0, progress=False)
    assert embedded == []
    assert results["accuracy"].max() > 0.2  # of ten classes
    records = load_records(tmp_path / "out")
    assert set(records["steps"]) == {300}
    assert not (tmp_path / "out" / "features").exists()
    assert len(read_meta(tmp_path / "out")["backbone_fingerprint"]) == 32


@pytest.mark.parametrize("fit_mode", ["scratch", "warm"])
def test_a_finetuned_run_cut_short_ends_with_the_same_numbers(fit_mode, backbone, tmp_path):
    config = finetuned_config(backbone, fit_mode=fit_mode)
    run_experiment(config, tmp_path / "whole", jobs=0, progress=False)
    for rounds in (1, 2):
        config = finetuned_config(backbone, fit_mode=fit_mode, rounds=rounds)
        run_experiment(config, tmp_path / "parts", jobs=0, progress=False)
    pd.testing.assert_frame_equal(numbers(tmp_path / "parts"), numbers(tmp_path / "whole"))


def test_a_finetuned_model_has_its_backbone_size_and_parameters(backbone):
    config = finetuned_config(backbone, backbone_size=16, model_params={"dropout": 0.5})
    model = build_estimator(config, 10)
    assert model.model_fn is build_finetuned
    assert model.model_params == {"backbone": backbone, "size": 16, "dropout": 0.5}
    assert (model.epochs, model.min_steps, model.classes) == (1, 12, range(10))


@pytest.mark.parametrize(("params", "samples"), [({}, True), ({"dropout": 0}, False)])
def test_a_finetuned_model_samples_with_its_dropout(params, samples):
    settings = {"model": "finetuned", "strategies": "bald", "model_params": params}
    if samples:  # there is dropout unless it is switched off
        assert ExperimentConfig(**settings).spec("bald").name == "bald"
        return
    with pytest.raises(ValueError, match="samples a network with dropout: set model='cnn' or"):
        ExperimentConfig(**settings)
    with pytest.raises(ValueError, match="samples of the model that cover all images at once"):
        ExperimentConfig(model="finetuned", strategies="batch_bald")


def test_the_plan_of_a_finetuned_network_is_made_from_a_part_of_the_images(backbone, monkeypatch):
    config = finetuned_config(backbone, initial=100, batch=10, rounds=2, strategies="margin,bald")
    plan = make_plan(config, jobs=1)
    assert (plan.images_embedded, plan.embedding_seconds) == (0, 0.0)
    assert plan.gradient_steps == 12 + 2 * 3 * 12
    assert set(plan.query_seconds) == {"random", "margin", "bald"}
    sample, factor = _sample(make_setting(config, 0))
    assert len(sample.initial) == len(sample.x_test) == MEASURED_IMAGES
    assert len(sample.pool) == 2 * MEASURED_IMAGES
    assert factor == 500 / MEASURED_IMAGES

"""A probe experiment: images are embedded once, then every round works on features."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from al_tf.errors import ConfigMismatchError
from al_tf.experiments import ExperimentConfig, make_plan, read_meta, run_experiment
from al_tf.experiments import features as features_module
from al_tf.network.backbones import Backbone

from .helpers import fast_config, numbers

pytestmark = pytest.mark.keras


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    """Return the file of a tiny network that turns images into 6 features."""
    import keras

    layers = keras.layers
    keras.utils.set_random_seed(0)
    body = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(6, 3, strides=2, activation="relu"),
            layers.GlobalAveragePooling2D(),
        ]
    )
    path = tmp_path_factory.mktemp("backbone") / "tiny.keras"
    body.save(path)
    return str(path)


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


def test_another_network_under_the_same_name_is_an_error(backbone, tmp_path, monkeypatch):
    config = probe_config(backbone, rounds=0)
    run_experiment(config, tmp_path / "out", jobs=0, progress=False)
    assert len(read_meta(tmp_path / "out")["backbone_fingerprint"]) == 32
    monkeypatch.setattr(Backbone, "fingerprint", "0" * 32)
    with pytest.raises(ConfigMismatchError, match=r"not the one that .* was begun with"):
        run_experiment(probe_config(backbone, rounds=1), tmp_path / "out", jobs=0, progress=False)


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
        ({"model": "cnn", "backbone": "x"}, "settings of the model 'probe'; got the model 'cnn'"),
        ({"model": "logistic", "backbone_size": 96}, "settings of the model 'probe'"),
        ({"model": "probe", "fit_mode": "warm"}, "'probe' is fitted anew"),
        ({"model": "probe", "model_params": {"size": 9}}, "no parameter 'size'.*: C, class_weight"),
        ({"model": "probe", "backbone_size": 0}, "backbone_size should be greater than or equal"),
    ],
)
def test_settings_that_do_not_go_together(change, message):
    with pytest.raises(ValueError, match=message):
        ExperimentConfig(**change)


def test_the_backbone_is_written_down_and_experiments_without_one_keep_their_digest():
    assert ExperimentConfig(model="probe").to_dict()["backbone"] == "efficientnet_lite0"
    committed = read_meta(Path(__file__).parents[2] / "figures" / "fashion_mnist")
    assert ExperimentConfig.from_dict(committed["config"]).digest == committed["config_hash"]


def test_a_probe_samples_without_dropout():
    assert ExperimentConfig(model="probe", strategies="bald").spec("bald").name == "bald"

"""All runs of an experiment trained as one: the records of single runs, on JAX; refused elsewhere."""

import numpy as np
import pandas as pd
import pytest

from al_tf.errors import RunFailedError
from al_tf.experiments import load_records, run_experiment

from .helpers import fast_config, numbers

pytestmark = pytest.mark.keras

CNN = {
    "model": "cnn",
    "model_params": {"filters": [4], "dense": 8},
    "epochs": 1,
    "min_steps": 20,
    "batch_size": 16,
    "rounds": 2,
}
TOLERANCES = dict.fromkeys(("accuracy", "f1_macro", "loss", "recall"), 1e-5)
TOLERANCES["average_precision"] = 1e-3  # by ranks: two images may change places


def backend():
    import keras

    return keras.backend.backend()


@pytest.fixture
def on_jax(as_on_a_gpu):
    if backend() != "jax":
        pytest.skip("SKIPPED: vectorised runs need KERAS_BACKEND=jax (make test-jax)")


def assert_alike(one, other):
    one, other = numbers(one), numbers(other)
    rest = one.columns.difference([*TOLERANCES])
    pd.testing.assert_frame_equal(one[rest], other[rest])
    assert list(one.columns) == list(other.columns)
    for name, tolerance in TOLERANCES.items():
        values = ([x for v in frame[name] for x in np.ravel(v)] for frame in (one, other))
        np.testing.assert_allclose(*values, atol=tolerance, err_msg=name)


def test_records_are_those_of_single_runs(on_jax, tmp_path):
    config = fast_config(strategies="margin,badge", **CNN)
    run_experiment(config, tmp_path / "single", jobs=0, progress=False)
    run_experiment(config, tmp_path / "together", vectorized=True, progress=False)
    assert_alike(tmp_path / "together", tmp_path / "single")
    assert (load_records(tmp_path / "together")["seconds_fit"] > 0).all()


def test_an_experiment_cut_short_goes_on_either_way(on_jax, tmp_path):
    config, short = fast_config(**CNN), fast_config(**{**CNN, "rounds": 1})
    run_experiment(config, tmp_path / "whole", jobs=0, progress=False)
    run_experiment(short, tmp_path / "parts", jobs=0, progress=False)
    run_experiment(config, tmp_path / "parts", vectorized=True, progress=False)
    assert_alike(tmp_path / "parts", tmp_path / "whole")


def test_a_run_that_fails_is_named_and_the_others_go_on(on_jax, tmp_path):
    config = fast_config(strategies="fails_late", seeds=1, **{**CNN, "rounds": 3})
    with pytest.raises(RunFailedError, match="1 of 2 runs failed") as caught:
        run_experiment(config, tmp_path, vectorized=True, progress=False)
    assert "fails_late-seed0: ZeroDivisionError: the strategy broke" in str(caught.value)
    assert load_records(tmp_path).groupby("strategy")["round"].max()["random"] == 3


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [
        ({}, {}, "model='cnn' as one; got 'logistic'"),
        (CNN, {"jobs": 2}, "without worker processes or a cluster"),
        (CNN, {"backend": "dask", "scheduler": "tcp://nowhere:1"}, "without worker processes or"),
    ],
)
def test_settings_that_do_not_go_with_it_are_refused(config, options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        run_experiment(fast_config(**config), tmp_path, vectorized=True, **options)


def test_tensorflow_is_refused_with_what_to_set(tmp_path):
    if backend() == "jax":
        pytest.skip("the backend is JAX")
    with pytest.raises(ValueError, match=r"need Keras on JAX.*set KERAS_BACKEND=jax"):
        run_experiment(fast_config(**CNN), tmp_path / "out", vectorized=True, progress=False)
    assert not (tmp_path / "out").exists()

"""The pixel baseline is a scikit-learn estimator like any other."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

from al_tf import load_dataset
from al_tf.experiments import run_experiment
from al_tf.experiments.logistic import PixelLogistic

from .helpers import fast_config

DATA = load_dataset("digits")
X, Y = DATA.x_train[:200], DATA.y_train[:200]


def test_it_is_scikit_learn_s_regression_on_the_pixels():
    ours = PixelLogistic(max_iter=500).fit(X, Y)
    theirs = LogisticRegression(max_iter=500).fit(X.reshape(200, -1) / np.float32(255), Y)
    expected = theirs.predict_proba(DATA.x_test.reshape(len(DATA.x_test), -1) / np.float32(255))
    np.testing.assert_allclose(ours.predict_proba(DATA.x_test), expected, atol=1e-5)


@pytest.mark.parametrize("present", [[3], [3, 7], [1, 3, 7]])
def test_a_class_without_a_label_has_probability_zero(present):
    rows = np.isin(Y, present)
    proba = PixelLogistic(range(10)).fit(X[rows], Y[rows]).predict_proba(X)
    assert proba.shape == (200, 10)
    assert (proba.sum(axis=0) > 0).tolist() == [k in present for k in range(10)]
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert (
        PixelLogistic(range(10)).fit(X[rows], Y[rows]).predict(X[rows]) == Y[rows]
    ).mean() > 0.95


def test_a_clone_keeps_the_parameters_and_forgets_the_fit():
    model = PixelLogistic(range(10), max_iter=7, C=0.5).fit(X, Y)
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        copy.predict_proba(X)


def test_parameters_are_set_by_name_and_others_refused():
    assert PixelLogistic().set_params(C=2.0, random_state=3).C == 2.0
    with pytest.raises(ValueError, match="Invalid parameter 'depth'"):
        PixelLogistic().set_params(depth=3)
    with pytest.raises(ValueError, match=r"y holds .*9.*not among \[0, 1\]"):
        PixelLogistic([0, 1]).fit(X, np.where(Y == 9, 9, 0))


def test_weights_come_back(tmp_path):
    model = PixelLogistic(range(10)).fit(X, Y)
    model.save_weights(tmp_path / "w.npz")
    again = PixelLogistic().load_weights(tmp_path / "w.npz")
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_strategies_that_fit_clones_run_with_it(tmp_path):
    config = fast_config(
        strategies="expected_error", seeds=1, rounds=1, batch=2, pool=34, model_params={}
    )
    results = run_experiment(config, tmp_path, jobs=0, progress=False)
    assert set(results["strategy"]) == {"random", "expected_error"}

"""Density, entropy times density, and modAL's information density."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import spearmanr
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import KernelDensity

from al_tf.errors import UnknownNameError
from al_tf.geometry import mean_similarity, standardise
from al_tf.seeding import check_random_state
from al_tf.strategies import get_strategy
from al_tf.strategies.density import feature_log_density
from al_tf.strategies.uncertainty import entropy_score


def crowd(n=400, d=6, seed=0):
    """A crowd around 0, and a tenth of the images spread far around it."""
    rng = np.random.default_rng(seed)
    spread = np.where(np.arange(n) < 0.9 * n, 0.3, 3.0)
    return (spread[:, None] * rng.standard_normal((n, d))).astype(np.float32)


def test_density_is_scikit_learns_with_each_image_left_out(answers):
    rows = crowd()
    scaled = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    indices, scores = get_strategy("density")(
        answers(features=rows), rows, 30, random_state=0, bandwidth=0.5, n_components=None
    )
    everyone = KernelDensity(bandwidth=0.5, leaf_size=500).fit(scaled).score_samples(scaled)
    own = -3 * np.log(2 * np.pi) - 6 * np.log(0.5)
    expected = np.log((400 * np.exp(everyone) - np.exp(own)) / 399)
    np.testing.assert_allclose(scores, np.sort(expected)[::-1][:30], atol=1e-3)
    assert set(indices) == set(np.argsort(-expected)[:30])


def test_density_avoids_what_is_far_from_everything(answers):
    rows = crowd()
    indices, _ = get_strategy("density")(answers(features=rows), rows, 100, random_state=0)
    assert (indices < 360).all()


def test_sample_mode_draws_in_proportion_to_the_density(answers):
    rows = np.repeat(np.float32([[0.0], [1.0]]), [30, 10], axis=0)
    model = answers(features=rows)
    first = [
        get_strategy("density")(model, rows, 1, random_state=seed, bandwidth=0.05, mode="sample")[
            0
        ][0]
        for seed in range(300)
    ]
    expected = 30 * 29 / (30 * 29 + 10 * 9)  # density: how many others stand on the same place
    assert abs(np.mean(np.array(first) < 30) - expected) < 0.06


def test_entropy_density_is_the_product(answers):
    rng = np.random.default_rng(0)
    rows, proba = crowd(), rng.dirichlet(np.ones(4), 400)
    density, _ = feature_log_density(rows, bandwidth=1.0)
    expected = entropy_score(proba) * np.exp(density) ** 0.3
    indices, scores = get_strategy("entropy_density")(
        answers(proba, rows), rows, 25, random_state=0, beta=0.3, bandwidth=1.0
    )
    assert set(indices) == set(np.argsort(-expected)[:25])
    np.testing.assert_allclose(np.exp(scores), expected[indices], rtol=1e-3)


@pytest.mark.filterwarnings("ignore:The density is flat")
def test_entropy_density_hands_its_settings_on(answers):
    rows, proba = crowd(), np.random.default_rng(0).dirichlet(np.ones(4), 400)
    model = answers(proba, rows)

    def ask(**settings):
        return get_strategy("entropy_density")(
            model, rows, 400, random_state=0, bandwidth=1.0, **settings
        )

    indices, scores = ask(n_components=2)
    density, _ = feature_log_density(rows, bandwidth=1.0, n_components=2)
    np.testing.assert_allclose(
        scores, np.log(entropy_score(proba[indices])) + density[indices], atol=1e-3
    )
    assert not np.allclose(np.sort(ask(reference_size=40)[1]), np.sort(ask()[1]))
    drawn = [
        get_strategy("entropy_density")(
            model, rows, 5, random_state=seed, bandwidth=1.0, mode="sample"
        )[0]
        for seed in (0, 0, 1, 2)
    ]
    assert drawn[0].tolist() == drawn[1].tolist()
    assert len({tuple(batch) for batch in map(sorted, drawn)}) == 3


def test_entropy_density_with_beta_0_is_entropy(answers):
    proba = np.random.default_rng(0).dirichlet(np.ones(4), 400)
    model = answers(proba, crowd())
    expected = get_strategy("entropy")(model, crowd(), 30, random_state=0)[0]
    rows = get_strategy("entropy_density")(model, crowd(), 30, random_state=0, beta=0.0)[0]
    np.testing.assert_array_equal(rows, expected)


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({"bandwidth": 50.0}, "density is flat"),
        ({"bandwidth": 0.05, "n_components": None}, "Every point is alone"),
    ],
)
def test_a_bandwidth_that_says_nothing_is_warned_about(answers, params, problem):
    rows = np.random.default_rng(0).standard_normal((300, 12))
    with pytest.warns(UserWarning, match=problem):
        get_strategy("density")(answers(features=rows), rows, 5, random_state=0, **params)


@pytest.mark.filterwarnings("error")
def test_the_defaults_say_something(answers):
    rows = crowd(600, 40)
    get_strategy("density")(answers(features=rows), rows, 5, random_state=0)


def test_a_reference_sample_ranks_nearly_as_all_images_do():
    rows = crowd(3000)
    exact, _ = feature_log_density(rows, bandwidth=1.0)
    sampled, _ = feature_log_density(rows, bandwidth=1.0, reference_size=1000, random_state=0)
    assert np.abs(exact - sampled)[:2700].max() < 0.3
    assert spearmanr(exact, sampled).statistic > 0.98


def naive_log_density(X, kernels, bandwidth):
    exponents = -(pairwise_distances(X, kernels) ** 2) / (2 * bandwidth**2)
    constant = X.shape[1] * (0.5 * np.log(2 * np.pi) + np.log(bandwidth))
    return logsumexp(exponents, axis=1) - np.log(len(kernels)) - constant


def test_kernels_on_a_sample_leave_out_the_images_own():
    """The sample is without repeats; an image of it is compared with the others of it."""
    rows = standardise(np.random.default_rng(0).standard_normal((500, 3))).astype(float)
    density, _ = feature_log_density(rows, bandwidth=0.8, reference_size=200, random_state=7)
    sample = check_random_state(7).choice(500, 200, replace=False)
    expected = naive_log_density(rows, rows[sample], 0.8)
    for image in sample:
        others = sample[sample != image]
        expected[image] = naive_log_density(rows[[image]], rows[others], 0.8)[0]
    np.testing.assert_allclose(density, expected, atol=1e-3)


@pytest.mark.parametrize("n", [300, 301])
def test_a_large_pool_is_compared_with_a_sample(n, monkeypatch):
    monkeypatch.setattr("al_tf.strategies.density.EXACT_UP_TO", 300)
    monkeypatch.setattr("al_tf.strategies.density.REFERENCE_SIZE", 100)
    rows = crowd(n)
    asked = None if n == 300 else 100
    expected, _ = feature_log_density(rows, bandwidth=1.0, random_state=0, reference_size=asked)
    default, _ = feature_log_density(rows, bandwidth=1.0, random_state=0)
    other, _ = feature_log_density(rows, bandwidth=1.0, random_state=1)
    np.testing.assert_array_equal(default, expected)
    assert np.array_equal(default, other) == (n == 300)


def test_information_density_is_modals(answers):
    rows = crowd()
    expected = (1 / (1 + pairwise_distances(rows.astype(float)))).mean(axis=1)
    indices, scores = get_strategy("information_density")(
        answers(features=rows), rows, 20, random_state=0
    )
    assert set(indices) == set(np.argsort(-expected)[:20])
    np.testing.assert_allclose(scores, expected[indices], atol=1e-5)


def test_information_density_against_a_sample(answers):
    rows = crowd(2000)
    exact = (1 / (1 + pairwise_distances(rows.astype(float)))).mean(axis=1)
    indices, scores = get_strategy("information_density")(
        answers(features=rows), rows, 50, random_state=0, reference_size=500
    )
    np.testing.assert_allclose(scores, exact[indices], atol=0.05)


@pytest.mark.parametrize("n", [300, 301])
def test_information_density_of_a_large_pool_takes_a_sample_without_repeats(
    n, answers, monkeypatch
):
    from al_tf.strategies import information_density as module

    seen = []

    def spied(rows, sample):
        seen.append(sample)
        return mean_similarity(rows, sample)

    monkeypatch.setattr(module, "EXACT_UP_TO", 300)
    monkeypatch.setattr(module, "REFERENCE_SIZE", 200)
    monkeypatch.setattr(module, "mean_similarity", spied)
    rows = crowd(n)
    get_strategy("information_density")(answers(features=rows), rows, 5, random_state=0)
    if n == 300:
        assert seen == [None]
    else:
        assert len(np.unique(seen[0], axis=0)) == 200


@pytest.mark.parametrize(
    ("name", "params", "error", "message"),
    [
        ("density", {"mode": "best"}, UnknownNameError, "Unknown mode 'best'"),
        ("density", {"bandwidth": "wide"}, UnknownNameError, "Unknown bandwidth 'wide'"),
        ("density", {"bandwidth": 0.0}, ValueError, "bandwidth must be a positive number"),
        ("density", {"n_components": 0}, ValueError, "n_components must be 1 or more"),
        ("density", {"reference_size": 1}, ValueError, "reference_size must be 2 or more"),
        ("entropy_density", {"beta": -1.0}, ValueError, "beta must be a number of 0 or more"),
        ("information_density", {"reference_size": 0}, ValueError, "must be 1 or more"),
    ],
)
def test_a_parameter_out_of_range_is_an_error(answers, name, params, error, message):
    rows = crowd(30)
    model = answers(np.full((30, 2), 0.5), rows)
    with pytest.raises(error, match=message):
        get_strategy(name)(model, rows, 2, **params)

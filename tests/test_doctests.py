"""The Examples sections of docstrings say what the code does."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

from al_tf.strategies._registry import REGISTRY

ROOMS = ["al_tf.analysis", "al_tf.datasets", "al_tf.files", "al_tf.geometry", "al_tf.images",
         "al_tf.learner", "al_tf.plots", "al_tf.seeding", "al_tf.strategies"]  # fmt: skip


def modules_of(room):
    module = importlib.import_module(room)
    inside = pkgutil.walk_packages(getattr(module, "__path__", []), f"{room}.")
    return [room, *(info.name for info in inside)]


@pytest.fixture(autouse=True)
def registry():
    """Leave the registry of strategies as it was: an example registers one."""
    before = dict(REGISTRY)
    yield
    REGISTRY.clear()
    REGISTRY.update(before)


@pytest.mark.parametrize("name", [name for room in ROOMS for name in modules_of(room)])
def test_examples_give_what_they_print(name):
    module = importlib.import_module(name)
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0, f"run: pytest --doctest-modules {module.__file__}"


@pytest.mark.parametrize(
    "name",
    [
        "al_tf.analysis.label_savings",
        "al_tf.analysis.learning_curve_table",
        "al_tf.analysis.verdict_table",
        "al_tf.datasets.ImageDataset",
        "al_tf.datasets.LazyImageFolder",
        "al_tf.datasets.describe",
        "al_tf.datasets.fetch_dataset",
        "al_tf.datasets.list_datasets",
        "al_tf.datasets.load_dataset",
        "al_tf.learner.ActiveLearner",
        "al_tf.learner.Committee",
        "al_tf.plots.forest_plot",
        "al_tf.plots.learning_curves",
        "al_tf.plots.query_map",
        "al_tf.seeding.derive_seed",
        "al_tf.seeding.stream",
        "al_tf.strategies.get_strategy",
        "al_tf.strategies.list_strategies",
        "al_tf.strategies.query_by_proba",
        "al_tf.strategies.register_strategy",
        "al_tf.strategies.testing.check_strategy",
    ],
)
def test_what_users_call_first_has_an_example(name):
    module, _, function = name.rpartition(".")
    docstring = getattr(importlib.import_module(module), function).__doc__
    assert doctest.DocTestParser().get_examples(docstring)

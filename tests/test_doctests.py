"""The Examples sections of docstrings say what the code does, and every public name has one."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import al_tf
from al_tf.strategies._registry import REGISTRY

PACKAGE = Path(al_tf.__file__).parent
SHOWN_BY = {
    "al_tf.analysis.PenaltyMatrix": "al_tf.analysis.penalty_matrix",
    "al_tf.datasets.DatasetInfo": "al_tf.datasets.load_dataset",
    "al_tf.datasets.DatasetStatus": "al_tf.datasets.dataset_status",
    "al_tf.experiments.Plan": "al_tf.experiments.make_plan",
    "al_tf.experiments.Study": "al_tf.experiments.read_study",
    "al_tf.geometry.DensityDiagnostic": "al_tf.geometry.diagnose_density",
    "al_tf.geometry.Frame": "al_tf.geometry.make_frame",
    "al_tf.geometry.Reduction": "al_tf.geometry.find_reduction",
    "al_tf.labeling.Advice": "al_tf.labeling.LabelingSession",
    "al_tf.labeling.ClassQuality": "al_tf.labeling.LabelingSession",
    "al_tf.labeling.Commonest": "al_tf.labeling.LabelingSession",
    "al_tf.labeling.Estimate": "al_tf.labeling.LabelingSession",
    "al_tf.labeling.Event": "al_tf.labeling.LabelLedger",
    "al_tf.labeling.ImagePool": "al_tf.labeling.ArrayPool",
    "al_tf.labeling.Item": "al_tf.labeling.LabelingSession",
    "al_tf.labeling.Neighbour": "al_tf.labeling.LabelingSession",
    "al_tf.labeling.LabelClass": "al_tf.labeling.ledger.ClassList",
    "al_tf.labeling.Prediction": "al_tf.labeling.LabelingSession",
    "al_tf.labeling.Progress": "al_tf.labeling.LabelingSession",
    "al_tf.labeling.TrainingStatus": "al_tf.labeling.LabelingSession",
    "al_tf.labeling.exchange.label_studio.ImportResult": "al_tf.labeling.exchange.label_studio.import_annotations",
    "al_tf.labeling.ledger.Candidate": "al_tf.labeling.LabelLedger",
    "al_tf.labeling.ledger.Event": "al_tf.labeling.LabelLedger",
    "al_tf.labeling.ledger.LabelClass": "al_tf.labeling.ledger.ClassList",
    "al_tf.labeling.ledger.Slot": "al_tf.labeling.LabelingSession",
    "al_tf.labeling.ledger.Snapshot": "al_tf.labeling.LabelLedger",
    "al_tf.labeling.ledger.Training": "al_tf.labeling.LabelLedger",
    "al_tf.labeling.ledger.stale_slot_message": "al_tf.labeling.LabelLedger",
    "al_tf.strategies.StrategyInfo": "al_tf.strategies.strategy_info",
}
"""What no example has to make, because it is part of what another name's example returns or does."""

NEEDS = {"al_tf.experiments.trackers": ("mlflow", "tensorboard")}
"""Packages that the examples of a module need (`make test-tracking` runs these)."""


def module_name(path):
    parts = ("al_tf", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {module_name(path): path.read_text("utf-8") for path in sorted(PACKAGE.rglob("*.py"))}
WITH_EXAMPLES = [name for name, source in SOURCES.items() if "    >>> " in source]
PUBLIC = [
    f"{room}.{name}"
    for room, source in SOURCES.items()
    if "\n__all__ = " in source
    for name in importlib.import_module(room).__all__
]


def public_object(name):
    room, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(room), attribute)


def has_example(thing):
    return bool(doctest.DocTestParser().get_examples(thing.__doc__ or ""))


@pytest.fixture(autouse=True)
def registry():
    """Leave the registry of strategies as it was: an example registers one."""
    before = dict(REGISTRY)
    yield
    REGISTRY.clear()
    REGISTRY.update(before)


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_give_what_they_print(name):
    for package in NEEDS.get(name, ()):
        pytest.importorskip(package)
    module = importlib.import_module(name)
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.attempted > 0
    assert result.failed == 0, f"run: pytest --doctest-modules {module.__file__}"


@pytest.mark.parametrize("name", sorted(set(PUBLIC) - set(SHOWN_BY)))
def test_every_public_name_has_an_example(name):
    thing = public_object(name)
    if not callable(thing):
        return  # a constant
    assert has_example(thing)
    assert thing.__module__ in WITH_EXAMPLES  # so that it is run


@pytest.mark.parametrize(("name", "shown_by"), SHOWN_BY.items())
def test_what_has_no_example_is_public_and_belongs_to_a_name_that_has_one(name, shown_by):
    assert name in PUBLIC
    assert not has_example(public_object(name))
    assert has_example(public_object(shown_by))


def test_all_rooms_are_looked_at():
    rooms = {name.rpartition(".")[0] for name in PUBLIC}
    assert {"al_tf", "al_tf.analysis", "al_tf.datasets", "al_tf.experiments", "al_tf.labeling",
            "al_tf.plots", "al_tf.strategies", "al_tf.strategies.testing"} <= rooms  # fmt: skip
    assert len(PUBLIC) > 100

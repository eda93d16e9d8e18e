"""The registry: names, what is known of each, strategies of notebooks and of installed packages."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from al_tf.strategies import (
    BUILT_IN,
    StrategyInfo,
    get_strategy,
    list_strategies,
    register_strategy,
    strategy_info,
)
from al_tf.strategies._registry import NEEDS, REGISTRY, _load
from al_tf.strategies.testing import FakeClassifier, check_strategy
from al_tf.strategies.uncertainty import entropy

EXAMPLE = Path(__file__).parent.parent / "plugin_example"


@pytest.fixture
def registry():
    """Leave the registry as it was."""
    before = dict(REGISTRY)
    yield REGISTRY
    REGISTRY.clear()
    REGISTRY.update(before)


def mine(classifier, X, n_instances=1, *, random_state=None):
    return entropy(classifier, X, n_instances, random_state=random_state)


def test_a_name_gives_the_function():
    assert get_strategy("entropy") is entropy


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_every_entry_is_complete(name):
    info = strategy_info(name)
    assert info.name == name
    assert info.function.__name__ == name
    assert info.function.__doc__
    assert info.family
    assert info.cost != "not stated"
    assert set(info.needs) <= set(NEEDS)
    assert info.paper or name == "random"


def test_what_is_stated_about_a_strategy_is_kept(registry):
    stated = {
        "family": "mine",
        "needs": ("probabilities",),
        "cost": "n",
        "paper": "A paper",
        "stochastic": True,
        "sequential": True,
    }
    register_strategy("stated", mine, **stated)
    register_strategy("unstated", mine)
    facts = {"name": "stated", **stated}
    assert {key: getattr(strategy_info("stated"), key) for key in facts} == facts
    silent = strategy_info("unstated")
    assert (silent.family, silent.cost, silent.paper) == ("other", "not stated", "")
    assert not silent.stochastic
    assert not silent.sequential


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"Unknown strategy 'entropi'\. Known .*margin, entropy"):
        get_strategy("entropi")


def test_register_as_a_call(registry):
    register_strategy("mine", mine, family="uncertainty", needs=["probabilities"], cost="n·K")
    assert get_strategy("mine") is mine
    assert strategy_info("mine").needs == ("probabilities",)
    assert list_strategies()[-1] == "mine"


def test_register_as_a_decorator_with_a_name(registry):
    decorated = register_strategy("renamed", family="uncertainty")(mine)
    assert decorated is mine
    assert get_strategy("renamed") is mine


def test_register_as_a_bare_decorator_takes_the_functions_name(registry):
    assert register_strategy(mine) is mine
    assert get_strategy("mine") is mine


def test_a_known_name_is_not_overwritten_in_silence(registry):
    with pytest.raises(ValueError, match=r"'entropy' is registered already .*overwrite=True"):
        register_strategy("entropy", mine)
    assert get_strategy("entropy") is entropy
    register_strategy("entropy", mine, overwrite=True)
    assert get_strategy("entropy") is mine


def test_the_same_function_may_be_registered_again(registry):
    register_strategy("mine", mine)
    register_strategy("mine", mine, family="uncertainty")
    assert strategy_info("mine").family == "uncertainty"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"name": "x", "function": 3}, TypeError, "must be callable; 'x' is 3"),
        ({"name": "x", "function": mine, "needs": ("gradients",)}, ValueError, "needs is a tuple"),
        ({"name": "x", "function": mine, "needs": "dropout"}, ValueError, "needs is a tuple"),
    ],
)
def test_a_wrong_entry_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        StrategyInfo(**arguments)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with the example package installed into it by pip."""
    work = tmp_path_factory.mktemp("plugin")
    source, site = work / "source", work / "site"
    shutil.copytree(EXAMPLE, source)  # the build leaves files beside the sources
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--no-index", "--target", site, source], check=True)
    return site


@pytest.fixture
def installed(site, monkeypatch):
    monkeypatch.syspath_prepend(str(site))
    yield
    for name in [n for n in sys.modules if n.startswith("al_tf_example_strategy")]:
        del sys.modules[name]


@pytest.mark.usefixtures("installed")
class TestInstalledPackage:
    def test_is_found_without_being_loaded(self):
        assert {"least_likely_class", "darkest", "example_broken"} <= set(list_strategies())
        assert "al_tf_example_strategy" not in sys.modules

    def test_gives_its_strategy_and_what_it_says_about_it(self):
        info = strategy_info("least_likely_class")
        assert (info.family, info.needs, info.cost) == ("uncertainty", ("probabilities",), "n·K")
        X = np.random.default_rng(0).random((9, 4, 4))
        classifier = FakeClassifier().fit(X, np.resize(["a", "b"], 9))
        indices, _ = get_strategy("least_likely_class")(classifier, X, 2)
        assert len(set(indices)) == 2

    def test_may_give_a_bare_function(self):
        info = strategy_info("darkest")
        assert (info.name, info.cost) == ("darkest", "not stated")
        assert get_strategy("darkest").__name__ == "darkest"

    def test_is_checked_by_the_kit_under_its_name(self):
        check_strategy("least_likely_class")

    def test_that_cannot_be_loaded_harms_nobody_until_it_is_asked_for(self):
        info = strategy_info("example_broken")
        assert (info.name, info.family) == ("example_broken", "cannot be loaded")
        assert "ModuleNotFoundError: No module named 'a_library_that_is_not_in" in info.error
        with pytest.raises(ImportError, match=r"package al-tf-example-strategy \(.*cannot be lo"):
            get_strategy("example_broken")
        with pytest.raises(ImportError, match="al-tf-example-strategy"):
            info.function(None, None)
        assert get_strategy("entropy") is entropy

    def test_does_not_take_a_name_that_is_registered(self, registry):
        register_strategy("darkest", mine)
        with pytest.warns(UserWarning, match="'darkest' of the package al-tf-example-strategy"):
            assert list_strategies().count("darkest") == 1
        assert get_strategy("darkest") is mine

    def test_does_not_share_a_name_with_another_package(self, tmp_path, monkeypatch):
        other = tmp_path / "other_package-1.0.dist-info"
        other.mkdir()
        (other / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: other-package\nVersion: 1.0\n"
        )
        (other / "entry_points.txt").write_text("[al_tf.strategies]\ndarkest = other:strategy\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        with pytest.raises(ImportError, match=r"Several packages .*other-package.* and .*example"):
            get_strategy("darkest")
        assert strategy_info("darkest").name == "darkest"

    def test_may_be_one_without_a_name(self):
        nameless = EntryPoint("lost", "nowhere:strategy", "al_tf.strategies")
        with pytest.raises(ImportError, match=r"of an unnamed package \(nowhere:strategy\)"):
            _load("lost", [nameless]).function(None, None)


def test_strategies_load_neither_tensorflow_nor_scikit_learn():
    code = (
        "import sys, al_tf.strategies as s; s.list_strategies(); "
        "print([m for m in ('tensorflow', 'keras', 'sklearn', 'scipy', 'pandas', 'hypothesis') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_kit_says_how_to_install_what_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    with pytest.raises(ImportError, match=r"pip install \"al-tf\[testing\]\""):
        check_strategy("entropy")


@pytest.mark.parametrize(
    "name", sorted(n for n in BUILT_IN if strategy_info(n).starts_without_model)
)
def test_what_starts_without_a_model_chooses_from_features_alone(name):
    from al_tf.strategies.cold_start import FeaturesOnly

    features = np.random.default_rng(0).random((40, 6)).astype(np.float32)
    chosen, _ = get_strategy(name)(FeaturesOnly(range(3)), features, 5, random_state=0)
    assert len(set(chosen.tolist())) == 5


def test_which_strategies_start_without_a_model():
    starting = {n for n in BUILT_IN if strategy_info(n).starts_without_model}
    assert {"random", "typiclust", "probcover", "max_herding", "uherding", "tcm"} <= starting
    assert not {"margin", "badge", "bait", "drop_query", "bald"} & starting


def test_probcover_without_the_number_of_classes_says_so():
    from al_tf.strategies.cold_start import FeaturesOnly

    with pytest.raises(TypeError, match="needs the number of classes"):
        get_strategy("probcover")(FeaturesOnly(), np.eye(6, dtype=np.float32), 2)

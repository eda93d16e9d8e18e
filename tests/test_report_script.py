"""`make report`: figures from what is there, a loud word on what is not."""

import importlib.util
from pathlib import Path

import pytest

from al_tf.errors import DataNotFoundError
from al_tf.plots import read_provenance

SCRIPT = Path(__file__).parent.parent / "figures" / "make.py"


@pytest.fixture
def script():
    spec = importlib.util.spec_from_file_location("make", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.keras
def test_digits_end_in_figures_with_provenance(script, tmp_path, capsys):
    asked = ["--profile", "smoke", "--only", "digits", "--results", str(tmp_path)]
    assert script.main(asked) == 0
    figure = tmp_path / "smoke" / "digits" / "figures" / "learning_curves.png"
    provenance = read_provenance(figure)
    assert provenance["seeds"] == [0, 1, 2, 3, 4]
    assert "--profile smoke" in provenance["command"]
    printed = capsys.readouterr().out
    assert "5 seeds" in printed
    assert "digits          done" in printed
    assert script.main(asked) == 0  # the second time there is nothing left to run


def test_a_dataset_that_cannot_be_had_is_skipped_with_the_reason(
    script, tmp_path, capsys, monkeypatch
):
    def make(dataset, profile, results, jobs):
        if dataset == "fashion_mnist":
            raise DataNotFoundError("Fashion-MNIST is nowhere.\nGet it: …")
        return tmp_path

    monkeypatch.setattr(script, "make", make)
    assert script.main(["--results", str(tmp_path)]) == 0
    printed = capsys.readouterr()
    assert "fashion_mnist   SKIPPED  Fashion-MNIST is nowhere." in printed.out
    assert "Get it: …" in printed.err


def test_nothing_to_show_is_a_failure(script, tmp_path, monkeypatch):
    def make(*args):
        raise DataNotFoundError("nowhere")

    monkeypatch.setattr(script, "make", make)
    assert script.main(["--results", str(tmp_path)]) == 1

"""Committed figures fit their records, and one that does not is found out."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from al_tf.report import read_experiments, write_report
from tests.test_notebooks import load_script

FIGURES = Path(__file__).parent.parent / "figures"
check = load_script(FIGURES / "check.py")


@pytest.mark.slow
def test_committed_figures_are_what_their_records_say(capsys):
    assert check.main() == 0, capsys.readouterr().out


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(FIGURES / "fashion_mnist", tmp_path / "fashion_mnist")


def test_a_copy_is_not_stale(folder):
    assert list(check.stale(folder)) == []


def test_figures_of_a_lossy_copy_say_so(folder, tmp_path):
    path = folder / "config.json"
    meta = json.loads(path.read_text())
    meta["data_source"] = "a lossy JPEG copy (not the original pixels) in some.tar.xz"
    path.write_text(json.dumps(meta))
    write_report(read_experiments([folder]), tmp_path)
    for picture in (tmp_path / "figures").glob("*.svg"):
        assert "fashion_mnist: a lossy JPEG copy" in picture.read_text(), picture.name


def test_committed_records_name_no_folder_of_a_machine():
    for path in FIGURES.glob("*/config.json"):
        meta = json.loads(path.read_text())
        commands = [meta["command"], *(c["command"] for c in meta.get("continued", []))]
        assert not [a for c in commands for a in c if Path(a).is_absolute()], path


def another_accuracy(folder):
    path = folder / "runs" / "margin-seed0.jsonl"
    lines = path.read_text().splitlines()
    lines[-1] = json.dumps(json.loads(lines[-1]) | {"accuracy": 0.99})
    path.write_text("\n".join(lines) + "\n")


def another_table(folder):
    path = folder / "learning_curves.csv"
    table = pd.read_csv(path)
    table.loc[0, "mean"] += 0.01
    table.to_csv(path, index=False)


def another_config(folder):
    path = folder / "config.json"
    meta = json.loads(path.read_text())
    meta["config"]["epochs"] += 1
    path.write_text(json.dumps(meta))


def another_fingerprint(folder):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"data_fingerprint": "other"}))


def no_svg(folder):
    (folder / "forest.svg").unlink()


def no_picture(folder):
    for path in folder.glob("forest.*"):
        path.unlink()


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (another_accuracy, "results.csv: differs from the records"),
        (another_table, "learning_curves.csv: differs from the table"),
        (another_config, "hash is not that of the configuration"),
        (another_fingerprint, "its data_fingerprint is"),
        (no_svg, "forest: without .svg"),
        (no_picture, "forest: missing"),
    ],
)
@pytest.mark.slow
def test_what_is_stale_is_named(folder, spoil, complaint):
    spoil(folder)
    assert complaint in "; ".join(check.stale(folder))


def test_a_readme_without_the_table_is_stale():
    readme = (FIGURES.parent / "README.md").read_text()
    assert not check.readme_is_stale(readme, FIGURES / "fashion_mnist")
    assert check.readme_is_stale(readme.replace("0.", "1."), FIGURES / "fashion_mnist")

"""Committed figures fit their records, and one that does not is named."""

import gzip
import json
import shutil
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from al_tf.experiments import read_meta
from al_tf.experiments.study import write_meta
from al_tf.plots import build_provenance, read_figure_table, read_provenance, save_figure
from al_tf.report import lossy_data_note, read_experiments
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


def test_figures_of_a_lossy_copy_say_so(folder):
    (study,) = read_experiments([folder])
    assert lossy_data_note([study]) == ""
    source = "a lossy JPEG copy (not the original pixels) in some.tar.xz"
    study = study._replace(meta=study.meta | {"data_source": source})
    assert lossy_data_note([study]) == "fashion_mnist: a lossy JPEG copy"


def test_committed_studies_name_no_folder_of_a_machine():
    for path in FIGURES.glob("*/study.toml"):
        meta = read_meta(path.parent)
        commands = [meta["command"], *(c["command"] for c in meta.get("continued", []))]
        assert not [a for c in commands for a in c if Path(a).is_absolute()], path


def test_committed_studies_are_what_a_study_is_and_no_more():
    for path in FIGURES.glob("*/study.toml"):
        others = {p.name for p in path.parent.iterdir() if p.suffix != ".png"}
        assert others == {"study.toml", "records.jsonl.gz", "results.csv", "verdict.csv"}


def another_accuracy(folder):
    path = folder / "records.jsonl.gz"
    text = gzip.decompress(path.read_bytes()).decode()
    *lines, last = text.splitlines()
    lines.append(json.dumps(json.loads(last) | {"accuracy": 0.99}))
    path.write_bytes(gzip.compress("\n".join(lines).encode()))


def another_table(folder):
    table = read_figure_table(folder / "learning_curves.png")
    table.loc[0, "mean"] += 0.01
    save(folder / "learning_curves.png", table=table)


def another_study(folder):
    meta = read_meta(folder)
    save(folder / "forest.png", provenance=build_provenance({"a": meta}, command="", metric="x"))


def save(path, table=None, provenance=None):
    """Write a picture anew with another table or provenance inside."""
    table = read_figure_table(path) if table is None else table
    save_figure(Figure(), path, provenance or read_provenance(path), table=table)


def another_config(folder):
    meta = read_meta(folder)
    meta["config"]["epochs"] += 1
    write_meta(folder, meta)


def another_fingerprint(folder):
    write_meta(folder, read_meta(folder) | {"data_fingerprint": "other"})


def no_picture(folder):
    (folder / "forest.png").unlink()


def one_picture_more(folder):
    shutil.copy(folder / "forest.png", folder / "trees.png")


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (another_accuracy, "results.csv: differs from the records"),
        (another_accuracy, "forest.png: its records_sha256 is"),
        (another_table, "learning_curves.png: drawn from another table"),
        (another_study, "forest.png: its dataset is None, the study's is fashion_mnist"),
        (another_study, "forest.png: about x, other figures about accuracy"),
        (another_config, "hash is not that of the configuration"),
        (another_fingerprint, "its data_fingerprint is"),
        (no_picture, "forest.png: missing"),
        (one_picture_more, "trees.png: not a figure of a report"),
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

"""`make report`: notebooks executed with what is there, a loud word on what is not."""

import shutil
from pathlib import Path

import nbformat
import pytest

from tests.test_notebooks import load_script

SCRIPT = Path(__file__).parent.parent / "figures" / "make.py"

PARAMETERS = 'PROFILE = "quick"\nDATASET = "digits"\nRESULTS = "results"'
WORK = """
import sys
for i in range(3):
    print(f"\\rround {i}", end="", file=sys.stderr, flush=True)
print(PROFILE, DATASET, RESULTS)
"""
MISSING = """
from al_tf.errors import DataNotFoundError
raise DataNotFoundError("Tiles are nowhere.\\nGet them: ...")
"""


@pytest.fixture
def script(tmp_path, monkeypatch):
    module = load_script(SCRIPT)
    for name in ("notebooks", "figures"):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(module, name.upper(), tmp_path / name)
    return module


def add(script, name, *sources):
    cells = [nbformat.v4.new_code_cell(source) for source in (PARAMETERS, *sources)]
    cells[0].metadata["tags"] = ["parameters"]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(notebook, script.NOTEBOOKS / f"{name}.ipynb")


def test_parameters_are_set_and_taken_out_again(script, tmp_path, capsys):
    add(script, "01_good", WORK)
    assert script.main(["--profile", "smoke", "--results", str(tmp_path / "out")]) == 0
    assert "01_good  digits         done" in capsys.readouterr().out
    done = nbformat.read(tmp_path / "out" / "smoke" / "notebooks" / "01_good.ipynb", as_version=4)
    first, note, last = done.cells
    assert (first.source, last.source) == (PARAMETERS, WORK)
    assert (list(first.metadata), list(last.metadata)) == (["tags"], [])
    assert note.source.startswith("*Executed with profile smoke, which has few seeds and rounds.")
    assert "papermill" not in done.metadata
    said = {o.name: o.text for o in last.outputs}
    assert said["stdout"] == f"smoke digits {tmp_path / 'out'}\n"
    assert said["stderr"] == "round 2"  # of a bar, what was seen last


def test_a_log_names_the_notebook_at_work_and_draws_no_bars(script, tmp_path, capsys):
    add(script, "01_good", WORK)
    add(script, "02_good", WORK)
    script.main(["--results", str(tmp_path / "out")])
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["1 of 2: 01_good …", "2 of 2: 02_good …"]


def test_outputs_name_no_folder_of_the_machine(script, tmp_path, monkeypatch):
    monkeypatch.setenv("AL_TF_DATA_DIR", str(tmp_path / "sets"))
    text = f"{tmp_path}/sets/tiles, {Path.home()}/x, {script.ROOT}/figures, data of 3/4"
    output = nbformat.v4.new_output("stream", name="stdout", text=text)
    (tidied,) = script.tidy([output])
    assert tidied.text == "$AL_TF_DATA_DIR/tiles, ~/x, figures, data of 3/4"


def test_missing_data_and_failures_are_told_apart_and_the_others_go_on(script, tmp_path, capsys):
    add(script, "01_missing", MISSING)
    add(script, "02_broken", "1 / 0")
    add(script, "03_good", WORK)
    assert script.main(["--results", str(tmp_path / "out")]) == 1
    printed = capsys.readouterr()
    lines = {line.split()[0]: line for line in printed.out.splitlines() if line}
    assert "SKIPPED" in lines["01_missing"]
    assert lines["01_missing"].endswith("Tiles are nowhere. How to get it: above.")
    assert "ZeroDivisionError" in lines["02_broken"]
    assert " done " in lines["03_good"]
    assert "Get them: ..." in printed.err
    assert script.main(["--results", str(tmp_path / "out"), "--only", "01,03"]) == 0


def test_nothing_done_is_a_failure(script, tmp_path):
    add(script, "01_missing", MISSING)
    assert script.main(["--results", str(tmp_path / "out")]) == 1


def test_an_unknown_number_is_an_error(script, tmp_path, capsys):
    add(script, "01_good", WORK)
    with pytest.raises(SystemExit):
        script.main(["--only", "77"])
    assert "no such notebook" in capsys.readouterr().err


DRAWS = """
from pathlib import Path
folder = Path(RESULTS) / PROFILE / "study"
assert (folder / "records.jsonl.gz").read_text() == "committed records"
for name in ("curve.png", "results.csv", "verdict.csv"):
    (folder / name).write_text("new")
"""
FILES = {"study.toml", "records.jsonl.gz", "results.csv", "verdict.csv", "curve.png"}


@pytest.fixture
def committed(script):
    folder = script.FIGURES / "study"
    folder.mkdir()
    for name in (FILES - {"curve.png"}) | {"old.png"}:
        (folder / name).write_text(f"committed {name.partition('.')[0]}")
    return folder


def test_the_report_continues_from_committed_studies_and_commits_what_comes_out(
    script, committed, tmp_path
):
    add(script, "01_study", DRAWS)
    before = (script.NOTEBOOKS / "01_study.ipynb").read_text()
    assert script.main(["--profile", "report", "--results", str(tmp_path / "out")]) == 0
    assert {p.name for p in committed.iterdir()} == FILES
    assert (committed / "curve.png").read_text() == "new"
    assert (committed / "study.toml").read_text() == "committed study"
    assert (script.NOTEBOOKS / "01_study.ipynb").read_text() != before  # executed


def finished(script, committed, results):
    """Make a study that is ready to be published."""
    script.bring_studies(results)
    for name in ("curve.png", "results.csv", "verdict.csv"):
        (results / "study" / name).write_text("new")
    return results / "study"


def test_an_unfinished_study_is_not_published(script, committed, tmp_path):
    study = finished(script, committed, tmp_path / "out")
    (study / "runs").mkdir()
    before = {p.name: p.read_text() for p in committed.iterdir()}
    script.publish(tmp_path / "out")
    assert {p.name: p.read_text() for p in committed.iterdir()} == before


@pytest.mark.parametrize("call", range(6))
def test_interrupted_while_publishing_no_file_is_lost(
    script, committed, tmp_path, monkeypatch, call
):
    finished(script, committed, tmp_path / "out")
    before = {p.name: p.read_text() for p in committed.iterdir()}
    calls = []
    originals = {"copyfile": shutil.copyfile, "unlink": Path.unlink}

    def interrupted(original):
        def step(*args, **kwargs):
            calls.append(original)
            if len(calls) > call:
                raise KeyboardInterrupt
            return original(*args, **kwargs)

        return step

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", interrupted(originals["copyfile"]))
        patch.setattr(Path, "unlink", interrupted(originals["unlink"]))
        with pytest.raises(KeyboardInterrupt):
            script.publish(tmp_path / "out")
    new = {p.name: p.read_text() for p in (tmp_path / "out" / "study").iterdir()}
    there = {p.name: p.read_text() for p in committed.iterdir()}
    assert before.keys() <= there.keys()
    assert all(text in (before.get(name), new.get(name)) for name, text in there.items())
    script.publish(tmp_path / "out")
    assert {p.name: p.read_text() for p in committed.iterdir()} == new

"""Every notebook runs from top to bottom, with small parameters, and its badge opens itself."""

import json
import re
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

SMOKE = {
    "07_defect_inspection": """
DATASET, OPTIONS, DEFECTIVE = "digits", {}, [8]
LABELS, BATCH, EPOCHS = 60, 20, 2
LEDGER = "labels.db"
""",
}


def source_of(notebook):
    return "\n".join("".join(cell["source"]) for cell in json.loads(notebook.read_text())["cells"])


@pytest.mark.keras
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_from_top_to_bottom(notebook, tmp_path):
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    content = nbformat.read(notebook, as_version=4)
    (parameters,) = [c for c in content.cells if "parameters" in c.metadata.get("tags", [])]
    parameters.source += SMOKE[notebook.stem]
    nbclient.NotebookClient(
        content, timeout=300, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    errors = [o for c in content.cells for o in c.get("outputs", []) if o.output_type == "error"]
    assert not errors


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_badge_opens_this_notebook(notebook):
    repository = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["al_tf"]["repository"]
    path = f"{repository}/blob/main/notebooks/{notebook.name}"
    badges = re.findall(r"https://colab\.research\.google\.com/github/([^)]+)", source_of(notebook))
    assert badges == [path]

"""Every notebook runs from top to bottom, with small parameters, and its badge opens itself."""

import importlib.util
import re
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

from al_tf.datasets import dataset_status  # noqa: E402

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

SMOKE = {
    "01_quickstart": "ROUNDS, POOL = 2, 500",
    "02_fashion_mnist": "PROFILE = 'smoke'",
    "03_cifar10": "PROFILE, JOBS = 'smoke', 0",
    "04_imbalanced_fashion_mnist": "PROFILE, JOBS = 'smoke', 0",
    "05_diversity_and_density": """
PROFILE, JOBS, POOL = 'smoke', 0, 500
STRATEGIES = 'random,kcenter,entropy_density'
""",
    "06_entropy_cluster": "PROFILE, JOBS = 'smoke', 0",
    "07_defect_inspection": """
PROFILE, JOBS, DATASET, DEFECTIVE = "smoke", 0, "digits", [8]
LABELS, BATCH = 60, 20
PROBE_OPTIONS, PROBE_SIZE, CNN_OPTIONS = {}, 32, {}
""",
    "08_write_your_own_strategy": "PROFILE = 'smoke'",
    "09_few_labels": "PROFILE, JOBS, DATASETS, SIZE = 'smoke', 0, ['digits'], 32",
}
DATASET_NAMES = ("DATASET", "FASHION")  # parameters that name the real set


def load_script(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def instead_of_missing(parameters):
    """Return assignments that put digits in the place of a dataset that is not here."""
    found = {status.name: status.found for status in dataset_status()}
    named = re.findall(rf'^({"|".join(DATASET_NAMES)}) = "(\w+)"', parameters, re.MULTILINE)
    return "".join(f"\n{key} = 'digits'" for key, dataset in named if not found[dataset])


@pytest.mark.keras
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.slow
def test_runs_from_top_to_bottom(notebook, tmp_path):
    content = nbformat.read(notebook, as_version=4)
    (parameters,) = [c for c in content.cells if "parameters" in c.metadata.get("tags", [])]
    parameters.source += instead_of_missing(parameters.source) + "\n" + SMOKE[notebook.stem]
    nbclient.NotebookClient(
        content, timeout=300, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    outputs = [o for c in content.cells for o in c.get("outputs", [])]
    assert not [o for o in outputs if o.output_type == "error"]
    assert not list(ROOT.glob("notebooks/results"))  # wrote where it was run


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_badge_and_setup_are_those_of_the_repository(notebook):
    stamp = load_script(ROOT / "notebooks" / "stamp.py")
    content = nbformat.read(notebook, as_version=4)
    stamped = nbformat.read(notebook, as_version=4)
    stamp.stamp(stamped, notebook.name, stamp.repository())
    assert content == stamped, "run `make badges`"
    text = "\n".join(cell.source for cell in content.cells)
    badges = re.findall(r"https://colab\.research\.google\.com/github/([^)]+)", text)
    assert badges == [f"{stamp.repository()}/blob/main/notebooks/{notebook.name}"]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_reads_like_a_notebook(notebook):
    """Title and purpose first, prose before code, a summary, and assertions at the end."""
    cells = nbformat.read(notebook, as_version=4).cells
    assert re.match(rf"# {notebook.stem[:2]} · .+\n\n\[!\[Open In Colab\].+\n\n\w", cells[0].source)
    headings = [line for c in cells if c.cell_type == "markdown" for line in c.source.splitlines()]
    assert "## Summary" in headings
    assert cells[-1].cell_type == "code"
    assert "assert " in cells[-1].source
    for cell in cells:
        if cell.cell_type == "code" and "setup" not in cell.metadata.get("tags", []):
            assert len(cell.source.splitlines()) <= 25, cell.source


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_with_its_outputs_and_no_errors_or_warnings(notebook):
    cells = [c for c in nbformat.read(notebook, as_version=4).cells if c.cell_type == "code"]
    outputs = [o for c in cells for o in c.outputs]
    assert any("image/png" in o.get("data", {}) for o in outputs), "not executed"
    assert not [o for o in outputs if o.output_type == "error"]
    said = "".join(o.text for o in outputs if o.output_type == "stream")
    assert "Warning" not in said
    assert "\r" not in said  # a progress bar is kept as it was left, once

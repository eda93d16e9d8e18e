"""The setup cell, as Colab would run it: a fresh environment that has TensorFlow already."""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
NOTEBOOK = ROOT / "notebooks" / "01_quickstart.ipynb"

SCRIPT = """
import json, sys, types
sys.modules["google.colab"] = types.ModuleType("google.colab")
exec(open("setup_cell.py").read())
import numpy, al_tf
print(json.dumps({"al_tf": al_tf.__file__, "numpy": numpy.__file__}))
"""


@pytest.fixture(scope="module")
def colab(tmp_path_factory):
    """A virtual environment in which this one's packages are what Colab brings."""
    folder = tmp_path_factory.mktemp("colab")
    subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)
    (own,) = (folder / "env").glob("lib/python*/site-packages")
    (own / "brought.pth").write_text(sysconfig.get_path("purelib") + "\n")
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    (setup,) = [c for c in cells if "setup" in c["metadata"].get("tags", [])]
    (folder / "setup_cell.py").write_text("".join(setup["source"]))
    return folder, own


def run(folder, **env):
    command = [folder / "env" / "bin" / "python", "-c", SCRIPT]
    env = {**os.environ, **env}
    env.pop("PYTHONPATH", None)  # of the tests' own packages, where they are run with one
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.mark.skipif(os.name == "nt", reason="Colab is Linux")
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="the cell clones, and this is no clone")
def test_the_cell_clones_and_installs_and_replaces_nothing(colab):
    folder, own = colab
    done = run(
        folder,
        GIT_CONFIG_COUNT="2",  # github.com is this checkout
        GIT_CONFIG_KEY_0=f"url.file://{ROOT}.insteadOf",
        GIT_CONFIG_VALUE_0="https://github.com/al-tf/al_tf",
        GIT_CONFIG_KEY_1="safe.directory",
        GIT_CONFIG_VALUE_1="*",
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert Path(found["al_tf"]).is_relative_to(own)
    assert not Path(found["numpy"]).is_relative_to(own)
    installed = {path.name.split("-")[0].lower() for path in own.glob("*.dist-info")}
    assert installed <= {"pip", "setuptools", "wheel", "al_tf"}
    assert "kept: tensorflow " in done.stdout


def test_elsewhere_the_cell_does_nothing(tmp_path):
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    (setup,) = [c for c in cells if "setup" in c["metadata"].get("tags", [])]
    code = "".join(setup["source"]) + "\nimport os; print(os.listdir('.'))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"

"""Write badge and setup cell of every notebook from one setting: ``make badges``.

The setting is ``[tool.al_tf] repository`` in ``pyproject.toml``. Everything else in the notebooks
stays as it is, their outputs included.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import nbformat

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).resolve().parent
BADGE = re.compile(r"^(\[!\[Open In Colab\].*|BADGE)$", re.MULTILINE)
SETUP = """\
# On Colab: fetch the project and install what is missing. Anywhere else: nothing happens.
import sys

if "google.colab" in sys.modules:
    import importlib
    import subprocess

    subprocess.run("test -d project || git clone --depth 1 {url} project", shell=True, check=True)
    subprocess.run([sys.executable, "project/notebooks/colab.py"], check=True)
    importlib.invalidate_caches()
"""


def stamp(notebook: Any, name: str, repository: str) -> None:
    """Put badge and setup cell into a notebook that was read by nbformat."""
    url = f"https://colab.research.google.com/github/{repository}/blob/main/notebooks/{name}"
    image = "https://colab.research.google.com/assets/colab-badge.svg"
    title = notebook.cells[0]
    title.source, found = BADGE.subn(f"[![Open In Colab]({image})]({url})", title.source)
    if found != 1:
        raise ValueError(f"{name}: the first cell has {found} badges; one line BADGE is expected.")
    cells = [c for c in notebook.cells if "setup" in c.metadata.get("tags", [])]
    if len(cells) != 1:
        raise ValueError(f"{name}: {len(cells)} cells are tagged setup; one is expected.")
    cells[0].source = SETUP.format(url=f"https://github.com/{repository}").rstrip()


def repository() -> str:
    """Return OWNER/NAME of the repository on GitHub."""
    settings = tomllib.loads((HERE.parent / "pyproject.toml").read_text())
    return str(settings["tool"]["al_tf"]["repository"])


def main() -> None:
    """Stamp every notebook of this folder."""
    for path in sorted(HERE.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        stamp(notebook, path.name, repository())
        nbformat.write(notebook, path)
        print(path.name)


if __name__ == "__main__":
    main()

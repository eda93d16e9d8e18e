"""The notebooks as they were executed, made fit for a page."""

from __future__ import annotations

import re
from typing import Any

import nbformat

from .pages import ROOT, PageFolder

NOTEBOOKS = ROOT / "notebooks"
_BADGE = re.compile(r"\[!\[Open In Colab\]\([^)]*\)\]\(([^)]*)\)")
_WIDGET = "application/vnd.jupyter.widget-view+json"


def write_pages(app: Any) -> None:
    """Write a copy of every notebook, and the list of them."""
    entries = []
    with PageFolder("notebooks") as pages:
        for path in sorted(NOTEBOOKS.glob("*.ipynb")):
            notebook = nbformat.read(path, as_version=4)
            entries.append(_entry(path.stem, notebook))
            prepare(notebook)
            pages.write(path.name, nbformat.writes(notebook) + "\n")
        pages.write("_list.md", "\n".join(entries))


def prepare(notebook: Any) -> None:
    """Leave out what only a notebook server or another site could show.

    The badge is an image on another site, the setup cell does something on Colab alone, and the
    widgets of progress bars need a kernel; their text is in the output too.
    """
    title = notebook.cells[0]
    title.source = _BADGE.sub(r"[Open in Colab](\1)", title.source)
    notebook.cells = [c for c in notebook.cells if "setup" not in c.metadata.get("tags", [])]
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(_WIDGET, None)


def _entry(name: str, notebook: Any) -> str:
    lines = notebook.cells[0].source.splitlines()
    title = lines[0].lstrip("# ")
    prose = [line for line in lines[1:] if not _BADGE.search(line)]
    first = "\n".join(prose).strip().partition("\n\n")[0]
    return f":::{{card}} {title}\n:link: {name}\n:link-type: doc\n\n{first}\n:::\n"

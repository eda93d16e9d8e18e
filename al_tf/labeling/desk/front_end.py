"""The files of the desk's front end, and the one module and one style that they are for a notebook."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).parent / "front"
SHARED_MODULES = (
    "elements.js",
    "theme.js",
    "buttons.js",
    "chart.js",
    "classes.js",
    "numbers.js",
    "agreement.js",
    "viewport.js",
    "tone.js",
    "stage.js",
    "ahead.js",
    "why.js",
    "labeling.js",
    "selection.js",
    "listing.js",
    "thumbnails.js",
    "grid.js",
    "single.js",
    "review_tools.js",
    "review.js",
    "alike.js",
    "class_form.js",
    "classes_view.js",
    "desk.js",
)
"""Modules of the page and of the notebook, each after those that it imports."""
STYLES = ("desk.css", "labeling.css", "side.css", "grid.css", "classes.css")
"""Style sheets of both, in this order."""

_IMPORT = re.compile(r'^import \{[^}]*\} from "\./[\w]+\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class) )", re.MULTILINE)


def notebook_module() -> str:
    """Return the notebook's front end as the source of one ES module.

    Notebooks load a widget from a single module (anywidget's ``_esm``). The page's modules are
    put one after the other, without the imports and exports between them: their top-level names
    differ, so that nothing else has to change.
    """
    joined = "\n".join(_IMPORT.sub("", _read(name)) for name in (*SHARED_MODULES, "notebook.js"))
    return _EXPORT.sub("", joined)


def notebook_style() -> str:
    """Return all style sheets as one."""
    return "\n".join(map(_read, STYLES))


def _read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")

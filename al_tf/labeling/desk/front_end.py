"""The files of the desk's front end, and the one module that they become for a notebook."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).parent
STYLE = FOLDER / "desk.css"
SHARED_MODULES = ("elements.js", "parts.js", "theme.js", "desk.js")
"""Modules of the page and of the notebook, each after those that it imports."""

_IMPORT = re.compile(r'^import \{[^}]*\} from "\./[\w]+\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class) )", re.MULTILINE)


def notebook_module() -> str:
    """Return the notebook's front end as the source of one ES module.

    Notebooks load a widget from a single module (anywidget's ``_esm``). The page's modules are
    put one after the other, without the imports and exports between them: their top-level names
    differ, so that nothing else has to change.
    """
    sources = [
        (FOLDER / name).read_text(encoding="utf-8") for name in (*SHARED_MODULES, "notebook.js")
    ]
    joined = "\n".join(_IMPORT.sub("", source) for source in sources)
    return _EXPORT.sub("", joined)

"""Pages written at the start of every build, from what the project itself knows.

A strategy appears on the site by being registered, a study by lying in ``figures/``, a notebook by
lying in ``notebooks/``, a function by being public. Only prose is written by hand.
"""

from __future__ import annotations

from typing import Any

from . import links, mathml, notebooks, reference, strategies, studies

WRITERS = (strategies, studies, notebooks, reference)


def setup(app: Any) -> dict[str, Any]:
    """Let Sphinx call every writer before it looks for pages."""
    mathml.add_renderer(app)
    links.connect(app)
    app.connect("builder-inited", _write_all)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _write_all(app: Any) -> None:
    for writer in WRITERS:
        writer.write_pages(app)

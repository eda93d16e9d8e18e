"""Pages written at the start of every build, from what the project itself knows.

A strategy appears on the site by being registered, a study by lying in ``figures/``, a notebook by
lying in ``notebooks/``, a function by being public. Only prose is written by hand.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from latex2mathml.converter import convert

from . import links, notebooks, reference, strategies, studies

WRITERS = (strategies, studies, notebooks, reference)
LONG_CODE = 20
"""Characters of a word of code above which it may break: a telephone has room for some 25 to 40."""


def setup(app: Any) -> dict[str, Any]:
    """Let Sphinx call every writer before it looks for pages, and draw formulas as MathML.

    Browsers draw MathML by themselves: no script, no font to fetch.
    """
    app.add_html_math_renderer(
        "mathml", inline_renderers=(_inline, None), block_renderers=(_block, None)
    )
    links.connect(app)
    app.connect("builder-inited", _write_all)
    app.connect("doctree-resolved", _mark_long_code)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _inline(translator: Any, node: Any) -> None:
    translator.body.append(convert(node.astext()))
    raise nodes.SkipNode


def _block(translator: Any, node: Any) -> None:
    translator.body.append(convert(node.astext(), display="block"))
    raise nodes.SkipNode


def _write_all(app: Any) -> None:
    for writer in WRITERS:
        writer.write_pages(app)


def _mark_long_code(app: Any, doctree: Any, name: str) -> None:
    """Name the class of code whose words may break, which short ones such as `--rounds` may not."""
    for code in doctree.findall(nodes.literal):
        if max(map(len, code.astext().split()), default=0) > LONG_CODE:
            code["classes"].append("long-code")

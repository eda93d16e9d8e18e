"""Links from names: single backquotes to the page of a name, and its page to the source."""

from __future__ import annotations

import importlib
import inspect
from functools import reduce
from pathlib import Path
from typing import Any

from sphinx.util.nodes import make_refnode

from .pages import REPOSITORY, ROOT


def source_of(domain: str, info: dict[str, str]) -> str | None:
    """Return where the source of a name is in the repository; None where it has no lines."""
    if domain != "py" or not info["module"]:
        return None
    try:
        value = reduce(
            getattr, info["fullname"].split("."), importlib.import_module(info["module"])
        )
        value = inspect.unwrap(value.fget if isinstance(value, property) else value)
        path = Path(inspect.getfile(value)).relative_to(ROOT)
        lines, first = inspect.getsourcelines(value)
    except (AttributeError, TypeError, ValueError, OSError):  # a field, a constant, another package
        return None
    return f"{REPOSITORY}/blob/main/{path}#L{first}-L{first + len(lines) - 1}"


def connect(app: Any) -> None:
    """Resolve short names, and leave out what scikit-learn adds to classes by itself."""
    app.connect("missing-reference", _by_short_name)
    app.connect("autodoc-skip-member", _skip_metadata_requests)


def _by_short_name(app: Any, env: Any, node: Any, content: Any) -> Any:
    """Link `top_k` to ``al_tf.strategies.top_k``; several candidates or none: no link."""
    if node.get("refdomain") != "py" or node.get("reftype") != "obj":
        return None
    target = node["reftarget"].removesuffix("()")
    domain = env.get_domain("py")
    ends = [name for name in domain.objects if name.endswith(f".{target}")]
    public = [name for name in ends if domain.objects[name].objtype not in ("method", "attribute")]
    if len(public or ends) != 1:
        return None
    (name,) = public or ends
    found = domain.objects[name]
    return make_refnode(app.builder, node["refdoc"], found.docname, found.node_id, content, name)


def _skip_metadata_requests(
    app: Any, kind: str, name: str, value: Any, skip: bool, options: Any
) -> bool | None:
    return True if name.startswith("set_") and name.endswith("_request") else None

"""Names in single backquotes become links where exactly one public name is meant."""

from __future__ import annotations

from typing import Any

from sphinx.util.nodes import make_refnode


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

"""The reference: a page for every public name, and one for each room that lists its names.

What is public: the names in the ``__all__`` of the package and of its rooms, and those of the modules
in `FURTHER_MODULES`. A name that the README, a notebook or a guide imports and that has no page is
reported as a warning.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from sphinx.pycode import ModuleAnalyzer
from sphinx.util import logging

import al_tf
from al_tf.strategies import REGISTRY

from .pages import DOCS, ROOT, PageFolder, markdown_table
from .strategies import function_path

FURTHER_MODULES = (
    "al_tf.experiments.setting",
    "al_tf.report",
    "al_tf.guide",
    "al_tf.studies",
    "al_tf.labeling.costs",
    "al_tf.labeling.desk.server",
    "al_tf.labeling.desk.widget",
    "al_tf.labeling.exchange",
    "al_tf.labeling.second_opinions",
    "al_tf.labeling.suspects",
    "al_tf.strategies",
    "al_tf.suspects",
    "al_tf.seeding",
    "al_tf.errors",
)
"""Modules without ``__all__`` that are public, with the modules inside them."""

_LOG = logging.getLogger(__name__)
_IMPORT = re.compile(r"^\s*from (al_tf[\w.]*) import (?:\(([^)]*)\)|(.+))$", re.MULTILINE)


class Name(NamedTuple):
    """A public name: where it is imported from, and what it is."""

    path: str
    value: Any
    in_gallery: bool
    """Whether it is a strategy, whose page is in the gallery."""

    @property
    def home(self) -> str:
        """The module it is imported from."""
        return self.path.rpartition(".")[0]

    @property
    def kind(self) -> str:
        """``class``, ``exception``, ``function`` or ``data``."""
        if inspect.isclass(self.value):
            return "exception" if issubclass(self.value, BaseException) else "class"
        return "function" if callable(self.value) else "data"


def write_pages(app: Any) -> None:
    """Write the page of each room and of each name."""
    rooms = public_names()
    with PageFolder("api") as pages:
        for module, names in rooms.items():
            own = [n for n in names if n.home == module and not n.in_gallery]
            pages.write(f"{module}.rst", _room_page(module, names, own))
            for name in own:
                pages.write(f"{name.path}.rst", _name_page(name))
        pages.write("_rooms.md", _overview(list(rooms)))
    for path in sorted(_used_but_not_public(rooms)):
        _LOG.warning("%s is imported in the README, a notebook or a guide, but has no page.", path)


def public_names() -> dict[str, list[Name]]:
    """Return the public names by module, each under the path where it is easiest to import."""
    gallery = {id(info.function): function_path(info) for info in REGISTRY.values()}
    path_of: dict[int, str] = dict(gallery)
    rooms: dict[str, list[Name]] = {}
    for module in _modules():
        names = []
        for name in _names_in(module):
            value = getattr(module, name)
            path = f"{module.__name__}.{name}"
            if callable(value):
                path = path_of.setdefault(id(value), path)
            names.append(Name(path, value, id(value) in gallery))
        if names:
            rooms[module.__name__] = sorted(names, key=lambda n: n.path.lower())
    return rooms


def _modules() -> Iterator[Any]:
    """Yield the public modules: the package, the rooms that list their names, further ones."""
    yield al_tf
    further = []
    for found in pkgutil.walk_packages(al_tf.__path__, "al_tf."):
        parts = found.name.split(".")
        if any(part.startswith("_") for part in parts[1:]) or parts[1] == "cli":
            continue
        module = importlib.import_module(found.name)
        if hasattr(module, "__all__"):
            yield module
        elif {found.name, found.name.rpartition(".")[0]} & set(FURTHER_MODULES):
            further.append(module)
    yield from further


def _names_in(module: Any) -> list[str]:
    if hasattr(module, "__all__"):
        return [name for name in module.__all__ if not name.startswith("_")]
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]


def _overview(modules: list[str]) -> str:
    """Return a table of the modules, and the tree of their pages."""
    rows = []
    for module in modules:
        text = inspect.getdoc(importlib.import_module(module)) or ""
        first = " ".join(text.partition("\n\n")[0].split()).replace("``", "`")
        rows.append([f"[{module}]({module}.rst)", first])
    tree = "\n".join(modules)
    table = f":::{{div}} names\n{markdown_table(['module', 'what is in it'], rows)}:::\n"
    return f"{table}\n```{{toctree}}\n:hidden:\n\n{tree}\n```\n"


def _room_page(module: str, names: list[Name], own: list[Name]) -> str:
    titles = {"class": "Classes", "function": "Functions", "exception": "Exceptions"}
    text = inspect.getdoc(importlib.import_module(module)) or ""
    parts = [
        f"{module}\n{'=' * len(module)}\n",
        f".. py:module:: {module}\n\n{text}\n",
        ".. py:currentmodule:: None\n",
    ]
    for kind, title in {**titles, "data": "Constants"}.items():
        some = [name for name in names if name.kind == kind]
        if some:
            listed = "\n".join(f"   {name.path}" for name in some)
            rule = "-" * len(title)
            parts.append(f"{title}\n{rule}\n\n.. autosummary::\n\n{listed}\n")
    hidden = "\n".join(f"   {name.path}" for name in own)
    parts.append(f".. toctree::\n   :hidden:\n\n{hidden}\n")
    return "\n".join(parts)


def _name_page(name: Name) -> str:
    short = name.path.rpartition(".")[2]
    head = f"{short}\n{'=' * len(short)}\n\n"
    if name.kind == "data":
        return head + _data(name)
    options = "   :members:\n   :show-inheritance:\n" if name.kind in ("class", "exception") else ""
    return f"{head}.. auto{name.kind}:: {name.path}\n{options}"


def _data(name: Name) -> str:
    """Describe a constant by its value and by the text below or beside it in the source."""
    module, _, short = name.path.rpartition(".")
    text = "\n".join(_comment(importlib.import_module(module), short, name.value))
    value = repr(name.value)
    shown = f"   :value: {value}\n" if len(value) <= 60 and "\n" not in value else ""
    body = "".join(f"   {line}\n" for line in text.splitlines())
    return f".. py:data:: {name.path}\n   :type: {type(name.value).__name__}\n{shown}\n{body}"


def _comment(module: Any, short: str, value: Any) -> list[str]:
    """Return the lines that describe a constant, looked for where it is defined."""
    inside = [m for m in _loaded_below(module.__name__) if vars(m).get(short) is value]
    for home in [module, *inside]:
        try:
            found = ModuleAnalyzer.for_module(home.__name__).find_attr_docs().get(("", short))
        except Exception:
            continue
        if found:
            return list(found)
    return []


def _loaded_below(package: str) -> list[Any]:
    import sys

    return [m for name, m in sys.modules.items() if name.startswith(f"{package}.") and m]


def _used_but_not_public(rooms: dict[str, list[Name]]) -> set[str]:
    """Return the imports in texts for readers whose object is on no page."""
    shown = {id(name.value) for names in rooms.values() for name in names}
    missing = set()
    for module, name in _imports_in_texts():
        value = getattr(importlib.import_module(module), name, None)
        if not inspect.ismodule(value) and id(value) not in shown:
            missing.add(f"{module}.{name}")
    return missing


def _imports_in_texts() -> set[tuple[str, str]]:
    texts = [(ROOT / "README.md").read_text()]
    texts += [path.read_text() for path in DOCS.glob("**/*.md")]
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        texts += ["".join(cell["source"]) for cell in json.loads(path.read_text())["cells"]]
    found = set()
    for text in texts:
        for module, many, one in _IMPORT.findall(text):
            names = (many or one).replace("\n", " ").split(",")
            found |= {(module, n.split(" as ")[0].strip()) for n in names if n.strip()}
    return found

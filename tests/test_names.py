"""Every name of ours that a docstring, a page or a notebook mentions exists."""

import ast
import builtins
import importlib
import re
from pathlib import Path

import pytest

import al_tf

PACKAGE = Path(al_tf.__file__).parent
ROOT = PACKAGE.parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
GENERATED = {"api", "notebooks", "strategies", "studies"}
"""Folders of docs/ that the build of the site fills."""
TEXTS = [
    path
    for folder in ("al_tf", "benchmarks", "data_scripts", "docs", "figures", "notebooks")
    for kind in ("*.py", "*.md", "*.ipynb")
    for path in sorted((ROOT / folder).rglob(kind))
    if not (folder == "docs" and path.parent.name in GENERATED and path.name != "index.md")
]
TEXTS += [*ROOT.glob("*.md"), ROOT / "tests" / "README.md"]
NO_NAMES = {"al_tf.json", "al_tf.egg"}  # of files
FOREIGN = {
    "HTTPServer", "LogisticRegression", "Normalization", "Rescaling", "executescript",
    "keras.utils.set_random_seed", "urllib.parse.unquote",
}  # fmt: skip
"""Of Python and of other packages."""


def exists(dotted):
    """Whether ``al_tf.some.name`` is a module or can be reached from one."""
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        try:
            value = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for name in parts[length:]:
            if not hasattr(value, name):
                return False
            value = getattr(value, name)
        return True
    return False


def dotted_names(text):
    named = {match.rstrip(".") for match in re.findall(r"\bal_tf(?:\.\w+)+", text)}
    named = {name for name in named if not name.endswith(".html")}  # pages of the site
    return {name for name in named if not name.startswith(tuple(NO_NAMES))}


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_dotted_names_exist(path):
    text = path.read_text(encoding="utf-8")
    assert [name for name in sorted(dotted_names(text)) if not exists(name)] == []


def names_of(tree):
    """Return every identifier of a source file: defined, imported, used or quoted in it."""
    fields = ((ast.FunctionDef, "name"), (ast.ClassDef, "name"), (ast.Name, "id"))
    fields += ((ast.arg, "arg"), (ast.Attribute, "attr"), (ast.Constant, "value"))
    names = {
        getattr(node, field)
        for node in ast.walk(tree)
        for kind, field in fields
        if isinstance(node, kind)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.alias):
            names.add((node.asname or node.name).split(".")[0])
    return names


TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}
DEFINED = {
    node.arg if isinstance(node, ast.arg) else node.name
    for tree in TREES.values()
    for node in ast.walk(tree)
    if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.arg)
}
DEFINED |= {
    node.id
    for tree in TREES.values()
    for statement in tree.body
    if isinstance(statement, ast.Assign | ast.AnnAssign)
    for node in ast.walk(statement)
    if isinstance(node, ast.Name)
}
KNOWN = DEFINED | {*al_tf.__all__, *dir(builtins)}
FILES = {path.name for path in PACKAGE.rglob("*") if path.is_file()}
REFERENCE = re.compile(r"(?<![`\w])`([A-Za-z_][\w.]*)(?:\(\))?`(?!`)")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_what_docstrings_refer_to_exists(path):
    """In single backquotes: a parameter, an attribute, a function or class of ours, or a file."""
    local = names_of(TREES[path])
    unknown = set()
    for node in ast.walk(TREES[path]):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            continue
        for reference in REFERENCE.findall(ast.get_docstring(node) or ""):
            if reference in FOREIGN | FILES or (
                exists(reference)
                if reference.startswith("al_tf.")
                else reference.split(".")[-1] in local | KNOWN
            ):
                continue
            unknown.add(reference)
    assert sorted(unknown) == []


def test_a_name_that_does_not_exist_is_noticed():
    assert dotted_names("See `al_tf.list_datasets`, al_tf.json and al_tf.no.such.") == {
        "al_tf.list_datasets",
        "al_tf.no.such",
    }
    assert exists("al_tf.list_datasets")
    assert not exists("al_tf.list_datasetz")
    assert not exists("al_tf.no.such")

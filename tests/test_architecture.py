"""The house stands as it was drawn: imports point downward only, and heavy ones come late."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import al_tf

PACKAGE = Path(al_tf.__file__).parent

FLOORS = [
    {"errors", "seeding", "parsing"},
    {"files", "images", "folders", "agreement"},
    {"geometry", "datasets"},
    {"network", "strategies"},
    {"learner"},
    {"experiments", "analysis"},
    {"report", "labeling", "plots"},
    {"cli"},
    {"__main__"},
]
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
KERAS_ROOMS = {"network"}
NEIGHBORS = {("seeding", "errors"), ("folders", "images"), ("report", "plots")}
"""Rooms of one floor of which the first may import the second."""


def room_of(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports_of(path):
    """Yield the absolute name of every module that the file imports, lazily or not."""
    package = ("al_tf", *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else ()
            module = ".".join([*base, *filter(None, [node.module])])
            yield module
            if module == "al_tf":
                yield from (f"al_tf.{alias.name}" for alias in node.names)


SOURCES = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.name != "__init__.py" or path.parent != PACKAGE
]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_downward(path):
    room = room_of(path)
    assert room in FLOOR_OF, f"{room} has no floor: add it to FLOORS"
    for module in imports_of(path):
        parts = module.split(".")
        if parts[0] != "al_tf" or len(parts) < 2 or parts[1] == room or parts[1] not in FLOOR_OF:
            continue
        allowed = FLOOR_OF[parts[1]] < FLOOR_OF[room] or (room, parts[1]) in NEIGHBORS
        assert allowed, f"{room} imports {parts[1]}, which is not below it"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_keras_stays_in_its_rooms(path):
    heavy = {m.split(".")[0] for m in imports_of(path)} & {"keras", "tensorflow", "jax"}
    assert not heavy or room_of(path) in KERAS_ROOMS


def loaded_after(statement):
    code = f"import sys; {statement}; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import al_tf",
        "import al_tf.cli.main",
        "import al_tf.datasets",
        "import al_tf.strategies",
        "import al_tf.analysis",
        "import al_tf.experiments",
        "from al_tf import get_strategy, load_dataset, ExperimentConfig",
    ],
)
def test_starts_without_keras(statement):
    assert not loaded_after(statement) & {"keras", "tensorflow", "jax", "torch"}


def test_the_package_alone_loads_nothing_heavy():
    heavy = {"numpy", "sklearn", "pandas", "matplotlib", "scipy", "modAL"}
    assert not loaded_after("import al_tf") & heavy


def test_every_public_name_is_there():
    for name in al_tf.__all__:
        assert getattr(al_tf, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = al_tf.nonsense

"""The house stands as it was drawn: imports point downward only, and heavy ones come late."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import al_tf

PACKAGE = Path(al_tf.__file__).parent

FLOORS = [
    {
        "errors",
        "seeding",
        "parsing",
        "files",
        "images",
        "folders",
        "image_arrays",
        "agreement",
        "progress",
    },
    {"geometry", "datasets", "suspects"},
    {"network", "strategies"},
    {"learner"},
    {"experiments", "analysis"},
    {"report", "studies", "guide", "labeling", "plots"},
    {"cli", "__main__"},
]
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
KERAS_ROOMS = {"network"}
WALLS = {("labeling", "experiments")}
"""Rooms of which the first must not import the second, although it is below."""
NEIGHBORS = {
    ("seeding", "errors"),
    ("files", "errors"),
    ("images", "errors"),
    ("parsing", "errors"),
    ("folders", "images"),
    ("folders", "parsing"),
    ("report", "plots"),
    ("studies", "report"),
    ("studies", "plots"),
    ("guide", "studies"),
    ("__main__", "cli"),
}
"""Rooms of one floor of which the first may import the second."""


def room_of(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def module_of(path):
    """Return the dotted name of a source file; a package's is that of its ``__init__``."""
    parts = ("al_tf", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path):
    """Yield the absolute name of everything the file imports, lazily or not, for types or not."""
    package = ("al_tf", *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else ()
            module = ".".join([*base, *filter(None, [node.module])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


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
        if parts[0] != "al_tf" or parts[1] == room:
            continue
        assert parts[1] in FLOOR_OF, f"{room} imports {parts[1]} from the package itself"
        allowed = FLOOR_OF[parts[1]] < FLOOR_OF[room] or (room, parts[1]) in NEIGHBORS
        assert allowed, f"{room} imports {parts[1]}, which is not below it"
        assert (room, parts[1]) not in WALLS, f"{room} must not import {parts[1]}"


def test_the_house_is_small():
    assert len(FLOORS) <= 7
    assert len(FLOOR_OF) <= 24
    assert {room_of(path) for path in SOURCES} <= set(FLOOR_OF)


def circles(graph):
    """Return the sets of modules that import each other, directly or through others."""

    def reached_from(start):
        reached, new = set(), [start]
        while new:
            for module in graph[new.pop()] - reached:
                reached.add(module)
                new.append(module)
        return reached

    reach = {module: reached_from(module) for module in graph}
    return {
        frozenset(other for other in reach[module] if module in reach[other])
        for module in graph
        if module in reach[module]
    }


def test_no_modules_import_each_other_not_for_types_either():
    modules = {module_of(path): path for path in SOURCES}

    def imported(path):
        for name in imports_of(path):
            package = name.rpartition(".")[0]
            if name in modules or package in modules:
                yield name if name in modules else package

    graph = {name: {*imported(path)} - {name} for name, path in modules.items()}
    assert sum(map(len, graph.values())) > 300
    assert circles(graph) == set()


def test_files_take_their_place_in_one_room():
    moves = re.compile(r"\bos\.(replace|rename)\b|\bmkstemp\b|\bFileLock\b")
    movers = {room_of(path) for path in SOURCES if moves.search(path.read_text(encoding="utf-8"))}
    assert movers == {"files"}


def test_bars_are_made_in_one_room():
    makers = {
        room_of(path) for path in SOURCES for m in imports_of(path) if m.split(".")[0] == "tqdm"
    }
    assert makers == {"progress"}


def test_circles_are_noticed():
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set(), "e": {"f"}, "f": {"e", "a"}}
    assert circles(graph) == {frozenset("bc"), frozenset("ef")}


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

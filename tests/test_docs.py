"""The site and the files around the package: their commands exist, their checks can fail."""

import ast
import importlib.util
import re
import shlex
import sys
from pathlib import Path

import pytest
import typer

import al_tf
from al_tf.cli.main import app

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
BY_HAND = sorted(
    path
    for folder in ("docs", "docs/guides", "docs/strategies", "docs/studies", "docs/api")
    for path in (ROOT / folder).glob("*.md")
    if folder in ("docs", "docs/guides") or path.name in ("index.md", "own.md")
)
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *BY_HAND]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
CONFIGURATION = tomllib.loads((ROOT / "pyproject.toml").read_text())


def blocks(path, language):
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(), re.DOTALL)


def commands(path):
    """Yield the words of every `al-tf` command of a page."""
    for block in blocks(path, "shell"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            names = [i for i, word in enumerate(words) if Path(word).name == "al-tf"]
            if names and words[names[-1] - 1] != "--tag":
                yield words[names[-1] + 1 :]


def page_id(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", BY_HAND, ids=page_id)
def test_every_command_and_its_options_exist(path):
    for words in commands(path):
        command = typer.main.get_command(app)
        while hasattr(command, "commands") and words and not words[0].startswith("-"):
            assert words[0] in command.commands, f"al-tf {words[0]}"
            command, words = command.commands[words[0]], words[1:]
        known = {name for p in command.params for name in (*p.opts, *p.secondary_opts)} | {"--help"}
        used = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert used <= known, f"{command.name}: {used - known}"


def test_the_guides_hold_commands_and_examples():
    guides = [path for path in BY_HAND if path.parent.name == "guides"]
    assert sum(len(list(commands(path))) for path in guides) >= 10
    assert sum(len(blocks(path, "python")) for path in guides) >= 6


@pytest.mark.parametrize("path", BY_HAND, ids=page_id)
def test_python_examples_compile_and_import_what_exists(path):
    for block in blocks(path, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("al_tf"):
                module = importlib.import_module(node.module)
                assert all(hasattr(module, alias.name) for alias in node.names), ast.unparse(node)


@pytest.mark.parametrize("path", PAGES, ids=page_id)
def test_make_targets_in_code_exist(path):
    named = re.findall(r"`make ([a-z-]+)|^ *make ([a-z-]+)", path.read_text(), re.MULTILINE)
    assert {a or b for a, b in named} <= TARGETS


@pytest.mark.parametrize("path", PAGES, ids=page_id)
def test_extras_that_are_named_exist(path):
    named = re.findall(r"['\"](?:al-tf|\.)\[([\w,]+)\]", path.read_text())
    known = set(CONFIGURATION["project"]["optional-dependencies"])
    assert {extra for group in named for extra in group.split(",")} <= known


@pytest.mark.parametrize(
    "path", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=lambda path: path.name
)
def test_workflows_run_make_targets_alone(path):
    runs = re.findall(r"^ *(?:- )?run: (.+)$", path.read_text(), re.MULTILINE)
    assert runs
    for command in runs:
        make, *targets = command.split()
        assert make == "make", command
        assert set(targets) <= TARGETS, command


def test_citation_and_changelog_know_the_version():
    assert f"\nversion: {al_tf.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert re.findall(r"^## (\S+)", changelog, re.MULTILINE)[:2] == [
        "Unreleased",
        al_tf.__version__,
    ]


def test_addresses_name_the_repository_of_the_configuration():
    repository = CONFIGURATION["tool"]["al_tf"]["repository"]
    files = [*PAGES, ROOT / "CITATION.cff", *(ROOT / ".github").rglob("*.yml")]
    named = {
        name for path in files for name in re.findall(r"github\.com/(al-tf/\w+)", path.read_text())
    }
    assert named == {repository}


def load_check_links():
    path = ROOT / "docs" / "check_links.py"
    spec = importlib.util.spec_from_file_location("check_links", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('<a href="other.html#here">fine</a> <img src="data:,">', None),
        ('<a href="https://example.org/gone">not opened</a>', None),
        ('<a href="missing.html">gone</a>', "missing.html, which is not there"),
        ('<a href="other.html#nowhere">gone</a>', "the anchor is not there"),
        ('<a href="../outside.html">outside</a>', "which is not there"),
        ('<script src="https://example.org/x.js"></script>', "from another site"),
        ('<img src="//example.org/x.png">', "from another site"),
    ],
)
def test_the_link_check_finds_broken_links(tmp_path, body, fault):
    site = tmp_path / "site"
    site.mkdir()
    (tmp_path / "outside.html").write_text("")
    (site / "index.html").write_text(body)
    (site / "other.html").write_text('<p id="here">')
    found = list(load_check_links().faults(site))
    if fault is None:
        assert found == []
    else:
        assert len(found) == 1
        assert fault in found[0]


def test_the_link_check_refuses_a_site_without_pages(tmp_path):
    (message,) = load_check_links().faults(tmp_path)
    assert "make docs" in message

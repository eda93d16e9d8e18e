"""The README tells the truth: its example runs, its commands and files exist, it is short."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()


@pytest.mark.keras
def test_the_example_runs_as_printed():
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    done = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    curve = re.findall(r"(\d+) labels: accuracy (0\.\d+)", done.stdout)
    assert [int(labels) for labels, _ in curve] == [70, 90, 110, 130, 150]
    assert float(curve[-1][1]) > float(curve[0][1])


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "tests/README.md"])
def test_every_make_target_named_exists(page):
    named = set(re.findall(r"make ([a-z-]+)", (ROOT / page).read_text()))
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    commands = {name for name in named if name not in ("the", "sure")}
    assert commands <= targets


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_every_link_leads_somewhere(page):
    links = re.findall(r"\]\((?!http)([^)#]+)", (ROOT / page).read_text())
    assert all((ROOT / link).exists() for link in links), links


def test_it_is_a_screen_and_a_half_with_one_picture():
    assert len(README.splitlines()) <= 90
    assert len(re.findall(r"!\[", README)) == 1
    assert len(README.split("## More")[1].split("\n- ")) == 1 + 3


def test_links_to_the_site_lead_to_pages_of_it():
    pages = re.findall(r"\(https://al-tf\.github\.io/al_tf/([^)#]*)\)", README)
    assert pages
    assert [page for page in pages if not (ROOT / "docs" / page / "index.md").exists()] == []


def test_every_test_that_holds_a_promise_exists():
    promises = (ROOT / "tests" / "README.md").read_text()
    named = set(re.findall(r"`([\w/]+\.py)`", promises))
    assert len(named) >= 30
    assert [name for name in named if not (ROOT / "tests" / name).exists()] == []

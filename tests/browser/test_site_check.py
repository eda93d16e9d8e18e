"""`make docs-browser` notices what a reader on a telephone would stumble over."""

import importlib.util
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
LONG_NAME = "a_name_of_a_module_that_is_longer_than_a_telephone_is_wide"
WORDS = "Seven words that stand below one another."
SCREEN = '<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">'


@pytest.fixture
def check(monkeypatch):
    monkeypatch.syspath_prepend(DOCS)
    spec = importlib.util.spec_from_file_location("check_in_browser", DOCS / "check_in_browser.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.modules.pop("check_links", None)


@pytest.mark.parametrize(
    ("article", "fault"),
    [
        (f'<h1 style="overflow-wrap: anywhere">{LONG_NAME}</h1><p>{WORDS}', None),
        (f'<div style="overflow-x: auto">{LONG_NAME}</div>', None),
        (f"<table><tr><td>name<td>{WORDS}</table>", None),
        (f"<h1>{LONG_NAME}</h1>", f"cut off at the edge: {LONG_NAME[:40]}"),
        (f'<p style="visibility: hidden">{LONG_NAME}', None),
        (f'<table><tr><td style="width: 50px">{WORDS}<td>name</table>', "a cell of"),
        ("<script>nothing.here</script>", "nothing is not defined"),
        ('<img src="gone.png">', "status 404"),
    ],
)
def test_a_page_on_a_telephone(check, chromium, tmp_path, article, fault):
    # the article scrolls, as that of the theme does: the page itself is never too wide
    page = f'{SCREEN}<article style="overflow-x: auto; font: 16px serif">{article}</article>'
    (tmp_path / "page.html").write_text(page)
    with check.serving(tmp_path) as site:
        faults = check.check_pages(chromium, site, ["page.html"])
    if fault is None:
        assert faults == []
    else:
        assert any(fault in found for found in faults), faults


def test_a_page_that_is_wider_than_the_screen(check, chromium, tmp_path):
    (tmp_path / "page.html").write_text(f'{SCREEN}<p style="width: 500px">{WORDS}')
    with check.serving(tmp_path) as site:
        (fault,) = check.check_pages(chromium, site, ["page.html"])
    assert "pixels wide on a screen of 390" in fault

"""Open every page of the built site in Chromium: ``make docs-browser``.

    python docs/check_in_browser.py build/docs [--pictures FOLDER]

A page fails if its console shows an error, if a request fails or goes to another site, or if on a
telephone's screen it is too wide, text is cut off at its edge, or a cell of a table is so narrow that its
text has become a column of words. Searching for every strategy has to find its page. With ``--pictures``, some
pages are kept as they look on a desktop and on a telephone, light and dark.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from check_links import pages_of
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SIZES = {"desktop": (1280, 900), "telephone": (390, 844)}
SCHEMES = ("light", "dark")
PICTURED = (
    "index.html",
    "install.html",
    "guides/researcher.html",
    "strategies/index.html",
    "strategies/badge.html",
    "studies/index.html",
    "studies/fashion_mnist.html",
    "notebooks/02_fashion_mnist.html",
    "api/index.html",
    "api/al_tf.KerasImageClassifier.html",
    "changelog.html",
)
CROWDED_TEXT = """() => {
  const article = document.querySelector("article") ?? document.body;
  const range = document.createRange();
  const box = (node) => (range.selectNodeContents(node), range.getBoundingClientRect());
  const start = (node) => node.textContent.trim().replace(/\\s+/g, " ").slice(0, 40);
  const scrolls = (element) => element !== article
    && (/auto|scroll/.test(getComputedStyle(element).overflowX) || scrolls(element.parentElement));
  const faults = [];
  const texts = document.createTreeWalker(article, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode, parent = text.parentElement;
    if (!text.data.trim() || box(text).right <= innerWidth + 1) continue;
    if (parent.checkVisibility({ visibilityProperty: true }) && !scrolls(parent))
      faults.push(`cut off at the edge: ${start(text)}`);
  }
  for (const cell of article.querySelectorAll("td, th")) {
    const { width, height } = box(cell);
    if (height > 130 && width < 130 && !cell.querySelector("ul, dl, pre, img"))
      faults.push(`a cell of ${Math.round(width)} × ${Math.round(height)} pixels: ${start(cell)}`);
  }
  return faults;
}"""
"""A function of the page: returns what is wrong with its text, a phrase for each fault."""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Pass over a browser that hung up; a fault of the site shows in the browser."""


@contextmanager
def serving(root: Path) -> Iterator[str]:
    """Serve the folder of a site, and yield its address."""
    server = _Server(("127.0.0.1", 0), partial(_Quiet, directory=str(root)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


class Watch:
    """Collects what goes wrong on a page of the browser."""

    def __init__(self, page: Page, site: str) -> None:
        self.faults: list[str] = []
        self.site = site
        page.on("console", lambda m: self._note(m.type == "error", f"console: {m.text}"))
        page.on("pageerror", lambda e: self._note(True, f"error: {e}"))
        page.on("requestfailed", self._failed)
        page.on("response", lambda r: self._note(r.status >= 400, f"status {r.status}: {r.url}"))
        page.on("request", lambda r: self._note(self._elsewhere(r.url), f"another site: {r.url}"))

    def _failed(self, request: Any) -> None:
        aborted = "ERR_ABORTED" in (request.failure or "")  # by going on to the next page
        self._note(not aborted, f"request failed: {request.url}")

    def _elsewhere(self, url: str) -> bool:
        return not url.startswith((self.site, "data:", "blob:"))

    def _note(self, is_fault: bool, text: str) -> None:
        if is_fault:
            self.faults.append(text)

    def take(self, name: str) -> list[str]:
        """Return the faults since the last call, with the page's name."""
        faults, self.faults = self.faults, []
        return [f"{name}: {fault}" for fault in faults]


def check_pages(browser: Browser, site: str, names: list[str]) -> list[str]:
    """Open every page at a telephone's width and return the faults."""
    width, height = SIZES["telephone"]
    page = browser.new_page(viewport={"width": width, "height": height})
    watch = Watch(page, site)
    faults = []
    for name in names:
        page.goto(f"{site}/{name}")
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > width:
            faults.append(f"{name}: {wide} pixels wide on a screen of {width}")
        faults += [f"{name}: {fault}" for fault in page.evaluate(CROWDED_TEXT)]
        faults += watch.take(name)
    page.close()
    return faults


def check_search(browser: Browser, site: str, wanted: dict[str, str]) -> list[str]:
    """Search for each word and return those that do not find their page."""
    page = browser.new_page()
    watch = Watch(page, site)
    faults = []
    for word, target in wanted.items():
        page.goto(f"{site}/search.html?q={word}")
        try:
            page.wait_for_selector(f'#search-results a[href*="{target}"]', timeout=10_000)
        except Exception:
            faults.append(f"searching for {word!r} does not find {target}")
        faults += watch.take(f"search for {word}")
    page.close()
    return faults


def take_pictures(browser: Browser, site: str, names: list[str], folder: Path) -> None:
    """Keep pictures of pages in every size and colour scheme."""
    folder.mkdir(parents=True, exist_ok=True)
    for size, (width, height) in SIZES.items():
        for scheme in SCHEMES:
            page = browser.new_page(
                viewport={"width": width, "height": height}, color_scheme=scheme
            )
            for name in names:
                page.goto(f"{site}/{name}", wait_until="load")
                file = f"{name.removesuffix('.html').replace('/', '-')}-{size}-{scheme}.png"
                page.screenshot(path=folder / file)
            page.close()


def main() -> int:
    """Print every fault; return 0 if there is none."""
    parser = argparse.ArgumentParser(description="Open every page of the built site in Chromium.")
    parser.add_argument("site", type=Path)
    parser.add_argument("--pictures", type=Path, help="folder for pictures of some pages")
    args = parser.parse_args()
    root = args.site.resolve()
    names = [str(path.relative_to(root)) for path in pages_of(root)]
    strategies = sorted(p.stem for p in (root / "strategies").glob("*.html") if p.stem != "index")
    wanted = {name: f"strategies/{name}.html" for name in strategies}
    chromium = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if chromium is None:
        parser.error(f"No Chromium here: none of {', '.join(CHROMIUM)} is installed.")
    with serving(root) as site, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        faults = check_pages(browser, site, names) + check_search(browser, site, wanted)
        if args.pictures:
            take_pictures(browser, site, [n for n in PICTURED if n in names], args.pictures)
        browser.close()
    print("\n".join(faults) or f"{len(names)} pages and {len(wanted)} searches: no fault.")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())

"""Say which internal links of the built site lead nowhere, and what it would load from elsewhere.

    python docs/check_links.py build/docs

Every ``href`` and ``src`` of every page is followed: the file has to exist, and the anchor in it.
Links to other sites are not opened. Scripts, styles, fonts and images of other sites are faults: the
site has to work without them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {("img", "src"), ("script", "src"), ("link", "href"), ("iframe", "src"), ("source", "src")}
RELATIONS_NOT_LOADED = {"canonical", "search", "index", "next", "prev", "author", "copyright"}


class Page(HTMLParser):
    """The links and the anchors of one page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[tuple[str, bool]] = []  # address, and whether the browser loads it
        self.anchors: set[str] = {"", "top"}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect what a tag links to, and its anchor."""
        values = dict(attrs)
        self.anchors.update(
            v for k, v in attrs if v and (k == "id" or (tag == "a" and k == "name"))
        )
        for key in ("href", "src"):
            address = values.get(key)
            if address is not None:
                relations = set((values.get("rel") or "").split())
                loads = (tag, key) in LOADED and not relations & RELATIONS_NOT_LOADED
                self.links.append((address, loads))


@cache
def read(path: Path) -> Page:
    """Return a page, parsed once."""
    return Page(path)


def pages_of(site: Path) -> list[Path]:
    """Return the pages, without what the theme keeps among its own files."""
    return sorted(p for p in site.rglob("*.html") if "_static" not in p.relative_to(site).parts)


def faults(site: Path) -> Iterator[str]:
    """Yield a sentence for every fault of the site."""
    pages = pages_of(site)
    if not pages:
        yield f"{site} holds no page; build it first: make docs"
    for path in pages:
        for address, loads in read(path).links:
            parts = urlsplit(address)
            if parts.scheme in ("data", "mailto", "javascript"):
                continue
            if parts.scheme or parts.netloc:
                if loads:
                    yield f"{path.relative_to(site)} loads {address} from another site"
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target = target / "index.html"
            if not target.is_relative_to(site) or not target.is_file():
                yield f"{path.relative_to(site)} links to {address}, which is not there"
            elif target.suffix == ".html" and unquote(parts.fragment) not in read(target).anchors:
                yield f"{path.relative_to(site)} links to {address}, and the anchor is not there"


def main() -> int:
    """Print every fault; return 0 if there is none."""
    site = Path(sys.argv[1]).resolve()
    found = sorted(set(faults(site)))
    print("\n".join(found) or f"{len(pages_of(site))} pages: every internal link works.")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())

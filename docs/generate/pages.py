"""What the writers share: where the project is, and a folder of generated pages."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DOCS = Path(__file__).resolve().parent.parent
ROOT = DOCS.parent
REPOSITORY = "https://github.com/" + str(
    tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["al_tf"]["repository"]
)


class PageFolder:
    """A folder of `docs` whose files are written here, all but those in `by_hand`.

    A file is written only where its content changes, so that Sphinx reads again what changed and
    nothing else. On leaving the ``with`` block, files of an earlier build that were not written
    this time are removed.
    """

    def __init__(self, name: str, by_hand: Sequence[str] = ("index.md",)) -> None:
        self.folder = DOCS / name
        self.by_hand = set(by_hand)
        self.written: set[str] = set()

    def __enter__(self) -> PageFolder:
        self.folder.mkdir(exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if kind is None:
            for path in self.folder.iterdir():
                if path.name not in self.written | self.by_hand:
                    path.unlink()

    def write(self, name: str, content: str | bytes) -> None:
        """Write one file, unless it has this content already."""
        data = content.encode() if isinstance(content, str) else content
        path = self.folder / name
        if not path.exists() or path.read_bytes() != data:
            path.write_bytes(data)
        self.written.add(name)


def facts_table(rows: Iterable[tuple[str, str]]) -> str:
    """Return a table of names and values, without a header."""
    lines = "".join(f"* - {name}\n  - {value}\n" for name, value in rows)
    return f"```{{list-table}}\n:stub-columns: 1\n:class: facts\n\n{lines}```\n"


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown; a bar inside a cell is escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_cell(c) for c in line) + " |" for line in lines) + "\n"


def _cell(text: str) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ")

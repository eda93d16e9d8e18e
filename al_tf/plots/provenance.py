"""Figures that say where they come from: saved with provenance inside and beside them."""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd
from matplotlib.figure import Figure

from ..analysis import table_sha256
from .style import style

_KEY = "al_tf"
_DPI = 150


def build_provenance(
    *,
    command: str,
    config_hash: str,
    seeds: list[int],
    data_fingerprint: str | Mapping[str, str],
    versions: Mapping[str, str],
    commit: str | None,
    table: pd.DataFrame,
) -> dict[str, Any]:
    """Say where a figure comes from, for `save_figure`.

    Parameters
    ----------
    command : str
        Command line that draws it again.
    config_hash : str
        Of the experiment's configuration.
    seeds : list of int
    data_fingerprint : str or mapping of dataset to str
    versions : mapping of package to version
    commit : str or None
        Git commit of the code; None outside a repository.
    table : pandas.DataFrame
        The records drawn; their SHA-256 is kept.

    Returns
    -------
    dict
    """
    return {
        "command": command,
        "config_hash": config_hash,
        "seeds": list(seeds),
        "data_fingerprint": data_fingerprint,
        "versions": dict(versions),
        "commit": commit,
        "table_sha256": table_sha256(table),
    }


def save_figure(fig: Figure, path: str | Path, provenance: Mapping[str, Any]) -> list[Path]:
    """Write a figure as PNG and SVG, its provenance inside both and in a JSON beside them.

    Each file is complete or not there: it is written under another name and moved. The same
    figure and provenance give the same bytes with the same library versions.

    Parameters
    ----------
    fig : Figure
    path : str or Path
        Without suffix, or with one of the three written; the folder is made where needed.
    provenance : mapping
        JSON-serialisable and not empty; see `build_provenance`.

    Returns
    -------
    list of Path
        The PNG, the SVG and the JSON file.

    Raises
    ------
    ValueError
        Empty provenance.
    """
    if not provenance:
        raise ValueError("A figure is saved with its provenance; see build_provenance.")
    text = json.dumps(provenance, sort_keys=True, ensure_ascii=True, allow_nan=False)
    base = Path(path)
    if base.suffix in {".png", ".svg", ".json"}:
        base = base.with_suffix("")
    base.parent.mkdir(parents=True, exist_ok=True)
    contents = {
        ".png": _render(fig, "png", {_KEY: text}),
        ".svg": _render(fig, "svg", {"Date": None, "Description": text}),
        ".json": (json.dumps(provenance, sort_keys=True, indent=2) + "\n").encode(),
    }
    written = []
    for suffix, content in contents.items():
        target = base.with_name(base.name + suffix)
        _write_atomically(target, content)
        written.append(target)
    return written


def read_provenance(path: str | Path) -> dict[str, Any]:
    """Read back what `save_figure` stored in a PNG, SVG or JSON file.

    Raises
    ------
    ValueError
        A file of another kind, or one without provenance.
    """
    path = Path(path)
    if path.suffix == ".json":
        text = path.read_text(encoding="utf-8")
    elif path.suffix == ".png":
        text = _png_text(path)
    elif path.suffix == ".svg":
        text = _svg_description(path)
    else:
        raise ValueError(f"Expected a .png, .svg or .json file; got {path.name!r}.")
    if not text:
        raise ValueError(f"{path} carries no provenance; was it written by save_figure?")
    return json.loads(text)


def _render(fig: Figure, fmt: str, metadata: dict[str, str | None]) -> bytes:
    buffer = io.BytesIO()
    with style():
        fig.savefig(buffer, format=fmt, dpi=_DPI, metadata=metadata)
    return buffer.getvalue()


def _write_atomically(target: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(name, 0o644)
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise


def _png_text(path: Path) -> str:
    from PIL import Image

    with Image.open(path) as image:
        return str(image.info.get(_KEY, ""))


def _svg_description(path: Path) -> str:
    tag = "{http://purl.org/dc/elements/1.1/}description"
    found = next(ElementTree.parse(path).iter(tag), None)
    return (found.text or "") if found is not None else ""

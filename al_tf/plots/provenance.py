"""Figures that say where they come from: PNG files with their provenance and their table inside."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from ..errors import DataCorruptError
from ..files import write_atomically
from .style import style

_PROVENANCE, _TABLE = "al_tf", "al_tf_table"
_DPI = 150
_FACTS = ("config_hash", "data_fingerprint", "records_sha256", "git_commit", "versions")


def build_provenance(
    studies: Mapping[str, Mapping[str, Any]], *, command: str, **facts: Any
) -> dict[str, Any]:
    """Say where a figure comes from, for `save_figure`.

    Parameters
    ----------
    studies : mapping of str to mapping
        What `al_tf.experiments.read_meta` returns for each study drawn, by the study's name; with
        ``records_sha256`` added, that is kept as well.
    command : str
        Command line that draws the figure again.
    **facts
        More to keep, JSON-serialisable.

    Returns
    -------
    dict
        ``command``, the facts, and under ``studies`` for each study: dataset, seeds, hash of its
        configuration, fingerprint of its data, digest of its records, package versions, git commit
        and the command that ran it.

    Examples
    --------
    >>> meta = {"config": {"dataset": "digits", "seeds": [0, 1]}, "config_hash": "ab12",
    ...         "data_fingerprint": "cd34", "versions": {"numpy": "2.0"}, "command": ["notebook"]}
    >>> provenance = build_provenance({"demo": meta}, command="al-tf report demo")
    >>> provenance["studies"]["demo"]["seeds"]
    [0, 1]
    """
    kept = {
        name: {
            "dataset": meta["config"]["dataset"],
            "seeds": sorted(meta["config"]["seeds"]),
            "command": list(meta["command"]),
            **{fact: meta[fact] for fact in _FACTS if fact in meta},
        }
        for name, meta in studies.items()
    }
    return {"command": command, **facts, "studies": kept}


def save_figure(
    fig: Figure,
    path: str | Path,
    provenance: Mapping[str, Any],
    *,
    table: pd.DataFrame | None = None,
    n_colors: int | None = None,
) -> Path:
    """Write a figure as PNG with its provenance, and the table drawn, inside.

    The file is complete or not there. The same figure, provenance and table give the same bytes
    with the same library versions.

    Parameters
    ----------
    fig : Figure
    path : str or Path
        With or without ``.png``; the folder is made where needed.
    provenance : mapping
        JSON-serialisable and not empty; see `build_provenance`.
    table : pandas.DataFrame, optional
        What is drawn; `read_figure_table` reads it back.
    n_colors : int, optional
        Keep so many colors at most, 2 to 256: a chart of lines and bands looks the same with 256
        and takes a third of the bytes. Not for figures that show photographs.

    Returns
    -------
    Path
        The PNG file.

    Raises
    ------
    ValueError
        Empty provenance, or a value in it that JSON does not have.

    Examples
    --------
    >>> import tempfile
    >>> import pandas as pd
    >>> from al_tf import plots
    >>> table = pd.DataFrame({
    ...     "dataset": "digits", "strategy": "margin", "phase": ["query", "fit"], "seconds": [0.5, 2.0]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = plots.save_figure(
    ...         plots.seconds_by_phase(table), f"{folder}/seconds", {"study": "mine"}, table=table)
    ...     path.name, plots.read_provenance(path)["study"], len(plots.read_figure_table(path))
    ('seconds.png', 'mine', 2)
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    if not provenance:
        raise ValueError("A figure is saved with its provenance; see build_provenance.")
    inside = PngInfo()
    text = json.dumps(provenance, sort_keys=True, ensure_ascii=True, allow_nan=False)
    inside.add_text(_PROVENANCE, text)
    if table is not None:
        inside.add_itxt(_TABLE, table.to_csv(index=False, lineterminator="\n"), zip=True)
    target = Path(path)
    if target.suffix != ".png":
        target = target.with_name(f"{target.name}.png")
    drawn = io.BytesIO()
    with style():
        fig.savefig(drawn, format="png", dpi=_DPI)
    with Image.open(drawn) as opened:
        image = opened.convert("RGB")
    if n_colors is not None:
        closest = Image.Quantize.MAXCOVERAGE  # colors of thin lines and of color bars survive
        image = image.quantize(n_colors, closest, kmeans=1, dither=Image.Dither.NONE)
    write_atomically(
        target,
        lambda temporary: image.save(
            temporary, "PNG", pnginfo=inside, dpi=(_DPI, _DPI), optimize=True
        ),
    )
    return target


def read_provenance(path: str | Path) -> dict[str, Any]:
    """Read back the provenance that `save_figure` stored in a PNG file.

    Raises
    ------
    ValueError
        A file of another kind, or one without provenance.

    Examples
    --------
    >>> import tempfile
    >>> import pandas as pd
    >>> from al_tf import plots
    >>> table = pd.DataFrame({
    ...     "dataset": "digits", "strategy": "margin", "phase": ["query", "fit"], "seconds": [0.5, 2.0]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fig = plots.seconds_by_phase(table)
    ...     path = plots.save_figure(fig, f"{folder}/seconds", {"study": "mine"})
    ...     plots.read_provenance(path)["study"]
    'mine'
    """
    return dict(json.loads(_text_inside(Path(path), _PROVENANCE, "provenance")))


def read_figure_table(path: str | Path) -> pd.DataFrame:
    """Read back the table that `save_figure` stored in a PNG file: what the figure shows.

    Raises
    ------
    ValueError
        A file of another kind, or one without a table.

    Examples
    --------
    >>> import tempfile
    >>> import pandas as pd
    >>> from al_tf import plots
    >>> table = pd.DataFrame({
    ...     "dataset": "digits", "strategy": "margin", "phase": ["query", "fit"], "seconds": [0.5, 2.0]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = plots.save_figure(
    ...         plots.seconds_by_phase(table), f"{folder}/seconds", {"study": "mine"}, table=table)
    ...     plots.read_figure_table(path)["seconds"].tolist()
    [0.5, 2.0]
    """
    return pd.read_csv(io.StringIO(_text_inside(Path(path), _TABLE, "table")))


def _text_inside(path: Path, key: str, what: str) -> str:
    from PIL import Image

    if path.suffix != ".png":
        raise ValueError(f"Expected a .png file; got {path.name!r}.")
    try:
        with Image.open(path) as image:
            image.load()  # all of it is there
            text = str(image.info.get(key, ""))
    except FileNotFoundError:
        raise
    except (OSError, SyntaxError, ValueError) as error:  # Pillow's words name no file
        raise DataCorruptError(
            f"{path}: not a whole PNG file ({error}); al-tf report draws a study's figures anew."
        ) from error
    if not text:
        raise ValueError(f"{path} carries no {what}; was it written by save_figure?")
    return text

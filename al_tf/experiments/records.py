"""The records of an experiment: one JSON line a round, synced to disk before the next begins.

Folder layout::

    config.json            settings, versions, data fingerprint, command
    runs/<run>.jsonl       one line a round of the run <strategy>-seed<k>
    round0/seed<k>.*       the model every run of that seed starts from, and its record
    checkpoints/<run>-round<r>.npz   the model of the last recorded round
    failures/<run>.txt     traceback of a run that failed
    results.csv            all rounds as one tidy table
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import RecordError
from ..files import write_atomically
from ..parsing import parse_json, read_text

if TYPE_CHECKING:
    import pandas as pd

RESULT_COLUMNS = (
    "dataset", "strategy", "seed", "round", "n_labeled", "accuracy", "f1_macro",
    "seconds_query", "seconds_fit", "seconds_eval", "stopped",
)  # fmt: skip

Record = dict[str, Any]


def run_name(label: str, seed: int) -> str:
    """Return the name of a run in files and messages."""
    return f"{label}-seed{seed}"


def run_path(out_dir: Path, label: str, seed: int) -> Path:
    """Return where a run's records are."""
    return out_dir / "runs" / f"{run_name(label, seed)}.jsonl"


def append_record(path: Path, record: Mapping[str, Any]) -> None:
    """Add one line and return once it is on the disk."""
    line = json.dumps(record, separators=(",", ":")) + "\n"
    with open(path, "ab") as file:
        file.write(line.encode())
        file.flush()
        os.fsync(file.fileno())


def read_run(path: Path, *, repair: bool = False) -> list[Record]:
    """Read a run's records; a half-written last line is left out.

    Parameters
    ----------
    path : Path
        The file; none yet means no records.
    repair : bool
        Cut a half-written line from the file; without it, only warn that it is there.

    Returns
    -------
    list of dict
        In the order of rounds: record r belongs to round r.

    Raises
    ------
    RecordError
        Any other line that is not what `append_record` wrote.
    """
    if not path.exists():
        return []
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    records = [_parse(line, path, i) for i, line in enumerate(data[:whole].splitlines())]
    if whole < len(data) and repair:
        os.truncate(path, whole)
    elif whole < len(data):
        warnings.warn(
            f"{path}: line {len(records) + 1} is only half written and is left out; round "
            f"{len(records)} has to be run again.",
            stacklevel=2,
        )
    return records


def _parse(line: bytes, path: Path, index: int) -> Record:
    try:
        record = parse_json(line, nan=True)
    except ValueError as error:
        raise RecordError(
            f"{path}, line {index + 1}: not a record ({error}). Move the file away to run it anew."
        ) from None
    if not isinstance(record, dict) or record.get("round") != index:
        found = record.get("round") if isinstance(record, dict) else record
        raise RecordError(
            f"{path}, line {index + 1}: expected the record of round {index}, found "
            f"{repr(found)[:60]}. Move the file away to run it anew."
        )
    return record


def read_meta(out_dir: str | Path) -> dict[str, Any]:
    """Return what ``config.json`` of an experiment says.

    Raises
    ------
    FileNotFoundError
        The folder holds no experiment.
    RecordError
        The file is not JSON.
    """
    path = Path(out_dir) / "config.json"
    if not path.exists():
        raise FileNotFoundError(
            f"No experiment in {out_dir}: there is no config.json. Run `al-tf run --out {out_dir}`."
        )
    try:
        meta = parse_json(read_text(path), nan=True)
    except ValueError as error:
        raise RecordError(f"{path}: not JSON ({error}).") from None
    config = meta.get("config") if isinstance(meta, dict) else None
    listed = (
        [config.get(k) for k in ("strategies", "seeds")] if isinstance(config, dict) else [None]
    )
    if not all(isinstance(names, list) for names in listed):
        raise RecordError(
            f"{path}: no experiment's settings, with a list of strategies and one of seeds. "
            "Use another folder."
        )
    return dict(meta)


def load_records(out_dir: str | Path) -> pd.DataFrame:
    """Return every record of an experiment.

    Parameters
    ----------
    out_dir : str or Path
        The results folder, finished or not.

    Returns
    -------
    DataFrame
        One row a round, in the order of strategies, seeds and rounds; ``recall`` (K floats),
        ``queried`` (ids of the images labeled for this round; they index ``x_train``) and
        ``queried_labels`` (the oracle's answers) hold lists.
    """
    import pandas as pd

    out_dir = Path(out_dir)
    config = read_meta(out_dir)["config"]
    rows = [
        record
        for label in config["strategies"]
        for seed in sorted(config["seeds"])
        for record in read_run(run_path(out_dir, label, seed))
    ]
    return pd.DataFrame(rows, columns=None if rows else list(RESULT_COLUMNS))


def load_results(out_dir: str | Path) -> pd.DataFrame:
    """Return the evaluated rounds of an experiment as a tidy table.

    Parameters
    ----------
    out_dir : str or Path
        The results folder, finished or not.

    Returns
    -------
    DataFrame
        Columns `RESULT_COLUMNS`: accuracy and macro F1 in [0, 1], seconds by phase, and in
        ``stopped`` why a run ended early (empty if it did not).
    """
    records = load_records(out_dir)
    missing = [column for column in RESULT_COLUMNS if column not in records]
    if missing:
        raise RecordError(f"{out_dir}: its records have no {', '.join(missing)}.")
    table = records[list(RESULT_COLUMNS)]
    table = table[table["accuracy"].notna()].reset_index(drop=True)
    return table.assign(stopped=table["stopped"].fillna(""))


def write_results(out_dir: Path) -> pd.DataFrame:
    """Write ``results.csv`` anew from the records and return the table."""
    table = load_results(out_dir)
    write_atomically(out_dir / "results.csv", lambda p: table.to_csv(p, index=False))
    return table

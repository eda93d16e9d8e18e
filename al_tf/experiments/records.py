"""The records of an experiment: one JSON line per round, appended where a crash cannot break them.

While a run is under way its records are in a file of its own, ``runs/<run>.jsonl``: a line is added
and synced to disk after each round. Those of a finished experiment are in one file,
``records.jsonl.gz``, ordered by seed, round and strategy. Where both are there, a run's own file
counts: it may have gone further.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import warnings
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import RecordError
from ..files import write_atomically
from ..parsing import parse_json, read_text

PACKED = "records.jsonl.gz"

Record = dict[str, Any]
RunKey = tuple[str, int]
"""A strategy's label and a seed."""


def run_name(label: str, seed: int) -> str:
    """Return the name of a run in files and messages."""
    return f"{label}-seed{seed}"


def run_path(out_dir: Path, label: str, seed: int) -> Path:
    """Return the file that a run's records are appended to."""
    return out_dir / "runs" / f"{run_name(label, seed)}.jsonl"


def append_record(path: Path, record: Mapping[str, Any]) -> None:
    """Add one line and return once it is on the disk."""
    with open(path, "ab") as file:
        file.write(_line(record).encode())
        file.flush()
        os.fsync(file.fileno())


def read_run(path: Path, *, repair: bool = False) -> list[Record]:
    """Read the file that a run's records were appended to; a half-written last line is left out.

    Parameters
    ----------
    path : Path
        The file; if it does not exist, there are no records.
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
    remedy = "Move the file away to run it anew."
    records = [
        _parse(line, f"{path}, line {number + 1}", number, remedy)
        for number, line in enumerate(data[:whole].splitlines())
    ]
    if whole < len(data) and repair:
        os.truncate(path, whole)
    elif whole < len(data):
        warnings.warn(
            f"{path}: line {len(records) + 1} is only half written and is left out; round "
            f"{len(records)} has to be run again.",
            stacklevel=2,
        )
    return records


def read_appended(path: Path, start: int) -> tuple[list[Record], int]:
    """Read what has been appended to the file of a run, maybe by another process just now.

    Parameters
    ----------
    path : Path
        The file; if it does not exist, there are no records.
    start : int
        Where a line begins, in bytes: 0, or what the call before returned.

    Returns
    -------
    records : list of dict
        Those of the whole lines from there on.
    end : int
        Where the next line will begin.
    """
    if not path.exists():
        return [], start
    with open(path, "rb") as file:
        file.seek(start)
        data = file.read()
    whole = data[: data.rfind(b"\n") + 1]
    lines = whole.splitlines()
    return [_parse(line, str(path), None, "Remove it.") for line in lines], start + len(whole)


def read_runs(out_dir: Path, runs: Iterable[RunKey]) -> dict[RunKey, list[Record]]:
    """Read the records of several runs, from their own files or from the packed one.

    Parameters
    ----------
    out_dir : Path
        The study's folder.
    runs : iterable of (str, int)
        Labels and seeds.

    Returns
    -------
    dict
        The records of each run in the order of rounds; an empty list where it has none yet.

    Raises
    ------
    RecordError
        A damaged file or line.
    """
    # own files first: another process may pack them, and removes them only when that is done
    own = {key: run_path(out_dir, *key) for key in runs}
    records = {key: read_run(path) for key, path in own.items() if path.exists()}
    packed = _read_packed(out_dir / PACKED)
    return {key: records.get(key) or packed.get(key, []) for key in own}


def pack_records(out_dir: Path, runs: Iterable[RunKey]) -> None:
    """Put the records of all runs into the packed file, then remove the runs' own files.

    Parameters
    ----------
    out_dir : Path
        The study's folder. Without files of single runs in it nothing is done.
    runs : iterable of (str, int)
        Every run of the experiment, strategy by strategy.
    """
    runs = list(runs)
    own = [path for path in (run_path(out_dir, *key) for key in runs) if path.exists()]
    if not own:
        return
    text = records_text(read_runs(out_dir, runs)).encode()
    packed = gzip.compress(text, compresslevel=9, mtime=0)  # the same records, the same bytes
    write_atomically(out_dir / PACKED, partial(_write, packed))
    for path in own:
        path.unlink()
    with suppress(OSError):  # something else is in it
        (out_dir / "runs").rmdir()


def unpack_records(out_dir: Path, runs: Iterable[RunKey]) -> None:
    """Give each of `runs` that has packed records a file of its own, to append to."""
    for key, records in read_runs(out_dir, runs).items():
        path = run_path(out_dir, *key)
        if records and not path.exists():
            content = "".join(map(_line, records)).encode()
            write_atomically(path, partial(_write, content))


def _write(content: bytes, path: Path) -> None:
    path.write_bytes(content)


def records_text(runs: Mapping[RunKey, list[Record]]) -> str:
    """Return the records of all runs as JSON lines, by seed, round and (as given) strategy."""
    order = {label: position for position, label in enumerate(dict(runs))}
    records = [
        (key[1], record["round"], order[key], record)
        for key, records in runs.items()
        for record in records
    ]
    return "".join(_line(record) for *_, record in sorted(records, key=lambda entry: entry[:3]))


def records_sha256(runs: Mapping[RunKey, list[Record]]) -> str:
    """Return the SHA-256 of `records_text`: the same for the same records in any form of file."""
    return hashlib.sha256(records_text(runs).encode()).hexdigest()


def _read_packed(path: Path) -> dict[RunKey, list[Record]]:
    if not path.exists():
        return {}
    remedy = "Put the file back as it was."
    try:
        lines = read_text(path).splitlines()
    except ValueError as error:
        raise RecordError(f"{path}: {error}. {remedy}") from None
    runs: dict[RunKey, list[Record]] = {}
    for number, line in enumerate(lines):
        place = f"{path}, line {number + 1}"
        record = _parse(line, place, None, remedy)
        key = (record.get("strategy"), record.get("seed"))
        if not isinstance(key[0], str) or not isinstance(key[1], int):
            raise RecordError(f"{place}: without strategy or seed. {remedy}")
        run = runs.setdefault((key[0], key[1]), [])
        _check_round(record, place, len(run), remedy)
        run.append(record)
    return runs


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(record, separators=(",", ":")) + "\n"


def _parse(line: bytes | str, place: str, expected_round: int | None, remedy: str) -> Record:
    try:
        record = parse_json(line, nan=True)
    except ValueError as error:
        raise RecordError(f"{place}: not a record ({error}). {remedy}") from None
    if expected_round is not None or not isinstance(record, dict):
        _check_round(record, place, expected_round, remedy)
    return dict(record)


def _check_round(record: Any, place: str, expected: int | None, remedy: str) -> None:
    value = record.get("round") if isinstance(record, dict) else record
    if isinstance(record, dict) and value == expected and not isinstance(value, bool):
        return
    wanted = "a record" if expected is None else f"the record of round {expected}"
    raise RecordError(f"{place}: expected {wanted}, found {repr(value)[:60]}. {remedy}")

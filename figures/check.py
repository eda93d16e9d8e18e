"""Say which committed figures no longer fit their records: what ``make figures-check`` calls.

Every folder here with a ``config.json`` is redrawn from its records, without training, into a
temporary folder; then tables, configuration, seeds and data fingerprint are compared with what is
committed, and the README's table with the verdict.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from hashlib import sha256
from io import StringIO
from pathlib import Path

import pandas as pd

from al_tf.analysis import format_table
from al_tf.experiments import load_results
from al_tf.plots import read_provenance
from al_tf.report import read_experiments, report_table, write_report

FIGURES = Path(__file__).resolve().parent
SUFFIXES = (".csv", ".json", ".png", ".svg")


def stale(folder: Path) -> Iterator[str]:
    """Yield a sentence for everything in `folder` that does not follow from its records."""
    experiments = read_experiments([folder])
    meta = experiments[0].meta
    settings = json.dumps(meta["config"], sort_keys=True).encode()  # as ExperimentConfig.digest
    if sha256(settings).hexdigest()[:12] != meta["config_hash"]:
        yield "config.json: its hash is not that of the configuration in it"
    if not _same(folder / "results.csv", load_results(folder)):
        yield "results.csv: differs from the records in runs/"
    provenances = {path.stem: read_provenance(path) for path in folder.glob("*.png")}
    if not provenances:
        yield "no figures"
        return
    metric = next(iter(provenances.values())).get("metric", "accuracy")
    if not _same(folder / "verdict.csv", report_table(experiments, metric)):
        yield "verdict.csv: differs from the verdict on the records"
    with tempfile.TemporaryDirectory() as redrawn:
        write_report(experiments, redrawn, metric=metric)
        anew = Path(redrawn) / "figures"
        names = {path.stem for path in anew.glob("*.png")}
        for name in sorted(names - set(provenances)):
            yield f"{name}: missing"
        for name in sorted(names & set(provenances)):
            yield from _stale_figure(folder / name, anew / name, provenances[name], meta)


def _stale_figure(old: Path, new: Path, provenance: dict, meta: dict) -> Iterator[str]:
    name = old.name
    missing = [s for s in SUFFIXES if not old.with_suffix(s).exists()]
    if missing:
        yield f"{name}: without {', '.join(missing)}"
        return
    for suffix in (".json", ".svg"):
        if read_provenance(old.with_suffix(suffix)) != provenance:
            yield f"{name}{suffix}: another provenance than {name}.png"
    if not _same(old.with_suffix(".csv"), pd.read_csv(new.with_suffix(".csv"))):
        yield f"{name}.csv: differs from the table that the records give"
    if provenance["table_sha256"] != sha256(old.with_suffix(".csv").read_bytes()).hexdigest():
        yield f"{name}: not drawn from the table beside it"
    expected = {
        "config_hash": meta["config_hash"],
        "seeds": sorted(meta["config"]["seeds"]),
        "data_fingerprint": {meta["config"]["dataset"]: meta["data_fingerprint"]},
    }
    for key, value in expected.items():
        if provenance[key] != value:
            yield f"{name}: its {key} is {provenance[key]}, the records' is {value}"


def _same(path: Path, table: pd.DataFrame) -> bool:
    """Whether a CSV file holds `table`, but for last digits that differ between machines."""
    if not path.exists():
        return False
    there, now = (pd.read_csv(source) for source in (path, StringIO(table.to_csv(index=False))))
    try:
        pd.testing.assert_frame_equal(there, now, rtol=1e-6, atol=1e-9)
    except AssertionError:
        return False
    return True


def readme_is_stale(readme: str, folder: Path) -> bool:
    """Whether the README lacks the verdict table that ``al-tf report`` prints for `folder`."""
    return format_table(report_table(read_experiments([folder])), "md").strip() not in readme


def main(figures: Path = FIGURES) -> int:
    """Print what is stale; return 0 if nothing is."""
    folders = sorted(config.parent for config in figures.glob("*/config.json"))
    found = {folder.name: list(stale(folder)) for folder in folders}
    readme = figures.parent / "README.md"
    if readme.exists() and readme_is_stale(readme.read_text(), figures / "fashion_mnist"):
        found["README.md"] = ["its table is not what `al-tf report figures/fashion_mnist` prints"]
    for name, faults in found.items():
        print(f"{name}: {'; '.join(faults) or 'as its records say'}")
    if any(found.values()):
        print("Draw them anew: make report PROFILE=report (records that are there are kept).")
    return int(any(found.values()))


if __name__ == "__main__":
    sys.exit(main())

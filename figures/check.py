"""Name the committed figures that no longer fit their records: what ``make figures-check`` calls.

Every study here (a folder with a ``study.toml``) is held against its own records, without training:
its configuration's hash, its results, its verdict, and the provenance and the table inside each
figure; and the README's table against the verdict on Fashion-MNIST.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from hashlib import sha256
from io import StringIO
from pathlib import Path

import pandas as pd

from al_tf.analysis import format_table, report_table
from al_tf.experiments import Study
from al_tf.plots import build_provenance, read_figure_table, read_provenance
from al_tf.report import all_results, read_experiments, report_drawings

FIGURES = Path(__file__).resolve().parent


def stale(folder: Path) -> Iterator[str]:
    """Yield a sentence for everything in `folder` that does not follow from its records."""
    (study,) = read_experiments([folder])
    settings = json.dumps(study.meta["config"], sort_keys=True).encode()
    if sha256(settings).hexdigest()[:12] != study.meta["config_hash"]:
        yield "study.toml: its config_hash is not that of the configuration in it"
    if not _file_holds(folder / "results.csv", study.results):
        yield "results.csv: differs from the records"
    pictures = sorted(folder.glob("*.png"))
    if not pictures:
        yield "no figures"
        return
    metric = read_provenance(pictures[0])["metric"]
    if not _file_holds(folder / "verdict.csv", report_table(study.results, metric)):
        yield "verdict.csv: differs from the verdict on the records"
    tables = {drawing.name: drawing.table for drawing in report_drawings([study], metric)}
    for name in sorted(tables.keys() - {path.stem for path in pictures}):
        yield f"{name}.png: missing"
    for path in pictures:
        if path.stem in tables:
            yield from _stale_figure(path, tables[path.stem], study, metric)
        else:
            yield f"{path.name}: not a figure of a report on this study"


def _stale_figure(path: Path, table: pd.DataFrame, study: Study, metric: str) -> Iterator[str]:
    if not _same(read_figure_table(path), table):
        yield f"{path.name}: drawn from another table than the records give"
    provenance = read_provenance(path)
    meta = study.meta | {"records_sha256": study.records_sha256}
    expected = build_provenance({study.name: meta}, command=provenance["command"], metric=metric)
    if provenance == expected:
        return
    drawn = provenance["studies"].get(study.name, {})
    for name, value in expected["studies"][study.name].items():
        if drawn.get(name) != value:
            yield f"{path.name}: its {name} is {drawn.get(name)}, the study's is {value}"
    if provenance["metric"] != metric:
        yield f"{path.name}: about {provenance['metric']}, other figures about {metric}"


def _file_holds(path: Path, table: pd.DataFrame) -> bool:
    return path.exists() and _same(pd.read_csv(path), table)


def _same(there: pd.DataFrame, table: pd.DataFrame) -> bool:
    """Compare two tables, but for last digits that differ between machines."""
    now = pd.read_csv(StringIO(table.to_csv(index=False)))
    try:
        pd.testing.assert_frame_equal(there, now, rtol=1e-6, atol=1e-9)
    except AssertionError:
        return False
    return True


def readme_is_stale(readme: str, folder: Path) -> bool:
    """Return whether the README lacks the verdict that ``al-tf report`` prints for `folder`."""
    verdict = report_table(all_results(read_experiments([folder])))
    return format_table(verdict, "md").strip() not in readme


def main(figures: Path = FIGURES) -> int:
    """Print what is stale; return 0 if nothing is."""
    folders = sorted(path.parent for path in figures.glob("*/study.toml"))
    faults = {folder.name: list(stale(folder)) for folder in folders}
    readme = figures.parent / "README.md"
    if readme.exists() and readme_is_stale(readme.read_text(), figures / "fashion_mnist"):
        faults["README.md"] = ["its table is not what `al-tf report figures/fashion_mnist` prints"]
    for name, sentences in faults.items():
        print(f"{name}: {'; '.join(sentences) or 'as its records say'}")
    if any(faults.values()):
        print("Draw them anew: make report PROFILE=report (records that are there are kept).")
    return int(any(faults.values()) or not folders)


if __name__ == "__main__":
    sys.exit(main())

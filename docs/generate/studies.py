"""A page for every study in ``figures/``: its curves, its verdict, and where its numbers come from."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sphinx.util import logging

import al_tf
from al_tf.analysis import verdict_table
from al_tf.experiments import read_meta
from al_tf.experiments.options import options_text, unusual_options
from al_tf.report import read_experiments, report_drawings
from al_tf.studies import metric_of, study_table

from .pages import REPOSITORY, ROOT, PageFolder, facts_table, markdown_table
from .pictures import drawn_by, png

FIGURES = ROOT / "figures"
SHOWN = {
    "learning_curves": "Test accuracy and macro F1 over the number of labels: mean and 95 % "
    "t-interval over the seeds.",
    "differences": "Difference to random at each number of labels, paired by seed.",
    "forest": "Difference to random in the area under the curve, with its 95 % interval.",
    "label_savings": "Labels that random needs for its final accuracy, divided by the labels that "
    "the strategy needs for the same.",
    "penalty": "How often the strategy of the row beats that of the column, over the "
    "label counts (Ash et al. 2020).",
    "class_balance": "Which classes each strategy asked for, round by round.",
    "seconds": "Seconds in a round: choosing, training, testing.",
}
"""What a figure shows, in the order of the page; others follow under their file's name."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class CommittedStudy:
    """One folder of ``figures/``, read."""

    name: str
    folder: Path
    meta: Mapping[str, Any]
    verdict: pd.DataFrame
    results: pd.DataFrame

    @property
    def config(self) -> Mapping[str, Any]:
        """Every setting of the experiment."""
        return self.meta["config"]

    def strategy_of(self, label: str) -> str:
        """Return the registered name of the strategy that the study calls `label`."""
        return self.config.get("strategy", {}).get(label, {}).get("name", label)

    def variant_of(self, label: str) -> str:
        """Return a label that is not the strategy's name, and options that are not today's defaults."""
        own = [f"`{label}`"] if label != self.strategy_of(label) else []
        options = unusual_options(self.meta, label).items()
        return ", ".join([*own, *(f"`{name} = {json.dumps(value)}`" for name, value in options)])

    @property
    def labels(self) -> str:
        """First and last number of labels."""
        return f"{self.results.n_labeled.min():,} to {self.results.n_labeled.max():,}"

    @property
    def metric(self) -> str:
        """What the verdict is about."""
        return metric_of(self.folder)


@cache
def read_studies() -> tuple[CommittedStudy, ...]:
    """Return every study of ``figures/``, by name."""
    return tuple(_read(path.parent) for path in sorted(FIGURES.glob("*/verdict.csv")))


def _read(folder: Path) -> CommittedStudy:
    tables = (pd.read_csv(folder / name) for name in ("verdict.csv", "results.csv"))
    return CommittedStudy(folder.name, folder, read_meta(folder), *tables)


def write_pages(app: Any) -> None:
    """Write the page of each study, and the table of all of them."""
    studies = read_studies()
    if not studies:
        _LOG.warning("No study was found: %s has no folder with a verdict.csv.", FIGURES)
    with PageFolder("studies", by_hand=("index.md", "own.md")) as pages:
        for study in studies:
            pictures = _pictures(study, pages.folder)
            for name, content in pictures.items():
                pages.write(f"{study.name}-{name}.png", content)
            pages.write(f"{study.name}.md", _page(study, list(pictures)))
        pages.write("_all.md", _overview(studies))
    app.config.myst_substitutions["five_seeds"] = what_five_seeds_show()


def what_five_seeds_show() -> str:
    """Return a sentence: how many of the studies' differences their first five seeds show."""
    shown = total = 0
    for study in read_studies():
        early = study.results[study.results.seed.isin(sorted(study.results.seed.unique())[:5])]
        settled = study.verdict[study.verdict.verdict.str.contains(" than ")]
        with_five = verdict_table(early, study.metric).set_index("strategy").verdict
        total += len(settled)
        shown += int((settled.set_index("strategy").verdict == with_five[settled.strategy]).sum())
    return (
        f"The committed studies show {total} differences from random; the first five seeds of each "
        f"would have shown {shown} of them."
    )


def verdict_rows(study: CommittedStudy, row: pd.Series) -> list[str]:
    """Return the cells of a verdict, the same on the pages of studies and of strategies."""
    if row.verdict == "baseline":
        return ["baseline", f"{row.aubc:.4f}", "", "", ""]
    return [
        f"**{row.verdict}**" + ("" if pd.isna(row.note) else f" ({row.note})"),
        f"{row.aubc:.4f}",
        _with_interval(row.difference, row.low, row.high, "+.4f"),
        "" if pd.isna(row.p_holm) else ("<0.001" if row.p_holm < 0.001 else f"{row.p_holm:.3f}"),
        _with_interval(row.label_savings, row.savings_low, row.savings_high, ".2f"),
    ]


VERDICT_HEADER = ["verdict", "area", "difference to random", "p (Holm)", "label savings"]


def _with_interval(value: float, low: float, high: float, form: str) -> str:
    if pd.isna(value):
        return ""
    ends = f" [{low:{form.lstrip('+')}}, {high:{form.lstrip('+')}}]" if pd.notna(low) else ""
    return f"{value:{form}}{ends}"


def _summary(study: CommittedStudy) -> str:
    config = study.config
    batches = np.unique(config["batch"]) * config.get("eval_every", 1)
    per_round = " to ".join(f"{n:,}" for n in dict.fromkeys(batches[[0, -1]]))
    pool = f"pool of {config['pool']:,}" if config.get("pool") else "the whole pool"
    return (
        f"{study.labels} labels, {per_round} at a time; {pool}; "
        f"{len(config['seeds'])} paired seeds; model `{config['model']}`"
    )


def _overview(studies: tuple[CommittedStudy, ...]) -> str:
    table = study_table([study.folder for study in studies])
    rows = [
        [
            f"[{r.study}]({r.study}.md)",
            r.about,
            r.verdict,
            r.dataset,
            f"`{r.model}`",
            r.labels,
            r.seeds,
        ]
        for r in table.itertuples()
    ]
    header = ["study", "what it asks", "verdict", "dataset", "model", "labels", "seeds"]
    return f":::{{div}} studies-table\n{markdown_table(header, rows)}:::\n"


def _page(study: CommittedStudy, pictures: list[str]) -> str:
    dataset = study.config["dataset"]
    rows = []
    for _, row in study.verdict.iterrows():
        several = study.verdict.dataset.nunique() > 1
        label = f"{row.dataset}: {row.strategy}" if several else row.strategy
        link = _strategy_link(study, row.strategy, label)
        options = options_text(study.meta, row.strategy)
        rows.append([f"{link} (`{options}`)" if options else link, *verdict_rows(study, row)])
    return "\n".join(
        [
            f"# {study.name}\n",
            f"{study.meta.get('about', '')}\n",
            f"Dataset `{dataset}`: {_summary(study)}. The verdict is about "
            f"**{study.metric.replace('_', ' ')}**.\n",
            _used_by(study),
            "## Verdict\n",
            f":::{{div}} wide-table\n{markdown_table(['strategy', *VERDICT_HEADER], rows)}:::\n",
            "Area: mean metric over the budget, from the first label count to the last. The words "
            "are explained in [How a verdict is reached](index.md#how-a-verdict-is-reached).\n",
            "## Figures\n",
            *_figures(study, pictures),
            "## Where the numbers come from\n",
            _provenance(study),
            "## Every setting\n",
            _settings(study),
        ]
    )


def _strategy_link(study: CommittedStudy, label: str, text: str) -> str:
    from al_tf.strategies import BUILT_IN

    name = study.strategy_of(label)
    return f"[{text}](../strategies/{name}.md)" if name in BUILT_IN else text


def _used_by(study: CommittedStudy) -> str:
    links = [
        f"[{path.stem}](../notebooks/{path.name})"
        for path in sorted((ROOT / "notebooks").glob("*.ipynb"))
        if any(mark in path.read_text() for mark in (f"figures/{study.name}", f"'{study.name}'"))
    ]
    return f"Discussed in {', '.join(links)}.\n" if links else ""


def _pictures(study: CommittedStudy, folder: Path) -> dict[str, bytes]:
    """Return the figures of a study as PNG, drawn from its records, in the order of the page.

    Pictures in `folder` that the same code drew from the same records are used again.
    """
    records = (study.folder / "records.jsonl.gz").read_bytes()
    code = sha256(_drawing_code() + records + study.metric.encode()).hexdigest()
    names = [path.stem.partition("-")[2] for path in sorted(folder.glob(f"{study.name}-*.png"))]
    known = {name: folder / f"{study.name}-{name}.png" for name in names}
    if not known or any(drawn_by(path) != code for path in known.values()):
        drawings = report_drawings(read_experiments([study.folder]), study.metric)
        drawn = {drawing.name: png(drawing.draw(), code) for drawing in drawings}
    else:
        drawn = {name: path.read_bytes() for name, path in known.items()}
    order = [*(n for n in SHOWN if n in drawn), *(n for n in drawn if n not in SHOWN)]
    return {name: drawn[name] for name in order}


@cache
def _drawing_code() -> bytes:
    package = Path(al_tf.__file__).parent
    sources = [*package.glob("plots/*.py"), *package.glob("analysis/*.py"), package / "report.py"]
    return b"".join(path.read_bytes() for path in [*sorted(sources), Path(__file__)])


def _figures(study: CommittedStudy, pictures: list[str]) -> list[str]:
    blocks = []
    for name in pictures:
        title = name.replace("_", " ")
        words = SHOWN.get(name, f"{title[0].upper()}{title[1:]}.")
        blocks.append(
            f":::{{figure}} {study.name}-{name}.png\n:alt: {words}\n:width: 100%\n\n{words}\n:::\n"
        )
    return blocks


def _provenance(study: CommittedStudy) -> str:
    meta = study.meta
    versions = ", ".join(f"{name} {number}" for name, number in meta["versions"].items())
    commands = [meta["command"], *(part["command"] for part in meta.get("continued", []))]
    commands = list(dict.fromkeys(shlex.join(command) for command in commands))
    commits = [part.get("git_commit") for part in (meta, *meta.get("continued", []))]
    rows = [
        ("images", meta["data_source"]),
        ("fingerprint of the data (SHA-256)", f"`{meta['data_fingerprint']}`"),
        ("configuration", f"`{meta['config_hash']}`"),
        ("seeds", ", ".join(map(str, study.config["seeds"]))),
        ("commands", "; ".join(f"`{command}`" for command in commands)),
        ("commits", ", ".join(f"`{c}`" for c in dict.fromkeys(filter(None, commits)))),
        ("versions", versions),
        ("records", f"[figures/{study.name}]({REPOSITORY}/tree/main/figures/{study.name})"),
    ]
    downloads = ", ".join(
        f"{{download}}`{name} <../../figures/{study.name}/{name}>`"
        for name in ("results.csv", "verdict.csv")
    )
    return f"{facts_table(rows)}\nDownload: {downloads}.\n"


def _settings(study: CommittedStudy) -> str:
    text = (study.folder / "study.toml").read_text().strip()
    return f":::{{dropdown}} study.toml\n```toml\n{text}\n```\n:::\n"

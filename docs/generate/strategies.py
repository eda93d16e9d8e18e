"""The gallery: a page for every registered strategy, with a picture of what it asks for."""

from __future__ import annotations

import inspect
import json
from functools import cache
from typing import Any

from sphinx.util import logging

from al_tf.strategies import StrategyInfo, list_strategies, strategy_info

from .pages import REPOSITORY, ROOT, PageFolder, facts_table, markdown_table
from .pictures import draw
from .plane import BATCH, has_unit_length, make_plane
from .studies import VERDICT_HEADER, read_studies, verdict_rows

RESULTS = ROOT / "benchmarks" / "results"
TIMES = {64: "strategies.json", 1280: "strategies_wide.json"}
"""The benchmark's results by the number of features."""
NEEDS = {
    "probabilities": "class probabilities (`predict_proba`)",
    "features": "features (`transform`)",
    "labeled set": "the labeled set (a learner, not a bare classifier)",
    "dropout": "samples of the probabilities (`sample_proba`): a probe, or a network with dropout",
    "joint samples": "samples of the weights, each for all images (`sample_proba` of a probe)",
    "refits": "an estimator that can be cloned and fitted again",
    "committee": "a committee of learners (`al_tf.Committee`)",
}
"""What a need means; one that is not listed here appears under its own name."""

_LOG = logging.getLogger(__name__)


def write_pages(app: Any) -> None:
    """Write the page and the pictures of each strategy, and the overview."""
    plane = make_plane()
    infos = [strategy_info(name) for name in list_strategies()]
    with PageFolder("strategies") as pages:
        for info in infos:
            try:
                pictures = draw(info, plane, pages.folder)
            except Exception as error:
                _LOG.warning(
                    "The strategy %r fails on the gallery's pool (docs/generate/plane.py): %s: %s",
                    info.name,
                    type(error).__name__,
                    error,
                )
                continue
            for name, picture in pictures.items():
                pages.write(name, picture)
            pages.write(f"{info.name}.md", _page(info))
        pages.write("_gallery.md", _gallery(infos))
        pages.write("_table.md", _table(infos))


def function_path(info: StrategyInfo) -> str:
    """Return where Python finds the strategy, for example ``al_tf.strategies.badge.badge``."""
    return f"{info.function.__module__}.{info.function.__qualname__}"


def _summary(info: StrategyInfo) -> str:
    text = inspect.getdoc(info.function) or ""
    return " ".join(text.partition("\n\n")[0].split()).replace("``", "`")


def _needs(info: StrategyInfo) -> str:
    return "; ".join(NEEDS.get(need, need) for need in info.needs) or "nothing of the model"


def _page(info: StrategyInfo) -> str:
    facts = [
        ("family", info.family),
        ("needs", _needs(info)),
        ("cost", f"{info.cost} ([letters](index.md#what-each-needs-and-costs))"),
        ("paper", info.paper or "none"),
    ]
    if info.stochastic:
        facts.append(("draws", "at random, beyond breaking ties"))
    if info.sequential:
        facts.append(("scores", "values at the moment of choice: they need not descend"))
    if info.large_pools:
        facts.append(("memory", "a million images of 1,280 features in a memory map: under 4 GB"))
    path = function_path(info)
    return f"""# {info.name}

{_summary(info)}

{facts_table(facts)}

## What it asks for

::::{{grid}} 1 1 2 2
:gutter: 2

:::{{grid-item}}
![The first {BATCH} points that {info.name} asks for]({info.name}-first.png)
:::
:::{{grid-item}}
![The points that {info.name} asks for over several rounds]({info.name}-later.png)
:::
::::

Crosses: the points labeled at the start. Dots: the pool, by true class. Background: the class that
the model predicts. Made by the real code when this page was built; it shows how the strategy
thinks, not how good it is. That is what the studies are for.{_without_lengths(info)}

## What the studies found

{_studies(info)}
## Time

{_times(info)}
## Use it

```python
from al_tf import {"Committee" if "committee" in info.needs else "ActiveLearner"}, get_strategy

{_use(info)}
indices, images = learner.query(x_pool, n_instances=20)
```

## Reference

```{{eval-rst}}
.. autofunction:: {path}
```
"""


def _without_lengths(info: StrategyInfo) -> str:
    if not has_unit_length(info):
        return ""
    return (
        " Drawn with `unit_length=False`: of two coordinates, dividing by the length leaves nothing "
        "but an angle."
    )


def _use(info: StrategyInfo) -> str:
    if "committee" in info.needs:
        return f'learner = Committee(list_of_learners, get_strategy("{info.name}"))'
    return f'learner = ActiveLearner(classifier, get_strategy("{info.name}"), x_labeled, y_labeled)'


def _studies(info: StrategyInfo) -> str:
    rows = []
    for study in read_studies():
        for _, row in study.verdict.iterrows():
            if study.strategy_of(row.strategy) != info.name:
                continue
            cells = [
                f"[{study.name}](../studies/{study.name}.md)",
                study.variant_of(row.strategy),
                study.labels,
                *verdict_rows(study, row),
            ]
            rows.append(cells)
    if not rows:
        return "No committed study compares it yet: [add one](../studies/own.md).\n"
    table = markdown_table(["study", "variant", "labels", *VERDICT_HEADER], rows)
    return (
        f":::{{div}} wide-table\n{table}:::\n\n"
        "The words are explained in "
        "[How a verdict is reached](../studies/index.md#how-a-verdict-is-reached).\n"
    )


@cache
def _benchmarks() -> dict[int, dict[str, Any]]:
    """Return the results of those benchmarks that were run, by the number of features."""
    paths = {width: RESULTS / name for width, name in TIMES.items()}
    return {width: json.loads(path.read_text()) for width, path in paths.items() if path.exists()}


def _times(info: StrategyInfo) -> str:
    measured = _benchmarks()
    rows = [
        [
            f"{r['pool']:,}",
            f"{width:,}",
            f"{r['batch']:,}",
            f"{r['seconds']:.3g}",
            f"{r['peak_mb']:,.0f}",
        ]
        for width, result in measured.items()
        for r in result["rows"]
        if r["strategy"] == info.name and r["side"] == "al_tf"
    ]
    if not rows:
        return f"Grows as {info.cost}. Not measured yet.\n"
    machine = next(iter(measured.values()))["machine"]
    headings = ["images in the pool", "features", "batch", "seconds", "memory (MB)"]
    return (
        f"Grows as {info.cost}. One query with 10 classes and 200 labeled images, in a process of "
        f"its own. {machine['processor']}, {machine['cores']} cores; memory beyond the inputs "
        f"([benchmark]({REPOSITORY}/tree/main/benchmarks)).\n\n"
        f"{markdown_table(headings, rows)}"
    )


def _gallery(infos: list[StrategyInfo]) -> str:
    families: dict[str, list[StrategyInfo]] = {}
    for info in infos:
        families.setdefault(info.family, []).append(info)
    parts = []
    for family, members in families.items():
        parts.append(f"## {family[0].upper()}{family[1:]}\n\n:::::{{grid}} 2 2 3 4\n:gutter: 2\n")
        for info in members:
            parts.append(
                f"::::{{grid-item-card}} {info.name}\n:link: {info.name}\n:link-type: doc\n"
                f":img-top: {info.name}-first.png\n:img-alt: What {info.name} asks for\n\n"
                f"{_summary(info)}\n::::\n"
            )
        parts.append(":::::\n")
    return "\n".join(parts)


def _table(infos: list[StrategyInfo]) -> str:
    rows = [
        [f"[{i.name}]({i.name}.md)", i.family, ", ".join(i.needs) or "nothing", i.cost, i.paper]
        for i in infos
    ]
    return markdown_table(["name", "family", "needs", "cost", "paper"], rows)

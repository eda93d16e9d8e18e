"""Sentences that quote measured numbers, as the committed files would have them.

For each of their `PAGES`, `studies.py` and `measurements.py` yield the sentences and the rows of tables that it
should hold, with the numbers computed from ``figures/*/`` and ``benchmarks/results/*.json`` and rounded as the page
does. `test_quotes.py` looks for each, whatever the line breaks. When results were made again, put into the page what
the failure shows; when a sentence was worded anew, word it so here.
"""

import gzip
import json
import math
from functools import cache
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parent.parent.parent


@cache
def results(name):
    """Return ``benchmarks/results/NAME.json``."""
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())


def rows(name, **like):
    """Return its rows that have these values."""
    return [row for row in results(name)["rows"] if like.items() <= row.items()]


def row(name, **like):
    """Return the one row that has these values."""
    (only,) = rows(name, **like)
    return only


@cache
def table(study, name):
    """Return ``figures/STUDY/NAME.csv``."""
    return pd.read_csv(ROOT / "figures" / study / f"{name}.csv")


@cache
def records(study):
    """Return every record of a study."""
    with gzip.open(ROOT / "figures" / study / "records.jsonl.gz", "rt") as lines:
        return [json.loads(line) for line in lines]


def verdict(study, strategy="margin"):
    """Return a strategy's row of the verdict."""
    return table(study, "verdict").set_index("strategy").loc[strategy]


def curve(study, strategy, metric="accuracy"):
    """Return the mean over the seeds at each number of labels."""
    of_strategy = table(study, "results").query("strategy == @strategy")
    return of_strategy.groupby("n_labeled")[metric].mean()


def points(study, strategy, labels, metric="accuracy"):
    """Return the points that a strategy is above random with so many labels."""
    return 100 * (curve(study, strategy, metric) - curve(study, "random", metric))[labels]


def same(numbers, form=".0f"):
    """Return what all of these numbers are when rounded."""
    texts = {f"{number:{form}}" for number in numbers}
    assert len(texts) == 1, f"The text has one number for what differs now: {', '.join(texts)}"
    return texts.pop()


def in_words(number):
    """Return a number as texts write it where they do."""
    words = {0.5: "half", 1: "a", 2: "two", 3: "three", 4: "four", 40: "forty"}
    return words.get(float(number), f"{number}")


def span(numbers, form):
    """Return the least and the largest: ``least to largest``."""
    numbers = list(numbers)
    return f"{min(numbers):{form}} to {max(numbers):{form}}"


def brief(number):
    """Return a number with two digits that count, but at most two behind the point."""
    return f"{number:,.{min(2, max(0, 1 - math.floor(math.log10(number))))}f}"


def short(number, digits=3):
    """Return a share without its leading zero: ``.531``."""
    return f"{number:.{digits}f}".lstrip("0")


def difference(row):
    """Return a difference with its interval: ``+0.022 [0.016, 0.029]``."""
    return f"{row['difference']:+.3f} [{row['low']:.3f}, {row['high']:.3f}]"

"""What two annotators said of one image: pairs of labels, their agreement, and each annotator's part."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..agreement import pair_kappa, pair_kappa_interval
from ..seeding import stream
from .items import Agreement
from .ledger import IDLE_AFTER, Event, LabelLedger
from .quality import proportion

if TYPE_CHECKING:
    import pandas as pd


class OpinionPair(NamedTuple):
    """The labels that two annotators gave an image, neither knowing the other's."""

    first: Event
    second: Event

    @property
    def same(self) -> bool:
        """Whether the labels are equal."""
        return self.first.label == self.second.label


def opinion_pairs(standing: Iterable[Event]) -> dict[str, OpinionPair]:
    """Return the two opinions on each image that has a second one.

    Parameters
    ----------
    standing : iterable of Event
        Of `LabelLedger.standing`.

    Returns
    -------
    dict of str to OpinionPair
        By image. The first opinion is the label that counted when the second was given; where that
        was taken back, the label given in its place. Skips are no opinions.
    """
    answers: dict[str, Event | None] = {}
    compared: dict[str, list[tuple[Event | None, Event]]] = defaultdict(list)
    for event in standing:
        image = event.image
        if event.purpose == "second":
            compared[image].append((answers.get(image), event))
        elif not event.is_measurement:
            answers[image] = now = None if event.kind == "clear" else event
            compared[image] = [
                (first if first is not None and now is not None else now, second)
                for first, second in compared[image]
            ]
    return {
        image: OpinionPair(first, second)
        for image, pairs in compared.items()
        for first, second in pairs
        if first is not None
        and first.label is not None
        and second.label is not None
        and first.annotator != second.annotator
    }


def measure_agreement(standing: Iterable[Event]) -> Agreement | None:
    """Return how far annotators agree; None before the first second opinion.

    Parameters
    ----------
    standing : iterable of Event
        Of `LabelLedger.standing`.

    Returns
    -------
    Agreement or None
        Over the images that were drawn for a second opinion and have it: a simple random sample of
        those that were labeled one by one. Labels count as they were given: what was settled
        afterwards changes nothing.

    Examples
    --------
    >>> import tempfile
    >>> from al_tf import LabelLedger
    >>> from al_tf.labeling.second_opinions import measure_agreement
    >>> with tempfile.TemporaryDirectory() as folder, LabelLedger(f"{folder}/labels.db") as ledger:
    ...     for image, labels in (("a", "good good"), ("b", "bad bad"), ("c", "good bad")):
    ...         first, second = labels.split()
    ...         event = ledger.label(image, first, annotator="ana")
    ...         event = ledger.label(image, second, annotator="ben", purpose="second")
    ...     agreement = measure_agreement(ledger.standing())
    >>> print(agreement.same)
    67% (9% to 99%, n = 3)
    >>> round(agreement.kappa, 3), agreement.confused
    (0.333, (('bad', 'good', 1),))
    """
    pairs = [
        tuple(sorted((str(pair.first.label), str(pair.second.label))))
        for pair in opinion_pairs(standing).values()
    ]
    return _agreement(tuple(sorted(Counter(pairs).items()))) if pairs else None


@lru_cache(maxsize=16)
def _agreement(counted: tuple[tuple[tuple[str, ...], int], ...]) -> Agreement | None:
    """Return the agreement of so many pairs of each kind; kept, since every status asks for it."""
    first, second = ([labels[k] for labels, _ in counted] for k in (0, 1))
    counts = np.array([n for _, n in counted])
    n_same = sum(n for labels, n in counted if labels[0] == labels[1])
    same = proportion(n_same, int(counts.sum()))
    if same is None:
        return None
    kappa = pair_kappa(first, second, counts)
    rng = stream(0, "agreement", same.n)
    low, high = pair_kappa_interval(first, second, counts, rng) or (None, None)
    confused = [(labels[0], labels[1], n) for labels, n in counted if labels[0] != labels[1]]
    confused.sort(key=lambda each: -each[2])
    return Agreement(same, kappa, low, high, tuple(confused))


def disputed_opinions(
    answers: Mapping[str, Event], standing: Iterable[Event]
) -> dict[str, tuple[Event, ...]]:
    """Return the opinions on each image in dispute: the answer, and those that differ from it.

    Parameters
    ----------
    answers : mapping of str to Event
        Of `LabelLedger.answers`.
    standing : iterable of Event
        Of `LabelLedger.standing`.
    """
    disputed = {image: event.id for image, event in answers.items() if event.in_dispute}
    if not disputed:
        return {}
    events: dict[str, list[Event]] = {image: [] for image in disputed}
    for event in standing:
        if event.image in disputed:
            events[event.image].append(event)
    opinions = {}
    for image, about in events.items():
        answer = next(event for event in about if event.id == disputed[image])
        different = [
            event
            for event in about
            if event.purpose == "second"
            and event.label not in (None, answer.label)
            and event.annotator != answer.annotator
            and (answer.kind == "label" or event.id > answer.id)
        ]
        opinions[image] = (answer, *different)
    return opinions


def opinion_table(ledger: LabelLedger) -> pd.DataFrame:
    """Return the images that two annotators labeled, with both labels.

    Parameters
    ----------
    ledger : LabelLedger

    Returns
    -------
    DataFrame
        One row per image: ``image``, ``name``, ``first_annotator``, ``first_label``,
        ``second_annotator``, ``second_label``, ``label`` (the one that counts; missing while the
        image is in dispute).
    """
    import pandas as pd

    answers = ledger.answers()
    columns = ["image", "name", "first_annotator", "first_label", "second_annotator"]
    columns += ["second_label", "label"]
    rows = [
        (image, first.name, first.annotator, first.label, second.annotator, second.label,
         answers[image].label if image in answers else None)
        for image, (first, second) in opinion_pairs(ledger.standing()).items()
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def annotator_table(ledger: LabelLedger) -> pd.DataFrame:
    """Return each annotator's part of the work.

    Parameters
    ----------
    ledger : LabelLedger

    Returns
    -------
    DataFrame
        One row per annotator, by name: ``annotator``; ``answers`` (labels and skips given one by
        one, those of repeats and second opinions included); ``seconds`` (spent on each, on
        average; pauses count as at most two minutes); ``compared`` (images on which there is an
        opinion of theirs and one of somebody else); ``same`` (of these, with the same label);
        ``decided`` (those that are not in dispute now); ``right`` (of these, where their label is
        the one that counts).
    """
    import pandas as pd

    standing, answers = ledger.standing(), ledger.answers()
    rows: dict[str, Counter[str]] = defaultdict(Counter)
    times: dict[str, float] = defaultdict(float)
    for event in standing:
        if event.kind in ("label", "skip") and event.purpose not in ("bulk", "import"):
            rows[event.annotator]["answers"] += 1
            times[event.annotator] += min(event.seconds, IDLE_AFTER)
    for image, pair in opinion_pairs(standing).items():
        final = answers.get(image)
        for opinion in pair:
            row = rows[opinion.annotator]
            row["compared"] += 1
            row["same"] += pair.same
            if final is not None and final.label is not None:
                row["decided"] += 1
                row["right"] += opinion.label == final.label
    columns = ["annotator", "answers", "seconds", "compared", "same", "decided", "right"]
    table = [
        (
            name, row["answers"], times[name] / row["answers"] if row["answers"] else np.nan,
            *(row[column] for column in columns[3:]),
        )
        for name, row in sorted(rows.items())
    ]  # fmt: skip
    return pd.DataFrame(table, columns=columns)

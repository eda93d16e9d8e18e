"""How good the model and the labels are, how long they took, and whether to go on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..agreement import KAPPA_WINDOW
from .items import Advice, ClassQuality, Commonest, Estimate
from .ledger import Event, Training

SETTLED_KAPPA = 0.99
LEAST_RECALL = 0.5
"""Recall that must be known of each class before stopping is advised, where none is stated."""


@lru_cache(maxsize=8_192)  # every status asks for those of all trainings
def proportion(successes: int, n: int, confidence: float = 0.95) -> Estimate | None:
    """Return a proportion with its exact interval (Clopper and Pearson 1934); None for `n` = 0.

    Parameters
    ----------
    successes : int
        0 … `n`.
    n : int
        Number of independent answers.
    confidence : float
        In (0, 1): the least probability with which such an interval holds the true proportion.

    Returns
    -------
    Estimate or None
    """
    if n == 0:  # before anything is audited, and before the first image
        return None
    from scipy.special import betaincinv  # which takes a quarter of a second

    tail = (1 - confidence) / 2
    low = betaincinv(successes, n - successes + 1, tail) if successes else 0.0
    high = betaincinv(successes + 1, n - successes, 1 - tail) if successes < n else 1.0
    return Estimate(successes / n, float(low), float(high), n)


def audit_pairs(
    answers: Mapping[str, Event], predicted: Mapping[str, str]
) -> tuple[list[str], list[str]]:
    """Return the label and the prediction of each audit image that has both.

    The audit images are a simple random sample of the pool that never trains the model, so what
    is measured on them is an unbiased estimate for the pool, as this annotator sees it. Skipped
    audit images are left out: the estimate is for images that can be labeled.

    Parameters
    ----------
    answers : mapping of str to Event
        Of `LabelLedger.answers`.
    predicted : mapping of str to str
        The model's class for each image.

    Returns
    -------
    labels, predictions : list of str
    """
    audited = [
        event
        for image, event in answers.items()
        if event.purpose == "audit" and event.label is not None and image in predicted
    ]
    return [str(event.label) for event in audited], [predicted[event.image] for event in audited]


def n_correct(labels: Sequence[str], predictions: Sequence[str]) -> int:
    """Return how many predictions equal their labels."""
    return sum(label == guess for label, guess in zip(labels, predictions, strict=True))


def class_quality(
    labels: Sequence[str], predictions: Sequence[str], classes: Sequence[str]
) -> tuple[ClassQuality, ...]:
    """Return recall and precision of each class with exact intervals.

    Parameters
    ----------
    labels, predictions : sequence of str (n,)
        Of the same images; none of them trained the model.
    classes : sequence of str
        In the order wanted.

    Examples
    --------
    >>> good, bad = class_quality(["good", "good", "bad"], ["good", "bad", "bad"], ["good", "bad"])
    >>> print(bad.recall, "|", bad.precision)
    100% (3% to 100%, n = 1) | 50% (1% to 99%, n = 2)
    >>> bad.false_alarms, good.missed
    (1, 1)
    """
    pairs = Counter(zip(labels, predictions, strict=True))
    of_label, of_guess = Counter(labels), Counter(predictions)
    return tuple(
        ClassQuality(
            name,
            proportion(pairs[name, name], of_label[name]),
            proportion(pairs[name, name], of_guess[name]),
        )
        for name in classes
    )


def commonest_class(labels: Sequence[str]) -> Commonest | None:
    """Return the commonest label and how often it alone would be right; None without labels."""
    if not labels:
        return None
    ((name, count),) = Counter(labels).most_common(1)
    accuracy = proportion(count, len(labels))
    return None if accuracy is None else Commonest(name, accuracy)


def self_agreement(standing: Sequence[Event], annotator: str) -> Estimate | None:
    """Return how often an annotator gave the same label to an image they were shown again.

    Parameters
    ----------
    standing : sequence of Event
        Of `LabelLedger.standing`.
    annotator : str
        Whose repeats.

    Returns
    -------
    Estimate or None
        A repeat counts when both its answer and the one before it, by the same annotator, are
        labels; a later correction of the first label does not undo the disagreement.
    """
    labels_before: dict[str, str | None] = {}
    pairs = []
    for event in standing:
        if event.annotator != annotator:
            continue
        if not event.is_measurement:
            labels_before[event.image] = event.label
        elif (
            event.purpose == "repeat"
            and event.label is not None
            and labels_before.get(event.image) is not None
        ):
            pairs.append(event.label == labels_before[event.image])
    return proportion(sum(pairs), len(pairs))


def advise(
    *,
    remaining: int,
    accuracy: Estimate | None,
    per_class: Sequence[ClassQuality],
    commonest: Commonest | None,
    target_accuracy: float | None,
    target_recall: float | None,
    kappas: Sequence[float],
    predicted_classes: Sequence[str],
) -> Advice:
    """Return whether further labels still pay, and why.

    Models that agree with each other may all be wrong. So stopping is advised only where the audit
    images show that the model beats "always the commonest class", and that it finds each class:
    that the lower end of each recall's interval reaches the target (`LEAST_RECALL` without one).

    Parameters
    ----------
    remaining : int
        Images without an answer.
    accuracy : Estimate or None
        From the audit images.
    per_class : sequence of ClassQuality
        Of every class, from the same images.
    commonest : Commonest or None
        From the same images.
    target_accuracy, target_recall : float or None
        Wanted; reached when the interval's lower end is there, for recall in every class.
    kappas : sequence of float
        Agreement of each model's predictions on the pool with those of the model before. They
        have settled when the last three average 0.99 (stabilising predictions, Bloodgood and
        Vijay-Shanker, CoNLL 2009).
    predicted_classes : sequence of str
        Classes that the current model predicts at all; empty without a model. A model that
        predicts one class everywhere agrees with itself and has learned nothing.

    Returns
    -------
    Advice
    """
    if remaining == 0:
        return Advice(True, "Every image has an answer.")
    if not predicted_classes:
        return Advice(False, "There is no model yet: label some images of each class.")
    if len(predicted_classes) == 1:
        return Advice(
            False,
            f"The model predicts {predicted_classes[0]!r} everywhere: it needs further examples.",
        )
    doubt = _doubt(accuracy, per_class, commonest, target_recall)
    has_target = target_accuracy is not None or target_recall is not None
    accurate = target_accuracy is None or (accuracy is not None and accuracy.low >= target_accuracy)
    if has_target and accurate and not doubt:
        return Advice(True, _target_reached(target_accuracy, target_recall, accuracy))
    recent = [kappa for kappa in kappas if np.isfinite(kappa)][-KAPPA_WINDOW:]
    if len(recent) < KAPPA_WINDOW:
        few = "Too few models were trained to see whether they still change."
        return Advice(False, f"{few} {doubt}".strip())
    mean = sum(recent) / len(recent)
    if mean < SETTLED_KAPPA:
        change = f"The predictions still change from model to model (mean kappa {mean:.3f})."
        return Advice(False, f"{change} {doubt}".strip())
    settled = (
        f"The predictions have settled: the last {KAPPA_WINDOW} models agree with those before "
        f"them (mean kappa {mean:.3f})."
    )
    if doubt:
        return Advice(False, f"{settled} But they are not known to be good: {doubt}")
    return Advice(True, f"{settled} Further labels are unlikely to change them.")


def _target_reached(
    target_accuracy: float | None, target_recall: float | None, accuracy: Estimate | None
) -> str:
    parts = []
    if target_accuracy is not None:
        parts.append(
            f"The target of {target_accuracy:.0%} is reached: accuracy {accuracy} on random images."
        )
    if target_recall is not None:
        parts.append(f"The recall of each class is at least {target_recall:.0%}.")
    return " ".join(parts)


def _doubt(
    accuracy: Estimate | None,
    per_class: Sequence[ClassQuality],
    commonest: Commonest | None,
    target_recall: float | None,
) -> str:
    """Return why the model is not known to be good, in a sentence; empty if it is."""
    if accuracy is None or commonest is None:
        return "No random image is labeled yet, so nothing measures the model."
    if accuracy.value <= commonest.accuracy.value:
        return (
            f"The model is right on {accuracy.value:.0%} of the random images; {commonest.label!r} for all "
            f"would be right on {commonest.accuracy.value:.0%}."
        )
    wanted = LEAST_RECALL if target_recall is None else target_recall
    short = [q for q in per_class if q.recall is None or q.recall.low < wanted]
    if not short:
        return ""
    worst = min(short, key=lambda q: -1.0 if q.recall is None else q.recall.low)
    if worst.recall is None:
        return f"No random image of {worst.label!r} is labeled yet, so its recall is unknown."
    recall = f"The recall of {worst.label!r} is {worst.recall}"
    if worst.recall.high < wanted:
        return f"{recall}, below {wanted:.0%}."
    return f"{recall}: too few random images to be sure of {wanted:.0%}."


class CurvePoint(NamedTuple):
    """The accuracy estimated after one training; see `LabelingSession.curve`."""

    round: int
    labels: int
    minutes: float
    accuracy: float
    low: float
    high: float
    audited: int


def accuracy_points(trainings: Iterable[Training]) -> list[CurvePoint]:
    """Return the accuracy estimated after each training, over labels and over minutes.

    Parameters
    ----------
    trainings : iterable of Training
        Of `LabelLedger.trainings`; those without a labeled audit image are left out.
    """
    points = []
    for each in trainings:
        estimate = proportion(each.correct, each.audited)
        if estimate is not None:
            accuracy = (estimate.value, estimate.low, estimate.high)
            points.append(
                CurvePoint(each.round, each.labels, each.minutes, *accuracy, each.audited)
            )
    return points

"""How good the model and the labels are, how long they took, and whether to go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..agreement import KAPPA_WINDOW
from .items import Advice, Estimate
from .ledger import Event

if TYPE_CHECKING:
    import pandas as pd

SETTLED_KAPPA = 0.99


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
    from scipy.stats import binomtest

    if n == 0:
        return None
    interval = binomtest(successes, n).proportion_ci(confidence, method="exact")
    return Estimate(successes / n, float(interval.low), float(interval.high), n)


def audit_result(answers: Mapping[str, Event], predicted: Mapping[str, str]) -> tuple[int, int]:
    """Return how many audit images have a label and a prediction, and how many agree.

    The audit images are a simple random sample of the pool that never trains the model, so the
    proportion that agrees is an unbiased estimate of the model's accuracy on the pool, as this
    annotator sees it. Skipped audit images count in neither number: the estimate is for images
    that can be labeled.

    Parameters
    ----------
    answers : mapping of str to Event
        Of `LabelLedger.answers`.
    predicted : mapping of str to str
        The model's class for each image.

    Returns
    -------
    audited, correct : int
    """
    audited = [
        event
        for image, event in answers.items()
        if event.purpose == "audit" and event.label is not None and image in predicted
    ]
    return len(audited), sum(predicted[event.image] == event.label for event in audited)


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
    first_labels: dict[str, str | None] = {}
    pairs = []
    for event in standing:
        if event.annotator != annotator:
            continue
        if event.purpose != "repeat":
            first_labels.setdefault(event.image, event.label)
        elif event.label is not None and first_labels.get(event.image) is not None:
            pairs.append(event.label == first_labels[event.image])
    return proportion(sum(pairs), len(pairs))


def advise(
    *,
    remaining: int,
    accuracy: Estimate | None,
    target: float | None,
    kappas: Sequence[float],
    predicted_classes: Sequence[str],
) -> Advice:
    """Return whether further labels still pay, and why.

    Parameters
    ----------
    remaining : int
        Images without an answer.
    accuracy : Estimate or None
        From the audit images.
    target : float or None
        Accuracy wanted; reached when the interval's lower end is there.
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
    if target is not None and accuracy is not None and accuracy.low >= target:
        return Advice(
            True, f"The target of {target:.0%} is reached: accuracy {accuracy} on random images."
        )
    if not predicted_classes:
        return Advice(False, "There is no model yet: label some images of each class.")
    if len(predicted_classes) == 1:
        return Advice(
            False,
            f"The model predicts {predicted_classes[0]!r} everywhere: it needs further examples.",
        )
    recent = [kappa for kappa in kappas if np.isfinite(kappa)][-KAPPA_WINDOW:]
    if len(recent) < KAPPA_WINDOW:
        return Advice(False, "Too few models were trained to see whether they still change.")
    mean = sum(recent) / len(recent)
    if mean >= SETTLED_KAPPA:
        return Advice(
            True,
            f"The predictions have settled: the last {KAPPA_WINDOW} models agree with those before "
            f"them (mean kappa {mean:.3f}). Further labels are unlikely to change them.",
        )
    return Advice(
        False, f"The predictions still change from model to model (mean kappa {mean:.3f})."
    )


def accuracy_curve(rounds: pd.DataFrame) -> pd.DataFrame:
    """Return the accuracy estimated after each training, over labels and over minutes.

    Parameters
    ----------
    rounds : DataFrame
        Of `LabelLedger.rounds`.

    Returns
    -------
    DataFrame
        ``round``, ``labels``, ``minutes``, ``accuracy``, ``low``, ``high``, ``audited``; rounds
        without a labeled audit image are left out.
    """
    table = rounds.loc[rounds["audited"] > 0, ["round", "labels", "minutes", "audited"]]
    correct = rounds.loc[rounds["audited"] > 0, "correct"]
    estimates = [proportion(int(c), int(n)) for c, n in zip(correct, table["audited"], strict=True)]
    for column, name in (("accuracy", "value"), ("low", "low"), ("high", "high")):
        table[column] = np.array([getattr(e, name) for e in estimates], dtype=float)
    return table.reset_index(drop=True)

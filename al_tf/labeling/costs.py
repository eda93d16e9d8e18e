"""What labeling cost in minutes, and from which probability up an image is worth rejecting."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from .items import Estimate
from .ledger import IDLE_AFTER, MEASUREMENTS
from .quality import proportion

if TYPE_CHECKING:
    import pandas as pd


def labeling_curve(
    history: pd.DataFrame, *, label: str | None = None, idle_after: float = IDLE_AFTER
) -> pd.DataFrame:
    """Return how the labels grew over minutes of work.

    Parameters
    ----------
    history : DataFrame
        Of `LabelLedger.history`.
    label : str, optional
        Count this class alone (``"defective"``: defects found); by default, every label.
    idle_after : float
        Seconds that one event counts at most: a longer one holds a pause.

    Returns
    -------
    DataFrame
        One row an event, in order: ``event`` (its id), ``minutes`` (spent by all until then),
        ``answers`` (images answered: labels and skips), ``labels`` (labels then in force, of
        `label`). What was undone counts until then, and its minutes for good; repeats and second
        opinions cost minutes alone.
    """
    import pandas as pd

    minutes = np.cumsum(np.minimum(history["seconds"].to_numpy(dtype=float), idle_after)) / 60
    labels_of: dict[str, list[tuple[int, bool, str | None]]] = {}
    answers, labels = [], []
    answered = counted = 0
    for event in history.itertuples():
        if event.purpose not in MEASUREMENTS:
            stack = labels_of.setdefault(str(event.image), [])
            before = _counts(stack, label)
            if event.kind == "undo":
                labels_of[str(event.image)] = [entry for entry in stack if entry[0] != event.undoes]
            else:
                word = event.label if isinstance(event.label, str) else None
                stack.append((int(str(event.id)), str(event.kind) != "clear", word))
            after = _counts(labels_of[str(event.image)], label)
            answered += after[0] - before[0]
            counted += after[1] - before[1]
        answers.append(answered)
        labels.append(counted)
    return pd.DataFrame(
        {"event": history["id"], "minutes": minutes, "answers": answers, "labels": labels}
    )


def _counts(stack: list[tuple[int, bool, str | None]], label: str | None) -> tuple[int, int]:
    """Return whether an image is answered, and whether its present label counts."""
    if not stack:
        return 0, 0
    _, answered, word = stack[-1]
    return int(answered), int(word is not None and label in (None, word))


@dataclass(frozen=True)
class RejectionThreshold:
    """An image is rejected where the probability of a defect is at least `threshold`."""

    threshold: float
    """In [0, 1]; infinity rejects none."""
    recall: Estimate | None
    """Of the defects, those rejected; None without defects."""
    precision: Estimate | None
    """Of the rejected images, those with a defect; None where none is rejected."""
    missed: int
    """Defects that pass."""
    false_alarms: int
    """Good images that are rejected."""


def rejection(defective: ArrayLike, probability: ArrayLike, threshold: float) -> RejectionThreshold:
    """Return what rejecting from a threshold up does to labeled images.

    Parameters
    ----------
    defective, probability
        As in `cost_table`.
    threshold : float

    Examples
    --------
    >>> choice = rejection([True, True, False], [0.9, 0.2, 0.6], 0.5)
    >>> choice.missed, choice.false_alarms
    (1, 1)
    """
    truth, p = _check_labeled(defective, probability)
    rejected = p >= threshold
    caught = int((truth & rejected).sum())
    return RejectionThreshold(
        float(threshold),
        proportion(caught, int(truth.sum())),
        proportion(caught, int(rejected.sum())),
        int(truth.sum()) - caught,
        int(rejected.sum()) - caught,
    )


def recall_threshold(
    defective: ArrayLike,
    probability: ArrayLike,
    *,
    wanted: float,
    confidence: float | None = None,
) -> RejectionThreshold:
    """Return the highest threshold, so that with the fewest false alarms, of a wanted recall.

    Without `confidence`, the recall on these very images is at least `wanted`. On others it falls
    short about every second time, as the threshold was chosen on these. With `confidence`, so many
    further defects must be caught here that the recall on others reaches `wanted` in at least that
    proportion of such samples, whatever the distribution of the probabilities: with the threshold at
    the k-th lowest of n defects, the recall has the distribution Beta(n - k + 1, k) (Wilks,
    "Determination of sample sizes for setting tolerance limits", Annals of Mathematical Statistics
    12, 1941).

    Parameters
    ----------
    defective, probability
        As in `cost_table`.
    wanted : float
        Recall in (0, 1].
    confidence : float, optional
        In (0, 1).

    Raises
    ------
    ValueError
        No defects among the images, or too few for the confidence; and as `cost_table` does.

    Examples
    --------
    >>> defective = [True] * 4 + [False] * 4
    >>> probability = [0.9, 0.8, 0.7, 0.2, 0.6, 0.3, 0.1, 0.1]
    >>> choice = recall_threshold(defective, probability, wanted=0.75)
    >>> choice.threshold, choice.missed, choice.false_alarms
    (0.7, 1, 0)
    """
    truth, p = _check_labeled(defective, probability)
    if not 0 < wanted <= 1:
        raise ValueError(f"The wanted recall must be in (0, 1]; got {wanted!r}.")
    if confidence is not None and not 0 < confidence < 1:
        raise ValueError(f"confidence must be in (0, 1); got {confidence!r}.")
    of_defects = np.sort(p[truth])
    n = len(of_defects)
    if n == 0:
        raise ValueError("There is no defect among the labeled images to choose a threshold by.")
    may_miss = math.floor(n * (1 - wanted) + 1e-9) if confidence is None else -1
    if confidence is not None:
        may_miss = _assured_misses(n, wanted, confidence)
    if may_miss < 0:
        raise ValueError(
            f"To be {confidence:.0%} sure of a recall of {wanted:.1%} takes "
            f"{_least_defects(wanted, confidence)} labeled defects; there are {n}."
        )
    return rejection(truth, p, float(of_defects[may_miss]))


def _assured_misses(n: int, wanted: float, confidence: float) -> int:
    """Return how many of n defects may be missed for the recall to be assured; -1 if none may."""
    from scipy.stats import beta

    k = np.arange(1, n + 1)  # the threshold is at the k-th lowest defect: k - 1 are missed
    assured = beta.sf(wanted, n - k + 1, k) >= confidence
    return int(assured.sum()) - 1


def _least_defects(wanted: float, confidence: float | None) -> str:
    if wanted >= 1 or confidence is None:
        return "infinitely many"
    return f"at least {math.ceil(math.log(1 - confidence) / math.log(wanted))}"


def cheapest_threshold(
    defective: ArrayLike, probability: ArrayLike, *, missed: float, false_alarm: float
) -> RejectionThreshold:
    """Return the threshold that costs least on labeled images; the highest of several.

    Parameters and errors as in `cost_table`.
    """
    table = cost_table(defective, probability, missed=missed, false_alarm=false_alarm)
    cheapest = table["cost"] == table["cost"].min()
    return rejection(defective, probability, float(table.loc[cheapest, "threshold"].max()))


def cost_table(
    defective: ArrayLike, probability: ArrayLike, *, missed: float, false_alarm: float
) -> pd.DataFrame:
    """Return what each threshold costs: an image is rejected at a probability at or above it.

    Parameters
    ----------
    defective : array-like of bool (n,)
        Whether each image shows a defect; labels of audit images, or of a test set.
    probability : array-like of float (n,)
        What the model gives for a defect, in [0, 1].
    missed : float
        Cost of a defect that passes, above 0.
    false_alarm : float
        Cost of a good image that is rejected, above 0.

    Returns
    -------
    DataFrame
        One row for each probability that occurs and for "reject none" (threshold infinity), from
        the lowest threshold up: ``threshold``, ``missed``, ``false_alarms`` (numbers of images),
        ``cost``, ``cost_per_image``. The cheapest row was chosen on these images: on others
        it costs somewhat more.

    Raises
    ------
    ValueError
        No images, different lengths, probabilities outside [0, 1], or costs that are not positive.
    """
    import pandas as pd

    truth, p = _check_labeled(defective, probability)
    _check_costs(missed, false_alarm)
    thresholds = np.append(np.unique(p), math.inf)
    n_missed = np.searchsorted(np.sort(p[truth]), thresholds)  # below the threshold: passed
    n_alarms = (~truth).sum() - np.searchsorted(np.sort(p[~truth]), thresholds)
    cost = missed * n_missed + false_alarm * n_alarms
    return pd.DataFrame(
        {
            "threshold": thresholds,
            "missed": n_missed,
            "false_alarms": n_alarms,
            "cost": cost,
            "cost_per_image": cost / len(truth),
        }
    )


def fair_threshold(*, missed: float, false_alarm: float) -> float:
    """Return the threshold that is cheapest where probabilities are calibrated.

    An image is worth rejecting when ``p · missed ≥ (1 - p) · false_alarm``, that is from
    ``false_alarm / (missed + false_alarm)`` up (Elkan, "The foundations of cost-sensitive
    learning", IJCAI 2001). No labels are needed for it.
    """
    _check_costs(missed, false_alarm)
    return false_alarm / (missed + false_alarm)


def _check_costs(missed: float, false_alarm: float) -> None:
    if not (0 < missed < math.inf and 0 < false_alarm < math.inf):
        raise ValueError(
            f"Costs must be positive numbers; got missed={missed!r}, false_alarm={false_alarm!r}."
        )


def _check_labeled(defective: ArrayLike, probability: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    truth, p = np.asarray(defective, dtype=bool), np.asarray(probability, dtype=float)
    if truth.shape != p.shape or truth.ndim != 1 or len(truth) == 0:
        raise ValueError(
            "defective and probability must be two vectors of one length, not empty; got the "
            f"shapes {truth.shape} and {p.shape}."
        )
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("Probabilities must lie in [0, 1].")
    return truth, p

"""What labeling cost in minutes, and what a missed defect costs against a false alarm."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from .ledger import IDLE_AFTER

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
        `label`). What was undone counts until then, and its minutes for good; repeats cost
        minutes alone.
    """
    import pandas as pd

    minutes = np.cumsum(np.minimum(history["seconds"].to_numpy(dtype=float), idle_after)) / 60
    labels_of: dict[str, list[tuple[int, str | None]]] = {}
    answers, labels = [], []
    answered = counted = 0
    for event in history.itertuples():
        if event.purpose != "repeat":
            stack = labels_of.setdefault(str(event.image), [])
            before = _counts(stack, label)
            if event.kind == "undo":
                labels_of[str(event.image)] = [entry for entry in stack if entry[0] != event.undoes]
            else:
                word = event.label if isinstance(event.label, str) else None
                stack.append((int(str(event.id)), word))
            after = _counts(labels_of[str(event.image)], label)
            answered += after[0] - before[0]
            counted += after[1] - before[1]
        answers.append(answered)
        labels.append(counted)
    return pd.DataFrame(
        {"event": history["id"], "minutes": minutes, "answers": answers, "labels": labels}
    )


def _counts(stack: list[tuple[int, str | None]], label: str | None) -> tuple[int, int]:
    """Return whether an image is answered, and whether its present label counts."""
    if not stack:
        return 0, 0
    word = stack[-1][1]
    return 1, int(word is not None and label in (None, word))


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

    truth, p = np.asarray(defective, dtype=bool), np.asarray(probability, dtype=float)
    if truth.shape != p.shape or truth.ndim != 1 or len(truth) == 0:
        raise ValueError(
            "defective and probability must be two vectors of one length, not empty; got the "
            f"shapes {truth.shape} and {p.shape}."
        )
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("Probabilities must lie in [0, 1].")
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

"""Answers that a model disputes which has not seen them: which images to look at again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..seeding import RandomState
from ..suspects import PENALTY, out_of_fold_proba, suspect_labels
from .image_pool import ImagePool
from .ledger import Event
from .pool_features import PoolFeatures
from .training_set import training_labels

if TYPE_CHECKING:
    import pandas as pd


def suspect_answers(
    answers: Mapping[str, Event],
    inputs: ImagePool | PoolFeatures,
    classes: Sequence[str],
    *,
    estimator: Any = None,
    part_of: Callable[[str], str] | None = None,
    n_folds: int = 10,
    random_state: RandomState = 0,
) -> pd.DataFrame:
    """Rank the labels of a ledger by how strongly a model disputes them.

    Labels of the audit are left out, as they are from training: correcting those that a model
    disputes would make its estimated accuracy too high.

    Parameters
    ----------
    answers : mapping of str to Event
        Of `LabelLedger.answers`.
    inputs : PoolFeatures or ImagePool
        Where the features of the images, or the images, come from. Images that cannot be read any
        more are left out.
    classes : sequence of str
        Of the ledger.
    estimator : estimator, optional
        What judges. By default a linear probe; one that takes images must be given for an
        `ImagePool`.
    part_of : callable, optional
        Which part an image shows, from `al_tf.labeling.audit.part_function`: its label is judged by
        a model that has learned no other image of that part.
    n_folds, random_state
        As in `al_tf.suspects.out_of_fold_proba`.

    Returns
    -------
    DataFrame
        ``image``, ``name``, ``label``, ``annotator``, ``predicted``, ``score`` (0 to 1, lower =
        more suspect; NaN where no other image, or part, has a label of that class), ``disputed`` (the model's most probable
        class is another); most suspect first.

    Raises
    ------
    ValueError
        Labels of fewer than two classes, or of one part alone; or no `estimator` for images.
    """
    import pandas as pd

    ids, X = _inputs_of(training_labels(answers), inputs)
    events = [answers[image] for image in ids]
    labels = np.array([event.label for event in events], dtype=str)
    groups = None if part_of is None else np.array(list(map(part_of, ids)), dtype=str)
    if len(set(labels.tolist())) < 2:
        raise ValueError(
            f"Labels are judged by a model of two classes or more; got {len(labels)} label(s) of "
            f"{len(set(labels.tolist()))} class(es) outside the audit."
        )
    proba = out_of_fold_proba(
        _judge(estimator, inputs),
        X,
        labels,
        classes=list(classes),
        groups=groups,
        n_folds=n_folds,
        random_state=random_state,
    )
    suspects = suspect_labels(labels, proba, classes=list(classes), groups=groups)
    table = pd.DataFrame(
        {
            "image": ids,
            "name": [event.name for event in events],
            "label": labels,
            "annotator": [event.annotator for event in events],
            "predicted": suspects.predicted,
            "score": suspects.score,
            "disputed": suspects.disputed,
        }
    )
    return table.iloc[suspects.order].reset_index(drop=True)


def _inputs_of(
    labels: Mapping[str, str], inputs: ImagePool | PoolFeatures
) -> tuple[list[str], np.ndarray]:
    """Return the labeled images that can be read, and what the model sees of them."""
    ids: list[str] = []
    parts = [np.empty((0, *inputs.shape), np.uint8)]
    for part_ids, part in inputs.chunks(list(labels)):
        ids += part_ids
        parts.append(part)
    return ids, np.concatenate(parts)


def _judge(estimator: Any, inputs: ImagePool | PoolFeatures) -> Any:
    if estimator is not None:
        return estimator
    if not isinstance(inputs, PoolFeatures):
        raise ValueError(
            "A linear probe judges features, and these are images. Pass PoolFeatures(pool, "
            "backbone), or an estimator that takes images."
        )
    from ..network.probe import LinearProbeClassifier

    return LinearProbeClassifier(backbone=None, C=PENALTY)

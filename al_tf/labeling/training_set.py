"""What models learn from: the labels outside the audit, and their images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .image_pool import ImagePool
from .ledger import ClassList, Event
from .pool_features import PoolFeatures


def training_labels(answers: Mapping[str, Event]) -> dict[str, str]:
    """Return the label of each image that models learn from: those outside the audit.

    Parameters
    ----------
    answers : mapping of str to Event
        Of `LabelLedger.answers`.
    """
    return {
        image: event.label
        for image, event in answers.items()
        if event.label is not None and event.purpose != "audit"
    }


def labeled_images(
    inputs: ImagePool | PoolFeatures,
    labels: Mapping[str, str],
    base: tuple[Any, Any] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return images, or their features, and labels to train on.

    Parameters
    ----------
    inputs : ImagePool or PoolFeatures
    labels : mapping of str to str
        Label of each image; those that cannot be read any more are left out.
    base : (X, y), optional
        Images (or features) and labels from elsewhere, put first.

    Returns
    -------
    X : ndarray (n, …)
    y : ndarray of str (n,)
    """
    parts = [np.empty((0, *inputs.shape), np.uint8) if base is None else np.asarray(base[0])]
    names = [np.array([], dtype=str) if base is None else np.asarray(base[1])]
    for ids, part in inputs.chunks(list(labels)):
        parts.append(part)
        names.append(np.array([labels[image] for image in ids]))
    return np.concatenate(parts), np.concatenate(names)


class BaseSet:
    """Labeled images from elsewhere, whose classes may be renamed and merged like those of a ledger.

    Parameters
    ----------
    images : array-like (n, …)
    labels : sequence of str
        Of each image.
    classes : ClassList
        Of the ledger, in which the labels are names of classes.
    """

    def __init__(self, images: Any, labels: Sequence[Any], classes: ClassList) -> None:
        self._images, known = images, set(classes.known_names)
        self._identities = [
            classes.identity(name) if name in known else name for name in map(str, labels)
        ]

    def named(self, classes: ClassList) -> tuple[Any, np.ndarray]:
        """Return the images, and their labels under the names of the classes now."""
        return self._images, np.array([classes.name_of(each) for each in self._identities])

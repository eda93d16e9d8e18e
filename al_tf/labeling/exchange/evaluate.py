"""What an exported model is worth: its predictions beside the labels of images it never saw."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...datasets._label_table import read_label_table
from ...errors import DataCorruptError, DataNotFoundError, UnknownLabelError
from ..costs import RejectionThreshold, cheapest_threshold, fair_threshold, recall_threshold
from ..costs import rejection as rejection_at
from ..items import ClassQuality, Commonest, Estimate
from ..ledger import LabelLedger
from ..pool import FolderPool
from ..quality import class_quality, commonest_class, n_correct, proportion
from .predict import ExportedModel

if TYPE_CHECKING:
    import pandas as pd

CONFIDENCE = 0.95
_SQLITE = b"SQLite format 3\x00"


@dataclass(frozen=True)
class Evaluation:
    """A model's predictions for labeled images, each content once."""

    classes: tuple[str, ...]
    names: tuple[str, ...]
    """Of the images, n."""
    ids: tuple[str, ...]
    labels: tuple[str, ...]
    proba: np.ndarray
    """float (n, K), columns as `classes`."""
    pool: FolderPool
    problems: tuple[str, ...]
    """A line for each labeled file that cannot be read, and so is left out."""

    @property
    def predictions(self) -> tuple[str, ...]:
        """The most probable class of each image."""
        return tuple(self.classes[k] for k in self.proba.argmax(axis=1))

    @property
    def accuracy(self) -> Estimate:
        """Proportion of the images that the model gets right."""
        estimate = proportion(n_correct(self.labels, self.predictions), len(self.labels))
        assert estimate is not None  # there is an image
        return estimate

    @property
    def commonest(self) -> Commonest:
        """What always the commonest class would get right."""
        commonest = commonest_class(self.labels)
        assert commonest is not None
        return commonest

    def per_class(self) -> tuple[ClassQuality, ...]:
        """Return recall and precision of each class, at the most probable class."""
        return class_quality(self.labels, self.predictions, self.classes)

    def confusion(self) -> pd.DataFrame:
        """Return how many images of each class (rows) the model calls what (columns)."""
        import pandas as pd

        table = pd.crosstab(pd.Series(self.labels), pd.Series(self.predictions))
        table = table.reindex(index=list(self.classes), columns=list(self.classes), fill_value=0)
        return table.rename_axis(index="label", columns="predicted")

    def table(self) -> pd.DataFrame:
        """Return a row for each image.

        Returns
        -------
        DataFrame
            ``name``, ``image`` (content hash), ``label``, ``predicted``, ``correct``, and
            ``p(<class>)`` for each class; mistakes first, those that the model is surest of at
            the top.
        """
        import pandas as pd

        predicted = self.predictions
        table = pd.DataFrame(
            {
                "name": self.names,
                "image": self.ids,
                "label": self.labels,
                "predicted": predicted,
                "correct": [a == b for a, b in zip(self.labels, predicted, strict=True)],
                **{f"p({name})": self.proba[:, k] for k, name in enumerate(self.classes)},
            }
        )
        surest_first = np.argsort(-self.proba.max(axis=1), kind="stable")
        return table.iloc[surest_first].sort_values("correct", kind="stable", ignore_index=True)

    def by_recall(
        self, label: str, wanted: float, confidence: float | None = None
    ) -> RejectionThreshold:
        """Return the threshold on p(`label`) for a wanted recall; see `recall_threshold`."""
        return recall_threshold(*self._one_class(label), wanted=wanted, confidence=confidence)

    def by_costs(
        self, label: str, missed: float, false_alarm: float
    ) -> tuple[RejectionThreshold, RejectionThreshold]:
        """Return the cheapest threshold on these images, and the one of calibrated probabilities.

        See `cheapest_threshold` and `fair_threshold`.
        """
        is_class, p = self._one_class(label)
        fair = fair_threshold(missed=missed, false_alarm=false_alarm)
        cheapest = cheapest_threshold(is_class, p, missed=missed, false_alarm=false_alarm)
        return cheapest, rejection_at(is_class, p, fair)

    def _one_class(self, label: str) -> tuple[np.ndarray, np.ndarray]:
        _check_class(label, self.classes)
        return np.array(self.labels) == label, self.proba[:, self.classes.index(label)].clip(0, 1)


def _check_class(label: str, classes: Sequence[str]) -> None:
    if label not in classes:
        raise UnknownLabelError(f"{label!r} is not one of the model's classes {list(classes)}.")


def evaluate_model(
    model: str | os.PathLike[str],
    truth: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    of_classes: Iterable[str] = (),
    progress: bool = False,
) -> Evaluation:
    """Let a model predict labeled images that it was not trained on.

    Parameters
    ----------
    model : path
        A ``.keras`` file of `export_model`, of a probe or of a CNN.
    truth : path
        A table of names and labels, as `al_tf.datasets.load_dataset` takes it: CSV in UTF-8 with
        comma, semicolon or tab. Or a ledger: then its audit images, which no model of the desk was
        trained on.
    folder : path
        Where the images are. Copies of an image count once.
    of_classes : iterable of str
        Classes that thresholds will be asked of: one that the model does not know is refused before
        anything is predicted.
    progress : bool
        Show progress bars.

    Raises
    ------
    DataNotFoundError
        There is no such model, table or folder, or the table names files that are not there.
    DataCorruptError
        A model that `export_model` did not write, a table of another form, or an image with two
        labels.
    UnknownLabelError
        A label that the model does not know.
    """
    if not Path(truth).is_file():
        raise DataNotFoundError(f"{truth}: there is no such table of labels, and no such ledger.")
    exported = ExportedModel(model)
    for label in of_classes:
        _check_class(label, exported.classes)
    pool = exported.open_folder(folder, progress=progress)
    labels, problems = _labels(Path(truth), pool)
    if unknown := sorted(set(labels.values()) - set(exported.classes)):
        raise UnknownLabelError(
            f"{truth} has the labels {unknown}, which the model does not know. Its classes are "
            f"{list(exported.classes)}."
        )
    ids, proba = exported.predict(pool, list(labels), progress=progress)
    if not ids:
        raise DataNotFoundError(
            f"{truth}: expected labels of images in {folder}, found none of an image that can be "
            "read."
        )
    gone = [f"{pool.name(image)}: cannot be read" for image in labels if image not in set(ids)]
    return Evaluation(
        exported.classes,
        tuple(pool.name(image) for image in ids),
        tuple(ids),
        tuple(labels[image] for image in ids),
        proba,
        pool,
        (*problems, *gone),
    )


def _labels(truth: Path, pool: FolderPool) -> tuple[dict[str, str], list[str]]:
    """Return the label of each image by its content, and what is left out."""
    with open(truth, "rb") as file:
        is_ledger = file.read(len(_SQLITE)) == _SQLITE
    return _audit_labels(truth, pool) if is_ledger else _table_labels(truth, pool)


def _audit_labels(path: Path, pool: FolderPool) -> tuple[dict[str, str], list[str]]:
    with LabelLedger(path, read_only=True) as ledger:
        audited = [e for e in ledger.answers().values() if e.purpose == "audit" and e.label]
    if not audited:
        raise DataNotFoundError(f"{path}: expected labels of audit images, found none yet.")
    here = set(pool.ids)
    gone = [
        f"{event.name}: not in {pool.folder} any more"
        for event in audited
        if event.image not in here
    ]
    return {e.image: str(e.label) for e in audited if e.image in here}, gone


def _table_labels(path: Path, pool: FolderPool) -> tuple[dict[str, str], list[str]]:
    labeled = read_label_table(path, pool.folder)
    labels: dict[str, str] = {}
    unreadable = []
    for file, label in zip(labeled.files, labeled.words, strict=True):
        image = pool.id_of(file)
        if image is None:
            unreadable.append(f"{file.relative_to(pool.folder)}: cannot be read")
        elif labels.setdefault(image, label) != label:
            raise DataCorruptError(
                f"{path}: {pool.title(image)} is one image with the labels {labels[image]!r} and "
                f"{label!r}. Keep one."
            )
    return labels, unreadable

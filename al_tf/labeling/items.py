"""What a session shows: an item to label, its progress, its advice. Plain values, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .pictures import Picture


@dataclass(frozen=True)
class Prediction:
    """One class and the probability the current model gives it."""

    label: str
    probability: float
    """In [0, 1]."""


@dataclass(frozen=True)
class Neighbour:
    """A labeled image that the model finds similar."""

    image_id: str
    name: str
    label: str
    distance: float
    """Euclidean, between features; smaller = more similar."""
    image: np.ndarray = field(repr=False, compare=False)
    """uint8 (H, W) or (H, W, 3), at most `al_tf.labeling.pictures.THUMBNAIL_SIDE` a side."""


@dataclass(frozen=True)
class Item:
    """One image to label, with what the model thinks of it."""

    slot: int
    """Place in the ledger's queue; give it back to `LabelingSession.label`, so that a late or
    repeated click cannot land on another image."""
    image_id: str
    """SHA-256 of the content, 64 hexadecimal digits."""
    name: str
    """File name below the folder, or ``image 17`` of an array, and the names of its copies; never
    markup, never a path to open."""
    path: Path | None
    """The file, or None for an array."""
    image: np.ndarray = field(repr=False, compare=False)
    """uint8 (H, W) or (H, W, 3), at most `al_tf.labeling.pictures.MAX_SHOWN_SIDE` a side."""
    picture: Picture = field(repr=False, compare=False)
    """The same with its size in full resolution, and what is shown black and white."""
    predictions: tuple[Prediction, ...]
    """Most probable first; empty without a model, and for audit images, whose labels must not
    lean on the model they judge."""
    score: float | None
    """The strategy's score, higher = more informative; None where it was drawn at random."""
    strategy: str
    """What chose it."""
    why: str
    """The same in a sentence."""
    neighbours: tuple[Neighbour, ...]
    """Nearest labeled images, nearest first; empty where `predictions` is."""
    round: int
    """Number of models that had been trained when it was chosen."""
    position: int
    """Its place in the batch, 1 to `batch`."""
    batch: int
    """Images in the batch."""


@dataclass(frozen=True)
class Estimate:
    """A share with its exact (Clopper–Pearson) 95 % interval."""

    value: float
    low: float
    high: float
    n: int
    """Number of answers it rests on."""

    def __str__(self) -> str:
        return f"{self.value:.0%} ({self.low:.0%} to {self.high:.0%}, n = {self.n})"


@dataclass(frozen=True)
class Agreement:
    """How far annotators agree, on the images that two of them labeled without seeing each other."""

    same: Estimate
    """Of these images, those with the same label twice."""
    kappa: float | None
    """Fleiss' kappa: 1 is perfect, 0 what chance gives; None where all labels are of one class, so
    that there is nothing to tell apart."""
    kappa_low: float | None
    """Lower end of its 95 % interval, by resampling images; None where all agree, or kappa is."""
    kappa_high: float | None
    """Upper end."""
    confused: tuple[tuple[str, str, int], ...]
    """Two classes, and how many images have one label of each; the commonest first."""


@dataclass(frozen=True)
class ClassQuality:
    """How well a model recognises one class, on images that it was not trained on."""

    label: str
    recall: Estimate | None
    """Of the images of this class, those that the model finds; None where there are none."""
    precision: Estimate | None
    """Of the images that the model calls by this name, those that are; the others are false alarms.
    None where there are none."""

    @property
    def images(self) -> int:
        """Number of images of this class."""
        return 0 if self.recall is None else self.recall.n

    @property
    def missed(self) -> int:
        """Number of images of this class that the model calls something else."""
        return 0 if self.recall is None else round(self.recall.n * (1 - self.recall.value))

    @property
    def false_alarms(self) -> int:
        """Number of images of other classes that the model calls by this name."""
        if self.precision is None:
            return 0
        return round(self.precision.n * (1 - self.precision.value))


@dataclass(frozen=True)
class Commonest:
    """What a model must beat: the same answer, the commonest class, for every image."""

    label: str
    accuracy: Estimate


@dataclass(frozen=True)
class TrainingStatus:
    """What the training in the background is doing."""

    state: str
    """``"none"`` (never trained), ``"loading"`` (the model of an earlier session is read),
    ``"embedding"`` (no model is being trained, but features of the images are computed; a linear
    probe knows those that have theirs), ``"running"``, ``"ready"`` or ``"failed"``."""
    round: int
    """Models trained in this pool so far."""
    labels: int
    """Labels the current model was trained on."""
    seconds: float | None = None
    """How long the last training took, scoring of the pool included."""
    error: str | None = None
    """What went wrong in the last training; None once one has succeeded again."""
    embedded: int | None = None
    """Images that have their features; None where the model is trained on images themselves."""


@dataclass(frozen=True)
class Advice:
    """Whether labeling further still pays."""

    stop: bool
    reason: str
    """A sentence for people."""


@dataclass(frozen=True)
class Progress:
    """Where the work stands."""

    labels: int
    """Images with a label now, audit images included."""
    skipped: int
    """Images set aside now."""
    disputed: int
    """Images with two labels that differ, to be settled; 0 for whoever is no referee."""
    per_class: dict[str, int]
    """Labels of each class, in the order of the classes."""
    images: int
    """Readable images in the pool."""
    remaining: int
    """Images without a label, not set aside."""
    unreadable: int
    """Files that cannot be shown; `ImagePool.problems` says why."""
    files: int
    """Image files, copies and those not read yet included."""
    unread: int
    """Files that are still to be read: their images count in nothing else yet."""
    minutes: float
    """Time spent by all annotators, pauses counted as at most two minutes each."""
    my_labels: int
    """Labels given by this annotator."""
    my_minutes: float
    """Time spent by this annotator."""
    accuracy: Estimate | None
    """Of the current model on this pool, from the random audit images; None before there are any."""
    per_class_quality: tuple[ClassQuality, ...]
    """Of the current model, from the same images, in the order of the classes."""
    commonest: Commonest | None
    """The accuracy of always the commonest class on the same images; None as `accuracy`."""
    self_agreement: Estimate | None
    """How often this annotator gives the same answer to the same image, from the blind repeats."""
    agreement: Agreement | None
    """Of the annotators with each other; None before the first second opinion, and for whoever is no
    referee."""
    training: TrainingStatus
    advice: Advice

"""Labeling by people: the ledger of labels, the session, and what comes out of them."""

from __future__ import annotations

from .image_pool import ImagePool
from .items import (
    Advice,
    ClassQuality,
    Commonest,
    Estimate,
    Item,
    Neighbour,
    Prediction,
    Progress,
    TrainingStatus,
)
from .ledger import Event, LabelClass, LabelLedger
from .pool import ArrayPool, FolderPool, open_pool
from .session import LabelingSession

__all__ = [
    "Advice",
    "ArrayPool",
    "ClassQuality",
    "Commonest",
    "Estimate",
    "Event",
    "FolderPool",
    "ImagePool",
    "Item",
    "LabelClass",
    "LabelLedger",
    "LabelingSession",
    "Neighbour",
    "Prediction",
    "Progress",
    "TrainingStatus",
    "open_pool",
]

"""A trained model kept beside its ledger, so that a session opened again has it at once."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataCorruptError
from .image_pool import ImagePool
from .pool_features import PoolFeatures
from .scored_model import ScoredModel

SUFFIX = ".model.npz"


@dataclass(frozen=True)
class KeptModel:
    """What `ModelFile.read` returns."""

    model: ScoredModel
    round: int
    """Its number in the ledger."""
    seconds: float
    """How long its training took."""
    digest: str
    """From `labels_digest`, of what it was trained on."""


def labels_digest(labels: Mapping[str, str], classes: tuple[str, ...]) -> str:
    """Return a digest of the label of each image, and of the classes."""
    text = json.dumps([classes, sorted(labels.items())])
    return hashlib.sha256(text.encode()).hexdigest()


class ModelFile:
    """The file beside a ledger that holds the newest model: plain arrays, nothing pickled.

    It holds the weights, as ``save_weights`` of the estimator writes them, and the model's
    probabilities and features of the pool, so that no image is read to have them again. A model made
    with other settings, or of images of another shape, is left alone.

    Parameters
    ----------
    ledger : path
        ``labels.db`` has its model in ``labels.db.model.npz``.
    estimator : estimator
        Not fitted; with ``save_weights`` and ``load_weights``.
    shape : tuple of int
        Of an image.
    """

    def __init__(self, ledger: Path, estimator: Any, shape: tuple[int, ...]) -> None:
        self.path = ledger.with_name(ledger.name + SUFFIX)
        self._estimator = copy.deepcopy(estimator)
        self._made_with = json.dumps([_described(estimator), shape])

    def write(self, kept: KeptModel) -> None:
        """Put a model in the place of the one before, in one step.

        Raises
        ------
        StorageError
            The disk is full or refuses the file.
        """
        from ..network.weights_file import add_arrays

        model = kept.model
        notes = {
            "made_with": self._made_with, "round": kept.round, "seconds": kept.seconds,
            "classes": model.classes, "labels": model.labels, "digest": kept.digest,
        }  # fmt: skip
        arrays = {
            "desk_notes": np.array(json.dumps(notes)),
            "desk_ids": np.array(model.ids, dtype="S"),
            "desk_proba": model.proba,
            "desk_features": model.features,
        }
        add_arrays(self.path, model.estimator.save_weights, arrays)

    def read(self) -> KeptModel | None:
        """Return the model that was kept; None without one, or if it was made with other settings.

        Raises
        ------
        DataCorruptError
            The file is damaged.
        """
        from ..network.weights_file import read_arrays

        try:
            arrays = read_arrays(self.path)
        except FileNotFoundError:
            return None
        try:
            notes = json.loads(str(arrays["desk_notes"]))
            if notes["made_with"] != self._made_with:
                return None
            ids = tuple(image.decode() for image in arrays["desk_ids"].tolist())
            classes = tuple(map(str, notes["classes"]))
            proba, features = arrays["desk_proba"], arrays["desk_features"]
            if not len(ids) == len(proba) == len(features) or proba.shape[1] != len(classes):
                raise ValueError("its parts do not fit together")
            model = ScoredModel(
                self._loaded(classes), classes, ids, proba, features, int(notes["labels"]),
                {image: row for row, image in enumerate(ids)},
            )  # fmt: skip
            return KeptModel(model, int(notes["round"]), float(notes["seconds"]), notes["digest"])
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise DataCorruptError(
                f"{self.path}: expected the model of a desk, found a file that cannot be read "
                f"({error})."
            ) from error

    def _loaded(self, classes: tuple[str, ...]) -> Any:
        estimator = copy.deepcopy(self._estimator)
        if "classes" in estimator.get_params(deep=False):
            estimator.set_params(classes=list(classes))
        return estimator.load_weights(self.path)


def model_file(ledger: Path, estimator: Any, inputs: ImagePool | PoolFeatures) -> ModelFile | None:
    """Return where a session keeps its model; None where training again takes no time, or it cannot."""
    can_be_kept = hasattr(estimator, "save_weights") and hasattr(estimator, "load_weights")
    if not can_be_kept or isinstance(inputs, PoolFeatures):
        return None
    return ModelFile(ledger, estimator, inputs.shape)


def _described(estimator: Any) -> dict[str, str]:
    """Return the kind of an estimator and its parameters as text."""
    parameters = {
        name: f"{value.__module__}.{value.__qualname__}" if callable(value) else repr(value)
        for name, value in sorted(estimator.get_params(deep=False).items())
        if name not in ("classes", "verbose")
    }
    return {"kind": type(estimator).__qualname__, **parameters}

"""`NewestModel`: the model in use, as one of the present classes, and kept for the next session."""

from __future__ import annotations

import logging
import threading

from ..agreement import cohen_kappa
from ..errors import DataCorruptError, StorageError, UnknownLabelError
from .feature_table import rows_of
from .kept_model import KeptModel, ModelFile
from .ledger import ClassList, LabelLedger
from .scored_model import ScoredModel

_log = logging.getLogger("al_tf.labeling")


class NewestModel:
    """The newest model of a session; any number of threads may ask while one replaces it.

    Parameters
    ----------
    ledger : LabelLedger
        Whose classes it is seen with.
    file : ModelFile or None
        Where it is kept for the next session, if anywhere.
    """

    def __init__(self, ledger: LabelLedger, file: ModelFile | None) -> None:
        self._ledger, self._file = ledger, file
        self._swap = threading.Lock()
        self._result: tuple[ScoredModel | None, int, float | None] = (None, 0, None)
        self._seen_as: tuple[ScoredModel | None, ScoredModel | None] = (None, None)

    @property
    def model(self) -> ScoredModel | None:
        """The model, or None; with the classes as they are now."""
        return self.with_present_classes(self._result[0])

    @property
    def trained(self) -> tuple[ScoredModel | None, int, float | None]:
        """The model as it was trained, its number (0 without one), and the seconds it took."""
        return self._result

    def replace(self, model: ScoredModel, number: int, seconds: float) -> None:
        """Put a model in the place of the one before."""
        with self._swap:
            self._result = (model, number, seconds)

    def catch_up(self) -> None:
        """Have the model judge all images that have their features, if it has not yet."""
        while (model := self._result[0]) is not None and model.is_behind:
            rescored = model.rescored()
            with self._swap:
                newest, number, seconds = self._result
                if newest is model:
                    self._result = (rescored, number, seconds)

    def with_present_classes(self, model: ScoredModel | None) -> ScoredModel | None:
        """Return a model as one of the present classes, until one is trained on them."""
        classes = self._ledger.class_list
        if model is None or not classes.names:
            return model
        counted_as = {name: _name_now(name, classes) for name in model.classes}
        if model.classes == classes.names and all(a == b for a, b in counted_as.items()):
            return model
        trained, seen = self._seen_as
        if (
            trained is not model
            or seen is None
            or (seen.classes, seen.counted_as) != (classes.names, counted_as)
        ):
            seen = model.with_classes(classes.names, counted_as)
            self._seen_as = (model, seen)
        return seen

    def agreement(self, other: ScoredModel) -> float | None:
        """Return kappa of its predictions and another model's on the images that both have scored."""
        before, now = self.model, self.with_present_classes(other)
        if before is None or now is None:
            return None
        rows = rows_of(before.row_of, now.ids)
        old, new = before.proba[rows[rows >= 0]], now.proba[rows >= 0]
        return cohen_kappa(old.argmax(axis=1), new.argmax(axis=1)) if len(old) else None

    # Kept for the next session ----------------------------------------------------------

    @property
    def is_kept(self) -> bool:
        """Whether an earlier session has left a model."""
        return self._file is not None and self._file.path.exists()

    def load(self) -> KeptModel | None:
        """Take over the model that an earlier session has kept, and return it; None without one."""
        assert self._file is not None
        try:
            kept = self._file.read()
        except (DataCorruptError, OSError) as error:
            _log.warning("The model of the last session is lost, and trained anew: %s", error)
            return None
        if kept is not None:
            self.replace(kept.model, kept.round, kept.seconds)
        return kept

    def keep(self, digest: str) -> None:
        """Keep the model, trained on labels with this digest, if there is a place for it."""
        model, number, seconds = self._result
        if self._file is None or model is None or seconds is None:
            return
        try:
            self._file.write(KeptModel(model, number, seconds, digest))
        except StorageError as error:
            _log.warning("The model cannot be kept for the next session: %s", error)


def _name_now(name: str, classes: ClassList) -> str | None:
    """Return what a class is called now; None if it was removed."""
    try:
        return classes.present_name(name)
    except UnknownLabelError:
        return None

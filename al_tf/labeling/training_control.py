"""`TrainingControl`: how a session trains its model, and what it tells of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import quality
from .items import TrainingStatus
from .ledger import LabelLedger
from .trainer import Trainer

if TYPE_CHECKING:
    import pandas as pd


class TrainingControl:
    """The part of `LabelingSession` that trains, and shows how good the models were."""

    ledger: LabelLedger
    _trainer: Trainer

    def retrain(self, *, wait: bool = False) -> bool:
        """Train on all labels so far, in the background.

        Parameters
        ----------
        wait : bool
            Return when it has ended, and raise if it failed.

        Returns
        -------
        bool
            Whether there is anything to train on: labels of two classes or more outside the
            audit. While another training is under way, the new one follows it.
        """
        started = self._trainer.start(self.ledger.answers())
        if wait:
            self.wait()
        return started

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the training to end.

        Parameters
        ----------
        timeout : float, optional
            Seconds.

        Returns
        -------
        bool
            Whether it has ended.

        Raises
        ------
        TrainingFailedError
            The last training failed; its cause is chained. Raised once for each failure.
        """
        return self._trainer.wait(timeout)

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Have `callback` called, in the training's thread, whenever `training` changes."""
        self._trainer.subscribe(callback)

    @property
    def training(self) -> TrainingStatus:
        """What the training is doing, or how the last one ended."""
        return self._trainer.status

    @property
    def estimator(self) -> Any:
        """The newest fitted estimator, or None."""
        model = self._trainer.model
        return None if model is None else model.estimator

    def curve(self) -> pd.DataFrame:
        """Return the estimated accuracy after each training.

        Returns
        -------
        DataFrame
            ``round``, ``labels``, ``minutes`` (spent by all), ``accuracy``, ``low``, ``high``
            (95 % interval), ``audited``.
        """
        import pandas as pd

        points = quality.accuracy_points(self.ledger.trainings())
        return pd.DataFrame(points, columns=quality.CurvePoint._fields)

    def _retrain_if_new(self) -> None:
        answers = self.ledger.answers()
        if self._trainer.is_behind(answers):
            self._trainer.start(answers)

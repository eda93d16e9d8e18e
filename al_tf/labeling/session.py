"""`LabelingSession`: one annotator's work on a pool of images, without a screen."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ImageGoneError, StaleItemError, TrainingFailedError
from ..experiments.stopping import kappa, mean_uncertainty
from ..seeding import RandomState, check_random_state, stream
from . import choosing, quality
from .items import Item, Neighbour, Prediction, Progress, TrainingStatus
from .ledger import Event, LabelLedger, Slot, Wish
from .pool import ImagePool, open_pool
from .training import BackgroundTask, PoolClassifier, ScoredModel, train

if TYPE_CHECKING:
    import pandas as pd

N_NEIGHBOURS = 3
_log = logging.getLogger("al_tf.labeling")


class LabelingSession:
    """One annotator at work on a pool: what to show next, what was answered, what was learnt.

    There is no screen in it. A desk, or a loop with an oracle, does ::

        while (item := session.next()) is not None:
            session.label(answer_to(item), slot=item.slot)

    **Nothing is lost.** Every answer is in the ledger before the method returns, and so is the
    composition of each batch: a session that is opened again, after a crash too, shows the same
    annotator the same next image. An answer carries the slot it belongs to, so one that is sent
    twice is refused (`StaleItemError`) and recorded once.

    **Several annotators** each open a session of their own, in whatever process, on the same pool
    and ledger: an image set aside for one of them is shown to no other until it is answered or
    the lease runs out.

    **Audit.** A share of the pool, drawn at random before anything is labelled, is the audit
    reserve: no strategy chooses from it and no model is trained on it. The same share of each
    batch comes from it, so accuracy is estimated from a simple random sample that the model
    has never seen: unbiased, with an exact interval. Their items show no predictions.

    **Repeats.** A share of each batch are images that this annotator labelled before, shown as if
    they were new. Their answers measure self-agreement and change no label.

    **Training** happens in a thread, on a copy of the estimator, while labelling goes on; the
    finished model takes the old one's place in one step. A training that fails leaves the old
    model, is told in `progress`, and raised by `wait`.

    Parameters
    ----------
    learner : ActiveLearner or estimator
        With ``fit`` and ``predict_proba``. Of a learner, the query strategy is the default
        `strategy`, its labelled set is trained on as well, and after each training its estimator
        and labelled set are the new ones. `KerasImageClassifier` gets its `classes` set.
    pool : path, array-like of uint8 (n, H, W[, C]), or ImagePool
        The images; see `al_tf.labeling.pool.open_pool`.
    ledger : path or LabelLedger
        Where the answers go.
    classes : sequence of str
        Two or more names, any characters; the ledger holds the session to them.
    batch_size : int
        Images set aside at once, audit images and repeats included; also how many new labels
        start a training.
    strategy : str or callable, optional
        A registered name, or a function of the same signature; ``margin`` if neither it nor a
        learner is given.
    annotator : str
        Who labels.
    cold_start : {"random", "typiclust"}
        How images are chosen before there is a model: at random; or typical ones of different
        groups, by simple features of the pixels.
    audit_share, repeat_share : float
        Shares in [0, 0.5]. The ledger holds all sessions to the first one's audit share.
    target_accuracy : float, optional
        In (0, 1): where stopping is advised once the estimate's lower end is there.
    lease_minutes : float
        How long nobody else is shown what was set aside, counted from the last answer.
    auto_retrain : bool
        Train in the background whenever a batch is finished, and on opening a ledger with labels.
    random_state : int, Generator, RandomState or None
        Seeds all draws. The ledger keeps the first session's seed for all later ones.

    Raises
    ------
    ValueError, TypeError
        For arguments that make no sense, or that contradict the ledger.
    LedgerError
        The ledger cannot be opened.

    Attributes
    ----------
    classes : tuple of str
    annotator : str
    pool : ImagePool
        Its ``problems`` say which files cannot be shown.
    ledger : LabelLedger
    """

    def __init__(
        self,
        learner: Any,
        pool: Any,
        ledger: Any,
        *,
        classes: Sequence[str],
        batch_size: int = 10,
        strategy: str | Callable[..., Any] | None = None,
        annotator: str = "annotator",
        cold_start: str = "random",
        audit_share: float = 0.1,
        repeat_share: float = 0.05,
        target_accuracy: float | None = None,
        lease_minutes: float = 30.0,
        auto_retrain: bool = True,
        random_state: RandomState = None,
    ) -> None:
        ...

    # Labelling --------------------------------------------------------------------------

    def next(self) -> Item | None:
        """Return the image to label now; the same one until it is answered.

        A new batch is chosen when the last one is finished, with the newest model there is:
        nobody waits for a training. An image that cannot be read any more is passed over.

        Returns
        -------
        Item or None
            None when no image is left for this annotator.
        """
        raise NotImplementedError

    def label(self, label: str, *, slot: int | None = None, seconds: float | None = None) -> Event:
        """Record the label of the image shown; it is on the disk when this returns.

        Parameters
        ----------
        label : str
            One of the classes.
        slot : int, optional
            `Item.slot` of the image that was answered; a desk always gives it. Without it, the
            image that `next` returned last.
        seconds : float, optional
            Time spent on it; measured from when `next` first returned it, if not given.

        Returns
        -------
        Event

        Raises
        ------
        UnknownLabelError
            Not one of the classes; nothing was recorded.
        StaleItemError
            The image was answered before (a click that came twice) or its lease ran out and
            somebody else has it; nothing was recorded. Go on with `next`.
        """
        raise NotImplementedError

    def skip(self, *, slot: int | None = None, seconds: float | None = None) -> Event:
        """Set the image shown aside, for everybody; arguments and errors as in `label`."""
        raise NotImplementedError

    def relabel(self, image_id: str, label: str) -> Event:
        """Give another label to an image answered earlier (one set aside, too).

        Raises
        ------
        UnknownLabelError, LedgerError
            Not one of the classes; an image without an answer.
        """
        raise NotImplementedError

    def undo(self) -> Event | None:
        """Take back this annotator's last answer; `next` then shows that image again.

        Returns
        -------
        Event or None
            What was taken back: None if nothing was left. Undoing again takes back the one before.
        """
        raise NotImplementedError

    # Training ---------------------------------------------------------------------------

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
        raise NotImplementedError

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
        raise NotImplementedError

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Have `callback` called, in the training's thread, whenever `training` changes."""
        raise NotImplementedError

    @property
    def training(self) -> TrainingStatus:
        """What the training is doing, or how the last one ended."""
        raise NotImplementedError

    @property
    def estimator(self) -> Any:
        """The newest fitted estimator, or None."""
        raise NotImplementedError

    # Looking ----------------------------------------------------------------------------

    def progress(self) -> Progress:
        """Return where the work stands."""
        raise NotImplementedError

    def curve(self) -> pd.DataFrame:
        """Return the estimated accuracy after each training.

        Returns
        -------
        DataFrame
            ``round``, ``labels``, ``minutes`` (spent by all), ``accuracy``, ``low``, ``high``
            (95 % interval), ``audited``.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Wait for the training, and close the ledger; also at the end of a ``with`` block."""
        raise NotImplementedError

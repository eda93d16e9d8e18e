"""`LabelingSession`: one annotator's work on a pool of images, without a screen."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import check_one_of
from ..seeding import RandomState, check_random_state
from .annotator_view import AnnotatorView
from .audit import AuditReserve, settled_group, store_group
from .batches import Batches
from .choosing import COLD_STARTS, Chooser, check_needs
from .class_editing import ClassEditing
from .item_stream import ItemStream
from .items import Item, Progress
from .ledger import Event, LabelLedger
from .pool import open_pool
from .progress import measure_progress
from .reviewing import Reviewer
from .session_checks import check_estimator, check_settings, shared_setting
from .trainer import Trainer
from .training_control import TrainingControl


class LabelingSession(ClassEditing, TrainingControl):
    """One annotator at work on a pool: what to show next, what was answered, what was learned.

    There is no screen in it. A desk, or a loop with an oracle, does ::

        while (item := session.next()) is not None:
            session.label(answer_to(item), slot=item.slot)

    **Nothing is lost.** Every answer is in the ledger before the method returns, and so is the
    composition of each batch: a session that is opened again, after a crash too, shows the same
    annotator the same next image. An answer carries the slot it belongs to, so one that is sent
    twice is refused (`StaleItemError`) and recorded once.

    **Several annotators** each have a session of their own on the same pool and ledger: those of
    `colleague`, which share one model, or others, in whatever process. An image set aside for one
    of them is shown to no other until it is answered or the lease runs out.

    **Second opinions.** A share of the images that are labeled, drawn at random whatever the model
    thinks of them, is asked of a second annotator, who sees neither the first label nor a
    prediction. Where the labels differ the image is in dispute, and neither counts, until a referee
    settles it (`Reviewer.answer`): whoever opened the session, and colleagues that are made one.
    All others can see no label of an image on which they may still be asked.

    **Audit.** A share of the pool, drawn at random before anything is labeled, is the audit
    reserve: no strategy chooses from it and no model is trained on it. The same share of each
    batch comes from it, so accuracy is estimated from a simple random sample that the model
    has never seen: unbiased, with an exact interval. Their items show no predictions.

    **Repeats.** A share of each batch are images that this annotator labeled before, shown as if
    they were new. Their answers measure self-agreement and change no label.

    **Training** happens in a thread, on a copy of the estimator, while labeling goes on; the
    finished model takes the old one's place in one step. A training that fails leaves the old
    model, is shown by `progress`, and raised by `wait`.

    Parameters
    ----------
    learner : ActiveLearner or estimator
        With ``fit`` and ``predict_proba``. Of a learner, the query strategy is the default
        `strategy`, its labeled set is trained on as well, and after each training its estimator
        and labeled set are the new ones. `KerasImageClassifier` gets its `classes` set.
    pool : path, array-like of uint8 (n, H, W[, C]), or ImagePool
        The images; see `al_tf.labeling.pool.open_pool`.
    ledger : path or LabelLedger
        Where the answers go.
    classes : sequence of str, optional
        Two or more names, any characters; later sessions may add some at the end, or give those
        that the ledger was begun with, whatever they are called by now. If not given, those of
        the ledger. `add_class`, `rename_class` and `merge_classes` change them later.
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
    overlap : float
        Share, in [0, 1], of the images labeled one by one that a second annotator is asked for.
    group : str, optional
        A regular expression with parentheses. Images whose names (without folder and extension)
        match it with the same text in them show one part, as several photographs of it do: the
        audit reserve then consists of whole parts. The intervals take its images for independent,
        and are too narrow where those of one part are much alike. If not given, the ledger's.
    target_accuracy, target_recall : float, optional
        In (0, 1): stopping is advised once the estimate's lower end is there; that of every class,
        for recall.
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
    annotator : str
    is_referee : bool
        Whether this annotator sees the labels of all, and settles disagreements.
    overlap : float
    pool : ImagePool
        Its ``problems`` say which files cannot be shown.
    ledger : LabelLedger
    reviewer : Reviewer
        All images and their answers, to correct them and to label many at once.

    Examples
    --------
    An oracle labels forty digits; whoever opens the same ledger again goes on where it stopped:

    >>> import tempfile
    >>> from al_tf import LabelingSession, load_dataset
    >>> from al_tf.experiments.logistic import PixelLogistic
    >>> digits = load_dataset("digits")
    >>> names = [str(i) for i in range(10)]
    >>> truth = {image.tobytes(): names[y] for image, y in zip(digits.x_train, digits.y_train)}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     session = LabelingSession(
    ...         PixelLogistic(classes=names), digits.x_train, f"{folder}/labels.db",
    ...         classes=names, batch_size=20, random_state=0)
    ...     for _ in range(40):
    ...         item = session.next()
    ...         event = session.label(truth[item.image.tobytes()], slot=item.slot)
    ...     trained = session.wait()
    ...     progress = session.progress()
    ...     session.close()
    >>> progress.labels, progress.training.state
    (40, 'ready')
    """

    def __init__(
        self,
        learner: Any,
        pool: Any,
        ledger: Any,
        *,
        classes: Sequence[str] | None = None,
        batch_size: int = 10,
        strategy: str | Callable[..., Any] | None = None,
        annotator: str = "annotator",
        cold_start: str = "random",
        audit_share: float = 0.1,
        repeat_share: float = 0.05,
        overlap: float = 0.0,
        group: str | None = None,
        target_accuracy: float | None = None,
        target_recall: float | None = None,
        lease_minutes: float = 30.0,
        auto_retrain: bool = True,
        random_state: RandomState = None,
    ) -> None:
        check_one_of("cold_start", cold_start, COLD_STARTS)
        check_settings(
            batch_size, audit_share, repeat_share, overlap, target_accuracy, target_recall,
            lease_minutes,
        )  # fmt: skip
        chosen = strategy or getattr(learner, "query_strategy", None) or "margin"
        check_needs(chosen, learner)
        check_estimator(learner)
        self.pool = open_pool(pool)
        self.ledger = ledger if isinstance(ledger, LabelLedger) else LabelLedger(ledger)
        self.overlap = overlap
        self._auto_retrain = auto_retrain
        self._target_accuracy, self._target_recall = target_accuracy, target_recall
        names = self.ledger.check_classes(self.ledger.classes if classes is None else classes)
        self._trainer = Trainer(learner, self.pool, self.ledger, names, annotator)
        group = settled_group(self.ledger, self.pool, group)
        # all is well: only now is anything stored
        shared_setting(self.ledger, "audit_share", audit_share)
        self.ledger.fix_classes(names)
        drawn = int(check_random_state(random_state).integers(2**31))
        seed = self.ledger.settle("seed", drawn)
        store_group(self.ledger, group)
        self._reserve = AuditReserve(self.pool, audit_share, seed, group)
        chooser = Chooser(
            strategy=chosen,
            cold_start=cold_start,
            reserve=self._reserve,
            repeat_share=repeat_share,
            seed=seed,
            overlap=overlap,
        )
        self._batches = Batches(
            self.pool, self.ledger, self._trainer, chooser,
            annotator=annotator, size=batch_size, lease_seconds=60.0 * lease_minutes,
        )  # fmt: skip
        self._begin(annotator)
        self._trainer.prepare()
        if auto_retrain:
            self.retrain()

    def _begin(self, annotator: str, is_referee: bool = True) -> None:
        """Set what is one annotator's own."""
        self.annotator, self.is_referee = annotator, is_referee
        self._view = AnnotatorView(
            self.ledger, annotator,
            is_referee=is_referee, overlap=self.overlap, seed=self._reserve.seed,
        )  # fmt: skip
        self.reviewer = Reviewer(
            self.pool, self.ledger, self._trainer, self._view,
            reserve=self._reserve, changed=self._reviewed,
        )  # fmt: skip
        self._items = ItemStream(
            self._batches, self.pool, self.ledger, self._trainer, self._view,
            foresees=self._auto_retrain,
        )  # fmt: skip

    def colleague(self, annotator: str, *, is_referee: bool = False) -> LabelingSession:
        """Return a session of another annotator, with the same pool, ledger, model and settings.

        Closing any of them closes all.

        Parameters
        ----------
        annotator : str
        is_referee : bool
            Whether they, too, see the labels of all and settle disagreements.
        """
        other = copy.copy(self)
        other._batches = self._batches.for_annotator(annotator)
        other._begin(annotator, is_referee)
        return other

    # Labeling --------------------------------------------------------------------------

    def next(self) -> Item | None:
        """Return the image to label now; the same one until it is answered.

        A new batch is chosen when the last one is finished, with the newest model there is:
        nobody waits for a training. An image that cannot be read any more is passed over.

        Returns
        -------
        Item or None
            None when no image is left for this annotator.
        """
        self.reviewer.pause()
        return self._items.next()

    def ahead(self, n: int) -> list[Item]:
        """Return images of this batch that follow the one `next` returns, up to `n`.

        A desk fetches them early, so that nobody waits. They are not being shown yet: what the
        model thinks of them may have changed by then.
        """
        return self._items.ahead(n)

    def subscribe_ahead(self, callback: Callable[[Item], object]) -> None:
        """Have `callback` called, in a thread of its own, with items that may begin the next batch.

        That is while the last image of a batch is looked at, so that a screen can have ready what
        it will probably show. Their slot is not set aside yet. The callback given last is called.
        """
        self._items.subscribe_ahead(callback)

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
        return self._answer(label, slot, seconds)

    def skip(self, *, slot: int | None = None, seconds: float | None = None) -> Event:
        """Set the image shown aside, for everybody; arguments and errors as in `label`."""
        return self._answer(None, slot, seconds)

    def relabel(self, image_id: str, label: str) -> Event:
        """Give another label to an image answered earlier (one set aside, too).

        Raises
        ------
        UnknownLabelError, LedgerError
            Not one of the classes; an image without an answer.
        """
        return self.ledger.relabel(image_id, label, annotator=self.annotator)

    def undo(self) -> Event | None:
        """Take back this annotator's last answer or change of a class.

        After an answer, `next` shows that image again.

        Returns
        -------
        Event or None
            What was taken back: None if nothing was left. Undoing again takes back the one before.
        """
        event = self._items.undo()
        if event is not None and event.purpose == "class":
            self._reviewed()
        return event

    # Looking ----------------------------------------------------------------------------

    def progress(self) -> Progress:
        """Return where the work stands."""
        return measure_progress(
            self.ledger, self.pool, self._trainer, self._view,
            target_accuracy=self._target_accuracy, target_recall=self._target_recall,
        )  # fmt: skip

    def close(self, *, wait: bool = True) -> None:
        """Close the ledger; also at the end of a ``with`` block.

        Answers may be given afterwards (the ledger opens again), but no model is trained any more.

        Parameters
        ----------
        wait : bool
            Wait for a training that is under way, and raise `TrainingFailedError` if it fails.
            Without it, a training ends with the program: no label depends on it.
        """
        try:
            self._trainer.close(wait=wait)
        finally:
            self.ledger.close()

    def __enter__(self) -> LabelingSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Inside -----------------------------------------------------------------------------

    def _answer(self, label: str | None, slot: int | None, seconds: float | None) -> Event:
        event, ends_batch = self._items.answer(label, slot, seconds)
        self.pool.refresh_soon()
        if ends_batch and self._auto_retrain:
            self._retrain_if_new()
        return event

    def _reviewed(self) -> None:
        """Go on after a change that was made elsewhere than at the image shown."""
        self._items.forget_times()  # what passed until now is the change's
        if self._auto_retrain:
            self._retrain_if_new()

"""`Trainer`: trains in the background while the model before stays in use."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ..errors import TrainingFailedError
from ..strategies.uncertainty import entropy_score
from . import quality
from .background import BackgroundTask, give_way
from .deferred_probe import DeferredProbe
from .foresight import FittedModel, Foreseen, Foresight, Prepare, likeliest_labels
from .image_pool import ImagePool
from .items import TrainingStatus
from .kept_model import model_file
from .ledger import ClassList, Event, LabelLedger, Slot
from .newest_model import NewestModel
from .pool_features import CHUNK, EmbeddingStoppedError, PoolFeatures
from .scored_model import PoolClassifier, ScoredModel
from .session_checks import check_estimator
from .teacher import ClassKey, Teacher
from .training_set import labeled_images, training_labels

QUICK_SECONDS = 1.0
FIRST_IMAGE_SECONDS = 1.0
"""So long, at most, the pretrained network is not loaded, so that the first image is there before."""
BATCH_END_SECONDS = 2.0
"""So long, at most, no features are computed while the last image of a batch is looked at."""
SCREEN_PAUSE = 0.3
"""Seconds that the next batch has, at most, to get on the screen before the processors are busy again."""
FEW_MISSING = 64
"""So many images are given their features before a training; more of them come in beside it."""
_log = logging.getLogger("al_tf.labeling")


class Trainer:
    """Trains on the ledger's labels when asked, scores the pool, and keeps the newest model.

    Parameters
    ----------
    learner : ActiveLearner or estimator
        See `LabelingSession`.
    pool : ImagePool
    ledger : LabelLedger
    classes : tuple of str
        While the ledger has none.
    annotator : str
        In whose session.
    """

    def __init__(
        self,
        learner: Any,
        pool: ImagePool,
        ledger: LabelLedger,
        classes: tuple[str, ...],
        annotator: str,
    ) -> None:
        self._learner, _ = check_estimator(learner)
        self._teacher = Teacher(learner, pool, ledger, classes)
        self.inputs = self._teacher.inputs
        self._pool, self._ledger, self.annotator = pool, ledger, annotator
        self._task = BackgroundTask(self._notify)
        self._embedding = BackgroundTask(self._notify)
        self._foresight = Foresight()
        self._shown = threading.Event()  # an image, or the session is closed
        self._awaited = threading.Event()  # somebody waits for the end of what is being done
        self._scoring = BackgroundTask(self._notify)
        self._has_features = False  # whether all images to train on have theirs
        self._listeners: list[Callable[[], None]] = []
        self._raised: BaseException | None = None
        file = model_file(ledger.path, self._teacher.original, self.inputs)
        self._newest = NewestModel(ledger, file if self._learner is None else None)
        self._loaded = threading.Event()  # the model of an earlier session, or known to be missing
        if not self._newest.is_kept:
            self._loaded.set()
        self._trained_on: str | None = None  # digest of the labels of a model just loaded
        self._begun_with: tuple[dict[str, str], ClassKey] = ({}, self._teacher.class_key())

    @property
    def model(self) -> ScoredModel | None:
        """The newest model, or None; with the classes as they are now."""
        return self._newest.model

    @property
    def round(self) -> int:
        """The number of the newest model; 0 without one."""
        return self._newest.trained[1]

    def classifier(self, answers: Mapping[str, Event]) -> PoolClassifier | None:
        """Return what a strategy is given, with the present labels; None without a model.

        Parameters
        ----------
        answers : mapping of str to Event
            Of `LabelLedger.answers`.
        """
        model = self.model
        return None if model is None else self.classifier_of(model, training_labels(answers))

    def classifier_of(self, model: ScoredModel, labels: Mapping[str, str]) -> PoolClassifier:
        """Return what a strategy is given of a model that was, or will be, trained on some labels."""
        model = self._newest.with_present_classes(model) or model
        ids = [image for image in labels if model.knows(image)]
        return PoolClassifier(model, self._pool.view(ids), np.array([labels[i] for i in ids]))

    def start(self, answers: Mapping[str, Event]) -> bool:
        """Train on the labels that are there when the thread begins.

        Parameters
        ----------
        answers : mapping of str to Event
            Of `LabelLedger.answers`, now.

        Returns
        -------
        bool
            Whether a training comes: False for labels of fewer than two classes, and after
            `close`.
        """
        labels = training_labels(answers)
        self._begun_with = (labels, self._teacher.class_key())
        inputs = self.inputs
        self._has_features = isinstance(inputs, PoolFeatures) and inputs.has_all(answers)
        if not self._teacher.can_teach(labels, self._ledger.class_list):
            return False
        self._awaited.clear()
        begun = self._task.start(self._train)
        self._notify()
        return begun

    def foresee(self, slot: Slot, prepare: Prepare) -> None:
        """Make ready what follows the `likeliest_labels` after an image that ends a batch.

        That is while it is looked at. After answers that a quick training follows, the new model
        chooses the next batch: it is trained now, and missing features are computed first. After
        others, and where the answer comes before these features, the model in use chooses.

        Parameters
        ----------
        slot : Slot
            Of the image, the only one that waits.
        prepare : callable
            Given the labels after each of these answers, and the model that chooses then; None
            where there is none yet.
        """
        if isinstance(self.inputs, PoolFeatures) and self._is_quick(True):
            self.inputs.pause(BATCH_END_SECONDS)
        _, answers, classes = self._ledger.snapshot()
        self._foresight.begin(lambda: self._ahead(answers, classes, slot, prepare))

    def _ahead(
        self, answers: Mapping[str, Event], classes: ClassList, slot: Slot, prepare: Prepare
    ) -> Iterator[Foreseen | None]:
        """Do what `foresee` says, a step at a time; yield each model that was trained, else None."""
        inputs, model, labels = self.inputs, self.model, training_labels(answers)
        is_quick, missing = self._is_quick(True), list[str]()
        if is_quick and isinstance(inputs, PoolFeatures):
            missing = [image for image in (*answers, slot.image) if not inputs.has_all([image])]

        def guesses() -> list[dict[str, str]]:
            return likeliest_labels(labels, slot, model, self._teacher.names(classes))

        at_once = guesses()
        if is_quick and not missing:  # the next batch waits for a training, if one comes
            at_once = [guess for guess in at_once if not self._starts_training(guess, classes)]
        for guess in at_once if model is not None else at_once[:1]:
            prepare(guess, model)
            yield None
        if not is_quick or not isinstance(inputs, PoolFeatures):
            return
        for start in range(0, len(missing), CHUNK):
            inputs.compute(missing[start : start + CHUNK])
            yield None
        for guess in guesses():
            if self._starts_training(guess, classes):
                fitted = self._fit(guess, classes)
                yield self._teacher.digest(guess, classes), fitted
                prepare(guess, fitted.model)
                yield None

    def is_behind(self, answers: Mapping[str, Event]) -> bool:
        """Return whether there are other labels or classes than when `start` was last called.

        Parameters
        ----------
        answers : mapping of str to Event
            Of `LabelLedger.answers`, now.
        """
        return self._begun_with != (training_labels(answers), self._teacher.class_key())

    def _starts_training(self, labels: Mapping[str, str], classes: ClassList) -> bool:
        """Tell whether a training would follow if these were the labels."""
        is_other = self._begun_with != (labels, self._teacher.class_key())
        return is_other and self._teacher.can_teach(labels, classes)

    def wait(self, timeout: float | None) -> bool:
        """See `LabelingSession.wait`."""
        self._awaited.set()
        deadline = None if timeout is None else time.monotonic() + timeout
        ended = True
        for task in (self._embedding, self._task, self._scoring):
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            ended = task.wait(left) and ended
        error = self._task.error or self._embedding.error or self._scoring.error
        if ended and error is not None and error is not self._raised:
            self._raised = error
            raise TrainingFailedError(
                f"The training failed: {_describe(error)} The labels are safe in "
                f"{self._ledger.path}; the model before it stays in use."
            ) from error
        return ended

    @property
    def status(self) -> TrainingStatus:
        """See `LabelingSession.training`."""
        model, number, seconds = self._newest.trained
        error = self._task.error or self._embedding.error or self._scoring.error
        embedded = self.inputs.count() if isinstance(self.inputs, PoolFeatures) else None
        if self._task.running:
            state = "running" if self._loaded.is_set() else "loading"
        elif self._embedding.running:
            state = "embedding"
        elif error is not None:
            state = "failed"
        else:
            state = "none" if model is None else "ready"
        labels = 0 if model is None else model.labels
        text = None if error is None else _describe(error)
        return TrainingStatus(state, number, labels, seconds, text, embedded)

    def prepare(self) -> None:
        """Make ready in the background: an earlier session's model, or the features of the pool."""
        if not self._loaded.is_set() and not self._task.running:
            self._task.start(self._load)
            self._notify()
        if not isinstance(self.inputs, PoolFeatures) or self._embedding.running:
            return
        if self._pool.is_reading or not self.inputs.complete:
            self._embedding.start(self._embed)
            self._notify()

    def image_is_shown(self) -> None:
        """Let features be computed: nobody waits for an image any more."""
        if not self._shown.is_set() and isinstance(self._teacher.original, DeferredProbe):
            threading.Thread(target=self._teacher.original.made, daemon=True).start()  # imports
        self._shown.set()
        if isinstance(self.inputs, PoolFeatures):
            self.inputs.go_on()

    @property
    def is_quick(self) -> bool:
        """Whether a training is expected to take less than a second or so."""
        return self._is_quick(self._has_features)

    def _is_quick(self, has_features: bool) -> bool:
        seconds = self._newest.trained[2]
        if isinstance(self.inputs, PoolFeatures):
            return has_features and (seconds is None or seconds < QUICK_SECONDS)
        return seconds is not None and seconds < QUICK_SECONDS

    def let_load(self, timeout: float) -> None:
        """Wait so many seconds at most for the model that an earlier session has kept."""
        if self._task.running:
            self._loaded.wait(timeout)

    def let_finish(self, timeout: float | None) -> None:
        """Wait (None: to the end) for a training under way; a failure is left to `wait`."""
        self._awaited.set()
        self._task.wait(timeout)

    def close(self, *, wait: bool) -> None:
        """Start no further training, and wait for the one under way; errors as in `wait`."""
        self._task.close()
        self._embedding.close()
        self._foresight.close()
        self._awaited.set()
        self.image_is_shown()  # nothing waits for one any more
        self._scoring.close()
        if wait:
            self._foresight.wait()
            self.wait(None)
        elif isinstance(self.inputs, PoolFeatures):
            self.inputs.stop()

    def _embed(self) -> None:
        threading.current_thread().name = "al_tf embedding"
        give_way()
        self._shown.wait(FIRST_IMAGE_SECONDS)
        assert isinstance(self.inputs, PoolFeatures)
        self.inputs.embed_pool()
        self._newest.catch_up()

    def subscribe(self, callback: Callable[[], None]) -> None:
        """See `LabelingSession.subscribe`."""
        self._listeners.append(callback)

    def _load(self) -> None:
        """Take over the model that an earlier session has kept."""
        self._give_way()
        try:
            kept = self._newest.load()
            if kept is not None:
                self._trained_on = kept.digest
                self._teacher.go_on_from(kept.model)
        finally:
            self._loaded.set()
            self._notify()

    def _give_way(self) -> None:
        """Let the page come before a training that it does not wait for."""
        if not isinstance(self.inputs, PoolFeatures):
            give_way()

    def _train(self) -> None:
        threading.current_thread().name = "al_tf training"
        self._give_way()
        if not self._loaded.is_set():
            self._load()
        if not self.is_quick:
            self._awaited.wait(SCREEN_PAUSE)
        trained_on, self._trained_on = self._trained_on, None
        try:
            _, answers, classes = self._ledger.snapshot()
            self.prepare()
            if isinstance(self.inputs, PoolFeatures):
                self._complete(answers)
            labels = training_labels(answers)
            digest = self._teacher.digest(labels, classes)
            if trained_on == digest:
                return
            fitted = self._foresight.take(digest) or self._fit(labels, classes)
            model, _, seconds = fitted
            number = self._record(fitted, answers)
            self._newest.replace(model, number, seconds)
            if model.is_behind and not self._embedding.running:
                self._scoring.start(self._score_others)
            if self._learner is not None:
                X, y = labeled_images(self._pool, labels, self._teacher.base(classes))
                self._learner.X_training, self._learner.y_training = X, y
                self._learner.estimator = model.estimator
            self._teacher.go_on_from(model)
            self._newest.keep(digest)
        except EmbeddingStoppedError:
            raise  # the session is being closed
        except BaseException:
            _log.exception("Training failed; the labels are safe in %s", self._ledger.path)
            raise

    def _fit(self, labels: Mapping[str, str], classes: ClassList) -> FittedModel:
        start = time.perf_counter()  # after that of features, which are computed once
        model = self._teacher.fit(labels, classes)
        return FittedModel(model, self._newest.agreement(model), time.perf_counter() - start)

    def _score_others(self) -> None:
        """Let the model judge all other images, once the next image is on the screen."""
        self._awaited.wait(SCREEN_PAUSE)
        self._newest.catch_up()

    def _complete(self, answers: Mapping[str, Event]) -> None:
        """Have the features of all images with an answer, which teach and measure the model."""
        assert isinstance(self.inputs, PoolFeatures)
        if self._pool.is_reading or len(self._pool) - self.inputs.count() > FEW_MISSING:
            images = list(answers)
        else:
            images = self.inputs.missing()
        self.inputs.compute(images)

    def _record(self, fitted: FittedModel, answers: Mapping[str, Event]) -> int:
        model = fitted.model
        labels, predictions = quality.audit_pairs(answers, model.predicted())
        return self._ledger.add_round(
            annotator=self.annotator,
            labels=model.labels,
            seconds=fitted.seconds,
            audited=len(labels),
            correct=quality.n_correct(labels, predictions),
            kappa=fitted.kappa,
            uncertainty=float(entropy_score(model.proba).mean() / np.log(len(model.classes))),
        )

    def _notify(self) -> None:
        for callback in self._listeners:
            try:
                callback()
            except Exception:
                _log.exception("A callback of LabelingSession.subscribe failed")


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"

"""Where the work of an annotator, and of all, stands."""

from __future__ import annotations

from . import quality
from .annotator_view import AnnotatorView
from .image_pool import ImagePool
from .items import Progress
from .ledger import LabelLedger
from .second_opinions import measure_agreement
from .trainer import Trainer


def measure_progress(
    ledger: LabelLedger,
    pool: ImagePool,
    trainer: Trainer,
    view: AnnotatorView,
    *,
    target_accuracy: float | None,
    target_recall: float | None,
) -> Progress:
    """Return where the work stands, as one annotator may know it; see `LabelingSession.progress`."""
    standing, _, classes = ledger.snapshot()
    answers, annotator = view.answers(), view.annotator
    labeled = [event for event in answers.values() if event.label is not None]
    disputed = sum(event.in_dispute for event in answers.values())
    seconds = ledger.seconds()
    remaining = len(pool) - sum(image in pool for image in answers)
    trainings = [each for each in ledger.trainings() if each.annotator == trainer.annotator]
    predicted = None if trainer.model is None else trainer.model.predicted()
    truth, guesses = quality.audit_pairs(answers, predicted or {})
    accuracy = quality.proportion(quality.n_correct(truth, guesses), len(truth))
    per_class = quality.class_quality(truth, guesses, classes.names)
    commonest = quality.commonest_class(truth)
    return Progress(
        labels=len(labeled),
        skipped=len(answers) - len(labeled) - disputed,
        disputed=disputed,
        per_class={c: sum(event.label == c for event in labeled) for c in classes.names},
        images=len(pool),
        remaining=remaining,
        unreadable=len(pool.problems),
        files=pool.n_files,
        unread=pool.n_unread,
        minutes=sum(seconds.values()) / 60,
        my_labels=sum(e.annotator == annotator and not e.is_measurement for e in labeled),
        my_minutes=seconds.get(annotator, 0.0) / 60,
        accuracy=accuracy,
        per_class_quality=per_class,
        commonest=commonest,
        self_agreement=quality.self_agreement(standing, annotator),
        agreement=measure_agreement(standing) if view.is_referee else None,
        training=trainer.status,
        advice=quality.advise(
            remaining=remaining + pool.n_unread,
            accuracy=accuracy,
            per_class=per_class,
            commonest=commonest,
            target_accuracy=target_accuracy,
            target_recall=target_recall,
            kappas=[each.kappa for each in trainings if each.kappa is not None],
            predicted_classes=[] if predicted is None else predicted.classes,
        ),
    )

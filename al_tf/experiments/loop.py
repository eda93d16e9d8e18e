"""One run: query, label, fit, evaluate, record; from any round on, always with the same numbers."""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TypeVar

import numpy as np

from ..agreement import cohen_kappa
from ..errors import RecordError, check_one_of
from ..files import locked, write_atomically, write_json
from ..seeding import derive_seed
from .annotators import AnswerSheet, ask_annotators
from .config import ExperimentConfig
from .estimators import Estimator, build_estimator
from .features import sees_features, with_features
from .querying import batch_size, query
from .records import Record, append_record, read_run, run_name, run_path
from .setting import Setting, make_setting
from .stopping import mean_uncertainty, needs_stop_set, stop_reason
from .strategy_spec import UPPER_LINE
from .study import first_difference
from .upper_line import best_batch

T = TypeVar("T")
LOCK_SECONDS = 3_600
_EVALUATED = ("accuracy", "f1_macro", "recall", "average_precision", "seconds_eval")


@dataclass(frozen=True)
class Fit:
    """What a run waits for: its model fitted to the labels of a round."""

    setting: Setting
    estimator: Estimator
    labeled: np.ndarray
    answers: np.ndarray


Steps = Generator[Fit, float, T]
"""What a run does between two fits. It is sent the seconds that each fit took."""


def carried_out(steps: Steps[T]) -> T:
    """Carry out steps to their end, with each fit where it is asked for."""
    seconds = None
    with closing(steps):
        while True:
            try:
                fit = next(steps) if seconds is None else steps.send(seconds)
            except StopIteration as end:
                return end.value
            start = time.perf_counter()
            fit.estimator.fit(fit.setting.x_train[fit.labeled], fit.answers)
            seconds = time.perf_counter() - start


def run_strategy(config: ExperimentConfig, label: str, seed: int, out_dir: Path) -> None:
    """Carry one run from its last record to its end; see `run_steps`."""
    carried_out(run_steps(config, label, seed, out_dir))


def run_steps(config: ExperimentConfig, label: str, seed: int, out_dir: Path) -> Steps[None]:
    """Carry one run from its last record to its end, and leave its fits to the caller.

    Round 0 is the shared one of the seed. In each later round the model of the round before
    chooses images, the oracle labels them, the model is fitted and evaluated, and the round's
    record is written after the model's checkpoint; so the last record always has its model.

    Parameters
    ----------
    config : ExperimentConfig
        The experiment.
    label : str
        Which of its strategies, or the upper line.
    seed : int
        Which of its seeds.
    out_dir : Path
        The study's folder.
    """
    check_one_of("run", label, config.labels)
    path = run_path(out_dir, label, seed)
    with _locked(out_dir, run_name(label, seed)):
        records = read_run(path, repair=True)
        if is_complete(config, records):
            return
        setting = make_setting(config, seed)
        if sees_features(config):
            setting = with_features(setting, out_dir)
        if not records:
            first = yield from round_zero(setting, out_dir)
            records = [first | {"strategy": label}]
            path.parent.mkdir(parents=True, exist_ok=True)
            append_record(path, records[0])
        checkpoint = _checkpoint(out_dir, label, seed, len(records) - 1)
        estimator = yield from _restored_model(setting, records, checkpoint)
        while not is_complete(config, records):
            number = len(records)
            record = yield from _round(setting, label, estimator, records)
            write_atomically(_checkpoint(out_dir, label, seed, number), estimator.save_weights)
            append_record(path, record)
            records.append(record)
            _remove_checkpoints_before(number, out_dir, label, seed)


def is_complete(config: ExperimentConfig, records: Sequence[Record]) -> bool:
    """Tell whether a run has its last round, or was stopped by a rule."""
    return len(records) > config.rounds or bool(records and records[-1]["stopped"])


def round_zero_path(out_dir: Path, seed: int) -> Path:
    """Return the file of a seed's record of round 0; its model lies beside it, as NPZ."""
    return out_dir / "round0" / f"seed{seed}.json"


def round_zero(setting: Setting, out_dir: Path) -> Steps[Record]:
    """Return the record of a seed's round 0, after seeing to it that its model is there.

    While it waits for a fit, it holds the lock of the seed's round 0.
    """
    path = round_zero_path(out_dir, setting.seed)
    model = path.with_suffix(".npz")
    with _locked(out_dir, f"round0-seed{setting.seed}"):
        try:
            record = dict(json.loads(path.read_text())) if path.exists() else None
        except ValueError as error:
            raise RecordError(f"{path}: not JSON ({error}). Remove the file.") from None
        if record is None and not len(setting.initial):
            record = _without_labels(setting)
            write_json(path, record)
        if record is not None and (model.exists() or not record["n_labeled"]):
            return record
        if record is not None:
            estimator = yield from _restored_model(setting, [record], model)
        else:
            estimator = build_estimator(setting.config, setting.n_classes)
            initial = setting.initial
            record = yield from _learn(setting, estimator, initial, setting.answers[initial])
            record |= _paid_answers(setting, record)
            record |= _stopping(setting, estimator, None, [record])
        write_atomically(model, estimator.save_weights)
        write_json(path, record)
        return record


def _restored_model(
    setting: Setting, records: Sequence[Record], checkpoint: Path
) -> Steps[Estimator]:
    """Return the model of a run's last record.

    Its checkpoint is loaded. Where that is missing, as it is from a published study, or damaged,
    the model is trained again on the recorded labels and has to give the recorded numbers.

    Parameters
    ----------
    setting : Setting
        Images and seed.
    records : sequence of dict
        The run's records from round 0 on.
    checkpoint : Path
        Where the model of the last of them would be.

    Returns
    -------
    Estimator

    Raises
    ------
    RecordError
        Training again gives other numbers than those recorded.
    """
    estimator = build_estimator(setting.config, setting.n_classes)
    if not records[-1]["n_labeled"]:
        return estimator
    if checkpoint.exists():
        with suppress(ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile):  # damaged
            estimator.load_weights(checkpoint)
            return estimator
        estimator = build_estimator(setting.config, setting.n_classes)
    scratch = setting.config.fit_mode == "scratch"
    first = next(number for number, record in enumerate(records) if record["n_labeled"])
    for number in range(len(records) - 1 if scratch else first, len(records)):
        labeled, answers = _labeled_until(setting, records[: number + 1])
        n_new = len(records[number]["queried"])
        again = yield from _learn(setting, estimator, labeled, answers, number, n_new)
        if setting.panel is not None:
            again |= {"n_labeled": len(AnswerSheet(setting.panel, records[: number + 1]))}
        if difference := first_difference(again, records[number]):
            raise RecordError(
                f"{checkpoint} cannot be read, and training the model of round {number} again gives "
                f"other numbers here than those recorded ({difference}): what would be added "
                "could not be paired with what is there. Add to this study where it was made "
                "(study.toml names versions and platform), or begin another folder."
            )
    return estimator


def _round(
    setting: Setting, label: str, estimator: Estimator, records: Sequence[Record]
) -> Steps[Record]:
    """Query with the model of the last record, label, fit and evaluate."""
    labeled, answers = _labeled_until(setting, records)
    before = _stop_proba(setting, estimator) if len(labeled) else None
    number, n_before, paid, proposed_by = len(records), len(labeled), {}, None
    import_module("..learner", __package__)  # modAL takes seconds to read where PyTorch is
    start = time.perf_counter()
    if label == UPPER_LINE:
        ids, proposed_by = best_batch(setting, estimator, labeled, answers, number)
    else:
        spec = setting.config.spec(label)
        size = batch_size(setting, number, records[-1]["n_labeled"])
        if setting.panel is None:
            ids = query(setting, spec, estimator, labeled, answers, number, size)
        else:
            sheet = ask_annotators(setting, spec, estimator, records, size)
            labeled, answers = sheet.labels()
            ids, paid = labeled[n_before:], sheet.fields(since=records[-1]["n_labeled"])
    seconds = time.perf_counter() - start
    if setting.panel is None:
        labeled, answers = np.append(labeled, ids), np.append(answers, setting.answers[ids])
    record = yield from _learn(setting, estimator, labeled, answers, number, len(ids))
    record |= paid
    record |= {"strategy": label, "seconds_query": seconds}
    if proposed_by is not None:
        record |= {"proposed_by": proposed_by}
    record |= _stopping(setting, estimator, before, [*records, record])
    if record["stopped"] and record["accuracy"] is None:
        record |= _evaluate(setting, estimator)
    return record


def _labeled_until(setting: Setting, records: Sequence[Record]) -> tuple[np.ndarray, np.ndarray]:
    """Return the ids labeled in these rounds and their labels, in the order of labeling."""
    if setting.panel is not None:
        return AnswerSheet(setting.panel, records).labels()
    labeled = np.concatenate([r["queried"] for r in records]).astype(np.intp)
    answers = np.concatenate([r["queried_labels"] for r in records]).astype(np.int64)
    return labeled, answers


def _paid_answers(setting: Setting, record: Record) -> Record:
    """Return what the record of round 0 holds of the answers of several annotators."""
    if setting.panel is None:
        return {}
    asked = {"asked": record["queried"], "answered": record["queried_labels"]}
    return AnswerSheet(setting.panel, [asked]).fields(since=0)


def _learn(
    setting: Setting,
    estimator: Estimator,
    labeled: np.ndarray,
    answers: np.ndarray,
    number: int = 0,
    n_new: int | None = None,
) -> Steps[Record]:
    """Fit on the labeled set and return the round's record, evaluated if it is due."""
    estimator.set_params(random_state=derive_seed(setting.seed, "model", number))
    seconds = yield Fit(setting, estimator, labeled, answers)
    n_new = len(labeled) if n_new is None else n_new
    losses = estimator.history_["loss"]
    due = number % setting.config.eval_every == 0
    return {
        "dataset": setting.data.name,
        "strategy": None,
        "seed": setting.seed,
        "round": number,
        "n_labeled": len(labeled),
        **(_evaluate(setting, estimator) if due else dict.fromkeys(_EVALUATED)),
        "seconds_query": 0.0,
        "seconds_fit": seconds,
        "steps": estimator.history_["steps"],
        "loss": losses[-1] if losses else None,
        "queried": labeled[len(labeled) - n_new :].tolist(),
        "queried_labels": answers[len(labeled) - n_new :].tolist(),
    }


def _without_labels(setting: Setting) -> Record:
    """Return the record of a round 0 without labels, and so without a model."""
    record: Record = {
        "dataset": setting.data.name,
        "strategy": None,
        "seed": setting.seed,
        "round": 0,
        "n_labeled": 0,
        **dict.fromkeys(_EVALUATED),
        "seconds_query": 0.0,
        "seconds_fit": 0.0,
        "steps": 0,
        "loss": None,
        "queried": [],
        "queried_labels": [],
        **dict.fromkeys(("kappa", "uncertainty", "stopped")),
    }
    return record | _paid_answers(setting, record)


def _evaluate(setting: Setting, estimator: Estimator) -> Record:
    """Return accuracy, macro F1, and each class's recall and average precision on the test set."""
    from sklearn.metrics import f1_score, recall_score

    start = time.perf_counter()
    y = setting.data.y_test
    proba = estimator.predict_proba(setting.x_test)
    predicted = proba.argmax(axis=1)
    every = {"labels": range(setting.n_classes), "zero_division": 0}
    values = (
        float(np.mean(predicted == y)),
        float(f1_score(y, predicted, average="macro", **every)),
        recall_score(y, predicted, average=None, **every).tolist(),
        _average_precision(y, proba),
        time.perf_counter() - start,
    )
    return dict(zip(_EVALUATED, values, strict=True))


def _average_precision(y: np.ndarray, proba: np.ndarray) -> list[float]:
    """Return each class's average precision against the rest; 0 for one without test images."""
    from sklearn.metrics import average_precision_score

    own = y[:, None] == np.arange(proba.shape[1])  # (n, K)
    tested = own.any(axis=0)
    values = np.zeros(proba.shape[1])
    values[tested] = average_precision_score(own[:, tested], proba[:, tested], average=None)
    return [float(value) for value in values]


def _stop_proba(setting: Setting, estimator: Estimator) -> np.ndarray | None:
    """Return the model's probabilities on the stop set ``(s, K)`` if a rule looks at them."""
    if not needs_stop_set(setting.config):
        return None
    return estimator.predict_proba(setting.x_train[setting.stop_set])


def _stopping(
    setting: Setting, estimator: Estimator, before: np.ndarray | None, records: Sequence[Record]
) -> Record:
    """Return what the stopping rules measure after the last of `records`, and their verdict."""
    now = _stop_proba(setting, estimator)
    agreement = uncertainty = None
    if now is not None:
        uncertainty = mean_uncertainty(now)
        if before is not None:
            agreement = cohen_kappa(before.argmax(axis=1), now.argmax(axis=1))
    kappas = [*(r["kappa"] for r in records[:-1]), agreement]
    reason = stop_reason(setting.config, records[-1]["n_labeled"], kappas, uncertainty)
    return {"kappa": agreement, "uncertainty": uncertainty, "stopped": reason}


def _checkpoint(out_dir: Path, label: str, seed: int, number: int) -> Path:
    if number == 0:
        return out_dir / "round0" / f"seed{seed}.npz"
    return out_dir / "checkpoints" / f"{run_name(label, seed)}-round{number}.npz"


def _remove_checkpoints_before(number: int, out_dir: Path, label: str, seed: int) -> None:
    latest = _checkpoint(out_dir, label, seed, number)
    for path in latest.parent.glob(f"{run_name(label, seed)}-round*.npz"):
        if path != latest:
            path.unlink()


def _locked(out_dir: Path, name: str) -> AbstractContextManager[None]:
    """Hold a run's lock; another process may still be in it (an orphan, a lost cluster worker)."""
    busy = TimeoutError(
        f"Another process has been working on {name} in {out_dir} for {LOCK_SECONDS} s."
    )
    return locked(out_dir / ".locks" / f"{name}.lock", seconds=LOCK_SECONDS, busy=busy)

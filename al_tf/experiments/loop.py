"""One run: query, label, fit, evaluate, record; from any round on, always with the same numbers."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import RecordError
from ..seeding import derive_seed, stream
from .config import ExperimentConfig
from .estimators import Estimator, build_estimator
from .oracles import oracle_answers
from .records import Record, append_record, read_run, run_name, run_path
from .records import write_atomically, write_json
from .stopping import kappa, mean_uncertainty, needs_stop_set, stop_reason

if TYPE_CHECKING:
    from ..datasets import ImageDataset

LOCK_SECONDS = 3_600


@dataclass(frozen=True)
class Setting:
    """What seed k fixes for every strategy alike."""

    data: ImageDataset
    answers: np.ndarray  # (n_train,) what the oracle says of each image
    pool: np.ndarray  # ids of the pool, ascending, initial ones included
    initial: np.ndarray  # ids labelled at round 0
    stop_set: np.ndarray  # ids the stopping rules look at

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.data.class_names)


def load_data(config: ExperimentConfig, seed: int) -> ImageDataset:
    """Load the experiment's dataset as seed `seed` sees it."""
    return _load(config.dataset, config.imbalance, seed, json.dumps(dict(config.dataset_options)))


@functools.lru_cache(maxsize=1)
def _load(name: str, imbalance: Any, seed: int, options: str) -> ImageDataset:
    from ..datasets import load_dataset

    return load_dataset(name, imbalance=imbalance, seed=seed, **json.loads(options))


def make_setting(config: ExperimentConfig, seed: int) -> Setting:
    """Draw pool, initial set, stop set and oracle answers of a seed.

    Raises
    ------
    ValueError
        The pool is smaller than the labels that the experiment asks for.
    """
    data = load_data(config, seed)
    n = len(data.x_train)
    pool = np.arange(n)
    if config.pool is not None and config.pool < n:
        pool = np.sort(stream(seed, "pool").choice(n, config.pool, replace=False))
    wanted = config.initial + config.rounds * config.batch
    wanted = min(wanted, max(config.stop_budget or wanted, config.initial))
    if wanted > len(pool):
        raise ValueError(
            f"{config.initial} initial labels and {config.rounds} rounds of {config.batch} ask for "
            f"{wanted} labels, but the pool of {data.name} holds {len(pool)} images. Lower rounds, "
            "batch or initial."
        )
    size = min(config.stop_set, len(pool))
    return Setting(
        data=data,
        answers=oracle_answers(data.y_train, config.noise, len(data.class_names), seed),
        pool=pool,
        initial=_initial_ids(config, data.y_train, pool, seed),
        stop_set=stream(seed, "stop set").choice(pool, size, replace=False),
    )


def _initial_ids(
    config: ExperimentConfig, y_train: np.ndarray, pool: np.ndarray, seed: int
) -> np.ndarray:
    rng = stream(seed, "initial")
    if not config.stratified:
        return rng.choice(pool, config.initial, replace=False)
    shuffled = rng.permutation(pool)
    by_class = shuffled[np.argsort(y_train[shuffled], kind="stable")]
    spread = (np.arange(config.initial) + 0.5) * len(pool) / config.initial
    return rng.permutation(by_class[spread.astype(int)])


def run_strategy(config: ExperimentConfig, label: str, seed: int, out_dir: Path) -> None:
    """Carry one run from its last record to its end.

    Parameters
    ----------
    config : ExperimentConfig
        The experiment.
    label : str
        Which of its strategies.
    seed : int
        Which of its seeds.
    out_dir : Path
        The results folder.
    """
    path = run_path(out_dir, label, seed)
    with locked(out_dir, run_name(label, seed)):
        records = read_run(path, repair=True)
        if is_complete(config, records):
            return
        setting = make_setting(config, seed)
        if not records:
            records = [{**first_round(config, setting, seed, out_dir), "strategy": label}]
            path.parent.mkdir(parents=True, exist_ok=True)
            append_record(path, records[0])
        estimator = build_estimator(config, setting.n_classes)
        _load_checkpoint(estimator, _checkpoint(out_dir, label, seed, len(records) - 1))
        while not is_complete(config, records):
            number = len(records)
            record = _round(config, label, seed, setting, estimator, records)
            checkpoint = _checkpoint(out_dir, label, seed, number)
            write_atomically(checkpoint, estimator.save_weights)
            append_record(path, record)
            records.append(record)
            if number > 1:  # round 0 is shared
                _checkpoint(out_dir, label, seed, number - 1).unlink(missing_ok=True)


def is_complete(config: ExperimentConfig, records: list[Record]) -> bool:
    """Tell whether a run has its last round, or was stopped by a rule."""
    return len(records) > config.rounds or bool(records and records[-1]["stopped"])


def first_round(config: ExperimentConfig, setting: Setting, seed: int, out_dir: Path) -> Record:
    """Return the record of round 0, training its model unless that has been done."""
    path = out_dir / "round0" / f"seed{seed}.json"
    with locked(out_dir, f"round0-seed{seed}"):
        if not path.exists():
            estimator = build_estimator(config, setting.n_classes)
            answers = setting.answers[setting.initial]
            record = _fit_and_evaluate(
                config, seed, 0, setting, estimator, setting.initial, answers
            )
            record |= _stopping(config, setting, estimator, None, [], len(answers))
            record |= {
                "queried": setting.initial.tolist(),
                "queried_labels": answers.tolist(),
                "seconds_query": 0.0,
            }
            write_atomically(path.with_suffix(".npz"), estimator.save_weights)
            write_json(path, record)
        try:
            return dict(json.loads(path.read_text()))
        except ValueError as error:
            raise RecordError(f"{path}: not JSON ({error}). Remove the file.") from None


def _round(
    config: ExperimentConfig,
    label: str,
    seed: int,
    setting: Setting,
    estimator: Estimator,
    records: list[Record],
) -> Record:
    """Query with the model of the last record, label, fit and evaluate."""
    number = len(records)
    labelled = np.concatenate([r["queried"] for r in records]).astype(np.intp)
    answers = np.concatenate([r["queried_labels"] for r in records]).astype(np.int64)
    before = _stop_predictions(config, setting, estimator)
    start = time.perf_counter()
    ids = query(config, label, seed, number, setting, estimator, labelled, answers)
    seconds = time.perf_counter() - start
    new = setting.answers[ids]
    labelled, answers = np.concatenate([labelled, ids]), np.concatenate([answers, new])
    record = _fit_and_evaluate(config, seed, number, setting, estimator, labelled, answers)
    kappas = [r["kappa"] for r in records]
    record |= _stopping(config, setting, estimator, before, kappas, len(labelled))
    if record["stopped"] and record["accuracy"] is None:
        record |= _evaluate(estimator, setting)
    return record | {
        "strategy": label,
        "queried": ids.tolist(),
        "queried_labels": new.tolist(),
        "seconds_query": seconds,
    }


def query(
    config: ExperimentConfig,
    label: str,
    seed: int,
    number: int,
    setting: Setting,
    estimator: Estimator,
    labelled: np.ndarray,
    answers: np.ndarray,
) -> np.ndarray:
    """Return the ids that the strategy asks for; it sees no label but the labelled set's."""
    from ..strategies import get_strategy

    x_train = setting.data.x_train
    unlabelled = np.setdiff1d(setting.pool, labelled)
    size = config.batch
    if config.stop_budget is not None:
        size = min(size, config.stop_budget - len(labelled))
    spec = config.spec(label)
    learner = SimpleNamespace(
        estimator=estimator,
        query_strategy=spec.name,
        X_training=x_train[labelled],
        y_training=answers,
        predict_proba=estimator.predict_proba,
    )
    chosen, _ = get_strategy(spec.name)(
        learner,
        x_train[unlabelled],
        size,
        random_state=derive_seed(seed, "query", number),
        **spec.params,
    )
    return unlabelled[chosen]


def _fit_and_evaluate(
    config: ExperimentConfig,
    seed: int,
    number: int,
    setting: Setting,
    estimator: Estimator,
    labelled: np.ndarray,
    answers: np.ndarray,
) -> Record:
    start = time.perf_counter()
    estimator.set_params(random_state=derive_seed(seed, "model", number))
    estimator.fit(setting.data.x_train[labelled], answers)
    fitted = time.perf_counter()
    losses = estimator.history_["loss"]
    record: Record = {
        "dataset": setting.data.name,
        "seed": seed,
        "round": number,
        "n_labeled": len(labelled),
        "steps": estimator.history_["steps"],
        "loss": losses[-1] if losses else None,
        "seconds_fit": fitted - start,
    }
    due = number % config.eval_every == 0
    return record | (_evaluate(estimator, setting) if due else dict.fromkeys(_EVALUATED))


_EVALUATED = ("accuracy", "f1_macro", "recall", "seconds_eval")


def _evaluate(estimator: Estimator, setting: Setting) -> Record:
    """Return accuracy, macro F1 over all classes and each class's recall on the test set."""
    from sklearn.metrics import f1_score, recall_score

    start = time.perf_counter()
    y = setting.data.y_test
    predicted = estimator.predict_proba(setting.data.x_test).argmax(axis=1)
    every = {"labels": range(setting.n_classes), "zero_division": 0}
    values = (
        float(np.mean(predicted == y)),
        float(f1_score(y, predicted, average="macro", **every)),
        recall_score(y, predicted, average=None, **every).tolist(),
        time.perf_counter() - start,
    )
    return dict(zip(_EVALUATED, values, strict=True))


def _stop_predictions(
    config: ExperimentConfig, setting: Setting, estimator: Estimator
) -> np.ndarray | None:
    if not needs_stop_set(config):
        return None
    return estimator.predict_proba(setting.data.x_train[setting.stop_set])  # (s, K)


def _stopping(
    config: ExperimentConfig,
    setting: Setting,
    estimator: Estimator,
    before: np.ndarray | None,
    kappas: list[float | None],
    n_labeled: int,
) -> Record:
    now = _stop_predictions(config, setting, estimator)
    agreement = uncertainty = None
    if now is not None:
        uncertainty = mean_uncertainty(now)
        if before is not None:
            agreement = kappa(before.argmax(axis=1), now.argmax(axis=1))
    reason = stop_reason(config, n_labeled, [*kappas, agreement], uncertainty)
    return {"kappa": agreement, "uncertainty": uncertainty, "stopped": reason}


def _checkpoint(out_dir: Path, label: str, seed: int, number: int) -> Path:
    if number == 0:
        return out_dir / "round0" / f"seed{seed}.npz"
    return out_dir / "checkpoints" / f"{run_name(label, seed)}-round{number}.npz"


def _load_checkpoint(estimator: Estimator, path: Path) -> None:
    """Put the model of the last recorded round into `estimator`."""
    if not path.exists():
        raise RecordError(
            f"{path} is missing: the model that the next round starts from. Remove the run's "
            "records in runs/ (and round0/ for round 0) to run it anew."
        )
    estimator.load_weights(path)


@contextmanager
def locked(out_dir: Path, name: str) -> Iterator[None]:
    """Hold the lock of a run, waiting for another process that is in it (an orphan, a lost worker)."""
    from filelock import FileLock, Timeout

    folder = out_dir / ".locks"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{name}.lock")
    try:
        with lock.acquire(timeout=LOCK_SECONDS):
            yield
    except Timeout:
        raise RuntimeError(
            f"Another process has been working on {name} in {out_dir} for {LOCK_SECONDS} s."
        ) from None

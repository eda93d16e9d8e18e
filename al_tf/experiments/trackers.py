"""Rounds of experiments in MLflow and TensorBoard: callbacks for `run_experiment`."""

from __future__ import annotations

import json
import math
import shlex
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from ..errors import check_one_of
from .rounds import FinishedRound

TRACKERS = ("mlflow", "tensorboard")
_STEP = "n_labeled"
_GROWS = ("strategies", "seeds", "rounds", "strategy")
_MOST_METRICS = 1_000  # of one call to MLflow


def make_tracker(name: str, folder: str | Path | None = None) -> MLflowTracker | TensorBoardTracker:
    """Return the tracker of that name: what ``al-tf run --track`` uses.

    Parameters
    ----------
    name : {"mlflow", "tensorboard"}
        Which package.
    folder : str or Path, optional
        Where it keeps what is logged: for MLflow a database ``mlflow.db`` there (by default,
        where MLflow itself is set to), for TensorBoard the folder itself (``tensorboard``).

    Returns
    -------
    MLflowTracker or TensorBoardTracker

    Raises
    ------
    UnknownNameError
        Another name.
    ModuleNotFoundError
        The package is not installed.
    """
    check_one_of("tracker", name, TRACKERS)
    if name == "tensorboard":
        return TensorBoardTracker("tensorboard" if folder is None else folder)
    if folder is None:
        return MLflowTracker()
    Path(folder).mkdir(parents=True, exist_ok=True)
    return MLflowTracker(f"sqlite:///{Path(folder).resolve() / 'mlflow.db'}")


class MLflowTracker:
    """Log the rounds of an experiment to MLflow: one MLflow run per strategy and seed.

    The MLflow experiment has the name of the study's folder. Metrics are all numbers of a record
    (``accuracy``, ``f1_macro``, ``loss``, ``seconds_fit``, …) at the step ``n_labeled``, so that
    charts are learning curves; parameters are the settings. An experiment that goes on continues
    its MLflow runs, and rounds that MLflow has already are not logged again.

    Parameters
    ----------
    uri : str, optional
        MLflow's tracking URI, such as ``sqlite:///mlflow.db`` or a server's address; by default
        what MLflow itself is set to (``MLFLOW_TRACKING_URI``, else a database in this folder).

    Raises
    ------
    ModuleNotFoundError
        MLflow is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from al_tf import ExperimentConfig, run_experiment
    >>> from al_tf.experiments import MLflowTracker
    >>> config = ExperimentConfig(model="logistic", seeds=2, initial=30, batch=10, rounds=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tracker = MLflowTracker(f"sqlite:///{folder}/mlflow.db")
    ...     _ = run_experiment(config, f"{folder}/demo", progress=False, jobs=0, on_round=tracker)
    ...     runs = tracker.client.search_runs([tracker.client.get_experiment_by_name("demo").experiment_id])
    >>> sorted(run.info.run_name for run in runs)
    ['margin-seed0', 'margin-seed1', 'random-seed0', 'random-seed1']
    """

    def __init__(self, uri: str | None = None) -> None:
        try:
            from mlflow import MlflowClient
        except ModuleNotFoundError:
            raise ModuleNotFoundError(
                "Tracking with MLflow needs the package mlflow: pip install 'al-tf[mlflow]'"
            ) from None
        self.client = MlflowClient(uri)
        self.view_command = f"mlflow ui --backend-store-uri {self.client.tracking_uri}"
        self._runs: dict[str, str] = {}

    def __call__(self, done: FinishedRound) -> None:
        """Log a round."""
        self._log(self._run_of(done), [done])

    def catch_up(self, rounds: Sequence[FinishedRound]) -> None:
        """Log those rounds that MLflow does not have yet."""
        for done in _by_run(rounds):
            run = self._run_of(done[0])
            history = self.client.get_metric_history(run, _STEP)
            last = max((metric.step for metric in history), default=-1)
            self._log(run, [one for one in done if one.record[_STEP] > last])

    def _run_of(self, done: FinishedRound) -> str:
        """Return the id of the MLflow run that a round belongs to, begun if it is the first."""
        from mlflow.entities import Param

        if done.run not in self._runs:
            experiment = self.client.get_experiment_by_name(done.study)
            if experiment is None:
                number = self.client.create_experiment(done.study)
            else:
                number = experiment.experiment_id
            tags = {
                "run": done.run,
                "began": str(done.meta.get("began", "")),
                "data_fingerprint": str(done.meta.get("data_fingerprint", "")),
            }
            wanted = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
            known = self.client.search_runs([number], wanted, max_results=1)
            if known:
                self._runs[done.run] = known[0].info.run_id
            else:
                more = {"mlflow.source.git.commit": done.meta.get("git_commit")}
                tags |= {name: str(value) for name, value in more.items() if value}
                run = self.client.create_run(number, tags=tags, run_name=done.run)
                params = [Param(name, value) for name, value in _settings(done).items()]
                self.client.log_batch(run.info.run_id, params=params)
                self._runs[done.run] = run.info.run_id
        return self._runs[done.run]

    def _log(self, run: str, rounds: Sequence[FinishedRound]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [
            Metric(name, value, now, done.record[_STEP])
            for done in rounds
            for name, value in _numbers(done).items()
        ]
        for start in range(0, len(metrics), _MOST_METRICS):
            self.client.log_batch(run, metrics=metrics[start : start + _MOST_METRICS])
        if rounds and rounds[-1].is_last:
            self.client.set_terminated(run)


class TensorBoardTracker:
    """Write the rounds of an experiment for TensorBoard: one of its runs per strategy and seed.

    Scalars are all numbers of a record (``accuracy``, ``f1_macro``, ``loss``, ``seconds_fit``, …)
    at the step ``n_labeled``, so that charts are learning curves. Runs are in
    ``folder/STUDY/BEGAN/STRATEGY-seedN``. An experiment that goes on adds to them, and rounds that
    are there are not written again.

    Parameters
    ----------
    folder : str or Path
        What ``tensorboard --logdir`` is given.

    Raises
    ------
    ModuleNotFoundError
        TensorBoard is not installed.

    Notes
    -----
    TensorBoard's writer loads TensorFlow in this process where it is installed.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from al_tf import ExperimentConfig, run_experiment
    >>> from al_tf.experiments import TensorBoardTracker
    >>> config = ExperimentConfig(model="logistic", seeds=2, initial=30, batch=10, rounds=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tracker = TensorBoardTracker(f"{folder}/logs")
    ...     _ = run_experiment(config, f"{folder}/demo", progress=False, jobs=0, on_round=tracker)
    ...     sorted(path.name for path in Path(folder).glob("logs/demo/*/*"))
    ['margin-seed0', 'margin-seed1', 'random-seed0', 'random-seed1']
    """

    def __init__(self, folder: str | Path) -> None:
        try:
            from tensorboard.summary import Writer
        except ModuleNotFoundError:
            raise ModuleNotFoundError(
                "Tracking with TensorBoard needs the package tensorboard: "
                "pip install 'al-tf[tensorboard]'"
            ) from None
        self.folder = Path(folder)
        self.view_command = f"tensorboard --logdir {shlex.quote(str(folder))}"
        self._new_writer: Callable[[str], Any] = Writer
        self._writers: dict[str, Any] = {}

    def __call__(self, done: FinishedRound) -> None:
        """Write a round."""
        self._write([done])

    def catch_up(self, rounds: Sequence[FinishedRound]) -> None:
        """Write those rounds that are not there yet."""
        for done in _by_run(rounds):
            last = _last_step(self._folder_of(done[0]))
            self._write([one for one in done if one.record[_STEP] > last])

    def _folder_of(self, done: FinishedRound) -> Path:
        began = "".join(c for c in str(done.meta.get("began", "")) if c.isalnum())
        return self.folder / done.study / began / done.run

    def _write(self, rounds: Sequence[FinishedRound]) -> None:
        for done in rounds:
            if done.run not in self._writers:
                self._writers[done.run] = self._new_writer(str(self._folder_of(done)))
            writer = self._writers[done.run]
            for name, value in _numbers(done).items():
                writer.add_scalar(name, value, done.record[_STEP])
            writer.flush()
            if done.is_last:
                self._writers.pop(done.run).close()


def _last_step(folder: Path) -> int:
    """Return the last step that is written in a folder of TensorBoard's; -1 without one."""
    if not folder.exists():
        return -1
    from tensorboard.backend.event_processing.event_accumulator import TENSORS, EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={TENSORS: 0}).Reload()
    if _STEP not in events.Tags()[TENSORS]:
        return -1
    return max(event.step for event in events.Tensors(_STEP))


def _by_run(rounds: Iterable[FinishedRound]) -> list[list[FinishedRound]]:
    return [list(of_run) for _, of_run in groupby(rounds, key=lambda done: done.run)]


def _numbers(done: FinishedRound) -> dict[str, float]:
    """Return what a round measured: every finite number of its record."""
    return {
        name: float(value)
        for name, value in done.record.items()
        if name not in ("seed", "round")
        and isinstance(value, (int, float))
        and not isinstance(value, bool)
        and math.isfinite(value)
    }


def _settings(done: FinishedRound) -> dict[str, str]:
    """Return the settings of a run that never change as texts, by name."""
    config = {k: v for k, v in done.config.to_dict().items() if k not in _GROWS}
    spec = done.config.spec(done.record["strategy"])
    config |= {"strategy": spec.label, "strategy_params": dict(spec.params)}
    config |= {"seed": done.record["seed"]}
    return {k: v if isinstance(v, str) else json.dumps(v) for k, v in config.items()}

"""Callbacks on finished rounds: how they are called, whatever process computed the round."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .config import ExperimentConfig
from .records import Record, RunKey, read_appended, run_name, run_path

SECONDS_BETWEEN_LOOKS = 0.5


@dataclass(frozen=True)
class FinishedRound:
    """A round that is recorded: what callbacks of `run_experiment` are called with.

    Attributes
    ----------
    study : str
        Name of the study's folder.
    config : ExperimentConfig
        The experiment.
    meta : mapping
        What ``study.toml`` says; see `read_meta`.
    record : mapping
        The record: ``strategy``, ``seed``, ``round``, ``n_labeled``, ``accuracy`` and ``f1_macro``
        in [0, 1] (None in rounds that are not evaluated), ``seconds_query``, ``seconds_fit``,
        ``queried`` (ids of the images labeled for this round), and the others of `load_records`.

    Examples
    --------
    >>> import tempfile
    >>> from al_tf.experiments import ExperimentConfig, run_experiment
    >>> config = ExperimentConfig(
    ...     dataset="digits", strategies=["random"], seeds=[0], model="logistic",
    ...     initial=50, batch=25, rounds=2, pool=200)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = run_experiment(
    ...         config, folder, jobs=0, progress=False,
    ...         on_round=lambda done: print(done.record["n_labeled"], done.is_last))
    50 False
    75 False
    100 True
    """

    study: str
    config: ExperimentConfig
    meta: Mapping[str, Any]
    record: Mapping[str, Any]

    @property
    def run(self) -> str:
        """Name of the run that the round belongs to: its strategy and seed."""
        return run_name(self.record["strategy"], self.record["seed"])

    @property
    def is_last(self) -> bool:
        """Whether the run ends with this round."""
        return self.record["round"] >= self.config.rounds or bool(self.record["stopped"])


RoundCallback = Callable[[FinishedRound], object]
"""Called with each finished round. One that has a method ``catch_up`` is given before that, as a
list in the order of runs and rounds, what earlier calls of `run_experiment` recorded."""


class RoundWatch:
    """Sees the records that runs append to their files, and calls the callbacks with them.

    Runs are computed in other processes, which append to files that this one can read. A thread of
    this process looks at them twice a second and calls the callbacks one after the other, so that
    no run waits for a callback.

    Parameters
    ----------
    config, out, meta
        The experiment, its folder, and what ``study.toml`` says.
    callbacks : sequence of callable
    """

    def __init__(
        self,
        config: ExperimentConfig,
        out: Path,
        meta: Mapping[str, Any],
        callbacks: Sequence[RoundCallback],
    ) -> None:
        self._config, self._out, self._meta = config, out, meta
        self._callbacks = list(callbacks)
        self._ends: dict[Path, int] = {}  # how far each file has been read, in bytes

    def catch_up(self, records: Mapping[RunKey, list[Record]]) -> None:
        """Give the rounds that were recorded before to the callbacks that ask for them."""
        rounds = [self._finished(record) for of_run in records.values() for record in of_run]
        for callback in list(self._callbacks):
            if rounds and hasattr(callback, "catch_up"):
                self._call(callback, callback.catch_up, rounds, "the rounds recorded before")

    @contextmanager
    def watching(
        self, runs: Sequence[RunKey], on_rounds: Callable[[int], object]
    ) -> Iterator[None]:
        """Watch the files of `runs` during the block; what they hold at its start is known.

        `on_rounds` is called with the number of rounds that came since it was called last.
        """
        for key in runs:
            path = run_path(self._out, *key)
            self._ends[path] = read_appended(path, 0)[1]
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(SECONDS_BETWEEN_LOOKS):
                on_rounds(self._look())

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()
            on_rounds(self._look())

    def _look(self) -> int:
        """Call the callbacks with every new record, and return how many there are."""
        count = 0
        for path, end in self._ends.items():
            records, self._ends[path] = read_appended(path, end)
            count += len(records)
            for record in records:
                done = self._finished(record)
                for callback in list(self._callbacks):
                    self._call(callback, callback, done, f"{done.run}, round {record['round']}")
        return count

    def _finished(self, record: Record) -> FinishedRound:
        return FinishedRound(self._out.name, self._config, self._meta, record)

    def _call(
        self, callback: RoundCallback, function: Callable[[Any], object], given: Any, what: str
    ) -> None:
        """Call a callback; one that raises is named once and not called any more."""
        try:
            function(given)
        except Exception as error:
            self._callbacks.remove(callback)
            name = getattr(callback, "__qualname__", type(callback).__qualname__)
            warnings.warn(
                f"The callback {name} failed at {what} and is not called any more "
                f"({type(error).__name__}: {error}). The experiment goes on, and all records are "
                "kept.",
                stacklevel=2,
            )

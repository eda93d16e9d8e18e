"""Predictions in a project of Label Studio: new ones written, old ones deleted, nobody held up.

Label Studio's usual database, SQLite, has one writer at a time, and refuses an annotation that waits
for another writer for some seconds. It deletes a version's predictions in one transaction, at some
15 ms each. So with each model only the highest scores are written; the others follow once no
further model comes; and what is more than `AT_ONCE` predictions is deleted one by one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ....errors import AlTfError
from .client import StudioClient
from .ranking import ours

_log = logging.getLogger("al_tf.labeling")

AT_ONCE = 50
"""Predictions that are written with each model, and deleted in one transaction."""
KEPT_VERSIONS = 20
"""Versions that stay: Label Studio refuses the annotation of somebody who has a task open with a
prediction that is gone."""
PAUSE_SECONDS = 10.0
"""After which without another model the rest of the predictions are written."""


class PredictionWriter:
    """Keeps the predictions of one project up to date.

    Parameters
    ----------
    client : StudioClient
    project : int
        Its number.
    """

    def __init__(self, client: StudioClient, project: int) -> None:
        self.client, self.project = client, project
        self._lock = threading.Lock()
        self._version = self._shown = ""
        self._tasks: set[int] = set()
        self._rest: list[dict[str, Any]] = []

    def write(self, version: str, predictions: Sequence[dict[str, Any]]) -> None:
        """Write the first predictions of a version, and show it in place of the one before.

        Parameters
        ----------
        version : str
        predictions : sequence of dict
            Of all tasks, the highest score first, as `Ranking.predictions` gives them. What
            `complete` is to write is kept.
        """
        is_known = version == self._version
        tasks = self._tasks if is_known else set()
        new = [prediction for prediction in predictions if prediction["task"] not in tasks]
        if new:
            self.client.add_predictions(self.project, version, new[:AT_ONCE])
            with self._lock:
                self._version, self._tasks = version, tasks | {p["task"] for p in new}
                self._rest = [*(self._rest if is_known else []), *new[AT_ONCE:]]
        if version == self._version != self._shown:
            self.client.show_version(self.project, version)
            self._shown = version

    def complete(self) -> None:
        """Write what `write` left out."""
        with self._lock:
            version, rest, self._rest = self._version, self._rest, []
        if rest:
            self.client.add_predictions(self.project, version, rest)

    def delete_stale(self, go_on: Callable[[], bool]) -> None:
        """Delete our versions beyond those that are kept, the oldest first.

        Parameters
        ----------
        go_on : callable
            Asked after each request; False ends it.
        """
        counts = self.client.versions(self.project)
        versions = [
            version for version in ours(counts) if version not in (self._shown, self._version)
        ]
        for version in versions[: max(0, len(versions) - KEPT_VERSIONS)]:
            if counts[version] > AT_ONCE:
                self._delete_singly(version, go_on)
            if go_on():
                self.client.delete_version(self.project, version)
            if not go_on():
                return

    def _delete_singly(self, version: str, go_on: Callable[[], bool]) -> None:
        """Delete all but `AT_ONCE` predictions, and leave as much time as each takes to others."""
        for number in self.client.prediction_numbers(self.project, version)[AT_ONCE:]:
            if not go_on():
                return
            start = time.monotonic()
            self.client.delete_prediction(number)
            time.sleep(time.monotonic() - start)


def finish_writing(
    writers: Sequence[PredictionWriter], go_on: Callable[[], bool], closing: threading.Event
) -> None:
    """Delete stale predictions, and write those that were left out, until a model comes.

    Parameters
    ----------
    writers : sequence of PredictionWriter
        Of all projects.
    go_on : callable
        False once there is another model, or the end is near.
    closing : Event
        Set at the end.
    """
    for writer in writers:
        with failures_logged(writer.project):
            writer.delete_stale(go_on)
    end = time.monotonic() + PAUSE_SECONDS
    while go_on() and time.monotonic() < end:
        closing.wait(0.2)
    for writer in writers:
        if go_on():
            with failures_logged(writer.project):
                writer.complete()


@contextmanager
def failures_logged(project: int) -> Iterator[None]:
    """Log what fails in the background with a project; its next request tries again."""
    try:
        yield
    except (AlTfError, OSError, KeyError, TypeError, ValueError) as error:
        _log.warning("Project %d of Label Studio: %s", project, error)

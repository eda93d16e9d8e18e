"""`LiveLabeling`: a ledger and a model behind Label Studio while people label there."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ....errors import LabelStudioError
from ...background import BackgroundTask
from ...choosing import check_needs
from ...desk_settings import DeskSettings
from ...items import TrainingStatus
from ...ledger import LabelLedger
from ...pool import FolderPool
from ...trainer import Trainer
from ...training_set import training_labels
from .client import StudioClient
from .interface import Control, read_interface
from .ranking import OUR_VERSIONS, Ranker, Ranking
from .recording import ImportResult, Recorder, record_tasks
from .requests import annotated_tasks, project_number, read_annotations
from .task_images import TaskImages
from .writing import PredictionWriter, failures_logged, finish_writing

_log = logging.getLogger("al_tf.labeling")

ANNOTATOR = "label-studio"
SETUP_SECONDS = 1.0
"""How long Label Studio may wait for a training under way; it gives up after three."""
_PROJECTS = "label studio: projects"
_CREATED = ("ANNOTATION_CREATED", "ANNOTATIONS_CREATED", "ANNOTATION_UPDATED")


@dataclass
class _Project:
    """A project of Label Studio that uses this backend."""

    control: Control
    images: dict[int, str] = field(default_factory=dict)
    """The image of each task whose image is known."""
    writer: PredictionWriter | None = None
    """None before Label Studio gave its address and a token."""


class LiveLabeling:
    """Answers Label Studio's requests for predictions, and records what is annotated there.

    Every annotation is in the ledger before its webhook is answered. A model is then trained in
    the background, as the labeling desk does it; where Label Studio gives its address and a token
    (it does, when the backend is connected), new predictions and scores are written to the
    project, and annotations made while the backend was away are fetched.

    Parameters
    ----------
    ledger : LabelLedger
        Without classes it takes the choices of the first project.
    pool : FolderPool
    settings : DeskSettings
        Which model and strategy.
    client : StudioClient, optional
        Asked in place of the address and token that Label Studio gives.

    Attributes
    ----------
    ledger : LabelLedger
    pool : FolderPool
    """

    def __init__(
        self,
        ledger: LabelLedger,
        pool: FolderPool,
        settings: DeskSettings,
        *,
        client: StudioClient | None = None,
    ) -> None:
        self.ledger, self.pool = ledger, pool
        self._settings, self._client = settings, client
        self._task_images = TaskImages(pool, ledger)
        self._lock = threading.RLock()
        self._trainer: Trainer | None = None
        self._ranker: Ranker | None = None
        self._projects: dict[int, _Project] = {}
        self._emails: dict[int, str] = {}
        self._to_sync: set[int] = set()
        self._outside = BackgroundTask(lambda: None)
        self._upkeep = BackgroundTask(lambda: None)  # what nobody waits for
        self._closing = threading.Event()
        if ledger.classes:
            self._begin(ledger.classes)
        else:
            settings.build_estimator(
                ("a", "b")
            )  # loaded now: Label Studio waits briefly for `setup`
        for number, interface in (ledger.setting(_PROJECTS) or {}).items():
            try:
                self._open_project(int(number), interface)
            except LabelStudioError as error:
                _log.warning("Project %s of Label Studio: %s", number, error)

    # What Label Studio asks ---------------------------------------------------------------

    def setup(self, request: Mapping[str, Any]) -> str:
        """Take in a project, and return the version of the present predictions.

        Parameters
        ----------
        request : dict
            ``project`` (``"NUMBER.TIME"``), ``schema`` (its labeling interface), ``hostname`` and
            ``access_token`` of Label Studio.

        Raises
        ------
        LabelStudioError
            The labeling interface does not fit the ledger's classes; the message says why.
        """
        number = project_number(request.get("project"))
        project = self._open_project(number, str(request.get("schema") or ""))
        host, token = request.get("hostname"), request.get("access_token")
        if self._client is None and host and token:
            client = StudioClient(str(host), str(token))
            if project.writer is None:
                project.writer = PredictionWriter(client, number)
            project.writer.client = client  # the token may be another one
        if project.writer is not None and not project.images:
            self._reach_out(number)
        self._wait()
        return self.version

    def predict(self, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return a prediction for each task: class, probability, and the strategy's score.

        Parameters
        ----------
        request : dict
            ``tasks``, ``project`` and ``label_config``.

        Returns
        -------
        list of dict
            In the order of the tasks, none left out: ``result`` is empty, and ``score`` None,
            where nothing is known of an image.
        """
        tasks = request.get("tasks")
        if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
            raise LabelStudioError("Expected a list of tasks.")
        number = project_number(request.get("project"))
        project = self._open_project(number, str(request.get("label_config") or ""))
        images = self._images_of(tasks, project)
        if None in images:
            self._reach_out(number)
        ranking = self.ranking()
        return [ranking.prediction(image, project.control) for image in images]

    def webhook(self, request: Mapping[str, Any]) -> ImportResult | None:
        """Take in what happened in a project; None for what is of no concern.

        Parameters
        ----------
        request : dict
            ``action``, ``project``, and what the action is about.
        """
        action = request.get("action")
        about = request.get("project")
        if not isinstance(about, Mapping):
            return None
        if action == "START_TRAINING":
            self._train()
            return None
        if action in ("TASKS_CREATED", "PROJECT_UPDATED"):
            number = project_number(about.get("id"))
            self._open_project(number, str(about.get("label_config") or ""))
            if action == "TASKS_CREATED":  # the other one comes with each version that is shown
                self._reach_out(number)
        if action == "ANNOTATIONS_DELETED":
            return self._take_back(request.get("annotations"))
        if action in _CREATED:
            return self._annotated(about, request.get("annotation"), request.get("task"))
        return None

    @property
    def version(self) -> str:
        """Name of the present predictions; it changes with each model, and none comes twice."""
        return f"{OUR_VERSIONS}0" if self._ranker is None else self._ranker.version

    def ranking(self) -> Ranking:
        """Return the present scores; they change with each model."""
        if self._ranker is None:
            return Ranking(self.version, None, {}, frozenset())
        return self._ranker.ranking()

    @property
    def training(self) -> TrainingStatus | None:
        """What the training is doing; None before the classes are known."""
        return None if self._trainer is None else self._trainer.status

    def wait(self) -> None:
        """Wait until nothing is being trained or fetched, and the highest scores are written."""
        if self._trainer is not None:
            self._trainer.let_finish(None)
        self._outside.wait()

    def close(self) -> None:
        """Train and write nothing more; what was answered is in the ledger."""
        self._closing.set()
        self._upkeep.close()
        self._outside.close()
        if self._trainer is not None:
            self._trainer.close(wait=False)
        self.ledger.close()

    # Projects and images --------------------------------------------------------------------

    def _open_project(self, number: int, interface: str) -> _Project:
        with self._lock:
            project = self._projects.get(number)
            if not interface and project is not None:
                return project
            control = read_interface(interface, self.ledger.classes)
            if self._trainer is None:
                self._begin(control.classes)
            if project is None:
                project = _Project(control)
                if self._client is not None:
                    project.writer = PredictionWriter(self._client, number)
                self._projects[number] = project
            project.control = control
            kept = self.ledger.setting(_PROJECTS) or {}
            if kept.get(str(number)) != interface:
                self.ledger.store(_PROJECTS, kept | {str(number): interface})
            return project

    def _begin(self, classes: Sequence[str]) -> None:
        """Fix the classes, and train on what is in the ledger."""
        names = self.ledger.fix_classes(classes)
        estimator = self._settings.build_estimator(names)
        check_needs(self._settings.strategy, estimator)
        self._trainer = Trainer(estimator, self.pool, self.ledger, names, ANNOTATOR)
        self._ranker = Ranker(self.ledger, self.pool, self._trainer, self._settings)
        self._trainer.subscribe(self._training_changed)
        self._trainer.prepare()
        self._train()

    def _images_of(self, tasks: Sequence[Mapping[str, Any]], project: _Project) -> list[str | None]:
        with self._lock:
            images = self._task_images.of(tasks, project.control.image_key)
            for task, image in zip(tasks, images, strict=True):
                if image is not None and isinstance(task.get("id"), int):
                    project.images[task["id"]] = image
            return images

    # Answers ---------------------------------------------------------------------------------

    def _annotated(self, about: Mapping[str, Any], annotations: Any, tasks: Any) -> ImportResult:
        number = project_number(about.get("id"))
        project = self._open_project(number, str(about.get("label_config") or ""))
        whole = annotated_tasks(annotations, tasks)
        with self._lock:
            result = self._record(whole, project, complete=False)
        if result.unmatched:
            self._reach_out(number)  # its image may be fetched
        return result

    def _record(
        self, tasks: Sequence[Mapping[str, Any]], project: _Project, *, complete: bool
    ) -> ImportResult:
        """Record the annotations of tasks, and train if anything is new."""
        names = self.ledger.class_list.known_names
        reading = read_annotations(
            tasks, names, complete=complete, emails=self._emails, control=project.control.name
        )
        matched, unmatched = [], []
        for image, task in zip(self._images_of(tasks, project), reading.tasks, strict=True):
            if image is not None:
                matched.append((image, self.pool.name(image), task))
            elif task.answers:
                unmatched.append(f"{task.title}: no image of the folder")
        for line in unmatched:
            _log.warning("An annotation in Label Studio is not recorded yet: %s", line)
        result = record_tasks(
            self.ledger, matched, unmatched, reading.dropped, details=self._shown_prediction
        )
        if result.recorded or result.taken_back:
            self.pool.refresh_soon(now_if_quick=True)
            self._train()
        return result

    def _shown_prediction(self, image: str) -> dict[str, Any]:
        """Return what an event says of the prediction that was shown with its image."""
        ranking = None if self._ranker is None else self._ranker.last
        if ranking is None or ranking.model is None or self._trainer is None:
            return {}
        return {"round": self._trainer.round, "score": ranking.scores.get(image)}

    def _take_back(self, annotations: Any) -> ImportResult:
        keys = [str(a["id"]) for a in annotations or [] if isinstance(a, Mapping) and "id" in a]
        with self._lock:
            recorder = Recorder(self.ledger)
            gone = sum(recorder.take_back(key) for key in keys)
            if gone:
                self._train()
        return ImportResult(0, 0, gone, (), (), ())

    # Training, and the server of Label Studio --------------------------------------------------

    def _train(self) -> None:
        if self._trainer is not None and not self._trainer.start(self.ledger.answers()):
            self._outside.start(self._write_and_fetch)  # the order without a model has changed

    def _wait(self) -> None:
        if self._trainer is not None and self._trainer.is_quick:
            self._trainer.let_finish(SETUP_SECONDS)

    def _is_training(self) -> bool:
        """Tell whether a model is being trained, not only features computed."""
        labels = set(training_labels(self.ledger.answers()).values())
        return len(labels) > 1 and self._trainer_state() in ("embedding", "running")

    def _trainer_state(self) -> str:
        return "none" if self._trainer is None else self._trainer.status.state

    def _training_changed(self) -> None:
        if self._trainer_state() in ("ready", "none", "failed"):
            self._outside.start(self._write_and_fetch)

    def _reach_out(self, number: int) -> None:
        """Fetch the tasks of a project, in the background."""
        with self._lock:
            self._to_sync.add(number)
        self._outside.start(self._write_and_fetch)

    def _write_and_fetch(self) -> None:
        """Fetch what is asked for, then write new predictions; failures are logged."""
        threading.current_thread().name = "al_tf and Label Studio"
        with self._lock:
            to_sync, self._to_sync = self._to_sync, set()
            projects = dict(self._projects)
        for number, project in projects.items():
            if project.writer is not None:
                with failures_logged(number):
                    if number in to_sync or not project.images:
                        self._fetch(number, project, project.writer.client)
                    self._write(project, project.writer)
        self._upkeep.start(self._delete_and_complete)

    def _delete_and_complete(self) -> None:
        """Delete stale predictions, and write those that were left out, until a model comes."""
        threading.current_thread().name = "al_tf predictions"
        version = self.version
        with self._lock:
            projects = self._projects.values()
            writers = [each.writer for each in projects if each.writer is not None]

        def go_on() -> bool:
            return not self._closing.is_set() and self.version == version

        finish_writing(writers, go_on, self._closing)

    def _fetch(self, number: int, project: _Project, client: StudioClient) -> None:
        """Bring tasks, annotations and missing images of a project up to date."""
        emails = client.emails()
        tasks = client.tasks(number)
        with self._lock:
            self._emails |= emails
            images = self._images_of(tasks, project)
        missing = [t for t, image in zip(tasks, images, strict=True) if image is None]
        key = project.control.image_key
        if missing and self._task_images.fetch(missing, key, client):
            self.pool.refresh()
            self._train()
        with self._lock:
            self._record(tasks, project, complete=True)

    def _write(self, project: _Project, writer: PredictionWriter) -> None:
        """Write the highest scores to a project, unless they are there or a first model comes."""
        if self._trainer is not None and self._trainer.model is None and self._is_training():
            return  # after a restart: the order without a model is for those without labels
        ranking = self.ranking()
        with self._lock:
            images = dict(project.images)
        writer.write(ranking.version, ranking.predictions(images, project.control))

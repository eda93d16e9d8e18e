"""What the labeling tests share: a fast estimator, a pool with known answers, other processes."""

import multiprocessing
import os
import threading
import time

import numpy as np

from al_tf.labeling import ArrayPool, LabelingSession, LabelLedger
from al_tf.labeling.reviewing import ReviewFilter
from al_tf.network.backbones import Backbone

CLASSES = ("dark", "bright")
PATIENCE = 60
"""Seconds to wait for what happens at once, but on a machine with other work."""

processes = multiprocessing.get_context("forkserver")
"""Processes that begin in milliseconds: forked from one that has imported what they use on their way."""
processes.set_forkserver_preload(
    [
        __name__, "al_tf.learner", "filelock", "pandas", "scipy.special", "scipy.stats", "sklearn.cluster",
        "sklearn.datasets", "sklearn.decomposition", "sklearn.linear_model", "sklearn.metrics",
        "tests.experiments.test_kill", "threadpoolctl",
    ]
)  # fmt: skip


def make_images(n, seed=0):
    """Return grey 6 x 6 images and their labels: bright if the centre is."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 100, size=(n, 6, 6), dtype=np.uint8)
    bright = rng.random(n) < 0.5
    images[bright, 2:4, 2:4] += rng.integers(30, 150, size=bright.sum()).astype(np.uint8)[
        :, None, None
    ]
    return images, np.where(bright, CLASSES[1], CLASSES[0])


class NearestMean:
    """A classifier that takes a millisecond: softmax of distances to the class means."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.means_ = np.stack([self.transform(X[y == c]).mean(axis=0) for c in self.classes_])
        return self

    def transform(self, X):
        return np.asarray(X, dtype=np.float32).reshape(len(X), -1) / 255

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def predict_proba(self, X):
        distances = np.linalg.norm(self.transform(X)[:, None] - self.means_, axis=2)
        scores = np.exp(4 * (distances.min(axis=1, keepdims=True) - distances))
        return scores / scores.sum(axis=1, keepdims=True)


class Desk:
    """A pool whose answers are known, and sessions on it."""

    def __init__(self, path, n=200, seed=0, synchronous="NORMAL"):
        self.path, self.synchronous = path, synchronous
        self.images, self.labels = make_images(n, seed)
        self.pool = ArrayPool(self.images)

    def session(self, estimator=None, **options):
        options = {"classes": CLASSES, "random_state": 0, "auto_retrain": False} | options
        ledger = LabelLedger(options.pop("ledger", self.path), synchronous=self.synchronous)
        return LabelingSession(estimator or NearestMean(), self.pool, ledger, **options)

    def truth(self, image_id):
        return str(self.labels[self.pool.row(image_id)])

    def answer(self, session, n=1):
        """Label the next `n` images as they are; return what was shown."""
        shown = []
        for _ in range(n):
            item = session.next()
            if item is None:
                break
            session.label(self.truth(item.image_id), slot=item.slot, seconds=2.0)
            shown.append(item)
        return shown


def wait_for(condition):
    """Wait until a condition holds, `PATIENCE` at most."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def noted_threads(monkeypatch, owner, name):
    """Return the threads in which a function is called from now on, one name for each call."""
    threads, function = [], getattr(owner, name)

    def noted(*args, **options):
        threads.append(threading.current_thread().name)
        return function(*args, **options)

    monkeypatch.setattr(owner, name, noted)
    return threads


def label_many(path, annotator, n):
    """Label `n` images of one's own, as another process."""
    ledger = LabelLedger(path)
    for i in range(n):
        ledger.label(f"{annotator}-{i}", CLASSES[i % 2], annotator=annotator, seconds=1.0)


def work_until_empty(path, annotator, n, start):
    """Label whatever a session shows until nothing is left, as another process."""
    start.wait()
    desk = Desk(path, n)
    desk.answer(desk.session(annotator=annotator, batch_size=4, repeat_share=0.0), n)


def work_until_killed(path, n, auto_retrain, pipe):
    """Say what is shown and what was acknowledged, over and over."""
    desk = Desk(path, n, synchronous="FULL")
    with desk.session(auto_retrain=auto_retrain, batch_size=7, repeat_share=0.1) as session:
        while (item := session.next()) is not None:
            pipe.send(("shown", item.image_id))
            event = session.label(desk.truth(item.image_id), slot=item.slot)
            pipe.send(("recorded", event.id))
        pipe.send(("finished", None))


def change_until_killed(path, n, pipe):
    """Label, label alike, relabel and clear; say how many each is to change, and what was recorded."""
    desk = Desk(path, n, synchronous="FULL")
    with desk.session(batch_size=7, audit_share=0.2, repeat_share=0.1) as session:
        reviewer = session.reviewer
        while (item := session.next()) is not None:
            session.label(desk.truth(item.image_id), slot=item.slot)
            alike = reviewer.alike(session.next().image_id, 6)
            answered = reviewer.rows(ReviewFilter("answers", label=CLASSES[0]))[:4]
            for label, rows in (
                (CLASSES[0], alike),
                (CLASSES[1], answered[1:]),
                (None, answered[:1]),
            ):
                pipe.send(("asked", len(rows)))
                changes = reviewer.answer(label, {row.image: row.event for row in rows})
                pipe.send(("recorded", [event.id for event in changes.events]))
        pipe.send(("finished", None))


def change_classes_until_killed(path, n, pipe):
    """Label, and change the classes; say what is asked for and what was recorded, by its events."""
    desk = Desk(path, n, synchronous="FULL")
    with desk.session(batch_size=7, repeat_share=0.1) as session:
        while (item := session.next()) is not None:
            session.label(desk.truth(item.image_id), slot=item.slot)
            name = f"class {len(session.ledger.class_list.identities)}"
            for do in (
                lambda name=name: session.add_class(name, description="new", color="red"),
                lambda: session.label("dark", slot=session.next().slot),
                lambda name=name: session.change_class(
                    name, to=f"{name}, renamed", description="x"
                ),
                lambda name=name: session.merge_classes(name, "dark"),
                session.undo,
                lambda name=name: session.merge_classes(name, "bright"),
            ):
                pipe.send(("asked", len(session.ledger.events())))
                do()
                pipe.send(("recorded", len(session.ledger.events())))
        pipe.send(("finished", None))


def as_nobody(call, *args):
    """Run `call` in a process whose user may write nothing here; return what it returns or raises."""
    ours, theirs = processes.Pipe()
    child = processes.Process(target=_nobody, args=(theirs, call, args))
    child.start()
    theirs.close()
    kind, value = ours.recv()
    child.join()
    if kind == "raised":
        raise value
    return value


def _nobody(pipe, call, args):
    if os.geteuid() == 0:
        os.setgid(65534)
        os.setuid(65534)
    try:
        pipe.send(("returned", call(*args)))
    except Exception as error:
        pipe.send(("raised", error))


class FakeBackbone:
    """A frozen network that takes a millisecond: rows of pixels, and a count of images embedded."""

    name, size, fingerprint = "fake", 6, "fake 1"
    store = Backbone.store

    def __init__(self, side=6):
        self.dim, self.size, self.embedded = side * side, side, 0
        self.held = None

    def __deepcopy__(self, memo):
        return self

    def features(self, X, *, cache_dir=None, progress=False):
        if self.held is not None:
            assert self.held.wait(60)
        X = np.asarray(X)
        self.embedded += len(X)
        return X.reshape(len(X), -1)[:, : self.dim].astype(np.float32) / 255


def work_together_until_killed(path, n, pipe):
    """Four colleagues label at once, one in three images twice; say what was recorded for whom."""
    desk = Desk(path, n, synchronous="FULL")
    options = {"batch_size": 5, "overlap": 0.3, "repeat_share": 0.1}
    ann = desk.session(annotator="ann", **options)
    lock = threading.Lock()

    def work(session):
        while (item := session.next()) is not None:
            wrong = session.annotator == "dee" and item.strategy == "overlap"
            label = CLASSES[0] if wrong else desk.truth(item.image_id)
            event = session.label(label, slot=item.slot)
            with lock:
                pipe.send((session.annotator, event.id))
            if session.annotator == "ann":
                disputed = session.reviewer.rows(ReviewFilter("disagreements"))[:1]
                seen = {row.image: row.event for row in disputed}
                settled = seen and session.reviewer.answer(desk.truth(*seen), seen).events
                with lock:
                    [pipe.send(("ann", event.id)) for event in settled or ()]

    sessions = [ann, *map(ann.colleague, ("ben", "cid", "dee"))]
    for thread in [threading.Thread(target=work, args=(session,)) for session in sessions]:
        thread.start()

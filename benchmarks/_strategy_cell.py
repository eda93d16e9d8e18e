"""One query, timed, in a process of its own: `strategies.py` runs this file.

    python _strategy_cell.py FOLDER N_ROWS NAME BATCH al_tf|peer|floor

FOLDER holds ``features.npy``, ``proba.npy`` and ``labels.npy`` of the pool, its first 200 rows
labeled; features of float16 are left in a memory map. Prints seconds, the peak of resident memory
over what was held before the query, pages of the memory map not counted, and how many those are.
Runs in this package's environment or, as a peer, in that of scikit-activeml. The floor is the plain
algorithm's matrix products and minima alone, in float32 on all cores.
"""

import json
import re
import sys
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np

N_LABELED = 200
N_LEARNERS = 5  # of the committee
WARM_UP = 1500
KDE_BANDWIDTH = 2.0
AS_THEY_COME = ("typiclust", "probcover", "tcm")  # take features as peers do, of any length
KDE_ROWS = 5_000  # a row's density takes KernelDensity the same time whatever the others: scaled up


class Given:
    """A learner whose pool is row numbers, with precomputed answers."""

    query_strategy = None

    def __init__(self, features, proba, labels):
        classes, known = range(proba.shape[1]), features[:N_LABELED].astype(np.float32)
        self.coef_ = np.array([known[labels[:N_LABELED] == c].mean(axis=0) for c in classes])
        self.intercept_ = -(self.coef_**2).sum(axis=1) / 2  # of the nearest mean, for drop_query
        self.features_of_pool, self.proba = features, proba
        self.estimator = self
        self.X_training = np.arange(N_LABELED)[:, None]
        self.classes_ = np.arange(proba.shape[1])

    def predict_proba(self, X):
        return self.proba[self.rows(X)]

    def transform(self, X):
        return self.features_of_pool[self.rows(X)]

    def vote_proba(self, X):
        return np.moveaxis(self.sample_proba(X, N_LEARNERS, 0), 0, 1)

    def vote(self, X):
        return self.vote_proba(X).argmax(axis=2)

    @staticmethod
    def rows(X):
        """Return consecutive row numbers as a slice: peers get their arrays directly too."""
        first, last = int(X[0, 0]), int(X[-1, 0])
        return slice(first, last + 1) if last - first + 1 == len(X) else X[:, 0]

    def sample_proba(self, X, n_samples, random_state):
        noise = np.random.default_rng(0).random((n_samples, 1, self.proba.shape[1]))
        drawn = self.predict_proba(X) * noise.astype(np.float32)
        drawn /= drawn.sum(axis=2, keepdims=True)
        return drawn


def our_query(name, features, proba, labels, batch):
    if name == "kde":
        from al_tf.geometry import kde_log_density

        return lambda: kde_log_density(features, bandwidth=KDE_BANDWIDTH)
    from al_tf.strategies import get_strategy

    strategy, learner = get_strategy(name), Given(features, proba, labels)
    pool = np.arange(N_LABELED, len(features))[:, None]
    options = {"unit_length": False} if name in AS_THEY_COME else {}
    return lambda: strategy(learner, pool, batch, random_state=0, **options)


def peer_query(name, features, proba, labels, batch):
    if name == "kde":
        from sklearn.neighbors import KernelDensity

        asked = features[:KDE_ROWS] if len(features) > 10_000 else features
        return lambda: KernelDensity(bandwidth=KDE_BANDWIDTH).fit(features).score_samples(asked)
    from skactiveml import pool
    from skactiveml.base import SkactivemlClassifier

    class Known(SkactivemlClassifier):
        """Answers for the rows in the order of the pool, so that no fit is timed."""

        def fit(self, X, y, sample_weight=None):
            return self

        def predict_proba(self, X):
            return proba[-len(X) :]

    class Linear(Known):
        """The nearest mean of the labeled rows, for features with dropout."""

        def predict(self, X):
            return (X @ head.coef_.T + head.intercept_).argmax(axis=1)

    known = np.full(len(features), np.nan)
    known[:N_LABELED] = labels[:N_LABELED]
    head = Given(features, proba, labels)
    classifier = (Linear if name == "drop_query" else Known)(classes=range(proba.shape[1]))
    classifier.classes_ = np.arange(proba.shape[1])
    asked = {"clf": classifier, "fit_clf": False}
    methods = {"uncertainty": "least_confident", "margin": "margin_sampling", "entropy": "entropy"}
    if name in methods:
        query = pool.UncertaintySampling(method=methods[name], random_state=0).query
    elif name == "badge":
        query = pool.Badge(random_state=0).query
    elif name == "drop_query":
        query = pool.DropQuery(n_dropout_samples=3, random_state=0).query
    else:
        asked = {}
        peers = {
            "random": pool.RandomSampling,
            "kcenter": pool.CoreSet,
            "typiclust": pool.TypiClust,
            "max_herding": pool.MaxHerding,
            "probcover": partial(pool.ProbCover, n_classes=proba.shape[1]),
        }
        query = peers[name](random_state=0).query
    return lambda: query(features, known, batch_size=batch, **asked)


def floor_query(name, features, proba, labels, batch):
    """k-center: distances to the labeled set in one product, then one pass per pick."""
    assert name == "kcenter"
    pool, known = features[N_LABELED:], features[:N_LABELED]

    def query():
        nearest = np.empty(len(pool), dtype=np.float32)
        for start in range(0, len(pool), 4096):
            part = slice(start, start + 4096)
            nearest[part] = (pool[part] @ known.T).min(axis=1)
        for _ in range(batch):
            np.minimum(nearest, pool @ pool[nearest.argmax()], out=nearest)

    return query


def resident_memory(field):
    """Return VmRSS or another field of the process's status in bytes, where the system has it."""
    status = Path("/proc/self/status")
    match = re.search(rf"{field}:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(match[1]) * 1024 if match else float("nan")


class PeakMemory:
    """The most resident memory beyond what was held before: the process's own, and pages of files.

    The system's peak is of both together. Where a memory map's pages are most of them, it may come
    at another moment than that of the process's own memory, which is looked at 200 times a second.
    """

    def __init__(self, maps_a_file):
        self.maps_a_file = maps_a_file

    def __enter__(self):
        clear = Path("/proc/self/clear_refs")
        if clear.exists():
            clear.write_text("5")  # the system's peak starts again from here
        self.before = resident_memory("VmRSS")
        self.own_before, self.mapped_before = self.own, self.mapped = self.look()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        if self.maps_a_file:
            self.thread.start()
        return self

    def __exit__(self, *error):
        self.ended.set()
        if self.maps_a_file:
            self.thread.join()
        own, self.mapped = self.look()
        self.own = max(self.own, own)

    def watch(self):
        while not self.ended.wait(0.005):
            self.own = max(self.own, self.look()[0])

    @staticmethod
    def look():
        return resident_memory("RssAnon"), resident_memory("RssFile")

    def megabytes(self):
        mapped = self.mapped - self.mapped_before
        together = resident_memory("VmHWM") - self.before
        own = self.own - self.own_before if self.maps_a_file else together - mapped
        return {"peak_mb": own / 1e6, "mapped_mb": mapped / 1e6}


def main():
    folder, n_rows, name, batch = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    build = {"al_tf": our_query, "peer": peer_query, "floor": floor_query}[sys.argv[5]]
    files = [
        np.load(Path(folder) / f"{f}.npy", mmap_mode="r") for f in ("features", "proba", "labels")
    ]
    features, proba, labels = (
        file[:n_rows] if file.dtype == np.float16 else np.array(file[:n_rows]) for file in files
    )
    if build is peer_query:
        features = np.array(features, dtype=np.float32)
    build(name, features[:WARM_UP], proba[:WARM_UP], labels[:WARM_UP], min(batch, 100))()
    query = build(name, features, proba, labels, batch)
    with PeakMemory(features.dtype == np.float16) as peak:
        start, busy = time.perf_counter(), time.process_time()
        query()
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - busy
    if build is peer_query and name == "kde" and n_rows > 10_000:
        seconds, cpu_seconds = (s * n_rows / KDE_ROWS for s in (seconds, cpu_seconds))
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu_seconds, **peak.megabytes()}))


if __name__ == "__main__":
    main()

"""One side of the loop benchmark: whole active-learning runs, the same loop for both sides.

    python sides/loop.py al_tf|modal_scikeras|al_tf_probe|modal_logistic DATA.npz SETTINGS

SETTINGS is a JSON object; its ``runs`` lists pairs of a strategy (margin or random) and a seed.
Prints one JSON object. Runs with this package's environment or with a peer's: of `al_tf` it
takes the network alone (`al_tf.network.models`) unless it measures `al_tf`. The last two are given
features in place of images.
"""

from __future__ import annotations

import json
import os
import sys
import time
from functools import partial
from typing import Any

import numpy as np


def al_tf_learner(settings: dict, strategy: str, x: np.ndarray, y: np.ndarray, seed: int) -> Any:
    from al_tf import ActiveLearner, KerasImageClassifier, get_strategy

    classifier = KerasImageClassifier(
        model_params=settings.get("model_params"),
        classes=range(10),
        epochs=settings["epochs"],
        batch_size=32,
        random_state=seed,
    )
    return ActiveLearner(classifier, get_strategy(strategy), x, y)


def probe_learner(settings: dict, strategy: str, x: np.ndarray, y: np.ndarray, seed: int) -> Any:
    from al_tf import ActiveLearner, LinearProbeClassifier, get_strategy

    return ActiveLearner(
        LinearProbeClassifier(None, C=settings["C"], classes=range(10)),
        get_strategy(strategy),
        x,
        y,
    )


def random_sampling(learner: Any, pool: np.ndarray, n_instances: int) -> np.ndarray:
    return np.random.default_rng(len(pool)).choice(len(pool), n_instances, replace=False)


def modal_learner(settings: dict, strategy: str, x: np.ndarray, y: np.ndarray, seed: int) -> Any:
    from modAL.models import ActiveLearner
    from modAL.uncertainty import margin_sampling
    from scikeras.wrappers import KerasClassifier

    from al_tf.network.models import build_cnn

    classifier = KerasClassifier(
        partial(build_cnn, (28, 28), 10),
        loss="categorical_crossentropy",
        epochs=settings["epochs"],
        batch_size=32,
        random_state=seed,
        verbose=0,
    )
    query = {"margin": margin_sampling, "random": random_sampling}[strategy]
    return ActiveLearner(classifier, query, x, y)


def logistic_learner(settings: dict, strategy: str, x: np.ndarray, y: np.ndarray, seed: int) -> Any:
    from modAL.models import ActiveLearner
    from modAL.uncertainty import margin_sampling
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=settings["C"], max_iter=1000))
    return ActiveLearner(
        model, {"margin": margin_sampling, "random": random_sampling}[strategy], x, y
    )


LEARNERS = {
    "al_tf": al_tf_learner,
    "modal_scikeras": modal_learner,
    "al_tf_probe": probe_learner,
    "modal_logistic": logistic_learner,
}
ON_FEATURES = ("al_tf_probe", "modal_logistic")


def run(
    side: str, settings: dict, data: dict[str, np.ndarray], strategy: str, seed: int
) -> dict[str, Any]:
    """Run once; return seconds by phase, and accuracy and memory round by round."""
    x, y = data["x_train"], data["y_train"]
    x_test, y_test = (data[k][: settings.get("test")] for k in ("x_test", "y_test"))
    order = np.random.default_rng(seed).permutation(len(x))[: settings["pool"]]
    labeled, rest = order[: settings["initial"]], order[settings["initial"] :]
    rounds: list[dict[str, float]] = []
    clock = time.perf_counter
    start = clock()
    learner = LEARNERS[side](settings, strategy, x[labeled], y[labeled], seed)
    seconds_fit, seconds_query = clock() - start, 0.0
    for number in range(settings["rounds"] + 1):
        if number:
            before = clock()
            chosen, images = learner.query(x[rest], n_instances=settings["batch"])
            asked = clock()
            learner.teach(images, y[rest[chosen]])
            seconds_query, seconds_fit = asked - before, clock() - asked
            rest = np.delete(rest, chosen)
        before = clock()
        accuracy = float(np.mean(learner.predict(x_test) == y_test))
        n = settings["initial"] + number * settings["batch"]
        rounds.append(
            {
                "n_labeled": n,
                "accuracy": accuracy,
                "fit": seconds_fit,
                "ms_per_step": 1e3 * seconds_fit / (settings.get("epochs", 1) * -(-n // 32)),
                "query": seconds_query,
                "evaluate": clock() - before,
                "rss_mb": resident_mb(),
            }
        )
    return {"seconds": clock() - start, "rounds": rounds}


def resident_mb() -> float:
    """Return the resident memory of this process."""
    import psutil

    return psutil.Process().memory_info().rss / 1e6


def main() -> None:
    side, path, settings = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    start = time.perf_counter()
    if side not in ON_FEATURES:
        import keras  # noqa: F401
    else:
        import sklearn.linear_model  # noqa: F401

    import_seconds = time.perf_counter() - start
    data = dict(np.load(path))
    if side == "modal_scikeras":  # what its users do; al_tf takes uint8 as they are
        for key in ("x_train", "x_test"):
            data[key] = data[key].astype(np.float32) / 255
    cpu, start = sum(os.times()[:2]), time.perf_counter()
    runs = [run(side, settings, data, *one) for one in settings["runs"]]
    print(
        json.dumps(
            {
                "runs": runs,
                "seconds": time.perf_counter() - start,
                "import_seconds": import_seconds,
                "cpu_seconds": sum(os.times()[:2]) - cpu,
            }
        )
    )


if __name__ == "__main__":
    main()

"""From nothing to the first query; prints how long each part took."""

import json
import time

start = time.perf_counter()
from al_tf import ActiveLearner, KerasImageClassifier, get_strategy, load_dataset  # noqa: E402

digits = load_dataset("digits")
loaded = time.perf_counter()
classifier = KerasImageClassifier(classes=range(10), random_state=0)
import keras  # noqa: E402, F401

imported = time.perf_counter()
learner = ActiveLearner(
    classifier, get_strategy("margin"), digits.x_train[:200], digits.y_train[:200]
)
fitted = time.perf_counter()
learner.query(digits.x_train[200:], n_instances=10)
queried = time.perf_counter()
print(
    json.dumps(
        {
            "load_seconds": loaded - start,
            "keras_seconds": imported - loaded,
            "fit_seconds": fitted - imported,
            "query_seconds": queried - fitted,
        }
    )
)

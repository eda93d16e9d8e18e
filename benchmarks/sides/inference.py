"""SciKeras' side of the inference benchmark: `predict_proba` of a pool, traced beforehand.

python sides/inference.py POOL.npy
"""

from __future__ import annotations

import json
import sys
import time
from functools import partial

import numpy as np
from scikeras.wrappers import KerasClassifier

from al_tf.network.models import build_cnn


def main() -> None:
    pool = np.load(sys.argv[1])
    scaled = pool.astype(np.float32) / 255
    classifier = KerasClassifier(
        partial(build_cnn, pool.shape[1:], 10),
        loss="categorical_crossentropy",
        batch_size=32,
        verbose=0,
    )
    classifier.fit(scaled[:64], np.arange(64) % 10)
    classifier.predict_proba(scaled[:1024])
    wall, cpu = time.perf_counter(), time.process_time()
    classifier.predict_proba(scaled)
    seconds = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()

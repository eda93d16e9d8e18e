"""One query of a memory-mapped pool; prints seconds and memory.

python sides/scale.py POOL.npy STRATEGY [CACHE_FOLDER]

The baseline is the process with the network trained and a thousand images scored.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import zlib

import numpy as np
import psutil

from al_tf import ActiveLearner, KerasImageClassifier, get_strategy


class Peak:
    """The most resident memory of this process from now on, sampled every 20 ms."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self.start = self.top = self._process.memory_info().rss
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            self.top = max(self.top, self._process.memory_info().rss)
            time.sleep(0.02)


def main() -> None:
    path, strategy, *cache = sys.argv[1:]
    pool = np.load(path, mmap_mode="r")
    labeled = np.sort(np.random.default_rng(0).choice(len(pool), 500, replace=False))
    images = pool[labeled]
    classifier = KerasImageClassifier(
        classes=range(10), epochs=2, random_state=0, cache_dir=cache[0] if cache else None
    )
    learner = ActiveLearner(classifier, get_strategy(strategy), images, np.arange(500) % 10)
    learner.predict_proba(np.asarray(images))
    peak, start = Peak(), time.perf_counter()
    chosen, _ = learner.query(pool, n_instances=100, random_state=0)
    print(
        json.dumps(
            {
                "seconds": time.perf_counter() - start,
                "baseline_mb": peak.start / 1e6,
                "growth_mb": (peak.top - peak.start) / 1e6,
                "checksum": zlib.crc32(np.ascontiguousarray(chosen, dtype=np.int64)),
            }
        )
    )


if __name__ == "__main__":
    main()

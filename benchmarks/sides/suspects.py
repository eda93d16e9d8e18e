"""cleanlab's answers on the probabilities of `suspects.py`: which labels are wrong, and how wrong.

    python suspects.py FOLDER

FOLDER holds ``*.npz`` with ``labels`` and ``proba``; beside each is written ``*.cleanlab.npz``: a
flag for every label by each of cleanlab's filters, and its quality by each of its scores.
"""

import json
import sys
from pathlib import Path

import numpy as np
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores

FILTERS = ("prune_by_noise_rate", "confident_learning", "both")
SCORES = {
    "self_confidence": {},
    "normalized_margin": {},
    "confidence_weighted_entropy": {},
    "self_confidence, adjusted": {"method": "self_confidence", "adjust_pred_probs": True},
    "normalized_margin, adjusted": {"method": "normalized_margin", "adjust_pred_probs": True},
}


def main(folder: str) -> None:
    paths = sorted(path for path in Path(folder).glob("*.npz") if ".cleanlab" not in path.name)
    for path in paths:
        with np.load(path) as case:
            labels, proba = case["labels"], case["proba"]
        flags = {
            f"flag {name}": find_label_issues(labels, proba, filter_by=name, n_jobs=1)
            for name in FILTERS
        }
        scores = {
            f"score {name}": get_label_quality_scores(labels, proba, **{"method": name} | options)
            for name, options in SCORES.items()
        }
        np.savez(path.with_suffix(".cleanlab.npz"), **flags, **scores)
    print(json.dumps({"cases": len(paths)}))


if __name__ == "__main__":
    main(sys.argv[1])

"""Two strategies: one named with all that is known about it, one as a bare function."""

import numpy as np

from al_tf.seeding import check_random_state
from al_tf.strategies import StrategyInfo


def _best(scores, n_instances, random_state):
    if not 1 <= n_instances <= len(scores):
        raise ValueError(f"n_instances={n_instances} does not fit a pool of {len(scores)}.")
    ties = check_random_state(random_state).random(len(scores))
    indices = np.lexsort((ties, -scores))[:n_instances]
    return indices, scores[indices]


def least_likely_class(classifier, X, n_instances=1, *, random_state=None):
    """Query where even the least likely class has some probability."""
    scores = np.asarray(classifier.predict_proba(X), dtype=float).min(axis=1)
    n_bad = int(np.isnan(scores).sum())
    if n_bad:
        raise ValueError(f"{n_bad} rows of probabilities are NaN.")
    return _best(scores, n_instances, random_state)


def darkest(classifier, X, n_instances=1, *, random_state=None):
    """Query the darkest images."""
    pixels = np.asarray(X, dtype=float).reshape(len(X), -1)
    return _best(-pixels.mean(axis=1), n_instances, random_state)


INFO = StrategyInfo(
    name="least_likely_class",
    function=least_likely_class,
    family="uncertainty",
    needs=("probabilities",),
    cost="n·K",
    paper="none: an example",
)

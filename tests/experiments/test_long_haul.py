"""Two hundred rounds in one process: memory stays where it was once everything has been met."""

import numpy as np
import psutil
import pytest

from al_tf.experiments import ExperimentConfig, run_experiment
from al_tf.strategies import get_strategy

from .helpers import registered

pytestmark = pytest.mark.slow

ROUNDS, GROWTH = 200, 20  # MiB from round 50 on
resident: list[float] = []


@registered
def weighs(classifier, X, n_instances=1, *, random_state=None):
    """Note the memory of this process, then choose as margin does."""
    resident.append(psutil.Process().memory_info().rss / 2**20)
    return get_strategy("margin")(classifier, X, n_instances, random_state=random_state)


@pytest.mark.keras
def test_memory_is_flat_over_two_hundred_rounds(tmp_path):
    config = ExperimentConfig(
        dataset="digits",
        strategies="weighs",
        seeds=1,
        initial=30,
        batch=5,
        rounds=ROUNDS,
        epochs=1,
        min_steps=8,
        model_params={"filters": [4], "dense": 8},
        eval_every=ROUNDS,
    )
    results = run_experiment(config, tmp_path, jobs=0, progress=False)
    assert results["n_labeled"].max() == 30 + 5 * ROUNDS
    assert len(resident) == ROUNDS
    early, late = np.median(resident[40:60]), np.median(resident[-20:])
    assert late - early < GROWTH, f"{early:.0f} MiB about round 50, {late:.0f} MiB at the end"

"""Simulated learning curves for the tests of the analysis and the plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

LABELS = (200, 300, 400, 600, 1000)


def results(
    curves: Mapping[str, Sequence[Sequence[float]]],
    *,
    labels: Sequence[int] = LABELS,
    dataset: str = "digits",
) -> pd.DataFrame:
    """Tidy results from stated accuracies: a strategy's curves, one a seed."""
    rows = [
        (dataset, strategy, seed, i, labels[i], value, value - 0.02, float("nan"), 2.0, 0.5)
        for strategy, runs in curves.items()
        for seed, run in enumerate(runs)
        for i, value in enumerate(run)
    ]
    columns = ["dataset", "strategy", "seed", "round", "n_labeled", "accuracy", "f1_macro"]
    return pd.DataFrame(rows, columns=[*columns, "seconds_query", "seconds_fit", "seconds_eval"])


def simulate(
    generator: np.random.Generator,
    n_experiments: int,
    n_strategies: int,
    n_seeds: int,
    *,
    gain: float = 0.0,
    noise: str = "normal",
    labels: Sequence[int] = LABELS,
) -> np.ndarray:
    """Accuracies of shape (experiments, strategies, seeds, labels); strategy 0 is random.

    Seeds share an effect (that is what pairing removes), rounds have noise of their own, and
    every other strategy is better by `gain` throughout.
    """
    shape = (n_experiments, n_strategies, n_seeds, len(labels))
    draw = {
        "normal": lambda: generator.normal(0, 0.01, shape),
        "heavy": lambda: 0.006 * generator.standard_t(3, shape),
        "skewed": lambda: -0.01 * generator.exponential(1, shape),
    }[noise]
    shared = generator.normal(0, 0.02, (n_experiments, 1, n_seeds, 1))
    accuracy = 0.9 - 3 / np.sqrt(np.asarray(labels)) + shared + draw()
    accuracy[:, 1:] += gain
    return accuracy


def experiment(accuracy: np.ndarray, *, dataset: str = "digits") -> pd.DataFrame:
    """One simulated experiment, shape (strategies, seeds, labels), as tidy results."""
    names = ["random", *(f"s{i}" for i in range(1, len(accuracy)))]
    return results(dict(zip(names, accuracy, strict=True)), dataset=dataset)

"""What seed k fixes for every strategy alike: data, pool, initial set, the oracle's answers."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..seeding import stream
from .config import ExperimentConfig
from .oracles import Panel, make_panel, oracle_answers

if TYPE_CHECKING:
    from ..datasets import ImageDataset


@dataclass(frozen=True, eq=False)
class Setting:
    """The common ground of all runs of one seed; ids index ``x_train``."""

    config: ExperimentConfig
    seed: int
    data: ImageDataset
    answers: np.ndarray  # (n_train,) the oracle's answer for each image
    pool: np.ndarray  # ids, ascending, the initial ones included
    initial: np.ndarray  # ids labeled at round 0
    stop_set: np.ndarray  # ids that the stopping rules look at
    validation: np.ndarray  # ids outside the pool that the upper line chooses by
    x_train: np.ndarray  # what the model sees of the training images: themselves, or features
    x_test: np.ndarray
    panel: Panel | None = None  # several annotators, where the experiment has them

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.data.class_names)


def load_data(config: ExperimentConfig, seed: int) -> ImageDataset:
    """Load the experiment's dataset as `seed` sees it; the last one is kept."""
    from ..datasets import depends_on_seed

    if not depends_on_seed(config.dataset, config.imbalance):
        seed = 0  # the runs of all seeds share what is kept
    asked = json.dumps([config.imbalance, dict(config.dataset_options)])
    return _load(config.dataset, asked, seed)


@functools.lru_cache(maxsize=1)
def _load(name: str, asked: str, seed: int) -> ImageDataset:
    from ..datasets import load_dataset

    imbalance, options = json.loads(asked)
    return load_dataset(name, imbalance=imbalance, seed=seed, **options)


def draw_pool(config: ExperimentConfig, seed: int, n: int) -> np.ndarray:
    """Return the ids of a seed's pool out of `n` training images, ascending."""
    if config.pool is None or config.pool >= n:
        return np.arange(n)
    return np.sort(stream(seed, "pool").choice(n, config.pool, replace=False))


def draw_validation(config: ExperimentConfig, seed: int, pool: np.ndarray, n: int) -> np.ndarray:
    """Return the ids, out of `n` training images, that a seed's upper line chooses by.

    Raises
    ------
    ValueError
        Fewer images than that are outside the pool.
    """
    if not config.upper_line:
        return np.empty(0, np.intp)
    outside = np.setdiff1d(np.arange(n), pool)
    if len(outside) < config.validation:
        raise ValueError(
            f"The upper line needs validation={config.validation} training images outside the pool, "
            f"and there are {len(outside)}. Lower pool or validation."
        )
    return stream(seed, "validation").choice(outside, config.validation, replace=False)


def _sizes(config: ExperimentConfig) -> str:
    return " or ".join(map(str, dict.fromkeys(np.ravel(config.batch).tolist())))


def make_setting(config: ExperimentConfig, seed: int) -> Setting:
    """Load the data and make every draw that strategies share.

    Parameters
    ----------
    config : ExperimentConfig
        The experiment.
    seed : int
        One of its seeds.

    Returns
    -------
    Setting

    Raises
    ------
    ValueError
        The pool has fewer images than the experiment asks labels for, or the oracle's
        confusion matrix does not fit the classes.
    """
    data = load_data(config, seed)
    pool = draw_pool(config, seed, len(data.x_train))
    validation = draw_validation(config, seed, pool, len(data.x_train))
    if config.labels_per_run > len(pool):
        raise ValueError(
            f"{config.initial} initial labels and {config.rounds} rounds of {_sizes(config)} ask for "
            f"{config.labels_per_run} labels, but the pool of {data.name} holds {len(pool)} images. "
            "Lower rounds, batch or initial."
        )
    y, n_classes = data.y_train, len(data.class_names)
    panel = make_panel(y, config.annotators, n_classes, seed) if config.annotators else None
    answers = oracle_answers(y, config.noise, n_classes, seed)
    stop_size = min(config.stop_set, len(pool))
    return Setting(
        config=config,
        seed=seed,
        data=data,
        answers=answers if panel is None else panel.first_answers,
        pool=pool,
        initial=_initial_ids(config, data.y_train, pool, stream(seed, "initial")),
        stop_set=stream(seed, "stop set").choice(pool, stop_size, replace=False),
        validation=validation,
        x_train=data.x_train,
        x_test=data.x_test,
        panel=panel,
    )


def _initial_ids(
    config: ExperimentConfig, y_train: Any, pool: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    if not config.stratified:
        return rng.choice(pool, config.initial, replace=False)
    shuffled = rng.permutation(pool)
    by_class = shuffled[np.argsort(y_train[shuffled], kind="stable")]
    spread = (np.arange(config.initial) + 0.5) * len(pool) / config.initial
    return rng.permutation(by_class[spread.astype(int)])

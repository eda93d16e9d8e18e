"""What a strategy asks for in a round, with the model of the round before or without any."""

from __future__ import annotations

import numpy as np

from ..seeding import derive_seed
from .estimators import Estimator, features_without_fit
from .setting import Setting
from .strategy_spec import StrategySpec


def batch_size(setting: Setting, number: int, n_labeled: int) -> int:
    """Return how many labels round `number` asks for: its batch, or what is left of the budget."""
    size, budget = setting.config.batch_of(number), setting.config.stop_budget
    return size if budget is None else min(size, budget - n_labeled)


def query(
    setting: Setting,
    spec: StrategySpec,
    estimator: Estimator,
    labeled: np.ndarray,
    answers: np.ndarray,
    number: int,
    size: int,
) -> np.ndarray:
    """Return the ids that a strategy asks for; it sees no label but those of the labeled set.

    Parameters
    ----------
    setting : Setting
        Images and pool.
    spec : StrategySpec
        The strategy.
    estimator : Estimator
        The fitted model; not used while nothing is labeled.
    labeled : ndarray of int, shape (m,)
        Ids labeled so far, in the order of labeling.
    answers : ndarray of int, shape (m,)
        The oracle's answers for them.
    number : int
        The round that the new labels are for; the strategy's seed follows from it.
    size : int
        How many to ask for.

    Returns
    -------
    ndarray of int, shape (size,)
        Best first.
    """
    from ..learner import ActiveLearner
    from ..strategies import get_strategy

    x_train, seed = setting.x_train, derive_seed(setting.seed, "query", number)
    unlabeled = np.setdiff1d(setting.pool, labeled)
    if not len(labeled):
        return unlabeled[_first_batch(setting, spec, unlabeled, size, seed)]
    learner = ActiveLearner(estimator, get_strategy(spec.name))
    learner.X_training, learner.y_training = x_train[labeled], answers
    chosen, _ = learner.query(
        x_train[unlabeled], n_instances=size, random_state=seed, **spec.params
    )
    return unlabeled[chosen]


def _first_batch(
    setting: Setting, spec: StrategySpec, unlabeled: np.ndarray, size: int, seed: int
) -> np.ndarray:
    """Return the places of the first batch: the strategy's, or the random draw of all others.

    Those that need a model begin with the batch of the strategy ``random``, so that until a model
    has chosen they are equal to the baseline and to each other.
    """
    from ..strategies import get_strategy, strategy_info
    from ..strategies.cold_start import FeaturesOnly

    features = None
    if strategy_info(spec.name).starts_without_model:
        features = features_without_fit(setting.config, setting.x_train[unlabeled])
    if features is None:
        return get_strategy("random")(None, unlabeled, size, random_state=seed)[0]
    stand_in = FeaturesOnly(range(setting.n_classes))
    strategy = get_strategy(spec.name)
    return strategy(stand_in, features, size, random_state=seed, **spec.params)[0]

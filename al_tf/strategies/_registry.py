"""The registry: built-in strategies, those of installed packages, those of a notebook."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from ..errors import PluginError, UnknownNameError

Strategy = Callable[..., Any]

ENTRY_POINT_GROUP = "al_tf.strategies"
NEEDS = (
    "probabilities", "features", "classes", "labeled set", "dropout", "joint samples", "refits",
    "committee",
)  # fmt: skip
WITHOUT_MODEL = {"features", "classes", "labeled set"}
# "classes": how many there are, of ``classes_`` or ``classes``, not their probabilities. "dropout": ``sample_proba``, its samples independent or not between images. "joint samples": each
# sample of ``sample_proba`` is one draw of the weights for all images. "refits": clones of the
# estimator are fitted to the labeled set with further images.

REGISTRY: dict[str, StrategyInfo] = {}


@dataclass(frozen=True)
class StrategyInfo:
    """Facts about a strategy that are known without running it.

    Parameters
    ----------
    name : str
        The name to get it by.
    function : callable
        ``strategy(classifier, X, n_instances=1, *, random_state=None, **params)``, returning
        ``(indices, scores)``.
    family : str
        The idea behind it: ``"uncertainty"``, ``"diversity"``, …
    needs : tuple of str
        What it needs of the classifier, out of `NEEDS`: an empty tuple works before any model is
        fitted, ``"features"``, ``"classes"`` and ``"labeled set"`` with features alone.
    cost : str
        Time after the forward pass, in n (pool), k (batch), d (features), K (classes),
        m (labeled set), S (stochastic passes), L (learners).
    paper : str
        Its source.
    stochastic : bool
        Draws at random beyond breaking ties, so that under one seed the choice may change with the
        order of the pool; its distribution does not.
    sequential : bool
        A score is the value at the moment of choice, so that scores need not descend.
    error : str
        For an installed package whose strategy cannot be loaded, why; else empty.
    cold_start : bool
        Chooses the first images from features alone, although it needs a model afterwards.
    large_pools : bool
        Needs no features, or reads them in blocks and copies no more than a part of them: a
        million images of 1,280 float16 features in a memory map take less than 4 GB.
    """

    name: str
    function: Strategy
    family: str = "other"
    needs: tuple[str, ...] = ()
    cost: str = "not stated"
    paper: str = ""
    stochastic: bool = False
    sequential: bool = False
    error: str = ""
    cold_start: bool = False
    large_pools: bool = False

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise TypeError(f"A strategy must be callable; {self.name!r} is {self.function!r}.")
        unknown = [need for need in self.needs if need not in NEEDS]
        if isinstance(self.needs, str) or unknown:
            raise ValueError(
                f"Strategy {self.name!r}: needs is a tuple out of {NEEDS}; got {self.needs!r}."
            )

    @property
    def starts_without_model(self) -> bool:
        """Whether it can choose before anything is labeled, from features alone where it needs any."""
        return self.cold_start or WITHOUT_MODEL.issuperset(self.needs)


def get_strategy(name: str) -> Strategy:
    """Return the strategy registered as `name`.

    Raises
    ------
    UnknownNameError
        No such strategy; the message lists the known ones.
    PluginError
        An installed package offers it and cannot be loaded; the message names the package.

    Examples
    --------
    >>> import numpy as np
    >>> from al_tf import get_strategy
    >>> from al_tf.strategies.testing import FakeClassifier
    >>> X = np.random.default_rng(0).random((50, 8, 8))
    >>> classifier = FakeClassifier().fit(X[:6], [0, 1, 2, 0, 1, 2])
    >>> indices, scores = get_strategy("margin")(classifier, X[6:], n_instances=5, random_state=0)
    >>> indices.shape
    (5,)
    """
    info = strategy_info(name)
    if info.error:
        raise PluginError(info.error)
    return info.function


def list_strategies() -> list[str]:
    """Return all known names: built-in and registered ones, then those of installed packages.

    Packages are looked up, not loaded; a strategy that cannot be loaded is listed too, with the
    reason in ``strategy_info(name).error``.

    Examples
    --------
    >>> from al_tf import list_strategies
    >>> list_strategies()[:4]
    ['random', 'uncertainty', 'margin', 'entropy']
    """
    return [*REGISTRY, *sorted(_plugins())]


def strategy_info(name: str) -> StrategyInfo:
    """Return the facts about the strategy registered as `name`; see `StrategyInfo`.

    Raises
    ------
    UnknownNameError
        No such strategy; the message lists the known ones.

    Examples
    --------
    >>> from al_tf.strategies import strategy_info
    >>> strategy_info("kcenter").needs
    ('features', 'labeled set')
    """
    if name in REGISTRY:
        return REGISTRY[name]
    plugins = _plugins()
    if name not in plugins:
        listed = ", ".join([*REGISTRY, *sorted(plugins)])
        raise UnknownNameError(f"Unknown strategy {name!r}. Known strategies: {listed}.")
    return _load(name, plugins[name])


def register_strategy(
    name: str | Strategy,
    function: Strategy | None = None,
    *,
    family: str = "other",
    needs: Iterable[str] = (),
    cost: str = "not stated",
    paper: str = "",
    stochastic: bool = False,
    sequential: bool = False,
    cold_start: bool = False,
    large_pools: bool = False,
    overwrite: bool = False,
) -> Any:
    """Register a strategy for this process, as a decorator or by a call.

    ``@register_strategy`` uses the function's own name; ``@register_strategy("name", ...)`` and
    ``register_strategy("name", function, ...)`` another. To share a strategy, give its package an
    entry point in the group ``al_tf.strategies``.

    Parameters
    ----------
    name : str or callable
        The name; the function itself where it is used as a bare decorator.
    function : callable, optional
        The strategy; without it, a decorator is returned.
    family, needs, cost, paper, stochastic, sequential, cold_start, large_pools
        As in `StrategyInfo`.
    overwrite : bool
        Replace a strategy of this name, as when a notebook cell runs again.

    Returns
    -------
    callable
        The strategy, unchanged, or the decorator.

    Raises
    ------
    ValueError
        The name belongs to another function and `overwrite` is False; or `needs` has something
        that is not in `NEEDS`.

    Examples
    --------
    >>> from al_tf.strategies import get_strategy, query_by_proba, register_strategy
    >>> @register_strategy("gini", needs=("probabilities",), overwrite=True)
    ... def gini(classifier, X, n_instances=1, *, random_state=None):
    ...     score = lambda proba: 1 - (proba**2).sum(axis=1)
    ...     return query_by_proba(score, classifier, X, n_instances, random_state)
    >>> get_strategy("gini") is gini
    True
    """
    if isinstance(name, str):
        chosen_name = name
    else:
        chosen_name, function = name.__name__, name

    def register(strategy: Strategy) -> Strategy:
        info = StrategyInfo(
            chosen_name, strategy, family, tuple(needs), cost, paper, stochastic, sequential,
            cold_start=cold_start, large_pools=large_pools,
        )  # fmt: skip
        known = REGISTRY.get(chosen_name)
        if known is not None and known.function is not strategy and not overwrite:
            raise ValueError(
                f"A strategy named {chosen_name!r} is registered already ({known.function.__module__}."
                f"{known.function.__qualname__}). Choose another name, or pass overwrite=True."
            )
        REGISTRY[chosen_name] = info
        return strategy

    return register if function is None else register(function)


def _plugins() -> dict[str, list[EntryPoint]]:
    """Return the strategies that installed packages offer, not loaded; registered names win."""
    plugins: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        if point.name in REGISTRY:
            warnings.warn(
                f"The strategy {point.name!r} of {_origin(point)} is ignored: a strategy of that "
                "name is registered already.",
                stacklevel=3,
            )
        elif point not in plugins.setdefault(point.name, []):
            plugins[point.name].append(point)
    return plugins


def _load(name: str, points: list[EntryPoint]) -> StrategyInfo:
    """Load the strategy that an installed package offers as `name`; on failure, say why in it."""
    if len(points) > 1:
        origins = " and ".join(_origin(point) for point in points)
        return _broken(name, f"Several packages offer the strategy {name!r}: {origins}.")
    try:
        offered = points[0].load()
        info = offered if isinstance(offered, StrategyInfo) else StrategyInfo(name, offered)
    except Exception as reason:
        return _broken(
            name,
            f"The strategy {name!r} of {_origin(points[0])} cannot be loaded: "
            f"{type(reason).__name__}: {reason}. Mend or uninstall that package.",
        )
    return info


def _broken(name: str, error: str) -> StrategyInfo:
    def unusable(*_: Any, **__: Any) -> Any:
        raise PluginError(error)

    return StrategyInfo(name, unusable, family="cannot be loaded", error=error)


def _origin(point: EntryPoint) -> str:
    package = f"the package {point.dist.name}" if point.dist is not None else "an unnamed package"
    return f"{package} ({point.value})"

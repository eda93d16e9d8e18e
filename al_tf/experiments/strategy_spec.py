"""The strategies of an experiment: what its list may hold, in Python and in tables of settings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from annotated_types import Interval

from ..errors import check_one_of
from .parameters import check_parameters
from .values import as_list, as_plain, check_fields, none_for_text

UPPER_LINE = "oracle"
"""Label of the runs that `al_tf.ExperimentConfig.upper_line` adds."""
RELABEL = ("never", "always", "when_doubtful")
RESERVED = ("classifier", "X", "n_instances", "random_state")
"""Arguments of a strategy that an experiment passes; the others are its options."""
OF_THE_EXPERIMENT = ("name", "relabel", "doubt")
"""What a strategy's table of settings may hold beside options."""
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")


@dataclass(frozen=True)
class StrategySpec:
    """One entry of an experiment's list: a strategy, its parameters, and what to call the pair.

    Examples
    --------
    >>> from al_tf import ExperimentConfig
    >>> from al_tf.experiments import StrategySpec
    >>> farthest = StrategySpec("farthest", "entropy_cluster", {"select": "farthest"})
    >>> config = ExperimentConfig(dataset="digits", seeds=[0], strategies=["random", farthest])
    >>> [spec.label for spec in config.strategies]
    ['random', 'farthest']
    """

    label: str
    """Name in records and figures; the same strategy may appear twice under two labels."""
    name: str
    """Registered name of the strategy."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """Keyword arguments of the strategy."""
    relabel: str = "never"
    """When another annotator is asked about a labeled image: ``never``, ``always``,
    ``when_doubtful``; see `al_tf.experiments.annotators`. Needs several `annotators`."""
    doubt: Annotated[float, Interval(ge=0, lt=1)] = 0.5
    """For ``when_doubtful``: ask from this doubt on, 1 - p with p the probability that a model
    which has not seen the label gives it."""

    def __post_init__(self) -> None:
        from ..strategies import get_strategy, strategy_info

        object.__setattr__(self, "params", none_for_text(as_plain(self.params)))
        check_fields(self)
        if not _LABEL.fullmatch(self.label):
            raise ValueError(
                f"A strategy's label names files: letters, digits and _ . + - only; got "
                f"{self.label!r}."
            )
        if self.label == UPPER_LINE:
            raise ValueError(
                f"The label {UPPER_LINE!r} is reserved for the upper line, which sees labels and is no "
                "strategy: set upper_line=True."
            )
        check_one_of("relabel", self.relabel, RELABEL)
        what = f"Strategy {self.name!r}"
        check_parameters(what, get_strategy(self.name), self.params, RESERVED)
        if "committee" in strategy_info(self.name).needs:
            raise ValueError(
                f"Strategy {self.name!r} needs a committee of models; an experiment trains one."
            )


def as_specs(strategies: Any) -> tuple[StrategySpec, ...]:
    """Return what a list of names and `StrategySpec` stands for; ``random`` is put first if missing.

    Raises
    ------
    ValueError
        Another kind of entry, a label that appears twice, or another strategy called ``random``.
    """
    specs = []
    for entry in as_list(strategies):
        if not isinstance(entry, (str, StrategySpec)):
            raise ValueError(f"strategies should be names or StrategySpecs; got {entry!r}.")
        specs.append(StrategySpec(entry, entry) if isinstance(entry, str) else entry)
    if not any(s.label == "random" for s in specs):
        specs.insert(0, StrategySpec("random", "random"))
    labels = [s.label for s in specs]
    twice = [label for label in labels if labels.count(label) > 1]
    if twice:
        raise ValueError(f"Strategy label {twice[0]!r} appears twice; give one another label.")
    if next(s for s in specs if s.label == "random") != StrategySpec("random", "random"):
        raise ValueError(
            "The label 'random' is reserved for the baseline, the strategy 'random' as it is."
        )
    return tuple(specs)


def specs_from_tables(listed: Any, tables: Any) -> list[Any]:
    """Return the entries of a list, with the parameters that tables hold for their labels.

    Parameters
    ----------
    listed : str or iterable
        Labels; anything else in it is passed on.
    tables : mapping of str to mapping
        Parameters by label; ``name`` says which strategy a label stands for.

    Raises
    ------
    ValueError
        Tables of another form, or for a label that is not listed.
    """
    if not isinstance(tables, Mapping) or not all(
        isinstance(params, Mapping) for params in tables.values()
    ):
        raise ValueError(
            f"strategy should hold a table of parameters for each label; got {tables!r}."
        )
    listed = as_list(listed)
    unused = [label for label in tables if label not in listed]
    if unused:
        raise ValueError(
            f"[strategy.{unused[0]}] has settings but {unused[0]!r} is not among the "
            f"strategies: {', '.join(map(str, listed))}."
        )
    return [
        _spec_from_table(entry, tables.get(entry, {})) if isinstance(entry, str) else entry
        for entry in listed
    ]


def _spec_from_table(label: str, table: Mapping[str, Any]) -> StrategySpec:
    params = dict(table)
    name = params.pop("name", label)
    further = {key: params.pop(key) for key in ("relabel", "doubt") if key in params}
    return StrategySpec(label, name, params, **further)


def tables_of(specs: Iterable[StrategySpec]) -> dict[str, dict[str, Any]]:
    """Return the tables of those that are more than a name: what `specs_from_tables` reads."""
    return {
        spec.label: {"name": spec.name, **spec.params, **_relabeling(spec)}
        for spec in specs
        if spec.params or spec.label != spec.name or spec.relabel != "never"
    }


def _relabeling(spec: StrategySpec) -> dict[str, Any]:
    """Return what a strategy's table says about second answers; nothing where there are none."""
    if spec.relabel == "never":
        return {}
    doubt = {"doubt": spec.doubt} if spec.relabel == "when_doubtful" else {}
    return {"relabel": spec.relabel, **doubt}

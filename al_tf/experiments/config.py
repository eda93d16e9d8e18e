"""What an experiment is: every setting that can move one of its numbers, and nothing else."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Interval

from ..errors import ConfigMismatchError, check_one_of
from .model_settings import BACKBONE, check_model, check_parameters, has_backbone
from .values import as_plain, check_fields, none_for_text

UPPER_LINE = "oracle"
"""Label of the runs that `ExperimentConfig.upper_line` adds."""
RELABEL = ("never", "always", "when_doubtful")
MOST_SEEDS = 10_000
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
        reserved = ("classifier", "X", "n_instances", "random_state")
        what = f"Strategy {self.name!r}"
        check_parameters(what, get_strategy(self.name), self.params, reserved)
        if "committee" in strategy_info(self.name).needs:
            raise ValueError(
                f"Strategy {self.name!r} needs a committee of models; an experiment trains one."
            )


@dataclass(frozen=True)
class ExperimentConfig:
    """An experiment: strategies compared over paired seeds on one dataset.

    Everything here determines the numbers; how they are computed (processes, a cluster, the
    results folder) is an argument of `run_experiment`. A config may grow in four fields without
    changing a number already there: more `strategies`, more `seeds`, more `rounds`, an `upper_line`.

    Examples
    --------
    >>> from al_tf import ExperimentConfig
    >>> config = ExperimentConfig(
    ...     dataset="digits", strategies=["random", "margin"], seeds=range(10), model="logistic",
    ...     initial=50, batch=25, rounds=6, pool=None)
    >>> len(config.seeds), [spec.name for spec in config.strategies]
    (10, ['random', 'margin'])
    """

    dataset: str = "digits"
    """Name of a dataset (see `al_tf.list_datasets`), or ``folder:PATH``."""
    dataset_options: Mapping[str, Any] = field(default_factory=dict)
    """Options of the dataset's loader, for example ``{"size": 32}``."""
    imbalance: Any = None
    """Long tail of the pool, smallest / largest class (0.02), or the share kept of each class."""
    strategies: tuple[StrategySpec, ...] = ("margin",)  # type: ignore[assignment]
    """Strategies to compare: names or `StrategySpec`; ``random`` always takes part."""
    seeds: tuple[int, ...] = 5  # type: ignore[assignment]
    """Seeds to pair over: a number n stands for 0 … n-1, a list names them."""
    initial: Annotated[int, Ge(0)] = 200
    """Labels at round 0, drawn at random from the pool. With 0, the first batch is chosen without a
    model: by the strategies that can (`StrategyInfo.starts_without_model`), on the features of a
    probe or the pixels of ``logistic``; the others begin with the batch that ``random`` draws."""
    stratified: bool = False
    """Draw the initial labels in proportion to the classes, which takes knowing all labels."""
    batch: Any = 100
    """Labels asked for in each round; a list gives those of the first, second, … round, and its
    last number those of all later ones."""
    rounds: Annotated[int, Ge(0)] = 10
    """Rounds of query, label and fit after round 0."""
    pool: Annotated[int, Ge(1)] | None = 10_000
    """At most this many training images form the pool, a random subset; None takes all."""
    model: str = "cnn"
    """What is trained: ``cnn`` (`build_cnn`), ``probe`` (`LinearProbeClassifier`: logistic
    regression on features of a pretrained network), ``finetuned`` (`build_finetuned`: that network
    itself, with a new head) or ``logistic`` (logistic regression on the pixels)."""
    backbone: str | None = None
    """Pretrained network of the models ``probe`` and ``finetuned`` (see `list_backbones`), by
    default ``efficientnet_lite0``."""
    backbone_size: Annotated[int, Ge(1)] | None = None
    """Side in pixels that its images are resized to; by default the backbone's own."""
    model_params: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the model's builder, for example ``{"dropout": 0.3}``, and its ``class_weight``
    in the loss (``"balanced"``, or a factor for each class)."""
    epochs: Annotated[int, Ge(1)] = 20
    """Passes over the labeled set in each fit."""
    batch_size: Annotated[int, Ge(1)] = 32
    """Images in a gradient step."""
    min_steps: Annotated[int, Ge(0)] = 200
    """Floor of gradient steps in each fit, so that small labeled sets are not undertrained."""
    fit_mode: str = "scratch"
    """What a round's fit starts from: see `KerasImageClassifier`."""
    noise: Any = 0.0
    """Oracle's error rate, or its K x K matrix of P(answer | true class)."""
    annotators: Any = ()
    """In place of `noise`: an error rate or a K x K matrix for each of several annotators. Every image
    has one who is asked first; budgets count answers. See `al_tf.experiments.annotators`."""
    stop_budget: Annotated[int, Ge(1)] | None = None
    """Stop a run at this many labels; the last batch is cut to fit."""
    stop_kappa: Annotated[float, Interval(gt=0, le=1)] | None = None
    """Stop when predictions agree this well over the last 3 rounds (0.99 in the paper)."""
    stop_uncertainty: Annotated[float, Interval(gt=0, le=1)] | None = None
    """Stop when the mean normalised entropy (0 to 1) of the stop set falls below this."""
    stop_set: Annotated[int, Ge(2)] = 1_000
    """Pool images, drawn without labels, that the two rules above look at."""
    upper_line: Any = ()
    """Add the runs ``oracle``: in each round, of the batches that these strategies (labels; True for
    all) and ten random draws propose, the one with the lowest loss on validation images after it."""
    validation: Annotated[int, Ge(1)] = 1_000
    """Training images outside the pool that the upper line chooses by."""
    eval_every: Annotated[int, Ge(1)] = 1
    """Evaluate on the test set in every n-th round; `rounds` is a multiple of it."""
    threads: Annotated[int, Ge(1)] = 1
    """Threads of one run; sums are ordered by them, so they can move the last digits."""

    def __post_init__(self) -> None:
        settings = {name: none_for_text(as_plain(value)) for name, value in vars(self).items()}
        settings["strategies"] = _as_specs(self.strategies)
        settings["seeds"] = _as_seeds(settings["seeds"])
        settings["upper_line"] = _as_labels(self.upper_line, settings["strategies"])
        for name in ("imbalance", "noise", "annotators", "batch"):
            settings[name] = _as_tuples(settings[name])
        settings["model_params"] = _with_text_keys(settings["model_params"])
        if has_backbone(settings["model"]) and settings["backbone"] is None:
            settings["backbone"] = BACKBONE
        for name, value in settings.items():
            object.__setattr__(self, name, value)
        check_fields(self)
        _check_together(self)

    @property
    def digest(self) -> str:
        """First 12 hexadecimal digits of the SHA-256 of all fields."""
        text = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def labels_per_run(self) -> int:
        """Labels that a run spends unless its predictions stop it."""
        wanted = self.initial + sum(map(self.batch_of, range(1, self.rounds + 1)))
        return min(wanted, max(self.stop_budget or wanted, self.initial))

    @property
    def labels(self) -> list[str]:
        """Names of the runs of a seed: the strategies', and the upper line's."""
        return [*(s.label for s in self.strategies), *([UPPER_LINE] if self.upper_line else [])]

    def batch_of(self, number: int) -> int:
        """Return how many labels are asked for in a round, 1 or later, without a budget."""
        sizes = self.batch if isinstance(self.batch, tuple) else (self.batch,)
        return int(sizes[min(number, len(sizes)) - 1])

    def spec(self, label: str) -> StrategySpec:
        """Return the strategy of that label."""
        check_one_of("strategy label", label, [s.label for s in self.strategies])
        return next(s for s in self.strategies if s.label == label)

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, tables and numbers, in the layout of a TOML profile."""
        plain = {f.name: _as_lists(getattr(self, f.name)) for f in fields(self)}
        # later settings, left out where they are not used: other digests stay as they were
        unused = [name for name in ("backbone", "backbone_size") if plain[name] is None]
        unused += [] if self.upper_line else ["upper_line", "validation"]
        unused += [] if self.annotators else ["annotators"]
        for name in unused:
            del plain[name]
        plain["strategies"] = [s.label for s in self.strategies]
        plain["strategy"] = {
            s.label: {"name": s.name, **s.params, **_relabeling(s)}
            for s in self.strategies
            if s.params or s.label != s.name or s.relabel != "never"
        }
        return plain

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> ExperimentConfig:
        """Make a config from a table such as a profile's.

        Parameters
        ----------
        table : mapping
            Fields by name. ``strategies`` lists labels; ``strategy`` maps a label to its
            parameters, where ``name`` says which strategy a label stands for.

        Returns
        -------
        ExperimentConfig

        Raises
        ------
        UnknownNameError
            A key that is no field, or a name that is not registered.
        ValueError
            A value of the wrong type or out of range.
        """
        table = dict(table)
        tables = table.pop("strategy", {})
        if not isinstance(tables, Mapping) or not all(
            isinstance(params, Mapping) for params in tables.values()
        ):
            raise ValueError(
                f"strategy should hold a table of parameters for each label; got {tables!r}."
            )
        for name in table:
            check_one_of("setting", name, [*(f.name for f in fields(cls)), "strategy"])
        listed = _as_list(table.pop("strategies", cls.strategies))
        unused = [label for label in tables if label not in listed]
        if unused:
            raise ValueError(
                f"[strategy.{unused[0]}] has settings but {unused[0]!r} is not among the "
                f"strategies: {', '.join(map(str, listed))}."
            )
        specs = []
        for label in listed:
            params = dict(tables.get(label, {})) if isinstance(label, str) else {}
            name = params.pop("name", label)
            further = {key: params.pop(key) for key in ("relabel", "doubt") if key in params}
            spec = StrategySpec(label, name, params, **further) if isinstance(label, str) else label
            specs.append(spec)
        return cls(strategies=tuple(specs), **table)


def check_same(old: Mapping[str, Any], new: ExperimentConfig, where: Path) -> None:
    """Raise unless `new` equals the config `old` or grows it.

    Parameters
    ----------
    old : mapping
        What `ExperimentConfig.to_dict` gave when the folder was begun.
    new : ExperimentConfig
        What is asked for now.
    where : Path
        The folder, for the message.

    Raises
    ------
    ConfigMismatchError
        With one line for each difference.
    """
    now = new.to_dict()
    lines = []
    grows = {"strategy", "strategies", "seeds", "rounds"}
    if not old.get("upper_line"):
        grows |= {"upper_line", "validation"}
    for key in sorted({*old, *now} - grows):
        if old.get(key) != now.get(key):
            lines.append(f"{key}: {old.get(key)!r} there, {now.get(key)!r} asked for")
    lost = [s for s in old["strategies"] if s not in now["strategies"]]
    if lost:
        lines.append(f"strategies: {', '.join(lost)} there and not asked for")
    for label in old["strategies"]:
        before, after = (t["strategy"].get(label, {}) for t in (old, now))
        if label not in lost and before != after:
            lines.append(f"strategy.{label}: {before} there, {after} asked for")
    if not set(old["seeds"]) <= set(now["seeds"]):
        lines.append(f"seeds: {old['seeds']} there, {now['seeds']} asked for")
    if old["rounds"] > now["rounds"]:
        lines.append(f"rounds: {old['rounds']} there, {now['rounds']} asked for")
    if lines:
        raise ConfigMismatchError(
            f"{where} holds another experiment:\n  "
            + "\n  ".join(lines)
            + "\nUse another folder, or the settings there. Only strategies, seeds, rounds and an "
            "upper line may be added to an experiment."
        )


def _relabeling(spec: StrategySpec) -> dict[str, Any]:
    """Return what a strategy's table says about second answers; nothing where there are none."""
    if spec.relabel == "never":
        return {}
    return {"relabel": spec.relabel} | (
        {"doubt": spec.doubt} if spec.relabel == "when_doubtful" else {}
    )


def _as_list(value: Any) -> list[Any]:
    """Return what a user may write as a list: a comma-separated text, one item, several."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, Iterable) and not isinstance(value, Mapping):
        return list(value)
    return [value]


def _as_specs(strategies: Any) -> tuple[StrategySpec, ...]:
    specs = []
    for entry in _as_list(strategies):
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


def _as_labels(value: Any, specs: tuple[StrategySpec, ...]) -> tuple[str, ...]:
    """Return the labels of strategies that a list, a text or True for all of them stands for."""
    if isinstance(value, bool):
        return tuple(spec.label for spec in specs) if value else ()
    labels = _as_list(value)
    for label in labels:
        check_one_of("strategy of the upper line", label, [spec.label for spec in specs])
    return tuple(dict.fromkeys(labels))


def _as_seeds(seeds: Any) -> tuple[int, ...]:
    """Return the seeds of a number or list, written as Python's or as a text."""
    asked = seeds
    if isinstance(seeds, str):
        listed = [int(part) if part.isdecimal() else part for part in _as_list(seeds)]
        seeds = listed if "," in seeds or len(listed) != 1 else listed[0]
    if _is_int(seeds) and seeds > MOST_SEEDS:
        raise ValueError(f"seeds: at most {MOST_SEEDS:,} of them; got {seeds}.")
    named = list(range(seeds)) if _is_int(seeds) else _as_list(seeds)
    if not named or not all(_is_int(s) and s >= 0 for s in named) or len({*named}) < len(named):
        raise ValueError(
            "seeds should be how many (5), or a list of distinct integers of 0 or more ([5, 7] in "
            f'Python, "5,7" as a text, "5," for the seed 5 alone); got {asked!r}.'
        )
    return tuple(named)


def _as_tuples(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): inner for key, inner in value.items()}  # as JSON and TOML keep them
    if isinstance(value, str) or not isinstance(value, Iterable):
        return value
    return tuple(_as_tuples(v) for v in value)


def _with_text_keys(value: Any) -> Any:
    """Return tables with their keys as JSON and TOML keep them."""
    if not isinstance(value, Mapping):
        return value
    return {str(key): _with_text_keys(inner) for key, inner in value.items()}


def _as_lists(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _as_lists(v) for k, v in value.items()}
    return [_as_lists(v) for v in value] if isinstance(value, (tuple, list)) else value


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_together(config: ExperimentConfig) -> None:
    """Check what annotations cannot say: names, and settings that depend on each other."""
    rate = config.noise
    if (
        not isinstance(rate, (tuple, int, float))
        or isinstance(rate, bool)
        or not (isinstance(rate, tuple) or 0 <= rate <= 1)
    ):
        raise ValueError(
            f"noise should be a rate from 0 to 1 or a matrix with a row per class; got {rate!r}."
        )
    _check_annotators(config)
    _check_batch(config.batch)
    if not config.initial and not config.rounds:
        raise ValueError("initial=0 and rounds=0 label nothing; set one of them.")
    check_model(config)
    if config.rounds % config.eval_every:
        raise ValueError(
            f"rounds={config.rounds} is not a multiple of eval_every={config.eval_every}, so the "
            "last round would not be evaluated."
        )


def _check_annotators(config: ExperimentConfig) -> None:
    several = config.annotators
    if not isinstance(several, tuple) or not all(
        isinstance(a, int | float | tuple) for a in several
    ):
        raise ValueError(
            "annotators should be a list with an error rate or a matrix for each; got "
            f"{_as_lists(several)!r}."
        )
    if several and config.noise != 0:
        raise ValueError("noise and annotators both say how often answers are wrong; set one.")
    if several and config.upper_line:
        raise ValueError("The upper line asks one annotator who knows; leave annotators out.")
    asking_again = [spec.label for spec in config.strategies if spec.relabel != "never"]
    if asking_again and len(several) < 2:
        raise ValueError(
            f"Strategy {asking_again[0]!r} asks a second annotator, and there is none. Set "
            "annotators=[0.1, 0.1, 0.1], say."
        )


def _check_batch(batch: Any) -> None:
    sizes = batch if isinstance(batch, tuple) else (batch,)
    if not sizes or not all(_is_int(size) and size >= 1 for size in sizes):
        raise ValueError(
            "batch should be an integer of 1 or more, or a list of them, one for each round; got "
            f"{_as_lists(batch)!r}."
        )

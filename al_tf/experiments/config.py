"""What an experiment is: every setting that can move one of its numbers, and nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Interval

from ..errors import ConfigMismatchError, check_one_of
from .model_settings import BACKBONE, check_model, has_backbone
from .options import ABSENT, DATASET, MODEL, ChangedOption, changed_options
from .strategy_spec import (
    OF_THE_EXPERIMENT,
    UPPER_LINE,
    StrategySpec,
    as_specs,
    specs_from_tables,
    tables_of,
)
from .values import (
    as_list,
    as_lists,
    as_plain,
    as_tuples,
    check_fields,
    is_int,
    none_for_text,
    with_text_keys,
)

MOST_SEEDS = 10_000


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
    in the loss (``"balanced"``, or a factor for each class); of a network also ``shrink``,
    ``perturb``, ``rescale``, ``validation_split`` and ``patience`` of `KerasImageClassifier`."""
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
        settings["strategies"] = as_specs(self.strategies)
        settings["seeds"] = _as_seeds(settings["seeds"])
        settings["upper_line"] = _as_labels(self.upper_line, settings["strategies"])
        for name in ("imbalance", "noise", "annotators", "batch"):
            settings[name] = as_tuples(settings[name])
        settings["model_params"] = with_text_keys(settings["model_params"])
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
        plain = {f.name: as_lists(getattr(self, f.name)) for f in fields(self)}
        # later settings, left out where they are not used: other digests stay as they were
        unused = [name for name in ("backbone", "backbone_size") if plain[name] is None]
        unused += [] if self.upper_line else ["upper_line", "validation"]
        unused += [] if self.annotators else ["annotators"]
        for name in unused:
            del plain[name]
        plain["strategies"] = [s.label for s in self.strategies]
        plain["strategy"] = tables_of(self.strategies)
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
        for name in table:
            check_one_of("setting", name, [*(f.name for f in fields(cls)), "strategy"])
        specs = specs_from_tables(table.pop("strategies", cls.strategies), tables)
        return cls(strategies=tuple(specs), **table)


def check_same(meta: Mapping[str, Any], new: ExperimentConfig, where: Path) -> None:
    """Raise unless `new` equals the experiment that a folder was begun with, or grows it.

    Parameters
    ----------
    meta : mapping
        What the folder's ``study.toml`` says.
    new : ExperimentConfig
        What is asked for now.
    where : Path
        The folder, for the message.

    Raises
    ------
    ConfigMismatchError
        With one line for each difference, of settings and of options that they leave at their
        default.
    """
    old, now = meta["config"], new.to_dict()
    grows = {"strategy", "strategies", "seeds", "rounds", DATASET, MODEL}
    if not old.get("upper_line"):
        grows |= {"upper_line", "validation"}
    if None in (old.get("backbone_size"), now.get("backbone_size")):
        grows.add("backbone_size")  # the backbone's fingerprint names the size
    lines = [
        f"{key}: {old.get(key)!r} there, {now.get(key)!r} asked for"
        for key in sorted({*old, *now} - grows)
        if old.get(key) != now.get(key)
    ]
    lost = [s for s in old["strategies"] if s not in now["strategies"]]
    if lost:
        lines.append(f"strategies: {', '.join(lost)} there and not asked for")
    lines += _other_strategies(old, now)
    changed = changed_options(meta, now)
    lines += map(str, changed)
    if not set(old["seeds"]) <= set(now["seeds"]):
        lines.append(f"seeds: {old['seeds']} there, {now['seeds']} asked for")
    if old["rounds"] > now["rounds"]:
        lines.append(f"rounds: {old['rounds']} there, {now['rounds']} asked for")
    if lines:
        raise ConfigMismatchError(
            f"{where} holds another experiment:\n  "
            + "\n  ".join(lines)
            + f"\nUse another folder, or the settings there.{_remedy(changed)} Only strategies, "
            "seeds, rounds and an upper line may be added to an experiment."
        )


def _other_strategies(old: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Yield where a label stands for another strategy, or one that asks other annotators."""
    for label in old["strategies"]:
        if label not in now["strategies"]:
            continue
        tables = (table.get("strategy", {}).get(label, {}) for table in (old, now))
        before, after = ({"name": label, "relabel": "never", **table} for table in tables)
        for key in OF_THE_EXPERIMENT:
            if before.get(key) != after.get(key):
                yield (
                    f"strategy.{label}.{key}: {before.get(key)!r} there, {after.get(key)!r} asked for"
                )


def _remedy(changed: Sequence[ChangedOption]) -> str:
    """Return how to go on where today's code has other options than the folder was begun with."""
    by_default = [option for option in changed if not option.stated and option.now is not ABSENT]
    if not by_default:
        return ""
    texts = " ".join(f"--set {option.assignment}" for option in by_default)
    return (
        " Defaults have changed since it was begun. To go on with what was used there, state it: "
        f"{texts} (in Python, params of a StrategySpec, model_params or dataset_options)."
    )


def _as_labels(value: Any, specs: tuple[StrategySpec, ...]) -> tuple[str, ...]:
    """Return the labels of strategies that a list, a text or True for all of them stands for."""
    if isinstance(value, bool):
        return tuple(spec.label for spec in specs) if value else ()
    labels = as_list(value)
    for label in labels:
        check_one_of("strategy of the upper line", label, [spec.label for spec in specs])
    return tuple(dict.fromkeys(labels))


def _as_seeds(seeds: Any) -> tuple[int, ...]:
    """Return the seeds of a number or list, written as Python's or as a text."""
    asked = seeds
    if isinstance(seeds, str):
        listed = [int(part) if part.isdecimal() else part for part in as_list(seeds)]
        seeds = listed if "," in seeds or len(listed) != 1 else listed[0]
    if is_int(seeds) and seeds > MOST_SEEDS:
        raise ValueError(f"seeds: at most {MOST_SEEDS:,} of them; got {seeds}.")
    named = list(range(seeds)) if is_int(seeds) else as_list(seeds)
    if not named or not all(is_int(s) and s >= 0 for s in named) or len({*named}) < len(named):
        raise ValueError(
            "seeds should be how many (5), or a list of distinct integers of 0 or more ([5, 7] in "
            f'Python, "5,7" as a text, "5," for the seed 5 alone); got {asked!r}.'
        )
    return tuple(named)


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
            f"{as_lists(several)!r}."
        )
    if several and config.noise != 0:
        raise ValueError("noise and annotators both say how often answers are wrong; set one.")
    if several and config.upper_line:
        raise ValueError("The upper line asks one annotator who knows; leave annotators out.")
    asking_again = [spec.label for spec in config.strategies if spec.relabel != "never"]
    if asking_again and len(several) < 2:
        raise ValueError(
            f"Strategy {asking_again[0]!r} asks a second annotator; annotators has {len(several)}. Set "
            "several, such as annotators=[0.1, 0.1, 0.1]."
        )


def _check_batch(batch: Any) -> None:
    sizes = batch if isinstance(batch, tuple) else (batch,)
    if not sizes or not all(is_int(size) and size >= 1 for size in sizes):
        raise ValueError(
            "batch should be an integer of 1 or more, or a list of them, one for each round; got "
            f"{as_lists(batch)!r}."
        )

"""Options as an experiment uses them: those that its settings state, and the defaults of all others.

Settings state options in three places: ``dataset_options``, ``model_params`` and a table
``[strategy.LABEL]`` for each strategy. An option that they leave out has the default of the code, and
another version may have another one. So ``study.toml`` holds, beside the settings in ``[config]``, all
options as they were used, in tables of the same names below ``[options]``. The size of a backbone that
settings leave to it stands there as well.

- `settings_of_study` gives the settings that repeat a study, whatever the defaults are by now;
- `changed_options` says which options keep an experiment from going on with this version.

A study begun before options were written down is taken to have used today's defaults.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from .model_settings import model_defaults
from .parameters import defaults_of, plain
from .strategy_spec import OF_THE_EXPERIMENT, RESERVED

Table = dict[str, Any]
DATASET, MODEL, STRATEGY = "dataset_options", "model_params", "strategy"
SIZE = "backbone_size"
NEEDED = ("dataset", "model", "strategies", DATASET, MODEL)
"""Settings of an experiment that say which options it has."""


class _Absent:
    """In place of the value of an option that there is not."""

    def __repr__(self) -> str:
        return "no such option"


ABSENT = _Absent()


class ChangedOption(NamedTuple):
    """An option that is another one than when an experiment was begun."""

    place: str
    """Where settings state it: ``strategy.typiclust.unit_length``."""
    there: Any
    """Its value then, or `ABSENT`."""
    now: Any
    """Its value now, or `ABSENT`."""
    stated: bool
    """The settings state the value now; else it is a default."""

    def __str__(self) -> str:
        source = "asked for" if self.stated else "by default now"
        now = f"{self.now!r} {'now' if self.now is ABSENT else source}"
        return f"{self.place}: {self.there!r} there, {now}"

    @property
    def assignment(self) -> str:
        """``key=value`` that states the value then, as ``--set`` takes it."""
        known = "VALUE" if self.there is ABSENT else json.dumps(self.there)
        return f"{self.place}={'none' if self.there is None else known}"


def options_in_use(config: Mapping[str, Any]) -> Table:
    """Return every option of the dataset, the model and the strategies of an experiment.

    Parameters
    ----------
    config : mapping
        As `ExperimentConfig.to_dict` makes it.

    Returns
    -------
    dict
        ``dataset_options``, ``model_params`` and ``strategy``, a table of tables by label; with the
        defaults of the options that the settings leave out. Strategies without options are left out.
    """
    from ..datasets import default_options

    strategies = {}
    for label in config["strategies"]:
        name, stated = _strategy(config, label)
        strategies[label] = {**_strategy_defaults(name), **stated}
    return {
        DATASET: {**plain(default_options(config["dataset"])), **plain(config[DATASET])},
        MODEL: {**model_defaults(config["model"]), **plain(config[MODEL])},
        STRATEGY: {label: options for label, options in strategies.items() if options},
    }


def is_table_of_options(value: Any) -> bool:
    """Tell whether a value has the form that `options_in_use` returns."""
    if not isinstance(value, Mapping) or not isinstance(value.get(STRATEGY), Mapping):
        return False
    tables = [value.get(DATASET), value.get(MODEL), *value[STRATEGY].values()]
    return all(isinstance(table, Mapping) for table in tables)


def changed_options(meta: Mapping[str, Any], config: Mapping[str, Any]) -> list[ChangedOption]:
    """Return the options of an experiment that was begun which are others now.

    Parameters
    ----------
    meta : mapping
        What ``study.toml`` says of the experiment.
    config : mapping
        The settings it would go on with, as `ExperimentConfig.to_dict` makes them.

    Returns
    -------
    list of ChangedOption
        Without those of another dataset, another model or other strategies than were there. An
        option that came later is none of them if the settings state it: they then say which of its
        values is what was done before.
    """
    old = meta["config"]
    both = [label for label in old["strategies"] if label in config["strategies"]]
    both = [label for label in both if _strategy(old, label)[0] == _strategy(config, label)[0]]
    kinds = {key: config[key] for key in ("dataset", "model")}
    there = meta.get("options") or options_in_use({**old, **kinds, "strategies": both})
    now = options_in_use({**config, "strategies": both})
    by_label = there[STRATEGY], now[STRATEGY]
    pairs = [
        (f"{STRATEGY}.{label}", *(t.get(label, {}) for t in by_label), _strategy(config, label)[1])
        for label in both
    ]
    pairs += [
        (key, there[key], now[key], config[key])
        for key, kind in ((DATASET, "dataset"), (MODEL, "model"))
        if old[kind] == config[kind]
    ]
    return [change for pair in pairs for change in _changes(*pair)]


def _changes(place: str, there: Table, now: Table, stated: Table) -> Iterator[ChangedOption]:
    for name in sorted({*there, *now}):
        before, after = there.get(name, ABSENT), now.get(name, ABSENT)
        came_later = before is ABSENT and name in stated
        if before != after and not came_later:
            yield ChangedOption(f"{place}.{name}", before, after, name in stated)


def settings_of_study(meta: Mapping[str, Any]) -> Table:
    """Return the settings that repeat a study with this version.

    Parameters
    ----------
    meta : mapping
        What its ``study.toml`` says.

    Returns
    -------
    dict
        Its configuration, which also states each option whose default was another one then.
    """
    config, options = dict(meta["config"]), meta.get("options")
    if options is None:
        return config
    size = options.get(SIZE)
    if size is not None and config.get(SIZE) is None and size != default_size(config["backbone"]):
        config[SIZE] = size
    by_default = options_in_use(config)
    for key in (DATASET, MODEL):
        config[key] = {**config[key], **_unlike(options[key], by_default[key])}
    config[STRATEGY] = dict(config.get(STRATEGY, {}))
    for label, recorded in options[STRATEGY].items():
        if further := _unlike(recorded, by_default[STRATEGY].get(label, {})):
            stated = config[STRATEGY].get(label, {"name": label})
            config[STRATEGY][label] = {**stated, **further}
    return config


def default_size(backbone: str) -> Any:
    """Return the side in pixels that a backbone resizes images to unless settings state one."""
    from ..network.backbones import load_backbone

    return load_backbone(backbone).size


def unusual_options(meta: Mapping[str, Any], label: str) -> Table:
    """Return the options of a study's strategy that are not what is the default today.

    Parameters
    ----------
    meta : mapping
        What ``study.toml`` says.
    label : str
        One of its strategies.

    Returns
    -------
    dict
        All that is known of a strategy that is not registered here.
    """
    name, options = _strategy(meta["config"], label)
    if "options" in meta:
        options = meta["options"][STRATEGY].get(label, {})
    return _unlike(options, _strategy_defaults(name))


def options_text(meta: Mapping[str, Any], label: str) -> str:
    """Return `unusual_options` as one reads them: ``unit_length=False, max_clusters=100``; or ""."""
    return ", ".join(f"{name}={value!r}" for name, value in unusual_options(meta, label).items())


def contradictions(meta: Mapping[str, Any]) -> list[str]:
    """Return where the options of a study are not those that its own settings state."""
    config, options = meta["config"], meta["options"]
    stated = {f"{STRATEGY}.{label}": _strategy(config, label)[1] for label in config["strategies"]}
    stated |= {key: plain(config[key]) for key in (DATASET, MODEL)}
    used = {f"{STRATEGY}.{label}": table for label, table in options[STRATEGY].items()}
    used |= {key: options[key] for key in (DATASET, MODEL)}
    wrong = [
        f"{place}.{name}"
        for place, table in stated.items()
        for name in _unlike(table, used.get(place, {}))
    ]
    if None not in (config.get(SIZE), options.get(SIZE)) and config[SIZE] != options[SIZE]:
        wrong.append(SIZE)
    return [*wrong, *(place for place in used if place not in stated)]


def _unlike(table: Mapping[str, Any], other: Mapping[str, Any]) -> Table:
    """Return the entries of a table that another one lacks, or has with another value."""
    return {name: value for name, value in table.items() if other.get(name, ABSENT) != value}


def _strategy(config: Mapping[str, Any], label: str) -> tuple[str, Table]:
    """Return the registered name of a label's strategy, and the options that settings state."""
    table = config.get(STRATEGY, {}).get(label, {})
    stated = {key: value for key, value in table.items() if key not in OF_THE_EXPERIMENT}
    return str(table.get("name", label)), plain(stated)


def _strategy_defaults(name: str) -> Table:
    """Return the defaults of a strategy's options; none where it is not registered here."""
    from ..strategies import get_strategy, list_strategies

    return defaults_of(get_strategy(name), RESERVED) if name in list_strategies() else {}

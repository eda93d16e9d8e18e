"""Settings from TOML: the profiles of this package, a file, ``--set key=value``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from ..errors import check_one_of
from ..parsing import parse_toml, read_text
from .options import NEEDED, is_table_of_options, settings_of_study
from .values import none_for_text

Table = dict[str, Any]


def list_profiles() -> list[str]:
    """Return the names of the profiles in this package.

    Examples
    --------
    >>> from al_tf.experiments import list_profiles
    >>> list_profiles()
    ['probe', 'quick', 'report', 'smoke']
    """
    return sorted(p.name[:-5] for p in _folder().iterdir() if p.name.endswith(".toml"))


def load_profile(profile: str | Path, dataset: str | None = None) -> Table:
    """Return the settings of a profile, as `ExperimentConfig.from_dict` takes them.

    Parameters
    ----------
    profile : str or Path
        A name of `list_profiles`, or a TOML file. Its top level holds settings; a table
        ``[datasets.NAME]`` holds those that differ for a dataset. The ``study.toml`` of a study
        gives that study's settings, with every option whose default has changed since.
    dataset : str, optional
        The dataset, in place of the profile's own.

    Returns
    -------
    dict

    Raises
    ------
    UnknownNameError
        No profile of that name, and no file.
    ValueError
        Not TOML, or the options of a study are not tables.

    Examples
    --------
    >>> from al_tf.experiments import ExperimentConfig, load_profile
    >>> settings = load_profile("smoke", "digits")
    >>> ExperimentConfig.from_dict(settings).dataset
    'digits'
    """
    path = Path(profile)
    if path.suffix != ".toml":
        check_one_of("profile", profile, list_profiles())
        path = _folder() / f"{profile}.toml"
    try:
        table = parse_toml(read_text(path))
    except ValueError as error:
        raise ValueError(f"Profile {profile}: not TOML ({error}).") from None
    if isinstance(table.get("config"), dict) and "config_hash" in table:
        table = _settings_of_study(table, path)
    by_dataset = table.pop("datasets", {})
    if not isinstance(by_dataset, dict) or not all(
        isinstance(t, dict) for t in by_dataset.values()
    ):
        raise ValueError(f"Profile {profile}: [datasets.NAME] must be tables of settings.")
    if dataset is not None:
        table["dataset"] = dataset
    kind = str(table.get("dataset", "")).partition(":")[0]
    return {**table, **by_dataset.get(kind, {})}


def _settings_of_study(meta: Table, path: Path) -> Table:
    """Return the settings that repeat the study of a study.toml."""
    read: Table = {k: none_for_text(meta[k]) for k in ("config", "options") if k in meta}
    if "options" in read and not is_table_of_options(read["options"]):
        raise ValueError(f"Profile {path}: [options] should hold tables of options.")
    lacking = [key for key in NEEDED if "options" in read and key not in read["config"]]
    if lacking:
        raise ValueError(f"Profile {path}: [config] of a study lacks {', '.join(lacking)}.")
    return settings_of_study(read)


def with_overrides(table: Mapping[str, Any], assignments: Iterable[str]) -> Table:
    """Return `table` with ``key=value`` texts applied; a dotted key reaches into a table.

    Parameters
    ----------
    table : mapping
        Settings, as of `load_profile`.
    assignments : iterable of str
        For example ``"epochs=5"``, ``"strategies=margin,entropy"``,
        ``"strategy.entropy_cluster.select=farthest"``, ``"pool=none"``. A value is read as TOML
        where it is TOML, and is a plain text otherwise; `ExperimentConfig` takes ``none`` for None.

    Returns
    -------
    dict

    Raises
    ------
    ValueError
        A text without ``=``, or a dotted key into something that is not a table.

    Examples
    --------
    >>> from al_tf.experiments import with_overrides
    >>> with_overrides({"epochs": 20}, ["epochs=5", "strategy.entropy_cluster.select=farthest"])
    {'epochs': 5, 'strategy': {'entropy_cluster': {'select': 'farthest'}}}
    """
    result = dict(table)
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key.strip():
            raise ValueError(f"--set expects key=value; got {assignment!r}.")
        *parents, last = key.strip().split(".")
        inner = result
        for parent in parents:
            below = inner.get(parent, {})
            if not isinstance(below, Mapping):
                raise ValueError(f"--set {assignment}: {parent!r} is a value, not a table.")
            inner[parent] = inner = dict(below)
        inner[last] = _value(text.strip())
    return result


def _value(text: str) -> Any:
    try:
        return parse_toml(f"value = {text}")["value"]
    except ValueError:
        return text


def _folder() -> Path:
    return Path(str(resources.files(__package__))) / "profiles"

"""Parameters of functions that settings name: whether there are such, and what they default to."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .values import as_lists, as_plain, with_text_keys

_KINDS = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def check_parameters(
    what: str,
    function: Callable[..., Any],
    params: Mapping[str, Any],
    reserved: Iterable[str],
    also: Iterable[str] = (),
) -> None:
    """Raise unless `function` takes all of `params`.

    Parameters
    ----------
    what : str
        The function's owner, for the message (``"Strategy 'margin'"``).
    function : callable
        What the parameters will be passed to.
    params : mapping
        By name.
    reserved : iterable of str
        Parameters of the function that are not the user's to set.
    also : iterable of str
        Further parameters that `what` has, for the message; they are not in `params`.

    Raises
    ------
    ValueError
        Lists the parameters that there are.
    """
    accepted = [*_parameters(function, reserved), *also]
    unknown = [name for name in params if name not in accepted]
    if unknown:
        raise ValueError(
            f"{what} has no parameter {unknown[0]!r}. It has: {', '.join(accepted) or 'none'}."
        )


def defaults_of(function: Callable[..., Any], reserved: Iterable[str] = ()) -> dict[str, Any]:
    """Return the defaults of a function's parameters, as JSON and TOML have them.

    Parameters
    ----------
    function : callable
    reserved : iterable of str
        Parameters that are left out.

    Returns
    -------
    dict
        By name. A default that no settings file can state, such as a function, is left out.
    """
    parameters = _parameters(function, reserved)
    defaults = {name: parameter.default for name, parameter in parameters.items()}
    return {name: plain(value) for name, value in defaults.items() if _can_be_stated(value)}


def plain(value: Any) -> Any:
    """Return a value as a settings file would hold it: plain numbers, texts, lists and tables."""
    return with_text_keys(as_lists(as_plain(value)))


def _parameters(
    function: Callable[..., Any], reserved: Iterable[str]
) -> dict[str, inspect.Parameter]:
    reserved = set(reserved)
    parameters = inspect.signature(function).parameters
    return {n: p for n, p in parameters.items() if p.kind in _KINDS and n not in reserved}


def _can_be_stated(value: Any) -> bool:
    value = plain(value)
    if isinstance(value, list):
        return all(map(_can_be_stated, value))
    if isinstance(value, dict):
        return all(map(_can_be_stated, value.values()))
    return value is None or isinstance(value, bool | int | float | str)

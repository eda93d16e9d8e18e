"""Values of settings: types and ranges checked, numpy's numbers made Python's, None as a text."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, get_args, get_type_hints

NONE = "none"


def check_fields(settings: Any) -> None:
    """Raise unless every field of a dataclass instance has the type and range of its annotation.

    Parameters
    ----------
    settings : dataclass instance
        Its annotations may carry ranges, ``Annotated[int, Ge(1)]``. Nothing is converted, so 1 is
        no boolean and ``"5"`` no number.

    Raises
    ------
    ValueError
        One line per field: its name, what it should be, and what came.
    """
    from pydantic import ValidationError

    kind: Any = type(settings)
    try:
        _model_of(kind).model_validate(vars(settings))
    except ValidationError as error:
        hints = get_type_hints(kind)
        lines = [_message(fault, hints[str(fault["loc"][0])]) for fault in error.errors()]
        raise ValueError("\n".join(dict.fromkeys(lines))) from None


def as_plain(value: Any) -> Any:
    """Return numpy numbers and arrays as Python's own, inside lists, tuples and tables too."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Mapping):
        return {key: as_plain(inner) for key, inner in value.items()}
    return type(value)(map(as_plain, value)) if type(value) in (list, tuple) else value


def none_for_text(value: Any) -> Any:
    """Return settings with None where a text says ``none``, in tables within tables too.

    TOML and the command line have no other word for it.
    """
    if isinstance(value, Mapping):
        return {key: none_for_text(inner) for key, inner in value.items()}
    return None if isinstance(value, str) and value.lower() == NONE else value


def text_for_none(value: Any) -> Any:
    """Return settings with ``none`` where they are None: what `none_for_text` turns back."""
    if isinstance(value, Mapping):
        return {key: text_for_none(inner) for key, inner in value.items()}
    return NONE if value is None else value


def as_list(value: Any) -> list[Any]:
    """Return what a user may write as a list: a comma-separated text, one item, several."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, Iterable) and not isinstance(value, Mapping):
        return list(value)
    return [value]


def as_lists(value: Any) -> Any:
    """Return tuples as lists, inside tables and lists too: as JSON and TOML have them."""
    if isinstance(value, Mapping):
        return {key: as_lists(inner) for key, inner in value.items()}
    return [as_lists(inner) for inner in value] if isinstance(value, (tuple, list)) else value


def as_tuples(value: Any) -> Any:
    """Return anything iterable as tuples, and of a table its keys as JSON and TOML have them."""
    if isinstance(value, Mapping):
        return {str(key): inner for key, inner in value.items()}
    if isinstance(value, str) or not isinstance(value, Iterable):
        return value
    return tuple(as_tuples(inner) for inner in value)


def with_text_keys(value: Any) -> Any:
    """Return tables with their keys as JSON and TOML have them."""
    if not isinstance(value, Mapping):
        return value
    return {str(key): with_text_keys(inner) for key, inner in value.items()}


def is_int(value: Any) -> bool:
    """Return whether a value is an integer, and no boolean."""
    return isinstance(value, int) and not isinstance(value, bool)


@functools.cache
def _model_of(kind: Any) -> Any:
    """Return the pydantic model of a dataclass; pydantic is imported when the first is checked."""
    from pydantic import ConfigDict, create_model

    hints = get_type_hints(kind, include_extras=True)
    strict = ConfigDict(
        strict=True, allow_inf_nan=False, arbitrary_types_allowed=True, protected_namespaces=()
    )
    members: dict[str, Any] = {f.name: (hints[f.name], ...) for f in fields(kind)}
    return create_model(kind.__name__, __config__=strict, **members)


def _message(fault: Mapping[str, Any], hint: Any) -> str:
    name, *inner = fault["loc"]
    place = "".join(f"[{part!r}]" for part in inner)
    expected = fault["msg"].removeprefix("Input ").replace("dictionary", "table")
    none = " or none" if type(None) in get_args(hint) else ""
    return f"{name}{place} {expected}{none}; got {fault['input']!r}."

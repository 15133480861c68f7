"""Frozen dataclass trees to JSON and back, with a clear error for what does not fit."""

import dataclasses
import types
from collections.abc import Mapping
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from prismat.errors import BadInputError

T = TypeVar("T")


def to_json(config: object) -> dict:
    """A dataclass tree as JSON types; tuples become lists."""
    return _plain(dataclasses.asdict(config))  # ty: ignore[invalid-argument-type]


def _plain(value: object) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value


def from_json(kind: type[T], payload: object, path: str = "") -> T:
    """Builds a dataclass tree; fields left out keep their defaults.

    Raises:
        BadInputError: an unknown field, a missing one that has no default, or a value of another kind.
    """
    payload = _object(payload, path or "config")
    hints = get_type_hints(kind)
    fields = dataclasses.fields(kind)  # ty: ignore[invalid-argument-type]
    known = {f.name for f in fields}
    if unknown := set(payload) - known:
        raise BadInputError(
            f"unknown setting {sorted(unknown)[0]!r}",
            field=path or "config",
            remedy=f"Known: {', '.join(sorted(known))}.",
        )
    missing = dataclasses.MISSING
    required = {f.name for f in fields if f.default is missing and f.default_factory is missing}
    if absent := required - set(payload):
        raise BadInputError(
            f"setting {sorted(absent)[0]!r} is missing", field=path or "config", remedy="Give it."
        )
    return kind(**{k: _build(hints[k], v, f"{path}.{k}".strip(".")) for k, v in payload.items()})


def _object(value: object, path: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise BadInputError(f"expected an object, found {value!r}", field=path, remedy="Correct it.")
    return value


def _build(hint: Any, value: object, path: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return from_json(hint, value, path)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return (
            None if value is None else _build(next(a for a in arguments if a is not type(None)), value, path)
        )
    if origin is tuple:
        return _tuple(arguments, value, path)
    if origin is dict:
        return {k: _build(arguments[1], v, f"{path}.{k}") for k, v in _object(value, path).items()}
    return _scalar(hint, value, path)


def _tuple(arguments: tuple, value: object, path: str) -> tuple:
    if not isinstance(value, (list, tuple)):
        raise BadInputError(f"expected a list, found {value!r}", field=path, remedy="Correct it.")
    is_open = len(arguments) == 2 and arguments[1] is Ellipsis
    hints = [arguments[0]] * len(value) if is_open else list(arguments)
    if len(value) != len(hints):
        raise BadInputError(
            f"expected {len(hints)} values, found {len(value)}", field=path, remedy="Correct it."
        )
    return tuple(_build(h, v, path) for h, v in zip(hints, value, strict=True))


def _scalar(hint: Any, value: object, path: str) -> Any:
    if get_origin(hint) is not None:
        allowed = get_args(hint)
        if value not in allowed:
            raise BadInputError(
                f"{value!r} is none of {list(allowed)}", field=path, remedy="Use one of them."
            )
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    # True is an int to Python, and a mistake in a recipe.
    is_flag = isinstance(value, bool) and hint is not bool
    if isinstance(hint, type) and (is_flag or not isinstance(value, hint)):
        raise BadInputError(f"{value!r} is not of type {hint.__name__}", field=path, remedy="Correct it.")
    return value

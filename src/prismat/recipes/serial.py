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


def from_json(kind: type[T], payload: Mapping[str, object], path: str = "") -> T:
    """Builds a dataclass tree; fields left out keep their defaults.

    Raises:
        BadInputError: an unknown field, or a value of another kind.
    """
    if not isinstance(payload, Mapping):
        raise BadInputError(f"expected an object, found {payload!r}", field=path or "config")
    hints = get_type_hints(kind)
    known = {f.name for f in dataclasses.fields(kind)}  # ty: ignore[invalid-argument-type]
    if unknown := set(payload) - known:
        raise BadInputError(
            f"unknown setting {sorted(unknown)[0]!r}",
            field=path or "config",
            remedy=f"Known: {', '.join(sorted(known))}.",
        )
    return kind(**{k: _build(hints[k], v, f"{path}.{k}".strip(".")) for k, v in payload.items()})


def _build(hint: Any, value: object, path: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return from_json(hint, value, path)  # ty: ignore[invalid-argument-type]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return None if value is None else _build(next(a for a in arguments if a is not type(None)), value, path)
    if origin is tuple:
        inner = arguments[0] if len(arguments) == 2 and arguments[1] is Ellipsis else None  # noqa: PLR2004
        items = list(value)  # ty: ignore[invalid-argument-type]
        hints = [inner] * len(items) if inner is not None else list(arguments)
        return tuple(_build(h, v, path) for h, v in zip(hints, items, strict=True))
    if origin is dict:
        return {k: _build(arguments[1], v, f"{path}.{k}") for k, v in value.items()}  # ty: ignore[unresolved-attribute]
    return _scalar(hint, value, path)


def _scalar(hint: Any, value: object, path: str) -> Any:
    if get_origin(hint) is not None:
        allowed = get_args(hint)
        if value not in allowed:
            raise BadInputError(f"{value!r} is none of {list(allowed)}", field=path, remedy="Use one of them.")
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and not isinstance(value, hint):
        raise BadInputError(f"{value!r} is not of type {hint.__name__}", field=path, remedy="Correct it.")
    return value

"""Settings of a job by dotted path, ``recipe.projection.dim``: found, read from text by type, and changed."""

import dataclasses
import types
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from prismat.errors import BadInputError

T = TypeVar("T")

SEPARATOR = "+"
"""Between the entries of a list: ``structure+text``."""
NOTHING = "none"
"""Text of an optional setting that is switched off."""


def changed(job: T, path: str, text: str) -> T:
    """The same dataclass tree with one setting read from text.

    Args:
        job: a tree of frozen dataclasses.
        path: names of nested settings joined by dots; a leading ``job.`` may be left out. The last one may be
            a key of a dictionary, such as ``recipe.objective.weights.text-xrd``.
        text: the value: a number, a word, ``true`` or ``false``, ``none``, or entries joined by ``+``.

    Raises:
        BadInputError: no such setting, or a value that it cannot take; both name the nearest that are valid.
    """
    names = path.removeprefix("job.").split(".")
    return _set(job, type(job), names, text, path)


def _set(node: Any, hint: Any, names: Sequence[str], text: str, path: str) -> Any:
    if not names:
        return parse(hint, text, path)
    if dataclasses.is_dataclass(node) and not isinstance(node, type):
        hints, name = get_type_hints(type(node)), names[0]
        known = [f.name for f in dataclasses.fields(node)]
        if name not in known:
            raise BadInputError(f"no setting {name!r}", field=path, remedy=f"{_nearest(name, known)}.")
        made = _set(getattr(node, name), hints[name], names[1:], text, path)
        return dataclasses.replace(node, **{name: made})
    if isinstance(node, dict) and len(names) == 1:
        return {**node, names[0]: parse(get_args(hint)[1], text, path)}
    what = "is switched off" if node is None else f"is {node!r}, which has no settings"
    raise BadInputError(
        f"what {names[0]!r} belongs to {what}", field=path, remedy="Name a setting that is there."
    )


def parse(hint: Any, text: str, path: str) -> Any:
    """A value of a type from text.

    Raises:
        BadInputError: the text is no such value, or the path ends at a group of settings.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if text.lower() == NOTHING:
            return None
        return parse(next(a for a in arguments if a is not type(None)), text, path)
    if dataclasses.is_dataclass(hint):
        inside = ", ".join(f.name for f in dataclasses.fields(hint))
        raise BadInputError("names a group of settings", field=path, remedy=f"Go on with one of {inside}.")
    if origin is tuple:
        entries = text.split(SEPARATOR) if text and text.lower() != NOTHING else []
        return _entries(arguments, entries, path)
    if origin is Literal:
        return _choice(arguments, text, path)
    return _scalar(hint, text, path)


def _entries(arguments: tuple, entries: list[str], path: str) -> tuple:
    is_open = len(arguments) == 2 and arguments[1] is Ellipsis
    hints = [arguments[0]] * len(entries) if is_open else list(arguments)
    if len(hints) != len(entries):
        raise BadInputError(
            f"{len(entries)} values where {len(hints)} belong",
            field=path,
            remedy=f"Join them by {SEPARATOR}.",
        )
    return tuple(parse(h, e, path) for h, e in zip(hints, entries, strict=True))


def _choice(allowed: tuple, text: str, path: str) -> Any:
    named = {str(a): a for a in _flat(allowed)}
    if text not in named:
        raise BadInputError(f"no value {text!r}", field=path, remedy=f"{_nearest(text, list(named))}.")
    return named[text]


def _flat(allowed: tuple) -> list:
    return [v for a in allowed for v in (_flat(get_args(a)) if get_origin(a) is Literal else [a])]


def _scalar(hint: Any, text: str, path: str) -> Any:
    flags = {"true": True, "false": False}
    if hint is bool and text.lower() in flags:
        return flags[text.lower()]
    if hint is str:
        return text
    try:
        if hint in (int, float):
            return hint(text)
    except ValueError:
        pass
    wanted = {int: "a whole number", float: "a number", bool: "true or false"}.get(hint)
    if wanted is None:
        raise BadInputError("cannot be given as text", field=path, remedy="Write it into a job file.")
    raise BadInputError(f"{text!r} is not {wanted}", field=path, remedy=f"Give {wanted}.")


def _nearest(wrong: str, known: list[str]) -> str:
    """What was probably meant, and all that there is."""
    close = get_close_matches(wrong, known, n=1, cutoff=0.4)
    meant = f"Did you mean {close[0]!r}? " if close else ""
    return f"{meant}There are {', '.join(known)}"

"""The search box: one line of words and conditions to a typed query, and back."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn

from prismat.errors import BadInputError
from prismat.search.filters import SYSTEMS, Filter, Range
from prismat.search.query import MAX_TEXT, Query
from prismat.search.steer import Steer

_LONGEST = 2 * MAX_TEXT
_TOKEN = re.compile(
    r'(?P<head>(?:un)?like:)?(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|“(?P<curly>[^”]*)”)|(?P<word>\S+)', re.DOTALL
)
_ELEMENTS = r"[A-Z][a-z]?(?:,[A-Z][a-z]?)*"
_SIGNED = re.compile(rf"([+\-−])({_ELEMENTS})")
_NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?"
_RANGE = re.compile(rf"({_NUMBER})?\.\.({_NUMBER})?")
_WHOLE = re.compile(r"([0-9]{1,9})?\.\.([0-9]{1,9})?|([0-9]{1,9})")
_NAMED = re.compile(r"([^\W\d][^\s:\"]*):(\S+)")
_PLAIN_ID = r"[^\s\"“]\S*"
_ARTICLES = frozenset({"a", "an", "the", "any"})
_RANGES = {"sites": "n_sites", "sg": "spacegroup_number", "elements": "n_elements"}
_OPEN = ('"', "“", 'like:"', "like:“", 'unlike:"', "unlike:“")


@dataclass(frozen=True)
class _Token:
    """One word, or one quoted phrase; ``head`` is what stood right before the quotes."""

    text: str
    is_quoted: bool = False
    head: str = ""


@dataclass
class _Reading:
    """What was read so far."""

    words: list[str] = field(default_factory=list)
    not_text: list[str] = field(default_factory=list)
    like: list[str] = field(default_factory=list)
    unlike: list[str] = field(default_factory=list)
    elements: dict[str, list[str]] = field(default_factory=lambda: {"+": [], "-": []})
    systems: list[str] = field(default_factory=list)
    properties: dict[str, Range] = field(default_factory=dict)
    single: dict[str, object] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)

    def once(self, word: str, name: str, value: object, where: dict) -> None:
        """Keeps what may be said only once."""
        if name in where:
            _refuse(f"{name} is given twice", word, "Say it once.")
        where[name] = value

    def said(self) -> "Words":
        """What was said."""
        single: dict[str, Any] = dict(self.single)
        k = single.pop("k", None)
        conditions = Filter(
            with_elements=tuple(self.elements["+"]),
            without_elements=tuple(self.elements["-"]),
            crystal_systems=tuple(self.systems),
            properties=self.properties,
            **single,
        )
        steer = Steer(tuple(self.not_text), tuple(self.like), tuple(self.unlike))
        text = " ".join(self.words)
        return Words(text if text.strip() else None, steer, conditions, self.weights, k)


@dataclass(frozen=True)
class Words:
    """What one line says; it need not be a whole query, for a structure or a pattern may come with it.

    Attributes:
        text: words to search by.
        steer: words to avoid, records to resemble, or not.
        filter: conditions.
        weights: by part.
        k: results wanted.
    """

    text: str | None = None
    steer: Steer = field(default_factory=Steer)
    filter: Filter = field(default_factory=Filter)
    weights: Mapping[str, float] = field(default_factory=dict)
    k: int | None = None

    def query(self, k: int = 10) -> Query:
        """The query that the words alone make.

        Raises:
            BadInputError: they say nothing to search by.
        """
        if self.text is None and not self.steer.parts:
            raise BadInputError(
                "no words to search by",
                field="q",
                remedy="Say what to look for; conditions alone put nothing in order.",
            )
        wanted = k if self.k is None else self.k
        return Query(self.text, weights=self.weights, filter=self.filter, k=wanted, steer=self.steer)


def _refuse(problem: str, word: str, remedy: str) -> NoReturn:
    shown = word if len(word) <= 40 else word[:39] + "…"
    raise BadInputError(f"{problem} (at {shown!r})", field="q", remedy=remedy)


def read_words(q: str, k: int = 10) -> Query:
    """Reads one line of words and conditions as a query; see ``parse_words`` for the language.

    Args:
        q: what was typed.
        k: results wanted where ``q`` does not say.

    Raises:
        BadInputError: as ``parse_words``, or nothing to search by.
    """
    return parse_words(q).query(k)


def parse_words(q: str) -> Words:
    """Reads one line of words and conditions.

    Whatever is none of the following is text, kept as it stands:

    - ``"…"`` or ``“…”``: words kept together and never read as conditions; within straight quotes a
      backslash keeps ``"`` and itself.
    - ``not word``, ``not "two words"``: away from a meaning. An article after ``not`` is passed over.
    - ``+Ca``, ``-Fe``, ``+Ca,Si``: elements that must, or must not, be there. ``only:Ca,Si,O``: no others.
    - ``density:3..5``: any property of the index by name; either side may be left open.
    - ``sites:..40``, ``elements:2..4``, ``sg:221..230``: atoms in the primitive cell, different elements,
      space group number; ``sg:225`` is that very number.
    - ``system:cubic`` or ``system:cubic,hexagonal``: any of these crystal systems.
    - ``like:ID``, ``unlike:ID``: records to resemble, or not; quote an id that has blanks.
    - ``weight:text=2``: weight of a part of the query; ``k:20``: results wanted.

    Args:
        q: what was typed.

    Raises:
        BadInputError: a quote that is not closed, or a condition that cannot be read; the message names the
            word and the remedy.
    """
    if len(q) > _LONGEST:
        raise BadInputError(
            f"the query has {len(q):,} characters", field="q", remedy=f"Give at most {MAX_TEXT:,}."
        )
    reading, tokens = _Reading(), _tokens(q)
    for token in tokens:
        if token.head:
            _example(reading, token.head[:-1], token.text)
        elif token.is_quoted:
            reading.words += [token.text] if token.text.strip() else []
        elif token.text.lower() == "not":
            reading.not_text.append(_avoided(tokens))
        elif not _read_condition(token.text, reading):
            reading.words.append(token.text)
    return reading.said()


def _tokens(q: str) -> Iterator[_Token]:
    for found in _TOKEN.finditer(q):
        head = found["head"] or ""
        if found["quoted"] is not None:
            yield _Token(re.sub(r"\\(.)", r"\1", found["quoted"], flags=re.DOTALL), True, head)
        elif found["curly"] is not None:
            yield _Token(found["curly"], True, head)
        elif found["word"].startswith(_OPEN):
            _refuse("a quote is not closed", found["word"], "Close it, or leave it out.")
        else:
            yield _Token(found["word"])


def _avoided(tokens: Iterator[_Token]) -> str:
    """What ``not`` turns away from."""
    remedy = 'Write not iron or not "two words"; put "not" in quotes to search for the word itself.'
    for token in tokens:
        if token.is_quoted and not token.head and token.text.strip():
            return token.text
        word = token.text.rstrip(",.;:!?")
        if token.text.lower() in _ARTICLES:
            continue
        is_condition = token.is_quoted or word.lower() == "not" or _read_condition(token.text, _Reading())
        if is_condition or not word:
            _refuse("'not' wants a word after it", token.text, remedy)
        return word
    _refuse("nothing follows 'not'", "not", remedy)


def _read_condition(word: str, reading: _Reading) -> bool:
    """Reads a word that is a condition; False where it is text."""
    if signed := _SIGNED.fullmatch(word):
        sign = "+" if signed[1] == "+" else "-"
        reading.elements[sign] += _symbols(signed[2], word)
        return True
    named = _NAMED.fullmatch(word)
    if named is None:
        return False
    name, value = named[1], named[2]
    if reader := _READERS.get(name):
        reader(reading, word, value)
        return True
    if limits := _RANGE.fullmatch(value):
        low, high = (None if side is None else float(side) for side in limits.groups())
        reading.once(word, name, (low, high), reading.properties)
        return True
    if ".." in value and any(c.isdigit() for c in value):
        _refuse("cannot read the range", word, f"Write {name}:3..5, {name}:3.. or {name}:..5.")
    return False


def _symbols(listed: str, word: str) -> list[str]:
    symbols = listed.split(",")
    try:
        Filter(with_elements=tuple(symbols))
    except BadInputError as error:
        _refuse(error.problem, word, "Write symbols such as +Ca or -Fe; quote what is no element.")
    return symbols


def _read_only(reading: _Reading, word: str, value: str) -> None:
    if not re.fullmatch(_ELEMENTS, value):
        _refuse("cannot read the elements", word, "Write only:Ca,Si,O without blanks.")
    reading.once(word, "only_elements", tuple(_symbols(value, word)), reading.single)


def _read_whole(name: str, reading: _Reading, word: str, value: str) -> None:
    limits = _WHOLE.fullmatch(value)
    if limits is None:
        short = word.partition(":")[0]
        _refuse("cannot read the range", word, f"Write {short}:2..8, {short}:..8 or {short}:2.")
    low, high, exact = (None if side is None else int(side) for side in limits.groups())
    pair = (low, high) if exact is None else (exact, exact)
    reading.once(word, name, pair, reading.single)


def _read_system(reading: _Reading, word: str, value: str) -> None:
    names = value.split(",")
    if unknown := [name for name in names if name not in SYSTEMS]:
        _refuse(f"unknown crystal system {unknown[0][:40]!r}", word, f"Use {', '.join(SYSTEMS)}.")
    reading.systems += names


def _example(reading: _Reading, name: str, id: str) -> None:
    if not id.strip():
        _refuse("an empty id", f"{name}:", f"Write {name}:ID with the id of a record.")
    (reading.like if name == "like" else reading.unlike).append(id)


def _read_weight(reading: _Reading, word: str, value: str) -> None:
    part, _, number = value.partition("=")
    if not part or not re.fullmatch(_NUMBER, number):
        _refuse("cannot read the weight", word, "Write weight:text=2.")
    reading.once(word, part, float(number), reading.weights)


def _read_k(reading: _Reading, word: str, value: str) -> None:
    if not re.fullmatch(r"[0-9]{1,9}", value):
        _refuse("cannot read the number of results", word, "Write k:20.")
    reading.once(word, "k", int(value), reading.single)


_READERS: dict[str, Callable[[_Reading, str, str], None]] = {
    "only": _read_only,
    "system": _read_system,
    "like": lambda reading, _, value: _example(reading, "like", value),
    "unlike": lambda reading, _, value: _example(reading, "unlike", value),
    "weight": _read_weight,
    "k": _read_k,
    **{short: partial(_read_whole, name) for short, name in _RANGES.items()},
}


def write_words(query: Query) -> str:
    """The line that ``read_words`` reads as this query.

    Raises:
        BadInputError: a part that has no words: a structure, a pattern, other data, or a name with blanks.
    """
    if unsaid := [part for part in query.parts if part not in ("text", *query.steer.parts)]:
        raise BadInputError(
            f"the query's {unsaid[0]} cannot be said in words", field="q", remedy="Save the query as JSON."
        )
    line = " ".join(_written(query))
    again = read_words(line)
    if again.to_json() != query.to_json():
        raise BadInputError(
            "a name in the query cannot be said in words", field="q", remedy="Save the query as JSON."
        )
    return line


def _written(query: Query) -> Iterator[str]:
    steer, conditions = query.steer, query.filter
    if query.text is not None:
        yield query.text if _is_plain(query.text) else _quoted(query.text)
    yield from (f"not {term if _is_avoidable(term) else _quoted(term)}" for term in steer.not_text)
    yield from (f"+{symbol}" for symbol in conditions.with_elements)
    yield from (f"-{symbol}" for symbol in conditions.without_elements)
    if conditions.only_elements:
        yield f"only:{','.join(conditions.only_elements)}"
    yield from (f"{name}:{_span(limits)}" for name, limits in conditions.properties.items())
    for short, name in _RANGES.items():
        limits = getattr(conditions, name)
        if limits != (None, None):
            yield f"{short}:{limits[0] if limits[0] == limits[1] else _span(limits)}"
    if conditions.crystal_systems:
        yield f"system:{','.join(conditions.crystal_systems)}"
    for name, ids in (("like", steer.like), ("unlike", steer.unlike)):
        yield from (f"{name}:{i if re.fullmatch(_PLAIN_ID, i) else _quoted(i)}" for i in ids)
    yield from (f"weight:{part}={_number(weight)}" for part, weight in query.weights.items())
    if query.k != 10:
        yield f"k:{query.k}"


def _is_plain(text: str) -> bool:
    """Whether a text is read as itself without quotes."""
    try:
        found = read_words(text)
    except BadInputError:
        return False
    return found.text == text and found.parts == ("text",) and found.filter.is_empty and not found.weights


def _is_avoidable(term: str) -> bool:
    """Whether a term is read as itself after ``not``."""
    try:
        found = read_words(f"x not {term}")
    except BadInputError:
        return False
    return found.text == "x" and found.steer == Steer((term,)) and found.filter.is_empty


def _quoted(text: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def _span(limits: Range) -> str:
    low, high = ("" if side is None else _number(side) for side in limits)
    return f"{low}..{high}"


def _number(value: float | int) -> str:
    return repr(value).removesuffix(".0")

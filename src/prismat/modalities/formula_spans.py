"""Where formulas and element symbols stand in a running text.

A symbol that is also a word (In, As, He), a roman numeral (V, I), a unit (K, C) or a quantity (P) counts only
beside other symbols, with a charge, or before a hyphen that joins it to a noun (V-bearing).
"""

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from prismat.modalities.formula_text import PLACEHOLDER, SYMBOL, parse_formula

SpanKind = Literal["formula", "element", "mineral"]


@dataclass(frozen=True)
class Span:
    """A stretch of text that tells elements.

    Attributes:
        start: first character.
        end: behind the last character.
        kind: ``formula``, ``element`` (symbol, name or chemical word) or ``mineral``.
        amounts: (atomic number, amount) pairs; amounts are 1 outside formulas.
        name: the lexicon's name of a known mineral.
    """

    start: int
    end: int
    kind: SpanKind
    amounts: tuple[tuple[int, float], ...] = ()
    name: str = ""


@dataclass
class _Symbol:
    """An element symbol standing alone, and whether what stands around it makes it one."""

    start: int
    end: int
    number: int
    accepted: bool


BORROWED = re.compile(r"\)?(?:[-\s](?:type|typ|like)|-(?:structured?|struktur|related))\b", re.IGNORECASE)
"""What follows the name of a structure type: the elements named are those of another crystal."""

_CHARGE = r"(?:\d?[+]|\d-|\((?:[IVX][IVX,/–-]*|\d[+-])\))"
_SUBSCRIPT = r"(?:\d*\.?\d*(?:[xyzd](?![a-z]))?(?:[+-](?:\d*[xyzd]|delta))?|\(\d*[+-]?(?:[xyzd]|delta)\))"
_OPEN, _CLOSE = r"[(\[{]", r"[)\]}]"
_ONE = re.compile(rf"(\(?)({SYMBOL})({_CHARGE})?\)?\Z")
_SPACED = re.compile(
    rf"{_OPEN}*(?:{SYMBOL}|{PLACEHOLDER})(?:{_SUBSCRIPT}|{_CHARGE})(?:{_CLOSE}+\d*\.?\d*)*\Z|{_OPEN}\S+{_CLOSE}\d*\.?\d*\Z"
)
_CONDITIONS = re.compile(
    r"\b[TPVxyzn]\s*[=<>~]\s*[-\d.,]+(?:\s*(?:K|C|GPa|kbar|kPa|MPa|bar)\b)?"
    r"|(?<![\w.])\d[\d.,]*\s*(?:°|deg\.?|degrees)?\s*(?:K|C|Pa|A|F|V|h)(?![\w+(-])"
    r"|\^[\dIVX+-]+\^"
    r"|\b(?:P-V-T|P-T|P-V|V-T|U-V|[UB]\(\d,\d\)|No\.)"
    r"|\b[PFIABCR](?:-?[1-6][\d_]*)(?:/[a-dmn]+|[a-dmn]+)(?![a-zA-Z])"
    r"|\b[Pp](?:art|arts|artie|hase|hases|olymorph)\s+[A-Z]{1,4}(?![\w(-])"
    r"|\b(?:[Tt]eil|[Tt]ype|[Tt]yp|[Gg]roup|[Ii]ce|[Ss]ample|[Rr]un|[Ss]ite|[Ff]orm)\s+[A-Z]{1,4}(?![\w(-])"
)
_LISTED = rf"(?:NH4|OH|H2O|(?:{SYMBOL})(?![a-z\d]))"
_ASSIGNMENT = re.compile(
    rf"\b[A-Z][A-Za-z]?(?:\d|\([IVX]+\))?'?\s*=\s*({_LISTED}"
    rf"(?:(?:\s*(?:[,;/&+]|\b(?:and|und|et|e|or|o|ou|oder)\b))+\s*{_LISTED})*)(?![A-Za-z\d])"
)
_SYMBOL = re.compile(SYMBOL)
# What stands between two spaces and has a capital, ordinary words apart.
_CHUNK = re.compile(r"(?<!\S)(?![\"'(]?[A-Z]?[a-zß-ÿ]{3,}[.,:;)]*(?:\s|\Z))\S*[A-Z]\S*")
_JOINT = re.compile(r"[-–—/:=_&,;|]+|\.\.+")
_GARBLED = re.compile(rf"(?:{SYMBOL})\d[\d.]*[(\[{{]?(?:{SYMBOL})|{_OPEN}(?:{SYMBOL})[^()]*{_CLOSE}\d")
_NOUN_JOINT = re.compile(r"(?<=[a-z]{3})[-–]|[-–](?=[A-Z]?[a-z]{3})")
_EDGES = "\"'`“”‘’«»:;.,!?$=<>*"
_JOINING = re.compile(r"\)?(?:\s*(?:[,/&+–-]|\b(?:and|und|et|e|or|o|ou|oder)\b))+\s*\(?\Z")
_NOUN_AFTER = re.compile(
    r"-(?!cent|face|type|site|edge|phase|lattice|cell|shap|form|layer|factor|bar|ax[ei]s|typ)[a-z]{3}"
)
_CAPITALS = re.compile(r"[^a-z\d]+\Z")
_CODE = re.compile(r"[A-Z]+(\d+)\Z")
_ALSO_WORDS = re.compile(r"(?:In|As|At|He|Be|Am|La|No|Tc|Ac|Pa|Pm|Cm|Fr|Ra|Bk|Cf|Os)\Z")
_WORDS_AT_THE_START = re.compile(r"(?:Au|Se|Si|Er|Ne|Ni|Te|Ho|Co|Al|Mo)\Z")
_CAPITAL_FORMULAS = re.compile(
    r"(?:KF|KI|KH|BN|BP|BI|WC|VC|VN|VP|UC|UN|UP|US|UO|VO|CO|NO|HF|HI|OH|OD|YN|YP|YB|WN|WB|WP|UB|PN|SN|NH|CN|BO|PO"
    r"|KOH|KOD|HCN|KCN|KHF|VOF|YOF|HFO|SCN|HOF|NOF|[HDNOFI]2|O3|S[68]|P4|C[67]0)\Z"
)


def formula_spans(text: str) -> list[Span]:
    """Formulas and symbols of a text, in order and without overlap; chemical words are not looked for."""
    if not _CHUNK.search(text):
        return []
    spans = [
        Span(match.start(1), match.end(1), "element", _numbers(match.group(1)))
        for match in _ASSIGNMENT.finditer(text)
    ]
    for span in spans:
        text = f"{text[: span.start]}{' ' * (span.end - span.start)}{text[span.end :]}"
    text = _CONDITIONS.sub(lambda match: " " * len(match.group()), text)
    symbols: list[_Symbol] = []
    chunks = [match.span() for match in _CHUNK.finditer(text)]
    at = 0
    while at < len(chunks):
        spaced, length = _spaced_formula(text, chunks, at)
        if spaced is not None:
            spans.append(spaced)
        else:
            _read_chunk(text, *chunks[at], spans, symbols)
        at += length
    spans += _accepted(text, symbols)
    return sorted(spans, key=lambda span: span.start)


def _numbers(text: str) -> tuple[tuple[int, float], ...]:
    return tuple(sorted({pair for symbol in _SYMBOL.findall(text) for pair in parse_formula(symbol) or ()}))


def _spaced_formula(text: str, chunks: list[tuple[int, int]], at: int) -> tuple[Span | None, int]:
    """A formula printed with spaces (Ca2 Zn Si2 O7) that starts at a chunk, and how many chunks it takes."""
    last = at
    ends = []
    while last < len(chunks):
        start, end = chunks[last]
        bare = text[start:end].rstrip(_EDGES).lstrip("\"'“")
        if not _SPACED.match(bare) and not _SPACED.match(_balanced(bare)):
            break
        ends.append(start + text[start:end].index(bare) + len(bare))
        stopped = ends[-1] != end and not (
            text[start:end].endswith(",") and _depth(text[chunks[at][0] : end]) > 0
        )
        last += 1
        if stopped or last == len(chunks) or not text[end : chunks[last][0]].isspace():
            break
    start = chunks[at][0] + len(text[chunks[at][0] :]) - len(text[chunks[at][0] :].lstrip("\"'“"))
    for count in range(len(ends), 1, -1):
        span = _joined(text, start, ends[count - 1])
        if span is not None:
            return span, count
    return None, 1


def _depth(text: str) -> int:
    return sum(map(text.count, "([{")) - sum(map(text.count, ")]}"))


def _joined(text: str, start: int, end: int) -> Span | None:
    start, end = _trim(text, start, end)
    pieces = text[start:end].split()
    amounts = parse_formula("".join(pieces))
    if not amounts or len(pieces) < 2:
        return None
    counted = any(c.isdigit() for c in text[start:end])
    opening = _opens_sentence(text, start)
    first = pieces[0]
    if not counted and (
        opening and (_ALSO_WORDS.match(first) or _WORDS_AT_THE_START.match(first) or len(first) == 1)
    ):
        return None
    if not counted and (len(amounts) < 2 or not any(c.islower() for c in "".join(pieces))):
        return None
    if first in ("I", "V", "A") and len(pieces) == 2 and not counted:
        return None
    return _formula(text, start, end, amounts)


def _opens_sentence(text: str, start: int) -> bool:
    return start == 0 or text[:start].rstrip()[-1:] in (".", ":", "?", ";")


def _formula(text: str, start: int, end: int, amounts: tuple[tuple[int, float], ...]) -> Span:
    borrowed = BORROWED.match(text, end) is not None
    return Span(start, end, "formula", () if borrowed else amounts)


def _balanced(text: str) -> str:
    """Without the brackets at the ends that have no partner."""
    while text and text[-1] in ")]}" and _depth(text) < 0:
        text = text[:-1]
    while text and text[0] in "([{" and _depth(text) > 0:
        text = text[1:]
    return text


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    """Narrows a stretch by punctuation and by brackets without a partner at its ends."""
    while True:
        piece = text[start:end]
        inner = _balanced(piece.strip(_EDGES))
        if inner == piece:
            return start, end
        start += piece.index(inner)
        end = start + len(inner)


def _read_chunk(text: str, start: int, end: int, spans: list[Span], symbols: list[_Symbol]) -> None:
    """Reads what stands between two spaces: whole, then cut at hyphens before nouns, then at every joint."""
    read: list[Span | _Symbol | None] = []
    for cut in (None, _NOUN_JOINT, _JOINT):
        pieces = [(start, end)] if cut is None else _cut(text, start, end, cut)
        pieces = [_trim(text, *piece) for piece in pieces]
        read = [_read_piece(text, *piece) for piece in pieces]
        if all(found is not None for found in read):
            break
        # What nobody can read but looks like a formula still has to be masked.
        garbled = [Span(*p, "formula") for p, found in zip(pieces, read, strict=True) if found is None]
        read += [span for span in garbled if cut is _JOINT and _GARBLED.search(text, span.start, span.end)]
    found_symbols = [found for found in read if isinstance(found, _Symbol)]
    for found in found_symbols:
        found.accepted |= len(found_symbols) > 1
    spans += [found for found in read if isinstance(found, Span) and found.end > found.start]
    symbols += found_symbols


def _cut(text: str, start: int, end: int, joint: re.Pattern[str]) -> list[tuple[int, int]]:
    pieces, position = [], start
    for match in joint.finditer(text, start, end):
        pieces.append((position, match.start()))
        position = match.end()
    return [*pieces, (position, end)]


def _read_piece(text: str, start: int, end: int) -> Span | _Symbol | None:
    """A formula, a symbol, an empty span for a word that is neither, None where a cut may help."""
    piece = text[start:end]
    if one := _ONE.match(piece):
        return _symbol(text, start, end, one)
    if not any(c.isupper() for c in piece):
        return Span(start, start, "element")
    amounts = parse_formula(piece)
    if amounts is None or not _plausible(piece, amounts):
        return None
    return _formula(text, start, end, amounts)


def _symbol(text: str, start: int, end: int, one: re.Match[str]) -> _Symbol:
    name = one.group(2)
    noun = _NOUN_AFTER.match(text, end) is not None
    suffix = bool(one.group(1)) and text[start - 1 : start] == "-" and name not in ("I", "V")
    opening = _opens_sentence(text, start)
    clear = len(name) == 2 and not _ALSO_WORDS.match(name)
    clear = clear and not (opening and _WORDS_AT_THE_START.match(name))
    borrowed = BORROWED.match(text, end) is not None
    accepted = not borrowed and (clear or noun or suffix or bool(one.group(3)))
    return _Symbol(start, end, _numbers(name)[0][0], accepted)


def _plausible(piece: str, amounts: tuple[tuple[int, float], ...]) -> bool:
    """Whether what can be read as a formula is one, and no acronym or sample number."""
    if _CAPITAL_FORMULAS.match(piece):
        return True
    if not amounts or _CAPITALS.match(piece):
        return False
    lower, digits = any(c in "abcdefghiklmnorstu" for c in piece), any(c.isdigit() for c in piece)
    if code := _CODE.match(piece):
        return len(amounts) > 1 and int(code.group(1)) <= 12 and not set(piece) & set("AEGJLMQRTXZ")
    if len(amounts) == 1:
        return digits and lower
    return True


def _accepted(text: str, symbols: list[_Symbol]) -> list[Span]:
    """Symbols that count; one that is also a word counts beside one that is not (S, Se and Te)."""
    for order in (1, -1):
        chain = symbols[::order]
        for known, other in pairwise(chain):
            first, second = (known, other) if order == 1 else (other, known)
            if known.accepted and not other.accepted and _JOINING.match(text, first.end, second.start):
                other.accepted = True
    return [Span(s.start, s.end, "element", ((s.number, 1.0),)) for s in symbols if s.accepted]

"""Operations of a text-mined recipe as steps: a verb, temperatures in °C, times in hours, and in what."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from prismat.errors import BadInputError

StepKind = Literal["heat", "dry", "mix", "shape", "cool", "other"]
Range = tuple[float, float]
"""Lower and upper end; one value twice."""

MAX_TEMPERATURE = 3000.0
"""°C. What is above was misread from the article (furnaces do not go there)."""
MAX_HOURS = 10_000.0
_ABSOLUTE_ZERO = -273.15
_KINDS: tuple[tuple[str, StepKind], ...] = (
    ("heat", "heat"),
    ("dry", "dry"),
    ("mix", "mix"),
    ("grind", "mix"),
    ("shap", "shape"),
    ("quench", "cool"),
    ("cool", "cool"),
)
_VERB_OF_KIND = {"heat": "heat", "dry": "dry", "mix": "mix", "shape": "shape", "cool": "cool"}
_VERBS = (
    ("calcin", "calcine"),
    ("decarb", "decarbonate"),
    ("sinter", "sinter"),
    ("anneal", "anneal"),
    ("^fir(e|ing)", "fire"),
    ("melt", "melt"),
    ("decompos", "decompose"),
    ("^bak", "bake"),
    ("^ag(e|ing)", "age"),
    ("oxidi[sz]", "oxidize"),
    ("^reduc", "reduce"),
    ("heat", "heat"),
    ("mill|^attrit", "mill"),
    ("gr(ou|i)nd", "grind"),
    ("pulveri|^powder", "pulverize"),
    ("crush|^brok|^break", "crush"),
    ("triturat", "triturate"),
    ("homogeni", "homogenize"),
    ("blend", "blend"),
    ("mix", "mix"),
    ("stir", "stir"),
    ("dissol", "dissolve"),
    ("dispers", "disperse"),
    ("dilut", "dilute"),
    ("shak", "shake"),
    ("^add", "add"),
    ("pelle|palleti", "press into pellets"),
    ("press|compact", "press"),
    ("granul", "granulate"),
    ("evaporat", "evaporate"),
    ("^dr[yi]", "dry"),
    ("quench", "quench"),
    ("cool", "cool"),
    ("wash", "wash"),
    ("rins", "rinse"),
    ("filt(er|rat)", "filter"),
    ("centrifug", "centrifuge"),
    ("collect", "collect"),
    ("reflux", "reflux"),
    ("precipit", "precipitate"),
    ("transfer", "transfer"),
    ("seal", "seal"),
    ("sonic", "sonicate"),
)
_VERB_PATTERNS = tuple((re.compile(pattern), verb) for pattern, verb in _VERBS)
_PREFIX = re.compile(
    r"^(re|pre|post|co)-?(?=gr|mill|press|pell|mix|heat|fir|calcin|sinter|anneal|crush|react)"
)
_PAIRS = (("ethyl", "alcohol"), ("isopropyl", "alcohol"), ("methyl", "alcohol"), ("ethylene", "glycol"))
_LIQUIDS = frozenset(
    (
        "ethyl alcohol",
        "isopropyl alcohol",
        "methyl alcohol",
        "ethylene glycol",
        "ethanol",
        "alcohol",
        "water",
        "acetone",
        "isopropanol",
        "iso-propanol",
        "2-propanol",
        "propanol",
        "methanol",
        "toluene",
        "n-hexane",
        "hexane",
        "cyclohexane",
        "benzene",
        "heptane",
        "ethylalcohol",
        "butanol",
        "deionized water",
        "distilled water",
    )
)
_HOURS = {"h": 1.0, "min": 1 / 60, "s": 1 / 3600, "d": 24.0, "week": 168.0, "month": 730.5}
_TIME_UNITS = (
    (re.compile(r"^(h|hrs?|hours?)$"), "h"),
    (re.compile(r"^min(s|ute|utes)?$"), "min"),
    (re.compile(r"^(s|secs?|seconds?)$"), "s"),
    (re.compile(r"^(d|days?)$"), "d"),
    (re.compile(r"^(wk|weeks?)$"), "week"),
    (re.compile(r"^months?$"), "month"),
)


@dataclass(frozen=True)
class Step:
    """One operation.

    Attributes:
        kind: what sort of operation it is.
        verb: such as ``calcine``.
        again: whether it is done another time.
        temperatures: °C.
        hours: how long.
        atmosphere: gases.
        liquids: what it is done in.
        tools: what else is named, such as the material of the mill.
    """

    kind: StepKind
    verb: str
    again: bool = False
    temperatures: tuple[Range, ...] = ()
    hours: tuple[Range, ...] = ()
    atmosphere: tuple[str, ...] = ()
    liquids: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()

    @property
    def has_conditions(self) -> bool:
        """Whether anything but the verb is known."""
        return bool(self.temperatures or self.hours or self.atmosphere or self.liquids or self.tools)


def read_steps(operations: Any) -> tuple[Step, ...]:
    """Steps in the order of the recipe; operations of no known kind or verb are left out.

    Args:
        operations: as text mining gave them: ``type``, ``token`` (or ``string``) and ``conditions``, whose
            entries are called ``heating_temperature`` or ``temperature``, and likewise.

    Raises:
        BadInputError: not a list of objects.
    """
    if not isinstance(operations, Sequence) or isinstance(operations, str):
        raise BadInputError("no list", field="operations", remedy="It is left out.")
    steps = [_step(operation) for operation in operations]
    return tuple(step for step in steps if step is not None)


def _step(operation: Any) -> Step | None:
    if not isinstance(operation, Mapping):
        raise BadInputError("not an object", field="operations", remedy="It is left out.")
    named = str(operation.get("type") or "").lower()
    kind: StepKind = next((kind for part, kind in _KINDS if part in named), "other")
    verb, again = _verb(str(operation.get("token") or operation.get("string") or "").lower(), kind)
    if not verb:
        return None
    found = operation.get("conditions")
    conditions = found if isinstance(found, Mapping) else {}
    media = _joined([*_words(conditions, "mixing_media"), *_words(conditions, "mixing_device")])
    return Step(
        kind,
        verb,
        again,
        _amounts(conditions, "temperature", _celsius),
        _amounts(conditions, "time", _in_hours),
        tuple(_words(conditions, "atmosphere")),
        tuple(word for word in media if word in _LIQUIDS),
        tuple(word for word in media if word not in _LIQUIDS),
    )


def _joined(words: Sequence[str]) -> list[str]:
    """Words, each once; names of two words that text mining took apart are put together again."""
    kept = list(dict.fromkeys(words))
    for pair in _PAIRS:
        if set(pair) <= set(kept):
            kept = [word for word in kept if word not in pair] + [" ".join(pair)]
    return kept


@lru_cache(maxsize=4096)
def _verb(token: str, kind: StepKind) -> tuple[str, bool]:
    """Imperative of a word as the article has it, and whether it says 'again'."""
    prefix = _PREFIX.match(token)
    stem = token[prefix.end() :] if prefix else token
    verb = next((verb for pattern, verb in _VERB_PATTERNS if pattern.search(stem)), "")
    if prefix and prefix[1] == "pre" and verb:
        return f"pre{verb}" if " " not in verb else verb, False
    return verb or _VERB_OF_KIND.get(kind, ""), bool(prefix and prefix[1] == "re")


def _words(conditions: Mapping[str, Any], name: str) -> list[str]:
    """Words of a condition, which may be one word, several or none; gases keep their case."""
    found = conditions.get(f"heating_{name}") or conditions.get(name) or []
    words = [found] if isinstance(found, str) else found if isinstance(found, Sequence) else []
    plain = [str(word).strip() for word in words if word]
    return list(dict.fromkeys(w if any(c.isupper() for c in w[1:]) else w.lower() for w in plain if w))


def _amounts(conditions: Mapping[str, Any], name: str, convert: Any) -> tuple[Range, ...]:
    """Values and ranges of a condition, each once; what has no known unit or cannot be is left out."""
    found = conditions.get(f"heating_{name}") or conditions.get(name) or []
    ranges: dict[Range, None] = {}
    for entry in found if isinstance(found, Sequence) else []:
        if not isinstance(entry, Mapping):
            continue
        unit, values = str(entry.get("units") or "").strip(), entry.get("values") or []
        pairs = [(v, v) for v in values] or [(entry.get("min_value"), entry.get("max_value"))]
        for low, high in pairs:
            ends = convert(low if low is not None else high, unit), convert(high, unit)
            if ends[0] is not None and ends[1] is not None:
                ranges[min(ends), max(ends)] = None
    return tuple(ranges)


def _celsius(value: Any, unit: str) -> float | None:
    plain = unit.replace("°", "").replace("º", "").replace("deg", "").strip().upper()
    if not isinstance(value, (int, float)) or plain not in ("C", "K", "F"):
        return None
    celsius = {"C": value, "K": value - 273.15, "F": (value - 32) / 1.8}[plain]
    return _rounded(float(celsius)) if _ABSOLUTE_ZERO <= celsius <= MAX_TEMPERATURE else None


def _in_hours(value: Any, unit: str) -> float | None:
    name = next((name for pattern, name in _TIME_UNITS if pattern.match(unit.lower())), "")
    if not isinstance(value, (int, float)) or not name:
        return None
    hours = value * _HOURS[name]
    return _rounded(float(hours)) if 0 < hours <= MAX_HOURS else None


def _rounded(value: float) -> float:
    """Four significant figures, of which the article has no more."""
    return round(value, 3 - math.floor(math.log10(abs(value)))) if value else 0.0

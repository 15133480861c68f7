"""Chemical formulas as authors print them, read into amounts by atomic number.

Knows decimals (Mg.55), variables (Mg1-xFexO, read at x = 0.5), groups, shared sites ((Mg,Fe)2SiO4: equal
parts), hydrates (*8H2O, *nH2O), charges (Fe3+), oxidation numbers (Fe(III)) and placeholders for no element
in particular (A2X4, Ln2O3).
"""

import re
from functools import lru_cache

from prismat.elements import SYMBOLS

SYMBOL = "|".join(sorted([*SYMBOLS[1:], "D"], key=len, reverse=True))
PLACEHOLDER = "REE|RE|Ln|Me|Pn|Ch|[AEGJLMQRTXZ]"

_VARIABLE = r"(?:(?:\d+\.?\d*|\.\d+)?(?:[xyznd](?![a-z])|delta))"
_TERM = rf"(?:{_VARIABLE}|\d+\.?\d*|\.\d+)"
# Of the terms of a sum one is a variable, lest the charge in Mg2+2SiO4 be added to the amount after it.
_AMOUNT = rf"(?:{_VARIABLE}(?:[+-]{_TERM})*|{_TERM}(?:[+-]{_VARIABLE})*)"
_TOKEN = re.compile(
    rf"(?P<charge>\((?:[IVX]+|\d?[+-])\)|\d?\+(?!\d*\.?\d*[dxyzn])|\d-(?=[)\]}}]|$))"
    rf"|[*·•⋅](?P<separator>\d+\.?\d*|[nmx](?=[HD])|)"
    rf"|(?P<amount>\({_AMOUNT}\)|{_AMOUNT}|[+-]{_VARIABLE})"
    rf"|(?P<symbol>{SYMBOL})|(?P<placeholder>{PLACEHOLDER})"
    r"|(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<comma>[,;])"
)
# The full stop before the water of a hydrate is no decimal point.
_HYDRATE_STOP = re.compile(r"\.(?=(?:\d+|n)?[HD]2O)")
_VARIABLES = {"x": 0.5, "y": 0.5, "z": 0.5, "n": 1.0, "m": 1.0, "d": 0.0, "delta": 0.0}
_PART = re.compile(r"([+-]?)(\d+\.?\d*|\.\d+)?(delta|[xyznmd])?")
_NUMBERS = {symbol: z for z, symbol in enumerate(SYMBOLS)} | {"D": 1}

Amounts = dict[int, float]


class _Group:
    """An open bracket: what has been read in it, and the alternatives before the last comma."""

    def __init__(self) -> None:
        self.done: list[Amounts] = []
        self.counted = False
        self.current: Amounts = {}
        self.last: Amounts = {}

    def add(self, part: Amounts) -> None:
        self.flush()
        self.last = part

    def flush(self) -> None:
        for z, n in self.last.items():
            self.current[z] = self.current.get(z, 0.0) + n
        self.last = {}

    def close(self) -> Amounts:
        """Sum of the group; alternatives without amounts of their own share one site."""
        self.flush()
        parts = [*self.done, self.current]
        scale = 1.0 if self.counted or not self.done else 1.0 / len(parts)
        total: Amounts = {}
        for part in parts:
            for z, n in part.items():
                total[z] = total.get(z, 0.0) + n * scale
        return total


@lru_cache(maxsize=65536)
def parse_formula(text: str) -> tuple[tuple[int, float], ...] | None:
    """Reads a formula written without spaces.

    Args:
        text: such as ``Ca2(Mg.55Fe.45)Si2O7`` or ``Fe6(OH)12SO4*8H2O``.

    Returns:
        (atomic number, amount) pairs in ascending order, or None where the text is no formula. A formula of
        placeholders alone gives an empty tuple.
    """
    tokens = _tokens(_HYDRATE_STOP.sub("*", text))
    amounts = _Reader().read(tokens) if tokens else None
    return None if amounts is None else tuple(sorted(amounts.items()))


def _tokens(text: str) -> list[tuple[str, str]]:
    """(kind, value) of each token; empty where something is left over or nothing names an atom."""
    found, position = [], 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            return []
        kind = str(match.lastgroup)
        found.append((kind, match.group(kind)))
        position = match.end()
    return found if any(kind in ("symbol", "placeholder") for kind, _ in found) else []


class _Reader:
    """Sums tokens from left to right; a method per kind of token tells whether it may stand where it does."""

    def __init__(self) -> None:
        self.stack = [_Group()]
        self.total: Amounts = {}
        self.times = 1.0
        self.previous = "separator"

    def read(self, tokens: list[tuple[str, str]]) -> Amounts | None:
        """Amounts of the whole formula, None where the tokens are in no sensible order."""
        for kind, value in tokens:
            if not getattr(self, f"_{kind}")(value):
                return None
            self.previous = kind
        if len(self.stack) != 1 or self.previous == "separator":
            return None
        self._end_part()
        return self.total

    def _symbol(self, value: str) -> bool:
        self.stack[-1].add({_NUMBERS[value]: 1.0})
        return True

    def _placeholder(self, _: str) -> bool:
        self.stack[-1].add({})
        return True

    def _charge(self, _: str) -> bool:
        return self.previous in ("symbol", "placeholder", "close", "amount")

    def _open(self, _: str) -> bool:
        self.stack[-1].flush()
        self.stack.append(_Group())
        return True

    def _close(self, _: str) -> bool:
        if len(self.stack) == 1 or self.previous in ("open", "comma"):
            return False
        inner = self.stack.pop().close()
        self.stack[-1].add(inner)
        return True

    def _comma(self, _: str) -> bool:
        group = self.stack[-1]
        group.flush()
        group.done.append(group.current)
        group.current = {}
        return len(self.stack) > 1 and self.previous not in ("open", "comma")

    def _amount(self, value: str) -> bool:
        group = self.stack[-1]
        if self.previous in ("symbol", "placeholder", "close", "charge"):
            group.last = {z: n * _value(value) for z, n in group.last.items()}
            group.counted |= self.previous != "close"
        elif self.previous == "separator":
            self.times *= _value(value)
        # What is left is a variable after a number: the d of O9+d.
        return self.previous in ("symbol", "placeholder", "close", "charge", "separator", "amount")

    def _separator(self, value: str) -> bool:
        if len(self.stack) > 1 or self.previous == "separator":
            return False
        self._end_part()
        self.stack, self.times = [_Group()], _value(value or "1")
        return True

    def _end_part(self) -> None:
        for z, n in self.stack[0].close().items():
            self.total[z] = self.total.get(z, 0.0) + n * self.times


def _value(text: str) -> float:
    """Value of a subscript such as ``2-x``, with x, y, z = 0.5, n = 1 and d (delta) = 0; never below 0.05."""
    total = 0.0
    for sign, number, variable in _PART.findall(text.strip("()")):
        if number or variable:
            value = (float(number) if number else 1.0) * (_VARIABLES[variable] if variable else 1.0)
            total += -value if sign == "-" else value
    return max(total, 0.05)

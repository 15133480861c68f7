"""Numbers as a page shows them."""

import math
from typing import TypeGuard

import numpy as np


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a finite number (True and False are not)."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        return False
    return math.isfinite(value)


def percent(share: object) -> str:
    """A share as a percentage without its sign, or a dash."""
    return f"{100 * share:.1f}" if is_number(share) else "–"


def number(value: object) -> str:
    """A count, a measure or a word as a reader wants it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not is_number(value):
        return "–" if value is None or isinstance(value, float) else str(value)
    if float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def duration(seconds: object) -> str:
    """Seconds as seconds, minutes or hours."""
    if not is_number(seconds):
        return number(seconds)
    value = float(seconds)
    if value < 120:
        return f"{value:.1f} s"
    return f"{value / 60:.1f} min" if value < 7200 else f"{value / 3600:.1f} h"

"""Figures, differences and costs as cells of a table."""

from collections.abc import Mapping, Sequence
from typing import Any

from prismat.page.words import duration, is_number, number

DASH = "–"


def with_ends(found: Sequence[float | None] | None, sign: str = "") -> str:
    """A value and its interval: ``0.512 [0.480, 0.545]``; without one the value alone."""
    if not found or not is_number(found[0]):
        return DASH
    value, *ends = found
    if len(ends) < 2 or not all(is_number(e) for e in ends):
        return f"{value:{sign}.3f}"
    return f"{value:{sign}.3f} [{ends[0]:{sign}.3f}, {ends[1]:{sign}.3f}]"


def gap(found: Mapping[str, Any] | None) -> str:
    """A paired difference with its interval."""
    return with_ends([found["mean"], found["low"], found["high"]], "+") if found else DASH


def cost_cells(cost: Mapping[str, Any]) -> list[str]:
    """Time of training, device hours, peak memory in MB, parameters."""
    seconds = cost.get("train_s")
    hours = cost.get("device_hours", seconds / 3600 if is_number(seconds) else None)
    memory = cost.get("peak_rss_mb")
    return [
        duration(seconds) if is_number(seconds) else DASH,
        f"{hours:.3g}" if is_number(hours) else DASH,
        f"{memory:,.0f}" if is_number(memory) else DASH,
        number(cost["parameters"]) if is_number(cost.get("parameters")) else DASH,
    ]


COSTS = ("training", "device h", "peak MB", "parameters")
"""Heads of ``cost_cells``."""

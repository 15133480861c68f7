"""The report of a run: ``report.json`` for programs and one self-contained ``report.html`` for people.

The page holds its style and its plots, loads nothing and runs nothing; every string in it is escaped.
"""

import dataclasses
import math
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from prismat.files import write_json, write_text
from prismat.page.document import document
from prismat.tasks.report_sections import (
    Example,
    Hit,
    ReportFigures,
    cost_section,
    data_section,
    example_section,
    figure_section,
    retrieval_section,
)
from prismat.tasks.report_words import summary

__all__ = ["Example", "Hit", "ReportFigures", "render_report", "summary", "write_report"]

_TITLE = "Retrieval between structure, text and diffraction"


def write_report(folder: Path, report: Mapping[str, Any], figures: ReportFigures | None = None) -> Path:
    """Writes ``report.json`` and ``report.html``, each whole or not at all.

    Args:
        folder: the run folder; made where missing.
        report: any of ``title``, ``dataset``, ``split``, ``retrieval`` {direction: metrics}, ``baselines``
            {name: {direction: metrics}}, ``differences`` {direction: {baseline: {metric: (mean, low, high)}}}
            of model − baseline, ``cost`` and ``environment``. A part that is missing is left out of the page.
        figures: what to draw.

    Returns:
        Path of the page.
    """
    plain = to_plain(report)
    write_json(folder / "report.json", plain)
    page = folder / "report.html"
    write_text(page, render_report(plain, figures or ReportFigures()))
    return page


def render_report(report: Mapping[str, Any], figures: ReportFigures) -> str:
    """The page as text; the arguments are those of :func:`write_report`, with plain JSON values."""
    lede = escape(summary(report)).replace(" %", "&nbsp;%")
    sections = (
        retrieval_section(report),
        figure_section(report, figures),
        example_section(figures),
        data_section(report),
        cost_section(report),
    )
    footer = "The same numbers, unrounded, are in report.json beside this page."
    return document(str(report.get("title") or _TITLE), "evaluation", lede, sections, footer)


def to_plain(value: Any) -> Any:
    """The same content in JSON types; numbers that are not finite become None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_plain(dataclasses.asdict(value))
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [to_plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return to_plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)

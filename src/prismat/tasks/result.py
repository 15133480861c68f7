"""What a task leaves behind: its figures as JSON, one page for people, and its pictures as files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from prismat.files import write_json, write_text
from prismat.page.document import document
from prismat.page.picture import standalone_svg
from prismat.page.sections import data_table, figure_block, section
from prismat.tasks.report import to_plain


@dataclass(frozen=True)
class Table:
    """A table of a page.

    Attributes:
        title: above it.
        head: names of the columns.
        rows: cells as text.
        numbers: the columns that stand to the right.
        aside: what to know before reading it.
    """

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: Sequence[str] = ()
    aside: str = ""


@dataclass(frozen=True)
class Picture:
    """A figure of a page, which is also a file.

    Attributes:
        name: of the file, without ending.
        svg: from :func:`prismat.page.figure.inline_svg`.
        caption: below it.
        wide: over the whole page.
    """

    name: str
    svg: str
    caption: str
    wide: bool = False


@dataclass(frozen=True)
class ResultPage:
    """What a person reads.

    Attributes:
        title: of the page.
        kind: of the task, in a word or two.
        lede: the answer in a sentence or two, numbers included.
        pictures: the figures.
        tables: below them.
    """

    title: str
    kind: str
    lede: str
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()


def write_result(folder: Path, name: str, result: Mapping[str, Any], page: ResultPage) -> Path:
    """Writes ``NAME.json``, ``NAME.html`` and an SVG for each picture, each whole or not at all.

    Args:
        folder: made where missing.
        name: of the task, a plain word.
        result: figures in any types that :func:`prismat.tasks.report.to_plain` takes.
        page: for people.

    Returns:
        Path of the page.
    """
    folder = Path(folder)
    write_json(folder / f"{name}.json", to_plain(result))
    for picture in page.pictures:
        write_text(folder / f"{picture.name}.svg", standalone_svg(picture.svg))
    write_text(folder / f"{name}.html", render_result(name, page))
    return folder / f"{name}.html"


def render_result(name: str, page: ResultPage) -> str:
    """The page as text."""
    wide = [figure_block(p.svg, p.caption, "wide") for p in page.pictures if p.wide]
    small = [figure_block(p.svg, p.caption) for p in page.pictures if not p.wide]
    figures = [*wide, f'<div class="figures">{"".join(small)}</div>' if small else ""]
    sections = [section("Figures", "".join(figures))] if page.pictures else []
    sections += [section(t.title, data_table(t.head, t.rows, t.numbers), t.aside) for t in page.tables]
    footer = f"The same numbers, unrounded, are in {escape(name)}.json beside this page."
    return document(page.title, page.kind, escape(page.lede), sections, footer)

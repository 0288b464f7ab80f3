"""Pieces that every section of report.html is made of; whatever comes from outside is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Cell", "Markup", "code", "header", "number", "section", "table", "text"]


@dataclass(frozen=True, slots=True)
class Markup:
    """Text that is HTML already."""

    html: str


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table: its content and its style class."""

    content: Markup
    style: str = ""


def text(words: str, style: str = "") -> Cell:
    """Return a cell of words."""
    return Cell(Markup(escape(words)), style)


def number(words: str, style: str = "") -> Cell:
    """Return a cell of a number, to the right."""
    return Cell(Markup(escape(words)), f"n {style}".strip())


def code(words: str, style: str = "") -> Cell:
    """Return a cell of an id or a digest."""
    return Cell(Markup(f"<code>{escape(words)}</code>"), style)


def header(name: str, unit: str = "", meaning: str = "", style: str = "") -> Cell:
    """Return a heading: name, unit in small letters below it, and what it means when pointed at."""
    shown = escape(name)
    if meaning:
        shown = f'<abbr title="{escape(meaning)}">{shown}</abbr>'
    if unit:
        shown += f"<small>{escape(unit)}</small>"
    return Cell(Markup(shown), style)


def table(headers: Sequence[Cell], rows: Iterable[Sequence[Cell]], caption: str = "", style: str = "") -> str:
    """Return a table that scrolls sideways on its own where it is wider than the page; the first cell heads its row."""
    told = f"<caption>{escape(caption)}</caption>" if caption else ""
    head = "".join(f'<th scope="col"{_class(cell)}>{cell.content.html}</th>' for cell in headers)
    body = "".join(f"<tr>{_row(row)}</tr>" for row in rows)
    return (
        f'<div class="wide" tabindex="0"><table{_class(Cell(Markup(""), style))}>{told}'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def section(anchor: str, title: str, body: str) -> str:
    """Return a section with its heading."""
    return f'<section id="{anchor}"><h2>{escape(title)}</h2>{body}</section>'


def _row(row: Sequence[Cell]) -> str:
    first, *others = row
    head = f'<th scope="row"{_class(first)}>{first.content.html}</th>'
    return head + "".join(f"<td{_class(cell)}>{cell.content.html}</td>" for cell in others)


def _class(cell: Cell) -> str:
    return f' class="{cell.style}"' if cell.style else ""

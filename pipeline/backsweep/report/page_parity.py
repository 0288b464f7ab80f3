"""The section of report.html that sets engines side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from backsweep.report.page_parts import header, number, table, text

__all__ = ["parity_section", "small_text"]

NONE = "–"  # noqa: RUF001  # an en dash, as tables use it


def parity_section(summary: Mapping[str, Any]) -> str:
    """Return what the same solves gave by native and by each peer; nothing for a sweep without peers."""
    parity, missing = summary.get("parity"), summary.get("notMade", [])
    told = (
        '<p class="quiet">The same solves by other libraries with their own defaults, window by window. A difference '
        "is the largest of a weight; the residual says by one measure how far from its optimum a portfolio is "
        "(0 is exact, and a recipe has none), so it tells which of two is nearer. Times are of this run.</p>"
    )
    shown = _table(parity["axes"], parity["rows"]) if parity else ""
    left = "".join(f"<li>{escape(sentence)}</li>" for sentence in missing)
    return f"{told}{shown}{f'<ul>{left}</ul>' if left else ''}" if shown or left else ""


def small_text(value: float | None) -> str:
    """Return a number that may be as small as rounding: ``3.1e-04``, ``0``."""
    if value is None:
        return NONE
    return "0" if value == 0 else f"{value:.1e}"


def _table(axes: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    heads = [header("engine"), *(header(axis) for axis in axes), header("windows", style="n")]
    heads += [header("difference", "median", style="n"), header("difference", "worst", style="n")]
    heads += [header("residual", "native, worst", style="n"), header("residual", "its worst", style="n")]
    heads += [header("failed", "native", style="n"), header("failed", "its", style="n")]
    heads += [header("ms a window", "its", style="n"), header("times native", style="n"), header("does otherwise")]
    return table(heads, [_row(axes, row) for row in rows], style="parity")


def _row(axes: Sequence[str], row: Mapping[str, Any]) -> list[Any]:
    took = row["peerSecondsAWindow"]
    return [
        text(row["engine"]),
        *(text(row["axes"][axis]) for axis in axes),
        number(f"{row['windows']:,}"),
        *(number(small_text(row[name])) for name in ("median", "worst", "certificate", "peerCertificate")),
        *(number(f"{row[name]:,}") for name in ("failedWindows", "peerFailedWindows")),
        number(NONE if took is None else f"{1000 * took:,.1f}"),
        number(NONE if row["timeRatio"] is None else f"{row['timeRatio']:,.0f}"),
        text(row["note"] or "", "prose"),
    ]

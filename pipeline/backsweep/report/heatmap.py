"""heatmap.png: where the time went, at a glance. Drawn by Pillow, whose import costs a twentieth of matplotlib's."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from backsweep.errors import UserError
from backsweep.report.timing_matrix import (
    ESTIMATING,
    TimeMatrix,
    milliseconds_text,
    other_work,
    seconds_text,
    time_matrix,
)

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont, ImageFont

__all__ = ["draw_heatmap"]

SCALE = 2  # pixels a unit, so that text is sharp on screens of high density
MARGIN, GAP = 28, 48
BAR_NAME, BAR_WIDTH, BAR_VALUE, BAR_ROW = 132, 150, 74, 25
ROW_NAME, CELL, ROW, TOTAL = 160, 82, 31, 82
HEADER, PANEL_HEADER = 84, 34

Colour = tuple[int, int, int]
PAPER, INK, QUIET, RULE, BAR = (255, 255, 255), (24, 29, 38), (96, 104, 117), (214, 219, 226), (107, 143, 184)
RAMP: tuple[Colour, ...] = (
    (237, 244, 251),
    (198, 219, 239),
    (133, 182, 219),
    (66, 133, 192),
    (19, 84, 152),
    (8, 44, 96),
)
"""Light to dark in even steps of lightness: it reads in grey, and to those who tell no red from green."""


class Canvas:
    """A picture in units of which each is `SCALE` pixels."""

    def __init__(self, width: int, height: int) -> None:
        from PIL import Image, ImageDraw

        self._image = Image.new("RGB", (width * SCALE, height * SCALE), PAPER)
        self._draw = ImageDraw.Draw(self._image)
        self._fonts: dict[int, FreeTypeFont | ImageFont] = {}

    def text(self, place: tuple[float, float], text: str, size: int, colour: Colour, anchor: str) -> None:
        """Write text; `anchor` as Pillow names it: l, m or r, then a, m or s."""
        from PIL import ImageFont

        if size not in self._fonts:
            self._fonts[size] = ImageFont.load_default(size * SCALE)
        x, y = place
        self._draw.text((x * SCALE, y * SCALE), text, fill=colour, font=self._fonts[size], anchor=anchor)

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        """Fill a rectangle."""
        if right > left:
            corners = (round(left * SCALE), round(top * SCALE), round(right * SCALE) - 1, round(bottom * SCALE) - 1)
            self._draw.rectangle(corners, fill=colour)

    def png(self) -> bytes:
        """Return the picture as PNG, without date or program."""
        sink = io.BytesIO()
        self._image.save(sink, format="PNG", dpi=(72 * SCALE, 72 * SCALE), compress_level=3)
        return sink.getvalue()


def draw_heatmap(name: str, summary: Mapping[str, Any], timings: Mapping[str, Any]) -> bytes:
    """Return heatmap.png: seconds by the clock a stage, and milliseconds a profile and estimator.

    Raises
    ------
    UserError
        If Pillow is not installed.
    """
    matrix = time_matrix(timings)
    lists = _bar_lists(timings)
    left = BAR_NAME + BAR_WIDTH + BAR_VALUE
    right = max(ROW_NAME + CELL * len(matrix.columns) + TOTAL, 500)
    bars_height = sum(PANEL_HEADER + BAR_ROW * len(bars) + 14 for _, bars in lists)
    matrix_height = PANEL_HEADER + ROW * (len(matrix.rows) + 2) + 54 if matrix.rows else 0
    try:
        canvas = Canvas(2 * MARGIN + left + GAP + right, HEADER + max(bars_height, matrix_height, 160) + MARGIN)
    except ImportError as error:
        raise UserError("heatmap.png is drawn by Pillow, which is not installed: pip install pillow") from error
    canvas.text((MARGIN, 24), "Where the time went", 22, INK, "la")
    canvas.text((MARGIN, 54), _subtitle(name, summary, timings), 13, QUIET, "la")
    top = float(HEADER)
    for title, bars in lists:
        top = _draw_bars(canvas, top, title, bars)
    place = (MARGIN + left + GAP, float(HEADER))
    if matrix.rows:
        _draw_matrix(canvas, place, matrix)
    else:
        _draw_absence(canvas, place, summary)
    return canvas.png()


def _bar_lists(timings: Mapping[str, Any]) -> list[tuple[str, Sequence[tuple[str, float]]]]:
    lists: list[tuple[str, Sequence[tuple[str, float]]]] = [
        ("Stages, by the clock", [(str(stage), float(spent)) for stage, spent in timings["stages"].items()])
    ]
    if timings.get("steps"):
        lists.insert(0, ("Steps before the sweep, by the clock", list(timings["steps"].items())))
    work = other_work(timings)
    return [*lists, ("Inside solve and simulate, all processes", work)] if work else lists


def _subtitle(name: str, summary: Mapping[str, Any], timings: Mapping[str, Any]) -> str:
    trials = summary["trials"]
    cached = f", {trials['cached']:,} of them from the store" if trials["cached"] else ""
    spent = seconds_text(sum(timings["stages"].values()))
    short = name if len(name) <= 48 else f"{name[:47]}..."
    return f"{short}: {trials['total']:,} trials{cached}, {spent} by the clock without the report"


def _draw_bars(canvas: Canvas, top: float, title: str, bars: Sequence[tuple[str, float]]) -> float:
    """Draw one list of bars and return where the next one starts."""
    canvas.text((MARGIN, top), title, 14, INK, "la")
    longest = max((spent for _, spent in bars), default=0.0)
    y = top + PANEL_HEADER
    for name, spent in bars:
        middle = y + BAR_ROW / 2
        start = MARGIN + BAR_NAME
        length = BAR_WIDTH * spent / longest if longest > 0.0 else 0.0
        canvas.text((start - 8, middle), name, 12, INK, "rm")
        canvas.box(start, y + 5, start + max(length, 1.0), y + BAR_ROW - 5, BAR)
        canvas.text((start + BAR_WIDTH + BAR_VALUE, middle), seconds_text(spent), 12, INK, "rm")
        y += BAR_ROW
    return y + 14


def _draw_matrix(canvas: Canvas, place: tuple[float, float], matrix: TimeMatrix) -> None:
    left, top = place
    canvas.text((left, top), "Solving: milliseconds in all processes, profile by covariance", 14, INK, "la")
    low, high = _bounds(matrix)
    first = left + ROW_NAME
    y = top + PANEL_HEADER
    for column, name in enumerate(matrix.columns):
        canvas.text((first + CELL * (column + 0.5), y + ROW / 2), name, 12, QUIET, "mm")
    end = first + CELL * len(matrix.columns)
    canvas.text((end + TOTAL - 8, y + ROW / 2), "all", 12, QUIET, "rm")
    for name, values, total in zip(matrix.rows, matrix.milliseconds.tolist(), matrix.row_totals.tolist(), strict=True):
        y += ROW
        canvas.text((first - 10, y + ROW / 2), name, 12, QUIET if name == ESTIMATING else INK, "rm")
        for column, spent in enumerate(values):
            if not math.isnan(spent):
                x = first + CELL * column
                shade = _shade(spent, low, high)
                canvas.box(x + 1, y + 1, x + CELL - 1, y + ROW - 1, _colour(shade))
                ink = PAPER if shade > 0.55 else INK
                canvas.text((x + CELL / 2, y + ROW / 2), milliseconds_text(spent), 12, ink, "mm")
        canvas.text((end + TOTAL - 8, y + ROW / 2), milliseconds_text(total), 12, INK, "rm")
    y += ROW
    canvas.box(left, y + 2, end + TOTAL, y + 3, RULE)
    canvas.text((first - 10, y + ROW / 2 + 3), "all", 12, QUIET, "rm")
    for column, total in enumerate(matrix.column_totals.tolist()):
        canvas.text((first + CELL * (column + 0.5), y + ROW / 2 + 3), milliseconds_text(total), 12, INK, "mm")
    grand = milliseconds_text(float(matrix.column_totals.sum()))
    canvas.text((end + TOTAL - 8, y + ROW / 2 + 3), grand, 12, INK, "rm")
    _draw_scale(canvas, (left, y + ROW + 22), low, high)


def _draw_scale(canvas: Canvas, place: tuple[float, float], low: float, high: float) -> None:
    """Draw what the colours mean."""
    left, top = place
    steps, width = 100, ROW_NAME - 12
    for step in range(steps):
        start = left + width * step / steps
        canvas.box(start, top, start + width / steps + 0.5, top + 10, _colour((step + 0.5) / steps))
    text = f"{milliseconds_text(low)} to {milliseconds_text(high)} ms, logarithmic; blank: never met"
    canvas.text((left + width + 12, top + 5), text, 12, QUIET, "lm")


def _draw_absence(canvas: Canvas, place: tuple[float, float], summary: Mapping[str, Any]) -> None:
    left, top = place
    trials = summary["trials"]
    all_cached = trials["cached"] == trials["total"]
    canvas.text((left, top), "Nothing was solved", 14, INK, "la")
    reason = (
        f"All {trials['total']:,} trials were in the store already."
        if all_cached
        else "The weights of every trial were in the store already, or none has any."
    )
    canvas.text((left, top + PANEL_HEADER), reason, 13, QUIET, "la")
    canvas.text((left, top + PANEL_HEADER + 22), "The run that computed them drew their times.", 13, QUIET, "la")


def _bounds(matrix: TimeMatrix) -> tuple[float, float]:
    """Return the least and the most of the cells, a microsecond at least."""
    spent = [value for row in matrix.milliseconds.tolist() for value in row if not math.isnan(value)]
    return max(min(spent), 1e-3), max(max(spent), 1e-3)


def _shade(spent: float, low: float, high: float) -> float:
    """Return 0 for the least to 1 for the most, even by factors."""
    return 0.0 if high <= low else math.log(max(spent, low) / low) / math.log(high / low)


def _colour(shade: float) -> Colour:
    """Return the ramp's colour at 0 to 1."""
    place = min(max(shade, 0.0), 1.0) * (len(RAMP) - 1)
    index = min(int(place), len(RAMP) - 2)
    low, high, part = RAMP[index], RAMP[index + 1], place - index
    red, green, blue = (round(a + (b - a) * part) for a, b in zip(low, high, strict=True))
    return red, green, blue

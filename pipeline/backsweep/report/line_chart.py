"""Lines over time as inline SVG: drawn to be stretched, with labels as text beside it, so that they never shrink."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from backsweep.arrays import Float, Integer
from backsweep.report.wealth import thin

__all__ = ["Chart", "Line", "draw", "linear_ticks", "log_ticks", "month_ticks"]

WIDTH, HEIGHT = 1000.0, 300.0
MOST_TICKS = 8
MONTH_STEPS = (1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200)


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """One line: its style class in the page's style sheet, (n,) days since 1970-01-01, (n,) values."""

    style: str
    days: Integer
    values: Float


@dataclass(frozen=True, slots=True, eq=False)
class Chart:
    """Lines on common axes.

    Parameters
    ----------
    lines : the last is drawn on top.
    logarithmic : whether the value axis is; all values are above 0 then.
    tick_text : a tick of the value axis as text.
    shaded_from : day from which the background is shaded; None for none.
    description : what a reader who cannot see it is told.
    """

    lines: Sequence[Line]
    logarithmic: bool
    tick_text: Callable[[float], str]
    shaded_from: int | None
    shaded_label: str
    description: str


def draw(chart: Chart) -> str:
    """Return the chart as HTML."""
    first = min(int(line.days[0]) for line in chart.lines)
    last = max(int(line.days[-1]) for line in chart.lines)
    low = min(float(line.values.min()) for line in chart.lines)
    high = max(float(line.values.max()) for line in chart.lines)
    low, high = _with_room(low, high, chart.logarithmic)
    level = np.log if chart.logarithmic else np.asarray
    bottom, top = float(level(low)), float(level(high))
    span_days = max(last - first, 1)

    def across(days: Integer) -> Float:
        return np.asarray((days - first) * (WIDTH / span_days), dtype=np.float64)

    def down(values: Float) -> Float:
        return (top - level(values)) * (HEIGHT / (top - bottom))

    ticks = log_ticks(low, high) if chart.logarithmic else linear_ticks(low, high)
    heights = [(tick, float(down(np.array(tick)))) for tick in ticks]
    months = [(text, float(across(np.array(day)))) for text, day in month_ticks(first, last)]
    shapes = [f'<path class="grid" d="{"".join(f"M0 {y:.1f}H{WIDTH:.0f}" for _, y in heights)}"/>']
    shapes.append(f'<path class="grid" d="{"".join(f"M{x:.1f} 0V{HEIGHT:.0f}" for _, x in months)}"/>')
    shading = ""
    if chart.shaded_from is not None:
        left = float(across(np.array(chart.shaded_from)))
        shapes.insert(0, f'<rect class="shade" x="{left:.1f}" y="0" width="{WIDTH - left:.1f}" height="{HEIGHT:.0f}"/>')
        shading = f'<span class="shade-label">{escape(chart.shaded_label)}</span>'
    for line in chart.lines:
        rows = thin(line.values)
        points = zip(across(line.days[rows]).tolist(), down(line.values[rows]).tolist(), strict=True)
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        shapes.append(f'<path class="line {line.style}" d="M{path}"/>')
    labels = [
        f'<span class="y" style="top:{100.0 * y / HEIGHT:.2f}%">{escape(chart.tick_text(tick))}</span>'
        for tick, y in heights
    ]
    labels += [f'<span class="x" style="left:{100.0 * x / WIDTH:.2f}%">{text}</span>' for text, x in months]
    return (
        f'<div class="chart"><div class="plot">'
        f'<svg viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(chart.description)}">{"".join(shapes)}</svg>{shading}{"".join(labels)}</div></div>'
    )


def log_ticks(low: float, high: float) -> list[float]:
    """Return 1, 2, 5 times powers of ten; powers alone, or every second one, where those are too many."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors, stride in (((1, 2, 5), 1), ((1, 3), 1), ((1,), 1), ((1,), 2), ((1,), 5), ((1,), 20), ((1,), 100)):
        ticks = [factor * 10.0**decade for decade in decades if decade % stride == 0 for factor in factors]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) <= MOST_TICKS:
            break
    return ticks if len(ticks) >= 3 else [tick for tick in linear_ticks(low, high) if tick > 0.0]


def linear_ticks(low: float, high: float) -> list[float]:
    """Return round numbers from low to high."""
    raw = (high - low) / (MOST_TICKS - 2)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= raw * (1.0 - 1e-9))
    return [round(index * step, 12) for index in range(math.ceil(low / step), math.floor(high / step) + 1)]


def month_ticks(first: int, last: int) -> list[tuple[str, int]]:
    """Return (text, day) of first days of months, at most `MOST_TICKS`; of the first day alone in a span of days."""
    begin = int(np.datetime64(first, "D").astype("datetime64[M]").astype(np.int64))
    end = int(np.datetime64(last, "D").astype("datetime64[M]").astype(np.int64))
    step = next((step for step in MONTH_STEPS if (end - begin) // step < MOST_TICKS), MONTH_STEPS[-1])
    ticks = []
    for month in range(-(-begin // step) * step, end + 1, step):
        day = np.datetime64(month, "M").astype("datetime64[D]")
        number = int(day.astype(np.int64))
        if first <= number <= last:
            ticks.append((str(day)[:4] if step >= 12 else str(day)[:7], number))
    return ticks or [(str(np.datetime64(first, "D")), first)]


def _with_room(low: float, high: float, logarithmic: bool) -> tuple[float, float]:
    """Return bounds with a little air, and never equal."""
    if logarithmic:
        room = max((high / low) ** 0.03, 1.001)
        return low / room, high * room
    return low - max(0.03 * (high - low), 1e-4), high

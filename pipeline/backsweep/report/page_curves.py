"""Wealth and drawdown of procedure, winner and yardstick, as figures of report.html."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import numpy as np

from backsweep.arrays import Dates, Float
from backsweep.report.line_chart import Chart, Line, draw
from backsweep.report.wealth import Curve, wealth_curve

__all__ = ["Curves", "curve_figures"]


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """The series a report draws.

    Parameters
    ----------
    dates : (T',) datetime64[D] of the test rows.
    ranked_rows : those that rank; the rest is held out.
    winner, yardstick : (T',) net returns; the winner None where there is none.
    procedure : its net returns from test row `procedure_first` to the last ranked row; None where there is none.
    """

    dates: Dates
    ranked_rows: int
    winner: Float | None
    yardstick: Float
    procedure: Float | None
    procedure_first: int


def curve_figures(curves: Curves) -> str:
    """Return the two figures, the procedure drawn on top of the others."""
    drawn = _curves(curves)
    held = len(curves.dates) - curves.ranked_rows
    shaded_from = int(curves.dates[curves.ranked_rows].astype("datetime64[D]").astype(np.int64)) if held else None
    told = ", ".join(f"{name} {_times(float(curve.wealth[-1]))}" for name, curve in drawn.items())
    wealth = Chart(
        lines=[Line(name, curve.days, curve.wealth) for name, curve in drawn.items()],
        logarithmic=True,
        tick_text=_times,
        shaded_from=shaded_from,
        shaded_label="holdout",
        description=f"Wealth of 1 invested at {curves.dates[0]}, at {curves.dates[-1]}: {told}",
    )
    deepest = ", ".join(f"{name} {100.0 * float(curve.drawdown.min()):.0f} %" for name, curve in drawn.items())
    drawdown = Chart(
        lines=[Line(name, curve.days, curve.drawdown) for name, curve in drawn.items()],
        logarithmic=False,
        tick_text=lambda tick: f"{100.0 * tick:.0f} %".replace("-", "−"),  # noqa: RUF001  # a proper minus sign
        shaded_from=shaded_from,
        shaded_label="",
        description=f"Fall from the highest wealth so far, deepest: {deepest}",
    )
    shade = " Shaded: rows held out, which never ranked." if held else ""
    starts = " The procedure starts where the yardstick stands when it first has 504 rows to choose on."
    return (
        f"<figure><figcaption>Wealth of 1, net of base costs, logarithmic."
        f"{starts if 'procedure' in drawn else ''}{shade}</figcaption>{_legend(drawn)}{draw(wealth)}</figure>"
        f'<figure class="low"><figcaption>Fall from the highest wealth so far.</figcaption>{draw(drawdown)}</figure>'
    )


def _curves(curves: Curves) -> dict[str, Curve]:
    """Return the curves in the order they are drawn: name (and style class) -> curve."""
    drawn = {"yardstick": wealth_curve(curves.dates, curves.yardstick, 1.0)}
    if curves.winner is not None:
        drawn["winner"] = wealth_curve(curves.dates, curves.winner, 1.0)
    first = curves.procedure_first
    yardstick = drawn["yardstick"].wealth
    if curves.procedure is not None and first < len(yardstick):
        dates = curves.dates[first : first + len(curves.procedure)]
        drawn["procedure"] = wealth_curve(dates, curves.procedure, float(yardstick[first]))
    return drawn


def _legend(drawn: dict[str, Curve]) -> str:
    """Return the lines' names, the procedure first, each with where it ended."""
    last = max(int(curve.days[-1]) for curve in drawn.values())
    items = []
    for name, curve in reversed(drawn.items()):
        end = int(curve.days[-1])
        until = "" if end == last else f" until {np.datetime64(end, 'D')}"
        items.append(
            f'<li><svg viewBox="0 0 32 10" aria-hidden="true"><path class="line {name}" d="M0 5H32"/></svg>'
            f"{escape(name)} <b>{escape(_times(float(curve.wealth[-1])))}</b>{until}</li>"
        )
    return f'<ul class="legend">{"".join(items)}</ul>'


def _times(wealth: float) -> str:
    """Return a multiple of the money invested: ``0.5x``, ``168x``, with a proper sign."""
    if wealth >= 1e6:
        return f"{wealth:.0e}×"  # noqa: RUF001  # the sign of multiplication
    digits = f"{wealth:,.0f}" if wealth >= 20.0 else f"{wealth:.3g}"
    return f"{digits}×"  # noqa: RUF001  # the sign of multiplication

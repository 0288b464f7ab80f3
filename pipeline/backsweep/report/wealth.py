"""Wealth and drawdown of a series, thinned to what a screen can show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backsweep.arrays import Dates, Float, Integer

__all__ = ["Curve", "thin", "wealth_curve"]

MOST_POINTS = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """How a series went, from the close before its first row.

    Parameters
    ----------
    days : (n,) int64, days since 1970-01-01.
    wealth : (n,) float64, above 0: a ruined series ends on the row before its ruin.
    drawdown : (n,) float64, wealth over its highest so far, less 1.
    """

    days: Integer
    wealth: Float
    drawdown: Float


def wealth_curve(dates: Dates, net: Float, start: float) -> Curve:
    """Return the curve of net returns.

    Parameters
    ----------
    dates : (T,) datetime64[D].
    net : (T,) simple returns as fractions.
    start : wealth at the close before the first row.
    """
    wealth = start * np.concatenate([[1.0], np.cumprod(1.0 + net)])
    days = dates.astype("datetime64[D]").astype(np.int64)
    days = np.concatenate([days[:1] - 1, days])
    lost = np.flatnonzero(wealth <= 0.0)
    stop = int(lost[0]) if len(lost) else len(wealth)
    peak = np.maximum.accumulate(wealth[:stop])
    return Curve(days[:stop], wealth[:stop], wealth[:stop] / peak - 1.0)


def thin(values: Float) -> Integer:
    """Return the rows to draw, at most `MOST_POINTS`: the lowest and the highest of each stretch, the first, the last.

    Every peak and trough stays, so that the deepest drawdown drawn is the deepest there was.
    """
    if len(values) <= MOST_POINTS:
        return np.arange(len(values), dtype=np.int64)
    stretches = (MOST_POINTS - 2) // 2
    bounds = np.arange(stretches + 1) * len(values) // stretches
    rows = [0, len(values) - 1]
    for first, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        part = values[first:stop]
        rows += [first + int(part.argmin()), first + int(part.argmax())]
    return np.unique(np.array(rows, dtype=np.int64))

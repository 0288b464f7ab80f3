"""The tails of many series: quantiles and the mean of the worst rows, from partial orders only."""

from __future__ import annotations

import numpy as np

from backsweep.arrays import Float

__all__ = ["TAIL", "lower_tail", "tail_count", "tails", "upper_tail"]

TAIL = 20
"""One row in 20 is the tail: 5 %, kept as an integer so that 0.05 n has no rounding."""


def tail_count(rows: int) -> int:
    """Return how many of the lowest of `rows` values the 5 % quantile and CVaR can read."""
    return min(rows // TAIL + 2, rows)


def lower_tail(lowest: Float, rows: int) -> tuple[Float, Float]:
    """Return the 5 % quantile and the mean of the worst 5 %, from the lowest values alone.

    Parameters
    ----------
    lowest : (M, C) float64, the C = `tail_count(rows)` or more lowest values of each series, ascending, no NaN.
    rows : T, how many values the series has.

    Returns
    -------
    quantile : (M,) linear interpolation at position (T - 1) / 20.
    cvar : (M,) sum of the T / 20 lowest over T / 20, the last of them counted by its fraction; with
        fewer than 20 rows, the lowest.

    Source : quantile type 7 of Hyndman and Fan (1996); CVaR as Rockafellar and Uryasev (2002),
        "Conditional value-at-risk for general loss distributions", proposition 8 (split atoms); both
        checked in tests/unit/test_measure_metrics.py.
    """
    whole, part = divmod(rows, TAIL)
    fraction = part / TAIL
    total = lowest[:, :whole].sum(axis=1)
    if fraction > 0.0:
        total = total + fraction * lowest[:, whole]
    return _interpolate(lowest, *divmod(rows - 1, TAIL)), total / (rows / TAIL)


def upper_tail(highest: Float, rows: int) -> Float:
    """Return the 95 % quantile, from the highest values alone.

    Parameters
    ----------
    highest : (M, C) float64, the C = `tail_count(rows)` or more highest values, descending, no NaN.
    rows : T, how many values the series has.

    Returns
    -------
    (M,) linear interpolation at position 19 (T - 1) / 20.

    Source : quantile type 7 of Hyndman and Fan (1996); checked in tests/unit/test_measure_metrics.py.
    """
    return _interpolate(highest, *divmod(rows - 1, TAIL))


def tails(series: Float) -> tuple[Float, Float]:
    """Return the lowest and the highest values of each series, sorted away from its ends.

    Parameters
    ----------
    series : (M, T) float64, no NaN.

    Returns
    -------
    lowest : (M, C) ascending, highest : (M, C) descending, C = `tail_count(T)`.

    Source : selection, then a sort of the tail alone: the same bytes whatever the selection's order.
    """
    rows = series.shape[1]
    count = tail_count(rows)
    ordered = np.partition(series, count - 1, axis=1)
    lowest = np.sort(ordered[:, :count], axis=1)
    if count < rows:
        ordered.partition(rows - count, axis=1)
    highest = np.sort(ordered[:, rows - count :], axis=1)[:, ::-1]
    return lowest, highest


def _interpolate(ordered: Float, whole: int, part: int) -> Float:
    """Return the value `whole` + `part` / 20 places into each row."""
    value: Float = ordered[:, whole]
    if part:
        value = value + (ordered[:, whole + 1] - value) * (part / TAIL)
    return value

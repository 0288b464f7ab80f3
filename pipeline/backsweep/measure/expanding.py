"""Any metric on expanding windows: what was known of every trial at every decision.

The procedure that holds the leader so far asks this of all trials at all windows, so nothing is
summed twice: sums over the rows between two stops are accumulated, tails are carried from stop to stop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from backsweep.arrays import Float, Integer
from backsweep.errors import InvariantError, NotBuiltError
from backsweep.measure.formulas import FORMULAS, NEEDS
from backsweep.measure.tails import lower_tail, tail_count, upper_tail

__all__ = ["Series", "expanding"]

BLOCK_BYTES = 1 << 18
"""Series are summed a few at a time, so that every pass but the first finds them in the cache."""

TAIL_BLOCK_BYTES = 1 << 22
"""Carrying tails from stop to stop pays by the call, not by the byte."""


@dataclass(frozen=True, slots=True)
class Series:
    """A batch of series as `metrics.measure` takes them: net, gross, traded (M, T), risk_free (T,)."""

    net: Float
    gross: Float
    traded: Float
    periods: float
    risk_free: Float


def expanding(series: Series, stops: Integer, metric: str) -> Float:
    """Return `metric` on rows 0 .. stop - 1 for every stop, because a decision knows no later row.

    Parameters
    ----------
    series : M series of T rows; see `metrics.measure` for units and conventions.
    stops : (K,) int64, strictly increasing, from 1 to T.
    metric : a name of `metrics.METRIC_NAMES`.

    Returns
    -------
    (M, K) float64: what `measure` gives for the rows before each stop, to rounding; NaN (null) where
    that is null and once wealth has reached 0 (a ruined trial cannot be held). Rows at or after a stop
    change no bit of its column.

    Raises
    ------
    NotBuiltError : `metric` is `dsr`, whose benchmark depends on all trials at every stop.
    InvariantError : an unknown metric, or stops out of order or range.

    Source : docs/numbers.md, "The procedure"; checked against `measure` at every stop in
        tests/unit/test_measure_expanding.py.
    """
    if metric == "dsr":
        raise NotBuiltError(
            "the procedure cannot follow the metric dsr (its benchmark changes with every window): rank by psr"
        )
    count, rows = series.net.shape
    ordered = len(stops) == 0 or (stops[0] >= 1 and stops[-1] <= rows and (np.diff(stops) > 0).all())
    if metric not in FORMULAS or not ordered:
        raise InvariantError(f"metric {metric!r} at stops that must increase from 1 to {rows} cannot be measured")
    if len(stops) == 0:
        return np.empty((count, 0))
    past = int(stops[-1])
    carried = NEEDS[metric] & {"lower_tail", "upper_tail"}
    size = max(1, (TAIL_BLOCK_BYTES if carried else BLOCK_BYTES) // (8 * past))
    values = np.empty((count, len(stops)))
    for start in range(0, count, size):
        values[start : start + size] = _expanding(_part(series, start, start + size, past), stops, metric)
    return values


def _part(series: Series, start: int, stop: int, past: int) -> Series:
    """Return series `start` to `stop` on the rows before `past`."""
    part = (slice(start, stop), slice(None, past))
    return Series(series.net[part], series.gross[part], series.traded[part], series.periods, series.risk_free[:past])


def _expanding(series: Series, stops: Integer, metric: str) -> Float:
    """Return `expanding` of a few series."""
    sums: dict[str, Float] = {"rows": stops.astype(np.float64), "periods": np.array(float(series.periods))}
    for group in sorted(NEEDS[metric]):
        sums |= GROUPS[group](series, stops)
    lowest = np.minimum.accumulate(np.minimum.reduceat(series.net, _starts(stops), axis=1), axis=1)
    return np.where(lowest <= -1.0, np.nan, FORMULAS[metric](sums))


def _starts(stops: Integer) -> Integer:
    """Return the first row of each run of rows between two stops."""
    return np.concatenate([np.zeros(1, dtype=np.int64), stops[:-1]])


def _running(values: Float, stops: Integer) -> Float:
    """Return the sum of the rows before each stop, (M, K)."""
    between: Float = np.add.reduceat(values, _starts(stops), axis=1)
    np.add.accumulate(between, axis=1, out=between)
    return between


def _running_range(values: Float, stops: Integer) -> Float:
    """Return highest less lowest of the rows before each stop, (M, K)."""
    high = np.maximum.accumulate(np.maximum.reduceat(values, _starts(stops), axis=1), axis=1)
    low = np.minimum.accumulate(np.minimum.reduceat(values, _starts(stops), axis=1), axis=1)
    return high - low


def _shifted(values: Float, stops: Integer) -> tuple[Float, Float]:
    """Return values less their mean before the first stop, and that mean: sums of powers stay exact."""
    origin = values[:, : stops[0]].mean(axis=1)[:, None]
    return values - origin, origin


def _moments(series: Series, stops: Integer) -> dict[str, Float]:
    """Return mean, central power sums and range of net returns; see `formulas.Sums`."""
    shifted, origin = _shifted(series.net, stops)
    squares = shifted * shifted
    mean = _running(shifted, stops) / stops
    second, third = _running(squares, stops), _running(squares * shifted, stops)
    fourth = _running(squares * squares, stops)
    return {
        "mean": mean + origin,
        "m2": np.maximum(second - stops * mean**2, 0.0),
        "m3": third - 3.0 * mean * second + 2.0 * stops * mean**3,
        "m4": fourth - 4.0 * mean * third + 6.0 * mean**2 * second - 3.0 * stops * mean**4,
        "range": _running_range(series.net, stops),
    }


def _excess(series: Series, stops: Integer) -> dict[str, Float]:
    """Return mean, variance sum and range of excess returns; see `formulas.Sums`."""
    excess = series.net - series.risk_free
    shifted, origin = _shifted(excess, stops)
    mean = _running(shifted, stops) / stops
    return {
        "excess_mean": mean + origin,
        "excess_m2": np.maximum(_running(shifted * shifted, stops) - stops * mean**2, 0.0),
        "excess_range": _running_range(excess, stops),
    }


def _downside(series: Series, stops: Integer) -> dict[str, Float]:
    """Return the sum of squared shortfalls of excess returns."""
    below = np.minimum(series.net - series.risk_free, 0.0)
    return {"downside": _running(below * below, stops)}


def _losses(series: Series, stops: Integer) -> dict[str, Float]:
    """Return the sums of net returns and of losses."""
    return {"total": _running(series.net, stops), "losses": _running(np.minimum(series.net, 0.0), stops)}


def _compounded(returns: Float, stops: Integer) -> Float:
    """Return wealth at each stop, (M, K)."""
    between: Float = np.multiply.reduceat(1.0 + returns, _starts(stops), axis=1)
    np.multiply.accumulate(between, axis=1, out=between)
    return between


def _wealth(series: Series, stops: Integer) -> dict[str, Float]:
    """Return wealth at net returns."""
    return {"wealth": _compounded(series.net, stops)}


def _gross(series: Series, stops: Integer) -> dict[str, Float]:
    """Return wealth at gross returns."""
    return {"gross_wealth": _compounded(series.gross, stops)}


def _drawdown(series: Series, stops: Integer) -> dict[str, Float]:
    """Return the deepest drawdown so far."""
    wealth = np.multiply.accumulate(1.0 + series.net, axis=1)
    peak = np.maximum(np.maximum.accumulate(wealth, axis=1), 1.0)
    deepest = np.minimum.reduceat(wealth / peak, _starts(stops), axis=1)
    return {"drawdown": np.minimum(np.minimum.accumulate(deepest, axis=1), 1.0) - 1.0}


def _traded(series: Series, stops: Integer) -> dict[str, Float]:
    """Return what was traded after the first purchase."""
    later = series.traded.copy()
    later[:, 0] = 0.0
    return {"traded": _running(later, stops)}


def _lowest_runs(values: Float, stops: Integer, read: Callable[[Float, int, int], None]) -> None:
    """Call `read(lowest, rows, column)` at each stop with the lowest values so far, ascending.

    A value that more values undercut than the last stop's tail can hold is never read again.
    """
    capacity = tail_count(int(stops[-1]))
    pool = np.empty((values.shape[0], 0))
    for column, (start, stop) in enumerate(zip(_starts(stops).tolist(), stops.tolist(), strict=True)):
        pool = np.sort(np.concatenate([pool, values[:, start:stop]], axis=1), axis=1)[:, :capacity]
        read(pool, stop, column)


def _lower_tail(series: Series, stops: Integer) -> dict[str, Float]:
    """Return the 5 % quantile and the mean of the worst 5 % so far."""
    quantile = np.empty((series.net.shape[0], len(stops)))
    cvar = np.empty_like(quantile)

    def read(lowest: Float, rows: int, column: int) -> None:
        quantile[:, column], cvar[:, column] = lower_tail(lowest, rows)

    _lowest_runs(series.net, stops, read)
    return {"q05": quantile, "cvar": cvar}


def _upper_tail(series: Series, stops: Integer) -> dict[str, Float]:
    """Return the 95 % quantile so far."""
    quantile = np.empty((series.net.shape[0], len(stops)))

    def read(lowest: Float, rows: int, column: int) -> None:
        quantile[:, column] = upper_tail(-lowest, rows)

    _lowest_runs(-series.net, stops, read)
    return {"q95": quantile}


GROUPS: dict[str, Callable[[Series, Integer], dict[str, Float]]] = {
    "moments": _moments,
    "excess": _excess,
    "downside": _downside,
    "losses": _losses,
    "wealth": _wealth,
    "gross": _gross,
    "drawdown": _drawdown,
    "traded": _traded,
    "lower_tail": _lower_tail,
    "upper_tail": _upper_tail,
}
"""How each group of sums that `formulas.NEEDS` names is accumulated."""

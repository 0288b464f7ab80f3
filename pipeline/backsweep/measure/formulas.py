"""From a series' sums to its metrics: the formulas, each once.

Measuring whole series and measuring expanding windows share them; they differ only in how they sum.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from backsweep.arrays import Boolean, Float, Integer
from backsweep.measure.probabilistic_sharpe import probabilistic_sharpe

__all__ = ["FLAT_RANGE", "FORMULAS", "NEEDS", "Sums"]

FLAT_RANGE = 1e-14
"""Returns are differences of numbers near 1, known to 1e-16: a smaller range is rounding, not variance."""

Sums = Mapping[str, Float]
"""Named sums of series, all of one shape S = (M,) or (M, K); `rows` broadcasts against it.

rows, periods: counted rows, and rows a year; mean, range: of net returns; m2 m3 m4: sums of powers of
(net - mean); excess_mean, excess_m2, excess_range: the same of net returns less the riskless;
downside: sum of min(excess, 0)^2; total, losses: sums of net and of min(net, 0); q05, q95, cvar: tails
of net; wealth, gross_wealth: 1 compounded at net and gross returns; drawdown: deepest, 0 or less;
traded: sum of |dw| after the first purchase.
"""

Formula = Callable[[Sums], Float]


def _annual_growth(wealth: Float, rows: Float | Integer, periods: Float | Integer) -> Float:
    """wealth^(periods / rows) - 1; -1 at no wealth, NaN under it (a debt has no growth rate)."""
    with np.errstate(invalid="ignore"):
        growth: Float = np.power(wealth, periods / rows) - 1.0
    return np.where(wealth < 0.0, np.nan, growth)


def _ratio(numerator: Float, denominator: Float) -> Float:
    """Return the quotient, NaN where the denominator is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        quotient: Float = numerator / denominator
    return np.where(denominator == 0.0, np.nan, quotient)


def _deviation(second: Float, spread: Float, rows: Float) -> Float:
    """Standard deviation (ddof 1) of a row; NaN for a flat series or a single row."""
    flat: Boolean = (spread <= FLAT_RANGE) | (rows < 2)
    return np.where(flat, np.nan, np.sqrt(second / np.maximum(rows - 1, 1)))


def _moment(sums: Sums, name: str, power: float) -> Float:
    """Population moment standardised by the population variance; NaN for a flat series."""
    rows = sums["rows"]
    flat = sums["range"] <= FLAT_RANGE
    variance = np.where(flat, 1.0, sums["m2"] / rows)
    return np.where(flat, np.nan, sums[name] / rows / variance**power)


def _total_return(sums: Sums) -> Float:
    return sums["wealth"] - 1.0


def _cagr(sums: Sums) -> Float:
    return _annual_growth(sums["wealth"], sums["rows"], sums["periods"])


def _volatility(sums: Sums) -> Float:
    return _deviation(sums["m2"], sums["range"], sums["rows"]) * np.sqrt(sums["periods"])


def _row_sharpe(sums: Sums) -> Float:
    return sums["excess_mean"] / _deviation(sums["excess_m2"], sums["excess_range"], sums["rows"])


def _sharpe(sums: Sums) -> Float:
    return _row_sharpe(sums) * np.sqrt(sums["periods"])


def _sortino(sums: Sums) -> Float:
    downside = np.sqrt(sums["downside"] / sums["rows"])
    flat = sums["excess_range"] <= FLAT_RANGE
    return np.where(flat, np.nan, _ratio(sums["excess_mean"], downside) * np.sqrt(sums["periods"]))


def _calmar(sums: Sums) -> Float:
    return _ratio(_cagr(sums), -sums["drawdown"])


def _max_drawdown(sums: Sums) -> Float:
    return sums["drawdown"]


def _cvar_95(sums: Sums) -> Float:
    return sums["cvar"]


def _skew(sums: Sums) -> Float:
    return _moment(sums, "m3", 1.5)


def _kurtosis(sums: Sums) -> Float:
    return _moment(sums, "m4", 2.0)


def _omega(sums: Sums) -> Float:
    return _ratio(sums["total"] - sums["losses"], -sums["losses"])


def _tail_ratio(sums: Sums) -> Float:
    return _ratio(np.abs(sums["q95"]), np.abs(sums["q05"]))


def _turnover(sums: Sums) -> Float:
    return sums["traded"] / 2.0 * (sums["periods"] / sums["rows"])


def _cost_drag(sums: Sums) -> Float:
    return _annual_growth(sums["gross_wealth"], sums["rows"], sums["periods"]) - _cagr(sums)


def _psr(sums: Sums) -> Float:
    return probabilistic_sharpe(_row_sharpe(sums), sums["rows"], _skew(sums), _kurtosis(sums))


FORMULAS: dict[str, Formula] = {
    "total_return": _total_return,
    "cagr": _cagr,
    "volatility": _volatility,
    "sharpe": _sharpe,
    "sortino": _sortino,
    "calmar": _calmar,
    "max_drawdown": _max_drawdown,
    "cvar_95": _cvar_95,
    "skew": _skew,
    "kurtosis": _kurtosis,
    "omega": _omega,
    "tail_ratio": _tail_ratio,
    "turnover": _turnover,
    "cost_drag": _cost_drag,
    "psr": _psr,
}
"""The metrics of one series, by their public names; `dsr` needs the other trials and is added later."""

NEEDS: dict[str, frozenset[str]] = {
    "total_return": frozenset({"wealth"}),
    "cagr": frozenset({"wealth"}),
    "volatility": frozenset({"moments"}),
    "sharpe": frozenset({"excess"}),
    "sortino": frozenset({"excess", "downside"}),
    "calmar": frozenset({"wealth", "drawdown"}),
    "max_drawdown": frozenset({"drawdown"}),
    "cvar_95": frozenset({"lower_tail"}),
    "skew": frozenset({"moments"}),
    "kurtosis": frozenset({"moments"}),
    "omega": frozenset({"losses"}),
    "tail_ratio": frozenset({"lower_tail", "upper_tail"}),
    "turnover": frozenset({"traded"}),
    "cost_drag": frozenset({"wealth", "gross"}),
    "psr": frozenset({"moments", "excess"}),
}
"""Which groups of sums each formula reads, so that an expanding window sums no more than it must."""

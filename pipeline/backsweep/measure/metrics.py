"""The metrics of finished series, as defined in docs/numbers.md; thousands of series in one call."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from backsweep.arrays import Boolean, Float
from backsweep.errors import InvariantError
from backsweep.measure.drawdown import compound, wealth_and_drawdown
from backsweep.measure.formulas import FORMULAS
from backsweep.measure.tails import lower_tail, tails, upper_tail

__all__ = ["METRIC_NAMES", "Measured", "measure"]

METRIC_NAMES = tuple(FORMULAS)

BLOCK_BYTES = 1 << 18
"""Series are measured a few at a time, so that every pass but the first finds them in the cache."""


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What `measure` found.

    Parameters
    ----------
    metrics : name of `METRIC_NAMES` -> (M,) float64; NaN is null: the metric is not defined.
    ruined : (M,) bool, True where wealth reached 0 or less.
    """

    metrics: dict[str, Float]
    ruined: Boolean


def measure(net: Float, gross: Float, traded: Float, periods: float, risk_free: Float) -> Measured:
    """Measure every series by every metric, because which one decides is the user's choice.

    Parameters
    ----------
    net, gross : (M, T) float64, simple returns a row as fractions, after and before costs, no NaN;
        0 on the rows after ruin, as `simulate` leaves them.
    traded : (M, T) float64, sum |dw| on the row that carries its cost; the first column is the first
        purchase, which `turnover` leaves out.
    periods : rows a year.
    risk_free : (T,) float64, riskless return a row.

    Returns
    -------
    Measured, with M entries a metric. `max_drawdown` and `cvar_95` are returns (0 or negative, bigger
    is better); Sharpe, Sortino and PSR are of net returns less the riskless; everything else is of net
    returns. NaN (null) where a denominator is 0: no variance (a range of returns up to 1e-14), no loss,
    no drawdown, debt at the end. A series' metrics are the same bytes whatever else is in the batch.

    Raises
    ------
    InvariantError : shapes differ, there are no rows, or a series is not finite.

    Source : docs/numbers.md, "Metrics"; checked against slow loops in
        tests/unit/test_measure_metrics.py and against peers in tests/reference/test_measure_peers.py.
    """
    series, rows = net.shape
    if gross.shape != net.shape or traded.shape != net.shape or risk_free.shape != (rows,):
        raise InvariantError(
            f"net {net.shape}, gross {gross.shape}, traded {traded.shape} and risk_free {risk_free.shape} differ"
        )
    if rows == 0:
        raise InvariantError("a series to be measured has no rows")
    riskless = None if not risk_free.any() else risk_free
    blocks = max(1, -(-series * rows * 8 // BLOCK_BYTES))
    bounds = [index * series // blocks for index in range(blocks + 1)]
    found = [
        _summarise(net[start:stop], gross[start:stop], traded[start:stop], riskless) for start, stop in pairwise(bounds)
    ]
    sums = {name: np.concatenate([part[name] for part in found]) for name in found[0]}
    if not np.isfinite(sums["total"]).all():
        bad = int(np.flatnonzero(~np.isfinite(sums["total"]))[0])
        raise InvariantError(f"series {bad} of the batch to be measured has returns that are not finite")
    sums["rows"] = np.array(float(rows))
    sums["periods"] = np.array(float(periods))
    metrics = {name: formula(sums) for name, formula in FORMULAS.items()}
    return Measured(metrics, sums["lowest"] <= -1.0)


def _summarise(net: Float, gross: Float, traded: Float, riskless: Float | None) -> dict[str, Float]:
    """Return the sums that `formulas` reads, for a few series; see `measure`."""
    rows = net.shape[1]
    total = net.sum(axis=1)
    mean = total / rows
    centred = net - mean[:, None]
    squares = centred * centred
    lowest, highest = tails(net)
    quantile, cvar = lower_tail(lowest, rows)
    wealth, drawdown = wealth_and_drawdown(net)
    below = np.minimum(net, 0.0)
    sums = {
        "total": total,
        "mean": mean,
        "m2": squares.sum(axis=1),
        "m3": np.vecdot(squares, centred),
        "m4": np.vecdot(squares, squares),
        "losses": below.sum(axis=1),
        "lowest": lowest[:, 0],
        "range": highest[:, 0] - lowest[:, 0],
        "q05": quantile,
        "q95": upper_tail(highest, rows),
        "cvar": cvar,
        "wealth": wealth,
        "drawdown": drawdown,
        "gross_wealth": compound(gross),
        "traded": traded[:, 1:].sum(axis=1),
    }
    if riskless is None:
        return sums | {
            "excess_mean": mean,
            "excess_m2": sums["m2"],
            "excess_range": sums["range"],
            "downside": np.vecdot(below, below),
        }
    return sums | _excess(net - riskless)


def _excess(excess: Float) -> dict[str, Float]:
    """Return the sums of net returns less the riskless; see `measure`."""
    mean = excess.sum(axis=1) / excess.shape[1]
    centred = excess - mean[:, None]
    below = np.minimum(excess, 0.0)
    return {
        "excess_mean": mean,
        "excess_m2": np.vecdot(centred, centred),
        "excess_range": excess.max(axis=1) - excess.min(axis=1),
        "downside": np.vecdot(below, below),
    }

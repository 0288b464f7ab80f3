"""How long the blocks of a stationary bootstrap should be, so that they keep a series' dependence."""

from __future__ import annotations

import math

import numpy as np

from backsweep.arrays import Float

__all__ = ["mean_block_length"]

QUIET_LAGS = 5
"""Least number of insignificant autocorrelations in a row after which the rest is taken as noise."""


def mean_block_length(series: Float) -> float:
    """Return the mean block length that minimises the error of the bootstrap's variance of the mean.

    Parameters
    ----------
    series : (T,) float64, no NaN; for a tournament the leader's returns less the benchmark's.

    Returns
    -------
    From 1 (no dependence) to min(3 sqrt T, T / 3); 1 for a series without variance or of under 10 rows.

    Source : Politis and White (2004), "Automatic block-length selection for the dependent bootstrap",
        Econometric Reviews 23(1), section 3, with D_SB = 2 g(0)^2 as corrected by Patton, Politis and White
        (2009), Econometric Reviews 28(4). Checked against the AR(1) value in
        tests/unit/test_aggregate_superior_ability.py.
    """
    rows = len(series)
    if rows < 10 or np.ptp(series) <= 1e-14:
        return 1.0
    centred = series - series.mean()
    quiet = max(QUIET_LAGS, math.ceil(math.sqrt(math.log10(rows))))
    longest = min(math.ceil(math.sqrt(rows)) + quiet, rows - 1)
    covariance = np.array([np.vecdot(centred[: rows - lag], centred[lag:]) for lag in range(longest + 1)]) / rows
    bandwidth = _bandwidth(covariance / covariance[0], rows, quiet)
    lags = np.arange(1, min(bandwidth, longest) + 1)
    window = np.where(lags / bandwidth <= 0.5, 1.0, 2.0 * (1.0 - lags / bandwidth))
    spectrum = covariance[0] + 2.0 * np.sum(window * covariance[lags])
    slope = 2.0 * np.sum(window * lags * covariance[lags])
    if not spectrum > 0.0:
        return 1.0
    length = (slope**2 / spectrum**2 * rows) ** (1.0 / 3.0)
    return float(min(max(length, 1.0), 3.0 * math.sqrt(rows), rows / 3.0))


def _bandwidth(correlation: Float, rows: int, quiet: int) -> int:
    """Return twice the lag after which `quiet` autocorrelations in a row are insignificant."""
    loud = np.abs(correlation[1:]) >= 2.0 * math.sqrt(math.log10(rows) / rows)
    for lag in range(len(loud) - quiet + 1):
        if not loud[lag : lag + quiet].any():
            return 2 * max(lag, 1)
    heard = np.flatnonzero(loud)
    return 2 * (int(heard[-1]) + 1)

"""Slice statistics: what cross-validation across trials needs of a series, and nothing more."""

from __future__ import annotations

import numpy as np

from backsweep.arrays import Float
from backsweep.errors import InvariantError

__all__ = ["SLICES", "slice_statistics"]

SLICES = 16


def slice_statistics(net: Float, risk_free: Float, slices: int = SLICES) -> Float:
    """Return rows, sum and sum of squares of each slice, so that no series has to travel.

    The remainder of T over `slices` is dropped from the beginning, before anything is cut: all slices
    have the same number of rows and the newest rows stay. The slices are consecutive, oldest first.

    Parameters
    ----------
    net : (M, T) float64, simple net returns a row as fractions, no NaN.
    risk_free : (T,) float64, riskless return a row, subtracted first.
    slices : how many, S.

    Returns
    -------
    (M, S, 3) float64: rows, sum and sum of squares of the excess returns.

    Raises
    ------
    InvariantError : a slice would have fewer than 2 rows.

    Source : Bailey, Borwein, Lopez de Prado and Zhu (2017), "The probability of backtest overfitting",
        Journal of Computational Finance 20(4), section 2.2, steps 1 and 2; checked in
        tests/unit/test_measure_slices.py.
    """
    series, rows = net.shape
    length = rows // slices
    if length < 2:
        raise InvariantError(f"{rows} rows are too few for {slices} slices of at least 2 rows")
    start = rows - length * slices
    riskless = risk_free[start:]
    statistics = np.empty((series, slices, 3))
    statistics[:, :, 0] = length
    for index in range(series):
        excess = (net[index, start:] - riskless).reshape(slices, length)
        statistics[index, :, 1] = excess.sum(axis=1)
        statistics[index, :, 2] = np.vecdot(excess, excess)
    return statistics

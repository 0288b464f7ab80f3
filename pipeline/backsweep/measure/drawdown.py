"""Compounded wealth and its deepest drawdown, many series at once, without a wealth path.

A running product is serial: each row waits for the one before. Cut into blocks of rows, all blocks of
all series advance together, and what a block contributes is four numbers: the factor by which wealth
grew in it, its lowest and highest wealth relative to its start, and the deepest drawdown inside it.
"""

from __future__ import annotations

import numpy as np

from backsweep.arrays import Float

__all__ = ["compound", "wealth_and_drawdown"]

BLOCK_ROWS = 24
"""Long enough that joining the blocks is cheap, short enough that each step has many blocks to advance."""


def compound(returns: Float) -> Float:
    """Return what 1 becomes at each series' returns: the product of (1 + r).

    The rows are folded in half until one is left: a running product would wait for itself.

    Parameters
    ----------
    returns : (M, T) float64, simple returns a row as fractions, no NaN; T at least 1.

    Returns
    -------
    (M,) float64.

    Source : definition; checked against a loop in tests/unit/test_measure_metrics.py.
    """
    growth = 1.0 + returns
    rows = growth.shape[1]
    while rows > 1:
        half = rows // 2
        np.multiply(growth[:, :half], growth[:, rows - half : rows], out=growth[:, :half])
        rows -= half
    return growth[:, 0].copy()


def wealth_and_drawdown(returns: Float) -> tuple[Float, Float]:
    """Return final wealth and deepest drawdown, because both come from one walk over the rows.

    Parameters
    ----------
    returns : (M, T) float64, simple returns a row as fractions, no NaN; T at least 1.

    Returns
    -------
    wealth : (M,) what 1 becomes.
    drawdown : (M,) the lowest wealth / highest wealth before it - 1, the start counting as a peak: a
        return, 0 or negative; under -1 where wealth went below 0.

    Source : wealth definition of docs/numbers.md; checked against a loop in
        tests/unit/test_measure_metrics.py.
    """
    growth, low, high, inside = _block_walk(returns)
    start = np.empty_like(growth)
    start[:, 0] = 1.0
    np.multiply.accumulate(growth[:, :-1], axis=1, out=start[:, 1:])
    peak = np.empty_like(growth)
    peak[:, 0] = 1.0
    np.maximum.accumulate((start * high)[:, :-1], axis=1, out=peak[:, 1:])
    deepest = np.minimum(inside, start * low / peak).min(axis=1)
    # Under 0, the higher of two peaks makes the smaller loss: the minimum above holds for wealth only.
    for series in np.flatnonzero((low <= 0.0).any(axis=1)).tolist():
        path = np.multiply.accumulate(1.0 + returns[series])
        deepest[series] = (path / np.maximum(np.maximum.accumulate(path), 1.0)).min()
    return start[:, -1] * growth[:, -1], deepest - 1.0


def _block_walk(returns: Float) -> tuple[Float, Float, Float, Float]:
    """Return each block's growth, low, high and inner drawdown ratio, (M, blocks) each."""
    series, rows = returns.shape
    length = BLOCK_ROWS
    blocks = -(-rows // length)
    padded = np.ones((series, blocks * length))
    np.add(returns, 1.0, out=padded[:, :rows])
    steps = np.ascontiguousarray(padded.reshape(series, blocks, length).transpose(2, 0, 1))
    wealth = np.ones((series, blocks))
    low, high, inside = wealth.copy(), wealth.copy(), wealth.copy()
    ratio = np.empty_like(wealth)
    for step in steps:
        np.multiply(wealth, step, out=wealth)
        np.minimum(low, wealth, out=low)
        np.maximum(high, wealth, out=high)
        np.divide(wealth, high, out=ratio)
        np.minimum(inside, ratio, out=inside)
    return wealth, low, high, inside

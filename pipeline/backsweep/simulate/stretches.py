"""Cuts the test rows into stretches of equally long windows, small enough to stay in the cache."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from backsweep.arrays import Boolean, Float, Integer, Returns, Windows
from backsweep.errors import InvariantError

__all__ = ["Pages", "Stretch"]

# Numbers of one (K, S, N) block: 2 MiB of float64. 390 windows of 20 rows and 20 assets are one block
# (0.32 ms a rule; blocks of half and a quarter: 0.38 and 0.43 ms), those of 500 assets take 16.
BLOCK_NUMBERS = 1 << 18


@dataclass(frozen=True, slots=True)
class Stretch:
    """K consecutive windows of S rows each.

    Parameters
    ----------
    first : index of the first window.
    start : row of `Returns.simulation` of the first test row.
    simulation : (K, S, N) simple returns; an asset that has become cash earns the riskless return.
    cash : (K, S) riskless returns.
    tradable : (K, S, N) whether an asset can be traded at the close before the row.
    delisted_row : (N,) as in `Returns`.
    """

    first: int
    start: int
    simulation: Float
    cash: Float
    tradable: Boolean
    delisted_row: Integer

    @property
    def windows(self) -> slice:
        """The windows' indices."""
        return slice(self.first, self.first + self.simulation.shape[0])

    @property
    def rows(self) -> Integer:
        """(K, S) the test rows as rows of `Returns.simulation`."""
        return np.arange(self.start, self.start + self.cash.size).reshape(self.cash.shape)

    def gone(self, rows: Integer) -> Boolean | None:
        """Return (..., N), True where an asset has become cash by a row's close; None where none has."""
        if self.delisted_row.min() > rows.max():
            return None
        return np.asarray(rows[..., None] >= self.delisted_row)


@dataclass(frozen=True, slots=True)
class Pages:
    """One stretch of the book: its K * S rows, in any shape, and the drifted weights (N,) it ends with."""

    gross: Float
    traded: Float
    short: Float
    closing: Float


def stretches(windows: Windows, returns: Returns) -> Iterator[Stretch]:
    """Yield the stretches in the order of time; the choice depends on shapes only."""
    assets = returns.simulation.shape[1]
    lengths = windows.test_stop - windows.test_start
    _check(windows, lengths, len(returns.simulation))
    changes = np.flatnonzero(np.diff(lengths)) + 1
    for low, high in zip([0, *changes.tolist()], [*changes.tolist(), len(lengths)], strict=True):
        length = int(lengths[low])
        most = max(1, BLOCK_NUMBERS // (length * max(assets, 1)))
        for first in range(low, high, most):
            yield _cut(first, min(most, high - first), length, int(windows.test_start[first]), returns)


def _cut(first: int, count: int, length: int, start: int, returns: Returns) -> Stretch:
    """Cut one stretch; nothing is copied unless an asset delists."""
    rows = np.arange(start, start + count * length)
    simulation = returns.simulation[start : start + count * length]
    cash = returns.risk_free[start : start + count * length]
    if returns.delisted_row.min() < rows[-1]:
        simulation = np.where(rows[:, None] > returns.delisted_row, cash[:, None], simulation)
    return Stretch(
        first=first,
        start=start,
        simulation=simulation.reshape(count, length, -1),
        cash=cash.reshape(count, length),
        tradable=returns.tradable[start - 1 : start - 1 + count * length].reshape(count, length, -1),
        delisted_row=returns.delisted_row,
    )


def _check(windows: Windows, lengths: Integer, rows: int) -> None:
    """Raise where the windows are not a walk-forward over these rows."""
    if len(lengths) == 0:
        raise InvariantError("a simulation needs at least one window, found none")
    meets = np.array_equal(windows.test_stop[:-1], windows.test_start[1:])
    if not meets or lengths.min() < 1 or windows.test_start[0] < 1 or windows.test_stop[-1] > rows:
        raise InvariantError(
            f"test rows must be consecutive, not empty and inside rows 1 to {rows}; "
            f"found {windows.test_start[0]} to {windows.test_stop[-1]}"
        )

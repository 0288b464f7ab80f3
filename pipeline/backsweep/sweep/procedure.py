"""What somebody would have held who chose by the tournament as it went: the first number of a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backsweep.aggregate.procedure import first_window, leading_trials
from backsweep.arrays import Float, Integer
from backsweep.simulate import Path, net_returns, ruined_row
from backsweep.sweep.parts import Part
from backsweep.sweep.series import Book, SweepSeries
from backsweep.units import Costs

__all__ = ["Procedure", "procedure_windows", "run_procedure"]


@dataclass(frozen=True, slots=True, eq=False)
class Procedure:
    """The procedure's own out-of-sample series.

    Parameters
    ----------
    first : test row (0 is the first of all) its series starts at; it ends with the ranked rows.
    net : its net returns, switching costs paid.
    held : (windows,) rows of the trials table held in each of its windows; -1 for cash.
    switches : windows in which it changed its trial.
    """

    first: int
    net: Float
    held: Integer
    switches: int


def procedure_windows(series: SweepSeries, rows: Sequence[int], ranked: int) -> tuple[int, Integer]:
    """Return the first window of the procedure and the test rows before each of its windows; no stops if too short."""
    windows = series.windows_of(rows[0])
    offsets = windows.test_start - windows.test_start[0]
    first = first_window(windows.test_start)
    return first, offsets[first : int(np.searchsorted(offsets, ranked))]


def run_procedure(
    series: SweepSeries, rows: Sequence[int], parts: Sequence[Part], costs: Costs, ranked: int
) -> Procedure | None:
    """Return the procedure over `rows`, the competing base trials in the order of their ids; None if too short.

    In each window it holds the trial that led on the out-of-sample rows before it, of which there must be 504. A
    switch trades from what was held to what the new leader holds and pays the base costs.
    """
    first, stops = procedure_windows(series, rows, ranked)
    if len(stops) == 0:
        return None
    leading = leading_trials(part.leaders for part in parts)
    held = np.array([-1 if position < 0 else rows[position] for position in leading], dtype=np.int64)
    path = _compose(series, held, first, ranked)
    periods = series.plan.datasets[series.data_of(rows[0])].periods
    net = net_returns(path, costs.slippage_bps, costs.commission_bps, costs.borrow_rate, periods)
    return Procedure(int(stops[0]), net, held, int((np.diff(held) != 0).sum()))


def _compose(series: SweepSeries, held: Integer, first: int, ranked: int) -> Path:
    """Return the path of holding `held[i]` in window `first + i`, up to the ranked rows."""
    rows = [int(row) for row in held]
    some = next((row for row in rows if row >= 0), None)
    any_row = 0 if some is None else some
    windows = series.windows_of(any_row)
    returns = series.plan.datasets[series.data_of(any_row)]
    origin = int(windows.test_start[0])
    offset = int(windows.test_start[first]) - origin
    books = {row: _book(series, row) for row in dict.fromkeys(rows) if row >= 0}
    gross = returns.risk_free[origin + offset : origin + ranked].copy()
    traded = np.zeros_like(gross)
    short = np.zeros_like(gross)
    before = np.zeros(len(returns.symbols))
    for index, row in enumerate(rows):
        window = first + index
        start = int(windows.test_start[window]) - origin
        stop = min(int(windows.test_stop[window]) - origin, ranked)
        part = slice(start - offset, stop - offset)
        book = books.get(row)
        if book is None:
            traded[part.start] = np.abs(before).sum()
            before = np.zeros_like(before)
            continue
        gross[part] = book.path.gross[start:stop]
        traded[part] = book.path.traded[start:stop]
        short[part] = book.path.short[start:stop]
        if index == 0 or rows[index - 1] != row:
            traded[part.start] = np.abs(_opening(book, window) - before).sum()
        before = book.closing[window]
    return Path(origin + offset, gross, traded, short, before, ruined_row(gross))


def _opening(book: Book, window: int) -> Float:
    """Return the weights a trial opens a window with: its target, or what it held where the window failed."""
    target: Float = book.targets[window]
    if not np.isnan(target).any():
        return target
    held: Float = book.closing[window - 1] if window else np.zeros_like(target)
    return held


def _book(series: SweepSeries, row: int) -> Book:
    """Return a trial's book; a whole backtest keeps its own, of which only the net returns are known."""
    if series.task_of(row).units:
        return series.book(row)
    net = series.net(row)
    windows = series.windows_of(row)
    nothing = np.zeros((len(windows), len(series.plan.datasets[series.data_of(row)].symbols)))
    zeros = np.zeros_like(net)
    path = Path(int(windows.test_start[0]), np.asarray(net), zeros, zeros, nothing[0], ruined_row(net))
    return Book(nothing, path, nothing)

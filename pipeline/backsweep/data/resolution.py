"""From one table and its options to one data set: what is simulated, what estimators may see."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from backsweep.arrays import Boolean, Dates, Float, Integer, Returns, read_only
from backsweep.data.calendars import (
    closed_rows,
    is_weekend,
    listed_rows,
    refuse_unsaid_mix,
    rows_a_year,
    still_open,
    weekend_mix,
)
from backsweep.data.checks import benchmark_columns, check_options, check_table, check_values
from backsweep.data.digests import returns_digest
from backsweep.data.membership import member_rows
from backsweep.data.tables import DataOptions, PriceTable
from backsweep.data.tracks import Track, price_track, return_track, sample
from backsweep.errors import DataError

__all__ = ["Resolution", "resolve"]

_FEWEST_RETURNS = 2


@dataclass(frozen=True, slots=True, eq=False)
class Resolution:
    """A data set, and the prices its rows come from.

    Parameters
    ----------
    returns : what the stages work on.
    price_dates : (T + 1,) datetime64[D], the base row and then `returns.dates`; None for returns.
    prices : (T + 1, N) float64, NaN where there is no price, never filled; None for returns.
    """

    returns: Returns
    price_dates: Dates | None
    prices: Float | None


@dataclass(frozen=True, slots=True, eq=False)
class _Aligned:
    """A track on its final rows. listed, closed : (R, N) bool; alive : (N,) bool, not delisted at the end."""

    track: Track
    listed: Boolean
    closed: Boolean
    alive: Boolean


def resolve(table: PriceTable, options: DataOptions) -> Resolution:
    """Check a table, align its calendars and return it as one data set.

    Leading empty rows of a column are an asset that lists late, trailing ones an asset that was
    delisted: its delisting return falls on the row after its last price, and it is cash from there
    on. Empty rows between two prices are a gap, for `options.missing` to decide. A price beyond
    `options.end` is not used, but it does tell a gap from a delisting.

    Raises
    ------
    DataError
        One sentence for the first thing that is wrong, with its column and row.
    """
    check_options(options)
    check_table(table)
    benchmark = benchmark_columns(table, options.benchmark)
    cut, later = _cut(table, options)
    check_values(cut, options.kind)
    aligned = _align(cut, later, options)
    track = aligned.track
    if len(track.moves) < _FEWEST_RETURNS:
        raise DataError(
            f"{table.source}: only {len(track.moves)} row(s) of returns from {cut.dates[0]} to "
            f"{cut.dates[-1]}; at least {_FEWEST_RETURNS} are needed"
        )
    returns = _assemble(cut, aligned, options, np.array(benchmark, dtype=np.int64))
    if track.prices is None:
        return Resolution(returns, None, None)
    return Resolution(returns, read_only(track.dates), read_only(track.prices))


def _cut(table: PriceTable, options: DataOptions) -> tuple[PriceTable, Boolean]:
    """Return the rows from start to end, and (N,) which columns have a value after the end."""
    first = 0 if options.start is None else int(np.searchsorted(table.dates, options.start, side="left"))
    stop = len(table.dates) if options.end is None else int(np.searchsorted(table.dates, options.end, side="right"))
    if first >= stop:
        raise DataError(
            f"{table.source}: no rows between data.start {options.start} and data.end {options.end}; "
            f"the table runs from {table.dates[0]} to {table.dates[-1]}"
        )
    later: Boolean = np.any(~np.isnan(table.values[stop:]), axis=0)
    cut = PriceTable(table.source, table.dates[first:stop], table.symbols, table.values[first:stop])
    return cut, later


def _align(cut: PriceTable, later: Boolean, options: DataOptions) -> _Aligned:
    """Put a table on the rows of its calendar, with its gaps dealt with."""
    priced = ~np.isnan(cut.values)
    trades = weekend_mix(cut.dates, priced)
    alive, rests = later, np.zeros_like(later)
    if trades is not None:
        if options.calendar is None:
            refuse_unsaid_mix(cut, trades)
        alive, rests = later | still_open(cut.dates, priced, trades), ~trades
    if options.kind == "prices":
        track = price_track(cut.dates, cut.values)
    else:
        track = return_track(cut.dates, cut.values, rests)
    if options.calendar == "weekdays":
        track = sample(track, _weekday_rows(cut.source, track))
        trades = None
    aligned = _lifetimes(track, alive, trades)
    gaps = aligned.listed & ~track.priced & ~aligned.closed
    if gaps.any() and options.missing == "error":
        _refuse_gap(cut, track, gaps)
    if gaps.any() and options.missing == "drop":
        aligned = _lifetimes(sample(track, np.flatnonzero(~gaps.any(axis=1))), alive, trades)
    return aligned


def _weekday_rows(source: str, track: Track) -> Integer:
    """Return the rows on Monday to Friday; the base of a table of returns has no day and stays."""
    keep = ~is_weekend(track.dates)
    keep[0] |= track.prices is None
    if not keep.any():
        raise DataError(f"{source}: data.calendar is weekdays but no row is on a weekday")
    return np.flatnonzero(keep)


def _lifetimes(track: Track, alive: Boolean, trades: Boolean | None) -> _Aligned:
    """Mark where each asset is listed and where it is closed; `trades`: which columns open on weekends."""
    listed = listed_rows(track.priced, alive)
    closed = np.zeros_like(listed) if trades is None else listed & closed_rows(track.priced, trades)
    return _Aligned(track, listed, closed, alive)


def _refuse_gap(cut: PriceTable, track: Track, gaps: Boolean) -> None:
    """Name the first gap, by row and then by column, and how many more there are."""
    row, column = np.unravel_index(int(np.argmax(gaps)), gaps.shape)
    cells, columns = int(gaps.sum()) - 1, int(gaps.any(axis=0).sum())
    more = f" ({cells} more such cell(s), {columns} column(s) in all)" if cells else ""
    before = track.dates[np.flatnonzero(track.priced[:row, column])[-1]]
    noun = "price" if track.prices is not None else "return"
    raise DataError(
        f'{cut.source}: column "{cut.symbols[int(column)]}" has no {noun} on {track.dates[row]} while it is '
        f"listed (the one before is on {before}){more}; write data.missing: drop (leave out such dates) or fill "
        "(keep the last price, no trading)"
    )


def _assemble(cut: PriceTable, aligned: _Aligned, options: DataOptions, benchmark: Integer) -> Returns:
    """Make the arrays of the data set."""
    track = aligned.track
    dates = track.dates[1:]
    rows = len(dates)
    delisted_row = _delisted_rows(track.priced, aligned.alive)
    simulation = np.where(np.isnan(track.moves), 0.0, track.moves + 0.0)
    gone = np.flatnonzero(delisted_row < rows)
    simulation[delisted_row[gone], gone] = options.delisting_return
    _refuse_overflow(cut, dates, simulation)
    estimation, estimation_rows = _estimation(cut.source, aligned)
    if options.membership is None:
        member = np.ones((rows, len(cut.symbols)), dtype=bool)
    else:
        member = member_rows(options.membership, dates, cut.symbols)
    member[:, benchmark] = False
    periods = options.periods
    if periods is None:
        periods = rows_a_year(cut.source, dates if track.prices is None else track.dates)
    returns = Returns(
        dates=dates,
        symbols=cut.symbols,
        simulation=simulation,
        tradable=track.priced[1:],
        estimation=estimation,
        estimation_rows=estimation_rows,
        delisted_row=delisted_row,
        member=member,
        benchmark=benchmark,
        risk_free=np.full(rows, (1.0 + options.risk_free) ** (1.0 / periods) - 1.0),
        periods=periods,
        digest="",
    )
    return replace(returns, digest=returns_digest(returns))


def _refuse_overflow(cut: PriceTable, dates: Dates, simulation: Float) -> None:
    """Name the first return that no float64 holds."""
    row, column = np.unravel_index(int(np.argmax(np.isinf(simulation))), simulation.shape)
    if np.isinf(simulation[row, column]):
        raise DataError(
            f'{cut.source}: column "{cut.symbols[int(column)]}" rises too far on {dates[row]} for a return to be '
            "a number; give prices of one size"
        )


def _delisted_rows(priced: Boolean, alive: Boolean) -> Integer:
    """Return (N,) the return row after each last price; T for an asset that is alive or never priced."""
    after_last = len(priced) - 1 - np.argmax(priced[::-1], axis=0)
    return np.where(alive | ~priced.any(axis=0), len(priced) - 1, after_last).astype(np.int64)


def _estimation(source: str, aligned: _Aligned) -> tuple[Float, Integer]:
    """Return what estimators may see: moves between rows on which no listed asset is closed."""
    opened = np.flatnonzero(~aligned.closed.any(axis=1))
    if len(opened) <= _FEWEST_RETURNS:
        raise DataError(f"{source}: only {len(opened)} row(s) on which every listed asset is open")
    track = sample(aligned.track, opened)
    seen = track.priced[1:] & track.priced[:-1]
    return np.where(seen, track.moves + 0.0, np.nan), opened[1:] - 1

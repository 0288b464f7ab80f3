"""Which days a column keeps, and how many rows make a year."""

from __future__ import annotations

import numpy as np

from backsweep.arrays import Boolean, Dates
from backsweep.data.tables import PriceTable
from backsweep.errors import DataError

__all__ = [
    "closed_rows",
    "is_weekend",
    "listed_rows",
    "refuse_unsaid_mix",
    "rows_a_year",
    "still_open",
    "weekend_mix",
]

_DAYS_A_YEAR = 365.25
_SNAPS = (365, 252, 52, 12)
_SNAP_TOLERANCE = 0.10
_SHORTEST_SPAN_DAYS = 60
_LONGEST_CLOSURE_DAYS = 7
# Two days in seven are weekend, one in six for a market that opens on Sundays.
_WEEKEND_SHARE = 0.10


def is_weekend(dates: Dates) -> Boolean:
    """Return (R,) whether each date is a Saturday or a Sunday."""
    # Day 0 of datetime64, 1970-01-01, was a Thursday; counted from Monday it is day 3.
    return np.asarray((dates.astype(np.int64) + 3) % 7 >= 5)


def weekend_mix(dates: Dates, priced: Boolean) -> Boolean | None:
    """Return (N,) which columns trade on weekends, or None where all columns keep one calendar.

    A column trades on weekends when weekends are a regular part of the days between its first and
    last price, and it is priced on most of them. A special session now and then is neither.
    """
    weekend = is_weekend(dates)[:, None]
    span = listed_rows(priced, np.zeros(priced.shape[1], dtype=bool))
    rows = (span & weekend).sum(axis=0)
    trades = ((priced & weekend).sum(axis=0) * 2 > rows) & (rows >= _WEEKEND_SHARE * span.sum(axis=0))
    rests = ~trades & (rows > 0)
    if not trades.any() or not rests.any():
        return None
    return np.asarray(trades)


def refuse_unsaid_mix(table: PriceTable, trades: Boolean) -> None:
    """Refuse a mix of calendars that data.calendar says nothing about.

    Raises
    ------
    DataError
        Naming a column of each kind and the first weekend row of the one that trades then.
    """
    known = ~np.isnan(table.values)
    trading = int(np.argmax(trades))
    resting = int(np.argmax(~trades & known.any(axis=0)))
    first = table.dates[np.argmax(is_weekend(table.dates) & known[:, trading])]
    raise DataError(
        f'{table.source}: column "{table.symbols[trading]}" has values on weekends (first on {first}) and '
        f'column "{table.symbols[resting]}" rests on them; write data.calendar: weekdays (Monday carries the '
        "weekend) or all (closed assets keep their price and are not traded)"
    )


def listed_rows(priced: Boolean, alive: Boolean) -> Boolean:
    """Return (R, N), True from each column's first price to its last one, or to the end where `alive`."""
    seen = np.logical_or.accumulate(priced, axis=0)
    ahead = np.logical_or.accumulate(priced[::-1], axis=0)[::-1]
    return seen & (ahead | alive)


def still_open(dates: Dates, priced: Boolean, trades: Boolean) -> Boolean:
    """Return (N,) which columns are only closed, not delisted, when the table ends on days they rest.

    A resting column is closed when it is priced on the last row that any resting column is priced
    on, no more than a week before the end.
    """
    days: Boolean = np.any(priced[:, ~trades], axis=1)
    if not days.any():
        return np.zeros(len(trades), dtype=bool)
    last = len(days) - 1 - int(np.argmax(days[::-1]))
    closure_days = int((dates[-1] - dates[last]).astype(np.int64))
    return np.asarray(~trades & priced[last] & (closure_days <= _LONGEST_CLOSURE_DAYS))


def closed_rows(priced: Boolean, trades: Boolean) -> Boolean:
    """Return (R, N), True for a column that rests on weekends on each row where no such column is priced.

    So a weekend and a market's holiday are closures, and a price that is missing while others of
    the kind have one is a gap.
    """
    anyone: Boolean = np.any(priced[:, ~trades], axis=1)
    return ~anyone[:, None] & ~trades


def rows_a_year(source: str, dates: Dates) -> int:
    """Return 365, 252, 52 or 12, whichever the dates come within 10 % of.

    Raises
    ------
    DataError
        Fewer than 60 days of dates, or a spacing that is none of the four: data.periods is needed.
    """
    span_days = int((dates[-1] - dates[0]).astype(np.int64))
    if span_days < _SHORTEST_SPAN_DAYS:
        raise DataError(
            f"{source}: {dates[0]} to {dates[-1]} is too short to tell how many rows make a year; write data.periods"
        )
    rate = (len(dates) - 1) / span_days * _DAYS_A_YEAR
    for periods in _SNAPS:
        if abs(rate / periods - 1.0) <= _SNAP_TOLERANCE:
            return periods
    raise DataError(
        f"{source}: {len(dates)} rows from {dates[0]} to {dates[-1]} are {rate:.1f} a year, "
        "which is not near 365, 252, 52 or 12; write data.periods"
    )

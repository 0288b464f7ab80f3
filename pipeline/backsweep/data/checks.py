"""Refuse bad data: each kind of it in one sentence that names the column and the first row."""

from __future__ import annotations

from collections import Counter
from difflib import get_close_matches
from typing import get_args

import numpy as np

from backsweep.arrays import Boolean
from backsweep.data.tables import Calendar, DataOptions, Kind, Missing, PriceTable
from backsweep.errors import DataError

__all__ = ["benchmark_columns", "check_options", "check_table", "check_values", "listed_names"]

# A median move this large is no day, week or month of anything; in per cent it is an ordinary day.
_PERCENT_MEDIAN = 0.25
_FEW_VALUES = 20


def check_options(options: DataOptions) -> None:
    """Refuse options outside their range.

    Raises
    ------
    DataError
        Naming the field of spec.data, its value and what would be right.
    """
    choices = (
        ("kind", get_args(Kind)),
        ("missing", get_args(Missing)),
        ("calendar", (None, *get_args(Calendar))),
    )
    for field, allowed in choices:
        value = getattr(options, field)
        if value not in allowed:
            words = " or ".join(str(choice) for choice in allowed if choice is not None)
            raise DataError(f"data.{field} is {value!r}; write {words}")
    if not -1.0 <= options.delisting_return < np.inf:
        raise DataError(
            f"data.delistingReturn is {options.delisting_return!r}; it is a return as a fraction, -1 or more"
        )
    if not -1.0 < options.risk_free < np.inf:
        raise DataError(f"data.riskFree is {options.risk_free!r}; it is an annual rate as a fraction, above -1")
    if options.periods is not None and not 1 <= options.periods <= 366:
        raise DataError(f"data.periods is {options.periods!r}; rows a year are between 1 and 366")
    if options.start is not None and options.end is not None and options.start > options.end:
        raise DataError(f"data.start {options.start} is after data.end {options.end}")


def check_table(table: PriceTable) -> None:
    """Refuse a table whose rows or columns cannot be told apart or put in order.

    Raises
    ------
    DataError
        Empty table, repeated or nameless columns, repeated or unsorted dates, a column with no value.
    """
    source = table.source
    if not table.symbols:
        raise DataError(f"{source}: there is no column of {_NOUNS}; a table needs dates and at least one asset")
    if len(table.dates) == 0:
        raise DataError(f"{source}: the table has no rows")
    for position, symbol in enumerate(table.symbols):
        if not symbol.strip() or not symbol.isprintable():
            raise DataError(
                f"{source}: column {position + 1} of {_NOUNS} is called {symbol!r}; give it a printable name"
            )
    repeated = [symbol for symbol, count in Counter(table.symbols).items() if count > 1]
    if repeated:
        raise DataError(f'{source}: column "{repeated[0]}" occurs more than once; give each asset one column')
    _check_dates(table)
    empty = np.flatnonzero(np.isnan(table.values).all(axis=0))
    if len(empty):
        raise DataError(
            f'{source}: column "{table.symbols[empty[0]]}" has no value in any row '
            f"({table.dates[0]} to {table.dates[-1]}); take the column out"
        )


_NOUNS = "prices or returns"


def _check_dates(table: PriceTable) -> None:
    """Refuse dates that do not increase strictly."""
    steps = np.diff(table.dates.astype(np.int64))
    back = np.flatnonzero(steps < 0)
    if len(back):
        row = int(back[0]) + 1
        raise DataError(
            f"{table.source}: the dates are not sorted: {table.dates[row]} (row {row + 1}) comes after "
            f"{table.dates[row - 1]}; sort the rows by date, oldest first"
        )
    same = np.flatnonzero(steps == 0)
    if len(same):
        row = int(same[0]) + 1
        raise DataError(
            f"{table.source}: the date {table.dates[row]} occurs twice (rows {row} and {row + 1}); keep one row a day"
        )


def check_values(table: PriceTable, kind: str) -> None:
    """Refuse values that cannot be prices, or cannot be returns.

    Raises
    ------
    DataError
        An infinite value; a price of zero or less; a return under -1; returns that look like
        percentages or like prices.
    """
    cell = _first(np.isinf(table.values))
    if cell is not None:
        raise DataError(f"{_at(table, cell)} is infinite; leave the cell empty where there is no value")
    if kind == "prices":
        cell = _first(table.values <= 0)
        if cell is not None:
            word = "zero" if table.values[cell] == 0 else "negative"
            raise DataError(
                f"{_at(table, cell)} is {table.values[cell]:g}, a {word} price; leave the cell empty where "
                "there is no price, or write data.kind: returns if these are returns"
            )
        return
    for column, symbol in enumerate(table.symbols):
        values = table.values[:, column]
        _check_scale(table.source, symbol, values[~np.isnan(values)])
    cell = _first(table.values < -1.0)
    if cell is not None:
        raise DataError(
            f"{_at(table, cell)} is a return of {table.values[cell]:g}, under -1; returns are fractions "
            "(-0.02 for a loss of 2 %) and nothing loses more than all of it"
        )


def _check_scale(source: str, symbol: str, values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> None:
    """Refuse a column of returns whose size says that it holds something else."""
    moves = np.abs(values[values != 0])
    if len(moves) < _FEW_VALUES:
        return
    median = float(np.median(moves))
    if median < _PERCENT_MEDIAN:
        return
    if (values > 0).all():
        raise DataError(
            f'{source}: column "{symbol}" looks like prices (all above zero, median {median:g}); '
            "write data.kind: prices, or give returns as fractions"
        )
    raise DataError(
        f'{source}: column "{symbol}" looks like returns in per cent (median size {median:g}); '
        "give them as fractions (0.01 for 1 %)"
    )


def benchmark_columns(table: PriceTable, symbols: tuple[str, ...]) -> list[int]:
    """Return the columns of data.benchmark's symbols.

    Raises
    ------
    DataError
        A symbol that is given twice, is not a column, or leaves no asset to invest in.
    """
    columns = {symbol: column for column, symbol in enumerate(table.symbols)}
    for symbol in symbols:
        if symbols.count(symbol) > 1:
            raise DataError(f'data.benchmark names "{symbol}" more than once')
        if symbol not in columns:
            close = get_close_matches(symbol, table.symbols, n=1)
            hint = f'; did you mean "{close[0]}"?' if close else ""
            raise DataError(
                f'{table.source}: data.benchmark "{symbol}" is not a column{hint} '
                f"(the columns are {listed_names(table.symbols)})"
            )
    if len(symbols) == len(table.symbols):
        raise DataError(f"{table.source}: every column is a benchmark; at least one other asset is needed to invest in")
    return [columns[symbol] for symbol in symbols]


def listed_names(names: tuple[str, ...] | list[str], limit: int = 12) -> str:
    """Spell names for a sentence: the first `limit` of them and how many more there are."""
    shown = ", ".join(f'"{name}"' for name in names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"


def _first(bad: Boolean) -> tuple[int, int] | None:
    """Return (row, column) of the first bad cell, by row and then by column."""
    if not bad.any():
        return None
    row, column = np.unravel_index(int(np.argmax(bad)), bad.shape)
    return int(row), int(column)


def _at(table: PriceTable, cell: tuple[int, int]) -> str:
    """Name a cell as users find it."""
    row, column = cell
    return f'{table.source}: column "{table.symbols[column]}" on {table.dates[row]}'

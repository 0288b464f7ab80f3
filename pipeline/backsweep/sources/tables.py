"""The tables a sweep reads: prices or returns, wide or long; membership; features for strategies."""

from __future__ import annotations

import hashlib

import numpy as np

from backsweep.arrays import Boolean, Dates, FeatureTable, Integer
from backsweep.data.checks import check_table
from backsweep.data.tables import MembershipTable, PriceTable
from backsweep.errors import DataError
from backsweep.sources.columns import read_codes, read_dates, read_numbers
from backsweep.sources.files import DATE_NAMES, SYMBOL_NAMES, TableFile

__all__ = ["feature_table", "membership_table", "value_table"]

# In order of preference: an adjusted close carries splits and dividends, a plain one does not.
_VALUE_NAMES = {
    "prices": ("price", "adj close", "adj_close", "adjclose", "adjusted close", "adjusted_close", "close", "value"),
    "returns": ("return", "returns", "ret", "value"),
    "features": ("value",),
}


def value_table(file: TableFile, kind: str) -> tuple[PriceTable, str]:
    """Return a wide table, and the name of the column its values come from ("" for a wide file).

    A file with a date and a symbol column is long, one row a date and symbol, whatever else it has;
    its columns come out in alphabetical order. Any other is wide: a date column, and one column an
    asset.

    Raises
    ------
    DataError
        No date column, no value column, a cell that is no number, a repeated (date, symbol).
    """
    date = _date_column(file)
    dates = read_dates(file.source, date, file.table[date])
    symbol = file.find(SYMBOL_NAMES)
    if symbol is None:
        return _wide(file, date, dates), ""
    value = next((name for wanted in _VALUE_NAMES[kind] if (name := file.find((wanted,)))), None)
    if value is None:
        raise DataError(
            f'{file.source}: "{date}" and "{symbol}" make it a long table, and it has no column of {kind}; '
            f'name it "{_VALUE_NAMES[kind][0]}" (found {file.found})'
        )
    return _long(file, dates, symbol, value), value


def _date_column(file: TableFile) -> str:
    """Return the name of the date column."""
    name = file.find(DATE_NAMES)
    if name is None:
        raise DataError(f'{file.source}: there is no date column; name it "date" (found {file.found})')
    return name


def _wide(file: TableFile, date: str, dates: Dates) -> PriceTable:
    """Read one column an asset."""
    names = [name for name in file.table.column_names if name != date]
    values = np.empty((len(dates), len(names)))
    for position, name in enumerate(names):
        values[:, position] = read_numbers(file.source, name, file.table[name], dates)
    return PriceTable(file.source, dates, tuple(names), values)


def _long(file: TableFile, dates: Dates, symbol: str, value: str) -> PriceTable:
    """Turn rows of (date, symbol, value) into one column a symbol."""
    numbers = read_numbers(file.source, value, file.table[value], dates)
    symbols, codes = _sorted_symbols(file, symbol, dates)
    _refuse_disorder(file.source, dates, symbols, codes)
    days, of_row = np.unique(dates, return_inverse=True)
    values = np.full((len(days), len(symbols)), np.nan)
    values[of_row, codes] = numbers
    return PriceTable(file.source, days, tuple(symbols), values)


def _sorted_symbols(file: TableFile, name: str, dates: Dates) -> tuple[list[str], Integer]:
    """Return the symbols in alphabetical order, and which one each row holds."""
    texts, codes = read_codes(file.table[name])
    nameless = np.flatnonzero((codes < 0) | np.isin(codes, [i for i, text in enumerate(texts) if not text.strip()]))
    if len(nameless):
        row = int(nameless[0])
        raise DataError(f'{file.source}: column "{name}" is empty on {dates[row]} (row {row + 1}); name the asset')
    symbols, rank = np.unique([text.strip() for text in texts], return_inverse=True)
    return [str(symbol) for symbol in symbols], rank[codes] if len(texts) else codes


def _refuse_disorder(source: str, dates: Dates, symbols: list[str], codes: Integer) -> None:
    """Refuse a symbol whose own rows repeat a date or go back in time."""
    order = np.argsort(codes, kind="stable")
    steps = np.diff(dates[order].astype(np.int64))
    bad = np.flatnonzero((np.diff(codes[order]) == 0) & (steps <= 0))
    if not len(bad):
        return
    row = int(order[bad + 1].min())
    symbol = symbols[codes[row]]
    earlier = dates[:row][codes[:row] == codes[row]]
    if (earlier == dates[row]).any():
        raise DataError(
            f'{source}: "{symbol}" occurs twice on {dates[row]} (the second time in row {row + 1}); '
            "keep one row a date and symbol"
        )
    raise DataError(
        f'{source}: the rows of "{symbol}" are not sorted: {dates[row]} (row {row + 1}) comes after '
        f"{earlier[-1]}; sort the rows by date, oldest first"
    )


def membership_table(file: TableFile) -> MembershipTable:
    """Read a table of snapshots: date, symbol and, if it likes, member (true or false).

    Raises
    ------
    DataError
        Any other column (a table of intervals would be misread), or a cell that is not what its
        column says.
    """
    date, symbol = _date_column(file), file.find(SYMBOL_NAMES)
    flag = file.find(("member",))
    if symbol is None or file.table.num_columns != 2 + (flag is not None):
        raise DataError(
            f"{file.source}: a membership table has the columns date, symbol and, if needed, member: on each date "
            f"that occurs all members are listed, until the next such date (found {file.found})"
        )
    dates = read_dates(file.source, date, file.table[date])
    symbols, codes = _sorted_symbols(file, symbol, dates)
    member = np.ones(len(dates), dtype=bool) if flag is None else _read_flags(file, flag, dates)
    return MembershipTable(file.source, dates, tuple(symbols[code] for code in codes), member)


def _read_flags(file: TableFile, name: str, dates: Dates) -> Boolean:
    """Read true, false, 1 and 0."""
    texts, codes = read_codes(file.table[name])
    meanings = {"true": True, "1": True, "false": False, "0": False}
    for position, text in [(-1, ""), *enumerate(texts)]:
        if text.strip().lower() not in meanings and (codes == position).any():
            row = int(np.argmax(codes == position))
            raise DataError(
                f'{file.source}: column "{name}" holds "{text}" on {dates[row]} (row {row + 1}); write true or false'
            )
    values = np.array([meanings.get(text.strip().lower(), False) for text in texts], dtype=bool)
    return np.asarray(values[codes])


def feature_table(file: TableFile) -> FeatureTable:
    """Read a table of numbers by date for strategies: wide, or long with a column `value`.

    Raises
    ------
    DataError
        Whatever makes a table of prices unreadable or unordered; an infinite value.
    """
    table, _ = value_table(file, "features")
    check_table(table)
    infinite = np.argwhere(np.isinf(table.values))
    if len(infinite):
        row, column = infinite[0]
        raise DataError(f'{file.source}: column "{table.symbols[column]}" is infinite on {table.dates[row]}')
    digest = hashlib.sha256("\n".join(("backsweep-features-1", *table.symbols, "")).encode())
    digest.update(table.dates.astype("<i8").tobytes())
    digest.update(np.where(np.isnan(table.values), np.nan, table.values + 0.0).astype("<f8").tobytes())
    return FeatureTable(table.dates, table.symbols, table.values, digest.hexdigest())

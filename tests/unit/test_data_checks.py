"""Each kind of bad data, and the sentence it is refused with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from backsweep.arrays import Dates, Float
from backsweep.data.resolution import resolve
from backsweep.data.tables import DataOptions, MembershipTable, PriceTable
from backsweep.errors import DataError

START = np.datetime64("2020-01-01")  # a Wednesday


def weekdays(rows: int) -> Dates:
    return np.busday_offset(START, np.arange(rows), roll="forward")


def table(rows: int = 60, symbols: tuple[str, ...] = ("AAA", "BBB", "CCC")) -> PriceTable:
    steps = np.random.default_rng(1).normal(0, 0.01, (rows, len(symbols)))
    return PriceTable("prices.csv", weekdays(rows), symbols, 100 * np.exp(np.cumsum(steps, axis=0)))


def changed(original: PriceTable, cells: dict[tuple[int, int], float]) -> PriceTable:
    values = original.values.copy()
    for cell, value in cells.items():
        values[cell] = value
    return replace(original, values=values)


def redated(rows: dict[int, str]) -> PriceTable:
    original = table()
    dates = original.dates.copy()
    for row, date in rows.items():
        dates[row] = np.datetime64(date)
    return replace(original, dates=dates)


def returns(values: Float) -> PriceTable:
    return PriceTable("returns.csv", weekdays(len(values)), ("AAA", "BBB"), values)


def small(rows: int = 60) -> Float:
    return np.random.default_rng(2).normal(0, 0.01, (rows, 2))


def test_the_good_table_the_bad_ones_are_made_from_is_accepted() -> None:
    data = resolve(table(), DataOptions()).returns
    assert data.simulation.shape == (59, 3)
    assert resolve(returns(small()), DataOptions(kind="returns", periods=252)).returns.simulation.shape == (60, 2)


NAN, INF = float("nan"), float("inf")
BAD_TABLES: dict[str, tuple[PriceTable, str]] = {
    "a gap": (
        changed(table(), {(3, 1): NAN}),
        'prices.csv: column "BBB" has no price on 2020-01-06 while it is listed (the one before is on 2020-01-03); '
        "write data.missing: drop (leave out such dates) or fill (keep the last price, no trading)",
    ),
    "several gaps": (
        changed(table(), {(5, 2): NAN, (3, 1): NAN, (4, 1): NAN}),
        'prices.csv: column "BBB" has no price on 2020-01-06 while it is listed (the one before is on 2020-01-03) '
        "(2 more such cell(s), 2 column(s) in all); write "
        "data.missing: drop (leave out such dates) or fill (keep the last price, no trading)",
    ),
    "a price of zero": (
        changed(table(), {(4, 0): 0.0}),
        'prices.csv: column "AAA" on 2020-01-07 is 0, a zero price; leave the cell empty where there is no price, '
        "or write data.kind: returns if these are returns",
    ),
    "a negative price": (
        changed(table(), {(4, 2): -1.5, (9, 0): -2.0}),
        'prices.csv: column "CCC" on 2020-01-07 is -1.5, a negative price; leave the cell empty where there is no '
        "price, or write data.kind: returns if these are returns",
    ),
    "an infinite price": (
        changed(table(), {(4, 2): INF}),
        'prices.csv: column "CCC" on 2020-01-07 is infinite; leave the cell empty where there is no value',
    ),
    "a price that grows past any number": (
        changed(table(), {(4, 2): 1e-200, (5, 2): 1e200}),
        'prices.csv: column "CCC" rises too far on 2020-01-08 for a return to be a number; give prices of one size',
    ),
    "a date twice": (
        redated({7: "2020-01-09"}),
        "prices.csv: the date 2020-01-09 occurs twice (rows 7 and 8); keep one row a day",
    ),
    "unsorted dates": (
        redated({7: "2019-05-05"}),
        "prices.csv: the dates are not sorted: 2019-05-05 (row 8) comes after 2020-01-09; "
        "sort the rows by date, oldest first",
    ),
    "an empty column": (
        changed(table(), {(row, 1): NAN for row in range(60)}),
        'prices.csv: column "BBB" has no value in any row (2020-01-01 to 2020-03-24); take the column out',
    ),
    "a column twice": (
        replace(table(), symbols=("AAA", "BBB", "AAA")),
        'prices.csv: column "AAA" occurs more than once; give each asset one column',
    ),
    "a nameless column": (
        replace(table(), symbols=("AAA", " ", "CCC")),
        "prices.csv: column 2 of prices or returns is called ' '; give it a printable name",
    ),
    "no column": (
        PriceTable("prices.csv", weekdays(5), (), np.empty((5, 0))),
        "prices.csv: there is no column of prices or returns; a table needs dates and at least one asset",
    ),
    "no row": (PriceTable("prices.csv", weekdays(0), ("AAA",), np.empty((0, 1))), "prices.csv: the table has no rows"),
    "two rows": (
        table(2),
        "prices.csv: only 1 row(s) of returns from 2020-01-01 to 2020-01-02; at least 2 are needed",
    ),
    "too few dates to tell a year": (
        table(20),
        "prices.csv: 2020-01-01 to 2020-01-28 is too short to tell how many rows make a year; write data.periods",
    ),
    "a spacing that is no calendar": (
        replace(table(), dates=START + np.arange(60) * np.timedelta64(5, "D")),
        "prices.csv: 60 rows from 2020-01-01 to 2020-10-22 are 73.0 a year, which is not near 365, 252, 52 or 12; "
        "write data.periods",
    ),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_a_bad_table_is_refused_with_its_column_and_first_row(case: str) -> None:
    bad, sentence = BAD_TABLES[case]
    with pytest.raises(DataError) as caught:
        resolve(bad, DataOptions())
    assert str(caught.value) == sentence


BAD_RETURNS: dict[str, tuple[Float, str]] = {
    "a loss of more than all": (
        np.where(np.arange(120).reshape(60, 2) == 9, -1.5, small()),
        'returns.csv: column "BBB" on 2020-01-07 is a return of -1.5, under -1; returns are fractions '
        "(-0.02 for a loss of 2 %) and nothing loses more than all of it",
    ),
    "per cent": (
        100 * small(),
        'returns.csv: column "AAA" looks like returns in per cent (median size 0.663878); '
        "give them as fractions (0.01 for 1 %)",
    ),
    "prices": (
        100 + small(),
        'returns.csv: column "AAA" looks like prices (all above zero, median 100.002); '
        "write data.kind: prices, or give returns as fractions",
    ),
    "an infinite return": (
        np.where(np.arange(120).reshape(60, 2) == 9, INF, small()),
        'returns.csv: column "BBB" on 2020-01-07 is infinite; leave the cell empty where there is no value',
    ),
    "a gap": (
        np.where(np.arange(120).reshape(60, 2) == 9, NAN, small()),
        'returns.csv: column "BBB" has no return on 2020-01-07 while it is listed (the one before is on 2020-01-06); '
        "write data.missing: drop (leave out such dates) or fill (keep the last price, no trading)",
    ),
}


@pytest.mark.parametrize("case", BAD_RETURNS)
def test_bad_returns_are_refused_with_their_column_and_first_row(case: str) -> None:
    values, sentence = BAD_RETURNS[case]
    with pytest.raises(DataError) as caught:
        resolve(returns(values), DataOptions(kind="returns"))
    assert str(caught.value) == sentence


BAD_OPTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "kind": ({"kind": "yields"}, "data.kind is 'yields'; write prices or returns"),
    "missing": ({"missing": "ignore"}, "data.missing is 'ignore'; write error or drop or fill"),
    "calendar": ({"calendar": "NYSE"}, "data.calendar is 'NYSE'; write weekdays or all"),
    "delisting return": (
        {"delisting_return": -1.2},
        "data.delistingReturn is -1.2; it is a return as a fraction, -1 or more",
    ),
    "risk free rate": ({"risk_free": -1.0}, "data.riskFree is -1.0; it is an annual rate as a fraction, above -1"),
    "periods": ({"periods": 1000}, "data.periods is 1000; rows a year are between 1 and 366"),
    "start after end": (
        {"start": np.datetime64("2020-03-01"), "end": np.datetime64("2020-02-01")},
        "data.start 2020-03-01 is after data.end 2020-02-01",
    ),
    "nothing in between": (
        {"start": np.datetime64("2021-03-01"), "end": np.datetime64("2021-04-01")},
        "prices.csv: no rows between data.start 2021-03-01 and data.end 2021-04-01; "
        "the table runs from 2020-01-01 to 2020-03-24",
    ),
    "a benchmark that is not there": (
        {"benchmark": ("AAB",)},
        'prices.csv: data.benchmark "AAB" is not a column; did you mean "AAA"? (the columns are "AAA", "BBB", "CCC")',
    ),
    "a benchmark twice": ({"benchmark": ("AAA", "AAA")}, 'data.benchmark names "AAA" more than once'),
    "nothing but benchmarks": (
        {"benchmark": ("AAA", "BBB", "CCC")},
        "prices.csv: every column is a benchmark; at least one other asset is needed to invest in",
    ),
}


@pytest.mark.parametrize("case", BAD_OPTIONS)
def test_an_option_out_of_range_is_refused(case: str) -> None:
    fields, sentence = BAD_OPTIONS[case]
    with pytest.raises(DataError) as caught:
        resolve(table(), DataOptions(**fields))
    assert str(caught.value) == sentence


def snapshots(*rows: tuple[str, str]) -> MembershipTable:
    dates = np.array([date for date, _ in rows], dtype="datetime64[D]")
    return MembershipTable("index.csv", dates, tuple(symbol for _, symbol in rows), np.ones(len(rows), dtype=bool))


BAD_MEMBERSHIP: dict[str, tuple[MembershipTable, str]] = {
    "no rows": (snapshots(), "index.csv: the membership table has no rows"),
    "a member without prices": (
        snapshots(("2020-01-01", "AAA"), ("2020-02-03", "ZZZ")),
        'index.csv: "ZZZ" is a member from 2020-02-03 but is not a column of the data (its columns are "AAA", "BBB", '
        '"CCC"); add its prices, or the test would only hold those that survived',
    ),
    "a member twice": (
        snapshots(("2020-01-01", "AAA"), ("2020-01-01", "BBB"), ("2020-01-01", "AAA")),
        'index.csv: "AAA" occurs twice on 2020-01-01; list each member once a date',
    ),
    "snapshots that begin after the data": (
        snapshots(("2024-01-01", "AAA")),
        "index.csv: no symbol of the data is a member on any row from 2020-01-02 to 2020-03-24 "
        "(snapshots from 2024-01-01 to 2024-01-01)",
    ),
}


@pytest.mark.parametrize("case", BAD_MEMBERSHIP)
def test_a_bad_membership_table_is_refused(case: str) -> None:
    membership, sentence = BAD_MEMBERSHIP[case]
    with pytest.raises(DataError) as caught:
        resolve(table(), DataOptions(membership=membership))
    assert str(caught.value) == sentence


def test_bad_cells_before_start_or_after_end_do_not_matter() -> None:
    bad = changed(table(), {(1, 0): -1.0, (2, 0): NAN, (58, 1): INF})
    options = DataOptions(start=np.datetime64("2020-01-07"), end=np.datetime64("2020-03-19"), periods=252)
    assert len(resolve(bad, options).returns.dates) == 52


def test_the_periods_of_short_data_can_be_given() -> None:
    data = resolve(table(20), DataOptions(periods=260)).returns
    assert data.periods == 260


def test_one_asset_is_a_data_set() -> None:
    data = resolve(table(symbols=("AAA",)), DataOptions()).returns
    assert data.simulation.shape == (59, 1)
    assert data.member.all()


def test_a_return_of_minus_one_is_allowed_and_kept() -> None:
    values = small()
    values[30, 1] = -1.0
    data = resolve(returns(values), DataOptions(kind="returns")).returns
    assert data.simulation[30, 1] == -1.0
    assert np.array_equal(data.simulation, values)

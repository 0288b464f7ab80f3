"""Mixed calendars: a coin that is priced every day beside stocks that rest on weekends and holidays."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from backsweep.arrays import Float, Returns
from backsweep.data.calendars import is_weekend
from backsweep.data.resolution import resolve
from backsweep.data.tables import DataOptions, PriceTable
from backsweep.errors import DataError

NAN = float("nan")
DATES = np.datetime64("2020-01-03") + np.arange(90)  # from a Friday
HOLIDAY = 17  # Monday 2020-01-20


def mixed() -> PriceTable:
    """Return columns COIN, AAA and BBB; the stocks have no value on weekends and on the holiday."""
    moves = np.random.default_rng(3).normal(0, 0.02, (len(DATES), 3))
    closed = is_weekend(DATES)
    closed[HOLIDAY] = True
    values: Float = np.cumprod(1 + moves, axis=0, dtype=np.float64)
    values[closed, 1:] = NAN
    return PriceTable("mixed.csv", DATES, ("COIN", "AAA", "BBB"), values)


def returns_of(table: PriceTable, **options: Any) -> Returns:
    return resolve(table, DataOptions(**options)).returns


def test_a_mix_without_a_calendar_is_refused_naming_one_column_of_each_kind() -> None:
    with pytest.raises(DataError) as caught:
        returns_of(mixed())
    assert str(caught.value) == (
        'mixed.csv: column "COIN" has values on weekends (first on 2020-01-04) and column "AAA" rests on them; '
        "write data.calendar: weekdays (Monday carries the weekend) or all (closed assets keep their price and "
        "are not traded)"
    )


def test_a_coin_that_lists_years_after_the_stocks_is_still_a_mix() -> None:
    dates = np.datetime64("2015-01-01") + np.arange(2000)
    values = np.ones((2000, 2))
    values[is_weekend(dates), 0] = NAN
    values[:1900, 1] = NAN
    keep = ~np.isnan(values).all(axis=1)
    with pytest.raises(DataError, match='column "COIN" has values on weekends'):
        returns_of(PriceTable("t", dates[keep], ("AAA", "COIN"), values[keep]))


def test_one_special_session_on_a_saturday_makes_no_calendar() -> None:
    dates = DATES[~is_weekend(DATES) | (np.datetime64("2020-02-01") == DATES)]
    table = PriceTable("t", dates, ("AAA", "BBB"), np.ones((len(dates), 2)))
    assert returns_of(table).periods == 252
    values = table.values.copy()
    values[dates == np.datetime64("2020-02-01"), 1] = NAN
    with pytest.raises(DataError, match='column "BBB" has no price on 2020-02-01'):
        returns_of(replace(table, values=values))


def test_weekdays_lets_monday_carry_the_weekend() -> None:
    data = returns_of(mixed(), calendar="weekdays", missing="drop")
    table = mixed()
    friday, monday = 0, 3
    assert data.dates[0] == DATES[monday]
    assert data.simulation[0, 0] == table.values[monday, 0] / table.values[friday, 0] - 1
    assert not is_weekend(data.dates).any()
    assert DATES[HOLIDAY] not in data.dates
    assert data.periods == 252
    assert data.tradable.all()
    assert not np.isnan(data.estimation).any()


def test_weekdays_keeps_the_first_return_of_a_table_of_returns() -> None:
    moves = np.random.default_rng(4).normal(0, 0.02, (70, 1))
    monday = np.datetime64("2020-01-06")
    data = returns_of(PriceTable("t", monday + np.arange(70), ("COIN",), moves), kind="returns", calendar="weekdays")
    assert data.dates[0] == monday
    assert np.isclose(data.simulation[0, 0], moves[0, 0], rtol=0, atol=1e-15)
    assert np.isclose(data.simulation[5, 0], np.prod(1 + moves[5:8, 0]) - 1, rtol=0, atol=1e-15)


def test_a_first_return_whose_price_before_it_is_not_sampled_is_not_earned() -> None:
    moves = np.random.default_rng(5).normal(0, 0.02, (70, 2))
    moves[:7, 1] = NAN  # the first return of NEW is on a Monday, from a price on Sunday
    table = PriceTable("t", np.datetime64("2020-01-06") + np.arange(70), ("COIN", "NEW"), moves)
    data = returns_of(table, kind="returns", calendar="weekdays")
    assert data.dates[5] == np.datetime64("2020-01-13")
    assert data.simulation[5, 1] == 0.0
    assert np.isnan(data.estimation[5, 1])
    assert data.tradable[5, 1]
    assert np.isclose(data.simulation[6, 1], moves[8, 1], rtol=0, atol=1e-15)


def test_weekdays_asks_what_to_do_about_a_holiday() -> None:
    with pytest.raises(DataError, match='column "AAA" has no price on 2020-01-20'):
        returns_of(mixed(), calendar="weekdays")


def test_all_keeps_every_day_and_forbids_trading_what_is_closed() -> None:
    table = mixed()
    data = returns_of(table, calendar="all")
    closed = np.isnan(table.values[1:])
    assert len(data.dates) == len(DATES) - 1
    assert data.periods == 365
    assert np.array_equal(data.tradable, ~closed)
    assert (data.simulation[closed] == 0).all()
    monday = 2  # row of the returns
    assert data.simulation[monday, 1] == table.values[3, 1] / table.values[0, 1] - 1
    assert data.delisted_row.tolist() == [len(data.dates)] * 3


def test_all_shows_estimators_only_the_rows_where_every_listed_asset_is_open() -> None:
    table = mixed()
    data = returns_of(table, calendar="all")
    opened = np.flatnonzero(~np.isnan(table.values).any(axis=1))
    assert data.estimation_rows.tolist() == (opened[1:] - 1).tolist()
    assert np.array_equal(data.estimation, table.values[opened[1:]] / table.values[opened[:-1]] - 1)


def test_all_still_refuses_a_gap_while_other_stocks_have_a_price() -> None:
    table = mixed()
    values = table.values.copy()
    values[18, 2] = NAN
    with pytest.raises(DataError, match='column "BBB" has no price on 2020-01-21'):
        returns_of(replace(table, values=values), calendar="all")
    values[18, 2] = table.values[18, 2]
    values[20, 0] = NAN
    with pytest.raises(DataError, match='column "COIN" has no price on 2020-01-23'):
        returns_of(replace(table, values=values), calendar="all")


@pytest.mark.parametrize("calendar", ["all", "weekdays"])
def test_stocks_that_rest_when_the_table_ends_are_not_delisted(calendar: str) -> None:
    table = mixed()
    rows = HOLIDAY + 1  # ends on the Monday that is a holiday
    cut = replace(table, dates=table.dates[:rows], values=table.values[:rows])
    data = returns_of(cut, calendar=calendar, missing="fill", delisting_return=-0.5, periods=365)
    assert data.delisted_row.tolist() == [len(data.dates)] * 3
    assert data.simulation[-1, 1:].tolist() == [0.0, 0.0]
    assert data.tradable[-1].tolist() == [True, False, False]


def test_a_stock_that_ends_before_the_others_is_delisted_on_the_row_after_its_last_price() -> None:
    table = mixed()
    values = table.values.copy()
    values[29:, 1] = NAN  # last price on Friday 2020-01-31
    data = returns_of(replace(table, values=values), calendar="all", delisting_return=-0.4)
    assert data.dates[data.delisted_row[1]] == np.datetime64("2020-02-01")
    assert data.simulation[data.delisted_row[1], 1] == -0.4
    assert (data.simulation[data.delisted_row[1] + 1 :, 1] == 0).all()


def test_stocks_that_all_end_long_before_the_coin_are_delisted() -> None:
    table = mixed()
    values = table.values.copy()
    values[29:, 1:] = NAN
    data = returns_of(replace(table, values=values), calendar="all")
    assert data.delisted_row.tolist() == [len(data.dates), 28, 28]
    assert data.estimation_rows[-1] == len(data.dates) - 1


@pytest.mark.parametrize("options", [{"calendar": "weekdays", "missing": "drop"}, {"calendar": "all"}])
def test_returns_and_prices_of_the_same_days_agree(options: dict[str, Any]) -> None:
    table = mixed()
    prices = np.where(np.isnan(table.values), 0.0, table.values)
    moves = np.full_like(prices, NAN)
    for column in range(3):
        rows = np.flatnonzero(prices[:, column])
        moves[rows[1:], column] = prices[rows[1:], column] / prices[rows[:-1], column] - 1
    as_prices = returns_of(table, **options)
    as_returns = returns_of(PriceTable("t", DATES[1:], table.symbols, moves[1:]), kind="returns", **options)
    assert np.array_equal(as_prices.dates, as_returns.dates)
    assert np.allclose(as_prices.simulation, as_returns.simulation, rtol=0, atol=1e-14)
    assert np.allclose(as_prices.estimation, as_returns.estimation, rtol=0, atol=1e-14, equal_nan=True)
    assert np.array_equal(as_prices.tradable, as_returns.tradable)
    assert np.array_equal(as_prices.estimation_rows, as_returns.estimation_rows)

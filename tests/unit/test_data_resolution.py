"""What becomes of prices and returns: listing, delisting, gaps, membership; answers worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from backsweep.arrays import Dates, Returns
from backsweep.data.calendars import rows_a_year
from backsweep.data.resolution import Resolution, resolve
from backsweep.data.tables import DataOptions, MembershipTable, PriceTable
from backsweep.errors import DataError

NAN = float("nan")


def weekdays(rows: int, start: str = "2020-01-01") -> Dates:
    return np.busday_offset(np.datetime64(start), np.arange(rows), roll="forward")


def resolved(columns: dict[str, list[float]], **options: Any) -> Resolution:
    values = np.array(list(columns.values())).T
    table = PriceTable("t", weekdays(len(values)), tuple(columns), values)
    return resolve(table, DataOptions(periods=252, **options))


def returns_of(columns: dict[str, list[float]], **options: Any) -> Returns:
    return resolved(columns, **options).returns


def test_a_return_is_the_price_over_the_one_before_less_one() -> None:
    data = returns_of({"A": [100.0, 110.0, 99.0], "B": [50.0, 50.0, 75.0]})
    assert np.array_equal(data.simulation, np.array([[110 / 100 - 1, 0.0], [99 / 110 - 1, 0.5]]))
    assert np.array_equal(data.estimation, data.simulation)
    assert data.tradable.all()
    assert data.member.all()
    assert data.dates.tolist() == weekdays(3)[1:].tolist()
    assert data.estimation_rows.tolist() == [0, 1]
    assert data.delisted_row.tolist() == [2, 2]


def test_an_asset_that_lists_late_earns_nothing_before_and_is_unseen_until_two_prices() -> None:
    data = returns_of({"A": [1.0, 1.0, 1.0, 1.0], "B": [NAN, NAN, 10.0, 11.0]})
    assert data.simulation[:, 1].tolist() == [0.0, 0.0, 11 / 10 - 1]
    assert data.tradable[:, 1].tolist() == [False, True, True]
    assert np.isnan(data.estimation[:2, 1]).all()
    assert data.estimation[2, 1] == 11 / 10 - 1
    assert data.delisted_row.tolist() == [3, 3]


def test_a_delisted_asset_earns_the_delisting_return_once_and_is_cash_after() -> None:
    data = returns_of({"A": [1.0, 1.0, 1.0, 1.0, 1.0], "B": [10.0, 8.0, NAN, NAN, NAN]}, delisting_return=-0.3)
    assert data.simulation[:, 1].tolist() == [8 / 10 - 1, -0.3, 0.0, 0.0]
    assert data.tradable[:, 1].tolist() == [True, False, False, False]
    assert data.delisted_row.tolist() == [4, 1]
    assert np.isnan(data.estimation[1:, 1]).all()


def test_an_asset_with_a_single_price_lists_and_is_delisted() -> None:
    data = returns_of({"A": [1.0, 1.0, 1.0, 1.0], "B": [NAN, 5.0, NAN, NAN]}, delisting_return=0.1)
    assert data.simulation[:, 1].tolist() == [0.0, 0.1, 0.0]
    assert data.tradable[:, 1].tolist() == [True, False, False]
    assert data.delisted_row[1] == 1


def test_fill_values_a_gap_at_the_last_price_and_hides_it_from_estimators() -> None:
    data = returns_of({"A": [1.0, 2.0, 4.0, 8.0], "B": [10.0, NAN, NAN, 12.0]}, missing="fill")
    assert data.simulation[:, 1].tolist() == [0.0, 0.0, 12 / 10 - 1]
    assert data.tradable[:, 1].tolist() == [False, False, True]
    assert np.isnan(data.estimation[:, 1]).all()
    assert data.estimation[:, 0].tolist() == [1.0, 1.0, 1.0]
    assert data.delisted_row.tolist() == [3, 3]


def test_drop_leaves_out_the_dates_of_a_gap_for_all_and_spans_them() -> None:
    result = resolved({"A": [1.0, 2.0, 4.0, 8.0, 8.0], "B": [10.0, NAN, NAN, 12.0, 12.0]}, missing="drop")
    data = result.returns
    assert data.simulation.tolist() == [[7.0, 12 / 10 - 1], [0.0, 0.0]]
    assert data.dates.tolist() == weekdays(5)[3:].tolist()
    assert result.price_dates is not None
    assert result.price_dates.tolist() == weekdays(5)[[0, 3, 4]].tolist()
    assert result.prices is not None
    assert result.prices.tolist() == [[1.0, 10.0], [8.0, 12.0], [8.0, 12.0]]


def test_drop_keeps_the_dates_before_a_listing_and_after_a_delisting() -> None:
    data = returns_of({"A": [1.0, 2.0, 4.0, 8.0], "B": [NAN, 5.0, 6.0, NAN]}, missing="drop")
    assert len(data.dates) == 3
    assert data.delisted_row.tolist() == [3, 2]


def test_a_price_after_the_end_tells_a_gap_from_a_delisting() -> None:
    columns = {"A": [1.0, 1.0, 1.0, 1.0, 1.0], "B": [10.0, 8.0, 8.0, NAN, 9.0]}
    end = weekdays(5)[3]
    data = returns_of(columns, end=end, missing="fill", delisting_return=-0.3)
    assert data.simulation[:, 1].tolist() == [8 / 10 - 1, 0.0, 0.0]
    assert data.delisted_row.tolist() == [3, 3]
    with pytest.raises(DataError, match=f'column "B" has no price on {end}'):
        returns_of(columns, end=end)
    gone = {**columns, "B": [10.0, 8.0, 8.0, NAN, NAN]}
    assert returns_of(gone, end=end, missing="fill", delisting_return=-0.3).delisted_row.tolist() == [3, 2]


def test_a_column_with_no_price_between_start_and_end_stays_and_is_never_traded() -> None:
    columns = {"A": [1.0, 1.0, 2.0, 2.0, 2.0], "B": [NAN, NAN, NAN, NAN, 9.0], "C": [5.0, NAN, NAN, NAN, NAN]}
    start, end = weekdays(5)[1], weekdays(5)[3]
    data = returns_of(columns, start=start, end=end, delisting_return=-0.5)
    assert data.symbols == ("A", "B", "C")
    assert not data.tradable[:, 1:].any()
    assert np.array_equal(data.simulation[:, 1:], np.zeros((2, 2)))
    assert data.delisted_row.tolist() == [2, 2, 2]


def test_start_and_end_are_both_included() -> None:
    dates = weekdays(5)
    result = resolved({"A": [1.0, 2.0, 3.0, 4.0, 5.0]}, start=dates[1], end=dates[3])
    assert result.price_dates is not None
    assert result.price_dates.tolist() == dates[1:4].tolist()


def test_prices_come_along_unfilled_and_one_row_longer() -> None:
    result = resolved({"A": [1.0, 2.0, 3.0], "B": [4.0, NAN, 6.0]}, missing="fill")
    assert result.prices is not None
    assert np.array_equal(result.prices, np.array([[1.0, 4.0], [2.0, NAN], [3.0, 6.0]]), equal_nan=True)
    assert not result.prices.flags.writeable


def test_returns_are_kept_to_the_bit_and_imply_a_price_on_the_row_before_the_first() -> None:
    result = resolved({"A": [0.1, -0.2, 0.3], "B": [NAN, NAN, 0.05]}, kind="returns")
    data = result.returns
    assert result.prices is None
    assert data.simulation.tolist() == [[0.1, 0.0], [-0.2, 0.0], [0.3, 0.05]]
    assert data.tradable[:, 1].tolist() == [False, True, True]
    assert data.estimation[:, 0].tolist() == [0.1, -0.2, 0.3]
    assert np.array_equal(data.estimation[:, 1], np.array([NAN, NAN, 0.05]), equal_nan=True)
    assert data.dates.tolist() == weekdays(3).tolist()


def test_four_months_of_monthly_returns_are_twelve_a_year() -> None:
    dates = np.array(["2020-01-31", "2020-02-29", "2020-03-31", "2020-04-30"], dtype="datetime64[D]")
    table = PriceTable("t", dates, ("A",), np.full((4, 1), 0.01))
    assert resolve(table, DataOptions(kind="returns")).returns.periods == 12


def test_a_return_after_a_gap_is_valued_but_not_shown_to_estimators() -> None:
    data = returns_of({"A": [0.1, 0.1, 0.1, 0.1], "B": [0.1, NAN, 0.2, 0.3]}, kind="returns", missing="fill")
    assert data.simulation[:, 1].tolist() == [0.1, 0.0, 0.2, 0.3]
    assert np.array_equal(data.estimation[:, 1], np.array([0.1, NAN, NAN, 0.3]), equal_nan=True)


def test_the_riskless_return_of_a_row_compounds_to_the_annual_rate() -> None:
    data = returns_of({"A": [1.0, 2.0, 3.0]}, risk_free=0.05)
    assert (1 + data.risk_free[0]) ** 252 == pytest.approx(1.05, rel=1e-12)
    assert returns_of({"A": [1.0, 2.0, 3.0]}).risk_free.tolist() == [0.0, 0.0]


def test_benchmark_columns_stay_but_are_never_members() -> None:
    data = returns_of({"A": [1.0, 2.0, 3.0], "SPY": [1.0, 2.0, 3.0]}, benchmark=("SPY",))
    assert data.benchmark.tolist() == [1]
    assert data.member.tolist() == [[True, False], [True, False]]
    assert data.tradable.all()


def test_a_snapshot_holds_from_its_date_to_the_next_one() -> None:
    dates = weekdays(6)
    rows = [(dates[4], "B", True), (dates[2], "A", True), (dates[2], "B", True), (dates[4], "A", False)]
    membership = MembershipTable(
        "m",
        np.array([row[0] for row in rows]),
        tuple(row[1] for row in rows),
        np.array([row[2] for row in rows]),
    )
    data = returns_of({"A": [1.0] * 6, "B": [1.0] * 6}, membership=membership)
    # Row 0 of the returns is dates[1]: nobody is a member before the first snapshot.
    assert data.member.tolist() == [[False, False], [True, True], [True, True], [False, True], [False, True]]


def test_members_without_prices_matter_only_while_their_snapshot_is_in_force() -> None:
    days = np.array(["2010-01-01", "2019-12-01", "2030-01-01"], dtype="datetime64[D]")
    membership = MembershipTable("m", days, ("GONE", "A", "NEW"), np.ones(3, dtype=bool))
    assert returns_of({"A": [1.0, 2.0, 3.0]}, membership=membership).member.all()


def test_every_array_is_read_only() -> None:
    data = returns_of({"A": [1.0, 2.0, 3.0]})
    for array in (data.dates, data.simulation, data.tradable, data.estimation, data.member, data.risk_free):
        assert not array.flags.writeable


def test_rows_a_year_are_read_off_the_dates() -> None:
    first = np.datetime64("2001-01-01")
    months = np.arange(np.datetime64("2001-01"), np.datetime64("2004-01")).astype("datetime64[D]")
    assert rows_a_year("t", first + np.arange(200)) == 365
    assert rows_a_year("t", weekdays(200)) == 252
    assert rows_a_year("t", first + 7 * np.arange(60)) == 52
    assert rows_a_year("t", months) == 12

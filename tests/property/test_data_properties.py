"""What holds for every table: no wealth is invented, nothing is seen early, names follow content."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from backsweep.arrays import Boolean, Float, read_only
from backsweep.data.calendars import is_weekend
from backsweep.data.digests import returns_digest
from backsweep.data.resolution import Resolution, resolve
from backsweep.data.tables import DataOptions, MembershipTable, PriceTable

NAN = float("nan")
TABLES = st.builds(
    lambda seed, rows, assets, missing: random_table(seed, rows, assets, missing),
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(6, 30),
    assets=st.integers(1, 4),
    missing=st.sampled_from([0.0, 0.1, 0.4]),
)


def random_table(seed: int, rows: int, assets: int, missing: float) -> PriceTable:
    """Return weekday prices with holes, late listings and early ends; the first column is complete."""
    rng = np.random.default_rng(seed)
    values: Float = np.exp(np.cumsum(rng.normal(0, 0.1, (rows, assets)), axis=0))
    holes = rng.random((rows, assets)) < missing
    listing, end = rng.integers(0, rows // 2, assets), rng.integers(rows // 2, rows + 1, assets)
    row = np.arange(rows)[:, None]
    holes |= (row < listing) | ((row >= end) & (rng.random(assets) < 0.5))
    holes[:, 0] = False
    holes[rows // 2 - 1 : rows // 2 + 1] = False
    values[holes] = NAN
    dates = np.busday_offset(np.datetime64("2021-01-04"), np.arange(rows), roll="forward")
    return PriceTable("t", dates, tuple(f"S{column}" for column in range(assets)), values)


def resolved(table: PriceTable, **options: Any) -> Resolution:
    return resolve(table, DataOptions(**{"periods": 252, "missing": "fill", **options}))


def first_and_last(prices: Float) -> tuple[Float, Float]:
    known = ~np.isnan(prices)
    first, last = np.argmax(known, axis=0), len(prices) - 1 - np.argmax(known[::-1], axis=0)
    columns = np.arange(prices.shape[1])
    return prices[first, columns], prices[last, columns]


def assert_wealth_is_that_of_the_prices(result: Resolution, delisting_return: float) -> None:
    data = result.returns
    assert result.prices is not None
    first, last = first_and_last(result.prices)
    gone = data.delisted_row < len(data.dates)
    expected = last / first * np.where(gone, 1 + delisting_return, 1.0)
    assert np.allclose(np.prod(1 + data.simulation, axis=0), expected, rtol=1e-12, atol=0)


@given(TABLES, st.sampled_from(["drop", "fill"]), st.sampled_from([0.0, -0.3, -1.0, 0.5]))
def test_holding_an_asset_earns_its_last_price_over_its_first(
    table: PriceTable, missing: str, delisting_return: float
) -> None:
    result = resolved(table, missing=missing, delisting_return=delisting_return)
    assert_wealth_is_that_of_the_prices(result, delisting_return)


@given(
    st.integers(0, 2**32 - 1),
    st.integers(8, 40),
    st.sampled_from([("weekdays", "drop"), ("weekdays", "fill"), ("all", "fill")]),
)
def test_a_mix_of_calendars_invents_no_wealth_either(seed: int, rows: int, rules: tuple[str, str]) -> None:
    table = mixed_table(seed, rows)
    result = resolved(table, calendar=rules[0], missing=rules[1])
    assert_wealth_is_that_of_the_prices(result, 0.0)
    assert (result.returns.simulation[~result.returns.tradable] == 0).all()


def mixed_table(seed: int, rows: int) -> PriceTable:
    rng = np.random.default_rng(seed)
    dates = np.datetime64("2021-01-01") + rng.integers(0, 7) + np.arange(rows)
    values: Float = np.exp(np.cumsum(rng.normal(0, 0.1, (rows, 3)), axis=0))
    shut: Boolean = is_weekend(dates) | (rng.random(rows) < 0.1)
    values[shut, 1:] = NAN
    opened = np.flatnonzero(~shut)
    values[: opened[0], 1:] = NAN
    return PriceTable("t", dates, ("COIN", "AAA", "BBB"), values)


@given(TABLES, st.sampled_from(["drop", "fill"]))
def test_estimators_see_a_return_only_between_two_prices(table: PriceTable, missing: str) -> None:
    result = resolved(table, missing=missing)
    assert result.prices is not None
    ratio = result.prices[1:] / result.prices[:-1] - 1
    assert np.array_equal(result.returns.estimation, ratio, equal_nan=True)
    assert np.array_equal(result.returns.tradable, ~np.isnan(result.prices[1:]))


@given(TABLES, st.sampled_from(["drop", "fill"]), st.data())
def test_a_change_of_later_prices_changes_nothing_before_it(
    table: PriceTable, missing: str, data: st.DataObject
) -> None:
    row = data.draw(st.integers(1, len(table.dates) - 1))
    values = table.values.copy()
    values[row:] *= data.draw(st.floats(0.1, 10))
    before = resolved(table, missing=missing).returns
    after = resolved(replace(table, values=values), missing=missing).returns
    assert np.array_equal(before.dates, after.dates)
    known = int(np.searchsorted(before.dates, table.dates[row]))
    for name in ("simulation", "tradable", "member", "estimation"):
        assert np.array_equal(getattr(before, name)[:known], getattr(after, name)[:known], equal_nan=True)
    assert np.array_equal(before.delisted_row, after.delisted_row)


@given(st.integers(0, 2**32 - 1), st.integers(6, 30), st.integers(1, 6))
def test_more_rows_leave_the_old_ones_as_they_were(seed: int, rows: int, more: int) -> None:
    table = random_table(seed, rows + more, 3, 0.0)
    listed = np.logical_or.accumulate(~np.isnan(table.values), axis=0)
    table = replace(table, values=np.where(listed, np.nan_to_num(table.values, nan=1.0), NAN))
    old = resolved(replace(table, dates=table.dates[:rows], values=table.values[:rows])).returns
    new = resolved(table).returns
    for name in ("dates", "simulation", "tradable", "member", "estimation", "risk_free"):
        assert np.array_equal(getattr(old, name), getattr(new, name)[: rows - 1], equal_nan=name == "estimation")


@given(st.integers(0, 2**32 - 1), st.integers(6, 30), st.sampled_from([0.0, -0.3]))
def test_returns_made_from_prices_give_what_the_prices_give(seed: int, rows: int, delisting_return: float) -> None:
    table = random_table(seed, rows, 3, 0.0)
    moves = table.values[1:] / table.values[:-1] - 1
    options = {"delisting_return": delisting_return}
    as_prices = resolved(table, **options).returns
    as_returns = resolved(PriceTable("t", table.dates[1:], table.symbols, moves), kind="returns", **options).returns
    assert as_prices.digest == as_returns.digest


@given(TABLES, st.data())
def test_a_later_snapshot_changes_no_earlier_membership(table: PriceTable, data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.integers(0, len(table.dates) - 1), min_size=1, max_size=5, unique=True))
    split = data.draw(st.integers(1, len(rows)))
    days = table.dates[np.sort(rows)]
    members = tuple(data.draw(st.sampled_from(table.symbols)) for _ in rows)
    early = MembershipTable("m", days[:split], members[:split], np.ones(split, dtype=bool))
    full = MembershipTable("m", days, members, np.ones(len(rows), dtype=bool))
    if days[0] > table.dates[-1]:
        return
    short, long = resolved(table, membership=early).returns, resolved(table, membership=full).returns
    known = len(long.dates) if split == len(rows) else int(np.searchsorted(long.dates, days[split]))
    assert np.array_equal(short.member[:known], long.member[:known])


@given(TABLES, st.data())
def test_one_other_cell_is_another_digest_and_the_same_cells_are_the_same(
    table: PriceTable, data: st.DataObject
) -> None:
    frozen = replace(table, values=read_only(np.asfortranarray(table.values)))
    original = resolved(table).returns
    assert resolved(frozen).returns.digest == original.digest
    row, column = (data.draw(st.integers(0, size - 1)) for size in original.simulation.shape)
    simulation = original.simulation.copy()
    simulation[row, column] += 1e-9
    assert returns_digest(replace(original, simulation=simulation)) != original.digest
    other_nan = np.array([0xFFF8000000000001], dtype=np.uint64).view(np.float64)[0]
    spelled = np.where(np.isnan(original.estimation), other_nan, original.estimation)
    spelled = np.where(spelled == 0, -0.0, spelled)
    assert returns_digest(replace(original, estimation=spelled)) == original.digest
    tradable = original.tradable.copy()
    tradable[row, column] ^= True
    assert returns_digest(replace(original, tradable=tradable)) != original.digest
    assert returns_digest(replace(original, periods=365)) != original.digest
    assert returns_digest(replace(original, symbols=("other", *original.symbols[1:]))) != original.digest

"""The simulation against money and shares, counted row by row in a loop that hides nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from backsweep.arrays import Boolean, Float, Integer, Returns, Windows, read_only
from backsweep.simulate import Rule, net_returns, positions, simulate

FIRST = 3  # the first test row
PERIODS = 252

relaxed = settings(deadline=None, max_examples=60, derandomize=True)


@dataclass
class World:
    """Prices as a person would see them: NaN where an asset has none."""

    prices: Float
    delisting_return: float
    risk_free: Float
    targets: Float
    lengths: list[int]

    def windows(self) -> Windows:
        stops = FIRST + np.cumsum(self.lengths)
        starts = np.concatenate([[FIRST], stops[:-1]])
        return Windows(np.zeros_like(starts), starts - 1, starts, stops)

    def delisted_row(self) -> Integer:
        rows = len(self.prices)
        last = rows - 1 - np.argmax(~np.isnan(self.prices[::-1]), axis=0)
        return np.asarray(last + 1, dtype=np.int64)

    def returns(self) -> Returns:
        rows, assets = self.prices.shape
        simulation = np.zeros((rows, assets))
        for asset in range(assets):
            last = np.nan
            for row in range(rows):
                price = self.prices[row, asset]
                if row == self.delisted_row()[asset]:
                    simulation[row, asset] = self.delisting_return
                if not np.isnan(price):
                    simulation[row, asset] = 0.0 if np.isnan(last) else price / last - 1.0
                    last = price
        tradable = ~np.isnan(self.prices)
        return _returns(simulation, tradable, self.delisted_row(), self.risk_free)


def _returns(simulation: Float, tradable: Boolean, delisted_row: Integer, risk_free: Float) -> Returns:
    rows, assets = simulation.shape
    return Returns(
        dates=np.arange(rows).astype("datetime64[D]"),
        symbols=tuple(f"asset{i}" for i in range(assets)),
        simulation=read_only(simulation),
        tradable=tradable,
        estimation=simulation,
        estimation_rows=np.arange(rows),
        delisted_row=delisted_row,
        member=np.ones((rows, assets), bool),
        benchmark=np.zeros(0, np.int64),
        risk_free=risk_free,
        periods=PERIODS,
        digest="",
    )


@dataclass
class Books:
    """What the loop writes down for each test row."""

    gross: list[float] = field(default_factory=list)
    net: list[float] = field(default_factory=list)
    traded: list[float] = field(default_factory=list)
    short: list[float] = field(default_factory=list)
    held: list[Float] = field(default_factory=list)


def count_money(world: World, daily: bool, bps: float = 0.0, borrow: float = 0.0) -> Books:
    """Hold shares and cash, trade at closes, pay costs out of everything held."""
    rows, assets = world.prices.shape
    last = np.ones(assets)  # the price an asset is valued at
    shares, cash = np.zeros(assets), 100.0
    gone = world.delisted_row()
    books, window = Books(), 0
    stops = (FIRST + np.cumsum(world.lengths)).tolist()
    for row in range(rows):
        # 1. The close of the row before: decide, trade, pay.
        wealth = cash + sum(shares[i] * last[i] for i in range(assets))
        before_costs, traded, paid = wealth, 0.0, 0.0
        if FIRST <= row < stops[-1]:
            first_row = row == FIRST or row in stops
            window += row in stops
            if (first_row or daily) and not np.isnan(world.targets[window, 0]):
                traded, shares, cash = _trade(world, row - 1, world.targets[window], shares, last, wealth)
        paid += wealth * traded * bps / 1e4
        short = sum(max(-shares[i] * last[i], 0.0) for i in range(assets)) / wealth
        # 2. The row itself: prices move, cash earns, the delisted turn into cash.
        keep = (wealth - paid) / wealth
        shares, cash = shares * keep, cash * keep * (1.0 + world.risk_free[row])
        for i in range(assets):
            if not np.isnan(world.prices[row, i]):
                last[i] = world.prices[row, i]
            elif row == gone[i]:
                cash += shares[i] * last[i] * (1.0 + world.delisting_return)
                shares[i] = 0.0
        wealth = cash + sum(shares[i] * last[i] for i in range(assets))
        if FIRST <= row < stops[-1]:
            fee = before_costs * borrow * short / PERIODS
            books.gross.append(wealth / (before_costs - paid) - 1.0)
            books.net.append((wealth - fee) / before_costs - 1.0)
            books.traded.append(traded)
            books.short.append(short)
            if wealth - fee <= 1e-12 * before_costs:
                return books
            books.held.append(shares * last / wealth)
            shares, cash = shares * (1.0 - fee / wealth), cash * (1.0 - fee / wealth)
    return books


def _trade(
    world: World, close: int, target: Float, shares: Float, last: Float, wealth: float
) -> tuple[float, Float, float]:
    """Buy and sell what has a price at `close`; return sum |dw|, shares and cash."""
    open_now = ~np.isnan(world.prices[close])
    stuck = sum(shares[i] * last[i] / wealth for i in range(len(shares)) if not open_now[i])
    stuck_target = sum(target[i] for i in range(len(shares)) if not open_now[i])
    scale = 1.0
    if 1.0 - stuck_target > 1e-9 and min(target) >= 0.0:
        scale = max(1.0 - stuck, 0.0) / (1.0 - stuck_target)
    traded, after = 0.0, shares.copy()
    for i in range(len(shares)):
        if open_now[i]:
            after[i] = target[i] * scale * wealth / last[i]
            traded += abs(target[i] * scale - shares[i] * last[i] / wealth)
    return traded, after, wealth - sum(after[i] * last[i] for i in range(len(shares)))


@st.composite
def worlds(draw: st.DrawFn, gaps: bool = True) -> World:
    assets = draw(st.integers(1, 4))
    lengths = draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    rows = FIRST + sum(lengths)
    moves = draw(hnp.arrays(np.float64, (rows, assets), elements=st.floats(-0.2, 0.2)))
    prices: Float = np.multiply.accumulate(1.0 + moves, axis=0)
    if gaps:
        holes = draw(hnp.arrays(np.bool_, (rows, assets), elements=st.sampled_from([False, False, True])))
        prices = np.where(holes, np.nan, prices)
        prices[0] = 1.0
        stop = draw(hnp.arrays(np.int64, assets, elements=st.integers(FIRST, rows + 5)))
        prices[np.arange(rows)[:, None] >= stop] = np.nan
    short = draw(st.booleans())
    size = st.floats(-0.5 if short else 0.0, 0.6)
    targets = draw(hnp.arrays(np.float64, (len(lengths), assets), elements=size))
    if not short:
        total = targets.sum(axis=1, keepdims=True)
        targets = np.where(total > 0.1, targets / np.maximum(total, 0.1), 0.0)
    targets = np.round(targets, 3)  # wealth of 1e-12 after a -100 % day would magnify rounding
    failed = draw(hnp.arrays(np.bool_, len(lengths), elements=st.sampled_from([False, False, True])))
    targets[failed & gaps] = np.nan
    risk_free = draw(hnp.arrays(np.float64, rows, elements=st.sampled_from([0.0, 0.0001, 0.001])))
    return World(prices, draw(st.sampled_from([0.0, -0.3, -1.0])), risk_free, targets, lengths)


@relaxed
@given(worlds(), st.booleans())
def test_the_path_is_that_of_money_and_shares(world: World, daily: bool) -> None:
    rule: Rule = "daily" if daily else "window"
    path = simulate(world.targets, world.windows(), world.returns(), rule, "hold")
    books = count_money(world, daily)
    assert (path.ruined_row is None) == (len(books.held) == len(path.gross))
    for name in ("gross", "traded", "short"):
        np.testing.assert_allclose(getattr(path, name)[: len(books.gross)], getattr(books, name), atol=1e-13, rtol=0)
        assert not getattr(path, name)[len(books.gross) :].any()
    held = positions(world.targets, world.windows(), world.returns(), rule, "hold")
    for row, drifted in enumerate(books.held):
        np.testing.assert_allclose(held[row], drifted, atol=1e-13, rtol=0)
    assert not held[len(books.held) :].any()
    np.testing.assert_array_equal(path.weights_end, held[-1])


@relaxed
@given(worlds(), st.booleans(), st.floats(0.0, 100.0), st.floats(0.0, 0.5))
def test_costs_and_fees_leave_wealth_and_nothing_else_does(
    world: World, daily: bool, bps: float, borrow: float
) -> None:
    """What is left is what was there, plus what prices and cash earned, less what was paid."""
    path = simulate(world.targets, world.windows(), world.returns(), "daily" if daily else "window", "hold")
    net = net_returns(path, bps * 0.75, bps * 0.25, borrow, PERIODS)
    books = count_money(world, daily, bps, borrow)
    np.testing.assert_allclose(net[: len(books.net)], books.net, atol=1e-13, rtol=0)
    assert not net[len(books.net) :].any()
    assert (net <= path.gross).all()


@relaxed
@given(worlds(), st.booleans())
def test_without_costs_net_is_gross_to_the_last_bit(world: World, daily: bool) -> None:
    path = simulate(world.targets, world.windows(), world.returns(), "daily" if daily else "window", "hold")
    assert net_returns(path, 0.0, 0.0, 0.0, PERIODS).tobytes() == path.gross.tobytes()


@relaxed
@given(worlds(gaps=False))
def test_row_by_row_and_all_at_once_agree(world: World) -> None:
    """One asset that cannot be traded at the last close sends the whole stretch through the row loop."""
    returns = world.returns()
    closed = returns.tradable.copy()
    closed[-2] = False
    if not np.any(world.targets[-1]):
        return
    slow = _returns(returns.simulation, closed, returns.delisted_row, returns.risk_free)
    for rule in ("window", "daily"):
        at_once = simulate(world.targets, world.windows(), returns, rule)
        by_row = simulate(world.targets, world.windows(), slow, rule)
        stop = len(at_once.gross) - world.lengths[-1] if rule == "window" else len(at_once.gross) - 1
        for name in ("gross", "traded", "short"):
            np.testing.assert_allclose(getattr(at_once, name)[:stop], getattr(by_row, name)[:stop], atol=1e-14, rtol=0)


@relaxed
@given(worlds(), st.booleans(), st.integers(0, 5))
def test_the_past_does_not_know_the_future(world: World, daily: bool, window: int) -> None:
    rule: Rule = "daily" if daily else "window"
    window = min(window, len(world.lengths) - 1)
    row = FIRST + sum(world.lengths[:window])
    returns = world.returns()
    changed = returns.simulation.copy()
    changed[row:] = 0.05
    open_later = returns.tradable.copy()
    open_later[row:] = True
    later = _returns(changed, open_later, returns.delisted_row, returns.risk_free)
    past = simulate(world.targets, world.windows(), returns, rule, "hold")
    other = simulate(world.targets, world.windows(), later, rule, "hold")
    np.testing.assert_allclose(past.gross[: row - FIRST], other.gross[: row - FIRST], atol=1e-14, rtol=0)
    np.testing.assert_allclose(past.traded[: row - FIRST], other.traded[: row - FIRST], atol=1e-14, rtol=0)

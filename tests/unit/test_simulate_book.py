"""Simulations small enough to be worked out on paper."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from backsweep.arrays import Float, Returns, Windows
from backsweep.errors import InvariantError, SolveError
from backsweep.simulate import Path, Rule, net_returns, positions, ruined_row, simulate, stretches

NAN = np.nan
RULES: tuple[Rule, ...] = ("window", "daily")


def data(rows: list[list[float]], risk_free: float = 0.0) -> Returns:
    """A data set of these returns; row 0 is the decision row of the first window."""
    simulation = np.array(rows, dtype=float)
    count, assets = simulation.shape
    return Returns(
        dates=np.datetime64("2020-01-01") + np.arange(count),
        symbols=tuple("abcdef"[:assets]),
        simulation=simulation,
        tradable=np.ones((count, assets), bool),
        estimation=simulation,
        estimation_rows=np.arange(count),
        delisted_row=np.full(assets, count),
        member=np.ones((count, assets), bool),
        benchmark=np.zeros(0, np.int64),
        risk_free=np.full(count, risk_free),
        periods=252,
        digest="",
    )


def changed(returns: Returns, **fields: object) -> Returns:
    names = {name: getattr(returns, name) for name in Returns.__slots__}
    return Returns(**{**names, **fields})


def cut(*starts: int) -> Windows:
    """Windows that test from each start to the next."""
    edges = np.array(starts)
    return Windows(np.zeros_like(edges[1:]), edges[:-1], edges[:-1], edges[1:])


def close(found: Float, wanted: object) -> None:
    np.testing.assert_allclose(found, np.asarray(wanted, dtype=float), rtol=0, atol=1e-15)


def test_window_buys_and_holds_and_daily_goes_back_to_target() -> None:
    returns = data([[0, 0], [0.1, 0.0], [0.1, 0.0], [0.0, 0.5]])
    half = np.array([[0.5, 0.5], [0.5, 0.5]])
    window = simulate(half, cut(1, 3, 4), returns, "window")
    # 0.5 + 0.5 -> 0.55 + 0.5 -> 0.605 + 0.5; then half and half again.
    close(window.gross, [0.05, 1.105 / 1.05 - 1, 0.25])
    close(window.traded, [1.0, 0.0, 2 * (0.605 / 1.105 - 0.5)])
    daily = simulate(half, cut(1, 3, 4), returns, "daily")
    close(daily.gross, [0.05, 0.05, 0.25])
    close(daily.traded, [1.0, 2 * (0.55 / 1.05 - 0.5), 2 * (0.55 / 1.05 - 0.5)])
    close(daily.weights_end, [0.5 / 1.25, 0.75 / 1.25])


def test_positions_are_drifted_weights_at_the_close_before_a_trade() -> None:
    returns = data([[0, 0], [0.1, 0.0], [0.1, 0.0]])
    half = np.array([[0.5, 0.5]])
    close(
        positions(half, cut(1, 3), returns, "window"),
        [[0.55 / 1.05, 0.5 / 1.05], [0.605 / 1.105, 0.5 / 1.105]],
    )
    close(positions(half, cut(1, 3), returns, "daily"), [[0.55 / 1.05, 0.5 / 1.05]] * 2)


def test_cash_earns_and_debt_pays_the_riskless_return() -> None:
    returns = data([[0.0], [0.0], [0.0]], risk_free=0.01)
    for rule in RULES:
        close(simulate(np.array([[0.4]]), cut(1, 2), returns, rule).gross, [0.006])
        close(simulate(np.array([[1.5]]), cut(1, 2), returns, rule).gross, [-0.005])
        close(simulate(np.array([[-0.5]]), cut(1, 2), returns, rule).gross, [0.015])


def test_the_cost_of_the_first_purchase_falls_on_the_first_test_row() -> None:
    path = simulate(np.array([[1.0]]), cut(1, 3), data([[0.0], [0.1], [0.1]]), "window")
    close(net_returns(path, 5, 1, 0.0, 252), [1.1 * (1 - 0.0006) - 1, 0.1])


def test_borrowing_is_charged_on_the_short_as_it_stood_when_the_row_began() -> None:
    returns = data([[0, 0], [0.0, 0.1], [0.0, 0.0]])
    short = np.array([[1.2, -0.2]])
    path = simulate(short, cut(1, 3), returns, "window")
    close(path.short, [0.2, 0.22 / 0.98])
    close(net_returns(path, 0, 0, 0.0252, 252), [-0.02 - 1e-4 * 0.2, -1e-4 * 0.22 / 0.98])
    close(simulate(short, cut(1, 3), returns, "daily").short, [0.2, 0.2])


def test_what_cannot_be_traded_keeps_its_drifted_weight_and_the_rest_is_scaled() -> None:
    returns = data([[0, 0, 0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    closed = returns.tradable.copy()
    closed[1, 0] = False
    returns = changed(returns, tradable=closed)
    targets = np.array([[0.5, 0.25, 0.25], [0.2, 0.6, 0.2]])
    path = simulate(targets, cut(1, 2, 3), returns, "window")
    # The first asset doubled to 2/3 and stays; 0.6 and 0.2 share the other third.
    close(path.weights_end, [2 / 3, 0.25, 1 / 12])
    close(path.traded, [1.0, (0.25 - 1 / 6) + (1 / 6 - 1 / 12)])
    short = simulate(np.array([[0.5, 0.25, 0.25], [0.2, 0.9, -0.1]]), cut(1, 2, 3), returns, "window")
    close(short.weights_end, [2 / 3, 0.9, -0.1])


def test_nothing_is_scaled_where_the_target_leaves_nothing_to_the_tradable() -> None:
    returns = data([[0, 0], [0.0, 0.0], [0.0, 0.0]])
    closed = returns.tradable.copy()
    closed[0, 0] = False
    returns = changed(returns, tradable=closed)
    for rule in RULES:
        path = simulate(np.array([[1.0 - 1e-16, 1e-17]]), cut(1, 2), returns, rule)
        close(path.weights_end, [0.0, 1e-17])


def test_an_asset_not_yet_listed_is_not_bought_and_its_share_goes_to_the_others() -> None:
    returns = data([[0, 0], [0.0, 0.1]])
    closed = returns.tradable.copy()
    closed[0, 0] = False
    path = simulate(np.array([[0.5, 0.5]]), cut(1, 2), changed(returns, tradable=closed), "daily")
    close(path.gross, [0.1])
    close(path.traded, [1.0])


@pytest.mark.parametrize("rule", ["window", "daily"])
def test_a_delisted_asset_earns_its_delisting_return_and_is_cash_without_a_trade(rule: Rule) -> None:
    returns = data([[0, 0], [0.0, 0.0], [-0.5, 0.0], [0.0, 0.0], [0.0, 0.0]], risk_free=0.01)
    closed = returns.tradable.copy()
    closed[2:, 0] = False
    returns = changed(returns, tradable=closed, delisted_row=np.array([2, 5]))
    targets = np.array([[0.5, 0.5], [0.0, 0.6]])
    path = simulate(targets, cut(1, 4, 5), returns, rule)
    cash = 1 / 3
    if rule == "window":
        close(path.gross[:3], [0.0, -0.25, cash * 0.01])
        close(path.traded[1:3], [0.0, 0.0])
    else:
        # At the close of the delisting row the other asset is bought with all of the cash.
        close(path.gross[:3], [0.0, -0.25, 0.0])
        close(path.traded[1:3], [0.0, 1 / 3])
    held = positions(targets, cut(1, 4, 5), returns, rule)
    assert not held[1:, 0].any()
    close(path.gross[3], 0.4 * 0.01)


@pytest.mark.parametrize("rule", ["window", "daily"])
def test_a_delisting_on_the_last_row_of_a_window_leaves_nothing_to_sell(rule: Rule) -> None:
    returns = data([[0, 0], [0.0, 0.0], [-0.5, 0.0], [0.0, 0.0]])
    returns = changed(returns, delisted_row=np.array([2, 4]))
    path = simulate(np.array([[0.5, 0.5], [0.0, 1.0]]), cut(1, 3, 4), returns, rule)
    close(path.traded, [1.0, 0.0, 1 / 3])


def test_a_short_that_delists_needs_no_borrowing_from_the_next_row_on() -> None:
    returns = data([[0, 0], [0.0, 0.0], [-0.5, 0.0], [0.0, 0.0]])
    closed = returns.tradable.copy()
    closed[2:, 0] = False
    returns = changed(returns, tradable=closed, delisted_row=np.array([2, 4]))
    for rule in RULES:
        path = simulate(np.array([[-0.5, 0.5]]), cut(1, 4), returns, rule)
        close(path.short, [0.5, 0.5, 0.0])
        close(path.gross, [0.0, 0.25, 0.0])


def test_a_frozen_asset_worth_more_than_all_wealth_leaves_the_others_at_nothing_never_short() -> None:
    returns = data([[0, 0], [0.0, -0.5], [0.0, 0.0]])
    closed = returns.tradable.copy()
    closed[1, 0] = False
    path = simulate(np.array([[0.8, 0.8], [0.2, 0.8]]), cut(1, 2, 3), changed(returns, tradable=closed), "window")
    close(path.weights_end, [0.8 / 0.6, 0.0])


def test_what_is_frozen_is_carried_from_one_block_of_windows_to_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stretches, "BLOCK_NUMBERS", 1)
    returns = data([[0, 0], [0.5, 0.0], [0.0, 0.0], [0.0, 0.0]])
    closed = returns.tradable.copy()
    closed[1:3, 0] = False
    targets = np.array([[0.5, 0.5], [0.0, 1.0], [0.0, 1.0]])
    for rule in RULES:
        path = simulate(targets, cut(1, 2, 3, 4), changed(returns, tradable=closed), rule)
        close(path.weights_end, [0.6, 0.4])
        close(path.traded, [1.0, 0.0, 0.0])


@pytest.mark.parametrize("rule", ["window", "daily"])
def test_a_failed_window_under_hold_does_not_trade(rule: Rule) -> None:
    returns = data([[0, 0], [0.1, 0.1], [0.1, 0.0], [0.1, 0.0], [0.0, 0.0]], risk_free=0.01)
    targets = np.array([[NAN, NAN], [0.5, 0.5], [NAN, NAN]])
    path = simulate(targets, cut(1, 2, 3, 5), returns, rule, "hold")
    close(path.gross, [0.01, 0.05, 0.055 / 1.05, 0.0])
    close(path.traded, [0.0, 1.0, 0.0, 0.0])


def test_a_failed_window_under_fail_fails_the_simulation_and_says_when() -> None:
    targets = np.array([[1.0], [NAN]])
    with pytest.raises(SolveError, match=r"^1 of 2 windows have no portfolio, the first is tested from 2020-01-03$"):
        simulate(targets, cut(1, 2, 3), data([[0.0], [0.0], [0.0]]), "window")


@pytest.mark.parametrize("rule", ["window", "daily"])
def test_a_day_of_minus_100_percent_ruins_only_who_held_nothing_else(rule: Rule) -> None:
    returns = data([[0, 0], [0.1, 0.1], [-1.0, 0.0], [0.2, 0.2], [0.2, 0.2]])
    both = simulate(np.array([[0.5, 0.5]]), cut(1, 5), returns, rule)
    close(both.gross, [0.1, -0.5, 0.2, 0.2])
    assert both.ruined_row is None
    # 0.1 + 0.2 + 0.7 is not 1 in binary: the rounding left over is no wealth.
    alone = np.array([[1.0 - 1e-16, 0.0], [1.0, 0.0]])
    path = simulate(alone, cut(1, 4, 5), returns, rule)
    close(path.gross, [0.1, -1.0, 0.0, 0.0])
    close(path.traded, [1.0, 0.0, 0.0, 0.0])
    assert path.ruined_row == 1
    assert not path.weights_end.any()
    assert not positions(alone, cut(1, 4, 5), returns, rule)[1:].any()


@pytest.mark.parametrize("rule", ["window", "daily"])
def test_a_short_can_lose_more_than_everything_and_the_book_is_closed(rule: Rule) -> None:
    returns = data([[0], [1.5], [-0.9], [-0.9]])
    path = simulate(np.array([[-1.0], [-1.0]]), cut(1, 3, 4), returns, rule)
    close(path.gross, [-1.5, 0.0, 0.0])
    close(path.short, [1.0, 0.0, 0.0])
    net = net_returns(path, 10_000, 10_000, 0.1, 252)
    assert net[0] <= -1.5
    assert not net[1:].any()


def test_costs_alone_can_ruin_and_the_net_series_says_where() -> None:
    path = simulate(np.array([[1.0]]), cut(1, 3), data([[0.0], [0.1], [0.1]]), "window")
    net = net_returns(path, 10_000, 0, 0.0, 252)
    close(net, [-1.0, 0.0])
    assert ruined_row(net) == 0
    assert ruined_row(path.gross) is None


def test_windows_share_no_arithmetic_so_the_size_of_a_block_changes_no_byte(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def run() -> list[bytes]:
        markets = [_market(seed=1), _closing_market(seed=1)]
        paths = [simulate(*market, rule, "hold") for market in markets for rule in RULES]
        return [getattr(p, n).tobytes() for p in paths for n in ("gross", "traded", "short", "weights_end")]

    whole = run()
    monkeypatch.setattr(stretches, "BLOCK_NUMBERS", 1)
    assert run() == whole


def test_a_month_more_of_data_changes_no_byte_of_the_rows_before() -> None:
    for (weights, windows, returns), rule in product([_market(seed=2), _closing_market(seed=2)], RULES):
        fewer = Windows(*(getattr(windows, name)[:-1] for name in Windows.__slots__))
        longer = simulate(weights, windows, returns, rule, "hold")
        shorter = simulate(weights[:-1], fewer, returns, rule, "hold")
        assert longer.gross[: len(shorter.gross)].tobytes() == shorter.gross.tobytes()
        assert longer.traded[: len(shorter.gross)].tobytes() == shorter.traded.tobytes()


def test_what_comes_out_cannot_be_written_to() -> None:
    weights, windows, returns = _market(seed=3)
    weights.flags.writeable = False
    path = simulate(weights, windows, returns, "daily")
    for name in ("gross", "traded", "short", "weights_end"):
        assert not getattr(path, name).flags.writeable


@pytest.mark.parametrize(
    ("weights", "windows", "sentence"),
    [
        ([[1.0], [1.0]], cut(1, 2), "weights must be"),
        ([[1.0, 0.0]], cut(1, 2), "weights must be"),
        ([[np.inf]], cut(1, 2), "the weights of window 0 are NaN or infinite in part"),
        ([[1.0]], cut(0, 2), "test rows must be consecutive"),
        ([[1.0]], cut(1, 9), "test rows must be consecutive"),
        ([[1.0]], cut(2, 2), "test rows must be consecutive"),
    ],
)
def test_what_no_stage_may_hand_over_is_refused(weights: Float, windows: Windows, sentence: str) -> None:
    with pytest.raises(InvariantError, match=f"^{sentence}"):
        simulate(np.array(weights), windows, data([[0.0], [0.0], [0.0]]), "window")


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(InvariantError, match="found weekly and fail"):
        simulate(np.array([[1.0]]), cut(1, 2), data([[0.0], [0.0]]), "weekly")  # type: ignore[arg-type]  # on purpose


def test_a_path_keeps_the_row_it_starts_on() -> None:
    path = simulate(np.array([[1.0]]), cut(2, 3), data([[0.0], [0.0], [0.1]]), "window")
    assert isinstance(path, Path)
    assert path.start == 2
    close(path.gross, [0.1])


def _market(seed: int) -> tuple[Float, Windows, Returns]:
    """Long and short weights over 8 windows, the last one shorter."""
    rng = np.random.default_rng(seed)
    returns = data(rng.normal(0, 0.02, (5 + 8 * 7, 6)).tolist(), risk_free=1e-4)
    weights = rng.dirichlet(np.ones(6), 8)
    weights[:, 0] -= 0.2
    return weights, cut(*range(5, 5 + 8 * 7, 7), 5 + 8 * 7 - 3), returns


def _closing_market(seed: int) -> tuple[Float, Windows, Returns]:
    """The same with closed days, a delisting and a failed window."""
    weights, windows, returns = _market(seed)
    rng = np.random.default_rng(seed)
    closed = rng.random(returns.tradable.shape) < 0.2
    closed[40:, 3] = True
    gone = np.full(6, len(closed))
    gone[3] = 40
    simulation = np.where(closed, 0.0, returns.simulation)
    simulation[40, 3] = -0.3
    weights[5] = NAN
    return weights, windows, changed(returns, tradable=~closed, simulation=simulation, delisted_row=gone)

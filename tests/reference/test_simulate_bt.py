"""The simulation against bt, which lets weights drift and counts shares, on real prices."""

from __future__ import annotations

import gzip
import importlib.resources
import warnings

import numpy as np
import pandas as pd
import pytest

from backsweep.arrays import Float, Returns, Windows
from backsweep.simulate import Rule, net_returns, positions, simulate

ROWS, TRAIN, TEST = 1_000, 252, 21
CAPITAL = 1e6  # bt compares cash to 1e-8: larger sums never agree, smaller ones lose digits


@pytest.fixture(scope="module")
def prices() -> pd.DataFrame:
    file = importlib.resources.files("skfolio.datasets") / "data" / "sp500_dataset.csv.gz"
    with file.open("rb") as packed, gzip.open(packed) as text:
        return pd.read_csv(text, index_col=0, parse_dates=True).iloc[-ROWS:, :8]


@pytest.fixture(scope="module")
def returns(prices: pd.DataFrame) -> Returns:
    simulation = prices.to_numpy()[1:] / prices.to_numpy()[:-1] - 1.0
    rows, assets = simulation.shape
    return Returns(
        dates=prices.index[1:].to_numpy().astype("datetime64[D]"),
        symbols=tuple(prices.columns),
        simulation=simulation,
        tradable=np.ones((rows, assets), bool),
        estimation=simulation,
        estimation_rows=np.arange(rows),
        delisted_row=np.full(assets, rows),
        member=np.ones((rows, assets), bool),
        benchmark=np.zeros(0, np.int64),
        risk_free=np.zeros(rows),
        periods=252,
        digest="",
    )


@pytest.fixture(scope="module")
def windows() -> Windows:
    start = np.arange(TRAIN, ROWS - 1, TEST)
    return Windows(start - TRAIN, start, start, np.minimum(start + TEST, ROWS - 1))


@pytest.fixture(scope="module")
def weights(windows: Windows) -> Float:
    return np.random.default_rng(7).dirichlet(np.ones(8), len(windows))


def bt_wealth(
    prices: pd.DataFrame, weights: Float, windows: Windows, rule: Rule, cost_bps: float = 0.0
) -> tuple[Float, Float]:
    """Return bt's wealth (T' + 1,), from the first decision row on, and its weights on those rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # bt's own, of the pandas and matplotlib it meets
        import bt

        rows = prices.index[1:]
        decided = rows[windows.decision]
        held = prices.loc[decided[0] :]
        targets = pd.DataFrame(weights, index=decided, columns=prices.columns)
        if rule == "daily":
            targets = targets.reindex(held.index, method="ffill")
        algos = [bt.algos.WeighTarget(targets), bt.algos.Rebalance()]
        strategy = bt.Strategy("drift", [bt.algos.RunOnDate(*targets.index), *algos])
        test = bt.Backtest(
            strategy,
            held,
            initial_capital=CAPITAL,
            integer_positions=False,
            progress_bar=False,
            commissions=lambda shares, price: abs(shares) * price * cost_bps / 1e4,
        )
        test.run()
        return (
            test.strategy.values.loc[decided[0] :].to_numpy() / CAPITAL,
            test.security_weights.loc[decided[0] :, list(prices.columns)].to_numpy(),
        )


@pytest.mark.parametrize("rule", ["window", "daily"])
def test_wealth_and_drifted_weights_are_those_of_bt(
    prices: pd.DataFrame, returns: Returns, windows: Windows, weights: Float, rule: Rule
) -> None:
    wealth, held = bt_wealth(prices, weights, windows, rule)
    path = simulate(weights, windows, returns, rule)
    ours = np.multiply.accumulate(1.0 + path.gross)
    np.testing.assert_allclose(ours, wealth[1:], rtol=1e-11)
    # bt shows weights after the trade at a close, we before: the same on rows without a trade.
    quiet = np.ones(len(ours), bool)
    quiet[(windows.test_stop - 1 - path.start)[:-1]] = False
    drifted = positions(weights, windows, returns, rule)
    if rule == "window":
        np.testing.assert_allclose(drifted[quiet], held[1:][quiet], atol=1e-11)


def test_costs_take_from_wealth_what_those_of_bt_take(
    prices: pd.DataFrame, returns: Returns, windows: Windows, weights: Float
) -> None:
    """To 1 %: bt pays a trade out of the asset traded, we out of everything held (weights stay on target)."""
    free, _ = bt_wealth(prices, weights, windows, "window")
    wealth, _ = bt_wealth(prices, weights, windows, "window", 10.0)
    path = simulate(weights, windows, returns, "window")
    net = np.multiply.accumulate(1.0 + net_returns(path, 7.5, 2.5, 0.0, 252))
    lost = free[-1] - wealth[-1]
    assert lost > 0.02
    np.testing.assert_allclose(free[-1] - net[-1], lost, rtol=0.01)

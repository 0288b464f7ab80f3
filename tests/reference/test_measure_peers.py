"""Metrics and DSR against skfolio and ffn on real prices, where the definitions are the same.

PBO is checked against a loop of our own (tests/unit/test_aggregate_overfitting.py): ffn's, whose answer is the same,
takes a quarter of a minute.
"""

from __future__ import annotations

import gzip
import importlib.resources

import ffn
import numpy as np
import pandas as pd
import pytest
import skfolio.measures as peer

from backsweep.aggregate.deflated_sharpe import expected_maximum
from backsweep.arrays import Float
from backsweep.measure.metrics import measure
from backsweep.measure.probabilistic_sharpe import probabilistic_sharpe

PERIODS = 252


@pytest.fixture(scope="module")
def returns() -> pd.DataFrame:
    file = importlib.resources.files("skfolio.datasets") / "data" / "sp500_dataset.csv.gz"
    with file.open("rb") as packed, gzip.open(packed) as text:
        prices = pd.read_csv(text, index_col=0, parse_dates=True)
    return prices.pct_change().iloc[1:]


@pytest.fixture(scope="module")
def metrics(returns: pd.DataFrame) -> dict[str, Float]:
    net = np.ascontiguousarray(returns.to_numpy().T)
    return measure(net, net, np.zeros_like(net), PERIODS, np.zeros(net.shape[1])).metrics


def test_moments_and_cvar_are_those_of_skfolio(returns: pd.DataFrame, metrics: dict[str, Float]) -> None:
    rows = returns.to_numpy()
    np.testing.assert_allclose(metrics["skew"], peer.skew(rows), rtol=1e-10)
    np.testing.assert_allclose(metrics["kurtosis"], peer.kurtosis(rows), rtol=1e-10)
    np.testing.assert_allclose(metrics["cvar_95"], -peer.cvar(rows, beta=0.95), rtol=1e-10)
    np.testing.assert_allclose(metrics["volatility"], peer.standard_deviation(rows) * PERIODS**0.5, rtol=1e-12)


def test_drawdown_is_that_of_skfolio_on_compounded_wealth(returns: pd.DataFrame, metrics: dict[str, Float]) -> None:
    # skfolio's first peak is the first row's wealth, ours the start: a row of 0 in front makes them one.
    rows = np.vstack([np.zeros(returns.shape[1]), returns.to_numpy()])
    expected = [-peer.max_drawdown(peer.get_drawdowns(column, compounded=True)) for column in rows.T]
    np.testing.assert_allclose(metrics["max_drawdown"], expected, rtol=1e-10)


def test_sharpe_and_sortino_are_those_of_ffn(returns: pd.DataFrame, metrics: dict[str, Float]) -> None:
    for index, symbol in enumerate(returns):
        series = returns[symbol]
        assert metrics["sharpe"][index] == pytest.approx(ffn.calc_sharpe(series, nperiods=PERIODS), rel=1e-11)
        assert metrics["sortino"][index] == pytest.approx(ffn.calc_sortino_ratio(series, nperiods=PERIODS), rel=1e-11)


def test_dsr_is_that_of_ffn_but_for_its_unbiased_moments(returns: pd.DataFrame, metrics: dict[str, Float]) -> None:
    row_sharpe = metrics["sharpe"] / PERIODS**0.5
    best = int(np.argmax(row_sharpe))
    benchmark = expected_maximum(len(row_sharpe), float(row_sharpe.var(ddof=1)))
    series = returns.iloc[:, best]
    found = probabilistic_sharpe(
        row_sharpe[[best]],
        len(series),
        np.array([series.skew()]),
        np.array([series.kurt()]) + 3.0,
        benchmark,
    )
    expected = ffn.core.calc_deflated_sharpe_ratio(series, metrics["sharpe"], nperiods=PERIODS)
    assert found[0] == pytest.approx(expected, rel=1e-12)
    ours = probabilistic_sharpe(row_sharpe, len(series), metrics["skew"], metrics["kurtosis"], benchmark)[best]
    assert ours == pytest.approx(expected, abs=1e-4)

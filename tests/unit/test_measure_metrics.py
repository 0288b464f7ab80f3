"""The metrics, each against the slow and obvious way to compute it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from backsweep.arrays import Float, read_only
from backsweep.errors import InvariantError
from backsweep.measure.metrics import METRIC_NAMES, measure
from backsweep.measure.probabilistic_sharpe import probabilistic_sharpe

PERIODS = 252.0


def batch(count: int, rows: int, seed: int = 0) -> tuple[Float, Float, Float]:
    """Return net, gross and traded of random series with costs now and then."""
    generator = np.random.default_rng(seed)
    gross = generator.standard_t(4, size=(count, rows)) * 0.008 + 0.0004
    traded = np.where(generator.random((count, rows)) < 0.1, generator.random((count, rows)), 0.0)
    traded[:, 0] = 1.0
    return (1.0 + gross) * (1.0 - traded * 6e-4) - 1.0, gross, traded


def slow(net: Float, gross: Float, traded: Float, risk_free: Float) -> dict[str, float]:
    """Measure one series by loops over its rows, formula by formula from docs/numbers.md."""
    rows = len(net)
    wealth, peak, deepest, before_costs = 1.0, 1.0, 0.0, 1.0
    for row in range(rows):
        wealth *= 1.0 + net[row]
        peak = max(peak, wealth)
        deepest = min(deepest, wealth / peak - 1.0)
        before_costs *= 1.0 + gross[row]
    cagr = wealth ** (PERIODS / rows) - 1.0
    mean = math.fsum(net) / rows
    second, third, fourth = (math.fsum((r - mean) ** power for r in net) / rows for power in (2, 3, 4))
    excess = [r - f for r, f in zip(net, risk_free, strict=True)]
    lead = math.fsum(excess) / rows
    deviation = math.sqrt(math.fsum((e - lead) ** 2 for e in excess) / (rows - 1))
    shortfall = math.sqrt(math.fsum(min(e, 0.0) ** 2 for e in excess) / rows)
    left, worst = 0.05 * rows, 0.0
    for value in sorted(net):
        share = min(1.0, left)
        worst += share * value
        left -= share
        if left <= 0.0:
            break
    skew, kurtosis = third / second**1.5, fourth / second**2
    psr = probabilistic_sharpe(np.array([lead / deviation]), rows, np.array([skew]), np.array([kurtosis]))
    low, high = np.quantile(net, [0.05, 0.95])
    return {
        "total_return": wealth - 1.0,
        "cagr": cagr,
        "volatility": math.sqrt(second * rows / (rows - 1) * PERIODS),
        "sharpe": lead / deviation * math.sqrt(PERIODS),
        "sortino": lead / shortfall * math.sqrt(PERIODS),
        "calmar": cagr / -deepest,
        "max_drawdown": deepest,
        "cvar_95": worst / (0.05 * rows),
        "skew": skew,
        "kurtosis": kurtosis,
        "omega": math.fsum(max(r, 0.0) for r in net) / math.fsum(max(-r, 0.0) for r in net),
        "tail_ratio": abs(high / low),
        "turnover": math.fsum(traded[1:]) / 2.0 * PERIODS / rows,
        "cost_drag": before_costs ** (PERIODS / rows) - 1.0 - cagr,
        "psr": float(psr[0]),
    }


@pytest.mark.parametrize("rows", [7, 19, 20, 21, 24, 61, 400, 401, 1003])
@pytest.mark.parametrize("rate", ["none", "constant", "varying"])
def test_every_metric_is_what_the_slow_loop_gives(rows: int, rate: str) -> None:
    net, gross, traded = batch(5, rows, seed=rows)
    varying = np.random.default_rng(9).random(rows) * 3e-4
    risk_free = {"none": np.zeros(rows), "constant": np.full(rows, 1e-4), "varying": varying}[rate]
    found = measure(read_only(net), read_only(gross), read_only(traded), PERIODS, read_only(risk_free))
    assert tuple(found.metrics) == METRIC_NAMES
    for index in range(len(net)):
        expected = slow(net[index], gross[index], traded[index], risk_free)
        for name in METRIC_NAMES:
            assert found.metrics[name][index] == pytest.approx(expected[name], rel=2e-11, abs=1e-15), name
    assert not found.ruined.any()


def test_a_series_measures_the_same_bytes_alone_and_in_any_batch() -> None:
    net, gross, traded = batch(37, 1507)
    risk_free = np.full(1507, 5e-5)
    together = measure(net, gross, traded, PERIODS, risk_free).metrics
    for part in (slice(0, 1), slice(3, 9), slice(30, 37)):
        alone = measure(net[part], gross[part], traded[part], PERIODS, risk_free).metrics
        for name in METRIC_NAMES:
            assert alone[name].tobytes() == together[name][part].tobytes(), name


def test_a_strided_batch_measures_the_same_bytes_as_its_copy() -> None:
    net, gross, traded = batch(6, 900)
    risk_free = np.zeros(600)
    first, second, third = (array[::2, 100:700] for array in (net, gross, traded))
    copied = measure(first.copy(), second.copy(), third.copy(), PERIODS, risk_free).metrics
    for name, values in measure(first, second, third, PERIODS, risk_free).metrics.items():
        assert values.tobytes() == copied[name].tobytes(), name


@pytest.mark.parametrize("level", [0.0, 0.001, 0.1, -0.001])
def test_a_series_without_variance_has_null_ratios_and_no_invented_ones(level: float) -> None:
    net = np.full((1, 333), level)
    found = measure(net, net, np.zeros_like(net), PERIODS, np.zeros(333)).metrics
    null = {name for name in METRIC_NAMES if np.isnan(found[name][0])}
    expected = {"volatility", "sharpe", "sortino", "skew", "kurtosis", "psr"}
    assert null == expected | (set() if level < 0 else {"calmar", "omega"}) | ({"tail_ratio"} if level == 0 else set())
    assert found["cagr"][0] == pytest.approx((1 + level) ** 252 - 1)


def test_holding_cash_at_a_varying_rate_has_no_sharpe_ratio_made_of_rounding() -> None:
    rate = np.random.default_rng(1).random(500) * 1e-4
    net = ((1.0 + rate) * (1.0 - 0.0) - 1.0)[None, :]
    assert (net[0] != rate).any()
    found = measure(net, net, np.zeros_like(net), PERIODS, rate).metrics
    assert np.isnan([found["sharpe"][0], found["sortino"][0], found["psr"][0]]).all()
    assert found["volatility"][0] > 0


def test_a_series_that_never_loses_has_no_omega_calmar_or_sortino_but_a_sharpe_ratio() -> None:
    net = np.abs(batch(1, 200)[0]) + 1e-6
    found = measure(net, net, np.zeros_like(net), PERIODS, np.zeros(200)).metrics
    assert np.isnan([found[name][0] for name in ("omega", "calmar", "sortino")]).all()
    assert found["max_drawdown"][0] == 0.0
    assert found["sharpe"][0] > 0


def test_a_day_of_minus_100_percent_is_ruin_with_the_metrics_that_remain() -> None:
    net = batch(2, 300)[0]
    net[0, 120], net[0, 121:] = -1.0, 0.0
    found = measure(net, net, np.zeros_like(net), PERIODS, np.zeros(300))
    assert found.ruined.tolist() == [True, False]
    assert [found.metrics[name][0] for name in ("total_return", "cagr", "max_drawdown", "calmar")] == [-1, -1, -1, -1]
    assert np.isfinite(found.metrics["sharpe"][0])


def test_debt_has_no_growth_rate_and_a_drawdown_under_minus_100_percent() -> None:
    net = np.zeros((1, 126))  # half a year: the square of a debt is not a wealth
    net[0, 3], net[0, 10] = 0.25, -1.5
    found = measure(net, net, np.zeros_like(net), PERIODS, np.zeros(126))
    assert found.ruined.tolist() == [True]
    assert found.metrics["total_return"][0] == 1.25 * -0.5 - 1.0
    assert found.metrics["max_drawdown"][0] == -1.5
    assert np.isnan([found.metrics[name][0] for name in ("cagr", "calmar", "cost_drag")]).all()


def test_the_start_counts_as_a_peak() -> None:
    net = np.array([[-0.1, 0.05, 0.01]])
    assert measure(net, net, net * 0, PERIODS, np.zeros(3)).metrics["max_drawdown"][0] == pytest.approx(-0.1)


def test_the_first_purchase_is_not_turnover_but_its_cost_is_a_drag() -> None:
    gross = np.full((1, 252), 0.001)
    traded = np.zeros((1, 252))
    traded[0, 0] = 1.0
    net = (1 + gross) * (1 - traded * 0.01) - 1
    found = measure(net, gross, traded, PERIODS, np.zeros(252)).metrics
    assert found["turnover"][0] == 0.0
    assert found["cost_drag"][0] == pytest.approx(1.001**252 * 0.01)


def test_one_row_has_a_return_and_no_variance() -> None:
    net = np.array([[0.02]])
    found = measure(net, net, net, PERIODS, np.zeros(1)).metrics
    assert found["total_return"][0] == pytest.approx(0.02)
    assert np.isnan([found["volatility"][0], found["sharpe"][0], found["psr"][0]]).all()


def test_no_series_give_no_metrics() -> None:
    none = np.zeros((0, 10))
    found = measure(none, none, none, PERIODS, np.zeros(10))
    assert {len(values) for values in found.metrics.values()} == {0}
    assert found.ruined.shape == (0,)


def test_arrays_that_do_not_fit_and_returns_that_are_not_finite_are_bugs() -> None:
    net = np.zeros((2, 5))
    with pytest.raises(InvariantError, match="differ"):
        measure(net, net, net[:1], PERIODS, np.zeros(5))
    with pytest.raises(InvariantError, match="no rows"):
        measure(net[:, :0], net[:, :0], net[:, :0], PERIODS, np.zeros(0))
    broken = net.copy()
    broken[1, 2] = np.nan
    with pytest.raises(InvariantError, match="series 1 "):
        measure(broken, net, net, PERIODS, np.zeros(5))

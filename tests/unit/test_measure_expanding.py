"""Expanding windows against measuring every prefix anew."""

from __future__ import annotations

import numpy as np
import pytest

from backsweep.arrays import Float
from backsweep.errors import InvariantError, NotBuiltError
from backsweep.measure import expanding as module
from backsweep.measure.expanding import Series, expanding
from backsweep.measure.metrics import METRIC_NAMES, measure

ROWS = 700
STOPS = np.array([1, 2, 3, 20, 21, 59, 60, 61, 100, 400, 401, 695])


def random_series(count: int = 5, seed: int = 0) -> Series:
    generator = np.random.default_rng(seed)
    gross = generator.standard_t(4, size=(count, ROWS)) * 0.01 + 0.0005
    traded = generator.random((count, ROWS))
    return Series((1 + gross) * (1 - 5e-4 * traded) - 1, gross, traded, 252.0, generator.random(ROWS) * 2e-4)


def prefixes(series: Series, metric: str) -> Float:
    """Measure the rows before each stop as if there were no others."""
    columns = [
        measure(
            series.net[:, :stop],
            series.gross[:, :stop],
            series.traded[:, :stop],
            series.periods,
            series.risk_free[:stop],
        ).metrics[metric]
        for stop in STOPS.tolist()
    ]
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("metric", METRIC_NAMES)
def test_each_stop_has_what_measuring_the_rows_before_it_gives(metric: str) -> None:
    series = random_series()
    np.testing.assert_allclose(expanding(series, STOPS, metric), prefixes(series, metric), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("metric", METRIC_NAMES)
def test_rows_at_or_after_a_stop_change_no_bit_before_it(metric: str) -> None:
    series = random_series()
    changed = Series(series.net.copy(), series.gross.copy(), series.traded.copy(), 252.0, series.risk_free)
    for array in (changed.net, changed.gross, changed.traded):
        array[:, 100:] = np.random.default_rng(5).random(array[:, 100:].shape)
    known = int(np.searchsorted(STOPS, 100, side="right"))
    before, after = expanding(series, STOPS, metric), expanding(changed, STOPS, metric)
    assert before[:, :known].tobytes() == after[:, :known].tobytes()
    assert not np.array_equal(before[:, known:], after[:, known:])


@pytest.mark.parametrize("metric", ["sharpe", "cvar_95", "max_drawdown"])
def test_packing_changes_no_bit(metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    series = random_series(9)
    together = expanding(series, STOPS, metric)
    monkeypatch.setattr(module, "BLOCK_BYTES", 1)
    monkeypatch.setattr(module, "TAIL_BLOCK_BYTES", 1)
    assert expanding(series, STOPS, metric).tobytes() == together.tobytes()


def test_flat_so_far_is_null_and_a_ruined_trial_is_null_from_then_on() -> None:
    net = random_series(2).net
    net[0, :100] = 0.0003
    net[1, 300], net[1, 301:] = -1.0, 0.0
    series = Series(net, net, np.zeros_like(net), 252.0, np.zeros(ROWS))
    for metric in ("sharpe", "sortino", "psr"):
        found = expanding(series, STOPS, metric)
        assert np.isnan(found[0, STOPS <= 100]).all()
        assert np.isfinite(found[0, STOPS > 100]).all()
    for metric in METRIC_NAMES:
        assert np.isnan(expanding(series, STOPS, metric)[1, STOPS > 300]).all()
    assert np.isfinite(expanding(series, STOPS, "total_return")[1, STOPS <= 300]).all()


def test_no_stops_give_no_columns() -> None:
    assert expanding(random_series(), STOPS[:0], "sharpe").shape == (5, 0)


def test_dsr_is_refused_and_disorder_is_a_bug() -> None:
    with pytest.raises(NotBuiltError, match="rank by psr"):
        expanding(random_series(), STOPS, "dsr")
    for stops in (np.array([0, 5]), np.array([5, 5]), np.array([5, ROWS + 1])):
        with pytest.raises(InvariantError, match="must increase"):
            expanding(random_series(), stops, "sharpe")
    with pytest.raises(InvariantError, match="'luck'"):
        expanding(random_series(), STOPS, "luck")

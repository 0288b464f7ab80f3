"""What must hold of the metrics of any series."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from backsweep.arrays import Float
from backsweep.measure.metrics import METRIC_NAMES, measure
from backsweep.measure.probabilistic_sharpe import probabilistic_sharpe
from backsweep.measure.slices import slice_statistics

# No price moves by less than 1e-12 of itself, and squares of 1e-160 are subnormal: they have no digits to compare.
MOVES = st.floats(-0.3, 0.4).map(lambda move: move if abs(move) > 1e-12 else 0.0)
RETURNS = st.integers(1, 90).flatmap(lambda rows: arrays(np.float64, (2, rows), elements=MOVES))


def metrics(net: Float, gross: Float | None = None) -> dict[str, Float]:
    return measure(net, net if gross is None else gross, np.zeros_like(net), 252.0, np.zeros(net.shape[1])).metrics


@given(RETURNS)
def test_metrics_keep_their_order_and_their_ranges(net: Float) -> None:
    found = metrics(net)
    assert (found["max_drawdown"] <= 0).all()
    assert (found["max_drawdown"] > -1).all()
    assert (found["total_return"] >= found["max_drawdown"] - 1e-12).all()
    assert (found["cvar_95"] <= net.mean(axis=1) + 1e-12).all()
    assert (found["cvar_95"] >= net.min(axis=1) - 1e-12).all()
    for name, low, high in (
        ("omega", 0, np.inf),
        ("kurtosis", 1 - 1e-9, np.inf),
        ("psr", 0, 1),
        ("tail_ratio", 0, np.inf),
    ):
        values = found[name][~np.isnan(found[name])]
        assert ((values >= low) & (values <= high)).all(), name
    defined = ~np.isnan(found["sharpe"])
    assert (np.sign(found["sharpe"][defined]) == np.sign(net.sum(axis=1)[defined])).all()


@given(RETURNS, st.sampled_from([0.25, 0.5, 2.0]))
def test_scaling_returns_scales_dispersion_and_leaves_ratios(net: Float, factor: float) -> None:
    # A power of two scales without rounding; a range near 1e-14 may change sides.
    if (np.ptp(net, axis=1) < 1e-10).any():
        return
    first, second = metrics(net), metrics(net * factor)
    for name in ("sharpe", "sortino", "skew", "kurtosis", "omega", "tail_ratio", "psr"):
        np.testing.assert_allclose(second[name], first[name], rtol=1e-12, err_msg=name)
    for name in ("volatility", "cvar_95"):
        np.testing.assert_allclose(second[name], first[name] * factor, rtol=1e-12, err_msg=name)


@given(RETURNS)
def test_costs_of_zero_drag_nothing(net: Float) -> None:
    found = metrics(net)
    np.testing.assert_allclose(found["cost_drag"], np.zeros(2), atol=1e-9 * (1 + np.abs(found["cagr"]).max()))
    assert (found["turnover"] == 0).all()


@given(RETURNS, st.integers(0, 2**31))
def test_metrics_without_memory_do_not_depend_on_the_order_of_the_rows(net: Float, seed: int) -> None:
    shuffled = net[:, np.random.default_rng(seed).permutation(net.shape[1])]
    first, second = metrics(net), metrics(shuffled)
    assert set(METRIC_NAMES) >= {"cvar_95", "tail_ratio"}
    for name in ("cvar_95", "tail_ratio"):
        assert first[name].tobytes() == second[name].tobytes()
    np.testing.assert_allclose(second["total_return"], first["total_return"], rtol=1e-9, atol=1e-12)


@given(
    arrays(np.float64, 5, elements=st.floats(-0.5, 0.5)),
    arrays(np.float64, 5, elements=st.floats(-3, 3)),
    st.floats(-0.2, 0.2),
)
def test_psr_falls_as_the_benchmark_rises(sharpe: Float, skew: Float, benchmark: float) -> None:
    kurtosis = skew**2 + 2.0  # the least a distribution of that skew can have is skew^2 + 1
    low = probabilistic_sharpe(sharpe, 100, skew, kurtosis, benchmark)
    high = probabilistic_sharpe(sharpe, 100, skew, kurtosis, benchmark + 0.1)
    assert (low >= high).all()


@given(arrays(np.float64, (2, 53), elements=st.floats(-0.5, 0.5)))
def test_slices_add_up_to_the_rows_they_cover(net: Float) -> None:
    found = slice_statistics(net, np.zeros(53)).sum(axis=1)
    assert (found[:, 0] == 48).all()
    np.testing.assert_allclose(found[:, 1], net[:, 5:].sum(axis=1), atol=1e-12)
    np.testing.assert_allclose(found[:, 2], (net[:, 5:] ** 2).sum(axis=1), atol=1e-12)

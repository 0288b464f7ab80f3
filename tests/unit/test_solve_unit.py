"""A run solved for many profiles together gives each what it gets alone; windows differ in assets and length."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from backsweep.arrays import Returns, Windows
from backsweep.plan.windows import WalkForward, make_windows
from backsweep.solve.unit import solve_run
from backsweep.sources.loading import load
from backsweep.sweep.work import no_timer
from backsweep.units import Estimator, Solve
from backsweep_api.options import profile_options

ALL = np.arange(20)
PROFILES = [
    "inverse_volatility",
    "min_variance",
    "max_diversification",
    "risk_parity",
    "hrp",
    "herc",
    "nco",
    "min_cvar",
    "barbell",
]


@pytest.fixture(scope="module")
def returns() -> Returns:
    return load({"name": "sp500-20", "start": "2012-01-03", "end": "2016-12-30"}, Path()).returns


def windows_of(returns: Returns, *, anchored: bool = False) -> Windows:
    return make_windows(returns, 126, 126, WalkForward(20, 20, 0, anchored=anchored, keep_partial=False))


def solve_of(profile: str, columns: np.ndarray = ALL, covariance: str = "sample", **constraints: float) -> Solve:
    name, parameters = profile_options({"profile": profile})
    limits = constraints or None
    needed = None if name in {"equal_weight", "min_cvar"} else Estimator(covariance)
    return Solve(name, parameters, needed, None, limits, columns)


def test_profiles_solved_together_get_the_bytes_they_get_alone(returns: Returns) -> None:
    windows = windows_of(returns)
    solves = [solve_of(profile) for profile in PROFILES] + [solve_of("hrp", covariance="oas")]
    together = solve_run(solves, windows, returns, no_timer)
    backwards = solve_run(solves[::-1], windows, returns, no_timer)[::-1]
    for solve, first, second in zip(solves, together, backwards, strict=True):
        (alone,) = solve_run([solve], windows, returns, no_timer)
        assert first.values.tobytes() == alone.values.tobytes() == second.values.tobytes(), solve.profile


@pytest.mark.parametrize("profile", PROFILES)
def test_a_window_sees_only_its_own_training_rows(returns: Returns, profile: str) -> None:
    windows = windows_of(returns)
    (whole,) = solve_run([solve_of(profile)], windows, returns, no_timer)
    changed = returns.estimation.copy()
    changed[int(windows.train_stop[10]) :] = 0.5
    other = replaced(returns, changed)
    (after,) = solve_run([solve_of(profile)], windows, other, no_timer)
    np.testing.assert_allclose(after.values[:11], whole.values[:11], rtol=0, atol=1e-12)


def test_an_asset_takes_part_only_where_its_training_rows_are_complete(returns: Returns) -> None:
    windows = windows_of(returns)
    missing = returns.estimation.copy()
    missing[300, 4] = np.nan
    (found,) = solve_run([solve_of("risk_parity")], windows, replaced(returns, missing), no_timer)
    touched = (windows.train_start <= 300) & (windows.train_stop > 300)
    assert touched.any()
    assert (found.values[touched, 4] == 0).all()
    assert (found.values[~touched, 4] > 0).all()
    np.testing.assert_allclose(found.values.sum(axis=1), 1.0, atol=1e-12)


def test_an_anchored_window_is_estimated_on_all_rows_since_the_first(returns: Returns) -> None:
    windows = windows_of(returns, anchored=True)
    (found,) = solve_run([solve_of("inverse_volatility")], windows, returns, no_timer)
    stop = int(windows.train_stop[30])
    inverse = 1 / returns.estimation[int(windows.train_start[0]) : stop].std(axis=0, ddof=1)
    np.testing.assert_allclose(found.values[30], inverse / inverse.sum(), rtol=1e-12)


def test_a_turnover_limit_binds_every_window_to_the_one_before(returns: Returns) -> None:
    windows = windows_of(returns)
    limited = solve_of("min_variance", turnoverLimit=0.05)
    (found,) = solve_run([limited], windows, returns, no_timer)
    (free,) = solve_run([solve_of("min_variance")], windows, returns, no_timer)
    moved = np.abs(np.diff(found.values, axis=0)).sum(axis=1) / 2
    assert moved.max() <= 0.05 + 1e-9
    assert (np.abs(np.diff(free.values, axis=0)).sum(axis=1) / 2).max() > 0.05


def test_a_universe_of_some_columns_is_solved_as_if_the_others_were_not_there(returns: Returns) -> None:
    columns = np.array([1, 3, 8, 11])
    (found,) = solve_run([solve_of("min_variance", columns)], windows_of(returns), returns, no_timer)
    assert found.values.shape[1] == 4
    np.testing.assert_allclose(found.values.sum(axis=1), 1.0, atol=1e-12)


def test_a_window_without_assets_fails_with_its_reason(returns: Returns) -> None:
    nothing = np.full_like(returns.estimation, np.nan)
    (found,) = solve_run([solve_of("hrp")], windows_of(returns), replaced(returns, nothing), no_timer)
    assert set(found.failures) == set(range(len(windows_of(returns))))
    assert "no asset takes part" in found.failures[0]


def with_benchmark(returns: Returns, gap: int | None = None) -> Returns:
    """Return the set with its last column as the benchmark, without a return on row `gap`."""
    rows = returns.estimation.copy()
    if gap is not None:
        rows[gap, 19] = np.nan
    return dataclasses.replace(returns, estimation=rows, benchmark=np.array([19]))


BETA = {"minWeight": -0.5, "maxWeight": 0.5, "net": 0, "gross": 1.5, "beta": {"tolerance": 0.02}}


def test_a_market_neutral_portfolio_has_no_beta_and_no_net_weight(returns: Returns) -> None:
    windows = windows_of(returns)
    solve = Solve("max_diversification", {}, Estimator("sample"), None, BETA, np.arange(19))
    found = solve_run([solve], windows, with_benchmark(returns), no_timer)[0]
    assert not found.failures
    for window in (0, 20, 40):
        rows = returns.estimation[int(windows.train_start[window]) : int(windows.train_stop[window])]
        betas = np.cov(rows, rowvar=False)[:19, 19] / rows[:, 19].var(ddof=1)
        assert abs(found.values[window] @ betas) <= 0.02 + 1e-9
        assert abs(found.values[window].sum()) < 1e-9
        assert np.abs(found.values[window]).sum() > 0.5


def test_a_beta_that_is_not_known_fails_its_window_and_no_other(returns: Returns) -> None:
    windows = windows_of(returns)
    solve = Solve("max_diversification", {}, Estimator("sample"), None, BETA, np.arange(19))
    found = solve_run([solve], windows, with_benchmark(returns, gap=400), no_timer)[0]
    touched = np.flatnonzero((windows.train_start <= 400) & (windows.train_stop > 400))
    assert set(found.failures) == set(touched.tolist())
    assert "there is no beta" in found.failures[int(touched[0])]


@pytest.mark.parametrize("profile", ["equal_weight", "min_cvar"])
def test_the_empty_portfolio_is_a_named_failure_not_an_answer(returns: Returns, profile: str) -> None:
    found = solve_run([solve_of(profile, minWeight=-0.5, net=0)], windows_of(returns), returns, no_timer)[0]
    assert set(found.failures.values()) == {"net 0 leaves this profile the empty portfolio alone"}


def replaced(returns: Returns, estimation: np.ndarray) -> Returns:
    return dataclasses.replace(returns, estimation=estimation)

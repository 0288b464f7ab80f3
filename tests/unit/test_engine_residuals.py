"""The residual by which engines are compared: nothing at native's optimum, more the further a portfolio is away."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backsweep.solve.problem import Problem
from backsweep.solve.profiles import kernel_of
from backsweep.solve.residuals import RESIDUALS, residual


def problem_of(seed: int, windows: int = 3, assets: int = 6, scale: float = 0.01) -> Problem:
    """Return windows of returns with one common factor, and their sample moments."""
    draw = np.random.default_rng(seed)
    market = draw.normal(0.05, 1, (windows, 80, 1))
    returns = scale * (market + draw.normal(0.05, 1, (windows, 80, assets)) * draw.uniform(0.5, 2, assets))
    centred = returns - returns.mean(axis=1, keepdims=True)
    covariance = np.swapaxes(centred, 1, 2) @ centred / 79
    parameters = {"confidence": 0.95}
    return Problem(covariance, returns.mean(axis=1), returns, np.full(windows, scale / 100), parameters)


@pytest.mark.parametrize("profile", RESIDUALS)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_native_is_at_its_optimum_and_any_other_portfolio_is_not(profile: str, seed: int) -> None:
    problem = problem_of(seed)
    native = kernel_of(profile, {})(problem)
    ours = residual(profile, problem, native.weights)
    found = np.array([row for row in range(3) if row not in native.failures], dtype=int)
    np.testing.assert_allclose(ours[found], 0.0, atol=1e-10)
    moved = 0.99 * native.weights + 0.01 * np.roll(native.weights, 1, axis=1)
    theirs = residual(profile, problem, moved)
    assert (theirs[found] > 1e-7).all() or np.allclose(moved[found], native.weights[found], atol=1e-6)


@pytest.mark.parametrize("profile", RESIDUALS)
def test_it_does_not_change_with_the_unit_of_returns(profile: str) -> None:
    weights = np.array([[0.5, 0.3, 0.2, 0.0, 0.0, 0.0]] * 3)
    small = residual(profile, problem_of(5), weights)
    large = residual(profile, problem_of(5, scale=1.0), weights)
    np.testing.assert_allclose(small, large, rtol=1e-6)


@pytest.mark.parametrize("profile", RESIDUALS)
def test_breaking_the_budget_or_going_short_shows(profile: str) -> None:
    problem = problem_of(9)
    native = kernel_of(profile, {})(problem).weights
    assert (residual(profile, problem, 1.01 * native) >= 0.0099).all()
    short = native.copy()
    short[:, 0] -= native[:, 0] + 0.01
    short[:, 1] += native[:, 0] + 0.01
    assert (residual(profile, problem, short) >= 0.0099).all()


def test_there_is_none_for_recipes_failed_windows_and_assets_without_variance() -> None:
    problem = problem_of(3)
    weights = np.full((3, 6), 1 / 6)
    assert np.isnan(residual("hrp", problem, weights)).all()
    weights[1] = np.nan
    for profile in RESIDUALS:
        assert np.isnan(residual(profile, problem, weights)).tolist() == [False, True, False]
    assert problem.covariance is not None
    problem.covariance[2, 0] = problem.covariance[2, :, 0] = 0.0
    assert np.isnan(residual("min_variance", problem, weights)).tolist() == [False, True, True]

"""The certificates of the benchmark: zero at known optima, above zero beside them, free of scale."""

from __future__ import annotations

import numpy as np
import pytest
from tests.benchmarks.certificates import (
    conditional_value_at_risk,
    cvar_gap,
    quadratic_residual,
    risk_contribution_residual,
)

DIAGONAL = np.diag([1.0, 4.0, 16.0]) * 1e-4
LEAST_VARIANCE = np.array([16.0, 4.0, 1.0]) / 21.0
MOVED = LEAST_VARIANCE + np.array([1e-6, -1e-6, 0.0])


def test_the_least_variance_of_a_diagonal_covariance_is_inverse_variance() -> None:
    assert quadratic_residual(DIAGONAL, np.ones(3), LEAST_VARIANCE) < 1e-15


def test_an_asset_at_its_bound_of_zero_passes_when_its_slack_is_positive() -> None:
    covariance = np.array([[1.0, 3.0], [3.0, 16.0]])
    assert quadratic_residual(covariance, np.ones(2), np.array([1.0, 0.0])) < 1e-15
    assert quadratic_residual(covariance, np.ones(2), np.array([0.0, 1.0])) > 0.1


def test_moving_a_weight_by_a_millionth_shows() -> None:
    assert 1e-7 < quadratic_residual(DIAGONAL, np.ones(3), MOVED) < 1e-4


def test_weights_that_do_not_sum_to_one_show() -> None:
    assert quadratic_residual(DIAGONAL, np.ones(3), LEAST_VARIANCE * 1.01) == pytest.approx(0.01)


def test_a_portfolio_without_expected_return_has_no_sharpe_optimum() -> None:
    assert quadratic_residual(DIAGONAL, -np.ones(3), LEAST_VARIANCE) == float("inf")


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_residual_does_not_know_the_unit_of_returns(scale: float) -> None:
    linear = np.array([3.0, 1.0, 2.0])
    plain = quadratic_residual(DIAGONAL, linear, MOVED)
    assert quadratic_residual(DIAGONAL * scale**2, linear * scale, MOVED) == pytest.approx(plain, rel=1e-9)


def test_equal_risk_of_a_diagonal_covariance_is_inverse_volatility() -> None:
    assert risk_contribution_residual(DIAGONAL, np.array([4.0, 2.0, 1.0]) / 7.0) < 1e-14
    assert risk_contribution_residual(DIAGONAL, MOVED) > 0.1


def test_the_tail_counts_its_last_loss_in_part() -> None:
    losses = np.arange(1.0, 31.0)  # 5 % of 30 rows is one loss and a half
    assert conditional_value_at_risk(losses, 0.95) == pytest.approx((30 + 0.5 * 29) / 1.5)


def test_the_least_cvar_of_one_dominant_asset_is_that_asset() -> None:
    generator = np.random.default_rng(7)
    returns = generator.normal(0, 0.02, (60, 3))
    returns[:, 1] = np.abs(returns[:, 1]) + 0.1  # never loses
    alone = np.array([0.0, 1.0, 0.0])
    assert cvar_gap(returns, np.array([0.0, 1.0, 0.0]), 0.95) < 1e-12
    assert cvar_gap(returns, 0.99 * alone + 0.01 / 3, 0.95) > 1e-3


def test_the_gap_does_not_know_the_unit_of_returns() -> None:
    returns = np.random.default_rng(8).normal(0, 0.02, (60, 3))
    equal = np.full(3, 1 / 3)
    assert cvar_gap(returns * 1e-2, equal, 0.95) == pytest.approx(cvar_gap(returns, equal, 0.95), rel=1e-6)

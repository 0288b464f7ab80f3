from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backsweep.arrays import Float
from backsweep.errors import InvariantError
from backsweep.solve import risk_parity
from backsweep.solve.problem import Constraints, Problem


def _factor_covariances(windows: int, assets: int, rows: int) -> Float:
    generator = np.random.default_rng(7)
    market = generator.normal(0.0, 0.01, (windows, rows, 1)) * generator.uniform(0.5, 1.5, assets)
    returns = market + generator.normal(0.0, 0.015, (windows, rows, assets))
    centred = returns - returns.mean(axis=1, keepdims=True)
    return np.asarray(centred.transpose(0, 2, 1) @ centred / (rows - 1))


def _contributions(covariance: Float, weights: Float) -> Float:
    part = weights * (covariance @ weights[:, :, None])[:, :, 0]
    return np.asarray(part / part.sum(axis=1, keepdims=True))


def test_two_assets_get_one_over_their_volatility_whatever_the_correlation() -> None:
    for correlation in (-0.9, 0.0, 0.5, 0.99, 1.0):
        covariance = np.array([[[0.04, 0.02 * correlation], [0.02 * correlation, 0.01]]])
        weights = risk_parity.solve(Problem(covariance=covariance)).weights
        np.testing.assert_allclose(weights, [[1 / 3, 2 / 3]], rtol=1e-14)


def test_equal_correlations_give_one_over_the_volatility() -> None:
    volatility = np.array([0.1, 0.2, 0.3, 0.4])
    correlation = np.full((4, 4), 0.3) + 0.7 * np.eye(4)
    covariance = (correlation * np.outer(volatility, volatility))[None]
    expected = (1 / volatility) / (1 / volatility).sum()
    np.testing.assert_allclose(risk_parity.solve(Problem(covariance=covariance)).weights[0], expected, rtol=1e-14)


@pytest.mark.parametrize(("assets", "rows"), [(1, 60), (20, 252), (20, 15), (100, 60)])
def test_every_asset_contributes_the_same_to_rounding(assets: int, rows: int) -> None:
    covariance = _factor_covariances(12, assets, rows)
    solution = risk_parity.solve(Problem(covariance=covariance))
    assert not solution.failures
    assert (solution.weights > 0.0).all()
    np.testing.assert_allclose(solution.weights.sum(axis=1), 1.0, rtol=1e-14)
    np.testing.assert_allclose(_contributions(covariance, solution.weights), 1 / assets, rtol=1e-13)
    assert (solution.certificate <= 1e-13).all()


def test_the_certificate_is_the_largest_deviation_of_the_contributions() -> None:
    covariance = _factor_covariances(3, 6, 40)
    solution = risk_parity.solve(Problem(covariance=covariance))
    expected = np.abs(6 * _contributions(covariance, solution.weights) - 1.0).max(axis=1)
    np.testing.assert_allclose(solution.certificate, expected, atol=1e-14)


def test_identical_assets_share_equally() -> None:
    covariance = _factor_covariances(4, 5, 60)
    index = [0, 1, 2, 3, 4, 2]
    doubled = covariance[:, index][:, :, index]
    weights = risk_parity.solve(Problem(covariance=doubled)).weights
    np.testing.assert_allclose(weights[:, 2], weights[:, 5], rtol=1e-12)


def test_mostly_negative_correlations_are_solved_too() -> None:
    correlation = np.full((10, 10), -0.11) + 1.11 * np.eye(10)
    solution = risk_parity.solve(Problem(covariance=correlation[None]))
    np.testing.assert_allclose(solution.weights, 0.1, rtol=1e-12)
    alternating = np.where(np.add.outer(range(6), range(6)) % 2, -0.95, 0.95) + 0.05 * np.eye(6)
    volatility = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    assert not risk_parity.solve(Problem(covariance=(alternating * np.outer(volatility, volatility))[None])).failures


def test_more_unrelated_assets_than_rows_need_the_damped_step_and_stay_positive() -> None:
    generator = np.random.default_rng(0)
    returns = generator.normal(0.0, 1.0, (60, 15, 20))
    centred = returns - returns.mean(axis=1, keepdims=True)
    solution = risk_parity.solve(Problem(covariance=centred.transpose(0, 2, 1) @ centred / 14))
    assert not solution.failures
    assert (solution.weights > 0.0).all()
    assert (solution.certificate <= 1e-10).all()


def test_a_window_without_equal_contributions_fails_with_its_reason_and_leaves_the_others() -> None:
    opposite = np.array([[0.01, -0.02], [-0.02, 0.04]])
    flat = np.diag([0.01, 0.0])
    good = np.diag([0.01, 0.01])
    solution = risk_parity.solve(Problem(covariance=np.stack([opposite, flat, good])))
    assert "without variance" in solution.failures[0]
    assert "variance is zero" in solution.failures[1]
    assert set(solution.failures) == {0, 1}
    assert np.isnan(solution.weights[:2]).all()
    assert np.isnan(solution.certificate[:2]).all()
    np.testing.assert_allclose(solution.weights[2], [0.5, 0.5], rtol=1e-14)


def test_a_window_does_not_depend_on_its_neighbours() -> None:
    covariance = _factor_covariances(9, 8, 30)
    together = risk_parity.solve(Problem(covariance=covariance)).weights
    alone = np.concatenate([risk_parity.solve(Problem(covariance=one[None])).weights for one in covariance])
    np.testing.assert_allclose(together, alone, rtol=1e-12)


def test_constraints_project_the_answer_and_the_certificate_says_how_well() -> None:
    bounds = Constraints(
        lower=np.zeros(3),
        upper=np.full(3, 0.4),
        net=1.0,
        gross=None,
        groups=np.zeros((0, 3)),
        group_lower=np.zeros(0),
        group_upper=np.zeros(0),
        beta_tolerance=None,
        turnover_limit=None,
    )
    problem = Problem(covariance=np.diag([1.0, 9.0, 9.0])[None])
    np.testing.assert_allclose(risk_parity.solve(problem).weights, [[0.6, 0.2, 0.2]], rtol=1e-14)
    solution = risk_parity.solve(replace(problem, constraints=bounds))
    np.testing.assert_allclose(solution.weights, [[0.4, 0.3, 0.3]], atol=1e-12)
    assert solution.certificate[0] <= 1e-10


def test_a_missing_covariance_is_refused() -> None:
    with pytest.raises(InvariantError, match="covariance"):
        risk_parity.solve(Problem())

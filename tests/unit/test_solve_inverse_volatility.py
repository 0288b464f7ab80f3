from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backsweep.errors import InvariantError
from backsweep.solve import inverse_volatility
from backsweep.solve.problem import Constraints, Problem


def test_weights_are_in_proportion_to_one_over_the_volatility() -> None:
    covariance = np.array([[[0.04, 0.01], [0.01, 0.01]], [[1.0, -0.5], [-0.5, 9.0]]])
    solution = inverse_volatility.solve(Problem(covariance=covariance))
    np.testing.assert_allclose(solution.weights, [[1 / 3, 2 / 3], [0.75, 0.25]], rtol=1e-15)
    assert np.isnan(solution.certificate).all()


def test_an_asset_without_variance_fails_its_window_only() -> None:
    covariance = np.stack([np.diag([0.04, 0.0]), np.diag([0.04, 0.04])])
    solution = inverse_volatility.solve(Problem(covariance=covariance))
    assert np.isnan(solution.weights[0]).all()
    assert set(solution.failures) == {0}
    assert "variance is zero" in solution.failures[0]
    np.testing.assert_array_equal(solution.weights[1], [0.5, 0.5])


def test_rounding_left_by_a_constant_return_counts_as_no_variance() -> None:
    solution = inverse_volatility.solve(Problem(covariance=np.diag([0.04, 1e-36])[None]))
    assert set(solution.failures) == {0}


def test_one_asset_gets_everything_even_without_variance() -> None:
    solution = inverse_volatility.solve(Problem(covariance=np.array([[[0.0]], [[0.01]]])))
    np.testing.assert_array_equal(solution.weights, [[1.0], [1.0]])


def test_a_missing_covariance_is_refused() -> None:
    with pytest.raises(InvariantError, match="covariance"):
        inverse_volatility.solve(Problem())


def test_a_failed_window_stays_failed_with_its_reason_under_constraints() -> None:
    bounds = Constraints(
        lower=np.zeros(2),
        upper=np.full(2, 0.6),
        net=1.0,
        gross=None,
        groups=np.zeros((0, 2)),
        group_lower=np.zeros(0),
        group_upper=np.zeros(0),
        beta_tolerance=None,
        turnover_limit=None,
    )
    problem = Problem(covariance=np.stack([np.diag([0.04, 0.0]), np.diag([0.04, 0.0025])]))
    solution = inverse_volatility.solve(replace(problem, constraints=bounds))
    assert "variance is zero" in solution.failures[0]
    assert np.isnan(solution.weights[0]).all()
    np.testing.assert_allclose(solution.weights[1], [0.4, 0.6], atol=1e-12)

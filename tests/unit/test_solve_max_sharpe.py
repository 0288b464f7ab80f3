from __future__ import annotations

import numpy as np
import pytest

from backsweep.errors import InvariantError
from backsweep.solve import max_sharpe
from backsweep.solve.problem import Problem


def test_uncorrelated_assets_are_weighted_by_excess_over_variance() -> None:
    problem = Problem(
        covariance=np.diag([1.0, 4.0, 1.0])[None],
        mean=np.array([[0.03, 0.05, 0.005]]),
        risk_free=np.array([0.01]),
    )
    solution = max_sharpe.solve(problem)
    np.testing.assert_allclose(solution.weights, [[2 / 3, 1 / 3, 0.0]], rtol=1e-13)
    assert solution.certificate[0] <= 1e-13


def test_no_random_portfolio_has_a_higher_ratio() -> None:
    random = np.random.default_rng(4)
    returns = random.normal(0.0005, 0.01, size=(200, 8))
    covariance, mean = np.cov(returns.T), returns.mean(axis=0)
    weights = max_sharpe.solve(Problem(covariance=covariance[None], mean=mean[None], risk_free=np.zeros(1))).weights[0]
    others = np.concatenate((random.dirichlet(np.full(8, 0.3), size=20_000), 0.99 * weights + 0.01 * np.eye(8)))

    def ratio(w: np.ndarray) -> np.ndarray:
        return np.asarray((w @ mean) / np.sqrt(np.einsum("ki,ij,kj->k", w, covariance, w)))

    assert ratio(others).max() <= ratio(weights[None])[0] * (1 + 1e-12)


def test_no_positive_excess_is_a_named_failure_of_that_window_alone() -> None:
    problem = Problem(
        covariance=np.stack([np.eye(2)] * 2),
        mean=np.array([[0.01, 0.02], [0.01, 0.03]]),
        risk_free=np.array([0.02, 0.02]),
    )
    solution = max_sharpe.solve(problem)
    assert solution.failures == {0: "max_sharpe is undefined: no asset has a positive expected excess return"}
    assert np.isnan(solution.weights[0]).all()
    assert np.isnan(solution.certificate[0])
    np.testing.assert_allclose(solution.weights[1], [0.0, 1.0])


def test_a_constant_asset_gets_nothing_unless_it_pays() -> None:
    covariance = np.zeros((2, 2, 2))
    covariance[:, 1, 1] = 0.01
    problem = Problem(covariance=covariance, mean=np.array([[0.0, 0.1], [0.1, 0.1]]), risk_free=np.zeros(2))
    solution = max_sharpe.solve(problem)
    np.testing.assert_array_equal(solution.weights[0], [0.0, 1.0])
    assert "without variance" in solution.failures[1]


def test_a_riskless_combination_that_pays_is_a_named_failure() -> None:
    covariance = np.array([[[1.0, -1.0], [-1.0, 1.0]]])
    solution = max_sharpe.solve(Problem(covariance=covariance, mean=np.full((1, 2), 0.01), risk_free=np.zeros(1)))
    assert "without variance" in solution.failures[0]


def test_one_asset_has_all_the_weight() -> None:
    problem = Problem(covariance=np.full((1, 1, 1), 0.01), mean=np.full((1, 1), 0.01), risk_free=np.zeros(1))
    assert max_sharpe.solve(problem).weights.tolist() == [[1.0]]


def test_a_missing_input_is_a_bug_of_ours() -> None:
    with pytest.raises(InvariantError, match="riskless"):
        max_sharpe.solve(Problem(covariance=np.eye(2)[None], mean=np.ones((1, 2))))

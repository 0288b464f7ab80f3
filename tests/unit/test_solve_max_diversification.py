from __future__ import annotations

import numpy as np
import pytest

from backsweep.errors import InvariantError
from backsweep.solve import max_diversification
from backsweep.solve.problem import Problem


def test_uncorrelated_assets_are_weighted_by_inverse_volatility() -> None:
    solution = max_diversification.solve(Problem(covariance=np.diag([1.0, 4.0, 16.0])[None]))
    np.testing.assert_allclose(solution.weights, [[4 / 7, 2 / 7, 1 / 7]], rtol=1e-14)


def test_every_asset_held_is_equally_correlated_with_the_portfolio_and_the_rest_more() -> None:
    # Choueifaty and Coignard's property of the most diversified portfolio
    covariance = np.cov(np.random.default_rng(5).normal(size=(60, 10)).T + np.linspace(0, 1, 60))
    weights = max_diversification.solve(Problem(covariance=covariance[None])).weights[0]
    correlation = covariance @ weights / np.sqrt(np.diag(covariance) * (weights @ covariance @ weights))
    held = weights > 0
    assert held.sum() >= 2
    np.testing.assert_allclose(correlation[held], correlation.min(), rtol=1e-12)


def test_a_constant_asset_gets_nothing() -> None:
    covariance = np.diag([0.0, 1.0, 1.0])[None]
    np.testing.assert_allclose(max_diversification.solve(Problem(covariance=covariance)).weights, [[0.0, 0.5, 0.5]])


def test_only_constant_assets_are_a_named_failure() -> None:
    assert "constant" in max_diversification.solve(Problem(covariance=np.zeros((1, 2, 2)))).failures[0]


def test_a_perfect_hedge_is_a_named_failure() -> None:
    covariance = np.array([[[1.0, -1.0], [-1.0, 1.0]]])
    assert "without variance" in max_diversification.solve(Problem(covariance=covariance)).failures[0]


def test_one_asset_has_all_the_weight() -> None:
    assert max_diversification.solve(Problem(covariance=np.full((1, 1, 1), 0.01))).weights.tolist() == [[1.0]]


def test_a_missing_covariance_is_a_bug_of_ours() -> None:
    with pytest.raises(InvariantError, match="no covariance"):
        max_diversification.solve(Problem())

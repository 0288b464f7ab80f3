from __future__ import annotations

import numpy as np
import pytest

from backsweep.errors import InvariantError
from backsweep.solve import min_variance
from backsweep.solve.problem import Constraints, Problem


def constraints(assets: int, **changes: object) -> Constraints:
    none = np.zeros(0)
    values: dict[str, object] = {
        "lower": np.zeros(assets),
        "upper": np.ones(assets),
        "net": 1.0,
        "gross": None,
        "groups": np.zeros((0, assets)),
        "group_lower": none,
        "group_upper": none,
        "beta_tolerance": None,
        "turnover_limit": None,
    }
    return Constraints(**{**values, **changes})  # type: ignore[arg-type]


def test_uncorrelated_assets_are_weighted_by_inverse_variance() -> None:
    solution = min_variance.solve(Problem(covariance=np.diag([1.0, 4.0, 4.0])[None]))
    np.testing.assert_allclose(solution.weights, [[4 / 6, 1 / 6, 1 / 6]], rtol=1e-14)
    assert solution.certificate[0] <= 1e-14
    assert not solution.failures


def test_two_correlated_assets_have_the_textbook_weights() -> None:
    covariance = np.array([[0.04, 0.006], [0.006, 0.09]])
    # (s2^2 - s12) / (s1^2 + s2^2 - 2 s12)
    solution = min_variance.solve(Problem(covariance=covariance[None]))
    np.testing.assert_allclose(solution.weights[0, 0], (0.09 - 0.006) / (0.13 - 0.012), rtol=1e-14)


def test_one_asset_has_all_the_weight() -> None:
    assert min_variance.solve(Problem(covariance=np.full((2, 1, 1), 0.01))).weights.tolist() == [[1.0], [1.0]]


def test_assets_without_variance_share_all_the_weight() -> None:
    covariance = np.zeros((1, 4, 4))
    covariance[0, 2, 2] = covariance[0, 3, 3] = 0.01
    solution = min_variance.solve(Problem(covariance=covariance))
    np.testing.assert_allclose(solution.weights, [[0.5, 0.5, 0.0, 0.0]], atol=1e-9)
    assert solution.certificate[0] <= 1e-10


def test_only_constant_assets_share_equally() -> None:
    np.testing.assert_allclose(min_variance.solve(Problem(covariance=np.zeros((1, 5, 5)))).weights, 0.2, rtol=1e-7)


def test_a_perfect_hedge_is_held() -> None:
    covariance = np.array([[[1.0, -2.0], [-2.0, 4.0]]])
    np.testing.assert_allclose(min_variance.solve(Problem(covariance=covariance)).weights, [[2 / 3, 1 / 3]], rtol=1e-7)


def test_more_assets_than_rows_have_a_certified_optimum() -> None:
    returns = np.random.default_rng(2).normal(size=(15, 10, 30)) + np.random.default_rng(3).normal(size=(15, 10, 1))
    covariance = np.stack([np.cov(window.T) for window in returns])
    solution = min_variance.solve(Problem(covariance=covariance))
    assert not solution.failures
    assert solution.certificate.max() <= 1e-10
    np.testing.assert_allclose(solution.weights.sum(axis=1), 1.0, rtol=1e-12)


def test_a_weight_cap_binds() -> None:
    problem = Problem(covariance=np.diag([1.0, 9.0, 9.0])[None], constraints=constraints(3, upper=np.full(3, 0.5)))
    np.testing.assert_allclose(min_variance.solve(problem).weights, [[0.5, 0.25, 0.25]], rtol=1e-13)


def test_net_zero_with_an_admissible_empty_portfolio_is_a_named_failure() -> None:
    limits = constraints(3, lower=np.full(3, -1.0), net=0.0, gross=2.0)
    solution = min_variance.solve(Problem(covariance=np.eye(3)[None], constraints=limits))
    assert np.isnan(solution.weights).all()
    assert "net 0" in solution.failures[0]


def test_bounds_that_cannot_sum_to_the_net_are_a_named_failure() -> None:
    problem = Problem(covariance=np.eye(3)[None], constraints=constraints(3, upper=np.full(3, 0.3)))
    assert "sum to 0 to 0.9, not to a net of 1" in min_variance.solve(problem).failures[0]


def test_a_missing_covariance_is_a_bug_of_ours() -> None:
    with pytest.raises(InvariantError, match="no covariance"):
        min_variance.solve(Problem())

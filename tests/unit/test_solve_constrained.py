from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backsweep.arrays import Float
from backsweep.errors import InvariantError
from backsweep.solve.constrained import maximise_ratio, minimise_quadratic
from backsweep.solve.problem import Constraints, Problem, Solution

ASSETS, WINDOWS = 8, 12
LONG = Constraints(
    lower=np.zeros(ASSETS),
    upper=np.full(ASSETS, 0.4),
    net=1.0,
    gross=None,
    groups=np.zeros((0, ASSETS)),
    group_lower=np.zeros(0),
    group_upper=np.zeros(0),
    beta_tolerance=None,
    turnover_limit=None,
)
GROUPS = np.zeros((2, ASSETS))
GROUPS[0, :3] = GROUPS[1, 3:6] = 1.0
SHORT = replace(LONG, lower=np.full(ASSETS, -0.3))
CASES = {
    "caps": LONG,
    "groups": replace(LONG, groups=GROUPS, group_lower=np.array([0.3, -np.inf]), group_upper=np.array([0.5, 0.1])),
    "gross": replace(SHORT, gross=1.5),
    "turnover": replace(LONG, turnover_limit=0.15),
    "gross and turnover": replace(SHORT, gross=1.4, turnover_limit=0.3),
    "beta": replace(SHORT, gross=2.4, beta_tolerance=0.4),
}
RANDOM = np.random.default_rng(6)
RETURNS = 0.01 * RANDOM.normal(size=(WINDOWS, 60, ASSETS)) + 0.01 * RANDOM.normal(size=(WINDOWS, 60, 1)) + 0.001
COVARIANCE = np.stack([np.cov(window.T) for window in RETURNS])
MEAN = RETURNS.mean(axis=1)
BETA = np.tile(np.linspace(0.5, 1.5, ASSETS), (WINDOWS, 1))
PREVIOUS = np.full((WINDOWS, ASSETS), 1 / ASSETS)


def problem(constraints: Constraints) -> Problem:
    return Problem(constraints=constraints, beta=BETA, previous=PREVIOUS)


def distance(weights: Float, limits: Constraints, window: int) -> float:
    """Return by how much the worst constraint is violated."""
    excess = [
        abs(weights.sum() - limits.net),
        float((limits.lower - weights).max()),
        float((weights - limits.upper).max()),
    ]
    if len(limits.groups):
        sums = limits.groups @ weights
        excess += [float((limits.group_lower - sums).max()), float((sums - limits.group_upper).max())]
    if limits.gross is not None:
        excess.append(float(np.abs(weights).sum()) - limits.gross)
    if limits.turnover_limit is not None:
        excess.append(float(np.abs(weights - PREVIOUS[window]).sum()) / 2 - limits.turnover_limit)
    if limits.beta_tolerance is not None:
        excess.append(abs(float(weights @ BETA[window])) - limits.beta_tolerance)
    return float(max(excess))


def feasible_neighbours(solution: Solution, limits: Constraints, window: int) -> Float:
    """Return feasible portfolios on the way from the optimum to other corners of the set."""
    random = np.random.default_rng(window)
    corners = minimise_quadratic(
        np.stack([np.eye(ASSETS) * 1e-4] * 20),
        random.normal(size=(20, ASSETS)),
        Problem(constraints=limits, beta=BETA[:1].repeat(20, 0), previous=PREVIOUS[:1].repeat(20, 0)),
    ).weights
    share = random.uniform(size=(20, 1)) ** 3
    neighbours: Float = solution.weights[window] * (1 - share) + share * corners
    return neighbours


@pytest.mark.parametrize("case", CASES)
def test_the_least_variance_is_feasible_certified_and_not_beaten_by_any_neighbour(case: str) -> None:
    limits = CASES[case]
    solution = minimise_quadratic(COVARIANCE, np.zeros((WINDOWS, ASSETS)), problem(limits))
    assert not solution.failures
    assert solution.certificate.max() <= 1e-12
    for window in range(WINDOWS):
        weights, matrix = solution.weights[window], COVARIANCE[window]
        assert distance(weights, limits, window) <= 1e-12
        others = feasible_neighbours(solution, limits, window)
        assert np.einsum("ki,ij,kj->k", others, matrix, others).min() >= weights @ matrix @ weights * (1 - 1e-12)


@pytest.mark.parametrize("case", CASES)
def test_the_highest_ratio_is_feasible_certified_and_not_beaten_by_any_neighbour(case: str) -> None:
    limits = CASES[case]
    solution = maximise_ratio(COVARIANCE, MEAN, problem(limits), "hopeless")
    for window in sorted(set(range(WINDOWS)) - set(solution.failures)):
        weights = solution.weights[window]
        assert solution.certificate[window] <= 1e-12
        assert distance(weights, limits, window) <= 1e-11
        others = np.concatenate((feasible_neighbours(solution, limits, window), weights[None]))
        risk = np.sqrt(np.einsum("ki,ij,kj->k", others, COVARIANCE[window], others))
        assert (others @ MEAN[window] / risk).max() <= weights @ MEAN[window] / risk[-1] * (1 + 1e-10)
    assert len(solution.failures) <= WINDOWS // 2
    assert set(solution.failures.values()) <= {"hopeless"}


def test_no_turnover_means_the_previous_target() -> None:
    held = minimise_quadratic(COVARIANCE, MEAN, problem(replace(LONG, turnover_limit=0.0)))
    np.testing.assert_allclose(held.weights, PREVIOUS, atol=1e-13)


def test_a_gross_equal_to_the_net_is_long_only() -> None:
    zeros = np.zeros((WINDOWS, ASSETS))
    long_only = minimise_quadratic(COVARIANCE, zeros, problem(LONG))
    same = minimise_quadratic(COVARIANCE, zeros, problem(replace(SHORT, gross=1.0)))
    np.testing.assert_allclose(same.weights, long_only.weights, atol=1e-14)


def test_net_zero_is_scaled_up_to_the_first_limit_and_exactly_neutral() -> None:
    limits = replace(SHORT, net=0.0, gross=1.0, beta_tolerance=0.1)
    solution = maximise_ratio(COVARIANCE, MEAN, problem(limits), "hopeless")
    assert not solution.failures
    assert np.abs(solution.weights.sum(axis=1)).max() <= 1e-14
    assert np.abs(np.vecdot(solution.weights, BETA)).max() <= 1e-14
    at_gross = np.isclose(np.abs(solution.weights).sum(axis=1), 1.0, rtol=1e-12)
    at_bound = np.isclose(solution.weights.min(axis=1), -0.3, rtol=1e-12)
    at_bound |= np.isclose(solution.weights.max(axis=1), 0.4, rtol=1e-12)
    assert (at_gross | at_bound).all()


def test_net_zero_with_a_turnover_limit_is_refused() -> None:
    limits = replace(SHORT, net=0.0, gross=1.0, turnover_limit=0.1)
    solution = maximise_ratio(COVARIANCE, MEAN, problem(limits), "hopeless")
    assert len(solution.failures) == WINDOWS
    assert "turnover limit" in solution.failures[0]


def test_no_feasible_portfolio_with_a_positive_gain_is_hopeless() -> None:
    assert maximise_ratio(COVARIANCE, -np.abs(MEAN), problem(LONG), "hopeless").failures[0] == "hopeless"


def test_a_riskless_portfolio_has_no_highest_ratio() -> None:
    matrix = np.zeros((1, ASSETS, ASSETS))
    assert "no variance" in maximise_ratio(matrix, np.ones((1, ASSETS)), Problem(constraints=LONG), "").failures[0]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("rows", [3, 6])
def test_singular_covariances_have_certified_optima(case: str, rows: int) -> None:
    singular = np.stack([np.cov(window[:rows].T) for window in RETURNS])
    solution = minimise_quadratic(singular, np.zeros((WINDOWS, ASSETS)), problem(CASES[case]))
    assert not solution.failures
    assert solution.certificate.max() <= 1e-10
    assert max(distance(solution.weights[window], CASES[case], window) for window in range(WINDOWS)) <= 1e-10


@pytest.mark.parametrize("rows", [3, 6])
def test_singular_optima_satisfy_the_variational_inequality(rows: int) -> None:
    """No admissible portfolio has a smaller w'Cx than the optimum x; the smallest is found by filling the caps."""
    singular = np.stack([np.cov(window[:rows].T) for window in RETURNS])
    solution = minimise_quadratic(singular, np.zeros((WINDOWS, ASSETS)), problem(LONG))
    for weights, matrix in zip(solution.weights, singular, strict=True):
        slope = matrix @ weights
        cheapest = np.sort(slope)[:3] @ np.array([0.4, 0.4, 0.2])
        assert weights @ slope - cheapest <= 1e-11 * np.trace(matrix)


def test_infeasible_constraints_fail_every_window_with_their_name() -> None:
    limits = replace(LONG, upper=np.full(ASSETS, 0.1))
    for solution in (
        minimise_quadratic(COVARIANCE, MEAN, problem(limits)),
        maximise_ratio(COVARIANCE, MEAN, problem(limits), "hopeless"),
    ):
        assert set(solution.failures) == set(range(WINDOWS))
        assert solution.failures[0].startswith("the constraints are infeasible: the weight bounds of the 8 assets")
        assert np.isnan(solution.weights).all()


def test_no_constraints_is_a_bug_of_ours() -> None:
    with pytest.raises(InvariantError, match="without constraints"):
        minimise_quadratic(COVARIANCE, MEAN, Problem())

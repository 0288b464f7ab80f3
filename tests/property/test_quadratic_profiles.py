"""What holds for the three quadratic profiles whatever the covariance, singular ones included."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from backsweep.arrays import Float
from backsweep.solve import max_diversification, max_sharpe, min_variance
from backsweep.solve.nonnegative_qp import solve_nonnegative
from backsweep.solve.problem import Constraints, Problem, Solution
from backsweep.solve.projection import project

KERNELS = {"min_variance": min_variance.solve, "max_sharpe": max_sharpe.solve, "div": max_diversification.solve}
SEEDS = st.integers(0, 2**32 - 1)


def draw_problem(seed: int, assets: int, rows: int) -> Problem:
    """Return three windows; with rows <= assets their covariances are singular."""
    random = np.random.default_rng(seed)
    returns = random.standard_t(4, size=(3, rows, assets)) * np.exp(random.normal(size=assets))
    returns += random.uniform(0, 2) * random.normal(size=(3, rows, 1)) + 0.1 * random.normal(size=assets)
    centred = returns - returns.mean(axis=1, keepdims=True)
    covariance = np.swapaxes(centred, 1, 2) @ centred / (rows - 1)
    return Problem(covariance=covariance, mean=returns.mean(axis=1), risk_free=np.zeros(3))


def changed(problem: Problem, covariance: Float, mean: Float) -> Problem:
    return Problem(covariance=covariance, mean=mean, risk_free=problem.risk_free)


def risk_and_gain(kernel: str, problem: Problem, solution: Solution) -> Float:
    """Return what the profile makes small or large, one number a window."""
    assert problem.covariance is not None
    assert problem.mean is not None
    weights = solution.weights
    risk = np.sqrt(np.einsum("bi,bij,bj->b", weights, problem.covariance, weights))
    deviation = np.sqrt(np.einsum("bii->bi", problem.covariance))
    gains = {"min_variance": np.ones_like(risk), "max_sharpe": np.vecdot(weights, problem.mean)}
    ratio: Float = gains.get(kernel, np.vecdot(weights, deviation)) / risk
    return ratio


@given(SEEDS, st.integers(1, 12), st.integers(4, 40), st.sampled_from(sorted(KERNELS)))
@settings(max_examples=60)
def test_weights_are_long_only_fully_invested_and_certified_or_the_window_says_why(
    seed: int, assets: int, rows: int, kernel: str
) -> None:
    solution = KERNELS[kernel](draw_problem(seed, assets, rows))
    failed = np.isin(np.arange(3), list(solution.failures))
    assert (np.isnan(solution.weights).all(axis=1) == failed).all()
    fine = solution.weights[~failed]
    assert (fine >= 0).all()
    np.testing.assert_allclose(fine.sum(axis=1), 1.0, rtol=1e-12)
    assert (solution.certificate[~failed] <= 1e-10).all()
    assert kernel != "min_variance" or not failed.any()


@given(SEEDS, st.integers(2, 10), st.floats(1e-6, 1e6), st.sampled_from(sorted(KERNELS)))
@settings(max_examples=40)
def test_the_scale_of_the_returns_changes_nothing(seed: int, assets: int, scale: float, kernel: str) -> None:
    problem = draw_problem(seed, assets, 3 * assets + 5)
    assert problem.covariance is not None
    assert problem.mean is not None
    scaled = changed(problem, problem.covariance * scale**2, problem.mean * scale)
    first, second = KERNELS[kernel](problem), KERNELS[kernel](scaled)
    np.testing.assert_allclose(first.weights, second.weights, atol=1e-9)
    assert first.failures == second.failures


@given(SEEDS, st.integers(2, 10), st.sampled_from(sorted(KERNELS)))
@settings(max_examples=40)
def test_the_order_of_the_assets_changes_nothing(seed: int, assets: int, kernel: str) -> None:
    problem = draw_problem(seed, assets, 3 * assets + 5)
    order = np.random.default_rng(seed).permutation(assets)
    assert problem.covariance is not None
    assert problem.mean is not None
    shuffled = changed(problem, problem.covariance[:, order][:, :, order], problem.mean[:, order])
    first, second = KERNELS[kernel](problem), KERNELS[kernel](shuffled)
    np.testing.assert_allclose(first.weights[:, order], second.weights, atol=1e-9)


@given(SEEDS, st.integers(2, 10), st.sampled_from(sorted(KERNELS)))
@settings(max_examples=40)
def test_a_second_copy_of_an_asset_changes_no_objective_and_the_copies_share(
    seed: int, assets: int, kernel: str
) -> None:
    problem = draw_problem(seed, assets, 3 * assets + 5)
    again = np.append(np.arange(assets), 0)
    assert problem.covariance is not None
    assert problem.mean is not None
    copied = changed(problem, problem.covariance[:, again][:, :, again], problem.mean[:, again])
    first, second = KERNELS[kernel](problem), KERNELS[kernel](copied)
    assert first.failures == second.failures
    np.testing.assert_allclose(risk_and_gain(kernel, problem, first), risk_and_gain(kernel, copied, second), rtol=1e-6)
    np.testing.assert_allclose(second.weights[:, 0], second.weights[:, -1], atol=1e-6)


@given(SEEDS, st.integers(1, 15), st.integers(2, 30))
@settings(max_examples=60)
def test_what_is_called_solved_satisfies_the_kkt_conditions(seed: int, assets: int, rows: int) -> None:
    problem = draw_problem(seed, assets, rows)
    assert problem.covariance is not None
    assert problem.mean is not None
    solution, _, ok = solve_nonnegative(problem.covariance, problem.mean)
    for covariance, linear, point in zip(problem.covariance[ok], problem.mean[ok], solution[ok], strict=True):
        deviation = np.sqrt(np.diag(covariance))
        slack = (covariance @ point - linear) / deviation
        top = max(float((linear / deviation).max()), 1e-300)
        assert (point >= 0).all()
        assert slack.min() >= -1e-9 * top or linear.max() <= 0
        assert abs(float((point * deviation) @ slack)) <= 1e-8 * top * max(1.0, float((point * deviation).sum()))


@given(SEEDS, st.integers(2, 10), st.floats(0.0, 0.5), st.floats(0.01, 1.0))
@settings(max_examples=40)
def test_projections_satisfy_every_constraint_and_are_nearer_than_any_other_admissible_weights(
    seed: int, assets: int, short: float, room: float
) -> None:
    random = np.random.default_rng(seed)
    limits = Constraints(
        lower=np.full(assets, -short),
        upper=np.full(assets, (1 + room) / assets),
        net=1.0,
        gross=1.0 + short,
        groups=np.eye(1, assets),
        group_lower=np.array([-np.inf]),
        group_upper=np.array([1 / assets]),
        beta_tolerance=None,
        turnover_limit=room,
    )
    even = np.full((4, assets), 1 / assets)  # always admissible, so there is something to be nearer than
    given_weights = random.normal(size=(4, assets))
    solution = project(given_weights, Problem(constraints=limits, previous=even))
    weights = solution.weights
    assert not solution.failures
    assert (solution.certificate <= 1e-10).all()
    assert (weights >= limits.lower - 1e-12).all()
    assert (weights <= limits.upper + 1e-12).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-12)
    assert (np.abs(weights).sum(axis=1) <= 1.0 + short + 1e-11).all()
    assert (np.abs(weights - even).sum(axis=1) <= 2 * room + 1e-11).all()
    assert (weights[:, 0] <= 1 / assets + 1e-12).all()
    # the angle at a projection is never sharp
    assert (np.vecdot(given_weights - weights, even - weights) <= 1e-9).all()

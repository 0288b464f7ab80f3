from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backsweep.arrays import Float
from backsweep.errors import InvariantError
from backsweep.solve import min_cvar
from backsweep.solve.bounded_simplex import Box, minimise
from backsweep.solve.cvar_program import tail_mean
from backsweep.solve.problem import Constraints, Problem


def _returns(windows: int, rows: int, assets: int) -> Float:
    generator = np.random.default_rng(11)
    market = generator.standard_t(4, (windows, rows, 1)) * 0.008
    return np.asarray(market * generator.uniform(0.5, 1.5, assets) + generator.normal(0, 0.01, (windows, rows, assets)))


def _bounds(assets: int, lower: float, upper: float) -> Constraints:
    return Constraints(
        lower=np.full(assets, lower),
        upper=np.full(assets, upper),
        net=1.0,
        gross=None,
        groups=np.zeros((0, assets)),
        group_lower=np.zeros(0),
        group_upper=np.zeros(0),
        beta_tolerance=None,
        turnover_limit=None,
    )


def _value(returns: Float, weights: Float, tail_rows: float) -> Float:
    return tail_mean(-np.matmul(returns, weights[:, :, None])[:, :, 0], tail_rows)


def test_the_tail_mean_counts_its_last_loss_by_its_fraction() -> None:
    losses = np.array([5.0, -1.0, 3.0, 2.0])
    assert tail_mean(losses, 1.0) == 5.0
    assert tail_mean(losses, 1.5) == pytest.approx((5.0 + 0.5 * 3.0) / 1.5, rel=1e-15)
    assert tail_mean(losses, 2.0) == 4.0
    assert tail_mean(losses, 0.2) == 5.0
    assert tail_mean(losses, 4.0) == 2.25


def test_two_assets_that_lose_on_different_days_are_balanced_by_hand() -> None:
    # worst row of two losses 4w and 1 - w: equal at w = 1 / 5
    returns = np.zeros((1, 20, 2))
    returns[0, 0, 0], returns[0, 1, 1] = -0.04, -0.01
    solution = min_cvar.solve(Problem(returns=returns))
    np.testing.assert_allclose(solution.weights, [[0.2, 0.8]], atol=1e-14)


@pytest.mark.parametrize(("rows", "assets"), [(63, 20), (100, 5), (252, 20), (15, 40), (10, 3), (2, 4), (252, 1)])
def test_every_window_is_optimal_by_its_duality_gap(rows: int, assets: int) -> None:
    solution = min_cvar.solve(Problem(returns=_returns(30, rows, assets)))
    assert not solution.failures
    assert (solution.certificate <= 1e-12).all()
    assert (solution.weights >= 0.0).all()
    np.testing.assert_allclose(solution.weights.sum(axis=1), 1.0, rtol=1e-13)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.99, 0.999, 0.02])
def test_no_random_portfolio_has_a_smaller_cvar(confidence: float) -> None:
    returns = _returns(3, 80, 6)
    solution = min_cvar.solve(Problem(returns=returns, parameters={"confidence": confidence}))
    least = _value(returns, solution.weights, (1 - confidence) * 80)
    others = np.random.default_rng(3).dirichlet(np.ones(6), 2000)
    for window in range(3):
        losses = -(others @ returns[window].T)
        assert (tail_mean(losses, (1 - confidence) * 80) >= least[window] - 1e-12).all()


@pytest.mark.parametrize("gain", [0.002, 0.0])
def test_the_shortest_of_several_optima_is_taken(gain: float) -> None:
    returns = _returns(2, 60, 6)
    returns[:, :, 1] = returns[:, :, 4] = gain
    solution = min_cvar.solve(Problem(returns=returns))
    np.testing.assert_allclose(solution.weights, [[0, 0.5, 0, 0, 0.5, 0]] * 2, atol=1e-12)


def test_identical_assets_share_and_the_rest_stays_as_it_was() -> None:
    returns = _returns(4, 100, 5)
    single = min_cvar.solve(Problem(returns=returns)).weights
    column = int(single[0].argmax())
    doubled = min_cvar.solve(Problem(returns=np.concatenate([returns, returns[:, :, [column]]], axis=2)))
    np.testing.assert_allclose(doubled.weights[:, column], doubled.weights[:, 5], atol=1e-10)
    np.testing.assert_allclose(doubled.weights[:, column] * 2, single[:, column], atol=1e-10)
    assert (doubled.certificate <= 1e-10).all()


def test_an_asset_that_never_loses_takes_all_and_all_zero_returns_are_shared() -> None:
    returns = _returns(2, 63, 4)
    returns[0, :, 2] = 0.0
    returns[1] = 0.0
    solution = min_cvar.solve(Problem(returns=returns))
    np.testing.assert_allclose(solution.weights, np.array([[0, 0, 1, 0], [0.25] * 4]), atol=1e-12)
    assert not solution.failures


def test_returns_rounded_to_whole_percents_make_ties_that_are_solved() -> None:
    returns = np.round(_returns(40, 120, 12), 2)
    solution = min_cvar.solve(Problem(returns=returns))
    assert not solution.failures
    assert (solution.certificate <= 1e-10).all()


def test_a_day_of_total_loss_is_just_a_bad_scenario() -> None:
    returns = _returns(2, 60, 4)
    returns[:, 10] = -1.0
    solution = min_cvar.solve(Problem(returns=returns))
    assert (solution.certificate <= 1e-12).all()


def test_scenarios_left_out_at_first_are_found() -> None:
    # the calmest mix hides rows that only hurt the optimum: the search begins without them
    returns = _returns(6, 600, 8)
    box = Box(np.zeros(8), np.full(8, np.inf), 1.0, 3.0)
    found = minimise(returns, box)
    assert found.settled.all()
    losses = -np.matmul(returns, found.weights[:, :, None])[:, :, 0]
    lower = (-np.einsum("bl,bln->bn", found.tail, returns)).min(axis=1)
    np.testing.assert_allclose(tail_mean(losses, 3.0), lower, rtol=1e-12)


def test_windows_full_of_ties_are_settled_without_a_linear_program() -> None:
    returns = _returns(20, 63, 20)
    returns[:, 1:, 7] = 0.0  # one asset moves on one day only: nearly every scenario ties at its vertex
    box = Box(np.zeros(20), np.full(20, np.inf), 1.0, 3.15)
    assert minimise(returns, box).settled.all()
    assert minimise(np.round(returns, 2), box).settled.all()


def test_an_answer_that_misses_its_certificate_is_a_failed_window(monkeypatch: pytest.MonkeyPatch) -> None:
    returns = _returns(1, 60, 4)
    returns[:, :, 2:] = 0.001  # several optima, so the second stage is asked
    monkeypatch.setattr(min_cvar, "shortest", lambda *_: np.full(4, 0.25))
    solution = min_cvar.solve(Problem(returns=returns))
    assert "only known to" in solution.failures[0]
    assert np.isnan(solution.weights).all()


def test_bounds_are_kept_and_cost_nothing_they_need_not() -> None:
    returns = _returns(10, 120, 8)
    free = min_cvar.solve(Problem(returns=returns))
    loose = min_cvar.solve(Problem(returns=returns, constraints=_bounds(8, 0.0, 1.0)))
    np.testing.assert_allclose(loose.weights, free.weights, atol=1e-12)
    tight = min_cvar.solve(Problem(returns=returns, constraints=_bounds(8, 0.05, 0.2)))
    assert (tight.certificate <= 1e-12).all()
    assert (tight.weights >= 0.05).all()
    assert (tight.weights <= 0.2).all()
    np.testing.assert_allclose(tight.weights.sum(axis=1), 1.0, rtol=1e-13)
    assert (_value(returns, tight.weights, 6.0) >= _value(returns, free.weights, 6.0)).all()


def test_bounds_leave_one_portfolio_where_they_sum_to_the_budget() -> None:
    solution = min_cvar.solve(Problem(returns=_returns(3, 60, 4), constraints=_bounds(4, 0.0, 0.25)))
    np.testing.assert_allclose(solution.weights, 0.25, atol=1e-14)


def test_the_linear_program_agrees_with_the_simplex_where_both_can() -> None:
    returns = _returns(4, 80, 6)
    bounds = _bounds(6, -0.2, 0.4)
    box = min_cvar.solve(Problem(returns=returns, constraints=bounds))
    slack_group = replace(bounds, groups=np.ones((1, 6)), group_lower=np.zeros(1), group_upper=np.full(1, 2.0))
    program = min_cvar.solve(Problem(returns=returns, constraints=slack_group))
    assert (program.certificate <= 1e-10).all()
    np.testing.assert_allclose(program.weights, box.weights, atol=1e-9)


def test_groups_gross_beta_and_turnover_hold_and_the_gap_closes() -> None:
    returns = _returns(3, 80, 6)
    generator = np.random.default_rng(5)
    beta = generator.uniform(0.5, 1.5, (3, 6))
    previous = generator.dirichlet(np.ones(6), 3)
    constraints = replace(
        _bounds(6, -0.3, 0.5),
        net=0.4,
        gross=1.2,
        groups=np.array([[1.0, 1, 0, 0, 0, 0]]),
        group_lower=np.array([0.1]),
        group_upper=np.array([0.2]),
        beta_tolerance=0.2,
        turnover_limit=1.0,
    )
    solution = min_cvar.solve(Problem(returns=returns, constraints=constraints, beta=beta, previous=previous))
    assert not solution.failures
    weights = solution.weights
    assert (solution.certificate <= 1e-10).all()
    np.testing.assert_allclose(weights.sum(axis=1), 0.4, atol=1e-9)
    assert (np.abs(weights).sum(axis=1) <= 1.2 + 1e-9).all()
    assert (np.abs((weights * beta).sum(axis=1)) <= 0.2 + 1e-9).all()
    assert (np.abs(weights - previous).sum(axis=1) / 2 <= 1.0 + 1e-9).all()
    assert (weights[:, :2].sum(axis=1) >= 0.1 - 1e-9).all()
    assert (weights[:, :2].sum(axis=1) <= 0.2 + 1e-9).all()


def test_constraints_that_cannot_be_met_are_a_failed_window_that_says_which() -> None:
    returns = _returns(2, 60, 4)
    solution = min_cvar.solve(Problem(returns=returns, constraints=_bounds(4, 0.0, 0.2)))
    assert set(solution.failures) == {0, 1}
    assert "weight bounds" in solution.failures[0]
    assert np.isnan(solution.weights).all()
    assert np.isnan(solution.certificate).all()


def test_the_returns_may_be_a_read_only_strided_view_and_the_answer_is_the_same_bytes() -> None:
    rows = _returns(1, 200, 5)[0]
    view = np.lib.stride_tricks.sliding_window_view(rows, 60, axis=0)[::7].transpose(0, 2, 1)
    copied = min_cvar.solve(Problem(returns=np.ascontiguousarray(view)))
    again = min_cvar.solve(Problem(returns=view))
    assert again.weights.tobytes() == copied.weights.tobytes()
    assert again.certificate.tobytes() == copied.certificate.tobytes()


@pytest.mark.parametrize("confidence", [0.0, 1.0, "high"])
def test_a_confidence_outside_zero_and_one_is_refused(confidence: object) -> None:
    with pytest.raises(InvariantError, match="between 0 and 1"):
        min_cvar.solve(Problem(returns=_returns(1, 20, 2), parameters={"confidence": confidence}))


def test_missing_returns_are_refused() -> None:
    with pytest.raises(InvariantError, match="training returns"):
        min_cvar.solve(Problem())

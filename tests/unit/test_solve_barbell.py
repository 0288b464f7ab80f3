from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backsweep.errors import InvariantError
from backsweep.solve import barbell, equal_weight, inverse_volatility
from backsweep.solve.problem import Constraints, Problem, Solution

# columns: rises steadily, falls, swings, constant gain, constant
RETURNS = np.array([[0.02, -0.01, 0.10, 0.01, 0.0], [0.01, -0.02, -0.08, 0.01, 0.0], [0.03, -0.01, 0.02, 0.01, 0.0]])[
    None
]


def _sleeve(score: str, size: int) -> list[int]:
    problem = Problem(returns=RETURNS, parameters={"coreWeight": 0.0, "sleeve": size, "score": score})
    weights = barbell.solve(problem, equal_weight.solve).weights[0]
    assert (weights[weights > 0] == 1.0 / size).all()
    return [int(column) for column in np.flatnonzero(weights)]


def test_momentum_takes_the_highest_compounded_return() -> None:
    assert _sleeve("momentum", 1) == [0]
    assert _sleeve("momentum", 3) == [0, 2, 3]


def test_sharpe_puts_a_constant_gain_first_and_a_constant_zero_between() -> None:
    assert _sleeve("sharpe", 1) == [3]
    assert _sleeve("sharpe", 2) == [0, 3]
    assert _sleeve("sharpe", 4) == [0, 2, 3, 4]


def test_low_volatility_takes_the_calmest_and_ties_go_to_the_earlier_column() -> None:
    assert _sleeve("low_volatility", 1) == [3]
    assert _sleeve("low_volatility", 2) == [3, 4]
    assert _sleeve("low_volatility", 3) == [1, 3, 4]


def test_ties_in_a_large_universe_go_to_the_first_columns() -> None:
    returns = np.asarray(np.random.default_rng(2).integers(0, 3, (1, 1, 200)) * 0.01, dtype=np.float64)
    problem = Problem(returns=returns, parameters={"coreWeight": 0.0, "sleeve": 12})
    weights = barbell.solve(problem, equal_weight.solve).weights[0]
    np.testing.assert_array_equal(np.flatnonzero(weights), np.flatnonzero(returns[0, 0] == 0.02)[:12])


def test_core_and_sleeve_add_up_as_weighted() -> None:
    problem = Problem(returns=RETURNS, parameters={"coreWeight": 0.6, "sleeve": 2, "score": "momentum"})
    weights = barbell.solve(problem, equal_weight.solve).weights[0]
    np.testing.assert_allclose(weights, [0.32, 0.12, 0.32, 0.12, 0.12], rtol=1e-15)


def test_the_defaults_are_four_fifths_and_three_assets_by_momentum() -> None:
    weights = barbell.solve(Problem(returns=RETURNS), equal_weight.solve).weights[0]
    expected = np.full(5, 0.16) + np.array([1, 0, 1, 1, 0]) * 0.2 / 3
    np.testing.assert_allclose(weights, expected, rtol=1e-15)


def test_a_sleeve_larger_than_the_universe_takes_all_assets() -> None:
    assert _sleeve("momentum", 5) == [0, 1, 2, 3, 4]
    problem = Problem(returns=RETURNS, parameters={"coreWeight": 0.0, "sleeve": 9})
    np.testing.assert_array_equal(barbell.solve(problem, equal_weight.solve).weights, [[0.2] * 5])


def test_a_failed_core_fails_the_window_with_its_reason() -> None:
    problem = Problem(
        returns=np.concatenate([RETURNS, RETURNS]), covariance=np.stack([np.diag([1.0, 1, 1, 1, 0]), np.eye(5)])
    )
    solution = barbell.solve(problem, inverse_volatility.solve)
    assert set(solution.failures) == {0}
    assert solution.failures[0].startswith("core: an asset's variance")
    assert np.isnan(solution.weights[0]).all()
    assert solution.weights[1].sum() == pytest.approx(1.0, abs=1e-15)


def test_constraints_reach_the_whole_and_not_the_core() -> None:
    seen: list[Problem] = []

    def core(problem: Problem) -> Solution:
        seen.append(problem)
        return equal_weight.solve(problem)

    bounds = Constraints(
        lower=np.zeros(5),
        upper=np.full(5, 0.25),
        net=1.0,
        gross=None,
        groups=np.zeros((0, 5)),
        group_lower=np.zeros(0),
        group_upper=np.zeros(0),
        beta_tolerance=None,
        turnover_limit=None,
    )
    problem = Problem(returns=RETURNS, parameters={"coreWeight": 0.5, "sleeve": 1})
    solution = barbell.solve(replace(problem, constraints=bounds), core)
    assert seen[0].constraints is None
    np.testing.assert_allclose(solution.weights, [[0.25, 0.1875, 0.1875, 0.1875, 0.1875]], atol=1e-12)


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"coreWeight": 1.5}, "coreWeight between 0 and 1"),
        ({"sleeve": 0}, "sleeve of at least 1"),
        ({"score": "luck"}, "momentum, sharpe, low_volatility"),
    ],
)
def test_a_parameter_out_of_range_is_refused(parameters: dict[str, object], match: str) -> None:
    with pytest.raises(InvariantError, match=match):
        barbell.solve(Problem(returns=RETURNS, parameters=parameters), equal_weight.solve)


def test_missing_returns_are_refused() -> None:
    with pytest.raises(InvariantError, match="training returns"):
        barbell.solve(Problem(), equal_weight.solve)

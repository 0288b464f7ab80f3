from __future__ import annotations

import numpy as np
import pytest

from backsweep.errors import InvariantError
from backsweep.solve import equal_weight
from backsweep.solve.problem import Constraints, Problem


def _constraints(assets: int, upper: float, net: float = 1.0) -> Constraints:
    return Constraints(
        lower=np.zeros(assets),
        upper=np.full(assets, upper),
        net=net,
        gross=None,
        groups=np.eye(assets)[:1],
        group_lower=np.array([-np.inf]),
        group_upper=np.array([0.1]),
        beta_tolerance=None,
        turnover_limit=None,
    )


@pytest.mark.parametrize(
    "problem",
    [
        Problem(returns=np.zeros((3, 5, 4))),
        Problem(covariance=np.zeros((3, 4, 4))),
        Problem(mean=np.zeros((3, 4))),
        Problem(beta=np.zeros((3, 4))),
    ],
    ids=["returns", "covariance", "mean", "beta"],
)
def test_every_asset_gets_the_same_whatever_array_gives_the_shape(problem: Problem) -> None:
    solution = equal_weight.solve(problem)
    assert (solution.weights == 0.25).all()
    assert solution.weights.shape == (3, 4)
    assert np.isnan(solution.certificate).all()
    assert not solution.failures


def test_a_problem_without_arrays_is_refused() -> None:
    with pytest.raises(InvariantError, match="windows and assets"):
        equal_weight.solve(Problem())


def test_constraints_move_the_answer_by_the_least_amount() -> None:
    solution = equal_weight.solve(Problem(mean=np.zeros((2, 4)), constraints=_constraints(4, 0.5)))
    np.testing.assert_allclose(solution.weights, [[0.1, 0.3, 0.3, 0.3]] * 2, atol=1e-12)
    assert (solution.certificate <= 1e-10).all()


def test_constraints_that_cannot_be_met_fail_every_window_with_a_reason() -> None:
    solution = equal_weight.solve(Problem(mean=np.zeros((2, 4)), constraints=_constraints(4, 0.2)))
    assert set(solution.failures) == {0, 1}
    assert np.isnan(solution.weights).all()

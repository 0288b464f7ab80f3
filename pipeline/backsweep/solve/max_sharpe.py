"""Maximum expected Sharpe ratio (the tangency portfolio)."""

from __future__ import annotations

import numpy as np

from backsweep.errors import InvariantError
from backsweep.solve.constrained import maximise_ratio
from backsweep.solve.nonnegative_qp import solve_nonnegative
from backsweep.solve.problem import Problem, Solution, failed

__all__ = ["solve"]

_HOPELESS = "max_sharpe is undefined: no asset has a positive expected excess return"
_HOPELESS_WITHIN = "max_sharpe is undefined: no portfolio within the constraints has a positive expected excess return"
_UNSETTLED = (
    "max_sharpe found no weights that pass their certificate; a portfolio without variance "
    "and with a positive expected excess return, for which the ratio has no maximum, is the usual reason"
)


def solve(problem: Problem) -> Solution:
    """Return the weights with the highest ratio (mu - rf)'w / sqrt(w'Cw) over w >= 0, sum(w) = 1, or the constraints.

    The ratio does not change with leverage, so its maximum is one quadratic programme: y solves
    min y'Cy / 2 - (mu - rf)'y over y >= 0, and w = y / sum(y). Under constraints see `maximise_ratio`.

    Parameters
    ----------
    problem : `covariance` (B, N, N), daily; `mean` (B, N), expected simple return a row; `risk_free` (B,), a row;
        no NaN. With `constraints` also `beta` and `previous`.

    Returns
    -------
    Solution : weights (B, N); certificate (B,), the relative KKT residual of the programme solved.

    Degenerate cases: no asset with a positive expected excess return is a failed window (the ratio has no
    convex form there and its supremum says nothing). One asset has weight 1. An asset without variance gets
    0 when its excess is not positive; when it is, or when any long-only portfolio has a positive
    excess and no variance, the window failed. Twins share equally.

    Raises
    ------
    InvariantError : when covariance, mean or riskless return is missing.

    Source: Tobin (1958), Sharpe (1966); the programme in Cornuejols and Tuetuencue (2007), "Optimization Methods in
    Finance", section 8.2. Checked in tests/unit/test_solve_max_sharpe.py and tests/reference/test_peers_quadratic.py.
    """
    covariance, mean, risk_free = problem.covariance, problem.mean, problem.risk_free
    if covariance is None or mean is None or risk_free is None:
        raise InvariantError("max_sharpe needs a covariance, expected returns and a riskless return")
    excess = mean - risk_free[:, None]
    if problem.constraints is not None:
        return maximise_ratio(covariance, excess, problem, _HOPELESS_WITHIN)
    scaled, residual, ok = solve_nonnegative(covariance, excess)
    hopeless = excess.max(axis=1) <= 0
    total = np.where(ok & ~hopeless, scaled.sum(axis=1), 1.0)
    solution = failed(scaled / total[:, None], residual, hopeless, _HOPELESS)
    rest = failed(solution.weights, solution.certificate, ~ok & ~hopeless, _UNSETTLED)
    return Solution(rest.weights, rest.certificate, {**solution.failures, **rest.failures})

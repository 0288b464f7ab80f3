"""Maximum diversification ratio (the most diversified portfolio)."""

from __future__ import annotations

import numpy as np

from backsweep.errors import InvariantError
from backsweep.solve.constrained import maximise_ratio
from backsweep.solve.nonnegative_qp import solve_nonnegative
from backsweep.solve.problem import Problem, Solution, failed

__all__ = ["solve"]

_CONSTANT = "max_diversification is undefined: every asset is constant over the training rows"
_HOPELESS = "max_diversification is undefined: no portfolio within the constraints has a positive average volatility"
_UNSETTLED = (
    "max_diversification found no weights that pass their certificate; a portfolio of volatile assets "
    "without variance, for which the ratio has no maximum, is the usual reason"
)


def solve(problem: Problem) -> Solution:
    """Return the weights with the highest ratio sigma'w / sqrt(w'Cw) over w >= 0, sum(w) = 1, or the constraints.

    The ratio compares the average volatility of what is held with the volatility of holding it together. It is
    the Sharpe ratio of a world in which every asset is paid in proportion to its volatility, and it is
    solved as such: y solves min y'Cy / 2 - sigma'y over y >= 0, and w = y / sum(y).

    Parameters
    ----------
    problem : `covariance` (B, N, N), daily, no NaN; sigma is the root of its diagonal. With
        `constraints` also `beta` and `previous`; a short position counts with its sign in sigma'w.

    Returns
    -------
    Solution : weights (B, N); certificate (B,), the relative KKT residual of the programme solved.

    Degenerate cases: one asset has weight 1. An asset without variance changes the ratio by nothing and gets 0
    without constraints; where every asset is constant the window failed. So did one in which some long-only
    portfolio of volatile assets has no variance. Twins share equally.

    Raises
    ------
    InvariantError : when the problem has no covariance.

    Source: Choueifaty and Coignard (2008), "Toward maximum diversification", Journal of Portfolio Management 35,
    equation 1. Checked in tests/unit/test_solve_max_diversification.py and tests/reference/test_peers_quadratic.py.
    """
    covariance = problem.covariance
    if covariance is None:
        raise InvariantError("max_diversification was given no covariance")
    deviation = np.sqrt(np.maximum(np.einsum("bii->bi", covariance), 0.0))
    if problem.constraints is not None:
        return maximise_ratio(covariance, deviation, problem, _HOPELESS)
    scaled, residual, ok = solve_nonnegative(covariance, deviation)
    constant = deviation.max(axis=1) <= 0
    total = np.where(ok & ~constant, scaled.sum(axis=1), 1.0)
    solution = failed(scaled / total[:, None], residual, constant, _CONSTANT)
    rest = failed(solution.weights, solution.certificate, ~ok & ~constant, _UNSETTLED)
    return Solution(rest.weights, rest.certificate, {**solution.failures, **rest.failures})

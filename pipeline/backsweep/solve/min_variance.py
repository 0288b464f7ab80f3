"""Minimum variance."""

from __future__ import annotations

import numpy as np

from backsweep.arrays import Boolean, Float
from backsweep.errors import InvariantError
from backsweep.solve.constrained import minimise_quadratic
from backsweep.solve.nonnegative_qp import solve_nonnegative
from backsweep.solve.problem import Problem, Solution, failed

__all__ = ["solve"]

_UNSETTLED = "min_variance found no weights that pass their certificate (relative KKT residual 1e-10)"
_EMPTY = "with net 0 the portfolio of least variance is the empty one: state another net or another profile"


def solve(problem: Problem) -> Solution:
    """Return the weights with the least variance: min w'Cw over w >= 0, sum(w) = 1, or over the constraints.

    It needs no expected returns, the moment that a sample says least about.

    Without constraints y solves min y'Cy / 2 - 1'y over y >= 0 and w = y / sum(y). Windows in which that has no
    bound (some long-only portfolio has no variance) are solved with C + t 11', t the mean variance: on
    sum(w) = 1 that adds the constant t to w'Cw, so the optimum is the same, and the programme is bounded.

    Parameters
    ----------
    problem : `covariance` (B, N, N), daily, no NaN; with `constraints` also `beta`, `previous`.

    Returns
    -------
    Solution : weights (B, N); certificate (B,), the relative KKT residual of the programme solved.

    Degenerate cases: one asset has weight 1. Assets without variance share all the weight equally. Twins share
    equally. With more assets than rows the optimum may not be unique: the limit of proximal steps from zero is
    taken, near the one of least norm in risk units. Net 0 with an admissible empty portfolio is a failed window.

    Raises
    ------
    InvariantError : when the problem has no covariance.

    Source: Markowitz (1952), "Portfolio selection", Journal of Finance 7; long-only kernel as
    `solve_nonnegative`. Checked in tests/unit/test_solve_min_variance.py and tests/reference/test_peers_quadratic.py.
    """
    covariance = problem.covariance
    if covariance is None:
        raise InvariantError("min_variance was given no covariance")
    if problem.constraints is not None:
        zeros = np.zeros(covariance.shape[:2])
        solution = minimise_quadratic(covariance, zeros, problem)
        empty: Boolean = (np.abs(solution.weights).max(axis=1) <= 1e-12) & (problem.constraints.net == 0)
        found = failed(solution.weights, solution.certificate, empty, _EMPTY)
        return Solution(found.weights, found.certificate, {**solution.failures, **found.failures})
    ones = np.ones(covariance.shape[:2])
    scaled, residual, ok = solve_nonnegative(covariance, ones)
    rows = np.flatnonzero(~ok)
    if len(rows):
        part = covariance[rows]
        mean = np.einsum("bii->b", part) / part.shape[1]
        lifted: Float = part + np.where(mean > 0, mean, 1.0)[:, None, None]
        scaled[rows], residual[rows], ok[rows] = solve_nonnegative(lifted, ones[rows])
    total = np.where(ok, scaled.sum(axis=1), 1.0)
    return failed(scaled / total[:, None], residual, ~ok, _UNSETTLED)

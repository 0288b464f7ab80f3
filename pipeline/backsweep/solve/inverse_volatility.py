"""Weights in proportion to one over the volatility."""

from __future__ import annotations

import numpy as np

from backsweep.errors import InvariantError
from backsweep.solve.heuristic import constant_assets, within_constraints
from backsweep.solve.problem import Problem, Solution, failed

__all__ = ["solve"]


def solve(problem: Problem) -> Solution:
    """Return w_i = (1 / sigma_i) / sum_j (1 / sigma_j): equal stand-alone risk, correlations ignored.

    Parameters
    ----------
    problem : needs `covariance` (B, N, N), daily, no NaN; only its diagonal is used. With `constraints` the
        answer is projected on them.

    Returns
    -------
    Solution
        The certificate is NaN (a closed formula), or the projection's.

    Notes
    -----
    Degenerate cases: one asset gets everything, whatever its variance; with several, an asset without
    variance would take all by a division by zero: a failed window.

    Raises
    ------
    InvariantError
        When `covariance` is missing.

    Source
    ------
    Leote de Carvalho, Lu and Moulin (2012), "Demystifying equity risk-based strategies", J. Portfolio
    Management 38(3), table 1 ("equal risk budget"); checked in tests/unit/test_solve_inverse_volatility.py.
    """
    covariance = problem.covariance
    if covariance is None:
        raise InvariantError("inverse_volatility needs a covariance")
    constant = constant_assets(covariance) & (covariance.shape[1] > 1)
    volatility = np.sqrt(np.einsum("bii->bi", covariance))
    inverse = 1.0 / np.where(constant | (volatility <= 0.0), 1.0, volatility)
    weights = inverse / inverse.sum(axis=1, keepdims=True)
    reason = "an asset's variance is zero in this window, so one over its volatility is undefined"
    solution = failed(weights, np.full(len(weights), np.nan), constant.any(axis=1), reason)
    return within_constraints(solution, problem)

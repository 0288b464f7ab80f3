"""The same weight in every asset; also the market and benchmark references, on the assets they are given."""

from __future__ import annotations

import numpy as np

from backsweep.errors import InvariantError
from backsweep.solve.heuristic import within_constraints
from backsweep.solve.problem import Problem, Solution

__all__ = ["solve"]


def solve(problem: Problem) -> Solution:
    """Return 1 / N in each asset: what a method that estimates anything has to beat.

    `market` is this formula on the symbols of data.benchmark, `benchmark` on the eligible universe; the
    caller passes those assets only, and neither can win.

    Parameters
    ----------
    problem : any one of `returns` (B, L, N), `covariance` (B, N, N), `mean` (B, N) or `beta` (B, N), whose shape
        alone is used. With `constraints` the answer is projected on them.

    Returns
    -------
    Solution
        The certificate is NaN (a closed formula), or the projection's. No window fails without constraints.

    Notes
    -----
    Degenerate cases: none; one asset gets everything, constant assets get their share.

    Raises
    ------
    InvariantError
        When the problem has no array to take B and N from.

    Source
    ------
    DeMiguel, Garlappi and Uppal (2009), "Optimal versus naive diversification", Rev. Financial Studies 22(5),
    section 1.1; checked in tests/unit/test_solve_equal_weight.py.
    """
    windows, assets = _shape(problem)
    weights = np.full((windows, assets), 1.0 / assets)
    return within_constraints(Solution(weights, np.full(windows, np.nan), {}), problem)


def _shape(problem: Problem) -> tuple[int, int]:
    """B and N from the first array given."""
    for array in (problem.returns, problem.covariance, problem.mean, problem.beta):
        if array is not None:
            return array.shape[0], array.shape[-1]
    raise InvariantError("equal_weight needs the returns, a covariance or a mean to know its windows and assets")

"""What the profiles that are recipes, not optimisations over weights, share: constant assets, constraints."""

from __future__ import annotations

import numpy as np

from backsweep.arrays import Boolean, Float
from backsweep.solve.problem import Problem, Solution
from backsweep.solve.projection import project

__all__ = ["constant_assets", "within_constraints"]

CONSTANT = 1e-20
"""A variance under this fraction of the window's largest is rounding left by a constant return."""


def constant_assets(covariance: Float) -> Boolean:
    """Return which assets (B, N) have no variance, so that no ratio with their volatility means anything.

    Parameters
    ----------
    covariance : (B, N, N) float64, daily, no NaN.

    Source
    ------
    Definition, the same as in `hierarchy`; checked in tests/unit/test_solve_inverse_volatility.py.
    """
    variance = np.einsum("bii->bi", covariance)
    return np.asarray(variance <= CONSTANT * variance.max(axis=1, keepdims=True))


def within_constraints(solution: Solution, problem: Problem) -> Solution:
    """Return the solution as it is, or the nearest weights that satisfy the problem's constraints.

    Parameters
    ----------
    solution : unconstrained; its failed windows stay failed with their reasons.
    problem : `constraints`, `beta` and `previous` are used.

    Returns
    -------
    Solution
        The certificate is the larger of the solution's own (where it has one) and the projection's.

    Source
    ------
    Definition; checked in tests/unit/test_solve_equal_weight.py.
    """
    if problem.constraints is None:
        return solution
    moved = project(solution.weights, problem)
    certificate = np.fmax(moved.certificate, np.where(np.isnan(moved.certificate), np.nan, solution.certificate))
    return Solution(moved.weights, certificate, {**solution.failures, **moved.failures})

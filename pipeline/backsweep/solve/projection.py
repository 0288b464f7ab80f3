"""Constraints on a heuristic: the nearest weights that satisfy them."""

from __future__ import annotations

import numpy as np

from backsweep.arrays import Float
from backsweep.solve.constrained import minimise_quadratic
from backsweep.solve.problem import Problem, Solution

__all__ = ["project"]


def project(weights: Float, problem: Problem) -> Solution:
    """Return the weights nearest to `weights` (Euclidean distance) among those that satisfy the constraints.

    A profile that is a recipe (hrp, risk_parity, equal_weight, ...) has no objective that constraints could
    enter, so its answer is moved by the least amount that makes it admissible. Weights that satisfy the
    constraints already come back as they are, up to rounding.

    Parameters
    ----------
    weights : (B, N) float64, fractions of wealth; a row with NaN is a window that failed already and stays so.
    problem : its `constraints` (not None), `beta` and `previous` are used.

    Returns
    -------
    Solution : the certificate is the KKT residual of min |x - weights|^2 / 2 over the constraint set, a strictly
        convex programme, so the answer is unique. An empty constraint set is a failed window that names
        its cause; a row given as NaN carries no reason here, its owner has one.

    Source: definition; checked in tests/unit/test_solve_projection.py against the closed form of the projection
    onto a simplex (Held, Wolfe, Crowder 1974).
    """
    batch, assets = weights.shape
    given = np.flatnonzero(np.isfinite(weights).all(axis=1))
    part = Problem(
        constraints=problem.constraints,
        beta=None if problem.beta is None else problem.beta[given],
        previous=None if problem.previous is None else problem.previous[given],
    )
    identity = np.broadcast_to(np.eye(assets), (len(given), assets, assets))
    found = minimise_quadratic(identity, weights[given], part)
    whole = np.full((batch, assets), np.nan)
    certificate = np.full(batch, np.nan)
    whole[given], certificate[given] = found.weights, found.certificate
    return Solution(whole, certificate, {int(given[row]): reason for row, reason in found.failures.items()})

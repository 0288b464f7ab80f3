"""How far given weights are from the optimum of the problem native solves: one measure for every engine.

A kernel certifies its own answer with the multipliers it found. Here only the weights are known, so the multiplier
that suits them best is taken, and the residual is the one of `solve_nonnegative`, the spread of risk contributions,
or the excess over the least CVaR. A peer that estimates otherwise is measured against native's estimates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from backsweep.arrays import Float
from backsweep.errors import InvariantError
from backsweep.solve import min_cvar
from backsweep.solve.cvar_program import tail_mean
from backsweep.solve.problem import Problem

__all__ = ["RESIDUALS", "residual"]


def residual(profile: str, problem: Problem, weights: Float) -> Float:
    """Return (B,) how far the weights of each window are from the optimum that `profile` states.

    Parameters
    ----------
    problem : as the profile's kernel is given it, without constraints.
    weights : (B, N) float64; NaN in windows that have none.

    Returns
    -------
    residual : (B,) float64, relative and at least as large as the violation of long only and fully invested. NaN for
        profiles that are recipes and state no optimum, in windows without weights, and in those with an
        asset without variance, where the programmes have another form.

    NaN policy: NaN says that there is nothing to measure.

    Source: Cottle, Pang, Stone (1992), "The linear complementarity problem", section 1.5; Maillard, Roncalli,
    Teiletche (2010), equation 4; Rockafellar, Uryasev (2000), equation 17. Checked in
    tests/unit/test_engine_residuals.py.
    """
    measure = RESIDUALS.get(profile)
    if measure is None:
        return np.full(len(weights), np.nan)
    outside = np.maximum(np.abs(weights.sum(axis=1) - 1.0), -weights.min(axis=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Float = np.maximum(measure(problem, weights), outside)
    return found


def _least_variance(problem: Problem, weights: Float) -> Float:
    return _quadratic(_covariance(problem), np.ones(weights.shape), weights)


def _highest_sharpe(problem: Problem, weights: Float) -> Float:
    if problem.mean is None or problem.risk_free is None:
        raise InvariantError("the residual of max_sharpe needs expected returns and a riskless return")
    return _quadratic(_covariance(problem), problem.mean - problem.risk_free[:, None], weights)


def _highest_diversification(problem: Problem, weights: Float) -> Float:
    covariance = _covariance(problem)
    return _quadratic(covariance, np.sqrt(np.einsum("bii->bi", covariance)), weights)


def _quadratic(covariance: Float, linear: Float, weights: Float) -> Float:
    """Return the natural residual of min y'Cy / 2 - a'y, y >= 0, in risk units, at the multiple that suits w best."""
    deviation = np.sqrt(np.einsum("bii->bi", covariance))
    risk = np.vecdot(weights, np.matvec(covariance, weights))
    multiple = np.vecdot(linear, weights) / risk
    gain = linear / deviation
    top = gain.max(axis=1, keepdims=True)
    units = deviation * weights * multiple[:, None] / top
    slack = np.matvec(covariance, weights) * multiple[:, None] / deviation / top - gain / top
    natural = np.abs(np.minimum(units, slack)).max(axis=1)
    flat = (deviation <= 0.0).any(axis=1)
    return np.where(flat, np.nan, np.where((multiple > 0.0) & (top[:, 0] > 0.0), natural, np.inf))


def _equal_contributions(problem: Problem, weights: Float) -> Float:
    contribution = weights * np.matvec(_covariance(problem), weights)
    spread: Float = np.abs(contribution / contribution.mean(axis=1, keepdims=True) - 1.0).max(axis=1)
    return spread


def _least_cvar(problem: Problem, weights: Float) -> Float:
    """Return the CVaR above native's, which is proven to be the least up to its own gap."""
    best = min_cvar.solve(problem)
    if problem.returns is None:
        raise InvariantError("the residual of min_cvar needs the training returns")
    confidence = float(str(problem.parameters["confidence"]))
    tail_rows = (1.0 - confidence) * problem.returns.shape[1]
    theirs = tail_mean(-np.matvec(problem.returns, weights), tail_rows)
    least = tail_mean(-np.matvec(problem.returns, best.weights), tail_rows)
    unit = np.maximum(np.abs(theirs), np.abs(problem.returns).mean(axis=(1, 2)))
    excess: Float = np.abs(theirs - least) / unit + best.certificate
    return excess


def _covariance(problem: Problem) -> Float:
    if problem.covariance is None:
        raise InvariantError("the residual needs a covariance")
    return problem.covariance


RESIDUALS: Mapping[str, Callable[[Problem, Float], Float]] = {
    "min_variance": _least_variance,
    "max_sharpe": _highest_sharpe,
    "max_diversification": _highest_diversification,
    "risk_parity": _equal_contributions,
    "min_cvar": _least_cvar,
}

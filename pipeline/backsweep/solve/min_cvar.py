"""Least conditional value at risk on the training rows themselves."""

from __future__ import annotations

import numpy as np

from backsweep.arrays import Float
from backsweep.errors import InvariantError, SolveError
from backsweep.solve.bounded_simplex import Box, Vertices, minimise
from backsweep.solve.cvar_program import Dual, Region, allowed, dual_bound, shortest, solve_program, tail_mean
from backsweep.solve.polytope import explain_empty
from backsweep.solve.problem import Constraints, Problem, Solution

__all__ = ["solve"]

BAR = 1e-10
"""Largest relative duality gap of an answer."""


def solve(problem: Problem) -> Solution:
    """Return the portfolios of least conditional value at risk (CVaR), the shortest where there are several.

    CVaR is the mean loss of the worst k = (1 - confidence) L training rows, the last one counted by its
    fraction: min over w, a of a + sum_t max(0, -r_t'w - a) / k with sum w = 1, w >= 0. It needs no covariance
    and no expected return, and sees tails a covariance does not.

    Parameters
    ----------
    problem : needs `returns` (B, L, N), simple returns as fractions, no NaN. `parameters["confidence"]` is
        between 0 and 1, 0.95 unless given.

    Returns
    -------
    Solution
        The certificate is the duality gap, (CVaR - lower bound) / max(|CVaR|, mean |return|), the lower bound
        from worst-case probabilities q with 0 <= q <= 1 / k and sum q = 1. It needs no tolerance of its
        own: any such q gives a valid bound. Where there are rows of constraints it is the larger of the gap and
        of what a row is missed by. Above 1e-10 the window has failed.

    Notes
    -----
    Bounds on single weights go to `bounded_simplex`, all windows at once; constraints on groups, gross,
    turnover or beta, and windows it does not settle, to HiGHS. Where several portfolios are optimal, the one
    of least Euclidean norm is taken (`cvar_program.shortest`), so the answer does not depend on the path.

    Degenerate cases: one asset gets everything; identical assets share equally; an asset that never loses
    has CVaR 0 or less and the optimum may be a corner (sp500-20: RRC is constant in its first 68 rows, at
    lookback 63 it takes all); all returns zero: equal weights; more assets than rows: solved; k below
    1: the worst loss is minimised; constraints that cannot be met: a failed window.

    Raises
    ------
    InvariantError
        When `returns` is missing or the confidence is not between 0 and 1.

    Source
    ------
    Rockafellar and Uryasev (2000), "Optimization of conditional value-at-risk", J. Risk 2(3), equation 17;
    tests/reference/test_peers_cvar_erc.py holds HiGHS and skfolio on real windows.
    """
    returns, tail_rows = _given(problem)
    weights = np.full((len(returns), returns.shape[2]), np.nan)
    certificate = np.full(len(returns), np.nan)
    failures: dict[int, str] = {}
    box = _box(problem.constraints, problem.previous, returns.shape[2], tail_rows)
    pending = np.ones(len(returns), dtype=np.bool_)
    vertices = None
    if box is not None:
        vertices = minimise(returns, box)
        gap = _gaps(returns, vertices, box)
        good = vertices.settled & vertices.unique & (gap <= BAR)
        weights[good], certificate[good] = vertices.weights[good], gap[good]
        pending = ~good
    for row in np.flatnonzero(pending):
        try:
            known = vertices is not None and vertices.settled[row]
            tail = vertices.tail[row] if vertices is not None and known else None
            weights[row], certificate[row] = _solve_window(problem, returns[row], tail_rows, int(row), tail)
        except SolveError as error:
            failures[int(row)] = str(error)
    return Solution(weights, certificate, failures)


def _given(problem: Problem) -> tuple[Float, float]:
    """The returns and the size of the tail."""
    if problem.returns is None:
        raise InvariantError("min_cvar needs the training returns")
    confidence = problem.parameters.get("confidence", 0.95)
    if not isinstance(confidence, (int, float)) or not 0.0 < confidence < 1.0:
        raise InvariantError(f"min_cvar needs a confidence between 0 and 1, not {confidence!r}")
    return problem.returns, (1.0 - confidence) * problem.returns.shape[1]


def _box(constraints: Constraints | None, previous: Float | None, assets: int, tail_rows: float) -> Box | None:
    """The bounds and budget, or None where there is more to satisfy or they cannot be met."""
    if constraints is None:
        return Box(np.zeros(assets), np.full(assets, np.inf), 1.0, tail_rows)
    lower, upper, net, gross = constraints.lower, constraints.upper, constraints.net, constraints.gross
    only = (
        not len(constraints.groups)
        and constraints.beta_tolerance is None
        and (constraints.turnover_limit is None or previous is None)
        and (gross is None or (bool((lower >= 0.0).all()) and gross >= net))
        and lower.sum() <= net <= upper.sum()
        and bool((lower <= upper).all())
    )
    return Box(lower, upper, net, tail_rows) if only else None


def _gaps(returns: Float, vertices: Vertices, box: Box) -> Float:
    """Relative duality gaps (B,) of answers in a box; the bound fills the cheapest assets first."""
    losses = -np.matmul(returns, vertices.weights[:, :, None])[:, :, 0]
    value = tail_mean(losses, box.tail_rows)
    tail = np.clip(vertices.tail, 0.0, 1.0 / box.tail_rows)
    total = tail.sum(axis=1, keepdims=True)
    cost = -np.matmul(np.divide(tail, total, where=total > 0.0, out=tail)[:, None, :], returns)[:, 0, :]
    order = np.argsort(cost, axis=1, kind="stable")
    spare = box.net - box.lower.sum()
    room = np.minimum(box.upper - box.lower, spare)[order]
    before = np.cumsum(room, axis=1) - room
    fill = np.clip(spare - before, 0.0, room)
    bound = (np.take_along_axis(cost, order, axis=1) * fill).sum(axis=1) + cost @ box.lower
    return _relative(value, bound, returns)


def _relative(value: Float, bound: Float, returns: Float) -> Float:
    """Gap over the larger of |CVaR| and the mean |return|; 0 where all returns are 0."""
    unit = np.maximum(np.abs(value), np.abs(returns).mean(axis=(1, 2)))
    gap = np.abs(value - bound)
    return np.asarray(np.divide(gap, unit, out=np.zeros_like(gap), where=gap > 0.0))


def _solve_window(
    problem: Problem, returns: Float, tail_rows: float, row: int, tail: Float | None
) -> tuple[Float, float]:
    """One window by linear program (unless its dual is known) and shortest optimum; weights and gap."""
    beta = None if problem.beta is None else problem.beta[row]
    previous = None if problem.previous is None else problem.previous[row]
    region = allowed(returns.shape[1], problem.constraints, beta, previous)
    dual = solve_program(returns, tail_rows, region) if tail is None else _budget_dual(returns, region, tail)
    if dual is None:
        why = None if problem.constraints is None else explain_empty(problem.constraints, beta, previous)
        raise SolveError(why or "the constraints are infeasible by less than their rounding")
    point = shortest(returns, tail_rows, region, dual)
    weights = point[: returns.shape[1]]
    value = tail_mean(-(returns @ weights), tail_rows)
    bound = dual_bound(returns, region, dual)
    gap = float(_relative(value[None], np.array([bound]), returns[None])[0])
    sums = region.matrix @ point
    outside = float(np.maximum(region.row_lower - sums, sums - region.row_upper).max())
    certificate = max(gap, outside)
    if certificate > BAR:
        raise SolveError(f"the least CVaR is only known to {certificate:.1e} (relative gap), above {BAR:.0e}")
    return weights, certificate


def _budget_dual(returns: Float, region: Region, tail: Float) -> Dual:
    """The dual of a window in a box: the budget's price is the cost of the asset that fills it."""
    cost = -(tail @ returns)
    order = np.argsort(cost, kind="stable")
    room = np.cumsum((region.upper - region.lower)[order])
    marginal = int((room < region.row_lower[0] - region.lower.sum() - 1e-12).sum())
    return Dual(tail, cost[order[min(marginal, len(order) - 1)]][None])

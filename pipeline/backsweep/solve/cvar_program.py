"""Least conditional value at risk of one window over any polytope: HiGHS, a certificate, the shortest optimum.

`min_cvar` comes here with windows that have constraints beyond bounds and a budget, with those the batched
simplex did not settle, and with those that have several optima. Variables are v = (w, and auxiliaries of
|w| or |w - previous| where those are limited); the auxiliaries earn nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backsweep.arrays import Float
from backsweep.errors import SolveError
from backsweep.solve.problem import Constraints

__all__ = ["Dual", "Region", "allowed", "dual_bound", "shortest", "solve_program", "tail_mean"]

STRICT = 1e-9
"""A dual variable below this (times its unit) counts as zero: its constraint may be slack."""


@dataclass(frozen=True, slots=True)
class Region:
    """A polytope: all v with lower <= v <= upper and row_lower <= matrix v <= row_upper; the first N are the weights.

    Parameters
    ----------
    lower, upper : (V,) finite bounds.
    matrix : (M, V); its first row is the budget.
    row_lower, row_upper : (M,) infinite where one-sided.
    """

    lower: Float
    upper: Float
    matrix: Float
    row_lower: Float
    row_upper: Float


@dataclass(frozen=True, slots=True)
class Dual:
    """Worst-case probabilities q (L,) of the scenarios and multipliers (M,) of the region's rows."""

    tail: Float
    rows: Float


def allowed(assets: int, constraints: Constraints | None, beta: Float | None, previous: Float | None) -> Region:
    """Return the portfolios of one window that satisfy `constraints`; None is long only, fully invested.

    Limits on absolute values become rows over auxiliaries, so that a linear program can hold them.

    Parameters
    ----------
    assets : N.
    beta, previous : (N,) of the window, no NaN; see `Problem`.

    Source
    ------
    The auxiliaries a >= |w - centre|: Boyd and Vandenberghe (2004), "Convex optimization", section 6.1.1; checked
    in tests/unit/test_solve_min_cvar.py.
    """
    if constraints is None:
        return Region(np.zeros(assets), np.ones(assets), np.ones((1, assets)), np.ones(1), np.ones(1))
    lower, upper = constraints.lower, constraints.upper
    eye, none = np.eye(assets), np.zeros((assets, assets))
    rows = [np.ones((1, assets)), constraints.groups]
    floors = [np.array([constraints.net]), constraints.group_lower]
    ceilings = [np.array([constraints.net]), constraints.group_upper]
    if constraints.beta_tolerance is not None and beta is not None:
        rows.append(beta[None, :])
        floors.append(np.array([-constraints.beta_tolerance]))
        ceilings.append(np.array([constraints.beta_tolerance]))
    centres = []
    if constraints.gross is not None:
        centres.append((np.zeros(assets), constraints.gross))
    if constraints.turnover_limit is not None and previous is not None:
        centres.append((previous, 2.0 * constraints.turnover_limit))
    matrix = np.concatenate([row.reshape(-1, assets) for row in rows])
    matrix = np.pad(matrix, ((0, 0), (0, assets * len(centres))))
    for place, (centre, limit) in enumerate(centres):
        # an auxiliary a >= |w - centre| for each asset, and the sum of all a under the limit
        beside: list[Float] = [none] * len(centres)
        beside[place] = -eye
        total = np.zeros((1, matrix.shape[1]))
        total[0, assets * (place + 1) : assets * (place + 2)] = 1.0
        matrix = np.concatenate([matrix, np.hstack([eye, *beside]), np.hstack([-eye, *beside]), total])
        floors += [np.full(2 * assets + 1, -np.inf)]
        ceilings += [centre, -centre, np.array([limit])]
        lower = np.concatenate([lower, np.zeros(assets)])
        reach = np.maximum(np.abs(constraints.lower - centre), np.abs(constraints.upper - centre))
        upper = np.concatenate([upper, reach])
    return Region(lower, upper, matrix, np.concatenate(floors), np.concatenate(ceilings))


def tail_mean(losses: Float, tail_rows: float) -> Float:
    """Return the mean of the worst `tail_rows` of L losses, the last one counted by its fraction.

    Parameters
    ----------
    losses : (..., L) float64, no NaN.
    tail_rows : k > 0; where k is below 1 the answer is the worst loss.

    Source
    ------
    Rockafellar and Uryasev (2002), "Conditional value-at-risk for general loss distributions", J. Banking
    Finance 26, proposition 8; tests/unit/test_solve_min_cvar.py works one out by hand.
    """
    whole = int(tail_rows)
    if whole < 1:
        return np.asarray(losses.max(axis=-1))
    rows = losses.shape[-1]
    if whole >= rows:
        return np.asarray(losses.mean(axis=-1))
    ordered = np.partition(losses, rows - whole - 1, axis=-1)
    beyond = ordered[..., rows - whole :].sum(axis=-1)
    return np.asarray((beyond + (tail_rows - whole) * ordered[..., rows - whole - 1]) / tail_rows)


def dual_bound(returns: Float, region: Region, dual: Dual) -> float:
    """Return a lower bound of the CVaR of every portfolio in the region, right whatever the dual is.

    This is the certificate: it trusts no solver, only this sum.

    Parameters
    ----------
    returns : (L, N) float64, no NaN.
    dual : q within 0 and 1 / k and of sum 1; multipliers of any value (positive prices a floor, negative a
        ceiling; one that prices an infinite side counts as 0).

    Source
    ------
    Weak duality: Boyd and Vandenberghe (2004), "Convex optimization", section 5.1.3; checked in
    tests/unit/test_solve_min_cvar.py.
    """
    price = np.where(dual.rows > 0.0, region.row_lower, region.row_upper)
    used = np.isfinite(price) & (dual.rows != 0.0)
    multiplier = np.where(used, dual.rows, 0.0)
    cost = np.zeros(len(region.lower))
    cost[: returns.shape[1]] = -(dual.tail @ returns)
    reduced = cost - multiplier @ region.matrix
    bounds = np.minimum(reduced * region.lower, reduced * region.upper)
    return float((multiplier[used] * price[used]).sum() + bounds.sum())


def solve_program(returns: Float, tail_rows: float, region: Region) -> Dual | None:
    """Return the dual of one window by the simplex of HiGHS; None where no portfolio satisfies the constraints.

    Parameters
    ----------
    returns : (L, N) float64, no NaN.
    tail_rows : k, the size of the tail.

    Raises
    ------
    SolveError
        When HiGHS gives up.

    Source
    ------
    Rockafellar and Uryasev (2000), J. Risk 2(3), equation 17; HiGHS: Huangfu and Hall (2018), Math. Prog.
    Comp. 10; checked by the duality gap of every answer.
    """
    from scipy.optimize import linprog  # a compiled solver, needed by few windows
    from scipy.sparse import csr_array, eye_array, hstack, vstack

    rows, assets = returns.shape
    variables = len(region.lower)
    scale = float(np.abs(returns).mean()) or 1.0
    scenarios = hstack(
        [
            csr_array(np.pad(returns / -scale, ((0, 0), (0, variables - assets)))),
            csr_array(np.full((rows, 1), -1.0)),
            -eye_array(rows),
        ]
    )
    rest = csr_array((len(region.matrix), rows + 1))
    equal = region.row_lower == region.row_upper
    has_upper, has_lower = ~equal & np.isfinite(region.row_upper), ~equal & np.isfinite(region.row_lower)
    side = hstack([csr_array(region.matrix), rest]).tocsr()
    found = linprog(
        np.concatenate([np.zeros(variables), [1.0], np.full(rows, 1.0 / tail_rows)]),
        A_ub=vstack([scenarios, side[has_upper], -side[has_lower]]),
        b_ub=np.concatenate([np.zeros(rows), region.row_upper[has_upper], -region.row_lower[has_lower]]),
        A_eq=side[equal],
        b_eq=region.row_upper[equal],
        bounds=np.column_stack(
            [
                np.concatenate([region.lower, [-np.inf], np.zeros(rows)]),
                np.concatenate([region.upper, np.full(rows + 1, np.inf)]),
            ]
        ),
        method="highs-ds",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    if found.status == 2:
        return None
    if found.status != 0:
        raise SolveError(f"the linear program of least CVaR was not solved: {found.message}")
    prices = -found.ineqlin.marginals
    tail = np.clip(prices[:rows], 0.0, 1.0 / tail_rows)
    multipliers = np.zeros(len(region.matrix))
    multipliers[equal] = found.eqlin.marginals
    uppers = int(has_upper.sum())
    multipliers[has_upper] -= prices[rows : rows + uppers]
    multipliers[has_lower] += prices[rows + uppers :]
    return Dual(tail / tail.sum(), multipliers * scale)


def shortest(returns: Float, tail_rows: float, region: Region, dual: Dual) -> Float:
    """Return the optimal v (V,) whose portfolio has the least Euclidean norm, within its bounds.

    Of several optima it is the one spread widest, and which one it is does not depend on the path. The optimal
    portfolios are those complementary to one optimal dual: scenarios with 0 < q < 1 / k stand at the threshold,
    those with q = 1 / k not below it, those with q = 0 not above; a priced bound is met.

    Parameters
    ----------
    returns : (L, N) float64, no NaN.
    dual : an optimal one.

    Raises
    ------
    SolveError
        When the quadratic program of the optimal face is not solved.

    Source
    ------
    Complementary slackness: Goldman and Tucker (1956), "Theory of linear programming", corollary 2A; DAQP:
    Arnström, Bemporad, Axehill (2022), IEEE Trans. Automatic Control 67(8).
    """
    import daqp  # a compiled solver, needed by few windows

    assets, variables = returns.shape[1], len(region.lower)
    matrix, floor, ceiling = _optimal_face(returns, tail_rows, region, dual)
    norm = np.zeros(variables + 1)
    norm[:assets] = 1.0
    sense = np.where(floor == ceiling, 5, 0).astype(np.int32)
    limit = 1e30  # daqp's infinity
    for tolerance in (1e-12, 1e-10, 1e-9):
        point, _, flag, _ = daqp.solve(
            np.diag(norm),
            np.zeros(variables + 1),
            matrix,
            np.minimum(ceiling, limit),
            np.maximum(floor, -limit),
            sense.copy(),
            primal_tol=tolerance,
        )
        if flag > 0:
            point = _onto_active(np.asarray(point), matrix, floor, ceiling)
            return np.clip(point[:variables], region.lower, region.upper)
    raise SolveError(f"several portfolios have the least CVaR and the shortest was not found (DAQP exit {flag})")


def _optimal_face(returns: Float, tail_rows: float, region: Region, dual: Dual) -> tuple[Float, Float, Float]:
    """The portfolios complementary to `dual`: rows over (v, threshold), floors and ceilings of (v, threshold, rows)."""
    assets, variables = returns.shape[1], len(region.lower)
    scale = float(np.abs(returns).mean()) or 1.0
    cap = 1.0 / tail_rows
    full = dual.tail >= cap * (1.0 - STRICT)
    inside = (dual.tail > STRICT * cap) & ~full
    losses = np.zeros((len(returns), variables + 1))
    losses[:, :assets] = returns / -scale
    losses[:, -1] = -1.0
    cost = np.zeros(variables)
    cost[:assets] = -(dual.tail @ returns)
    reduced = (cost - dual.rows @ region.matrix) / scale
    multiplier = dual.rows / scale
    floor = np.concatenate(
        [
            np.where(reduced < -STRICT, region.upper, region.lower),
            [-np.inf],
            np.where(inside | full, 0.0, -np.inf),
            np.where(multiplier < -STRICT, region.row_upper, region.row_lower),
        ]
    )
    ceiling = np.concatenate(
        [
            np.where(reduced > STRICT, region.lower, region.upper),
            [np.inf],
            np.where(full, np.inf, 0.0),
            np.where(multiplier > STRICT, region.row_lower, region.row_upper),
        ]
    )
    return np.concatenate([losses, np.pad(region.matrix, ((0, 0), (0, 1)))]), floor, ceiling


def _onto_active(point: Float, matrix: Float, floor: Float, ceiling: Float) -> Float:
    """Move a point, exact to about 1e-10, the least way onto the limits it stands at."""
    size = len(point)
    value = np.concatenate([point, matrix @ point])
    low, high = np.abs(value - floor) < 1e-8, np.abs(value - ceiling) < 1e-8
    point = np.where(low[:size], floor[:size], np.where(high[:size], ceiling[:size], point))
    loose = ~(low | high)[:size]
    active = (low | high)[size:]
    goal = np.where(low, floor, ceiling)[size:][active]
    move = np.linalg.lstsq(matrix[active][:, loose], goal - matrix[active] @ point, rcond=1e-12)[0]
    point[loose] += move
    return point

"""Profiles under constraints: each window's quadratic programme over its own constraint set."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from backsweep.arrays import Float, Integer
from backsweep.errors import InvariantError
from backsweep.solve.polytope import Polytope, build_polytope, explain_empty
from backsweep.solve.problem import Constraints, Problem, Solution
from backsweep.solve.quadratic import BAR, Answer, Programme, solve_programme

__all__ = ["maximise_ratio", "minimise_quadratic"]

_RIDGE = 1e-7  # of the proximal steps where the Hessian (unit mean diagonal) is singular
_DEFINITE = 1e-8  # smallest eigenvalue that needs no ridge
_PROXIMAL_STEPS = 100
_AIM = 1e-12
_UNSETTLED = "no weights passed their certificate: the quadratic programme's residual stayed above 1e-10"
_UNBOUNDED = "a portfolio that satisfies the constraints has no variance, so the ratio has no maximum"
_MOVED = "with net 0 a turnover limit leaves the size of the portfolio undefined; state one or the other"


class _Bounds(NamedTuple):
    """low <= (x, rows x) <= high."""

    rows: Float
    low: Float
    high: Float


def minimise_quadratic(hessian: Float, gain: Float, problem: Problem) -> Solution:
    """Minimise w'Hw / 2 - g'w over the constraint set, window by window.

    The constraints are inside the optimisation, not applied to its result. Where absolute values are
    limited, w is split into parts p - q (see `Polytope`) whose Hessian is singular; theta p'q is added, with theta
    the smallest eigenvalue of H. At p'q = 0 it changes nothing, every other split of the same w is
    feasible with less of it, and the Hessian becomes positive definite: the same w, one strictly convex programme.

    Parameters
    ----------
    hessian : (B, N, N) float64, symmetric positive semidefinite, no NaN.
    gain : (B, N) float64.
    problem : its `constraints`, `beta` and `previous` are used.

    Returns
    -------
    Solution : the certificate is the residual of `solve_programme`. Where H is singular the optimum may
        not be unique; the limit of proximal steps from zero is kept, near the one of least norm.
        An empty constraint set is a failed window that names its cause.

    Source: Markowitz (1952) for the programme; the split is checked against a solver of the original problem in
    tests/unit/test_solve_constrained.py.
    """
    return _each_window(hessian, gain, problem, None)


def maximise_ratio(hessian: Float, gain: Float, problem: Problem, hopeless: str) -> Solution:
    """Maximise a'w / sqrt(w'Hw) over the constraint set, window by window.

    With y = kappa w, kappa > 0, this is the convex programme: minimise y'Hy / 2 subject to a'y = 1 and the
    constraints of w multiplied by kappa. For net other than 0 a multiple of (sum y - net kappa)^2, zero on the
    feasible set, makes it strictly convex in kappa too.

    For net 0, when the empty portfolio satisfies the constraints, the ratio says nothing about size: the best
    direction is found under those constraints that hold at every size (bounds and group limits of 0, a beta
    of exactly 0), and it is scaled up until the first other limit (gross, a weight bound, a group cap) binds.

    Parameters
    ----------
    hessian : (B, N, N) float64, symmetric positive semidefinite, no NaN.
    gain : (B, N) float64, the vector a.
    problem : its `constraints`, `beta` and `previous` are used.
    hopeless : the sentence of a window in which no feasible portfolio has a positive a'w.

    Returns
    -------
    Solution : the certificate is that of the programme in y. A window in which some feasible portfolio has a
        positive a'w and no variance failed, as did one with an empty constraint set (its cause is named).

    Source: Charnes and Cooper (1962) for the homogenisation; Tuetuencue (2003) and Cornuejols and Tuetuencue (2007),
    "Optimization Methods in Finance", section 8.2, for max Sharpe. Checked in tests/unit/test_solve_constrained.py.
    """
    return _each_window(hessian, gain, problem, hopeless)


def _each_window(hessian: Float, gain: Float, problem: Problem, hopeless: str | None) -> Solution:
    """Solve one window after the other; a `hopeless` sentence means the ratio problem."""
    constraints = problem.constraints
    if constraints is None:
        raise InvariantError("a constrained profile was asked for without constraints")
    batch, assets = gain.shape
    weights = np.full((batch, assets), np.nan)
    certificate = np.full(batch, np.nan)
    failures: dict[int, str] = {}
    polytope: Polytope | None = None
    for row in range(batch):
        beta = None if problem.beta is None else problem.beta[row]
        previous = None if problem.previous is None else problem.previous[row]
        if polytope is None or beta is not None or previous is not None:
            polytope = build_polytope(constraints, beta, previous)
        if hopeless is None:
            found, answer = _minimise(hessian[row], gain[row], polytope)
        elif not _is_free(constraints):
            found, answer = _homogenise(hessian[row], gain[row], polytope, constraints.net)
        elif constraints.turnover_limit is None or previous is None:
            found, answer = _scale_up(hessian[row], gain[row], constraints, beta)
        else:
            failures[row] = _MOVED
            continue
        if hopeless is not None and _is_riskless(hessian[row], found):
            failures[row] = _UNBOUNDED
        elif answer.residual <= BAR:
            weights[row], certificate[row] = found, answer.residual
        elif answer.infeasible:
            failures[row] = explain_empty(constraints, beta, previous) or hopeless or _UNSETTLED
        else:
            failures[row] = _UNSETTLED
    return Solution(weights, certificate, failures)


def _is_free(constraints: Constraints) -> bool:
    """Whether net is 0 and the empty portfolio is allowed, so that the ratio leaves the size open."""
    return bool(
        constraints.net == 0
        and (constraints.lower <= 0).all()
        and (constraints.upper >= 0).all()
        and (constraints.group_lower <= 0).all()
        and (constraints.group_upper >= 0).all()
    )


def _is_riskless(hessian: Float, weights: Float) -> bool:
    """Whether the variance of the weights is rounding: their volatility under 1e-6 of their assets'."""
    return bool(weights @ hessian @ weights <= 1e-12 * _unit(hessian) * (weights @ weights))


def _settle(core: Float, linear: Float, transform: Float, pairs: Integer, bounds: _Bounds) -> Answer:
    """Solve min z'Kz / 2 - linear'z with z = transform x, low <= (x, rows x) <= high.

    A singular K is solved by proximal steps from zero, each strictly convex: the residual of a step is that of the
    ridged programme plus ridge |z - centre|, which is all that the two programmes differ by.
    """
    ridge = 0.0 if _is_definite(core) else _RIDGE
    matrix: Float = transform.T @ (core + ridge * np.eye(len(core))) @ transform
    if len(pairs):
        theta = max(float(np.linalg.eigvalsh(core)[0]), 0.0) + ridge
        matrix[pairs[:, 0], pairs[:, 1]] += theta
        matrix[pairs[:, 1], pairs[:, 0]] += theta
    best = Answer(np.full(len(matrix), np.nan), np.inf, infeasible=False)
    centre = np.zeros(len(core))
    for _ in range(_PROXIMAL_STEPS if ridge else 1):
        gain = transform.T @ (linear + ridge * centre)
        answer = solve_programme(Programme(matrix, gain, bounds.rows, bounds.low, bounds.high))
        if not np.isfinite(answer.residual):
            return answer if answer.infeasible else best
        step = transform @ answer.point - centre
        centre = centre + step
        residual = answer.residual + ridge * float(np.abs(step).max()) / max(1.0, float(np.abs(centre).max()))
        settled = residual <= _AIM or residual > 0.9 * best.residual
        if residual < best.residual:
            best = Answer(answer.point, residual, infeasible=False)
        if settled:
            break
    return best


def _is_definite(core: Float) -> bool:
    """Whether the smallest eigenvalue of a matrix with unit mean diagonal is above 1e-8."""
    try:
        np.linalg.cholesky(core - _DEFINITE * np.eye(len(core)))
    except np.linalg.LinAlgError:
        return False
    return True


def _tied(hessian: Float, pairs: int) -> Float:
    """Return H, or for two pairs H with |w - v|^2 / 2 added, v being the second difference."""
    if pairs < 2:
        return hessian
    identity = np.eye(len(hessian))
    return np.block([[hessian + identity, -identity], [-identity, identity]])


def _minimise(hessian: Float, gain: Float, polytope: Polytope) -> tuple[Float, Answer]:
    """Solve min w'Hw / 2 - g'w over the polytope."""
    unit = _unit(hessian)
    assets = polytope.assets
    scaled, slope = hessian / unit, gain / unit
    linear = slope - scaled @ polytope.offset
    if polytope.pairs == 2:
        # |w - v - second|^2 / 2 is zero on the feasible set; its linear part is (second, -second)
        linear = np.concatenate((linear + polytope.second, -polytope.second))
    transform = polytope.transform()
    bounds = _Bounds(polytope.rows, polytope.low, polytope.high)
    answer = _settle(_tied(scaled, polytope.pairs), linear, transform, polytope.twins(), bounds)
    return _clean(polytope, polytope.offset + transform[:assets] @ answer.point), answer


def _homogenise(hessian: Float, gain: Float, polytope: Polytope, net: float) -> tuple[Float, Answer]:
    """Solve the ratio problem in (kappa x, kappa)."""
    assets, size = polytope.assets, polytope.rows.shape[1]
    top = float(np.abs(gain).max())
    slope = gain / (top if top > 0 else 1.0)
    transform = polytope.transform()
    # core variables: y - kappa offset (and v - kappa second), kappa
    to_y = np.concatenate(
        (np.eye(assets), np.zeros((assets, len(transform) - assets)), polytope.offset[:, None]), axis=1
    )
    total = to_y.sum(axis=0)
    total[-1] -= net
    core = to_y.T @ (hessian / _unit(hessian)) @ to_y + np.outer(total, total)
    if polytope.pairs == 2:
        tie = np.column_stack((np.eye(assets), -np.eye(assets), -polytope.second))
        core += tie.T @ tie
    rows, low, high = _homogeneous_rows(polytope)
    ahead = np.append(transform[:assets].T @ slope, slope @ polytope.offset)
    bounds = _Bounds(np.concatenate((rows, ahead[None, :])), np.append(low, 1.0), np.append(high, 1.0))
    whole = np.zeros((len(core), size + 1))
    whole[:-1, :-1], whole[-1, -1] = transform, 1.0
    answer = _settle(core, np.zeros(len(core)), whole, polytope.twins(), bounds)
    kappa = answer.point[-1]
    if not kappa > 0:
        return np.full(assets, np.nan), Answer(answer.point, np.inf, answer.infeasible)
    return _clean(polytope, polytope.offset + transform[:assets] @ answer.point[:-1] / kappa), answer


def _homogeneous_rows(polytope: Polytope) -> tuple[Float, Float, Float]:
    """Return rows over (x, kappa) that say low kappa <= (x, A x) <= high kappa, and kappa >= 0."""
    size = polytope.rows.shape[1]
    every = np.concatenate((np.eye(size), polytope.rows))
    own_low = np.append(np.where(polytope.low[:size] == 0, 0.0, -np.inf), 0.0)
    own_high = np.append(np.where(polytope.high[:size] == 0, 0.0, np.inf), np.inf)
    own = np.arange(len(every)) < size
    equal = (polytope.low == polytope.high) & ~(own & (polytope.low == 0))
    above = np.isfinite(polytope.high) & ~equal & ~(own & (polytope.high == 0))
    below = np.isfinite(polytope.low) & ~equal & ~(own & (polytope.low == 0))
    rows = np.concatenate(
        (
            np.column_stack((every[equal], -polytope.high[equal])),
            np.column_stack((every[above], -polytope.high[above])),
            np.column_stack((every[below], -polytope.low[below])),
        )
    )
    counts = int(equal.sum()), int(above.sum()), int(below.sum())
    low = np.concatenate((own_low, np.zeros(counts[0]), np.full(counts[1], -np.inf), np.zeros(counts[2])))
    high = np.concatenate((own_high, np.zeros(counts[0]), np.zeros(counts[1]), np.full(counts[2], np.inf)))
    return rows, low, high


def _scale_up(hessian: Float, gain: Float, constraints: Constraints, beta: Float | None) -> tuple[Float, Answer]:
    """Find the best direction among those allowed at every size, then take the largest size that is allowed."""
    cone = replace(
        constraints,
        lower=np.where(constraints.lower == 0, 0.0, -np.inf),
        upper=np.where(constraints.upper == 0, 0.0, np.inf),
        gross=None,
        group_lower=np.where(constraints.group_lower == 0, 0.0, -np.inf),
        group_upper=np.where(constraints.group_upper == 0, 0.0, np.inf),
        beta_tolerance=None if constraints.beta_tolerance is None else 0.0,
        turnover_limit=None,
    )
    polytope = build_polytope(cone, beta, None)
    top = float(np.abs(gain).max())
    bounds = _Bounds(
        np.concatenate((polytope.rows, gain[None, :] / (top if top > 0 else 1.0))),
        np.append(polytope.low, 1.0),
        np.append(polytope.high, 1.0),
    )
    none = np.zeros(len(gain))
    answer = _settle(hessian / _unit(hessian), none, np.eye(len(gain)), polytope.twins(), bounds)
    direction = _clean(polytope, answer.point)
    grouped = constraints.groups @ direction
    with np.errstate(divide="ignore", invalid="ignore"):
        sizes = np.concatenate(
            (
                np.where(direction > 0, constraints.upper / direction, np.inf),
                np.where(direction < 0, constraints.lower / direction, np.inf),
                np.where(grouped > 0, constraints.group_upper / grouped, np.inf),
                np.where(grouped < 0, constraints.group_lower / grouped, np.inf),
                [np.inf if constraints.gross is None else constraints.gross / np.abs(direction).sum()],
            )
        )
    return direction * float(sizes.min()), answer


def _clean(polytope: Polytope, weights: Float) -> Float:
    """Put weights that passed a bound by rounding back on it."""
    if polytope.pairs:
        return weights
    assets = polytope.assets
    return np.clip(weights, polytope.low[:assets], polytope.high[:assets])


def _unit(hessian: Float) -> float:
    """Return the mean diagonal, which every programme is scaled to have at 1."""
    mean = float(np.trace(hessian)) / len(hessian)
    return mean if mean > 0 else 1.0

"""One window's convex quadratic programme: DAQP's active set, polished, with a certificate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backsweep.arrays import Float

__all__ = ["BAR", "Answer", "Programme", "solve_programme"]

BAR = 1e-10  # the worst relative KKT residual that counts as solved
_AIM = 1e-12  # above this the answer is polished
_TOLERANCE = 1e-12  # of DAQP, on programmes scaled to a Hessian with unit mean diagonal
_INFEASIBLE = -1


@dataclass(frozen=True, slots=True)
class Programme:
    """minimise x'Hx / 2 - g'x, low <= (x, A x) <= high: the first V bounds are those of x itself.

    Parameters
    ----------
    hessian : (V, V) float64, symmetric positive definite, its mean diagonal about 1.
    gain : (V,) float64, the vector g.
    rows : (M, V) float64, the matrix A.
    low, high : (V + M,) float64; equal where the constraint is an equality, infinite where there is none.
    """

    hessian: Float
    gain: Float
    rows: Float
    low: Float
    high: Float


@dataclass(frozen=True, slots=True)
class Answer:
    """What came out: `point` (V,), `residual` (infinite without an answer), and whether there is no point at all."""

    point: Float
    residual: float
    infeasible: bool


def solve_programme(programme: Programme) -> Answer:
    """Solve one programme and certify the answer; the solver's word is not taken for it.

    DAQP (a dual active set method) names the active constraints; when its residual is above 1e-12 the
    equations of that active set are solved again in numpy, and the better of the two points is kept.
    Equal bounds are given as equalities; when DAQP finds those dependent (two that say the same), they
    are given once more as pairs of inequalities.

    The residual is the larger of two, both relative to max(1, |x|, |g|) with the Hessian scaled to a mean diagonal
    of 1: the stationarity |Hx - g + x_multipliers + A'multipliers|, and for each constraint the natural residual
    |v - clip(v + multiplier, low, high)|, which is feasibility, sign and complementarity in one number.

    Parameters
    ----------
    programme : finite numbers, no NaN; only `low` and `high` may be infinite.

    Returns
    -------
    Answer, with an infinite residual where DAQP gave no point.

    Source: Arnstroem, Bemporad, Axehill (2022), "A dual active-set solver for embedded quadratic programming
    using recursive LDL updates", IEEE TAC 67. Checked in tests/unit/test_solve_quadratic.py.
    """
    import daqp  # compiled, and only constrained problems need it

    size = len(programme.gain)
    equal = programme.low == programme.high
    for sense in (np.where(equal, 5, 0), np.zeros(len(equal))):
        point, _, exit_flag, report = daqp.solve(
            programme.hessian,
            -programme.gain,
            programme.rows,
            np.minimum(programme.high, 1e30),
            np.maximum(programme.low, -1e30),
            sense.astype(np.intc),
            primal_tol=_TOLERANCE,
            dual_tol=_TOLERANCE,
            eps_prox=0.0,
            iter_limit=10_000 + 100 * len(equal),
        )
        if exit_flag >= 1:
            return _certify(programme, np.array(point), np.array(report["lam"]))
        if exit_flag == _INFEASIBLE or not equal.any():
            break
    return Answer(np.full(size, np.nan), np.inf, exit_flag == _INFEASIBLE)


def _certify(programme: Programme, point: Float, multipliers: Float) -> Answer:
    """Return DAQP's point, or the polished one where that is better."""
    residual = _residual(programme, point, multipliers)
    if residual > _AIM:
        polished, its_multipliers = _polish(programme, point, multipliers)
        its_residual = _residual(programme, polished, its_multipliers)
        if its_residual < residual:
            point, residual = polished, its_residual
    return Answer(point, residual, infeasible=False)


def _residual(programme: Programme, point: Float, multipliers: Float) -> float:
    """Return the relative KKT residual defined in `solve_programme`."""
    size = len(point)
    own, others = multipliers[:size], multipliers[size:]
    stationarity = programme.hessian @ point - programme.gain + own + programme.rows.T @ others
    value = np.concatenate((point, programme.rows @ point))
    natural = value - np.clip(value + multipliers, programme.low, programme.high)
    scale = max(1.0, float(np.abs(point).max()), float(np.abs(programme.gain).max()))
    worst = float(max(np.abs(stationarity).max(), np.abs(natural).max())) / scale
    return worst if np.isfinite(worst) else np.inf


def _polish(programme: Programme, point: Float, multipliers: Float) -> tuple[Float, Float]:
    """Solve the equations of the active set that the multipliers name, from `point` (least-norm step)."""
    size = len(point)
    active = (np.abs(multipliers) > 1e-9) | (programme.low == programme.high)
    rows = np.concatenate((np.eye(size), programme.rows))[active]
    value = rows @ point
    low, high = programme.low[active], programme.high[active]
    target = np.where(np.abs(value - low) <= np.abs(value - high), low, high)
    count = len(rows)
    matrix = np.zeros((size + count, size + count))
    matrix[:size, :size] = programme.hessian
    matrix[:size, size:] = rows.T
    matrix[size:, :size] = rows
    right = np.concatenate((programme.gain - programme.hessian @ point - rows.T @ multipliers[active], target - value))
    step = np.linalg.lstsq(matrix, right)[0]
    polished = np.zeros_like(multipliers)
    polished[active] = multipliers[active] + step[size:]
    return point + step[:size], polished

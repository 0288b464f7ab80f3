"""Equal risk contributions: every asset adds the same to the variance of the portfolio."""

from __future__ import annotations

import numpy as np

from backsweep.arrays import Boolean, Float
from backsweep.errors import InvariantError
from backsweep.solve.heuristic import constant_assets, within_constraints
from backsweep.solve.problem import Problem, Solution

__all__ = ["solve"]

BAR = 1e-10
"""Largest relative deviation of a risk contribution from the others' mean."""
NEWTON_STEPS = 200
"""Steps after which a window counts as having no equal risk contributions."""
NEAR = 1e-9
"""Deviation from which one more Newton step reaches rounding."""
RISKLESS = 1e-14
"""Variance of a mix, over the sum of its assets' variances, that counts as none."""
CHUNK = 1 << 18
"""Values of the correlation matrices solved together: 2 MiB, to stay in cache."""


def solve(problem: Problem) -> Solution:
    """Return long-only weights whose risk contributions w_i (C w)_i are all equal.

    With R the correlation matrix the convex problem min x'Rx / 2 - sum log x over x > 0 has the
    condition x_i (R x)_i = 1, so w_i in proportion to x_i / sigma_i has equal contributions. It is solved by
    Newton's method in the metric of x, where the Hessian is X R X + I: at least the identity, so a
    step of 1 / (1 + decrement) stays positive and always descends, and conjugate gradients need few
    products. No return is estimated, and no asset is left out.

    Parameters
    ----------
    problem : needs `covariance` (B, N, N), daily, symmetric, positive semi-definite, no NaN. With
        `constraints` the answer is projected on them (`projection.project`).

    Returns
    -------
    Solution
        The certificate is the largest relative deviation of a risk contribution, max over i of
        |N w_i (C w)_i / w'C w - 1|. Above 1e-10 the window has failed.

    Notes
    -----
    Degenerate cases: one asset that moves gets all; identical assets share equally (singular matrices are fine as
    long as every long-only mix has risk, so are more assets than rows); an asset without variance makes
    equal contributions impossible: a failed window; so does a long-only mix without variance (two
    assets of correlation -1).

    Raises
    ------
    InvariantError
        When `covariance` is missing.

    Source
    ------
    Maillard, Roncalli and Teiletche (2010), "The properties of equally weighted risk contribution portfolios",
    J. Portfolio Management 36(4), equation 7; the convex form and the damped Newton step: Spinu
    (2013), "An algorithm for computing risk parity weights", equations 2 and 14 (SSRN 2297383). Two assets
    have the closed form 1 / sigma (tests/unit/test_solve_risk_parity.py), skfolio's RiskBudgeting is the peer
    (tests/reference/test_peers_cvar_erc.py).
    """
    covariance = problem.covariance
    if covariance is None:
        raise InvariantError("risk_parity needs a covariance")
    constant = constant_assets(covariance) & (covariance.shape[1] > 1)
    variance = np.einsum("bii->bi", covariance)
    volatility = np.sqrt(np.where(constant | (variance <= 0.0), 1.0, variance))
    shares = np.empty_like(volatility)
    riskless = np.zeros(len(volatility), dtype=np.bool_)
    chunk = max(1, CHUNK // variance.shape[1] ** 2)
    for start in range(0, len(covariance), chunk):
        part = slice(start, start + chunk)
        scale = volatility[part]
        correlation = covariance[part] / (scale[:, :, None] * scale[:, None, :])
        correlation[constant[part].any(axis=1)] = np.eye(scale.shape[1])  # those windows have failed
        shares[part], riskless[part] = _balance(correlation)
    weights = shares / volatility
    weights /= weights.sum(axis=1, keepdims=True)
    certificate = _deviation(covariance, weights)
    return within_constraints(_judged(weights, certificate, constant.any(axis=1), riskless), problem)


def _products(matrices: Float, vectors: Float) -> Float:
    """Matrices times vectors, window by window: (B, N, N), (B, N) -> (B, N)."""
    return np.asarray(np.matmul(matrices, vectors[:, :, None])[:, :, 0])


def _deviation(covariance: Float, weights: Float) -> Float:
    """Largest relative deviation (B,) of the risk contributions from their mean."""
    contribution = weights * _products(covariance, weights)
    mean = contribution.mean(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.abs(contribution / mean - 1.0).max(axis=1))


def _balance(correlation: Float) -> tuple[Float, Boolean]:
    """Return x (B, N) with equal x_i (R x)_i as far as it exists, and which windows have a riskless mix (B,)."""
    windows, assets, _ = correlation.shape
    answer = np.empty((windows, assets))
    riskless = np.zeros(windows, dtype=np.bool_)
    live = np.arange(windows)
    matrices = correlation
    shares = 1.0 / np.sqrt(np.maximum(correlation.sum(axis=2), 1.0))
    final = np.zeros(windows, dtype=np.bool_)
    for _ in range(NEWTON_STEPS):
        pressure = _products(matrices, shares)
        risk = (shares * pressure).sum(axis=1)
        empty = risk <= RISKLESS * (shares * shares).sum(axis=1)
        size = np.sqrt(assets / np.where(empty, 1.0, risk))[:, None]
        shares = np.where(empty[:, None], shares, shares * size)
        gradient = shares * (pressure * size) - 1.0
        done = final | empty
        # copying the matrices costs as much as a step, so finished windows ride along until half are
        if done.all() or 2 * done.sum() >= len(done):
            answer[live[done]], riskless[live[done]] = shares[done], empty[done]
            if done.all():
                return answer, riskless
            live, matrices, shares, gradient = live[~done], matrices[~done], shares[~done], gradient[~done]
            final, done = final[~done], done[~done]
        stepped = _newton_step(matrices, shares, gradient)
        final = done | (np.abs(gradient).max(axis=1) <= NEAR)
        shares = np.where(done[:, None], shares, stepped)
    answer[live] = shares
    return answer, riskless


def _newton_step(matrices: Float, shares: Float, gradient: Float) -> Float:
    """One damped Newton step by conjugate gradients on (X R X + I) d = -gradient, Jacobi preconditioned."""
    diagonal = 1.0 + shares * shares
    step = np.zeros_like(gradient)
    residual = -gradient
    scaled = residual / diagonal
    search = scaled
    power = (residual * scaled).sum(axis=1)
    start = np.sqrt((gradient * gradient).sum(axis=1))
    goal = np.maximum(np.minimum(0.1, start) * start, 1e-17)
    for _ in range(2 * matrices.shape[1]):
        image = shares * _products(matrices, shares * search) + search
        bend = (search * image).sum(axis=1)
        length = np.divide(power, bend, out=np.zeros_like(power), where=bend > 0.0)
        step += length[:, None] * search
        residual = residual - length[:, None] * image
        if (np.sqrt((residual * residual).sum(axis=1)) <= goal).all():
            break
        scaled = residual / diagonal
        fresh = (residual * scaled).sum(axis=1)
        ratio = np.divide(fresh, power, out=np.zeros_like(power), where=power > 0.0)
        search = scaled + ratio[:, None] * search
        power = fresh
    square = np.maximum(-(step * gradient).sum(axis=1), 0.0)
    # a full step where it stays well inside and the objective falls enough; else the damped one, which must
    lowest = step.min(axis=1)
    inside = np.maximum(1.0 + step, 0.1)
    change = _change(matrices, shares, step, gradient, inside)
    full = (lowest > -0.9) & ((change <= -0.1 * square) | (square < 1e-3))
    damping = np.where(full, 1.0, 1.0 / (1.0 + np.sqrt(square)))
    return np.asarray(shares * (1.0 + damping[:, None] * step))


def _change(matrices: Float, shares: Float, step: Float, gradient: Float, inside: Float) -> Float:
    """Change (B,) of x'Rx / 2 - sum log x by a full step."""
    moved = shares * step
    bend = (moved * _products(matrices, moved)).sum(axis=1)
    slope = ((gradient + 1.0) * step).sum(axis=1)
    return np.asarray(slope + 0.5 * bend - np.log(inside).sum(axis=1))


def _judged(weights: Float, certificate: Float, flat: Boolean, riskless: Boolean) -> Solution:
    """Turn what was found into a Solution: each failed window with its own sentence."""
    failures: dict[int, str] = {}
    wrong = flat | riskless | ~(certificate <= BAR) | ~(weights > 0.0).all(axis=1)
    for row in np.flatnonzero(wrong):
        if flat[row]:
            reason = "an asset's variance is zero in this window, so it cannot contribute its share of the risk"
        elif riskless[row]:
            reason = "a long-only portfolio without variance exists, so no equal risk contributions do"
        else:
            reason = (
                f"risk contributions could be made equal only to {certificate[row]:.1e}, above {BAR:.0e}; "
                "the covariance may allow a long-only portfolio without variance"
            )
        failures[int(row)] = reason
    weights = np.where(wrong[:, None], np.nan, weights)
    return Solution(weights, np.where(wrong, np.nan, certificate), failures)

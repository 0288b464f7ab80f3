"""How far given weights are from the optimum they claim, computed from the inputs alone.

Every engine is measured by these same functions; none of them shares code with the engine.
All residuals are free of scale: multiplying returns by a constant does not change them.
"""

from __future__ import annotations

import numpy as np

from backsweep.arrays import Float

__all__ = ["conditional_value_at_risk", "cvar_gap", "quadratic_residual", "risk_contribution_residual"]


def quadratic_residual(covariance: Float, linear: Float, weights: Float) -> float:
    """Return the KKT residual of min y'Cy/2 - a'y over y >= 0, of which the weights are a multiple.

    With a = 1 that is the minimum variance portfolio, with a = expected excess returns the one of the highest
    Sharpe ratio, with a = volatilities the one of the highest diversification ratio. The multiple that suits
    the weights best is a'w / w'Cw. The residual is the natural one of a complementarity problem, the largest
    |min(y_i / max y, s_i / max |a|)| with slack s = Cy - a, or the error of the budget if that is larger.

    Source : Cottle, Pang, Stone 1992, The Linear Complementarity Problem, section 1.5.
    """
    multiple = (linear @ weights) / (weights @ covariance @ weights)
    if not multiple > 0:
        return float("inf")
    slack = multiple * (covariance @ weights) - linear
    natural = np.minimum(weights / weights.max(), slack / np.abs(linear).max())
    return float(max(np.abs(natural).max(), abs(weights.sum() - 1)))


def risk_contribution_residual(covariance: Float, weights: Float) -> float:
    """Return the largest relative deviation of a risk contribution from an equal share of the variance.

    Source : Maillard, Roncalli, Teiletche 2010, equation 4.
    """
    contributions = weights * (covariance @ weights)
    shares = contributions / contributions.sum()
    return float(max(np.abs(len(weights) * shares - 1).max(), abs(weights.sum() - 1)))


def conditional_value_at_risk(losses: Float, confidence: float) -> float:
    """Return the mean of the worst (1 - confidence) of the losses, the last one in part.

    Source : Rockafellar, Uryasev 2000, equation 9 at its minimum.
    """
    tail = (1 - confidence) * len(losses)
    worst = np.sort(losses)[::-1]
    whole = int(np.floor(tail))
    part = (tail - whole) * worst[whole] if whole < len(worst) else 0.0
    return float((worst[:whole].sum() + part) / tail)


def cvar_gap(returns: Float, weights: Float, confidence: float) -> float:
    """Return how far the CVaR of long-only weights is above a proven lower bound.

    It is relative to the root mean square of the equal-weight portfolio's returns, which is never 0 or negative
    as a CVaR may be. The bound is weak duality: for any q >= 0 that sums to 1 with no element above
    1 / ((1 - confidence) L), no portfolio has a CVaR under min_i (-R'q)_i. HiGHS finds a good q; the bound holds
    however well it did.

    Source : Rockafellar, Uryasev 2000, equation 17, and its linear programming dual.
    """
    from scipy.optimize import linprog

    rows, assets = returns.shape
    most = 1 / ((1 - confidence) * rows)
    cost = np.concatenate([np.zeros(assets), [1.0], np.full(rows, most)])
    above = np.hstack([-returns, -np.ones((rows, 1)), -np.eye(rows)])
    budget = np.concatenate([np.ones(assets), np.zeros(rows + 1)])[None]
    bounds = [(0, None)] * assets + [(None, None)] + [(0, None)] * rows
    exact = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}  # HiGHS allows no less
    found = linprog(cost, above, np.zeros(rows), budget, [1.0], bounds, method="highs-ds", options=exact)
    mixture = np.clip(-found.ineqlin.marginals, 0, most)
    mixture = np.minimum(mixture / mixture.sum(), most)
    bound = (-(returns.T @ mixture)).min()
    scale = np.sqrt(np.mean(returns.mean(axis=1) ** 2))
    shortfall = abs(mixture.sum() - 1) + abs(weights.sum() - 1) + max(0.0, -weights.min())
    gap = conditional_value_at_risk(-returns @ weights, confidence) - bound
    return float(max(abs(gap) / scale, shortfall))

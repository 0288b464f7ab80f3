"""The document's constraints on weights, as the arrays of `Constraints` for the assets of one batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from backsweep.arrays import Float
from backsweep.solve.problem import Constraints

__all__ = ["build_constraints", "market_betas"]


def build_constraints(document: Mapping[str, Any], symbols: Sequence[str]) -> Constraints:
    """Return the constraints of `document` (a value of axes.constraints, defaulted) for N `symbols`.

    A group names assets; those that take no part in the window are not in it.
    """
    assets = len(symbols)
    groups = document.get("groupCaps") or []
    membership = np.zeros((len(groups), assets))
    for row, group in enumerate(groups):
        named = set(group["assets"])
        membership[row] = [symbol in named for symbol in symbols]
    beta = document.get("beta")
    return Constraints(
        lower=np.full(assets, float(document.get("minWeight", 0))),
        upper=np.full(assets, float(document.get("maxWeight", 1))),
        net=float(document.get("net", 1)),
        gross=_optional(document.get("gross")),
        groups=membership,
        group_lower=np.array([-np.inf if group.get("min") is None else float(group["min"]) for group in groups]),
        group_upper=np.array([np.inf if group.get("max") is None else float(group["max"]) for group in groups]),
        beta_tolerance=None if beta is None else float(beta["tolerance"]),
        turnover_limit=_optional(document.get("turnoverLimit")),
    )


def market_betas(returns: Float, market: Float) -> Float:
    """Return each asset's beta, because a market-neutral portfolio bounds |w'beta|.

    Sample covariance with the market over the market's sample variance. A market that did not move in a window has no
    betas: they are 0 there, since no weight changes w'beta.

    Parameters
    ----------
    returns : (B, L, N) float64, simple returns as fractions.
    market : (B, L) float64, the market's.

    Returns
    -------
    (B, N) float64.

    NaN policy: none may be given, none is returned.

    Source: Sharpe (1964), Capital Asset Prices, Journal of Finance 19(3); checked in tests/unit/test_solve_limits.py.
    """
    centred = market - market.mean(axis=1, keepdims=True)
    variance = np.einsum("bl,bl->b", centred, centred)
    covariance = np.matmul(centred[:, None, :], returns - returns.mean(axis=1, keepdims=True))[:, 0, :]
    moved = variance[:, None] > 0
    betas: Float = np.divide(covariance, variance[:, None], out=np.zeros_like(covariance), where=moved)
    return betas


def _optional(value: object) -> float | None:
    return None if value is None else float(str(value))

"""PyPortfolioOpt's optimisers for a solve: its own defaults, but for the profile, estimators and linkage asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from backsweep.arrays import Float
from backsweep.errors import InvariantError
from backsweep.units import Estimator, Solve

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["fit"]

FREQUENCY = 252
"""Rows a year by which PyPortfolioOpt annualises unless told otherwise; weights do not depend on it."""


def fit(solve: Solve, training: Float, risk_free: float) -> Float:
    """Return (n,) the weights PyPortfolioOpt gives for one window.

    Parameters
    ----------
    training : (L, n) float64, training returns.
    risk_free : the riskless return of a row.

    NaN policy: no NaN is accepted; what PyPortfolioOpt raises is the caller's to name.

    Raises
    ------
    InvariantError
        For a profile or estimator that `backsweep_api.engines` does not list.

    Source: PyPortfolioOpt 1.6, https://pyportfolioopt.readthedocs.io; checked in
    tests/contract/test_engine_peers.py.
    """
    import pandas as pd

    found = _weights(solve, pd.DataFrame(training), risk_free)
    return np.array([found[asset] for asset in range(training.shape[1])], dtype=np.float64)


def _weights(solve: Solve, training: pd.DataFrame, risk_free: float) -> Any:
    import pypfopt

    match solve.profile:
        case "min_cvar":
            confidence = float(solve.parameters["confidence"])
            return pypfopt.EfficientCVaR(None, training, beta=confidence).min_cvar()
        case "min_variance":
            return pypfopt.EfficientFrontier(None, _covariance(solve, training)).min_volatility()
        case "max_sharpe":
            frontier = pypfopt.EfficientFrontier(_mean(solve, training), _covariance(solve, training))
            return frontier.max_sharpe(risk_free_rate=FREQUENCY * risk_free)
        case "hrp":
            sample = solve.covariance is not None and solve.covariance.name == "sample"
            given = {"returns": training} if sample else {"cov_matrix": _covariance(solve, training)}
            return pypfopt.HRPOpt(**given).optimize(linkage_method=solve.parameters["linkage"])
    raise InvariantError(f"pyportfolioopt was asked for {solve.profile}")


def _covariance(solve: Solve, training: pd.DataFrame) -> Any:
    from pypfopt import risk_models

    estimator = solve.covariance
    match "" if estimator is None else estimator.name:
        case "sample":
            return risk_models.sample_cov(training, returns_data=True)
        case "ledoit_wolf":
            return risk_models.CovarianceShrinkage(training, returns_data=True).ledoit_wolf()
        case "oas":
            return risk_models.CovarianceShrinkage(training, returns_data=True).oracle_approximating()
        case "ewma":
            return risk_models.exp_cov(training, returns_data=True, span=_span(estimator))
    raise InvariantError(f"pyportfolioopt was asked for the covariance {estimator}")


def _mean(solve: Solve, training: pd.DataFrame) -> Any:
    from pypfopt import expected_returns

    estimator = solve.mean
    match "" if estimator is None else estimator.name:
        case "mean":
            return expected_returns.mean_historical_return(training, returns_data=True, compounding=False)
        case "ewma":
            return expected_returns.ema_historical_return(
                training, returns_data=True, compounding=False, span=_span(estimator)
            )
    raise InvariantError(f"pyportfolioopt was asked for the expected returns {estimator}")


def _span(estimator: Estimator | None) -> float:
    """Return the span whose weights halve after the half-life: 1 - 2 / (span + 1) = 2 ** (-1 / halfLife)."""
    if estimator is None:
        raise InvariantError("pyportfolioopt was asked for no estimator")
    return float(2.0 / (1.0 - 2.0 ** (-1.0 / float(estimator.parameters["halfLife"]))) - 1.0)

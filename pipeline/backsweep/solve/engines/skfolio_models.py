"""skfolio's estimators for a solve: its own defaults, but for the profile, the estimators and the linkage asked for."""

from __future__ import annotations

from typing import Any

import numpy as np

from backsweep.arrays import Float
from backsweep.errors import InvariantError
from backsweep.units import Estimator, Solve

__all__ = ["fit"]


def fit(solve: Solve, training: Float, risk_free: float) -> Float:
    """Return (n,) the weights skfolio gives for one window.

    Parameters
    ----------
    training : (L, n) float64, training returns; equal_weight needs their columns only.
    risk_free : the riskless return of a row.

    NaN policy: no NaN is accepted; what skfolio raises is the caller's to name.

    Raises
    ------
    InvariantError
        For a profile or estimator that `backsweep_api.engines` does not list.

    Source: skfolio 0.20, https://skfolio.org; checked in tests/contract/test_engine_peers.py.
    """
    model = _model(solve, training, risk_free)
    return np.asarray(model.fit(training if len(training) else np.zeros((2, training.shape[1]))).weights_)


def _model(solve: Solve, training: Float, risk_free: float) -> Any:
    from skfolio import RiskMeasure, optimization

    prior = _prior(solve)
    objective = optimization.ObjectiveFunction
    match solve.profile:
        case "equal_weight":
            return optimization.EqualWeighted()
        case "inverse_volatility":
            return optimization.InverseVolatility(prior_estimator=prior)
        case "min_variance":
            return optimization.MeanRisk(prior_estimator=prior)
        case "max_sharpe":
            return optimization.MeanRisk(objective.MAXIMIZE_RATIO, prior_estimator=prior, risk_free_rate=risk_free)
        case "max_diversification":
            return optimization.MaximumDiversification(prior_estimator=prior)
        case "risk_parity":
            return optimization.RiskBudgeting(prior_estimator=prior)
        case "min_cvar":
            confidence = solve.parameters["confidence"]
            return optimization.MeanRisk(risk_measure=RiskMeasure.CVAR, cvar_beta=confidence)
    return _clustered(solve, prior)


def _clustered(solve: Solve, prior: Any) -> Any:
    """Return one of the models that cut a tree, grown by the linkage asked for."""
    from skfolio import RiskMeasure, optimization
    from skfolio.cluster import HierarchicalClustering, LinkageMethod

    tree = HierarchicalClustering(linkage_method=LinkageMethod(solve.parameters["linkage"]))
    measures = {"variance": RiskMeasure.VARIANCE, "std": RiskMeasure.STANDARD_DEVIATION}
    match solve.profile:
        case "hrp":
            return optimization.HierarchicalRiskParity(
                measures[str(solve.parameters["risk"])], prior_estimator=prior, hierarchical_clustering_estimator=tree
            )
        case "herc":
            return optimization.HierarchicalEqualRiskContribution(
                prior_estimator=prior, hierarchical_clustering_estimator=tree
            )
        case "nco":
            return optimization.NestedClustersOptimization(
                optimization.MeanRisk(prior_estimator=prior),
                optimization.MeanRisk(prior_estimator=prior),
                clustering_estimator=tree,
            )
    raise InvariantError(f"skfolio was asked for {solve.profile}")


def _prior(solve: Solve) -> Any:
    from skfolio.prior import EmpiricalPrior

    if solve.covariance is None:
        return None
    mean = None if solve.mean is None else _mean(solve.mean)
    return EmpiricalPrior(mu_estimator=mean, covariance_estimator=_covariance(solve.covariance))


def _covariance(estimator: Estimator) -> Any:
    from skfolio import moments

    match estimator.name:
        case "sample":
            return moments.EmpiricalCovariance()
        case "ledoit_wolf":
            return moments.LedoitWolf()
        case "oas":
            return moments.OAS()
        case "ewma":
            return moments.EWCovariance(half_life=float(estimator.parameters["halfLife"]))
        case "denoised":
            return moments.DenoiseCovariance()
        case "gerber":
            return moments.GerberCovariance(threshold=float(estimator.parameters["threshold"]))
    raise InvariantError(f"skfolio was asked for the covariance {estimator.name}")


def _mean(estimator: Estimator) -> Any:
    from skfolio import moments

    match estimator.name:
        case "mean":
            return moments.EmpiricalMu()
        case "ewma":
            return moments.EWMu(half_life=float(estimator.parameters["halfLife"]))
        case "bayes_stein":
            return moments.ShrunkMu(vol_weighted_target=True, method=moments.ShrunkMuMethods.BAYES_STEIN)
    raise InvariantError(f"skfolio was asked for the expected returns {estimator.name}")

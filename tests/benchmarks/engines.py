"""One walk-forward of one profile by each engine: the same windows, the sample covariance, long only, no costs.

A peer is asked the way its own documentation asks it, with the defaults of its solvers, and is fitted once a window.
Time is processor time of the fits and of the estimates they need.
"""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from tests.benchmarks.cases import Case

from backsweep.arrays import Float
from backsweep.solve.unit import solve_run
from backsweep.units import Estimator, Solve
from backsweep_api.spec.profiles import LIVE_AXES, PROFILE_DEFAULTS

__all__ = ["OURS", "Walk", "pyportfolioopt_fits", "skfolio_fits", "walk_native", "walk_peer"]

OURS = (
    "equal_weight",
    "inverse_volatility",
    "min_variance",
    "max_sharpe",
    "max_diversification",
    "risk_parity",
    "hrp",
    "herc",
    "nco",
    "min_cvar",
)
REPEATS = 3  # ours is over in milliseconds, so its median of a few counts


@dataclass(frozen=True)
class Walk:
    """What an engine made of a walk-forward: (K, N) weights, NaN where it failed, and what a window took."""

    weights: Float
    seconds_a_window: float


def walk_native(case: Case, profile: str) -> Walk:
    """Solve the case's windows by our engine, as a worker does."""
    reads = LIVE_AXES[profile]
    windows = case.windows(case.our_windows)
    solve = Solve(
        profile=profile,
        parameters=PROFILE_DEFAULTS.get(profile, {}),
        covariance=Estimator("sample") if "covariance" in reads else None,
        mean=Estimator("mean") if "expectedReturns" in reads else None,
        constraints=None,
        columns=np.arange(case.returns.shape[1], dtype=np.int64),
    )
    returns = case.engine_returns()
    seconds = []
    for _ in range(REPEATS):
        started = time.process_time()
        (weights,) = solve_run([solve], windows, returns, lambda stage, estimator: contextlib.nullcontext())
        seconds.append(time.process_time() - started)
    return Walk(weights.values, float(np.median(seconds)) / len(windows))


def walk_peer(case: Case, fit: Callable[[Float], Float]) -> Walk:
    """Solve the case's sampled windows by a peer, one after the other."""
    starts = case.starts(case.peer_windows)
    weights = np.full((len(starts), case.returns.shape[1]), np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _attempt(fit, case.returns[: case.lookback])  # what a library does once, at its first fit, is not counted
        started = time.process_time()
        for row, start in enumerate(starts):
            weights[row] = _attempt(fit, case.returns[start : start + case.lookback])
        seconds = time.process_time() - started
    return Walk(weights, seconds / len(starts))


def _attempt(fit: Callable[[Float], Float], training: Float) -> Float:
    try:
        return fit(training)
    except Exception:  # whatever a peer raises means that it has no weights here, and is counted as such
        return np.full(training.shape[1], np.nan)


def skfolio_fits() -> dict[str, Callable[[Float], Float]]:
    """Return skfolio's estimators by our names for what they do."""
    from skfolio import RiskMeasure
    from skfolio import optimization as peer

    models: dict[str, Callable[[], Any]] = {
        "equal_weight": peer.EqualWeighted,
        "inverse_volatility": peer.InverseVolatility,
        "min_variance": peer.MeanRisk,
        "max_sharpe": lambda: peer.MeanRisk(objective_function=peer.ObjectiveFunction.MAXIMIZE_RATIO),
        "max_diversification": peer.MaximumDiversification,
        "risk_parity": peer.RiskBudgeting,
        "hrp": peer.HierarchicalRiskParity,
        "herc": peer.HierarchicalEqualRiskContribution,
        "nco": lambda: peer.NestedClustersOptimization(peer.MeanRisk(), peer.MeanRisk()),
        "min_cvar": lambda: peer.MeanRisk(risk_measure=RiskMeasure.CVAR),
    }

    def fitted(make: Callable[[], Any]) -> Callable[[Float], Float]:
        return lambda training: np.asarray(make().fit(training).weights_, dtype=np.float64)

    return {name: fitted(make) for name, make in models.items()}


def pyportfolioopt_fits() -> dict[str, Callable[[Float], Float]]:
    """Return what PyPortfolioOpt has of the profiles."""
    import pandas as pd
    import pypfopt

    def frontier(training: Float) -> Any:
        return pypfopt.EfficientFrontier(training.mean(axis=0), np.cov(training, rowvar=False))

    def min_variance(training: Float) -> Float:
        return np.array(list(frontier(training).min_volatility().values()))

    def max_sharpe(training: Float) -> Float:
        return np.array(list(frontier(training).max_sharpe(risk_free_rate=0.0).values()))

    def hrp(training: Float) -> Float:
        found = pypfopt.HRPOpt(pd.DataFrame(training)).optimize()
        return np.array([found[asset] for asset in range(training.shape[1])])

    def min_cvar(training: Float) -> Float:
        problem = pypfopt.EfficientCVaR(training.mean(axis=0), training, beta=0.95)
        return np.array(list(problem.min_cvar().values()))

    return {"min_variance": min_variance, "max_sharpe": max_sharpe, "hrp": hrp, "min_cvar": min_cvar}

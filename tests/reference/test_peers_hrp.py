"""HRP, and HERC on equal clusters, against skfolio and PyPortfolioOpt on real windows."""

from __future__ import annotations

import warnings
from importlib.resources import files

import numpy as np
import pandas as pd
import pytest

from backsweep.arrays import Float
from backsweep.solve import herc, hrp
from backsweep.solve.clusters import shared_clusters
from backsweep.solve.linkage import METHODS
from backsweep.solve.problem import Problem, Shared

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what the peers' own imports warn of is theirs
    from pypfopt.hierarchical_portfolio import HRPOpt
    from skfolio import RiskMeasure
    from skfolio.cluster import HierarchicalClustering, LinkageMethod
    from skfolio.distance import CovarianceDistance
    from skfolio.moments import LedoitWolf
    from skfolio.optimization import HierarchicalEqualRiskContribution, HierarchicalRiskParity
    from skfolio.prior import EmpiricalPrior

STARTS = (0, 1234, 4321, 8060)
RISKS = {"variance": RiskMeasure.VARIANCE, "std": RiskMeasure.STANDARD_DEVIATION}


@pytest.fixture(scope="module")
def windows() -> list[pd.DataFrame]:
    with (files("skfolio.datasets") / "data" / "sp500_dataset.csv.gz").open("rb") as file:
        prices = pd.read_csv(file, compression="gzip", index_col=0, parse_dates=True)
    returns = prices.pct_change().iloc[1:]
    return [returns.iloc[start : start + 252] for start in STARTS]


def covariances(windows: list[pd.DataFrame]) -> Float:
    return np.stack([np.cov(window.to_numpy(), rowvar=False) for window in windows])


def clustering(method: str, **options: int) -> HierarchicalClustering:
    return HierarchicalClustering(linkage_method=LinkageMethod(method), **options)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("risk", RISKS)
def test_hrp_in_optimal_leaf_order_is_that_of_skfolio(windows: list[pd.DataFrame], method: str, risk: str) -> None:
    parameters = {"linkage": method, "leafOrder": True, "risk": risk}
    ours = hrp.solve(Problem(covariance=covariances(windows), parameters=parameters)).weights
    for weights, window in zip(ours, windows, strict=True):
        peer = HierarchicalRiskParity(
            risk_measure=RISKS[risk], hierarchical_clustering_estimator=clustering(method)
        ).fit(window)
        np.testing.assert_allclose(weights, peer.weights_, rtol=0, atol=1e-12)


def test_hrp_of_another_covariance_is_that_of_skfolio_given_it_for_the_tree_too(windows: list[pd.DataFrame]) -> None:
    # its default builds the tree from the sample correlation whatever the covariance; ours uses one for both
    shrunk = [LedoitWolf().fit(window).covariance_ for window in windows]
    parameters = {"linkage": "ward", "leafOrder": True}
    ours = hrp.solve(Problem(covariance=np.stack(shrunk), parameters=parameters)).weights
    for weights, window in zip(ours, windows, strict=True):
        peer = HierarchicalRiskParity(
            risk_measure=RiskMeasure.VARIANCE,
            prior_estimator=EmpiricalPrior(covariance_estimator=LedoitWolf()),
            distance_estimator=CovarianceDistance(covariance_estimator=LedoitWolf()),
            hierarchical_clustering_estimator=clustering("ward"),
        ).fit(window)
        np.testing.assert_allclose(weights, peer.weights_, rtol=0, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_hrp_in_plain_leaf_order_is_that_of_pyportfolioopt(windows: list[pd.DataFrame], method: str) -> None:
    ours = hrp.solve(Problem(covariance=covariances(windows), parameters={"linkage": method})).weights
    for weights, window in zip(ours, windows, strict=True):
        peer = HRPOpt(returns=window).optimize(linkage_method=method)
        np.testing.assert_allclose(weights, [peer[symbol] for symbol in window.columns], rtol=0, atol=1e-12)


@pytest.mark.parametrize("risk", RISKS)
def test_herc_on_our_clusters_is_that_of_skfolio_to_its_solver(windows: list[pd.DataFrame], risk: str) -> None:
    # its count of clusters follows another dispersion, so it is given ours; its last step is a cvxpy solve
    covariance = covariances(windows)
    counts = shared_clusters(covariance, Shared(), "ward").count
    ours = herc.solve(Problem(covariance=covariance, parameters={"risk": risk})).weights
    for weights, window, count in zip(ours, windows, counts, strict=True):
        peer = HierarchicalEqualRiskContribution(
            risk_measure=RISKS[risk],
            hierarchical_clustering_estimator=clustering("ward", max_clusters=int(count)),
        ).fit(window)
        np.testing.assert_allclose(weights, peer.weights_, rtol=0, atol=1e-6)

"""The three quadratic profiles against skfolio and PyPortfolioOpt on the real set, within the peers' accuracy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backsweep.arrays import Float
from backsweep.solve import max_diversification, max_sharpe, min_variance
from backsweep.solve.covariance import estimate
from backsweep.solve.problem import Constraints, Problem

skfolio = pytest.importorskip("skfolio")
pypfopt = pytest.importorskip("pypfopt")
pytestmark = pytest.mark.filterwarnings("ignore")
LOOKBACK = 252


@pytest.fixture(scope="module")
def windows() -> Float:
    """Return seven windows of the daily returns of skfolio's sp500 set."""
    import pandas as pd

    path = Path(skfolio.__file__).parent / "datasets" / "data" / "sp500_dataset.csv.gz"
    prices = pd.read_csv(path, index_col=0).to_numpy()
    returns = prices[1:] / prices[:-1] - 1
    view = np.lib.stride_tricks.sliding_window_view(returns, LOOKBACK, axis=0)
    return np.swapaxes(view[300:-1:1250], 1, 2)


def problem_of(windows: Float, covariance: str = "sample", constraints: Constraints | None = None) -> Problem:
    return Problem(
        covariance=estimate(covariance, windows, {}),
        mean=windows.mean(axis=1),
        risk_free=np.zeros(len(windows)),
        constraints=constraints,
    )


def capped(cap: float) -> Constraints:
    none = np.zeros(0)
    return Constraints(np.zeros(20), np.full(20, cap), 1.0, None, np.zeros((0, 20)), none, none, None, None)


def test_minimum_variance_is_skfolios_to_1e_3_and_never_worse(windows: Float) -> None:
    from skfolio.optimization import MeanRisk, ObjectiveFunction

    problem = problem_of(windows)
    assert problem.covariance is not None
    ours = min_variance.solve(problem)
    assert ours.certificate.max() <= 1e-12
    for window, weights, matrix in zip(windows, ours.weights, problem.covariance, strict=True):
        peer = MeanRisk(objective_function=ObjectiveFunction.MINIMIZE_RISK).fit(window).weights_
        np.testing.assert_allclose(weights, peer, atol=1e-3)
        assert weights @ matrix @ weights <= peer @ matrix @ peer * (1 + 1e-12) / peer.sum() ** 2


def test_maximum_sharpe_is_skfolios_to_1e_3(windows: Float) -> None:
    from skfolio.optimization import MeanRisk, ObjectiveFunction

    ours = max_sharpe.solve(problem_of(windows))
    assert not ours.failures
    assert ours.certificate.max() <= 1e-12
    for window, weights in zip(windows, ours.weights, strict=True):
        peer = MeanRisk(objective_function=ObjectiveFunction.MAXIMIZE_RATIO).fit(window).weights_
        np.testing.assert_allclose(weights, peer, atol=1e-3)


def test_maximum_diversification_is_skfolios_to_1e_3(windows: Float) -> None:
    from skfolio.optimization import MaximumDiversification

    ours = max_diversification.solve(problem_of(windows))
    assert ours.certificate.max() <= 1e-12
    for window, weights in zip(windows, ours.weights, strict=True):
        np.testing.assert_allclose(weights, MaximumDiversification().fit(window).weights_, atol=1e-3)


@pytest.mark.parametrize("covariance", ["sample", "ledoit_wolf", "ewma", "gerber", "denoised"])
def test_pyportfolioopt_agrees_for_every_covariance(windows: Float, covariance: str) -> None:
    from pypfopt import EfficientFrontier

    problem = problem_of(windows[:4], covariance)
    assert problem.covariance is not None
    assert problem.mean is not None
    least, best = min_variance.solve(problem), max_sharpe.solve(problem)
    for window in range(4):
        # annualised, for its solver's absolute tolerances; weights do not change
        matrix, mean = 252 * problem.covariance[window], 252 * problem.mean[window]
        peer = EfficientFrontier(mean, matrix).min_volatility()
        np.testing.assert_allclose(least.weights[window], list(peer.values()), atol=2e-4)
        peer = EfficientFrontier(mean, matrix).max_sharpe(risk_free_rate=0.0)
        np.testing.assert_allclose(best.weights[window], list(peer.values()), atol=2e-4)


def test_capped_minimum_variance_and_sharpe_are_pyportfolioopts(windows: Float) -> None:
    from pypfopt import EfficientFrontier

    problem = problem_of(windows[:4], "ledoit_wolf", capped(0.12))
    assert problem.covariance is not None
    assert problem.mean is not None
    least, best = min_variance.solve(problem), max_sharpe.solve(problem)
    for window in range(4):
        matrix, mean = 252 * problem.covariance[window], 252 * problem.mean[window]
        peer = EfficientFrontier(mean, matrix, weight_bounds=(0, 0.12)).min_volatility()
        np.testing.assert_allclose(least.weights[window], list(peer.values()), atol=2e-4)
        if window not in best.failures:
            peer = EfficientFrontier(mean, matrix, weight_bounds=(0, 0.12)).max_sharpe(risk_free_rate=0.0)
            np.testing.assert_allclose(best.weights[window], list(peer.values()), atol=2e-4)

"""Covariances and expected returns against scikit-learn and skfolio on the real set, where conventions meet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backsweep.arrays import Float
from backsweep.solve.covariance import estimate
from backsweep.solve.expected_returns import estimate as estimate_mean

skfolio = pytest.importorskip("skfolio")
pytestmark = pytest.mark.filterwarnings("ignore")
LOOKBACKS = [63, 126, 252, 504]


@pytest.fixture(scope="module")
def returns() -> Float:
    """Return the daily returns of skfolio's sp500 set."""
    import pandas as pd

    path = Path(skfolio.__file__).parent / "datasets" / "data" / "sp500_dataset.csv.gz"
    prices = pd.read_csv(path, index_col=0).to_numpy()
    result: Float = prices[1:] / prices[:-1] - 1
    return result


def windows_of(returns: Float, lookback: int) -> Float:
    return np.swapaxes(np.lib.stride_tricks.sliding_window_view(returns, lookback, axis=0)[200:-1:700], 1, 2)


@pytest.mark.parametrize("lookback", LOOKBACKS)
def test_shrunk_covariances_equal_scikit_learns(returns: Float, lookback: int) -> None:
    peers = pytest.importorskip("sklearn.covariance")
    windows = windows_of(returns, lookback)
    for name, peer in (("ledoit_wolf", peers.ledoit_wolf), ("oas", peers.oas)):
        ours = estimate(name, windows, {})
        for window, matrix in zip(windows, ours, strict=True):
            np.testing.assert_allclose(matrix, peer(window)[0], rtol=0, atol=1e-12 * matrix.max())


@pytest.mark.parametrize("lookback", LOOKBACKS)
def test_sample_equals_numpys(returns: Float, lookback: int) -> None:
    windows = windows_of(returns, lookback)
    for window, matrix in zip(windows, estimate("sample", windows, {}), strict=True):
        np.testing.assert_allclose(matrix, np.cov(window.T), rtol=0, atol=1e-13 * matrix.max())


@pytest.mark.parametrize("lookback", LOOKBACKS)
def test_gerber_equals_skfolios_with_its_ddof(returns: Float, lookback: int) -> None:
    from skfolio.moments import GerberCovariance

    windows = windows_of(returns, lookback)
    # skfolio: deviations with ddof 0, in the threshold as in the covariance
    share = (lookback - 1) / lookback
    ours = estimate("gerber", windows, {"threshold": 0.5 * np.sqrt(share)}) * share
    for window, matrix in zip(windows, ours, strict=True):
        peer = GerberCovariance(threshold=0.5, nearest=False).fit(window).covariance_
        np.testing.assert_allclose(matrix, peer, rtol=0, atol=1e-12 * matrix.max())


@pytest.mark.parametrize("lookback", LOOKBACKS)
def test_ewma_equals_skfolios_weights(returns: Float, lookback: int) -> None:
    from skfolio.moments import EWMu

    windows = windows_of(returns, lookback)
    ours = estimate_mean("ewma", windows, estimate("sample", windows, {}), {"halfLife": 40})
    for window, mean in zip(windows, ours, strict=True):
        peer = EWMu(half_life=40).fit(window).mu_
        np.testing.assert_allclose(mean, peer, rtol=1e-9, atol=1e-12)


def test_bayes_stein_differs_from_skfolios_by_the_factor_of_the_covariance_alone(returns: Float) -> None:
    from skfolio.moments import EmpiricalCovariance, ShrunkMu, ShrunkMuMethods

    lookback = 252
    windows = windows_of(returns, lookback)
    sample = estimate("sample", windows, {})
    ours = estimate_mean("bayes_stein", windows, sample, {})
    for window, mean in zip(windows, ours, strict=True):
        model = ShrunkMu(EmpiricalCovariance(ddof=1), vol_weighted_target=True, method=ShrunkMuMethods.BAYES_STEIN)
        peer = model.fit(window)
        plain = window.mean(axis=0)
        target = peer.mu_target_[0]
        # k / (k + L) with k multiplied by (L - 1) / (L - N - 2), which skfolio leaves out
        odds = peer.beta_ / (1 - peer.beta_) * (lookback - 1) / (lookback - 20 - 2)
        share = odds / (1 + odds)
        np.testing.assert_allclose(mean, (1 - share) * plain + share * target, rtol=1e-9)

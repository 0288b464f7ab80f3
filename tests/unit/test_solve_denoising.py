from __future__ import annotations

import numpy as np
import pytest

from backsweep.arrays import Float
from backsweep.solve.denoising import denoise, fit_noise_variance

ROWS, ASSETS = 120, 10
RANDOM = np.random.default_rng(15)
# one factor, from hardly visible to strong
STRENGTH = np.linspace(0.15, 0.8, 24)[:, None, None]
RETURNS = RANDOM.normal(size=(24, ROWS, ASSETS)) + STRENGTH * RANDOM.normal(size=(24, ROWS, 1))
RETURNS *= np.linspace(0.5, 2.0, ASSETS)
COVARIANCE = np.stack([np.cov(window.T) for window in RETURNS])


def squared_error(noise: float, values: Float, ratio: float) -> float:
    """Snippets 2.1 to 2.4 of the source, 1,000 points, ratio = rows / assets."""
    low, high = noise * (1 - ratio**-0.5) ** 2, noise * (1 + ratio**-0.5) ** 2
    place = np.linspace(low, high, 1000)
    law = ratio / (2 * np.pi * noise * place) * np.sqrt(np.maximum((high - place) * (place - low), 0))
    kernels = np.exp(-0.5 * ((place[:, None] - values) / 0.01) ** 2) / np.sqrt(2 * np.pi) / 0.01
    return float(((kernels.mean(axis=1) - law) ** 2).sum())


def eigenvalues(covariance: Float) -> Float:
    deviation = np.sqrt(np.einsum("bii->bi", covariance))
    values: Float = np.linalg.eigvalsh(covariance / deviation[:, :, None] / deviation[:, None, :])
    return values


def test_the_noise_variance_is_the_best_of_the_candidates_by_the_sources_own_criterion() -> None:
    values = eigenvalues(COVARIANCE)
    for window, found in zip(values, fit_noise_variance(values, ROWS), strict=True):
        errors = [squared_error(noise, window, ROWS / ASSETS) for noise in np.arange(1, 201) / 200]
        # the cells of the density and the 1,000 points differ by a little
        assert squared_error(found, window, ROWS / ASSETS) <= 1.02 * min(errors)


def test_noise_eigenvalues_become_their_mean_and_signals_stay() -> None:
    values = eigenvalues(COVARIANCE)
    edge = fit_noise_variance(values, ROWS) * (1 + np.sqrt(ASSETS / ROWS)) ** 2
    clean = denoise(COVARIANCE, ROWS)
    for window in range(len(COVARIANCE)):
        deviation = np.sqrt(np.diag(COVARIANCE[window]))
        correlation = COVARIANCE[window] / np.outer(deviation, deviation)
        spectrum, vectors = np.linalg.eigh(correlation)
        noise = spectrum < edge[window]
        spectrum[noise] = spectrum[noise].mean()
        expected = vectors @ np.diag(spectrum) @ vectors.T
        scale = deviation / np.sqrt(np.diag(expected))
        np.testing.assert_allclose(clean[window], expected * np.outer(scale, scale), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("noise", [0.4, 0.7])
def test_a_spectrum_made_by_the_law_gives_its_variance_back(noise: float) -> None:
    low, high = noise * (1 - 0.5) ** 2, noise * (1 + 0.5) ** 2
    place = np.linspace(low, high, 20_001)[1:]
    law = np.sqrt(np.maximum((high - place) * (place - low), 0.0)) / place
    quantiles = np.interp((np.arange(400) + 0.5) / 400, np.cumsum(law) / law.sum(), place)
    assert abs(fit_noise_variance(quantiles[None], 1600)[0] - noise) <= 0.011


def test_volatilities_stay() -> None:
    np.testing.assert_allclose(
        np.einsum("bii->bi", denoise(COVARIANCE, ROWS)), np.einsum("bii->bi", COVARIANCE), rtol=1e-13
    )


def test_pure_noise_becomes_almost_uncorrelated() -> None:
    noise = np.stack([np.cov(window.T) for window in RANDOM.normal(size=(5, 400, 20))])
    clean = denoise(noise, 400)
    off = ~np.eye(20, dtype=bool)
    assert (clean[:, off] ** 2).sum() < 0.1 * (noise[:, off] ** 2).sum()


def test_one_asset_comes_back_as_it_is() -> None:
    np.testing.assert_allclose(denoise(COVARIANCE[:, :1, :1], ROWS), COVARIANCE[:, :1, :1], rtol=1e-14)


def test_only_constant_assets_have_no_spectrum() -> None:
    assert not denoise(np.zeros((2, 3, 3)), 50).any()


def test_as_many_assets_as_rows_are_accepted() -> None:
    covariance = np.stack([np.cov(window[:ASSETS].T) for window in RETURNS])
    assert np.linalg.eigvalsh(denoise(covariance, ASSETS)).min() > 0
